/*
 * The deadline-guarded loop runner and loopback sockets.
 */
#include "support/loop_support.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct guard {
	uv_timer_t deadline;
	uv_prepare_t before_poll; /* asks before the loop goes to sleep */
	bool (*condition)(void *arg);
	void *arg;
	bool met;
	int closed;
};

static void
on_deadline(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void
on_before_poll(uv_prepare_t *prepare)
{
	struct guard *g = prepare->data;

	g->met = g->condition(g->arg);
	if (g->met)
		uv_stop(prepare->loop);
}

static void
on_guard_closed(uv_handle_t *handle)
{
	struct guard *g = handle->data;

	g->closed++;
}

/* condition NULL: only the time counts. */
static bool
run_guarded(uv_loop_t *loop, bool (*condition)(void *arg), void *arg,
    uint64_t deadline_ms)
{
	struct guard g = {.condition = condition, .arg = arg};

	uv_update_time(loop);
	uv_timer_init(loop, &g.deadline);
	uv_prepare_init(loop, &g.before_poll);
	g.deadline.data = g.before_poll.data = &g;
	uv_timer_start(&g.deadline, on_deadline, deadline_ms, 0);
	if (condition != NULL)
		uv_prepare_start(&g.before_poll, on_before_poll);
	uv_run(loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&g.deadline, on_guard_closed);
	uv_close((uv_handle_t *)&g.before_poll, on_guard_closed);
	while (g.closed < 2)
		uv_run(loop, UV_RUN_NOWAIT);
	return g.met;
}

bool
loop_run_until(uv_loop_t *loop, bool (*condition)(void *arg), void *arg,
    uint64_t deadline_ms)
{
	return run_guarded(loop, condition, arg, deadline_ms);
}

void
loop_run_for(uv_loop_t *loop, uint64_t ms)
{
	run_guarded(loop, NULL, NULL, ms);
}

static void
count_open(uv_handle_t *handle, void *arg)
{
	if (!uv_is_closing(handle))
		++*(int *)arg;
}

bool
loop_finish(uv_loop_t *loop)
{
	int left = 0;

	uv_walk(loop, count_open, &left);
	if (left > 0)
		return false;
	uv_run(loop, UV_RUN_DEFAULT);
	return uv_loop_close(loop) == 0;
}

static int
bind_on(const char *ip, struct addr *out)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	if (addr_parse_ip(ip, out) != 0)
		return -1;
	len = addr_to_sockaddr(out, &ss);
	fd =
	    socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (bind(fd, (struct sockaddr *)&ss, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) == -1) {
		close(fd);
		return -1;
	}
	addr_from_sockaddr((struct sockaddr *)&ss, out);
	return fd;
}

int
listen_on(const char *ip, int backlog, struct addr *out)
{
	int fd = bind_on(ip, out);

	if (fd != -1 && listen(fd, backlog) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

int
reserve_port(struct addr *out)
{
	return bind_on("127.0.0.1", out);
}

bool
black_hole_open(struct black_hole *hole)
{
	size_t n = sizeof(hole->fillers) / sizeof(hole->fillers[0]);
	struct sockaddr_storage ss;
	struct pollfd pending;
	socklen_t len;
	size_t i;

	hole->listener = listen_on("127.0.0.1", 0, &hole->addr);
	len = addr_to_sockaddr(&hole->addr, &ss);
	for (i = 0; i < n; i++) {
		hole->fillers[i] = socket(
		    AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (hole->fillers[i] != -1)
			(void)connect(
			    hole->fillers[i], (struct sockaddr *)&ss, len);
	}
	/* Full once the last one hangs. */
	pending.fd = hole->fillers[n - 1];
	pending.events = POLLOUT;
	return hole->listener != -1 && pending.fd != -1 &&
	       poll(&pending, 1, 0) == 0;
}

void
black_hole_close(struct black_hole *hole)
{
	size_t i;

	for (i = 0; i < sizeof(hole->fillers) / sizeof(hole->fillers[0]); i++)
		close(hole->fillers[i]);
	close(hole->listener);
}

int
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (dir == NULL)
		return -1;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}
