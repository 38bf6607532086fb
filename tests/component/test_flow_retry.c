/* worker/flow_connect: which failures make a flow ask the next target, and how
 * many it asks (ConnectRetryOn, ConnectTargets). */
#include <errno.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "support/loop_support.h"
#include "worker/listener.h"
#include "worker_fixture.h"

/* Target 0 is asked first: target 1 only stands by. It would take any flow. */
static void
add_second_target(struct rig *r, const char *group_keys)
{
	rig_add_target(r, 64);
	rig_set_flags(r, 1, SB_STANDBY);
	rig_apply_keys(r, "", group_keys, "");
}

static uint64_t
taken_by(struct rig *r, size_t target)
{
	return sb_get(
	    &r->block->targets[RIG_FIRST_TARGET_SLOT + target].new_flows);
}

static void
expect_next_target(struct rig *r)
{
	int client = rig_connect(r);

	close(rig_accept(r, 1));
	RIG_WAIT(r, taken_by(r, 1) == 1);
	close(client);
	RIG_WAIT(r, r->n_ends == 1);
	assert_i64(rig_only_end(r)->retries, 1);
}

static void
expect_end(struct rig *r, int client, enum flow_end_reason reason)
{
	assert_i64(rig_read_end(r, client), PEER_RST);
	assert_str(flow_end_reason_code(rig_only_end(r)->reason),
	    flow_end_reason_code(reason));
	assert_i64(rig_only_end(r)->retries, 0);
	assert_u64(taken_by(r, 1), 0);
	assert_u64(sb_get(&r->block->listeners[0].connect_retries), 0);
	assert_u64(sb_get(&r->block->listeners[0].rejected_flows), 1);
	close(client);
}

static void
a_refusal_is_tried_again_if_it_is_named(void **state)
{
	struct rig *r = *state;

	rig_add_closed_target(r);
	add_second_target(r, "ConnectRetryOn = refused\n");
	expect_next_target(r);
}

static void
a_refusal_ends_the_flow_if_it_is_not(void **state)
{
	struct rig *r = *state;

	rig_add_closed_target(r);
	add_second_target(r, "ConnectRetryOn = timeout, unreachable\n");
	expect_end(r, rig_connect(r), FLOW_END_CONNECT_REFUSED);
}

/* The kernel knows at once that there is no way. */
static void
unreachable_is_tried_again_if_it_is_named(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 64);
	add_second_target(r, "ConnectRetryOn = unreachable\n");
	fault_set(FAULT_CONNECT, 1, 1, EHOSTUNREACH); /* after the client's */
	expect_next_target(r);
}

static void
unreachable_ends_the_flow_if_it_is_not(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 64);
	add_second_target(r, "ConnectRetryOn = refused, timeout\n");
	fault_set(FAULT_CONNECT, 1, 1, EHOSTUNREACH);
	expect_end(r, rig_connect(r), FLOW_END_CONNECT_REFUSED);
}

/* Target 0 swallows SYNs; its time is up. */
static int
be_silent(struct rig *r, struct black_hole *hole, const char *group_keys)
{
	int client;

	rig_add_target(r, 1);
	assert_true(black_hole_open(hole));
	r->targets[0].addr = hole->addr;
	add_second_target(r, group_keys);
	client = rig_connect(r);
	RIG_WAIT(r, rig_flow(r) != NULL);
	fault_skip_clock(3000 + WHEEL_TICK_MS);
	return client;
}

static void
silence_is_tried_again_if_it_is_named(void **state)
{
	struct rig *r = *state;
	struct black_hole hole;
	int client = be_silent(r, &hole, "ConnectRetryOn = timeout\n");

	close(rig_accept(r, 1));
	RIG_WAIT(r, taken_by(r, 1) == 1);
	close(client);
	RIG_WAIT(r, r->n_ends == 1);
	black_hole_close(&hole);
}

static void
silence_ends_the_flow_if_it_is_not(void **state)
{
	struct rig *r = *state;
	struct black_hole hole;
	int client =
	    be_silent(r, &hole, "ConnectRetryOn = refused, unreachable\n");

	expect_end(r, client, FLOW_END_CONNECT_TIMEOUT);
	black_hole_close(&hole);
}

static void
none_names_no_failure(void **state)
{
	struct rig *r = *state;

	rig_add_closed_target(r);
	add_second_target(r, "ConnectRetryOn = none\n");
	expect_end(r, rig_connect(r), FLOW_END_CONNECT_REFUSED);
}

/* It says nothing of the target. */
static void
without_a_source_port_the_next_target_is_always_asked(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 64);
	add_second_target(r, "ConnectRetryOn = none\n");
	fault_set(FAULT_CONNECT, 1, 1, EADDRNOTAVAIL);
	expect_next_target(r);
}

/* No failure of a connect: the supervisor has taken it out of service. */
static void
a_target_that_leaves_service_is_no_failure(void **state)
{
	struct rig *r = *state;
	struct black_hole hole;
	int client;

	rig_add_target(r, 1);
	assert_true(black_hole_open(&hole));
	r->targets[0].addr = hole.addr;
	add_second_target(r, "ConnectRetryOn = none\n");
	client = rig_connect(r);
	RIG_WAIT(r, rig_flow(r) != NULL);
	rig_end_flows(r, 0, FLOW_END_TARGET_UNHEALTHY);
	close(rig_accept(r, 1));
	RIG_WAIT(r, taken_by(r, 1) == 1);
	close(client);
	RIG_WAIT(r, r->n_ends == 1);
	black_hole_close(&hole);
}

static void
one_target_is_what_an_nlb_asks(void **state)
{
	struct rig *r = *state;

	rig_add_closed_target(r);
	add_second_target(r, "ConnectTargets = 1\n");
	expect_end(r, rig_connect(r), FLOW_END_CONNECT_REFUSED);
}

static void
a_flow_asks_as_many_targets_as_it_may(void **state)
{
	struct rig *r = *state;
	int client;

	for (int i = 0; i < 5; i++)
		rig_add_closed_target(r);
	rig_apply_keys(r, "", "ConnectTargets = 3\n", "");
	client = rig_connect(r);
	assert_i64(rig_read_end(r, client), PEER_RST);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CONNECT_REFUSED);
	assert_i64(rig_only_end(r)->retries, 2);
	assert_u64(sb_get(&r->block->listeners[0].connect_retries), 2);
	close(client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(a_refusal_is_tried_again_if_it_is_named),
	    RIG_TEST(a_refusal_ends_the_flow_if_it_is_not),
	    RIG_TEST(unreachable_is_tried_again_if_it_is_named),
	    RIG_TEST(unreachable_ends_the_flow_if_it_is_not),
	    RIG_TEST(silence_is_tried_again_if_it_is_named),
	    RIG_TEST(silence_ends_the_flow_if_it_is_not),
	    RIG_TEST(none_names_no_failure),
	    RIG_TEST(without_a_source_port_the_next_target_is_always_asked),
	    RIG_TEST(a_target_that_leaves_service_is_no_failure),
	    RIG_TEST(one_target_is_what_an_nlb_asks),
	    RIG_TEST(a_flow_asks_as_many_targets_as_it_may),
	};

	return cmocka_run_group_tests_name("flow_retry", tests, NULL, NULL);
}
