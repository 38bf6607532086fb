/* The admin interface's TCP side: HttpListen, which may change by reload. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nlb/event.h"
#include "supervisor/daemon.h"

#define BACKLOG 256

static int
open_socket(const struct addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(a, &ss);
	int on = 1, v6only = addr_is_unspecified(a) ? 0 : 1;
	int rc, fd = socket(ss.ss_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->family == ADDR_IPV6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	if (bind(fd, (struct sockaddr *)&ss, len) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static void
explain(const struct daemon *d, const struct addr *a, int rc, char *why,
    size_t size)
{
	char where[ADDR_STRLEN], who[256];

	addr_format(a, where, sizeof(where));
	if (rc == -EADDRINUSE && d->http.addr.port == a->port) {
		snprintf(why, size,
		    "HttpListen = %s: nlbd itself holds this port, at another "
		    "address; reload once with HttpListen = off, or choose "
		    "another port",
		    where);
	} else if (rc == -EADDRINUSE) {
		(void)port_owner_is_stranger(a, d->lock_path, who, sizeof(who));
		snprintf(why, size,
		    "HttpListen = %s is in use by %s; stop it or choose "
		    "another port",
		    where, who);
	} else if (rc == -EADDRNOTAVAIL) {
		snprintf(why, size,
		    "HttpListen = %s: this machine has no such address; check "
		    "it against `ip addr'",
		    where);
	} else {
		snprintf(why, size,
		    "HttpListen = %s: cannot listen there: %s; choose another "
		    "address and port",
		    where, strerror(-rc));
	}
}

int
http_listen_prepare(struct daemon *d, const struct conf *conf,
    struct http_listen *out, char *why, size_t size)
{
	const struct addr *wanted = &conf->node.http_listen;
	int rc;

	*out = (struct http_listen){.addr = *wanted, .fd = -1};
	if (wanted->family == ADDR_NONE || addr_equal(wanted, &d->http.addr))
		return 0;
	out->fd = open_socket(wanted);
	if (out->fd < 0) {
		rc = out->fd;
		explain(d, wanted, rc, why, size);
		return rc;
	}
	rc = admin_create_http(&d->loop, out->fd, &d->admin_ops, &out->admin);
	if (rc < 0) {
		explain(d, wanted, rc, why, size);
		http_listen_close(out);
	}
	return rc;
}

void
http_listen_commit(struct daemon *d, struct http_listen *prepared)
{
	char where[ADDR_STRLEN];

	if (addr_equal(&prepared->addr, &d->http.addr))
		return;
	http_listen_close(&d->http);
	d->http = *prepared;
	if (d->http.admin != NULL)
		event_log(EVENT_HTTP_SERVING, "HTTP at http://%s/",
		    addr_format(&d->http.addr, where, sizeof(where)));
}

void
http_listen_close(struct http_listen *h)
{
	if (h->admin == NULL && h->fd == -1)
		return;
	admin_destroy(h->admin);
	close(h->fd);
	*h = (struct http_listen){.fd = -1};
}
