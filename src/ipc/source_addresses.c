/* The source addresses of connections; see source_addresses.h. */
#include "ipc/source_addresses.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "nlb/event.h"

void
source_addresses_set(
    struct source_addresses *s, const struct conf_load_balancer *lb)
{
	memcpy(s->list, lb->source_addresses, sizeof(s->list));
	s->n = lb->n_source_addresses;
}

/* -EADDRNOTAVAIL: the address is not one of this machine; a port is not looked
 * for before connect. Of an address too new for bind (IPv6, while the network
 * is asked whether somebody else has it) the kernel says the same. */
static int
bind_to(int fd, const struct addr *source)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(source, &ss);
	int on = 1;

	if (setsockopt(
		fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == -1)
		return -errno;
	return bind(fd, (struct sockaddr *)&ss, len) == -1 ? -errno : 0;
}

static int
connect_to(int fd, const struct addr *target)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(target, &ss);

	return connect(fd, (struct sockaddr *)&ss, len) == -1 ? -errno : 0;
}

static void
log_unusable(const struct addr *source, int error)
{
	char text[ADDR_IP_STRLEN];

	addr_format_ip(source, text, sizeof(text));
	if (error == -EADDRNOTAVAIL)
		event_log(EVENT_SOURCE_ADDRESS_UNUSABLE,
		    "SourceAddresses: %s is not an address of this "
		    "machine, no connection can come from it; add it "
		    "to an interface or take it away",
		    text);
	else
		event_log(EVENT_SOURCE_ADDRESS_UNUSABLE,
		    "SourceAddresses: no connection can come from %s: "
		    "%s",
		    text, strerror(-error));
}

static void
log_exhausted(const struct addr *source, const struct addr *target)
{
	static struct log_limit limit = LOG_LIMIT(1);
	char from[ADDR_IP_STRLEN] = "this machine", to[ADDR_STRLEN];
	char more[48] = "";

	if (!log_allowed(&limit, uv_hrtime() / 1000000))
		return;
	if (source != NULL)
		addr_format_ip(source, from, sizeof(from));
	if (limit.reported > 0)
		snprintf(more, sizeof(more), " (%u more like this in 10 s)",
		    limit.reported);
	event_log(EVENT_SOURCE_PORTS_EXHAUSTED,
	    "no free source port from %s to %s; add targets or "
	    "SourceAddresses%s",
	    from, addr_format(target, to, sizeof(to)), more);
}

/* source NULL: the kernel chooses. */
static int
connect_from(int fd, const struct addr *source, const struct addr *target,
    uint32_t *failed)
{
	static struct log_limit limit = LOG_LIMIT(1);
	int rc = source == NULL ? 0 : bind_to(fd, source);

	if (rc < 0) {
		if (log_allowed(&limit, uv_hrtime() / 1000000))
			log_unusable(source, rc);
		return -SOURCE_ADDRESSES_UNUSABLE;
	}
	rc = connect_to(fd, target);
	if (rc == -EADDRINUSE)
		rc = -EADDRNOTAVAIL;
	if (rc == -EADDRNOTAVAIL) {
		(*failed)++;
		log_exhausted(source, target);
	}
	return rc;
}

int
source_addresses_connect(struct source_addresses *s, int fd,
    const struct addr *target, uint32_t *failed)
{
	uint32_t n = s == NULL ? 0 : s->n;
	bool any = false, exhausted = false;

	*failed = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct addr *source = &s->list[s->next++ % n];
		int rc;

		if (source->family != target->family)
			continue;
		any = true;
		rc = connect_from(fd, source, target, failed);
		if (rc == -EADDRNOTAVAIL)
			exhausted = true;
		else if (rc != -SOURCE_ADDRESSES_UNUSABLE)
			return rc;
	}
	if (!any)
		return connect_from(fd, NULL, target, failed);
	if (exhausted)
		return -EADDRNOTAVAIL;
	*failed = 1;
	return -SOURCE_ADDRESSES_UNUSABLE;
}

void
source_addresses_warn(const struct conf_load_balancer *lb)
{
	for (uint32_t i = 0; i < lb->n_source_addresses; i++) {
		const struct addr *source = &lb->source_addresses[i];
		int fd =
		    socket(source->family == ADDR_IPV6 ? AF_INET6 : AF_INET,
			SOCK_STREAM | SOCK_CLOEXEC, 0);
		int rc;

		if (fd == -1)
			return;
		rc = bind_to(fd, source);
		if (rc < 0)
			log_unusable(source, rc);
		close(fd);
	}
}
