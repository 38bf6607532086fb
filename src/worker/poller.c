/* The worker's event loop; see poller.h for why it is edge-triggered. */
#include "worker/poller.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCH_EVENTS 256

/*
 * For so long a worker stays awake after a turn, where its waits are long on
 * average: at most 3 % of a processor. Where client and target run on this
 * machine, the scheduler then moves all three about half as often, and an
 * exchange takes less time and CPU; a busy worker would pay more than it
 * gains (measured in bench/README.md). With a single processor nobody else
 * runs meanwhile.
 */
#define STAY_AWAKE_NS 3000
#define LONG_WAIT_NS 100000
/* Of longer ones no more counts: the first turns of a rush shall show. */
#define WAIT_COUNTED_MAX_NS 1000000
#define WAITS_AVERAGED 8

static void
on_uv_ready(struct poll_item *item, uint32_t events)
{
	struct poller *p =
	    (struct poller *)((char *)item - offsetof(struct poller, uv_item));

	(void)events;
	p->uv_ready = true;
}

void
poller_read_clock(struct poller *p)
{
	p->now_ns = uv_hrtime();
	p->now_ms = p->now_ns / 1000000;
}

/* libuv counts milliseconds, and asking the clock again within one is in
 * vain. */
static int
uv_timeout(struct poller *p)
{
	if (uv_now(p->loop) != p->now_ms)
		uv_update_time(p->loop);
	return uv_backend_timeout(p->loop);
}

int
poller_init(struct poller *p, uv_loop_t *loop, bool (*after_batch)(void *arg),
    void *arg)
{
	int rc;

	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll_fd == -1)
		return -errno;
	p->alarm_fd =
	    timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (p->alarm_fd == -1) {
		rc = -errno;
		close(p->epoll_fd);
		return rc;
	}
	p->alarm_ms = 0;
	p->alarm_item.on_event = NULL;
	p->loop = loop;
	p->uv_ready = true;
	p->more = false;
	p->stopped = false;
	p->has_company = uv_available_parallelism() > 1;
	p->mean_wait_ns = 0;
	p->uv_item.on_event = on_uv_ready;
	p->after_batch = after_batch;
	p->arg = arg;
	poller_read_clock(p);
	rc = poller_add(p, uv_backend_fd(loop), EPOLLIN, &p->uv_item);
	/* Each expiry is an edge of its own: nobody has to read it. */
	if (rc == 0)
		rc = poller_add(
		    p, p->alarm_fd, EPOLLIN | EPOLLET, &p->alarm_item);
	if (rc < 0)
		poller_fini(p);
	return rc;
}

void
poller_fini(struct poller *p)
{
	close(p->alarm_fd);
	close(p->epoll_fd);
}

static int
control(
    struct poller *p, int op, int fd, uint32_t events, struct poll_item *item)
{
	struct epoll_event ev = {.events = events, .data.ptr = item};

	return epoll_ctl(p->epoll_fd, op, fd, &ev) == -1 ? -errno : 0;
}

int
poller_add(struct poller *p, int fd, uint32_t events, struct poll_item *item)
{
	return control(p, EPOLL_CTL_ADD, fd, events, item);
}

int
poller_modify(struct poller *p, int fd, uint32_t events, struct poll_item *item)
{
	return control(p, EPOLL_CTL_MOD, fd, events, item);
}

void
poller_remove(struct poller *p, int fd)
{
	(void)control(p, EPOLL_CTL_DEL, fd, 0, NULL);
}

/*
 * libuv registers its watchers with its own epoll set only when it runs, and
 * wants to run when a timer is due or a close callback is pending: its own
 * timeout says so.
 */
static int
wait_timeout(struct poller *p, int max_wait_ms)
{
	int uv_wait = uv_timeout(p);

	if (uv_wait == -1)
		return max_wait_ms;
	if (max_wait_ms == -1 || uv_wait < max_wait_ms)
		return uv_wait;
	return max_wait_ms;
}

/*
 * For epoll_wait. The kernel sets a timer for each wait that has a timeout and
 * takes it back when an event comes first, which is nearly always. The alarm
 * stays instead until it is due: earlier than needed costs one idle turn.
 */
static int
epoll_timeout(struct poller *p, int max_wait_ms)
{
	struct itimerspec alarm = {0};
	int ms;

	if (p->uv_ready || p->more)
		return 0;
	ms = wait_timeout(p, max_wait_ms);
	if (ms <= 0)
		return ms;
	if (p->alarm_ms > p->now_ms && p->alarm_ms <= p->now_ms + (uint64_t)ms)
		return -1;
	alarm.it_value.tv_sec = ms / 1000;
	alarm.it_value.tv_nsec = ms % 1000 * 1000000L;
	if (timerfd_settime(p->alarm_fd, 0, &alarm, NULL) == -1)
		return ms;
	p->alarm_ms = p->now_ms + (uint64_t)ms;
	return -1;
}

static void
stay_awake(void)
{
	uint64_t until_ns = uv_hrtime() + STAY_AWAKE_NS;

	while (uv_hrtime() < until_ns)
		;
}

static void
note_wait(struct poller *p, uint64_t wait_ns)
{
	if (wait_ns > WAIT_COUNTED_MAX_NS)
		wait_ns = WAIT_COUNTED_MAX_NS;
	p->mean_wait_ns -= p->mean_wait_ns / WAITS_AVERAGED;
	p->mean_wait_ns += wait_ns / WAITS_AVERAGED;
}

static int
wait_for_events(struct poller *p, struct epoll_event *events, int max_wait_ms)
{
	int n, timeout_ms = epoll_timeout(p, max_wait_ms);
	uint64_t since_ns = p->now_ns;

	if (timeout_ms != 0 && p->has_company &&
	    p->mean_wait_ns >= LONG_WAIT_NS)
		stay_awake();
	do
		n = epoll_wait(p->epoll_fd, events, BATCH_EVENTS, timeout_ms);
	while (n == -1 && errno == EINTR);
	poller_read_clock(p);
	note_wait(p, p->now_ns - since_ns);
	return n;
}

void
poller_turn(struct poller *p, int max_wait_ms)
{
	struct epoll_event events[BATCH_EVENTS];
	int n = wait_for_events(p, events, max_wait_ms);

	/* Data first, timers after: a stall must not expire a flow whose
	 * bytes are waiting. */
	for (int i = 0; i < n; i++) {
		struct poll_item *item = events[i].data.ptr;

		if (item->on_event != NULL)
			item->on_event(item, events[i].events);
	}
	if (!p->uv_ready)
		p->uv_ready = uv_timeout(p) == 0;
	if (p->uv_ready) {
		p->uv_ready = false;
		uv_run(p->loop, UV_RUN_NOWAIT);
	}
	p->more = p->after_batch(p->arg);
}

void
poller_stop(struct poller *p)
{
	p->stopped = true;
}
