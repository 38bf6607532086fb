/*
 * The TCP health check. It sends no byte and closes with FIN.
 *
 * What the target has said by then is read first: a close with unread input
 * would reset the connection, and a server that speaks first would log that.
 * A greeting still under way at the close is lost; a check that waits for it
 * must speak its protocol.
 */
#include "health/probe_tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A greeting is shorter; one that floods is cut with a reset. */
#define DRAIN_BYTES_MAX 65536

struct probe_tcp {
	uv_poll_t poll;
	int fd;
	struct addr target;
	probe_tcp_cb done;
	void *owner;
};

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
probe_tcp_close(struct probe_tcp *p)
{
	char buf[4096];
	size_t total = 0;
	ssize_t n;

	/* libuv must forget the descriptor before it is closed. */
	uv_close((uv_handle_t *)&p->poll, on_closed);
	while (total < DRAIN_BYTES_MAX &&
	       (n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		total += (size_t)n;
	close(p->fd);
}

/*
 * A socket that connects to its own port: the kernel picked the target's
 * port as the source port while nobody listened there, and TCP's simultaneous
 * open did the rest. Happens on the node's own addresses only.
 */
static bool
is_connected_to_itself(const struct probe_tcp *p)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr local;

	if (getsockname(p->fd, (struct sockaddr *)&ss, &len) == -1)
		return false;
	addr_from_sockaddr((const struct sockaddr *)&ss, &local);
	return addr_equal(&local, &p->target);
}

int
probe_tcp_look(const struct probe_tcp *p)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	socklen_t error_len;
	int error = 0;

	error_len = sizeof(error);
	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == -1)
		return -errno;
	/* A reset of an established connection: the target had answered (a
	 * refusal is ECONNREFUSED). */
	if (error == ECONNRESET || error == EPIPE)
		return 0;
	if (error != 0)
		return -error;
	if (getpeername(p->fd, (struct sockaddr *)&ss, &len) == -1)
		return errno == ENOTCONN ? -EINPROGRESS : -errno;
	return is_connected_to_itself(p) ? -ECONNREFUSED : 0;
}

static void
on_connect_event(uv_poll_t *handle, int status, int events)
{
	struct probe_tcp *p = handle->data;
	probe_tcp_cb done = p->done;
	void *owner = p->owner;
	int error;

	(void)events;
	/* libuv reports an error condition as UV_EBADF; the socket knows. */
	error = probe_tcp_look(p);
	if (error == -EINPROGRESS) {
		if (status == 0)
			return;
		error = status;
	}
	probe_tcp_close(p);
	done(owner, error);
}

static int
connect_socket(int fd, const struct addr *target)
{
	struct sockaddr_storage ss;
	socklen_t len;

	len = addr_to_sockaddr(target, &ss);
	/* An interrupted connect goes on by itself, like one in progress. */
	if (connect(fd, (const struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS && errno != EINTR)
		return -errno;
	return 0;
}

int
probe_tcp_start(uv_loop_t *loop, const struct addr *target, probe_tcp_cb done,
    void *owner, struct probe_tcp **out)
{
	struct probe_tcp *p;
	int error;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->target = *target;
	p->done = done;
	p->owner = owner;
	p->fd = socket(target->family == ADDR_IPV6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd == -1) {
		error = -errno;
		goto fail_socket;
	}
	error = connect_socket(p->fd, target);
	if (error != 0)
		goto fail_connect;
	error = uv_poll_init(loop, &p->poll, p->fd);
	if (error != 0)
		goto fail_connect;
	p->poll.data = p;
	error = uv_poll_start(&p->poll, UV_WRITABLE, on_connect_event);
	if (error != 0) {
		probe_tcp_close(p);
		return error;
	}
	*out = p;
	return 0;

fail_connect:
	close(p->fd);
fail_socket:
	free(p);
	return error;
}

/* Errors of this node, which say nothing about the target. */
static const char *
local_trouble(int error)
{
	switch (error) {
	case -EMFILE:
	case -ENFILE:
		return "no free file descriptor for the check";
	case -ENOBUFS:
	case -ENOMEM:
		return "no memory for the check";
	case -EADDRNOTAVAIL:
	case -EADDRINUSE:
	case -EAGAIN:
		return "no free source port for the check";
	case -EBADF:
	case -ENOTSOCK:
	case -ENOSPC: /* epoll: fs.epoll.max_user_watches */
		return "the check's socket could not be watched";
	default:
		return NULL;
	}
}

enum probe_result
probe_tcp_judge(int error, const char **detail)
{
	*detail = local_trouble(error);
	if (*detail != NULL)
		return PROBE_VOID;
	switch (error) {
	case 0:
		*detail = "connected";
		return PROBE_SUCCESS;
	case -ECONNREFUSED:
		*detail = "connection refused";
		break;
	case -ETIMEDOUT:
		*detail = "connection timed out";
		break;
	case -EHOSTUNREACH:
		*detail = "host unreachable";
		break;
	case -ENETUNREACH:
		*detail = "network unreachable";
		break;
	case -EPERM:
	case -EACCES:
		*detail = "forbidden by this node's firewall or routing rules";
		break;
	default:
		*detail = strerrordesc_np(-error);
		if (*detail == NULL)
			*detail = "connection failed";
		break;
	}
	return PROBE_FAILURE;
}
