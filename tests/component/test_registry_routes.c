/*
 * Component tests of supervisor/registry: who gets the flows. With a checker
 * that is told and says nothing, and time passed in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "registry_fixture.h"
#include "supervisor/registry.h"
#include "supervisor_fixture.h"
#include "support/expect.h"

#define ACTIVE "Target.one = Id=10.0.0.1\n"
#define STANDBY "Target.two = Id=10.0.0.2,Standby=true\n"

static void
fail_twice(struct fixture *f, size_t i, uint64_t now_ms)
{
	check(f, i, PROBE_FAILURE, now_ms);
	check(f, i, PROBE_FAILURE, now_ms + 1);
}

static void
standby_gets_flows_only_while_no_active_target_is_healthy(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, "HealthyThresholdCount = 1\n" ACTIVE STANDBY, "");
	check(f, 0, PROBE_SUCCESS, 10);
	check(f, 1, PROBE_SUCCESS, 10);
	assert_u64(flags(f, f->slots[0]), SB_ROUTABLE);
	assert_u64(flags(f, f->slots[1]), SB_STANDBY);
	assert_i64(target(f, 1)->health.state, TARGET_HEALTHY);

	fail_twice(f, 0, 20);
	assert_u64(flags(f, f->slots[0]), 0);
	assert_u64(flags(f, f->slots[1]), SB_ROUTABLE);
	assert_true(log_has("group a: new flows go to its standby targets"));
	/* Not failing open: the flows of the bad one end as ever. */
	assert_u64(f->n_ends, 1);
	assert_u64(f->ended_slot, f->slots[0]);

	check(f, 0, PROBE_SUCCESS, 30);
	assert_u64(flags(f, f->slots[0]), SB_ROUTABLE);
	assert_u64(flags(f, f->slots[1]), SB_STANDBY);
	assert_true(log_has("group a: new flows go to its active targets"));
	assert_u64(f->n_ends, 1);
}

static void
failing_open_goes_to_the_active_targets_first(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, ACTIVE STANDBY, "");
	fail_twice(f, 0, 10);
	fail_twice(f, 1, 10);
	assert_u64(flags(f, f->slots[0]), SB_ROUTABLE | SB_FAIL_OPEN);
	assert_u64(flags(f, f->slots[1]), 0);
	apply(f, 20, STANDBY, "");
	assert_u64(flags(f, f->slots[0]), SB_ROUTABLE | SB_FAIL_OPEN);
}

static void
reload_makes_a_standby_target_active_without_a_health_reset(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, ACTIVE STANDBY, "");
	check(f, 0, PROBE_SUCCESS, 10);
	check(f, 1, PROBE_SUCCESS, 10);
	apply(f, 20, ACTIVE "Target.two = Id=10.0.0.2\n", "");
	assert_i64(target(f, 1)->health.state, TARGET_HEALTHY);
	assert_u64(flags(f, f->slots[0]), SB_ROUTABLE);
	assert_u64(flags(f, f->slots[1]), SB_ROUTABLE);
}

static void
connects_fail(struct fixture *f, size_t i, uint64_t now_ms)
{
	for (int n = 0; n < TARGET_CONNECT_FAILURES; n++)
		registry_connect_failed(&f->registry, f->slots[i], 5, now_ms);
}

static void
connects_that_fail_in_a_row_take_a_target_out_at_once(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, ACTIVE "Target.two = Id=10.0.0.2\n", "");
	check(f, 0, PROBE_SUCCESS, 10);
	check(f, 1, PROBE_SUCCESS, 10);
	connects_fail(f, 0, 20);
	assert_i64(target(f, 0)->health.state, TARGET_UNHEALTHY);
	assert_u64(flags(f, f->slots[0]), 0);
	assert_u64(flags(f, f->slots[1]), SB_ROUTABLE);
	assert_true(log_has("flows could not connect to it"));
	assert_u64(f->n_ends, 1);
	registry_connect_failed(&f->registry, SB_TARGETS - 1, 5, 30);
	registry_connect_failed(&f->registry, SB_SLOT_NONE, 5, 30);
}

static void
no_passive_checks_where_failures_may_be_the_clients(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, "stickiness.enabled = true\n" ACTIVE, "");
	check(f, 0, PROBE_SUCCESS, 10);
	connects_fail(f, 0, 20);
	assert_i64(target(f, 0)->health.state, TARGET_HEALTHY);
	apply(f, 30, "preserve_client_ip.enabled = true\n" ACTIVE, "");
	connects_fail(f, 0, 35);
	assert_i64(target(f, 0)->health.state, TARGET_HEALTHY);
	apply(f, 30, "PassiveHealthCheckEnabled = false\n" ACTIVE, "");
	connects_fail(f, 0, 40);
	assert_i64(target(f, 0)->health.state, TARGET_HEALTHY);
	apply(f, 50, ACTIVE, "");
	connects_fail(f, 0, 60);
	assert_i64(target(f, 0)->health.state, TARGET_UNHEALTHY);
}

static void
healthy_before_an_upgrade_is_healthy_at_once(void **state)
{
	struct fixture *f = *state;
	struct addr one;

	assert_i64(addr_parse("10.0.0.1:25", &one), 0);
	apply(f, 0, ACTIVE "Target.two = Id=10.0.0.2\n", "");
	registry_was_healthy(&f->registry, "b", &one, 10);
	assert_i64(target(f, 0)->health.state, TARGET_INITIAL);
	registry_was_healthy(&f->registry, "a", &one, 10);
	assert_i64(target(f, 0)->health.state, TARGET_HEALTHY);
	assert_i64(target(f, 1)->health.state, TARGET_INITIAL);
	assert_u64(flags(f, f->slots[0]), SB_ROUTABLE);
	assert_u64(flags(f, f->slots[1]), 0);
	assert_u64(target(f, 0)->check_results[PROBE_SUCCESS], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest registry_routes[] = {
	    TEST(standby_gets_flows_only_while_no_active_target_is_healthy),
	    TEST(failing_open_goes_to_the_active_targets_first),
	    TEST(reload_makes_a_standby_target_active_without_a_health_reset),
	    TEST(connects_that_fail_in_a_row_take_a_target_out_at_once),
	    TEST(no_passive_checks_where_failures_may_be_the_clients),
	    TEST(healthy_before_an_upgrade_is_healthy_at_once),
	};

	return cmocka_run_group_tests(registry_routes, NULL, NULL);
}
