/*
 * The load client's counts: failures by sort with the first text of each, and
 * threads that add up.
 */
#include "expect.h"

#include <uv.h>

#include "load_stats.h"

static struct load_stats a, b;

static void
every_failure_is_counted_and_the_first_text_of_a_sort_stays(void **state)
{
	(void)state;
	load_stats_init(&a);
	load_stats_fail(&a, 0, LOAD_RESET, "first");
	load_stats_fail(&a, 1, LOAD_RESET, "second");
	load_stats_fail(&a, 1, LOAD_WRONG_BYTES, "byte 7");
	assert_u64(a.failures[LOAD_RESET], 2);
	assert_str(a.examples[LOAD_RESET], "first");
	assert_str(a.examples[LOAD_WRONG_BYTES], "byte 7");
	assert_u64(a.kinds[0].failed, 1);
	assert_u64(a.kinds[1].failed, 2);
	assert_u64(load_stats_failed(&a), 3);
}

static void
threads_add_up(void **state)
{
	(void)state;
	load_stats_init(&a);
	load_stats_init(&b);
	load_stats_fail(&a, 0, LOAD_REFUSED, "a refused");
	load_stats_fail(&b, 0, LOAD_REFUSED, "b refused");
	load_stats_fail(&b, 2, LOAD_TIMED_OUT, "b timed out");
	a.kinds[0].done = 10;
	b.kinds[0].done = 5;
	b.kinds[2].done = 1;
	a.bytes_out = b.bytes_out = 100;
	a.bytes_back = 7;
	b.waited = 3;
	histogram_record(&a.kinds[0].latency, 1000);
	histogram_record(&b.kinds[0].latency, 3000);
	histogram_record(&b.late, 5);
	load_stats_merge(&a, &b);
	assert_u64(load_stats_done(&a), 16);
	assert_u64(load_stats_failed(&a), 3);
	assert_str(a.examples[LOAD_REFUSED], "a refused");
	assert_str(a.examples[LOAD_TIMED_OUT], "b timed out");
	assert_u64(a.bytes_out, 200);
	assert_u64(a.bytes_back, 7);
	assert_u64(a.waited, 3);
	assert_u64(a.kinds[0].latency.count, 2);
	assert_u64(a.kinds[0].latency.max_ns, 3000);
	assert_u64(a.late.count, 1);
}

static void
errors_are_told_apart_by_who_can_help(void **state)
{
	(void)state;
	assert_u64(load_failure_of(UV_ECONNREFUSED), LOAD_REFUSED);
	assert_u64(load_failure_of(UV_EPIPE), LOAD_RESET);
	assert_u64(load_failure_of(UV_EOF), LOAD_ENDED);
	assert_u64(load_failure_of(UV_EADDRNOTAVAIL), LOAD_NO_PORT);
	assert_u64(load_failure_of(UV_EMFILE), LOAD_NO_DESCRIPTOR);
	assert_u64(load_failure_of(UV_ENETUNREACH), LOAD_OTHER);
	for (unsigned i = 0; i < LOAD_FAILURE_COUNT; i++)
		assert_true(strlen(load_failure_text(i)) > 0);
}

static void
seconds_of_threads_are_one_second(void **state)
{
	static struct load_second first, other;

	(void)state;
	load_second_init(&first);
	load_second_init(&other);
	first.done = 2;
	other.done = 3;
	other.failed = 1;
	other.bytes = 10;
	histogram_record(&other.latency, 77);
	load_second_merge(&first, &other);
	assert_u64(first.done, 5);
	assert_u64(first.failed, 1);
	assert_u64(first.bytes, 10);
	assert_u64(first.latency.max_ns, 77);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		every_failure_is_counted_and_the_first_text_of_a_sort_stays),
	    cmocka_unit_test(threads_add_up),
	    cmocka_unit_test(errors_are_told_apart_by_who_can_help),
	    cmocka_unit_test(seconds_of_threads_are_one_second),
	};

	return cmocka_run_group_tests_name("load_stats", tests, NULL, NULL);
}
