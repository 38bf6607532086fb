/*
 * When the load client's units are due and which of them count.
 */
#include "expect.h"
#include "load_schedule.h"

#define S UINT64_C(1000000000)
#define NOW (100 * S)

static void
open_loop_is_due_by_the_clock_whatever_was_begun_when(void **state)
{
	struct load_schedule s = load_schedule_make(NOW, 100, 0, 1, 10, 0, 1);

	(void)state;
	for (uint64_t i = 0; i < 50; i++) {
		/* Asked late or early: the answer is the same. */
		assert_u64(
		    load_schedule_due(&s, NOW + 5 * S), NOW + i * (S / 100));
		assert_u64(load_schedule_take(&s), i);
	}
}

static void
threads_take_turns_and_keep_the_rate_together(void **state)
{
	struct load_schedule threads[3];
	uint64_t last = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		threads[i] = load_schedule_make(NOW, 300, 0, 0, 10, i, 3);
	for (uint64_t unit = 0; unit < 900; unit++) {
		struct load_schedule *s = &threads[unit % 3];
		uint64_t due = load_schedule_due(s, NOW);

		assert_u64_between(
		    due, last, last + S / 299 + (unit == 0) * due);
		last = due;
		load_schedule_take(s);
	}
	assert_u64_between(last, NOW + 299 * S / 100, NOW + 3 * S);
}

static void
closed_loop_is_due_at_once_until_the_time_is_over(void **state)
{
	struct load_schedule s = load_schedule_make(NOW, 0, 0, 1, 10, 0, 1);

	(void)state;
	assert_u64(load_schedule_due(&s, NOW + 7), NOW + 7);
	assert_u64(load_schedule_due(&s, NOW + 11 * S - 1), NOW + 11 * S - 1);
	assert_u64(load_schedule_due(&s, NOW + 11 * S), LOAD_NEVER);
}

static void
units_are_shared_out_to_the_last_one(void **state)
{
	uint64_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct load_schedule s =
		    load_schedule_make(NOW, 0, 10, 0, 1, i, 4);

		/* They, not the duration, end the run. */
		while (load_schedule_due(&s, NOW + 1000 * S) != LOAD_NEVER) {
			load_schedule_take(&s);
			sum++;
		}
	}
	assert_u64(sum, 10);
}

static void
what_was_due_in_the_measured_time_counts(void **state)
{
	struct load_schedule s = load_schedule_make(NOW, 10, 0, 2, 3, 0, 1);

	(void)state;
	assert_false(load_schedule_counts(&s, NOW + 2 * S - 1));
	assert_true(load_schedule_counts(&s, NOW + 2 * S));
	assert_true(load_schedule_counts(&s, NOW + 5 * S - 1));
	assert_false(load_schedule_counts(&s, NOW + 5 * S));
	assert_i64(load_schedule_second(&s, NOW), -1);
	assert_i64(load_schedule_second(&s, NOW + 2 * S), 0);
	assert_i64(load_schedule_second(&s, NOW + 4 * S - 1), 1);
}

static void
interrupted_run_begins_nothing_and_keeps_what_it_has(void **state)
{
	struct load_schedule s = load_schedule_make(NOW, 10, 0, 0, 30, 0, 1);

	(void)state;
	load_schedule_end(&s, NOW + 4 * S);
	assert_u64(load_schedule_due(&s, NOW + 4 * S), LOAD_NEVER);
	assert_true(load_schedule_counts(&s, NOW + 3 * S));
	assert_false(load_schedule_counts(&s, NOW + 4 * S));
	/* Ended already: a later end moves nothing. */
	load_schedule_end(&s, NOW + 9 * S);
	assert_u64(s.measure_until_ns, NOW + 4 * S);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		open_loop_is_due_by_the_clock_whatever_was_begun_when),
	    cmocka_unit_test(threads_take_turns_and_keep_the_rate_together),
	    cmocka_unit_test(closed_loop_is_due_at_once_until_the_time_is_over),
	    cmocka_unit_test(units_are_shared_out_to_the_last_one),
	    cmocka_unit_test(what_was_due_in_the_measured_time_counts),
	    cmocka_unit_test(
		interrupted_run_begins_nothing_and_keeps_what_it_has),
	};

	return cmocka_run_group_tests_name("load_schedule", tests, NULL, NULL);
}
