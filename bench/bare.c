/*
 * nlbd-bare: forwards and does nothing else. No limits, no timers, no health
 * checks, no log, no counters, one target for each listener, no care for how a
 * stream ends, nor for the others while one of them is fast. For measurements
 * alone: what is left when nothing is done but the calls that two sockets need.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "bench_addr.h"

#define LISTENERS_MAX 16
#define BACKLOG 4096
#define EVENTS_MAX 256
#define BUFFER_SIZE 16384
#define PIPE_SIZE (1 << 20)

/* Its pipe holds what it could not take. There is one since a read filled the
 * buffer or a write was short; from then on bytes are spliced through it. */
struct side {
	struct flow *flow;
	int fd;
	bool readable, writable;
	bool peer_is_done; /* a FIN has come, perhaps with bytes before it */
	bool ended;        /* and has been read */
	int pipe[2];       /* -1: copied so far */
	size_t pipe_bytes;
};

struct flow {
	struct side client, target;
	struct flow *next; /* of those that ended in this turn */
};

struct listener {
	struct side side; /* so that events find either */
	struct addr target;
};

static int epoll_fd;
static char buffer[BUFFER_SIZE];
static struct flow *ended;

static void
side_close(struct side *s)
{
	close(s->fd);
	s->fd = -1;
	if (s->pipe[0] != -1) {
		close(s->pipe[0]);
		close(s->pipe[1]);
	}
}

static void
flow_end(struct flow *f)
{
	side_close(&f->client);
	side_close(&f->target);
	f->next = ended;
	ended = f;
}

/* ---- one direction: from one side to the other ------------------------- */

static int
pipe_open(struct side *dst)
{
	if (pipe2(dst->pipe, O_NONBLOCK | O_CLOEXEC) == -1)
		return -1;
	(void)fcntl(dst->pipe[0], F_SETPIPE_SZ, PIPE_SIZE);
	return 0;
}

/* The writers: 0, 1 when dst takes no more, or -1 when the flow must end. */
static int
write_pipe(struct side *dst)
{
	ssize_t n = splice(dst->pipe[0], NULL, dst->fd, NULL, dst->pipe_bytes,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (n == -1)
		return errno == EAGAIN ? 1 : -1;
	dst->pipe_bytes -= (size_t)n;
	return 0;
}

static int
write_buffer(struct side *dst, size_t size, int flags)
{
	ssize_t n = send(dst->fd, buffer, size, MSG_NOSIGNAL | flags);

	if (n == -1 && errno != EAGAIN)
		return -1;
	if (n == -1)
		n = 0;
	if ((size_t)n == size)
		return size == BUFFER_SIZE ? pipe_open(dst) : 0;
	if (pipe_open(dst) == -1)
		return -1;
	dst->pipe_bytes = size - (size_t)n;
	return write(dst->pipe[1], buffer + n, dst->pipe_bytes) ==
		       (ssize_t)dst->pipe_bytes
		   ? 1
		   : -1;
}

/* Bytes that were read, 0 when there are none for now, or -1. */
static ssize_t
read_some(struct side *src, struct side *dst)
{
	ssize_t n = dst->pipe[0] != -1
			? splice(src->fd, NULL, dst->pipe[1], NULL, PIPE_SIZE,
			      SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
			: recv(src->fd, buffer, sizeof(buffer), 0);

	if (n == -1 && errno != EAGAIN)
		return -1;
	if (n <= 0)
		src->readable = false;
	src->ended = src->ended || n == 0;
	return n > 0 ? n : 0;
}

static int
forward_some(struct side *src, struct side *dst)
{
	bool spliced = dst->pipe[0] != -1;
	ssize_t n = read_some(src, dst);

	if (n <= 0)
		return (int)n;
	if (spliced) {
		dst->pipe_bytes = (size_t)n;
		return write_pipe(dst);
	}
	/* A short read has emptied the socket: what comes is a new event. */
	if (n < BUFFER_SIZE)
		src->readable = src->peer_is_done;
	return write_buffer(dst, (size_t)n,
	    n < BUFFER_SIZE && src->peer_is_done ? MSG_MORE : 0);
}

/* As much as both sides allow. Returns -1 when the flow is no more. */
static int
forward(struct side *src, struct side *dst)
{
	while (dst->writable) {
		int rc;

		if (dst->pipe_bytes > 0)
			rc = write_pipe(dst);
		else if (src->readable)
			rc = forward_some(src, dst);
		else
			break;
		if (rc == 1)
			dst->writable = false;
		if (rc == -1 || (src->ended && dst->ended)) {
			flow_end(src->flow);
			return -1;
		}
	}
	if (src->ended && dst->pipe_bytes == 0)
		(void)shutdown(dst->fd, SHUT_WR);
	return 0;
}

/* ---- events ------------------------------------------------------------ */

static void
side_init(struct side *s, struct flow *f, int fd)
{
	s->flow = f;
	s->fd = fd;
	s->pipe[0] = -1;
}

static int
watch(struct side *s, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = s};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &event);
}

static void
flow_begin(int client_fd, const struct addr *target)
{
	const uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	struct flow *f = calloc(1, sizeof(*f));
	struct sockaddr_storage to;
	socklen_t to_len = addr_to_sockaddr(target, &to);
	int fd =
	    socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (f == NULL || fd == -1) {
		perror("nlbd-bare");
		exit(1);
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	side_init(&f->client, f, client_fd);
	side_init(&f->target, f, fd);
	if ((connect(fd, (const struct sockaddr *)&to, to_len) == -1 &&
		errno != EINPROGRESS) ||
	    watch(&f->target, events) == -1 || watch(&f->client, events) == -1)
		flow_end(f);
}

static void
listener_accept(struct listener *l)
{
	int fd;

	while ((fd = accept4(l->side.fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1)
		flow_begin(fd, &l->target);
}

static void
on_event(struct side *s, uint32_t events)
{
	struct flow *f = s->flow;
	struct side *other;

	if (f == NULL) {
		listener_accept((struct listener *)s);
		return;
	}
	if (s->fd == -1)
		return; /* ended earlier in this turn */
	if (events & EPOLLERR) {
		flow_end(f);
		return;
	}
	other = s == &f->client ? &f->target : &f->client;
	if (events & EPOLLRDHUP)
		s->peer_is_done = true;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
		s->readable = !s->ended;
	if (events & EPOLLOUT)
		s->writable = true;
	if (s->readable && forward(s, other) == -1)
		return;
	if ((events & EPOLLOUT) && (other->readable || s->pipe_bytes > 0))
		(void)forward(other, s);
}

static void
run(void)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++)
			on_event(events[i].data.ptr, events[i].events);
		while (ended != NULL) {
			struct flow *f = ended;

			ended = f->next;
			free(f);
		}
	}
}

/* ---- the command line -------------------------------------------------- */

/* "ADDR:PORT=ADDR:PORT": where to listen, and the target. */
static int
listener_open(struct listener *l, char *text)
{
	struct addr addr;
	struct sockaddr_storage at;
	socklen_t at_len;
	char *target = strchr(text, '=');
	int on = 1;

	errno = 0;
	if (target == NULL)
		return -1;
	*target++ = '\0';
	if (addr_parse(text, &addr) != 0 || addr_parse(target, &l->target) != 0)
		return -1;
	at_len = addr_to_sockaddr(&addr, &at);
	l->side.fd =
	    socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)setsockopt(l->side.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Inherited by what it accepts. */
	(void)setsockopt(l->side.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(l->side.fd, (struct sockaddr *)&at, at_len) == -1)
		return -1;
	if (listen(l->side.fd, BACKLOG) == -1)
		return -1;
	return watch(&l->side, EPOLLIN);
}

int
main(int argc, char **argv)
{
	static struct listener listeners[LISTENERS_MAX];

	if (argc < 2 || argc > 1 + LISTENERS_MAX) {
		fputs("usage: nlbd-bare ADDR:PORT=ADDR:PORT...\n"
		      "Forwards from each first address to the second, and "
		      "nothing else;\nfor measurements.\n",
		    stderr);
		return 64;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)bench_raise_fd_limit();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 1; i < argc; i++)
		if (listener_open(&listeners[i - 1], argv[i]) == -1) {
			fprintf(stderr, "nlbd-bare: %s: %s\n", argv[i],
			    errno != 0 ? strerror(errno) : "no such address");
			return 1;
		}
	puts("forwarding");
	(void)fflush(stdout);
	run();
}
