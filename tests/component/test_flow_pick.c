/* worker/flow_pick: targets that hold as many flows as they may. */
#include <unistd.h>

#include "support/expect.h"
#include "worker/listener.h"
#include "worker_fixture.h"

#define N_TARGETS 3

static void
add_targets(struct rig *r, const char *group_keys)
{
	for (int i = 0; i < N_TARGETS; i++)
		rig_add_target(r, 128);
	rig_apply_keys(r, "", group_keys, "");
}

static uint64_t
flows_at(struct rig *r, size_t target)
{
	return sb_get(
	    &r->block->targets[RIG_FIRST_TARGET_SLOT + target].active_flows);
}

static uint64_t
established(struct rig *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < N_TARGETS; i++)
		n += sb_get(
		    &r->block->targets[RIG_FIRST_TARGET_SLOT + i].new_flows);
	return n;
}

/* A new client; returns when its flow stands, or was ended. */
static int
come(struct rig *r)
{
	uint64_t before = established(r) + r->n_ends;
	int client = rig_connect(r);

	RIG_WAIT(r, established(r) + r->n_ends > before);
	return client;
}

static void
go(struct rig *r, int client)
{
	peer_reset(client);
	RIG_WAIT(r, r->worker->n_flows == 0);
}

static void
expect_reset(struct rig *r, enum flow_end_reason reason)
{
	uint64_t rejected = sb_get(&r->block->listeners[0].rejected_flows);
	size_t n = r->n_ends;
	int client = rig_connect(r);

	assert_i64(rig_read_end(r, client), PEER_RST);
	RIG_WAIT(r, r->n_ends == n + 1);
	assert_str(flow_end_reason_code(r->ends[n].reason),
	    flow_end_reason_code(reason));
	assert_i64(r->ends[n].target_slot, FLOW_SLOT_NONE);
	assert_u64(sb_get(&r->block->listeners[0].rejected_flows),
	    rejected + (flow_end_reason_class(reason) == FLOW_END_REJECTED));
	close(client);
}

static void
a_full_target_is_passed_over(void **state)
{
	struct rig *r = *state;
	int clients[2 * N_TARGETS];

	add_targets(r, "MaxFlowsPerTarget = 2\n");
	/* One client address and stickiness off: the hash alone would not
	 * share them out evenly. */
	for (int i = 0; i < 2 * N_TARGETS; i++)
		clients[i] = come(r);
	for (size_t i = 0; i < N_TARGETS; i++)
		assert_u64(flows_at(r, i), 2);
	assert_u64(sb_get(&r->block->listeners[0].connect_retries), 0);
	for (int i = 0; i < 2 * N_TARGETS; i++)
		peer_reset(clients[i]);
	RIG_WAIT(r, r->worker->n_flows == 0);
}

static void
when_all_are_full_the_flow_is_reset_and_counted(void **state)
{
	struct rig *r = *state;
	int clients[N_TARGETS], client;

	add_targets(r, "MaxFlowsPerTarget = 1\n");
	for (int i = 0; i < N_TARGETS; i++)
		clients[i] = come(r);
	expect_reset(r, FLOW_END_TARGET_LIMIT);
	expect_reset(r, FLOW_END_TARGET_LIMIT);
	assert_u64(sb_get(&r->block->ends[FLOW_END_TARGET_LIMIT]), 2);
	/* A place that becomes free is taken at once. */
	peer_reset(clients[0]);
	RIG_WAIT(r, r->worker->n_flows == N_TARGETS - 1);
	client = come(r);
	assert_u64(r->worker->n_flows, N_TARGETS);
	for (int i = 1; i < N_TARGETS; i++)
		peer_reset(clients[i]);
	go(r, client);
}

/* What another worker holds counts as well. */
static void
flows_of_other_workers_count(void **state)
{
	struct rig *r = *state;
	struct sb_block *other = scoreboard_take(r->sb, 1, 0);
	int client;

	add_targets(r, "MaxFlowsPerTarget = 3\n");
	for (size_t i = 0; i < N_TARGETS; i++)
		sb_add(&other->targets[RIG_FIRST_TARGET_SLOT + i].active_flows,
		    i == 1 ? 2 : 3);
	client = come(r);
	assert_u64(flows_at(r, 1), 1);
	expect_reset(r, FLOW_END_TARGET_LIMIT);
	/* The other worker has died: its flows are gone. */
	scoreboard_retire(r->sb, other);
	go(r, client);
	go(r, come(r));
	assert_u64(sb_get(&r->block->ends[FLOW_END_TARGET_LIMIT]), 1);
}

static void
a_sticky_client_goes_elsewhere_while_its_target_is_full(void **state)
{
	struct rig *r = *state;
	int first, second;
	size_t home = 0;

	add_targets(r, "stickiness.enabled = true\nMaxFlowsPerTarget = 1\n");
	first = come(r);
	while (flows_at(r, home) == 0)
		home++;
	second = come(r);
	assert_u64(r->worker->n_flows, 2);
	assert_u64(flows_at(r, home), 1);
	peer_reset(second);
	go(r, first);
	first = come(r);
	assert_u64(flows_at(r, home), 1);
	go(r, first);
}

static void
a_lower_limit_ends_no_flow_and_lets_none_in(void **state)
{
	struct rig *r = *state;
	int a, b;

	rig_add_target(r, 128);
	rig_apply_keys(r, "", "", "");
	a = come(r);
	b = come(r);
	rig_apply_keys(r, "", "MaxFlowsPerTarget = 1\n", "");
	assert_u64(flows_at(r, 0), 2);
	expect_reset(r, FLOW_END_TARGET_LIMIT);
	peer_reset(a);
	RIG_WAIT(r, r->worker->n_flows == 1 && r->n_ends == 2);
	expect_reset(r, FLOW_END_TARGET_LIMIT);
	rig_apply_keys(r, "", "MaxFlowsPerTarget = off\n", "");
	a = come(r);
	assert_u64(flows_at(r, 0), 2);
	peer_reset(b);
	go(r, a);
}

/* Those that stand by take what the active ones have no room for. */
static void
a_standby_target_takes_what_full_ones_may_not(void **state)
{
	struct rig *r = *state;
	int a, b;

	rig_add_target(r, 128);
	rig_add_target(r, 128);
	rig_set_flags(r, 1, SB_STANDBY);
	rig_apply_keys(r, "", "MaxFlowsPerTarget = 1\n", "");
	a = come(r);
	assert_u64(flows_at(r, 0), 1);
	b = come(r);
	assert_u64(flows_at(r, 1), 1);
	expect_reset(r, FLOW_END_TARGET_LIMIT);
	peer_reset(a);
	go(r, b);
}

static void
without_a_routable_target_it_is_not_the_limit(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 128);
	rig_set_flags(r, 0, 0);
	rig_apply_keys(r, "", "MaxFlowsPerTarget = 1\n", "");
	expect_reset(r, FLOW_END_NO_TARGET);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(a_full_target_is_passed_over),
	    RIG_TEST(when_all_are_full_the_flow_is_reset_and_counted),
	    RIG_TEST(flows_of_other_workers_count),
	    RIG_TEST(a_sticky_client_goes_elsewhere_while_its_target_is_full),
	    RIG_TEST(a_lower_limit_ends_no_flow_and_lets_none_in),
	    RIG_TEST(a_standby_target_takes_what_full_ones_may_not),
	    RIG_TEST(without_a_routable_target_it_is_not_the_limit),
	};

	return cmocka_run_group_tests_name("flow_pick", tests, NULL, NULL);
}
