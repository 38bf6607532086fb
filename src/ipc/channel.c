/*
 * SEQPACKET messages with descriptors on a libuv loop. Every packet starts
 * with an 8-byte header that carries the type, so that the payload behind it
 * stays 8-byte aligned.
 */
#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bsd/sys/queue.h>

struct header {
	uint32_t type;
	uint32_t size;
};

struct queued {
	STAILQ_ENTRY(queued) entry;
	struct header header;
	int fds[CHANNEL_FDS_MAX];
	size_t n_fds;
	char payload[];
};

struct channel {
	uv_poll_t poll;
	int fd;
	bool closed;
	channel_message_cb on_message;
	channel_closed_cb on_closed;
	void *arg;
	STAILQ_HEAD(, queued) queue;
	size_t n_queued;
};

/* One message is handled at a time in a process: one buffer serves all. */
static _Alignas(16) char receive_buffer[CHANNEL_MESSAGE_MAX + 64];

int
channel_pair(int fds[2])
{
	int size = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		0, fds) == -1)
		return -errno;
	/* Room for flow records in a burst; a smaller buffer only means that
	 * more of them are dropped and counted. */
	for (int i = 0; i < 2; i++)
		(void)setsockopt(
		    fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

static void
close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] != -1)
			close(fds[i]);
}

static int
send_packet(int fd, const struct header *header, const void *payload,
    const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
	} control;
	struct iovec iov[2] = {
	    {.iov_base = (void *)(uintptr_t)header, .iov_len = sizeof(*header)},
	    {.iov_base = (void *)(uintptr_t)payload, .iov_len = header->size},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (n_fds > 0) {
		struct cmsghdr *cmsg;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cmsg = &control.align;
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
	}
	for (;;) {
		if (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) != -1)
			return 0;
		if (errno != EINTR)
			return errno == ENOBUFS ? -EAGAIN : -errno;
	}
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void
watch(struct channel *c)
{
	int events = UV_READABLE;

	if (c->closed)
		return;
	if (!STAILQ_EMPTY(&c->queue))
		events |= UV_WRITABLE;
	(void)uv_poll_start(&c->poll, events, on_poll);
}

static void
drop_queue(struct channel *c)
{
	struct queued *q;

	while ((q = STAILQ_FIRST(&c->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->queue, entry);
		close_fds(q->fds, q->n_fds);
		free(q);
	}
	c->n_queued = 0;
}

/* The peer is gone: tell the owner once; the owner closes. */
static void
lost(struct channel *c)
{
	if (c->closed)
		return;
	c->closed = true;
	uv_poll_stop(&c->poll);
	drop_queue(c);
	if (c->on_closed != NULL)
		c->on_closed(c->arg);
}

static void
flush_queue(struct channel *c)
{
	struct queued *q;

	while ((q = STAILQ_FIRST(&c->queue)) != NULL) {
		int rc = send_packet(
		    c->fd, &q->header, q->payload, q->fds, q->n_fds);

		if (rc == -EAGAIN)
			break;
		if (rc < 0) {
			lost(c);
			return;
		}
		STAILQ_REMOVE_HEAD(&c->queue, entry);
		c->n_queued--;
		close_fds(q->fds, q->n_fds);
		free(q);
	}
	watch(c);
}

static size_t
take_fds(struct msghdr *msg, int *fds)
{
	size_t n = 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(cmsg), n * sizeof(int));
	}
	return n;
}

/* Returns 1 when a message was handled, 0 when there is none, -errno when the
 * other side is gone or talks nonsense. */
static int
receive_one(struct channel *c)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
	} control;
	struct iovec iov = {
	    .iov_base = receive_buffer, .iov_len = sizeof(receive_buffer)};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.space,
	    .msg_controllen = sizeof(control.space)};
	struct channel_message m = {0};
	int fds[CHANNEL_FDS_MAX];
	struct header header;
	ssize_t n;

	do
		n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? 0 : -errno;
	m.n_fds = take_fds(&msg, fds);
	m.fds = fds;
	if (n == 0 && m.n_fds == 0)
		return -EPIPE;
	memcpy(&header, receive_buffer, sizeof(header));
	if ((size_t)n < sizeof(header) ||
	    header.size != (size_t)n - sizeof(header) ||
	    (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		close_fds(fds, m.n_fds);
		return -EPROTO;
	}
	m.type = header.type;
	m.payload = receive_buffer + sizeof(header);
	m.size = header.size;
	c->on_message(c->arg, &m);
	close_fds(fds, m.n_fds);
	return 1;
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct channel *c = poll->data;

	if (status < 0)
		events = UV_READABLE; /* recvmsg tells what it is */
	if ((events & UV_WRITABLE) != 0)
		flush_queue(c);
	if ((events & UV_READABLE) == 0)
		return;
	/* Bounded per turn: a chatty peer must not starve the flows. */
	for (int i = 0; i < 64 && !c->closed; i++) {
		int rc = receive_one(c);

		if (rc == 0)
			return;
		if (rc < 0) {
			lost(c);
			return;
		}
	}
}

void
channel_receive_rest(struct channel *c)
{
	while (!c->closed) {
		int rc = receive_one(c);

		if (rc == 0)
			return;
		if (rc < 0)
			lost(c);
	}
}

int
channel_open(uv_loop_t *loop, int fd, channel_message_cb on_message,
    channel_closed_cb on_closed, void *arg, struct channel **out)
{
	struct channel *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return -ENOMEM;
	rc = uv_poll_init(loop, &c->poll, fd);
	if (rc < 0) {
		free(c);
		return rc;
	}
	c->poll.data = c;
	c->fd = fd;
	c->on_message = on_message;
	c->on_closed = on_closed;
	c->arg = arg;
	STAILQ_INIT(&c->queue);
	watch(c);
	*out = c;
	return 0;
}

static void
on_handle_closed(uv_handle_t *handle)
{
	struct channel *c = handle->data;

	close(c->fd);
	free(c);
}

void
channel_close(struct channel *c)
{
	c->closed = true;
	c->on_closed = NULL;
	drop_queue(c);
	uv_close((uv_handle_t *)&c->poll, on_handle_closed);
}

static int
enqueue(struct channel *c, const struct header *header, const void *payload,
    const int *fds, size_t n_fds)
{
	struct queued *q = malloc(sizeof(*q) + header->size);

	if (q == NULL)
		return -ENOMEM;
	q->header = *header;
	q->n_fds = 0;
	if (header->size > 0)
		memcpy(q->payload, payload, header->size);
	for (size_t i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd == -1) {
			int rc = -errno;

			close_fds(q->fds, q->n_fds);
			free(q);
			return rc;
		}
		q->fds[q->n_fds++] = fd;
	}
	STAILQ_INSERT_TAIL(&c->queue, q, entry);
	c->n_queued++;
	watch(c);
	return 0;
}

int
channel_send(struct channel *c, enum channel_type type, const void *payload,
    size_t size, const int *fds, size_t n_fds)
{
	struct header header = {.type = type, .size = (uint32_t)size};
	int rc = -EAGAIN;

	if (c->closed)
		return -EPIPE;
	if (size > CHANNEL_MESSAGE_MAX || n_fds > CHANNEL_FDS_MAX)
		return -EMSGSIZE;
	if (STAILQ_EMPTY(&c->queue))
		rc = send_packet(c->fd, &header, payload, fds, n_fds);
	if (rc == -EAGAIN)
		rc = enqueue(c, &header, payload, fds, n_fds);
	/* A broken pipe is reported by the next poll as well. */
	return rc;
}

int
channel_try_send(
    struct channel *c, enum channel_type type, const void *payload, size_t size)
{
	struct header header = {.type = type, .size = (uint32_t)size};

	if (c->closed)
		return -EPIPE;
	if (size > CHANNEL_MESSAGE_MAX)
		return -EMSGSIZE;
	if (!STAILQ_EMPTY(&c->queue))
		return -EAGAIN;
	return send_packet(c->fd, &header, payload, NULL, 0);
}

int
channel_fd(const struct channel *c)
{
	return c->fd;
}

size_t
channel_queued(const struct channel *c)
{
	return c->n_queued;
}
