/*
 * Component tests of supervisor/registry, with a checker that only notes what
 * it is told and time passed in.
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

static size_t
count(const struct fixture *f)
{
	const struct registered_target *t;
	size_t n = 0;

	TAILQ_FOREACH (t, &f->registry.targets, entry)
		n++;
	return n;
}

#define ONE "Target.one = Id=10.0.0.1\n"
#define TWO "Target.two = Id=10.0.0.2\n"
#define DELAY(s) "deregistration_delay.timeout_seconds = " #s "\n"
#define TERMINATION \
	"deregistration_delay.connection_termination.enabled = true\n"

/* ---- health and routing ----------------------------------------------- */

static void
new_target_gets_flows_after_its_first_success(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, ONE TWO, "");
	assert_true(checked[f->slots[0]] && checked[f->slots[1]]);
	check(f, 1, PROBE_SUCCESS, 10);
	assert_i64(target(f, 0)->health.state, TARGET_INITIAL);
	assert_u64(flags(f, f->slots[0]), 0);
	assert_i64(target(f, 1)->health.state, TARGET_HEALTHY);
	assert_u64(flags(f, f->slots[1]), SB_ROUTABLE);
	assert_str(target(f, 1)->last_check, "connected");
	assert_u64(target(f, 1)->last_check_us, 900);
	assert_u64(target(f, 1)->check_results[PROBE_SUCCESS], 1);
	assert_u64(target(f, 1)->check_latency.sum_us, 900);
	assert_true(log_has("10.0.0.2:25 of group a is healthy"));
}

static void
check_goes_to_the_check_port_at_the_groups_interval(void **state)
{
	struct fixture *f = *state;

	apply(f, 0,
	    "HealthCheckPort = 2525\nHealthCheckIntervalSeconds = 7\n"
	    "HealthCheckTimeoutSeconds = 3\n" ONE,
	    "");
	assert_u64(checks[f->slots[0]].addr.port, 2525);
	assert_u64(checks[f->slots[0]].interval_ms, 7000);
	assert_u64(checks[f->slots[0]].timeout_ms, 3000);
	apply(f, 0, ONE, "");
	assert_u64(checks[f->slots[0]].addr.port, 25);
}

static void
check_that_no_outbound_rule_allows_is_blocked(void **state)
{
	struct fixture *f = *state;
	struct sb_target_sum sum;
	static const char text[] =
	    "[listener l]\nPort = 587\nDefaultActions = forward:a\n"
	    "SecurityGroups = s\n"
	    "[security-group s]\n"
	    "Inbound.x = Protocol=tcp,PortRange=587,Source=192.0.2.0/24\n"
	    "Outbound.x = Protocol=tcp,PortRange=25,Destination=10.0.0.1/32\n"
	    "[target-group a]\nPort = 25\n" ONE TWO;

	f->confs[f->n_confs++] = conf_from_text(text);
	assert_errno(registry_apply(&f->registry, f->confs[0], 0, f->slots), 0);
	assert_false(checks[f->slots[0]].blocked);
	assert_true(checks[f->slots[1]].blocked);
	for (int i = 0; i < 3; i++) {
		check(f, 0, PROBE_SUCCESS, 1000);
		check(f, 1, PROBE_FAILURE, 1000);
	}
	scoreboard_sum_target(f->sb, f->slots[0], &sum);
	assert_u64(sum.blocked_checks, 0);
	scoreboard_sum_target(f->sb, f->slots[1], &sum);
	assert_u64(sum.blocked_checks, 3);
}

static void
group_without_a_healthy_target_fails_open_and_says_so(void **state)
{
	struct fixture *f = *state;
	uint64_t t = 0;

	apply(f, 0, ONE TWO, "");
	check(f, 0, PROBE_SUCCESS, t);
	check(f, 1, PROBE_SUCCESS, t);
	for (int i = 0; i < 3; i++)
		check(f, 0, PROBE_FAILURE, ++t);
	assert_i64(target(f, 0)->health.state, TARGET_UNHEALTHY);
	assert_u64(flags(f, f->slots[0]), 0);
	assert_u64(flags(f, f->slots[1]), SB_ROUTABLE);
	assert_false(log_has("fails open"));
	assert_u64(f->n_ends, 1); /* default: termination when unhealthy */
	assert_i64(f->ended_reason, FLOW_END_TARGET_UNHEALTHY);
	for (int i = 0; i < 3; i++)
		check(f, 1, PROBE_FAILURE, ++t);
	assert_u64(flags(f, f->slots[0]), SB_ROUTABLE | SB_FAIL_OPEN);
	assert_u64(flags(f, f->slots[1]), SB_ROUTABLE | SB_FAIL_OPEN);
	assert_u64(log_lines_with("target group a fails open"), 1);
	/* While failing open the flows are kept. */
	assert_u64(f->n_ends, 1);
	check(f, 0, PROBE_SUCCESS, ++t);
	for (int i = 0; i < 8; i++)
		check(f, 0, PROBE_SUCCESS, ++t);
	assert_u64(flags(f, f->slots[0]), SB_ROUTABLE);
	assert_u64(flags(f, f->slots[1]), 0);
	assert_u64(log_lines_with("target group a no longer fails open"), 1);
}

static void
group_that_loses_its_last_healthy_target_by_reload_says_so_too(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, ONE TWO, "");
	assert_false(log_has("fails open")); /* nobody was checked yet */
	check(f, 0, PROBE_SUCCESS, 1);
	check(f, 1, PROBE_FAILURE, 1);
	check(f, 1, PROBE_FAILURE, 2);
	assert_false(log_has("fails open"));
	apply(f, 3, TWO, "");
	assert_u64(flags(f, f->slots[0]), SB_ROUTABLE | SB_FAIL_OPEN);
	assert_u64(log_lines_with("target group a fails open"), 1);
	apply(f, 4, ONE TWO, "");
	check(f, 0, PROBE_SUCCESS, 5);
	assert_u64(log_lines_with("target group a no longer fails open"), 1);
}

static void
void_check_changes_nothing(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, ONE, "");
	check(f, 0, PROBE_SUCCESS, 0);
	for (int i = 0; i < 10; i++)
		check(f, 0, PROBE_VOID, 1);
	assert_i64(target(f, 0)->health.state, TARGET_HEALTHY);
}

static void
late_result_of_a_target_that_is_gone_is_ignored(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, ONE, "");
	registry_check_started(&f->registry, 99, 0);
	registry_check_result(
	    &f->registry, 99, PROBE_SUCCESS, "connected", 1, 0);
	registry_check_result(
	    &f->registry, SB_SLOT_NONE, PROBE_SUCCESS, "connected", 1, 0);
	assert_i64(target(f, 0)->health.state, TARGET_INITIAL);
}

static void
group_no_listener_uses_is_unused_and_not_checked(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, ONE, "[target-group b]\nPort = 25\n" TWO);
	assert_i64(target(f, 1)->health.state, TARGET_UNUSED);
	assert_i64(target(f, 1)->health.reason, TARGET_REASON_NOT_IN_USE);
	assert_false(checked[f->slots[1]]);
	assert_u64(flags(f, f->slots[1]), 0);
}

#define FOREIGN "Target.far = Id=10.0.0.3,AvailabilityZone=zone-b\n"
#define OWN_ZONE "[load-balancer]\nAvailabilityZone = zone-a\n"
#define CROSS_ZONE "load_balancing.cross_zone.enabled = true\n"

static void
foreign_target_is_unused_and_not_checked_while_cross_zone_is_off(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, ONE FOREIGN, OWN_ZONE);
	assert_i64(target(f, 1)->health.state, TARGET_UNUSED);
	assert_i64(target(f, 1)->health.reason, TARGET_REASON_ZONE_NOT_ENABLED);
	assert_true(checked[f->slots[0]]);
	assert_false(checked[f->slots[1]]);
	/* Not even when the group fails open. */
	check(f, 0, PROBE_FAILURE, 10);
	check(f, 0, PROBE_FAILURE, 20);
	assert_u64(flags(f, f->slots[0]), SB_ROUTABLE | SB_FAIL_OPEN);
	assert_u64(flags(f, f->slots[1]), 0);
}

static void
reload_of_cross_zone_brings_a_foreign_target_in_and_out(void **state)
{
	struct fixture *f = *state;

	apply(f, 0, ONE FOREIGN, OWN_ZONE);
	apply(f, 10, ONE FOREIGN, OWN_ZONE CROSS_ZONE);
	assert_i64(target(f, 1)->health.state, TARGET_INITIAL);
	assert_true(checked[f->slots[1]]);
	check(f, 1, PROBE_SUCCESS, 20);
	assert_u64(flags(f, f->slots[1]), SB_ROUTABLE);
	apply(f, 30, ONE FOREIGN, OWN_ZONE);
	assert_i64(target(f, 1)->health.state, TARGET_UNUSED);
	assert_u64(flags(f, f->slots[1]), 0);
	assert_false(checked[f->slots[1]]);
	assert_u64(f->n_ends, 0);
	/* The group's own word counts before the load balancer's. */
	apply(f, 40, CROSS_ZONE ONE FOREIGN, OWN_ZONE);
	assert_i64(target(f, 1)->health.state, TARGET_INITIAL);
	apply(f, 50, "load_balancing.cross_zone.enabled = false\n" ONE FOREIGN,
	    OWN_ZONE CROSS_ZONE);
	assert_i64(target(f, 1)->health.state, TARGET_UNUSED);
}

static void
unhealthy_draining_ends_the_flows_at_its_deadline(void **state)
{
	struct fixture *f = *state;

	apply(f, 0,
	    ONE TWO
	    "target_health_state.unhealthy.connection_termination.enabled = "
	    "false\n"
	    "target_health_state.unhealthy.draining_interval_seconds = 30\n",
	    "");
	check(f, 0, PROBE_SUCCESS, 0);
	check(f, 1, PROBE_SUCCESS, 0);
	for (int i = 0; i < 3; i++)
		check(f, 0, PROBE_FAILURE, 1000);
	assert_i64(target(f, 0)->health.state, TARGET_UNHEALTHY_DRAINING);
	assert_u64(flags(f, f->slots[0]), 0);
	registry_tick(&f->registry, 30999);
	assert_u64(f->n_ends, 0);
	registry_tick(&f->registry, 31000);
	assert_u64(f->n_ends, 1);
	assert_u64(f->ended_slot, f->slots[0]);
	assert_i64(f->ended_reason, FLOW_END_TARGET_UNHEALTHY);
}

/* ---- reload ----------------------------------------------------------- */

static void
reload_keeps_health_and_slot_of_what_stays(void **state)
{
	struct fixture *f = *state;
	uint16_t slot;

	apply(f, 0, ONE TWO, "");
	slot = f->slots[1];
	check(f, 1, PROBE_SUCCESS, 5);
	apply(f, 100, "HealthCheckIntervalSeconds = 5\n" TWO ONE, "");
	assert_u64(f->slots[0], slot); /* in the new order */
	assert_i64(target(f, 0)->health.state, TARGET_HEALTHY);
	assert_u64(target(f, 0)->health.since_ms, 5);
	assert_u64(flags(f, slot), SB_ROUTABLE);
	assert_u64(checks[slot].interval_ms, 5000);
	assert_u64(count(f), 2);
	assert_ptr_equal(TAILQ_FIRST(&f->registry.targets), target(f, 0));
}

/* Of group a, from first on, backwards or not. */
static struct conf *
many_targets(size_t first, size_t n, bool backwards)
{
	char *text = NULL;
	size_t size = 0;
	struct conf *conf;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	fputs("[listener l]\nPort = 587\nDefaultActions = forward:a\n"
	      "SecurityGroups = none\n[target-group a]\nPort = 25\n",
	    out);
	for (size_t i = 0; i < n; i++) {
		size_t t = first + (backwards ? n - 1 - i : i);

		fprintf(out, "Target.t%zu = Id=10.0.%zu.%zu\n", t, t / 250,
		    1 + t % 250);
	}
	fclose(out);
	conf = conf_from_text(text);
	free(text);
	return conf;
}

#define MANY 2500
static void
many_targets_keep_their_slots_in_any_order(void **state)
{
	struct fixture *f = *state;
	uint16_t slots[MANY], again[MANY];
	struct conf *conf;

	conf = f->confs[f->n_confs++] = many_targets(0, MANY, false);
	assert_errno(registry_apply(&f->registry, conf, 0, slots), 0);
	conf = f->confs[f->n_confs++] = many_targets(0, MANY, true);
	assert_errno(registry_can_apply(&f->registry, conf, NULL, 0), 0);
	assert_errno(registry_apply(&f->registry, conf, 0, again), 0);
	for (size_t i = 0; i < MANY; i++)
		assert_u64(again[i], slots[MANY - 1 - i]);
	/* The first 100 go, as many others come. */
	conf = f->confs[f->n_confs++] = many_targets(100, MANY, false);
	assert_errno(registry_can_apply(&f->registry, conf, NULL, 0), 0);
	assert_errno(registry_apply(&f->registry, conf, 0, again), 0);
	for (size_t i = 100; i < MANY; i++)
		assert_u64(again[i - 100], slots[i]);
	assert_u64(count(f), MANY + 100);
	assert_false(registry_find_slot(&f->registry, slots[99])->in_config);
	assert_true(registry_find_slot(&f->registry, slots[100])->in_config);
}

static void
renamed_label_is_the_same_target(void **state)
{
	struct fixture *f = *state;
	uint16_t slot;

	apply(f, 0, ONE, "");
	slot = f->slots[0];
	check(f, 0, PROBE_SUCCESS, 5);
	apply(f, 9, "Target.other = Id=10.0.0.1\n", "");
	assert_u64(f->slots[0], slot);
	assert_str(target(f, 0)->label, "other");
	assert_i64(target(f, 0)->health.state, TARGET_HEALTHY);
}

static void
renamed_group_deregisters_the_old_targets_and_checks_new_ones(void **state)
{
	struct fixture *f = *state;
	static const char renamed[] =
	    "[listener l]\nPort = 587\nDefaultActions = forward:b\n"
	    "SecurityGroups = none\n[target-group b]\nPort = 25\n" ONE;
	uint16_t old;

	apply(f, 0, ONE, "");
	old = f->slots[0];
	check(f, 0, PROBE_SUCCESS, 0);
	atomic_store(&f->worker->targets[old].active_flows, 1);
	f->confs[f->n_confs++] = conf_from_text(renamed);
	assert_errno(
	    registry_apply(&f->registry, f->confs[1], 10, f->slots), 0);
	assert_true(f->slots[0] != old);
	assert_str(target(f, 0)->group, "b");
	assert_i64(target(f, 0)->health.state, TARGET_INITIAL);
	assert_i64(registry_find_slot(&f->registry, old)->health.state,
	    TARGET_DRAINING);
	assert_u64(flags(f, old), 0);
	assert_false(checked[old]);
}

static void
removed_target_gets_no_new_flow_at_once_and_drains(void **state)
{
	struct fixture *f = *state;
	uint16_t slot;

	apply(f, 0, ONE TWO, "");
	check(f, 0, PROBE_SUCCESS, 0);
	check(f, 1, PROBE_SUCCESS, 0);
	slot = f->slots[0];
	atomic_store(&f->worker->targets[slot].active_flows, 3);
	apply(f, 1000, TWO, "");
	assert_u64(flags(f, slot), 0);
	assert_false(checked[slot]);
	assert_true(log_has("deregistered with 3 flows"));
	assert_i64(registry_find_slot(&f->registry, slot)->health.state,
	    TARGET_DRAINING);
	registry_tick(&f->registry, 2000);
	assert_non_null(registry_find_slot(&f->registry, slot));
	/* The last flow ends before the delay: gone at the next tick. */
	atomic_store(&f->worker->targets[slot].active_flows, 0);
	registry_tick(&f->registry, 2250);
	assert_null(registry_find_slot(&f->registry, slot));
	assert_u64(count(f), 1);
	assert_u64(f->n_ends, 0);
}

static void
delay_with_termination_ends_the_flows_once(void **state)
{
	struct fixture *f = *state;
	uint16_t slot;

	apply(f, 0, DELAY(10) TERMINATION ONE TWO, "");
	slot = f->slots[0];
	check(f, 0, PROBE_SUCCESS, 0);
	atomic_store(&f->worker->targets[slot].active_flows, 1);
	apply(f, 1000, DELAY(10) TERMINATION TWO, "");
	registry_tick(&f->registry, 10999);
	assert_u64(f->n_ends, 0);
	registry_tick(&f->registry, 11000);
	registry_tick(&f->registry, 11250);
	assert_u64(f->n_ends, 1);
	assert_u64(f->ended_slot, slot);
	assert_i64(f->ended_reason, FLOW_END_DEREGISTERED);
}

static void
delay_without_termination_keeps_the_slot_while_flows_live(void **state)
{
	struct fixture *f = *state;
	uint16_t slot;

	apply(f, 0, DELAY(0) ONE TWO, "");
	slot = f->slots[0];
	check(f, 0, PROBE_SUCCESS, 0);
	atomic_store(&f->worker->targets[slot].active_flows, 1);
	apply(f, 1000, DELAY(0) TWO, "");
	registry_tick(&f->registry, 100000);
	assert_u64(f->n_ends, 0);
	apply(f, 100000, TWO "Target.three = Id=10.0.0.3\n", "");
	assert_true(f->slots[1] != slot);
	assert_i64(registry_find_slot(&f->registry, slot)->health.state,
	    TARGET_UNUSED);
}

static void
target_registered_again_while_draining_keeps_its_flows(void **state)
{
	struct fixture *f = *state;
	uint16_t slot;

	apply(f, 0, DELAY(10) TERMINATION ONE TWO, "");
	slot = f->slots[0];
	check(f, 0, PROBE_SUCCESS, 0);
	atomic_store(&f->worker->targets[slot].active_flows, 1);
	apply(f, 1000, DELAY(10) TERMINATION TWO, "");
	apply(f, 2000, DELAY(10) TERMINATION ONE TWO, "");
	assert_u64(f->slots[0], slot);
	assert_i64(target(f, 0)->health.state, TARGET_INITIAL);
	assert_true(checked[slot]);
	assert_u64(count(f), 2);
	registry_tick(&f->registry, 60000);
	assert_u64(f->n_ends, 0);
	check(f, 0, PROBE_SUCCESS, 60001);
	assert_u64(flags(f, slot), SB_ROUTABLE);
	/* And out again: the delay begins anew, the flows end once more. */
	apply(f, 70000, DELAY(10) TERMINATION TWO, "");
	registry_tick(&f->registry, 80000);
	assert_u64(f->n_ends, 1);
}

static void
free_slot_is_not_given_out_at_once_and_starts_at_zero(void **state)
{
	struct fixture *f = *state;
	struct sb_target_sum sum;
	uint16_t slot;

	apply(f, 0, DELAY(0) ONE, "");
	slot = f->slots[0];
	atomic_store(&f->worker->targets[slot].new_flows, 7);
	apply(f, 0, DELAY(0) TWO, "");
	registry_tick(&f->registry, 1000);
	assert_null(registry_find_slot(&f->registry, slot));
	apply(f, 0, DELAY(0) TWO "Target.three = Id=10.0.0.3\n", "");
	assert_true(f->slots[1] != slot);
	/* All the way round, and it is taken again. */
	f->registry.next_slot = slot;
	apply(f, 0, DELAY(0) TWO "Target.four = Id=10.0.0.4\n", "");
	assert_u64(f->slots[1], slot);
	scoreboard_sum_target(f->sb, slot, &sum);
	assert_u64(sum.new_flows, 0);
}

static void
slot_with_flows_of_a_forgotten_target_is_not_given_out(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->worker->targets[0].active_flows, 1);
	apply(f, 0, ONE, "");
	assert_u64(f->slots[0], 1);
}

static void
last_slots_are_used_and_the_search_goes_round(void **state)
{
	struct fixture *f = *state;

	f->registry.next_slot = SB_SLOT_VOID - 1;
	apply(f, 0, ONE TWO, "");
	assert_u64(f->slots[0], SB_SLOT_VOID - 1);
	assert_u64(f->slots[1], 0);
}

static void
config_that_does_not_fit_beside_the_draining_is_refused(void **state)
{
	struct fixture *f = *state;
	struct registered_target *fill =
	    calloc(SB_SLOT_VOID, sizeof(struct registered_target));
	struct conf *more;

	assert_non_null(fill);
	more = f->confs[f->n_confs++] =
	    conf_from_text("[listener l]\nPort = 587\nSecurityGroups = none\n"
			   "DefaultActions = forward:a\n"
			   "[target-group a]\nPort = 25\n" ONE TWO);
	apply(f, 0, ONE, "");
	for (size_t i = 0; i < SB_SLOT_VOID - 2; i++)
		TAILQ_INSERT_TAIL(&f->registry.targets, &fill[i], entry);
	assert_errno(registry_can_apply(&f->registry, more, NULL, 0), 0);
	TAILQ_INSERT_TAIL(&f->registry.targets, &fill[SB_SLOT_VOID - 2], entry);
	assert_errno(registry_can_apply(&f->registry, more, NULL, 0), -ENOSPC);
	/* Those that stay need no second slot. */
	assert_errno(registry_can_apply(&f->registry, f->confs[1], NULL, 0), 0);
	for (size_t i = 0; i < SB_SLOT_VOID - 1; i++)
		TAILQ_REMOVE(&f->registry.targets, &fill[i], entry);
	free(fill);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest registry[] = {
	    TEST(new_target_gets_flows_after_its_first_success),
	    TEST(check_goes_to_the_check_port_at_the_groups_interval),
	    TEST(check_that_no_outbound_rule_allows_is_blocked),
	    TEST(group_without_a_healthy_target_fails_open_and_says_so),
	    TEST(
		group_that_loses_its_last_healthy_target_by_reload_says_so_too),
	    TEST(void_check_changes_nothing),
	    TEST(late_result_of_a_target_that_is_gone_is_ignored),
	    TEST(group_no_listener_uses_is_unused_and_not_checked),
	    TEST(
		foreign_target_is_unused_and_not_checked_while_cross_zone_is_off),
	    TEST(reload_of_cross_zone_brings_a_foreign_target_in_and_out),
	    TEST(unhealthy_draining_ends_the_flows_at_its_deadline),
	    TEST(reload_keeps_health_and_slot_of_what_stays),
	    TEST(many_targets_keep_their_slots_in_any_order),
	    TEST(renamed_label_is_the_same_target),
	    TEST(renamed_group_deregisters_the_old_targets_and_checks_new_ones),
	    TEST(removed_target_gets_no_new_flow_at_once_and_drains),
	    TEST(delay_with_termination_ends_the_flows_once),
	    TEST(delay_without_termination_keeps_the_slot_while_flows_live),
	    TEST(target_registered_again_while_draining_keeps_its_flows),
	    TEST(free_slot_is_not_given_out_at_once_and_starts_at_zero),
	    TEST(slot_with_flows_of_a_forgotten_target_is_not_given_out),
	    TEST(last_slots_are_used_and_the_search_goes_round),
	    TEST(config_that_does_not_fit_beside_the_draining_is_refused),
	};

	return cmocka_run_group_tests(registry, NULL, NULL);
}
