/*
 * The connection of a health check: a socket, watched, that closes with FIN.
 */
#ifndef HEALTH_PROBE_SOCKET_H
#define HEALTH_PROBE_SOCKET_H

#include <uv.h>

#include "base/addr.h"
#include "health/probe.h"

struct probe_socket {
	uv_poll_t poll;
	int fd;
	struct addr target;
	bool proxy_v2; /* the header is still to be sent */
	uv_poll_cb on_event;
	void *owner;
};

/*
 * Starts to connect; on_event runs when there is news, with the socket in
 * handle->data. 0, or a negative errno at once. The socket is a heap object of
 * its own: libuv lets go of it from the loop only.
 */
int probe_socket_open(const struct probe_env *env, uv_poll_cb on_event,
    void *owner, struct probe_socket **out);

/* What has become of the connect: 0, -EINPROGRESS, or the error that ended
 * it. A connection that was reset afterwards counts as made. */
int probe_socket_look(const struct probe_socket *s);

/*
 * To be called when the connection is made: sends the PROXY v2 header if the
 * target expects one and has none yet. In one write, as its receiver may look
 * but once; the send buffer is empty. 0, or the error that ended the
 * connection.
 */
int probe_socket_introduce(struct probe_socket *s);

/* events: of enum uv_poll_event, 0 = none. 0 or a negative errno. */
int probe_socket_watch(struct probe_socket *s, int events);

/* Our address of a connection that was made; family ADDR_NONE when that
 * cannot be told any more. */
void probe_socket_local(const struct probe_socket *s, struct addr *out);

/* Reads what the target has said meanwhile, so that it sees FIN and not RST,
 * and closes. A target that has taken the connection gets its header first:
 * one without it is a warning in its log. on_event does not run any more. */
void probe_socket_close(struct probe_socket *s);

/* What the outcome of a connect says about the target. */
void probe_socket_judge(int error, struct probe_end *end);
/* Is it this node's trouble, which says nothing about the target? Then a
 * sentence, else NULL. */
const char *probe_socket_local_trouble(int error);

#endif
