/* worker/flow_connect with weighted target groups: shares, weight 0, retries
 * inside the chosen group before the others, shifts by a reload. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "support/loop_support.h"
#include "worker_fixture.h"
#include "worker/listener.h"

/* Target i is in the group "gN" with N = of[i]; actions are forwarded to. */
static void
apply_groups(struct rig *r, const char *actions, const unsigned *of)
{
	char text[4096];
	size_t len;

	len = (size_t)snprintf(text, sizeof(text),
	    "[listener in]\nPort = 587\nSecurityGroups = none\n"
	    "DefaultActions = %s\n[node]\nFlowLog = stderr\n",
	    actions);
	for (unsigned g = 0; g < 3; g++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "[target-group g%u]\nPort = 587\n", g);
		for (size_t i = 0; i < r->n_targets; i++)
			if (of[i] == g)
				len += (size_t)snprintf(text + len,
				    sizeof(text) - len,
				    "Target.t%zu = Id=127.0.0.1,Port=%u\n", i,
				    r->targets[i].addr.port);
	}
	rig_apply(r, text);
}

static uint64_t
flows_of(const struct rig *r, size_t target)
{
	return sb_get(&r->block->targets[r->targets[target].slot].new_flows);
}

static uint64_t
failures_of(const struct rig *r, size_t target)
{
	return sb_get(
	    &r->block->targets[r->targets[target].slot].connect_failures);
}

/* Opens and ends n flows, one after the other. The targets' kernels answer;
 * nobody accepts. */
static void
run_flows(struct rig *r, unsigned n)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	for (unsigned i = 0; i < n; i++) {
		uint64_t before = sb_get(&r->block->accepted_flows);
		int client = rig_connect(r);

		RIG_WAIT(r, sb_get(&r->block->accepted_flows) > before &&
				(r->worker->n_flows == 0 ||
				    rig_flow(r)->state == FLOW_ESTABLISHED));
		setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(client);
		RIG_WAIT(r, r->worker->n_flows == 0);
	}
}

static const unsigned one_each[] = {0, 1, 2};

static void
flows_are_shared_by_weight(void **state)
{
	enum { FLOWS = 1000 };
	struct rig *r = *state;

	for (int i = 0; i < 3; i++)
		rig_add_target(r, 4096);
	apply_groups(r, "forward:g0=70, forward:g1=30, forward:g2=0", one_each);
	run_flows(r, FLOWS);
	assert_u64(flows_of(r, 0) + flows_of(r, 1), FLOWS);
	assert_u64(flows_of(r, 2), 0);
	/* The standard deviation is 14.5 flows. */
	assert_u64_between(flows_of(r, 1), 230, 370);
}

static void
a_reload_shifts_new_flows_and_leaves_the_old_ones(void **state)
{
	struct rig *r = *state;
	struct rig_flow old;

	rig_add_target(r, 4096);
	rig_add_target(r, 4096);
	apply_groups(r, "forward:g0=1, forward:g1=0", one_each);
	old = rig_open(r);
	apply_groups(r, "forward:g0=0, forward:g1=1", one_each);
	assert_u64(peer_send(old.client, "still", 5), 5);
	rig_expect(r, old.target, "still");
	close(old.client);
	assert_i64(rig_read_end(r, old.target), PEER_FIN);
	close(old.target);
	RIG_WAIT(r, r->worker->n_flows == 0);
	run_flows(r, 50);
	assert_u64(flows_of(r, 0), 1);
	assert_u64(flows_of(r, 1), 50);
}

/* g0 has a dead and a live target: a flow whose first choice is dead goes to
 * the live one, never to g1. */
static void
retries_stay_in_the_chosen_group(void **state)
{
	static const unsigned of[] = {0, 0, 1};
	struct rig *r = *state;

	rig_add_closed_target(r);
	rig_add_target(r, 4096);
	rig_add_target(r, 4096);
	apply_groups(r, "forward:g0=999, forward:g1=1", of);
	run_flows(r, 200);
	assert_u64_between(failures_of(r, 0), 50, 150);
	assert_u64_between(flows_of(r, 2), 0, 5);
	assert_u64(flows_of(r, 1) + flows_of(r, 2), 200);
}

static void
a_group_where_nobody_answers_leaves_its_flows_to_the_others(void **state)
{
	struct rig *r = *state;

	rig_add_closed_target(r);
	rig_add_target(r, 4096);
	rig_add_target(r, 4096);
	apply_groups(r, "forward:g0=1, forward:g1=1, forward:g2=0", one_each);
	run_flows(r, 100);
	assert_u64_between(failures_of(r, 0), 20, 80);
	assert_u64(flows_of(r, 1), 100);
	assert_u64(flows_of(r, 2), 0);
	assert_u64(
	    sb_get(&r->block->listeners[0].connect_retries), failures_of(r, 0));
}

static void
a_group_without_a_routable_target_leaves_its_flows_to_the_others(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 4096);
	rig_add_target(r, 4096);
	rig_set_flags(r, 0, 0);
	apply_groups(r, "forward:g0=1, forward:g1=1, forward:g2=1", one_each);
	run_flows(r, 50);
	assert_u64(flows_of(r, 1), 50);
	assert_u64(failures_of(r, 0), 0);
}

/* g0 has a dead active and a live standby target. */
static void
standby_takes_what_no_active_target_of_the_group_took(void **state)
{
	static const unsigned of[] = {0, 0, 1};
	struct rig *r = *state;

	rig_add_closed_target(r);
	rig_add_target(r, 4096);
	rig_add_target(r, 4096);
	rig_set_flags(r, 1, SB_STANDBY);
	apply_groups(r, "forward:g0=1, forward:g1=0", of);
	run_flows(r, 20);
	assert_u64(failures_of(r, 0), 20);
	assert_u64(flows_of(r, 1), 20);
	assert_u64(flows_of(r, 2), 0);
	/* While an active one takes flows, it gets none. */
	apply_groups(r, "forward:g1", of);
	run_flows(r, 5);
	apply_groups(r, "forward:g0", (const unsigned[]){1, 0, 0});
	run_flows(r, 20);
	assert_u64(flows_of(r, 1), 20);
	assert_u64(flows_of(r, 2), 25);
}

static void
weights_of_zero_alone_refuse_every_flow(void **state)
{
	struct rig *r = *state;
	int client;

	rig_add_target(r, 8);
	apply_groups(r, "forward:g0=0", one_each);
	client = rig_connect(r);
	assert_i64(rig_read_end(r, client), PEER_RST);
	close(client);
	assert_i64(rig_only_end(r)->reason, FLOW_END_NO_TARGET);
}

/* With stickiness in one group, the group is chosen by the address alone: all
 * clients here have the same one. */
static void
stickiness_keeps_a_client_with_one_group(void **state)
{
	struct rig *r = *state;
	char text[1024];

	rig_add_target(r, 4096);
	rig_add_target(r, 4096);
	snprintf(text, sizeof(text),
	    "[listener in]\nPort = 587\nSecurityGroups = none\n"
	    "DefaultActions = forward:a=1, forward:b=1\n"
	    "[target-group a]\nPort = 587\nTarget.t = Id=127.0.0.1,Port=%u\n"
	    "stickiness.enabled = true\n"
	    "[target-group b]\nPort = 587\nTarget.t = Id=127.0.0.1,Port=%u\n",
	    r->targets[0].addr.port, r->targets[1].addr.port);
	rig_apply(r, text);
	run_flows(r, 60);
	assert_u64(flows_of(r, 0) + flows_of(r, 1), 60);
	assert_true(flows_of(r, 0) == 0 || flows_of(r, 1) == 0);
}

/* A flow that still connects when its group is taken away goes to what the
 * new config says. */
static void
a_connecting_flow_follows_a_reload(void **state)
{
	struct rig *r = *state;
	struct black_hole hole;
	struct rig_flow f;

	rig_add_target(r, 1);
	rig_add_target(r, 8);
	assert_true(black_hole_open(&hole));
	r->targets[0].addr = hole.addr;
	apply_groups(r, "forward:g0", one_each);
	f.client = rig_connect(r);
	RIG_WAIT(r, rig_flow(r) != NULL);
	apply_groups(r, "forward:g1", one_each);
	rig_end_flows(r, 0, FLOW_END_TARGET_UNHEALTHY);
	f.target = rig_accept(r, 1);
	rig_close(f);
	RIG_WAIT(r, r->worker->n_flows == 0);
	black_hole_close(&hole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIG_TEST(flows_are_shared_by_weight),
	    RIG_TEST(a_reload_shifts_new_flows_and_leaves_the_old_ones),
	    RIG_TEST(retries_stay_in_the_chosen_group),
	    RIG_TEST(
		a_group_where_nobody_answers_leaves_its_flows_to_the_others),
	    RIG_TEST(
		a_group_without_a_routable_target_leaves_its_flows_to_the_others),
	    RIG_TEST(standby_takes_what_no_active_target_of_the_group_took),
	    RIG_TEST(weights_of_zero_alone_refuse_every_flow),
	    RIG_TEST(stickiness_keeps_a_client_with_one_group),
	    RIG_TEST(a_connecting_flow_follows_a_reload),
	};

	return cmocka_run_group_tests_name("flow_weights", tests, NULL, NULL);
}
