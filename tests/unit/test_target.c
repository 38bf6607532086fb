/*
 * Unit tests of nlb/target: the transition matrix, thresholds and deadlines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "nlb/target.h"
#include "support/expect.h"

/* The NLB's defaults: 5, 2, 300 s, no grace period. */
static const struct target_rules default_rules = {5, 2, 300, 0, true};
static const struct target_rules grace_rules = {5, 2, 300, 60, true};

/*
 * The matrix. A node is a state with what tells apart how it goes on: the
 * reason, and for the counters "one short of the threshold".
 */
enum node {
	N_REGISTERED, /* initial, registration in progress */
	N_CHECKING,   /* initial, health checking */
	N_CHECKING_1, /* the same after one failure */
	N_HEALTHY,
	N_HEALTHY_1, /* after one failure */
	N_UNHEALTHY,
	N_UNHEALTHY_4, /* after four successes */
	N_GRACE,       /* unhealthy.draining */
	N_GRACE_4,
	N_DRAINING,
	N_GONE,    /* unused, not registered */
	N_IDLE,    /* unused, group not in use */
	N_NO_ZONE, /* unused, zone not enabled */
	N_BROKEN,  /* unavailable */
	N_BROKEN_1,
	NODE_COUNT
};

enum event {
	E_STARTED,
	E_SUCCESS,
	E_FAILURE,
	E_FAILURE_GRACE, /* with a draining interval */
	E_VOID,
	E_DEREGISTER,
	E_DEREGISTER_NOW, /* with delay 0 */
	E_REGISTER,
	E_OUT_OF_USE,
	E_NO_ZONE,
	E_IN_USE,
	E_TICK_EARLY, /* before the deadline, with flows */
	E_TICK_NO_FLOWS,
	E_TICK_LATE, /* at the deadline, with flows */
	EVENT_COUNT
};

#define T0 UINT64_C(1000000)
#define T1 UINT64_C(1000500) /* when the event comes */

static const struct {
	enum target_state state;
	enum target_reason reason;
	uint32_t successes, failures;
} nodes[NODE_COUNT] = {
    [N_REGISTERED] = {TARGET_INITIAL, TARGET_REASON_REGISTRATION_IN_PROGRESS, 0,
	0},
    [N_CHECKING] = {TARGET_INITIAL, TARGET_REASON_INITIAL_HEALTH_CHECKING, 0,
	0},
    [N_CHECKING_1] = {TARGET_INITIAL, TARGET_REASON_INITIAL_HEALTH_CHECKING, 0,
	1},
    [N_HEALTHY] = {TARGET_HEALTHY, TARGET_REASON_NONE, 0, 0},
    [N_HEALTHY_1] = {TARGET_HEALTHY, TARGET_REASON_NONE, 0, 1},
    [N_UNHEALTHY] = {TARGET_UNHEALTHY, TARGET_REASON_FAILED_HEALTH_CHECKS, 0,
	0},
    [N_UNHEALTHY_4] = {TARGET_UNHEALTHY, TARGET_REASON_FAILED_HEALTH_CHECKS, 4,
	0},
    [N_GRACE] = {TARGET_UNHEALTHY_DRAINING, TARGET_REASON_FAILED_HEALTH_CHECKS,
	0, 0},
    [N_GRACE_4] = {TARGET_UNHEALTHY_DRAINING,
	TARGET_REASON_FAILED_HEALTH_CHECKS, 4, 0},
    [N_DRAINING] = {TARGET_DRAINING, TARGET_REASON_DEREGISTRATION_IN_PROGRESS,
	0, 0},
    [N_GONE] = {TARGET_UNUSED, TARGET_REASON_NOT_REGISTERED, 0, 0},
    [N_IDLE] = {TARGET_UNUSED, TARGET_REASON_NOT_IN_USE, 0, 0},
    [N_NO_ZONE] = {TARGET_UNUSED, TARGET_REASON_ZONE_NOT_ENABLED, 0, 0},
    [N_BROKEN] = {TARGET_UNAVAILABLE, TARGET_REASON_INTERNAL_ERROR, 0, 0},
    [N_BROKEN_1] = {TARGET_UNAVAILABLE, TARGET_REASON_INTERNAL_ERROR, 0, 1},
};

/* Short names for the table. */
#define REG N_REGISTERED
#define CHK N_CHECKING
#define CH1 N_CHECKING_1
#define HEA N_HEALTHY
#define HE1 N_HEALTHY_1
#define UNH N_UNHEALTHY
#define UN4 N_UNHEALTHY_4
#define GRA N_GRACE
#define GR4 N_GRACE_4
#define DRA N_DRAINING
#define GON N_GONE
#define IDL N_IDLE
#define NOZ N_NO_ZONE
#define BRO N_BROKEN
#define BR1 N_BROKEN_1
#define ANY NODE_COUNT /* counters differ: asserted by tests of their own */

/* clang-format off */
static const enum node matrix[NODE_COUNT][EVENT_COUNT] = {
/* event:    STA  SUC  FAI  FAG  VOI  DER  DE0  REG  OUT  NOZ  INU  TKE  TK0  TKL */
[REG] = {    CHK, HEA, CH1, CH1, REG, DRA, GON, REG, IDL, NOZ, REG, REG, REG, REG },
[CHK] = {    CHK, HEA, CH1, CH1, CHK, DRA, GON, CHK, IDL, NOZ, CHK, CHK, CHK, CHK },
[CH1] = {    CH1, HEA, UNH, UNH, CH1, DRA, GON, CH1, IDL, NOZ, CH1, CH1, CH1, CH1 },
[HEA] = {    HEA, ANY, HE1, HE1, HEA, DRA, GON, HEA, IDL, NOZ, HEA, HEA, HEA, HEA },
[HE1] = {    HE1, ANY, UNH, GRA, HE1, DRA, GON, HE1, IDL, NOZ, HE1, HE1, HE1, HE1 },
[UNH] = {    UNH, ANY, ANY, ANY, UNH, DRA, GON, UNH, IDL, NOZ, UNH, UNH, UNH, UNH },
[UN4] = {    UN4, HEA, ANY, ANY, UN4, DRA, GON, UN4, IDL, NOZ, UN4, UN4, UN4, UN4 },
[GRA] = {    GRA, ANY, ANY, ANY, GRA, DRA, GON, GRA, IDL, NOZ, GRA, GRA, GRA, UNH },
[GR4] = {    GR4, HEA, ANY, ANY, GR4, DRA, GON, GR4, IDL, NOZ, GR4, GR4, GR4, UN4 },
[DRA] = {    DRA, DRA, DRA, DRA, DRA, DRA, DRA, REG, DRA, DRA, DRA, DRA, GON, GON },
[GON] = {    GON, GON, GON, GON, GON, GON, GON, REG, GON, GON, GON, GON, GON, GON },
[IDL] = {    IDL, IDL, IDL, IDL, IDL, GON, GON, IDL, IDL, NOZ, REG, IDL, IDL, IDL },
[NOZ] = {    NOZ, NOZ, NOZ, NOZ, NOZ, GON, GON, NOZ, IDL, NOZ, REG, NOZ, NOZ, NOZ },
[BRO] = {    BRO, HEA, BR1, BR1, BRO, DRA, GON, BRO, IDL, NOZ, BRO, BRO, BRO, BRO },
[BR1] = {    BR1, HEA, UNH, UNH, BR1, DRA, GON, BR1, IDL, NOZ, BR1, BR1, BR1, BR1 },
};
/* clang-format on */

static void
place(struct target *t, enum node node)
{
	target_init(t, T0);
	target_set_state(t, nodes[node].state, nodes[node].reason, T0);
	t->successes = nodes[node].successes;
	t->failures = nodes[node].failures;
	if (t->state == TARGET_DRAINING ||
	    t->state == TARGET_UNHEALTHY_DRAINING)
		t->deadline_ms = T0 + 60000;
}

/* Returns what the event's function says of a change, or -1 when void. */
static int
apply(struct target *t, enum event event)
{
	struct target_rules now = default_rules;
	uint64_t late_ms = T0 + 60000;

	now.deregistration_delay_s = 0;
	switch (event) {
	case E_STARTED:
		target_check_started(t, T1);
		return -1;
	case E_SUCCESS:
		return target_report(t, &default_rules, PROBE_SUCCESS, T1);
	case E_FAILURE:
		return target_report(t, &default_rules, PROBE_FAILURE, T1);
	case E_FAILURE_GRACE:
		return target_report(t, &grace_rules, PROBE_FAILURE, T1);
	case E_VOID:
		return target_report(t, &default_rules, PROBE_VOID, T1);
	case E_DEREGISTER:
		target_deregister(t, &default_rules, T1);
		return -1;
	case E_DEREGISTER_NOW:
		target_deregister(t, &now, T1);
		return -1;
	case E_REGISTER:
		target_register(t, T1);
		return -1;
	case E_OUT_OF_USE:
		target_set_in_use(t, false, TARGET_REASON_NOT_IN_USE, T1);
		return -1;
	case E_NO_ZONE:
		target_set_in_use(t, false, TARGET_REASON_ZONE_NOT_ENABLED, T1);
		return -1;
	case E_IN_USE:
		target_set_in_use(t, true, TARGET_REASON_NONE, T1);
		return -1;
	case E_TICK_EARLY:
		return target_tick(t, 1, late_ms - 1);
	case E_TICK_NO_FLOWS:
		return target_tick(t, 0, T1);
	case E_TICK_LATE:
		return target_tick(t, 1, late_ms);
	case EVENT_COUNT:
		break;
	}
	fail();
	return -1;
}

static void
check_cell(enum node from, enum event event)
{
	enum node to = matrix[from][event];
	bool same_state = to == ANY || nodes[to].state == nodes[from].state;
	struct target t;
	int changed;

	place(&t, from);
	changed = apply(&t, event);
	if (to != ANY) {
		if (t.state != nodes[to].state ||
		    t.reason != nodes[to].reason ||
		    t.successes != nodes[to].successes ||
		    t.failures != nodes[to].failures)
			fail_msg("node %d event %d: %s/%s %u/%u, not node %d",
			    (int)from, (int)event, target_state_name(t.state),
			    target_reason_code(t.reason), t.successes,
			    t.failures, (int)to);
	} else {
		assert_u64(t.state, nodes[from].state);
		assert_u64(t.reason, nodes[from].reason);
	}
	if (changed != -1)
		assert_i64(changed, !same_state);
	/* since_ms moves with the state and only with it. */
	if (same_state)
		assert_u64(t.since_ms, T0);
	else
		assert_true(t.since_ms >= T1);
	assert_i64(t.deadline_ms != 0,
	    t.state == TARGET_DRAINING || t.state == TARGET_UNHEALTHY_DRAINING);
}

static void
every_state_answers_every_event_as_the_matrix_says(void **state)
{
	int from, event;

	(void)state;
	for (from = 0; from < NODE_COUNT; from++)
		for (event = 0; event < EVENT_COUNT; event++)
			check_cell((enum node)from, (enum event)event);
}

static void
new_target_is_initial_with_registration_in_progress(void **state)
{
	struct target t;

	(void)state;
	target_init(&t, T0);
	assert_u64(t.state, TARGET_INITIAL);
	assert_u64(t.reason, TARGET_REASON_REGISTRATION_IN_PROGRESS);
	assert_u64(t.since_ms, T0);
	assert_u64(t.deadline_ms, 0);
	assert_true(target_is_checked(&t));
	assert_true(target_is_registered(&t));
}

static void
first_success_brings_a_new_target_into_service(void **state)
{
	struct target t;

	(void)state;
	target_init(&t, T0);
	target_check_started(&t, T0);
	assert_false(target_report(&t, &default_rules, PROBE_FAILURE, T0));
	assert_true(target_report(&t, &default_rules, PROBE_SUCCESS, T1));
	assert_u64(t.state, TARGET_HEALTHY);
	assert_u64(t.reason, TARGET_REASON_NONE);
	assert_u64(t.since_ms, T1);
}

static void
thresholds_count_consecutive_results_only(void **state)
{
	struct target t;
	int i;

	(void)state;
	place(&t, N_HEALTHY);
	for (i = 0; i < 10; i++) { /* every second one fails: never twice */
		assert_false(
		    target_report(&t, &default_rules, PROBE_FAILURE, T1));
		assert_false(
		    target_report(&t, &default_rules, PROBE_SUCCESS, T1));
	}
	assert_u64(t.state, TARGET_HEALTHY);
	assert_false(target_report(&t, &default_rules, PROBE_FAILURE, T1));
	assert_false(target_report(&t, &default_rules, PROBE_VOID, T1));
	assert_true(target_report(&t, &default_rules, PROBE_FAILURE, T1));
	assert_u64(t.state, TARGET_UNHEALTHY);

	for (i = 0; i < 4; i++)
		assert_false(
		    target_report(&t, &default_rules, PROBE_SUCCESS, T1));
	assert_false(target_report(&t, &default_rules, PROBE_FAILURE, T1));
	for (i = 0; i < 4; i++)
		assert_false(
		    target_report(&t, &default_rules, PROBE_SUCCESS, T1));
	assert_false(target_report(&t, &default_rules, PROBE_VOID, T1));
	assert_true(target_report(&t, &default_rules, PROBE_SUCCESS, T1));
	assert_u64(t.state, TARGET_HEALTHY);
}

static void
void_results_leave_every_field_alone(void **state)
{
	struct target before, t;
	int node;

	(void)state;
	for (node = 0; node < NODE_COUNT; node++) {
		place(&t, (enum node)node);
		before = t;
		assert_false(target_report(&t, &grace_rules, PROBE_VOID, T1));
		assert_memory_equal(&t, &before, sizeof(t));
	}
	assert_false(
	    target_report(&t, &default_rules, (enum probe_result)99, T1));
}

static void
draining_lasts_for_the_deregistration_delay(void **state)
{
	struct target t;

	(void)state;
	place(&t, N_HEALTHY);
	target_deregister(&t, &default_rules, T1);
	assert_u64(t.deadline_ms, T1 + 300000);
	/* Again, later: the delay is not extended. */
	target_deregister(&t, &default_rules, T1 + 1000);
	assert_u64(t.deadline_ms, T1 + 300000);
	assert_false(target_tick(&t, 3, T1 + 299999));
	assert_true(target_tick(&t, 3, T1 + 300000));
	assert_u64(t.state, TARGET_UNUSED);
	assert_u64(t.reason, TARGET_REASON_NOT_REGISTERED);
	assert_u64(t.deadline_ms, 0);
}

static void
unhealthy_draining_lasts_for_its_interval(void **state)
{
	struct target t;

	(void)state;
	place(&t, N_HEALTHY_1);
	assert_true(target_report(&t, &grace_rules, PROBE_FAILURE, T1));
	assert_u64(t.state, TARGET_UNHEALTHY_DRAINING);
	assert_u64(t.deadline_ms, T1 + 60000);
	/* No flows: that says nothing about its health. */
	assert_false(target_tick(&t, 0, T1 + 59999));
	assert_false(target_report(&t, &grace_rules, PROBE_SUCCESS, T1));
	assert_true(target_tick(&t, 0, T1 + 60000));
	assert_u64(t.state, TARGET_UNHEALTHY);
	/* The success before the deadline counts: four more are enough. */
	assert_u64(t.successes, 1);
	assert_false(target_tick(&t, 0, T1 + 70000));
}

static void
target_deregistered_while_unhealthy_draining_gets_the_whole_delay(void **state)
{
	struct target t;

	(void)state;
	place(&t, N_GRACE);
	target_deregister(&t, &default_rules, T1);
	assert_u64(t.state, TARGET_DRAINING);
	assert_u64(t.deadline_ms, T1 + 300000);
}

static void
extreme_times_and_counts_do_not_wrap(void **state)
{
	static const uint64_t starts[] = {0, INT32_MAX, UINT32_MAX,
	    UINT64_C(4294967295000), UINT64_C(1) << 53, UINT64_MAX - 400000};
	struct target_rules rules = {UINT32_MAX, UINT32_MAX, 300, 360000, true};
	struct target t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		target_init(&t, starts[i]);
		target_deregister(&t, &rules, starts[i]);
		assert_false(target_tick(&t, 1, starts[i] + 299999));
		assert_true(target_tick(&t, 1, starts[i] + 300000));
	}
	/* A deadline after the end of time is the end of time. */
	target_init(&t, T0);
	rules.deregistration_delay_s = UINT32_MAX;
	target_deregister(&t, &rules, UINT64_MAX - 5);
	assert_u64(t.deadline_ms, UINT64_MAX);
	assert_false(target_tick(&t, 1, UINT64_MAX - 1));

	place(&t, N_HEALTHY);
	t.failures = UINT32_MAX - 1;
	assert_true(target_report(&t, &rules, PROBE_FAILURE, T1));
	place(&t, N_UNHEALTHY);
	t.failures = UINT32_MAX;
	assert_false(target_report(&t, &rules, PROBE_FAILURE, T1));
	assert_u64(t.failures, UINT32_MAX);
}

static void
leaving_and_unused_targets_are_neither_checked_nor_registered(void **state)
{
	struct target t;
	int node;

	(void)state;
	for (node = 0; node < NODE_COUNT; node++) {
		bool counts;

		place(&t, (enum node)node);
		counts = node != N_DRAINING && node != N_GONE &&
			 node != N_IDLE && node != N_NO_ZONE;
		assert_i64(target_is_checked(&t), counts);
		assert_i64(target_is_registered(&t), counts);
	}
}

static void
group_fails_open_below_either_minimum(void **state)
{
	static const struct {
		uint32_t healthy, registered, count, percentage;
		bool open;
	} cases[] = {
	    {0, 0, 1, 0, false}, /* nobody to route to */
	    {0, 0, 1, 100, false},
	    {0, 3, 1, 0, true}, /* the default: all failed */
	    {1, 3, 1, 0, false},
	    {1, 3, 2, 0, true},
	    {2, 3, 2, 0, false},
	    {2, 2, 3, 0, true}, /* can never have enough */
	    {0, 3, 0, 0, false},
	    {1, 3, 0, 34, true}, /* 33.3 % < 34 % */
	    {1, 3, 0, 33, false},
	    {3, 3, 0, 100, false},
	    {2, 3, 0, 100, true},
	    {2, 4, 1, 50, false}, /* exactly half is enough */
	    {1, 4, 1, 50, true},
	    {UINT32_MAX, UINT32_MAX, 1, 100, false}, /* no overflow */
	    {UINT32_MAX - 1, UINT32_MAX, 1, 100, true},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (target_group_fails_open(cases[i].healthy,
			cases[i].registered, cases[i].count,
			cases[i].percentage) != cases[i].open)
			fail_msg("case %zu", i);
}

int
main(void)
{
	const struct CMUnitTest target[] = {
	    cmocka_unit_test(
		every_state_answers_every_event_as_the_matrix_says),
	    cmocka_unit_test(
		new_target_is_initial_with_registration_in_progress),
	    cmocka_unit_test(first_success_brings_a_new_target_into_service),
	    cmocka_unit_test(thresholds_count_consecutive_results_only),
	    cmocka_unit_test(void_results_leave_every_field_alone),
	    cmocka_unit_test(draining_lasts_for_the_deregistration_delay),
	    cmocka_unit_test(unhealthy_draining_lasts_for_its_interval),
	    cmocka_unit_test(
		target_deregistered_while_unhealthy_draining_gets_the_whole_delay),
	    cmocka_unit_test(extreme_times_and_counts_do_not_wrap),
	    cmocka_unit_test(
		leaving_and_unused_targets_are_neither_checked_nor_registered),
	    cmocka_unit_test(group_fails_open_below_either_minimum),
	};

	return cmocka_run_group_tests(target, NULL, NULL);
}
