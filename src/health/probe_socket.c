/* The sockets of health checks; see probe_socket.h. */
#include "health/probe_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bsd/string.h>

#include "nlb/proxy_v2.h"

/* An answer's rest is shorter; a target that floods is cut with a reset. */
#define DRAIN_BYTES_MAX 65536

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
probe_socket_close(struct probe_socket *s)
{
	char buf[4096];
	size_t total = 0;
	ssize_t n;

	if (s->proxy_v2 && probe_socket_look(s) == 0)
		(void)probe_socket_introduce(s);
	/* libuv must forget the descriptor before it is closed. */
	uv_close((uv_handle_t *)&s->poll, on_closed);
	while (total < DRAIN_BYTES_MAX &&
	       (n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		total += (size_t)n;
	close(s->fd);
}

void
probe_socket_local(const struct probe_socket *s, struct addr *out)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	memset(out, 0, sizeof(*out));
	if (getsockname(s->fd, (struct sockaddr *)&ss, &len) == 0)
		addr_from_sockaddr((const struct sockaddr *)&ss, out);
}

/*
 * A socket that connects to its own port: the kernel picked the target's
 * port as the source port while nobody listened there, and TCP's simultaneous
 * open did the rest. Happens on the node's own addresses only.
 */
static bool
is_connected_to_itself(const struct probe_socket *s)
{
	struct addr local;

	probe_socket_local(s, &local);
	return addr_equal(&local, &s->target);
}

int
probe_socket_look(const struct probe_socket *s)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	socklen_t error_len;
	int error = 0;

	error_len = sizeof(error);
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == -1)
		return -errno;
	/* A reset of an established connection: the target had answered (a
	 * refusal is ECONNREFUSED). */
	if (error == ECONNRESET || error == EPIPE)
		return 0;
	if (error != 0)
		return -error;
	if (getpeername(s->fd, (struct sockaddr *)&ss, &len) == -1)
		return errno == ENOTCONN ? -EINPROGRESS : -errno;
	return is_connected_to_itself(s) ? -ECONNREFUSED : 0;
}

int
probe_socket_introduce(struct probe_socket *s)
{
	uint8_t header[PROXY_V2_SIZE];
	ssize_t n;

	if (!s->proxy_v2)
		return 0;
	s->proxy_v2 = false;
	proxy_v2_encode_local(header);
	n = send(s->fd, header, sizeof(header), MSG_NOSIGNAL);
	if (n == (ssize_t)sizeof(header))
		return 0;
	return n == -1 ? -errno : -ENOBUFS;
}

int
probe_socket_watch(struct probe_socket *s, int events)
{
	if (events == 0)
		return uv_poll_stop(&s->poll);
	return uv_poll_start(&s->poll, events, s->on_event);
}

static int
connect_socket(const struct probe_env *env, int fd)
{
	uint32_t failed;
	int rc = source_addresses_connect(
	    env->source_addresses, fd, &env->spec->addr, &failed);

	/* An interrupted connect goes on by itself, like one in progress. */
	return rc == -EINPROGRESS || rc == -EINTR ? 0 : rc;
}

int
probe_socket_open(const struct probe_env *env, uv_poll_cb on_event, void *owner,
    struct probe_socket **out)
{
	const struct addr *target = &env->spec->addr;
	struct probe_socket *s;
	int error;

	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->target = *target;
	s->proxy_v2 = env->spec->proxy_v2;
	s->on_event = on_event;
	s->owner = owner;
	s->fd = socket(target->family == ADDR_IPV6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd == -1) {
		error = -errno;
		goto fail_socket;
	}
	error = connect_socket(env, s->fd);
	if (error != 0)
		goto fail_connect;
	error = uv_poll_init(env->loop, &s->poll, s->fd);
	if (error != 0)
		goto fail_connect;
	s->poll.data = s;
	error = probe_socket_watch(s, UV_WRITABLE);
	if (error != 0) {
		probe_socket_close(s);
		return error;
	}
	*out = s;
	return 0;

fail_connect:
	close(s->fd);
fail_socket:
	free(s);
	return error;
}

const char *
probe_socket_local_trouble(int error)
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
	case -SOURCE_ADDRESSES_UNUSABLE:
		return "no address of SourceAddresses is one of this machine";
	case -EBADF:
	case -ENOTSOCK:
	case -ENOSPC: /* epoll: fs.epoll.max_user_watches */
		return "the check's socket could not be watched";
	default:
		return NULL;
	}
}

static const char *
failure_text(int error)
{
	const char *text;

	switch (error) {
	case -ECONNREFUSED:
		return "connection refused";
	case -ETIMEDOUT:
		return "connection timed out";
	case -EHOSTUNREACH:
		return "host unreachable";
	case -ENETUNREACH:
		return "network unreachable";
	case -EPERM:
	case -EACCES:
		return "forbidden by this node's firewall or routing rules";
	default:
		text = strerrordesc_np(-error);
		return text == NULL ? "connection failed" : text;
	}
}

void
probe_socket_judge(int error, struct probe_end *end)
{
	const char *trouble = probe_socket_local_trouble(error);

	end->timed_out = false;
	if (error == 0) {
		end->result = PROBE_SUCCESS;
		trouble = "connected";
	} else if (trouble != NULL) {
		end->result = PROBE_VOID;
	} else {
		end->result = PROBE_FAILURE;
		end->timed_out = error == -ETIMEDOUT;
		trouble = failure_text(error);
	}
	strlcpy(end->detail, trouble, sizeof(end->detail));
}
