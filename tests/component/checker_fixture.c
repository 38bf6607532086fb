/*
 * The fixture of the checker's tests.
 */
#include "checker_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/expect.h"

static void
note_event(struct fixture *f, struct event event)
{
	event.at_ms = uv_hrtime() / 1000000;
	if (f->n_events < EVENTS_MAX)
		f->events[f->n_events++] = event;
}

void
on_started(void *owner, uint32_t slot)
{
	struct fixture *f = owner;
	void (*act)(struct fixture *, uint32_t) = f->on_started;

	note_event(f, (struct event){.slot = slot, .started = true});
	f->n_started++;
	f->running++;
	if (f->running > f->most_running)
		f->most_running = f->running;
	f->on_started = NULL;
	if (act != NULL)
		act(f, slot);
}

void
on_result(void *owner, uint32_t slot, enum probe_result result,
    const char *detail, uint64_t elapsed_us)
{
	struct fixture *f = owner;
	void (*act)(struct fixture *, uint32_t) = f->on_result;
	struct event event = {
	    .slot = slot, .result = result, .elapsed_us = elapsed_us};

	snprintf(event.detail, sizeof(event.detail), "%s", detail);
	note_event(f, event);
	f->n_results++;
	f->running--;
	f->on_result = NULL;
	if (act != NULL)
		act(f, slot);
}

int
checker_fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL || uv_loop_init(&f->loop) != 0 ||
	    checker_create(&f->loop, f, on_started, on_result, &f->checker) !=
		0)
		return -1;
	*state = f;
	return 0;
}

int
checker_fixture_teardown(void **state)
{
	struct fixture *f = *state;
	bool clean;

	checker_destroy(f->checker);
	clean = loop_finish(&f->loop);
	free(f);
	return clean ? 0 : -1;
}

static bool
has_wanted(void *arg)
{
	const struct fixture *f = arg;

	return f->n_results >= f->wanted_results &&
	       f->n_started >= f->wanted_started;
}

bool
wait_for_results(struct fixture *f, size_t n)
{
	f->wanted_results = n;
	return loop_run_until(&f->loop, has_wanted, f, LOOP_DEADLINE_MS);
}

bool
wait_for_started(struct fixture *f, size_t n)
{
	f->wanted_started = n;
	return loop_run_until(&f->loop, has_wanted, f, LOOP_DEADLINE_MS);
}

const struct event *
last_event(const struct fixture *f)
{
	assert_true(f->n_events > 0);
	return &f->events[f->n_events - 1];
}

void
add(struct fixture *f, uint32_t slot, const struct addr *target,
    uint32_t interval_ms, uint32_t timeout_ms)
{
	struct check_spec spec = {.protocol = CHECK_TCP,
	    .addr = *target,
	    .interval_ms = interval_ms,
	    .timeout_ms = timeout_ms};

	assert_i64(checker_set(f->checker, slot, &spec), 0);
}
