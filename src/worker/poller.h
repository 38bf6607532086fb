/*
 * The worker's event loop: one edge-triggered epoll set for the flows' own
 * sockets, with the libuv loop (channel, timers) as one member of the set.
 *
 * Why not uv_poll_t: it is level-triggered, so every change of interest is an
 * epoll_ctl, a socket costs three more system calls in its life, and a
 * back-pressured peer's FIN must be masked by hand lest the loop spin. Edge
 * triggering needs one epoll_ctl for the whole life of a socket and still
 * reports FIN and RST while nothing is read; a second one comes only where a
 * fast sender would wake the worker for input that nobody takes. libuv is
 * embedded the documented way: uv_backend_fd, uv_backend_timeout,
 * uv_run(UV_RUN_NOWAIT).
 */
#ifndef WORKER_POLLER_H
#define WORKER_POLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <uv.h>

struct poll_item;
/* events: EPOLL* bits. */
typedef void (*poll_item_cb)(struct poll_item *item, uint32_t events);

/* Embedded in what owns the descriptor. Memory must outlive the batch in
 * which the item was removed: free in poller's after_batch. */
struct poll_item {
	poll_item_cb on_event; /* NULL: removed, late events are ignored */
};

struct poller {
	int epoll_fd;
	uv_loop_t *loop;
	struct poll_item uv_item;
	/* Ends a wait in time. alarm_ms: when, 0 before the first one. */
	int alarm_fd;
	uint64_t alarm_ms;
	struct poll_item alarm_item;
	bool uv_ready; /* libuv has something to do */
	bool more;     /* after_batch has something left */
	bool stopped;
	/* Staying awake for a moment before a wait: another processor is
	 * there, and the waits are long. */
	bool has_company;
	uint64_t mean_wait_ns;
	/* CLOCK_MONOTONIC as it was last read: at the start of this turn */
	uint64_t now_ms, now_ns;
	/* Called after each batch of events, timers included. Returns true
	 * when there is work left that must not wait for an event. */
	bool (*after_batch)(void *arg);
	void *arg;
};

/* Interest for the whole life of a socket: see the head of this file. */
#define POLLER_FLOW_EVENTS \
	(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)
/* While the other side does not take what comes, see flow.c. Any input would
 * be told to those who ask for urgent data. */
#define POLLER_MUTED_EVENTS (EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* 0 or -errno. */
int poller_init(struct poller *p, uv_loop_t *loop,
    bool (*after_batch)(void *arg), void *arg);
void poller_fini(struct poller *p);

/* 0 or -errno. */
int poller_add(
    struct poller *p, int fd, uint32_t events, struct poll_item *item);
int poller_modify(
    struct poller *p, int fd, uint32_t events, struct poll_item *item);
/* For descriptors shared with another process, which close alone would leave
 * in the set. A plain close removes the others. */
void poller_remove(struct poller *p, int fd);

/* Into now_ms and now_ns. For after_batch, when it has taken its time: the
 * wait that follows counts from here. */
void poller_read_clock(struct poller *p);

/* One turn: waits for an event or a timer, at most max_wait_ms (-1 = any
 * time), and handles what came. */
void poller_turn(struct poller *p, int max_wait_ms);
/* Sets stopped, which whoever makes the turns looks at. */
void poller_stop(struct poller *p);

#endif
