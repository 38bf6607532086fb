/*
 * Moving bytes; see pump.h for the rules. All return values of the calls that
 * matter here were tried on the kernel (edge-triggered epoll, splice with
 * urgent data, data before a reset); the comments name what was found.
 */
#include "worker/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum step {
	STEP_OK,      /* go on */
	STEP_BLOCKED, /* the socket in question cannot now */
	STEP_EOF,     /* the stream ended with FIN */
	STEP_FAILED,  /* the side's error is set */
	STEP_NO_MEMORY,
};

void
side_set_error(struct side *s, int err)
{
	if (s->error == 0)
		s->error = err;
	s->fin_pending = true;
	/* Data that arrived before a reset is still readable (Linux). */
	s->readable = true;
}

void
side_note_events(struct side *s, uint32_t events)
{
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		s->readable = true;
	if ((events & EPOLLOUT) != 0)
		s->writable = true;
	if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0)
		s->fin_pending = true;
	if ((events & EPOLLPRI) != 0)
		s->urgent = true;
	/* The socket keeps its errno for the next call on it; that it was
	 * reset is all that must not be forgotten. */
	if ((events & EPOLLERR) != 0)
		side_set_error(s, ECONNRESET);
}

uint64_t
pump_held_bytes(const struct pump *p)
{
	uint64_t n = p->pipe_bytes;

	if (p->spill != NULL)
		n += p->spill->size - p->spill->offset;
	return n;
}

static void
release_pipe(struct pump *p, const struct pump_resources *res)
{
	if (p->pipe == NULL)
		return;
	if (p->pipe_bytes == 0)
		pipe_pool_give(res->pipes, p->pipe);
	else
		pipe_pool_discard(res->pipes, p->pipe);
	p->pipe = NULL;
	p->pipe_bytes = 0;
}

static void
free_spill(struct pump *p)
{
	if (p->spill != NULL && !p->spill->in_batch)
		free(p->spill);
	p->spill = NULL;
}

void
pump_release(struct pump *p, const struct pump_resources *res)
{
	release_pipe(p, res);
	free_spill(p);
}

/* Sends all of buf or says why not; *sent counts what went out. A short send
 * is followed by one more: only EAGAIN arms the next EPOLLOUT edge. flags: 0 or
 * MSG_MORE. */
static enum step
send_all(
    struct side *dst, const char *buf, size_t size, int flags, size_t *sent)
{
	*sent = 0;
	if (dst->error != 0)
		return STEP_FAILED;
	while (*sent < size) {
		ssize_t n = send(
		    dst->fd, buf + *sent, size - *sent, MSG_NOSIGNAL | flags);

		if (n >= 0) {
			*sent += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN) {
			dst->writable = false;
			return STEP_BLOCKED;
		}
		side_set_error(dst, errno);
		return STEP_FAILED;
	}
	return STEP_OK;
}

/* Keeps in the heap what could not be sent. */
static enum step
spill(struct pump *p, const char *buf, size_t size, bool is_prefix)
{
	p->spill = malloc(sizeof(*p->spill) + size);
	if (p->spill == NULL)
		return STEP_NO_MEMORY;
	*p->spill =
	    (struct spill){.size = (uint32_t)size, .is_prefix = is_prefix};
	memcpy(p->spill->bytes, buf, size);
	return STEP_BLOCKED;
}

static enum step
drain_spill(struct pump *p, struct side *dst)
{
	struct spill *s = p->spill;
	bool is_last = s->is_last;
	size_t sent;
	enum step step = send_all(dst, s->bytes + s->offset,
	    s->size - s->offset, is_last ? MSG_MORE : 0, &sent);

	if (!s->is_prefix)
		p->bytes += sent;
	s->offset += (uint32_t)sent;
	if (step == STEP_BLOCKED && s->in_batch)
		return spill(
		    p, s->bytes + s->offset, s->size - s->offset, false);
	if (step != STEP_OK)
		return step;
	free_spill(p);
	return is_last ? STEP_EOF : STEP_OK;
}

static enum step
send_or_spill(
    struct pump *p, struct side *dst, const char *buf, size_t size, int flags)
{
	size_t sent;
	enum step step = send_all(dst, buf, size, flags, &sent);

	p->bytes += sent;
	if (step != STEP_BLOCKED)
		return step;
	return spill(p, buf + sent, size - sent, false);
}

int
pump_send_prefix(
    struct pump *p, struct side *dst, const void *bytes, size_t size)
{
	const char *buf = bytes;
	size_t sent;
	enum step step = send_all(dst, buf, size, 0, &sent);

	if (step == STEP_BLOCKED)
		step = spill(p, buf + sent, size - sent, true);
	if (step == STEP_NO_MEMORY)
		return -ENOMEM;
	return step == STEP_FAILED ? -dst->error : 0;
}

/* The kernel would not splice to this socket: the bytes leave the pipe by
 * hand, one buffer at a time. */
static enum step
unpipe(struct pump *p, struct side *dst, const struct pump_resources *res)
{
	p->no_splice = true;
	p->splice = false;
	while (p->pipe_bytes > 0) {
		size_t want = p->pipe_bytes < PUMP_BUFFER_SIZE
				  ? p->pipe_bytes
				  : PUMP_BUFFER_SIZE;
		ssize_t n = read(p->pipe->read_fd, res->buffer, want);
		enum step step;

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return STEP_NO_MEMORY; /* never seen; a loss is worse */
		p->pipe_bytes -= (uint32_t)n;
		step = send_or_spill(p, dst, res->buffer, (size_t)n, 0);
		if (step != STEP_OK)
			return step;
	}
	return STEP_OK;
}

static enum step
drain_pipe(struct pump *p, struct side *dst, const struct pump_resources *res)
{
	if (p->no_splice)
		return unpipe(p, dst, res);
	while (p->pipe_bytes > 0) {
		ssize_t n;

		if (dst->error != 0)
			return STEP_FAILED;
		n = splice(p->pipe->read_fd, NULL, dst->fd, NULL, p->pipe_bytes,
		    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n > 0) {
			p->pipe_bytes -= (uint32_t)n;
			p->bytes += (uint64_t)n;
			continue;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			dst->writable = false;
			return STEP_BLOCKED;
		}
		if (n == 0 || errno == EINVAL || errno == ENOMEM ||
		    errno == ENOSYS)
			return unpipe(p, dst, res);
		side_set_error(dst, errno);
		return STEP_FAILED;
	}
	return STEP_OK;
}

/* Holds bytes that may stay where they are beyond this turn. */
static bool
has_kept(const struct pump *p)
{
	return p->pipe_bytes > 0 || (p->spill != NULL && !p->spill->in_batch);
}

/* Writes what is held, oldest first. */
static enum step
drain(struct pump *p, struct side *dst, const struct pump_resources *res)
{
	if (!dst->writable && dst->error == 0 && has_kept(p))
		return STEP_BLOCKED;
	if (p->spill != NULL) {
		enum step step = drain_spill(p, dst);

		if (step != STEP_OK)
			return step;
	}
	return p->pipe_bytes > 0 ? drain_pipe(p, dst, res) : STEP_OK;
}

/* A read failed or ended. After an error a clean end is no FIN: the failed
 * write (or getsockopt) took the error, and the socket says 0 from then on. */
static enum step
read_ended(struct side *src, ssize_t n)
{
	/* After an error that was one call's alone the socket lives, and is
	 * given up as soon as it is empty. */
	if (n == -1 && errno == EAGAIN && src->error == 0) {
		src->readable = false;
		return STEP_BLOCKED;
	}
	if (n == -1)
		side_set_error(src, errno);
	return src->error != 0 ? STEP_FAILED : STEP_EOF;
}

/* After a short read: is it the end of the stream? An event has told of the
 * FIN, and in front of a FIN the kernel has everything in order, so that was
 * all. Without a FIN the next byte is a new edge, and the EAGAIN that would say
 * that this was all is saved; of muted input nothing has told, an urgent mark
 * included. */
static bool
took_all(struct side *src)
{
	if (src->urgent || src->muted)
		return false;
	if (!src->fin_pending)
		src->readable = false;
	return src->fin_pending && src->error == 0;
}

/* The last bytes wait in the kernel for the FIN that the caller sends next:
 * one segment, one wake-up of the peer. */
static enum step
send_last(struct pump *p, struct side *dst, const char *buf, size_t size)
{
	enum step step = send_or_spill(p, dst, buf, size, MSG_MORE);

	return step == STEP_OK ? STEP_EOF : step;
}

static enum step
copy_some(struct pump *p, struct side *src, struct side *dst,
    const struct pump_resources *res, size_t *moved)
{
	ssize_t n;

	if (p->at_end)
		return STEP_EOF;
	do
		n = recv(src->fd, res->buffer, PUMP_BUFFER_SIZE, 0);
	while (n == -1 && errno == EINTR);
	if (n <= 0)
		return read_ended(src, n);
	*moved = (size_t)n;
	if (n == PUMP_BUFFER_SIZE)
		p->splice = !p->no_splice && !src->urgent;
	else if (took_all(src))
		return send_last(p, dst, res->buffer, (size_t)n);
	return send_or_spill(p, dst, res->buffer, (size_t)n, 0);
}

void
pump_read_ahead(struct pump *p, struct side *src, const struct side *dst,
    const struct pump_resources *res)
{
	struct pump_batch *batch = res->batch;
	struct spill *s = (struct spill *)(void *)(batch->bytes + batch->used);
	size_t room = sizeof(*s) + PUMP_READ_AHEAD_MAX;
	ssize_t n;

	if (p->state != PUMP_OPEN || p->splice || p->pipe_bytes > 0 ||
	    p->spill != NULL || !src->readable || !dst->writable ||
	    PUMP_BATCH_SIZE - batch->used < room)
		return;
	/* Before the bytes: its padding may overlap them. */
	*s = (struct spill){.in_batch = true};
	do
		n = recv(src->fd, s->bytes, PUMP_READ_AHEAD_MAX, 0);
	while (n == -1 && errno == EINTR);
	if (n <= 0) {
		p->at_end = read_ended(src, n) == STEP_EOF;
		return;
	}
	s->size = (uint32_t)n;
	if (n < PUMP_READ_AHEAD_MAX)
		s->is_last = took_all(src);
	p->spill = s;
	batch->used += (sizeof(*s) + (size_t)n + _Alignof(struct spill) - 1) &
		       ~(_Alignof(struct spill) - 1);
}

void
pump_batch_end(const struct pump_resources *res)
{
	res->batch->used = 0;
}

static enum step
splice_some(struct pump *p, struct side *src, struct side *dst,
    const struct pump_resources *res, size_t *moved)
{
	ssize_t n;

	do
		n = splice(src->fd, NULL, p->pipe->write_fd, NULL,
		    p->pipe->size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n == -1 && errno == EINTR);
	/* 0 may hide an urgent byte before the FIN, which splice never passes,
	 * and an error may be about splicing alone: recv has the last word. */
	if (n == 0 || (n == -1 && errno != EAGAIN)) {
		p->no_splice = n == -1 && (errno == EINVAL || errno == ENOSYS ||
					      errno == ENOMEM);
		p->splice = false;
		if (n == -1 && !p->no_splice)
			side_set_error(src, errno);
		release_pipe(p, res);
		return STEP_OK;
	}
	/* The pipe was empty, so EAGAIN speaks of the socket. Bulk mode stays:
	 * a receiver that keeps up empties the socket all the time. */
	if (n == -1) {
		release_pipe(p, res);
		return read_ended(src, n);
	}
	*moved = (size_t)n;
	p->pipe_bytes = (uint32_t)n;
	if (n < PUMP_SPLICE_MIN)
		p->splice = false;
	return drain_pipe(p, dst, res);
}

static enum step
move_some(struct pump *p, struct side *src, struct side *dst,
    const struct pump_resources *res, size_t *moved)
{
	if (src->urgent || p->no_splice)
		p->splice = false;
	if (p->splice && p->pipe == NULL) {
		p->pipe = pipe_pool_take(res->pipes);
		p->splice = p->pipe != NULL;
	}
	if (p->splice)
		return splice_some(p, src, dst, res, moved);
	release_pipe(p, res);
	return copy_some(p, src, dst, res, moved);
}

static enum pump_result
stopped(const struct side *dst, enum step step)
{
	switch (step) {
	case STEP_EOF:
		return PUMP_FIN;
	case STEP_FAILED:
		return dst->error != 0 ? PUMP_DST_RESET : PUMP_SRC_RESET;
	case STEP_NO_MEMORY:
		return PUMP_NO_MEMORY;
	case STEP_BLOCKED:
	case STEP_OK:
		break;
	}
	return PUMP_BLOCKED;
}

enum pump_result
pump_run(struct pump *p, struct side *src, struct side *dst,
    const struct pump_resources *res)
{
	size_t total = 0;

	for (;;) {
		size_t moved = 0;
		enum step step = drain(p, dst, res);

		if (step != STEP_OK)
			return stopped(dst, step);
		if (dst->error != 0)
			return PUMP_DST_RESET;
		if (!src->readable || !dst->writable) {
			/* Idle: the pipe goes back. */
			release_pipe(p, res);
			return PUMP_BLOCKED;
		}
		if (total >= PUMP_TURN_BYTES)
			return PUMP_BUSY;
		step = move_some(p, src, dst, res, &moved);
		total += moved;
		if (step != STEP_OK)
			return stopped(dst, step);
	}
}
