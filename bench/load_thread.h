/*
 * One thread of the load client: a loop with its flows, the schedule that
 * makes them begin, and the figures.  Nothing is shared with other threads
 * but what is atomic here.
 */
#ifndef LOAD_THREAD_H
#define LOAD_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "load_flow.h"
#include "load_plan.h"
#include "load_schedule.h"
#include "load_stats.h"

#define LOAD_BUFFER_SIZE (128 * 1024)

/*
 *   RUNNING ----------------> DRAINING -----------------> ENDED
 *      the time or the units     no connection is left, or
 *      are over, or SIGINT       the time for that is over
 *
 * A thread whose flows are held (idle) is RAMPING before: its time begins
 * when all are there.
 */
enum load_phase {
	PHASE_RAMPING,
	PHASE_RUNNING,
	PHASE_DRAINING,
	PHASE_ENDED,
};

struct load_thread {
	const struct load_plan *plan;
	unsigned number;
	uv_async_t *on_ended; /* the main loop's */
	uv_thread_t id;
	uv_loop_t loop;
	uv_async_t stop;
	uv_timer_t tick;
	uv_poll_t due;
	int due_fd; /* timerfd: a uv_timer_t knows milliseconds only */
	enum load_phase phase;
	struct load_schedule schedule;
	uint64_t drain_until_ns;
	uint64_t last_done_ns;
	struct load_flow *flows;
	uint64_t flow_count;
	uint64_t opened;     /* of the flows, at least once */
	uint64_t connecting; /* now */
	uint64_t open;       /* connections, those that are closing included */
	uint64_t lost;       /* held flows that failed */
	struct load_flow_list free_flows;
	struct load_flow_list resting;
	struct load_stats stats;
	/* Written here, read and freed by the main thread once published. */
	struct load_second **seconds;
	uint64_t second_count;
	uint64_t cpu_from_ns;
	uint64_t cpu_until_ns;
	uint64_t cpu_wall_ns; /* between the two */
	char *buffer;
	atomic_bool is_interrupted;
	atomic_bool has_ended;
	atomic_uint_fast64_t held;
	atomic_uint_fast64_t seconds_published;
};

/* Everything but the thread itself.  0 or a negative errno; now_ns is the same
 * for all. */
int load_thread_init(struct load_thread *t, const struct load_plan *plan,
    unsigned number, uint64_t now_ns, uv_async_t *on_ended);

int load_thread_start(struct load_thread *t);

/* From another thread: end soon, with what was measured. */
void load_thread_interrupt(struct load_thread *t);

/* Waits for the end; the figures are the caller's from then on. */
void load_thread_join(struct load_thread *t);

void load_thread_fini(struct load_thread *t);

/* Of the measured time, the share that the thread was on a CPU. */
double load_thread_busy(const struct load_thread *t);

/* What a flow tells. */
void load_thread_on_connected(struct load_thread *t, struct load_flow *flow);
void load_thread_on_greeted(struct load_thread *t, struct load_flow *flow);
void load_thread_on_waiting(struct load_thread *t, struct load_flow *flow);
void load_thread_on_failed(struct load_thread *t, struct load_flow *flow,
    enum load_failure failure, const char *text);
void load_thread_on_closed(struct load_thread *t, struct load_flow *flow);
void load_thread_on_moved(
    struct load_thread *t, struct load_flow *flow, size_t out, size_t back);

#endif
