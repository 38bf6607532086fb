/*
 * The TCP health check: a connection that is opened and closed again. It
 * sends no byte but a PROXY header, and closes with FIN.
 *
 * What the target has said by then is read first: a close with unread input
 * would reset the connection, and a server that speaks first would log that.
 * A greeting still under way at the close is lost; a check that waits for it
 * must speak its protocol.
 */
#include <errno.h>
#include <stdlib.h>

#include "health/probe_socket.h"

struct probe_tcp {
	struct probe probe;
	struct probe_socket *socket;
};

static void
close_probe(struct probe *probe)
{
	struct probe_tcp *p = (struct probe_tcp *)probe;

	probe_socket_close(p->socket);
	free(p);
}

static void
give_up(struct probe *probe, struct probe_end *end)
{
	const struct probe_tcp *p = (const struct probe_tcp *)probe;
	int error = probe_socket_look(p->socket);

	probe_socket_judge(error == -EINPROGRESS ? -ETIMEDOUT : error, end);
}

static const struct probe_ops ops = {.give_up = give_up, .close = close_probe};

static void
on_connect_event(uv_poll_t *handle, int status, int events)
{
	const struct probe_socket *s = handle->data;
	struct probe_tcp *p = s->owner;
	struct probe_end end;
	int error;

	(void)events;
	/* libuv reports an error condition as UV_EBADF; the socket knows. */
	error = probe_socket_look(s);
	if (error == -EINPROGRESS) {
		if (status == 0)
			return;
		error = status;
	}
	probe_socket_judge(error, &end);
	probe_finish(&p->probe, &end);
}

int
probe_tcp_start(const struct probe_env *env, struct probe **out)
{
	struct probe_tcp *p;
	int error;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->probe = probe_begin(&ops, env);
	error = probe_socket_open(env, on_connect_event, p, &p->socket);
	if (error != 0) {
		free(p);
		return error;
	}
	*out = &p->probe;
	return 0;
}
