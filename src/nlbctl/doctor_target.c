/*
 * Each target: does it answer, what does it say first, and does it expect the
 * PROXY header as the configuration says?
 */
#include "nlbctl/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "nlb/proxy_v2.h"

#define CONNECT_MS 3000
#define BANNER_MS 1500
#define QUIET_MS 300 /* after a banner: is there a complaint to come? */
#define TARGETS_MAX 50

/* What a connection brought. */
struct talk {
	int error; /* of the connect; 0 = connected */
	bool reset;
	char said[512]; /* terminated */
	size_t n_said;
};

static bool
wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, timeout_ms) == 1;
}

static int
connect_to(const struct addr *a, int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(a, &sa);
	int error = 0;

	if (connect(fd, (struct sockaddr *)&sa, len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (!wait_for(fd, POLLOUT, CONNECT_MS))
		return ETIMEDOUT;
	len = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return errno;
	return error;
}

/* Reads until the other side has been quiet for a while. */
static void
listen_to(int fd, struct talk *t)
{
	int timeout_ms = BANNER_MS;
	ssize_t n;

	while (t->n_said < sizeof(t->said) - 1 &&
	       wait_for(fd, POLLIN, timeout_ms)) {
		n = recv(fd, t->said + t->n_said,
		    sizeof(t->said) - 1 - t->n_said, 0);
		if (n <= 0) {
			t->reset = n < 0;
			break;
		}
		t->n_said += (size_t)n;
		timeout_ms = QUIET_MS;
	}
	t->said[t->n_said] = '\0';
}

static void
talk_to(const struct addr *a, bool with_header, struct talk *t)
{
	uint8_t header[PROXY_V2_SIZE];
	int fd;

	memset(t, 0, sizeof(*t));
	fd = socket(a->family == ADDR_IPV6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		t->error = errno;
		return;
	}
	t->error = connect_to(a, fd);
	if (t->error == 0 && with_header) {
		proxy_v2_encode_local(header);
		(void)send(fd, header, sizeof(header), MSG_NOSIGNAL);
	}
	if (t->error == 0)
		listen_to(fd, t);
	/* A server's log looks better so. */
	if (t->error == 0 && strncmp(t->said, "220", 3) == 0)
		(void)send(fd, "QUIT\r\n", 6, MSG_NOSIGNAL);
	close(fd);
}

/* A greeting, and no complaint behind it: of a header, or of a header that is
 * missing. */
static bool
is_content(const struct talk *t)
{
	return t->error == 0 && t->n_said > 0 && t->said[0] != '4' &&
	       t->said[0] != '5' && strstr(t->said, "\n5") == NULL &&
	       strstr(t->said, "\n4") == NULL;
}

/* The first line, fit for a terminal. */
static const char *
first_line(const struct talk *t, char *buf, size_t size)
{
	size_t len = strcspn(t->said, "\r\n");

	return log_escape(buf, size, t->said, len < 80 ? len : 80);
}

static void
add_unreachable(struct doctor *d, const char *address, const struct talk *t)
{
	const char *next =
	    "A firewall, a security group or a route: let the target accept "
	    "this machine's address.";

	if (t->error == ECONNREFUSED)
		next = "Start the server, or correct the Port: nothing listens "
		       "there.";
	doctor_add(d, "target", DOCTOR_PROBLEM, next, "%s: %s", address,
	    strerror(t->error));
}

static void
add_mismatch(struct doctor *d, const char *address, bool enabled)
{
	if (enabled)
		doctor_add(d, "target", DOCTOR_PROBLEM,
		    "Set proxy_protocol_v2.enabled = false, or teach the "
		    "server to read the header.",
		    "%s: it does not expect the PROXY header that its group "
		    "sends",
		    address);
	else
		doctor_add(d, "target", DOCTOR_PROBLEM,
		    "Set proxy_protocol_v2.enabled = true for its group, or "
		    "switch it off at the server.",
		    "%s: it expects a PROXY header, and its group sends none",
		    address);
}

static void
check_target(
    struct doctor *d, const struct conf_target_group *g, const struct addr *a)
{
	char address[ADDR_STRLEN], line[330];
	struct talk as_set, other;

	addr_format(a, address, sizeof(address));
	talk_to(a, g->proxy_protocol_v2, &as_set);
	if (as_set.error != 0) {
		add_unreachable(d, address, &as_set);
		return;
	}
	if (is_content(&as_set)) {
		doctor_add(d, "target", DOCTOR_OK, "", "%s: connected, %s",
		    address, first_line(&as_set, line, sizeof(line)));
		return;
	}
	talk_to(a, !g->proxy_protocol_v2, &other);
	if (is_content(&other))
		add_mismatch(d, address, g->proxy_protocol_v2);
	else if (as_set.n_said > 0)
		doctor_add(d, "target", DOCTOR_WARNING,
		    "The server turns this machine away: its log says why.",
		    "%s: connected, and it says %s", address,
		    first_line(&as_set, line, sizeof(line)));
	else if (as_set.reset)
		doctor_add(d, "target", DOCTOR_WARNING,
		    "The server turns this machine away: its log says why.",
		    "%s: connected, and reset at once", address);
	else
		doctor_add(d, "target", DOCTOR_OK, "",
		    "%s: connected; the server lets the client speak first",
		    address);
}

/* The listener whose flows the rules do not let out to a, or NULL. */
static const struct conf_listener *
blocked_by_rules(const struct doctor *d, size_t group, const struct addr *a)
{
	for (size_t i = 0; i < d->conf->n_listeners; i++) {
		const struct conf_listener *l = &d->conf->listeners[i];

		for (uint32_t j = 0; j < l->n_forwards; j++) {
			if (l->forwards[j].group == group &&
			    conf_outbound_verdict(d->conf, l, a) !=
				CONF_OUTBOUND_ALLOWED)
				return l;
		}
	}
	return NULL;
}

static void
check_rules_and_target(struct doctor *d, size_t group, const struct addr *a)
{
	const struct conf_listener *l = blocked_by_rules(d, group, a);
	char address[ADDR_STRLEN];

	if (l == NULL) {
		check_target(d, &d->conf->target_groups[group], a);
		return;
	}
	doctor_add(d, "target", DOCTOR_PROBLEM,
	    "Add an Outbound rule for it, in the network ACL too if there is "
	    "one.",
	    "%s: the rules of listener %s do not let flows out to it",
	    addr_format(a, address, sizeof(address)), l->name);
}

/* The first address that a name has now. */
static void
check_named(struct doctor *d, size_t group, const struct conf_dns_target *named)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	struct addr a;
	int rc;

	hints.ai_family =
	    d->conf->target_groups[group].ip_address_type == CONF_IPV6
		? AF_INET6
		: AF_INET;
	rc = getaddrinfo(named->host, NULL, &hints, &list);
	if (rc != 0) {
		doctor_add(d, "target", DOCTOR_PROBLEM,
		    "Is the name right, and does a resolver answer?",
		    "%.100s: %s", named->host, gai_strerror(rc));
		return;
	}
	addr_from_sockaddr(list->ai_addr, &a);
	a.port = named->target.addr.port;
	freeaddrinfo(list);
	check_rules_and_target(d, group, &a);
}

void
doctor_check_targets(struct doctor *d)
{
	size_t all =
	    conf_count_targets(d->conf) + conf_count_dns_targets(d->conf);
	size_t n = 0;

	for (size_t i = 0; i < d->conf->n_target_groups; i++) {
		const struct conf_target_group *g = &d->conf->target_groups[i];

		for (size_t j = 0; j < g->n_targets && n < TARGETS_MAX;
		     j++, n++)
			check_rules_and_target(d, i, &g->targets[j].addr);
		for (size_t j = 0; j < g->n_dns_targets && n < TARGETS_MAX;
		     j++, n++)
			check_named(d, i, &g->dns_targets[j]);
	}
	if (n < all)
		doctor_add(d, "target", DOCTOR_OK, "",
		    "%zu more were not tried", all - n);
}
