/*
 * Calls that fail on request, and a clock that can jump: programs that link
 * this wrap the calls below (-Wl,--wrap, see meson.build).
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdint.h>

enum fault_call {
	FAULT_ACCEPT4,
	FAULT_CALLOC,
	FAULT_CONNECT,
	FAULT_EPOLL_CTL,
	FAULT_MALLOC,
	FAULT_PIPE2,
	FAULT_SEND,
	FAULT_SENDMSG,
	FAULT_SHUTDOWN,
	FAULT_SOCKET,
	FAULT_SPLICE,
	FAULT_TIMERFD_SETTIME,
	FAULT_CALLS,
};

/* Lets skip calls through, then fails the next times ones with err. Three
 * answers are no errors: err 0 makes splice return 0, makes connect wait and
 * return 0, and makes send take half and then, the next time, nothing. */
void fault_set(enum fault_call call, unsigned skip, unsigned times, int err);
unsigned fault_hits(enum fault_call call);  /* failed since fault_set */
uint64_t fault_calls(enum fault_call call); /* all since fault_reset */
void fault_reset(void);

/* Runs before each such call of anybody in the program. */
void fault_before(enum fault_call call, void (*hook)(void *arg), void *arg);

/* What uv_hrtime says from now on is that much later. */
void fault_skip_clock(uint64_t ms);
/* Each reading takes that long, as if every step were slow. */
void fault_step_clock(uint64_t ns);
/* From now on only the two above let time pass, until fault_reset. */
void fault_stop_clock(void);
uint64_t fault_clock_readings(void);

#endif
