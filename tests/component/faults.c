/* Failing calls; see faults.h. */
#include "faults.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/types.h>

static struct {
	unsigned skip, times, hits;
	int err;
	uint64_t calls;
	void (*before)(void *arg);
	void *arg;
} faults[FAULT_CALLS];
static uint64_t clock_skipped_ns, clock_step_ns, clock_stopped_ns;
static uint64_t clock_readings;

void
fault_set(enum fault_call call, unsigned skip, unsigned times, int err)
{
	faults[call].skip = skip;
	faults[call].times = times;
	faults[call].hits = 0;
	faults[call].err = err;
}

unsigned
fault_hits(enum fault_call call)
{
	return faults[call].hits;
}

uint64_t
fault_calls(enum fault_call call)
{
	return faults[call].calls;
}

void
fault_reset(void)
{
	memset(faults, 0, sizeof(faults));
	clock_step_ns = clock_stopped_ns = 0;
}

void
fault_before(enum fault_call call, void (*hook)(void *arg), void *arg)
{
	faults[call].before = hook;
	faults[call].arg = arg;
}

void
fault_skip_clock(uint64_t ms)
{
	clock_skipped_ns += ms * 1000000;
}

void
fault_step_clock(uint64_t ns)
{
	clock_step_ns = ns;
}

uint64_t __real_uv_hrtime(void);

void
fault_stop_clock(void)
{
	clock_stopped_ns = __real_uv_hrtime();
}

uint64_t
fault_clock_readings(void)
{
	return clock_readings;
}

static bool
fails(enum fault_call call)
{
	if (faults[call].before != NULL)
		faults[call].before(faults[call].arg);
	faults[call].calls++;
	if (faults[call].times == 0)
		return false;
	if (faults[call].skip > 0) {
		faults[call].skip--;
		return false;
	}
	faults[call].times--;
	faults[call].hits++;
	errno = faults[call].err;
	return true;
}

/* The linker turns calls of NAME into __wrap_NAME, and __real_NAME into
 * NAME. */
#define WRAP(type, name, call, args, pass) \
	type __real_##name args;           \
	type __wrap_##name args;           \
	type __wrap_##name args            \
	{                                  \
		if (fails(call))           \
			return (type)-1;   \
		return __real_##name pass; \
	}

WRAP(int, accept4, FAULT_ACCEPT4,
    (int fd, struct sockaddr *sa, socklen_t *len, int flags),
    (fd, sa, len, flags))
WRAP(int, epoll_ctl, FAULT_EPOLL_CTL,
    (int ep, int op, int fd, struct epoll_event *ev), (ep, op, fd, ev))
WRAP(int, pipe2, FAULT_PIPE2, (int *fds, int flags), (fds, flags))
WRAP(ssize_t, sendmsg, FAULT_SENDMSG,
    (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP(int, shutdown, FAULT_SHUTDOWN, (int fd, int how), (fd, how))
WRAP(int, socket, FAULT_SOCKET, (int domain, int type, int protocol),
    (domain, type, protocol))
WRAP(int, timerfd_settime, FAULT_TIMERFD_SETTIME,
    (int fd, int flags, const struct itimerspec *at, struct itimerspec *old),
    (fd, flags, at, old))

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *
__wrap_malloc(size_t size)
{
	return fails(FAULT_MALLOC) ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *
__wrap_calloc(size_t n, size_t size)
{
	return fails(FAULT_CALLOC) ? NULL : __real_calloc(n, size);
}

int __real_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);
int
__wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};

	if (!fails(FAULT_CONNECT))
		return __real_connect(fd, sa, len);
	if (faults[FAULT_CONNECT].err != 0)
		return -1;
	(void)__real_connect(fd, sa, len);
	return poll(&pfd, 1, 5000) == 1 ? 0 : -1;
}

ssize_t __real_splice(
    int in, off_t *in_off, int out, off_t *out_off, size_t len, unsigned flags);
ssize_t __wrap_splice(
    int in, off_t *in_off, int out, off_t *out_off, size_t len, unsigned flags);
ssize_t
__wrap_splice(
    int in, off_t *in_off, int out, off_t *out_off, size_t len, unsigned flags)
{
	if (fails(FAULT_SPLICE))
		return faults[FAULT_SPLICE].err == 0 ? 0 : -1;
	return __real_splice(in, in_off, out, out_off, len, flags);
}

ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
ssize_t
__wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	if (!fails(FAULT_SEND))
		return __real_send(fd, bytes, size, flags);
	if (faults[FAULT_SEND].err == 0 && faults[FAULT_SEND].hits % 2 == 1)
		return __real_send(fd, bytes, size / 2, flags);
	if (faults[FAULT_SEND].err == 0)
		errno = EAGAIN;
	return -1;
}

uint64_t __wrap_uv_hrtime(void);
uint64_t
__wrap_uv_hrtime(void)
{
	clock_readings++;
	clock_skipped_ns += clock_step_ns;
	if (clock_stopped_ns != 0)
		return clock_stopped_ns + clock_skipped_ns;
	return __real_uv_hrtime() + clock_skipped_ns;
}
