/* The client's address as the source; see client_source.h. */
#include "worker/client_source.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include "nlb/event.h"
#include "ipc/source_addresses.h"

static int
set_options(int fd, const struct addr *source)
{
	int on = 1;
	bool v6 = source->family == ADDR_IPV6;

	if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof(on)) == -1)
		return -errno;
	/* With a port: the same client may have flows on several listeners
	 * from it. Without: it is chosen at connect, for this target only. */
	if (source->port != 0)
		return setsockopt(
			   fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1
			   ? -errno
			   : 0;
	return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
		   sizeof(on)) == -1
		   ? -errno
		   : 0;
}

static int
bind_to(int fd, const struct addr *source)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(source, &ss);
	int rc = set_options(fd, source);

	if (rc < 0)
		return rc;
	if (bind(fd, (struct sockaddr *)&ss, len) == 0)
		return 0;
	/* A listener has the port, or it is one of the privileged ones. */
	if (source->port != 0 && (errno == EADDRINUSE || errno == EACCES))
		return -EADDRNOTAVAIL;
	return -errno;
}

int
client_source_connect(
    int fd, const struct addr *source, const struct addr *target)
{
	static struct log_limit limit = LOG_LIMIT(1);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(target, &ss);
	char text[ADDR_IP_STRLEN];
	int rc = bind_to(fd, source);

	if (rc < 0 && rc != -EADDRNOTAVAIL) {
		if (log_allowed(&limit, uv_hrtime() / 1000000))
			event_log(EVENT_CLIENT_ADDRESS_UNUSABLE,
			    "no connection can come from the client "
			    "address %s: %s",
			    addr_format_ip(source, text, sizeof(text)),
			    strerror(-rc));
		return -SOURCE_ADDRESSES_UNUSABLE;
	}
	if (rc == 0 && connect(fd, (struct sockaddr *)&ss, len) == -1)
		rc = -errno;
	return rc == -EADDRINUSE ? -EADDRNOTAVAIL : rc;
}
