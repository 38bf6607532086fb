/*
 * For tests with a real libuv loop: run until something is so, never longer
 * than a deadline, and sockets on loopback to run against.
 */
#ifndef SUPPORT_LOOP_SUPPORT_H
#define SUPPORT_LOOP_SUPPORT_H

#include <stdbool.h>
#include <uv.h>

#include "base/addr.h"

/* Generous: only a failing test waits this long, valgrind included. */
#define LOOP_DEADLINE_MS 20000

/*
 * Runs the loop until condition(arg) is true; false when deadline_ms passed
 * first. Asserts belong after it, not into callbacks: cmocka leaves by
 * longjmp.
 */
bool loop_run_until(uv_loop_t *loop, bool (*condition)(void *arg), void *arg,
    uint64_t deadline_ms);
/* Runs the loop for as long as it takes for ms to pass on its clock. */
void loop_run_for(uv_loop_t *loop, uint64_t ms);
/*
 * Lets pending closes finish and closes the loop. True when no handle was
 * left open.
 */
bool loop_finish(uv_loop_t *loop);

/* A listening socket on ip at a free port; -1 when that fails. */
int listen_on(const char *ip, int backlog, struct addr *out);
/* An address on 127.0.0.1 where nobody listens; the socket that reserves it,
 * which refuses connections as long as it is open. */
int reserve_port(struct addr *out);

/* A listening socket whose queue is full: SYNs get no answer. */
struct black_hole {
	struct addr addr;
	int listener;
	int fillers[8];
};
bool black_hole_open(struct black_hole *hole);
void black_hole_close(struct black_hole *hole);

/* Open descriptors of this process. */
int count_descriptors(void);

#endif
