/*
 * A checker on a loop of its own that notes what it reports.
 */
#ifndef CHECKER_FIXTURE_H
#define CHECKER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "health/checker.h"
#include "support/loop_support.h"

#define EVENTS_MAX 4096

struct event {
	uint32_t slot;
	bool started; /* else a result */
	enum probe_result result;
	char detail[160];
	uint64_t at_ms, elapsed_us;
};

struct fixture {
	uv_loop_t loop;
	struct checker *checker;
	struct event events[EVENTS_MAX];
	size_t n_events, n_started, n_results;
	size_t wanted_results, wanted_started;
	/* What a callback does, once. */
	void (*on_started)(struct fixture *f, uint32_t slot);
	void (*on_result)(struct fixture *f, uint32_t slot);
	struct check_spec spec;
	size_t running, most_running;
};

int checker_fixture_setup(void **state);
/* Destroys the checker (unless it is gone); -1 when a handle is left. */
int checker_fixture_teardown(void **state);

/* The checker's callbacks, for a second one on the same loop. */
void on_started(void *owner, uint32_t slot);
void on_result(void *owner, uint32_t slot, enum probe_result result,
    const char *detail, uint64_t elapsed_us);

/* Until that many in all; false when the deadline passed first. */
bool wait_for_results(struct fixture *f, size_t n);
bool wait_for_started(struct fixture *f, size_t n);
const struct event *last_event(const struct fixture *f);
/* Adds or changes a slot with a TCP check. */
void add(struct fixture *f, uint32_t slot, const struct addr *target,
    uint32_t interval_ms, uint32_t timeout_ms);

#endif
