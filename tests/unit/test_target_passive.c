/* Passive checks: what failed connects of flows make of a target. */
#include "support/expect.h"

#include "nlb/target.h"

static const struct target_rules rules = {
    .healthy_threshold_count = 2,
    .unhealthy_threshold_count = 2,
    .passive_checks = true,
};

static struct target
healthy_target(void)
{
	struct target t;

	target_init(&t, 0);
	assert_true(target_report(&t, &rules, PROBE_SUCCESS, 1));
	return t;
}

static void
third_failure_in_a_row_takes_a_healthy_target_out(void **state)
{
	struct target t = healthy_target();

	(void)state;
	assert_false(target_connect_failed(&t, &rules, 7, 10));
	assert_false(target_connect_failed(&t, &rules, 7, 11));
	assert_i64(t.state, TARGET_HEALTHY);
	assert_true(target_connect_failed(&t, &rules, 7, 12));
	assert_i64(t.state, TARGET_UNHEALTHY);
	assert_i64(t.reason, TARGET_REASON_FAILED_HEALTH_CHECKS);
	assert_u64(t.since_ms, 12);
	/* Further ones say nothing new. */
	assert_false(target_connect_failed(&t, &rules, 7, 13));
}

static void
a_connected_flow_in_between_starts_the_row_anew(void **state)
{
	struct target t = healthy_target();

	(void)state;
	for (uint64_t i = 0; i < 20; i++) {
		assert_false(target_connect_failed(&t, &rules, i, 10));
		assert_false(target_connect_failed(&t, &rules, i, 10));
	}
	assert_true(target_connect_failed(&t, &rules, 19, 10));
}

static void
a_check_in_between_starts_the_row_anew(void **state)
{
	static const enum probe_result results[] = {
	    PROBE_SUCCESS, PROBE_FAILURE};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct target t = healthy_target();

		assert_false(target_connect_failed(&t, &rules, 0, 10));
		assert_false(target_connect_failed(&t, &rules, 0, 10));
		assert_false(target_report(&t, &rules, results[i], 11));
		assert_false(target_connect_failed(&t, &rules, 0, 12));
		assert_false(target_connect_failed(&t, &rules, 0, 12));
		/* One that could not be made says nothing. */
		assert_false(target_report(&t, &rules, PROBE_VOID, 13));
		assert_true(target_connect_failed(&t, &rules, 0, 14));
	}
}

static void
the_healthy_threshold_brings_it_back(void **state)
{
	struct target t = healthy_target();

	(void)state;
	for (int i = 0; i < 3; i++)
		(void)target_connect_failed(&t, &rules, 0, 10);
	assert_false(target_report(&t, &rules, PROBE_SUCCESS, 20));
	assert_true(target_report(&t, &rules, PROBE_SUCCESS, 30));
	assert_i64(t.state, TARGET_HEALTHY);
	assert_false(target_connect_failed(&t, &rules, 0, 40));
	assert_false(target_connect_failed(&t, &rules, 0, 40));
}

static void
a_draining_interval_holds_for_it_too(void **state)
{
	struct target_rules grace = rules;
	struct target t = healthy_target();

	(void)state;
	grace.unhealthy_draining_interval_s = 60;
	for (int i = 0; i < 3; i++)
		(void)target_connect_failed(&t, &grace, 0, 10);
	assert_i64(t.state, TARGET_UNHEALTHY_DRAINING);
	assert_u64(t.deadline_ms, 60010);
}

static void
only_healthy_targets_with_passive_checks_are_counted(void **state)
{
	struct target_rules off = rules;
	struct target t = healthy_target();

	(void)state;
	off.passive_checks = false;
	for (int i = 0; i < 10; i++)
		assert_false(target_connect_failed(&t, &off, 0, 10));
	assert_u64(t.connect_failures, 0);
	target_init(&t, 0);
	for (int i = 0; i < 10; i++)
		assert_false(target_connect_failed(&t, &rules, 0, 10));
	assert_i64(t.state, TARGET_INITIAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(third_failure_in_a_row_takes_a_healthy_target_out),
	    cmocka_unit_test(a_connected_flow_in_between_starts_the_row_anew),
	    cmocka_unit_test(a_check_in_between_starts_the_row_anew),
	    cmocka_unit_test(the_healthy_threshold_brings_it_back),
	    cmocka_unit_test(a_draining_interval_holds_for_it_too),
	    cmocka_unit_test(
		only_healthy_targets_with_passive_checks_are_counted),
	};

	return cmocka_run_group_tests_name("target_passive", tests, NULL, NULL);
}
