/*
 * The load client says when it, and not the forwarder, set the figures.
 */
#include "expect.h"
#include "load_limits.h"

static struct load_observed
calm(void)
{
	return (struct load_observed){
	    .is_open_loop = true,
	    .busiest_thread = 0.5,
	    .machine_busy = 0.7,
	    .client_share = 0.25,
	    .late_p99_ns = 10000,
	    .latency_p50_ns = 300000,
	    .begun = 10000,
	    .waited = 3,
	};
}

/* Exactly one sentence, and it is about this. */
static void
assert_only(const struct load_observed *seen, const char *what)
{
	struct load_limits limits;

	load_limits_judge(&limits, seen);
	assert_u64(limits.count, 1);
	assert_contains(limits.texts[0], what);
}

static void
calm_client_says_nothing(void **state)
{
	struct load_observed seen = calm();
	struct load_limits limits;

	(void)state;
	load_limits_judge(&limits, &seen);
	assert_u64(limits.count, 0);
}

static void
each_limit_is_told_by_itself(void **state)
{
	struct load_observed seen = calm();

	(void)state;
	seen.busiest_thread = 0.95;
	assert_only(&seen, "a client thread was busy for 95 %");
	seen = calm();
	seen.machine_busy = 0.99;
	assert_only(&seen, "the machine was busy for 99 %");
	seen = calm();
	seen.late_p99_ns = 100000;
	assert_only(&seen, "0.100 ms after they were due");
	seen = calm();
	seen.waited = 200;
	assert_only(&seen, "200 units had to wait");
	seen = calm();
	seen.no_port = 1;
	assert_only(&seen, "local ports ran out");
	seen = calm();
	seen.no_descriptor = 7;
	assert_only(&seen, "descriptors ran out 7 times");
}

static void
closed_loop_has_no_lateness(void **state)
{
	struct load_observed seen = calm();
	struct load_limits limits;

	(void)state;
	seen.is_open_loop = false;
	seen.late_p99_ns = UINT64_C(1) << 40;
	load_limits_judge(&limits, &seen);
	assert_u64(limits.count, 0);
}

static void
all_limits_at_once_fit(void **state)
{
	struct load_observed seen = calm();
	struct load_limits limits;

	(void)state;
	seen.busiest_thread = seen.machine_busy = 1;
	seen.late_p99_ns = UINT64_C(1) << 40;
	seen.waited = seen.begun;
	seen.no_port = seen.no_descriptor = UINT64_MAX;
	load_limits_judge(&limits, &seen);
	assert_u64(limits.count, LOAD_LIMITS_MAX);
}

static void
machine_busy_is_the_share_between_two_readings(void **state)
{
	struct load_machine from = {.busy = 100, .total = 1000};
	struct load_machine until = {.busy = 175, .total = 1100};

	(void)state;
	assert_true(load_machine_busy(&from, &until) == 0.75);
	assert_true(load_machine_busy(&from, &from) == 0);
	assert_i64(load_machine_read(&from), 0);
	assert_u64_between(from.busy, 1, from.total);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(calm_client_says_nothing),
	    cmocka_unit_test(each_limit_is_told_by_itself),
	    cmocka_unit_test(closed_loop_has_no_lateness),
	    cmocka_unit_test(all_limits_at_once_fit),
	    cmocka_unit_test(machine_busy_is_the_share_between_two_readings),
	};

	return cmocka_run_group_tests_name("load_limits", tests, NULL, NULL);
}
