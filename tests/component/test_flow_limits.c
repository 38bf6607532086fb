/* worker/listener: limits, pauses, security group, accept errors. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "worker/listener.h"
#include "worker_fixture.h"

#define ALLOW_ALL "Inbound.all = Protocol=tcp,PortRange=587,Source=0.0.0.0/0\n"

static struct sb_listener *
counters(struct rig *r)
{
	return &r->block->listeners[0];
}

static void
expect_rejected(struct rig *r, int client, enum flow_end_reason reason)
{
	assert_i64(rig_read_end(r, client), PEER_RST);
	RIG_WAIT(r, r->n_ends > 0);
	assert_u64(r->n_ends, 1);
	assert_str(flow_end_reason_code(r->ends[0].reason),
	    flow_end_reason_code(reason));
	assert_i64(r->ends[0].target_slot, FLOW_SLOT_NONE);
	assert_u64(sb_get(&counters(r)->rejected_flows),
	    flow_end_reason_class(reason) == FLOW_END_REJECTED);
	assert_u64(sb_get(&r->block->ends[reason]), 1);
	close(client);
}

static void
a_source_outside_the_rules_is_reset_and_recorded(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 8);
	rig_apply_keys(r, "SecurityGroups = sg\n", "",
	    "[security-group sg]\n"
	    "Inbound.a = Protocol=tcp,PortRange=587,Source=192.0.2.0/24\n");
	expect_rejected(r, rig_connect(r), FLOW_END_SECURITY_GROUP);
	assert_u64(sb_get(&counters(r)->security_group_blocked), 1);
	assert_u64(sb_get(&counters(r)->new_flows), 0);
	assert_u64(sb_get(&r->block->accepted_flows), 1);
	assert_true(addr_equal(&r->ends[0].listener, &r->listeners[0].addr));
	assert_i64(peer_accept(r->targets[0].fd), -1);
}

static void
new_rules_count_for_new_flows_alone(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;

	rig_add_target(r, 8);
	rig_apply_keys(
	    r, "SecurityGroups = sg\n", "", "[security-group sg]\n" ALLOW_ALL);
	f = rig_open(r);
	rig_apply_keys(r, "SecurityGroups = sg\n", "",
	    "[security-group sg]\n"
	    "Inbound.a = Protocol=tcp,PortRange=587,Source=192.0.2.0/24\n");
	expect_rejected(r, rig_connect(r), FLOW_END_SECURITY_GROUP);
	peer_send_all(f.client, "NOOP", 4);
	rig_expect(r, f.target, "NOOP");
	rig_close(f);
}

static void
one_source_gets_no_more_than_its_share(void **state)
{
	struct rig *r = *state;
	struct rig_flow a, b;
	int client;

	r->max_flows_per_source = 2;
	rig_serve(r);
	a = rig_open(r);
	b = rig_open(r);
	expect_rejected(r, rig_connect(r), FLOW_END_SOURCE_LIMIT);
	/* A place that comes free may be taken again. */
	rig_close(a);
	RIG_WAIT(r, r->n_ends == 2);
	client = rig_connect(r);
	close(rig_accept(r, 0));
	close(client);
	rig_close(b);
}

static void
send_source_limit(struct rig *r, uint32_t limit, size_t size)
{
	assert_errno(channel_send(r->channel, CHANNEL_SOURCE_LIMIT, &limit,
			 size, NULL, 0),
	    0);
}

static void
the_share_of_a_source_may_change_without_a_config(void **state)
{
	struct rig *r = *state;
	struct rig_flow a, b;

	r->max_flows_per_source = 1;
	rig_serve(r);
	send_source_limit(r, 2, sizeof(uint32_t));
	send_source_limit(r, 0, 1); /* is none */
	RIG_WAIT(r, r->worker->max_flows_per_source == 2);
	a = rig_open(r);
	b = rig_open(r);
	expect_rejected(r, rig_connect(r), FLOW_END_SOURCE_LIMIT);
	rig_close(a);
	rig_close(b);
}

static void
flows_of_other_workers_count_for_a_source(void **state)
{
	struct rig *r = *state;
	struct sb_block *other = scoreboard_take(r->sb, 1, 0);
	struct rig_flow f;

	r->max_flows_per_source = 2;
	rig_serve(r);
	f = rig_open(r);
	atomic_store(&other->sources[rig_flow(r)->source->sketch_bucket], 1);
	expect_rejected(r, rig_connect(r), FLOW_END_SOURCE_LIMIT);
	rig_close(f);
}

/* ---- pauses ----------------------------------------------------------- */

/* Opens n flows, lets one more wait, ends one: then it is served. */
static void
expect_pause_after(struct rig *r, int n, const char *why)
{
	struct rig_flow f[8];
	int waiting, target;

	for (int i = 0; i < n; i++)
		f[i] = rig_open(r);
	waiting = rig_connect(r);
	RIG_WAIT(r, sb_get(&counters(r)->paused_workers) == 1);
	assert_i64(listener_find(r->worker, 0)->state, LISTENER_PAUSED);
	assert_u64(sb_get(&r->block->paused_listeners), 1);
	assert_u64(sb_get(&counters(r)->paused), 1);
	assert_true(rig_logged(r, why));
	/* It stays so: nobody is accepted, nobody is turned away. */
	for (int i = 0; i < 40; i++)
		rig_turn(r);
	assert_u64(r->worker->n_flows, n);
	assert_u64(sb_get(&counters(r)->paused), 1);
	peer_send_all(f[0].client, "NOOP", 4);
	rig_expect(r, f[0].target, "NOOP");
	rig_close(f[0]);
	target = rig_accept(r, 0);
	peer_send_all(waiting, "EHLO", 4);
	rig_expect(r, target, "EHLO");
	assert_u64(sb_get(&counters(r)->rejected_flows), 0);
	close(waiting);
	close(target);
	for (int i = 1; i < n; i++) {
		rig_close(f[i]);
	}
	RIG_WAIT(r, r->worker->n_flows == 0);
	RIG_WAIT(r, sb_get(&counters(r)->paused_workers) == 0);
	assert_u64(sb_get(&r->block->paused_listeners), 0);
}

static void
max_flows_of_the_worker_pauses(void **state)
{
	struct rig *r = *state;

	r->max_flows = 3;
	rig_serve(r);
	assert_u64(atomic_load(&r->block->max_flows), 3);
	expect_pause_after(r, 3, "MaxFlows and its descriptor limit");
}

static void
max_flows_of_the_listener_pauses(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 8);
	rig_apply_keys(r, "SecurityGroups = none\nMaxFlows = 2\n", "", "");
	expect_pause_after(r, 2, "the listener's MaxFlows");
}

static void
flows_of_other_workers_count_for_the_listener(void **state)
{
	struct rig *r = *state;
	struct sb_block *other = scoreboard_take(r->sb, 1, 0);

	rig_add_target(r, 8);
	rig_apply_keys(r, "SecurityGroups = none\nMaxFlows = 3\n", "", "");
	atomic_store(&other->listeners[0].active_flows, 1);
	expect_pause_after(r, 2, "the listener's MaxFlows");
}

static void
the_descriptor_budget_pauses(void **state)
{
	struct rig *r = *state;

	r->max_flows = 20;
	rig_serve(r);
	r->worker->budget.limit = r->worker->budget.used + 5; /* two flows */
	expect_pause_after(r, 2, "descriptor limit of this worker");
}

/* Two flows fit only when the pool gives its idle pipes back. */
static void
idle_pipes_make_room_for_flows(void **state)
{
	struct rig *r = *state;
	struct pipe *pipes[2];

	r->max_flows = 20;
	rig_serve(r);
	for (int i = 0; i < 2; i++)
		pipes[i] = pipe_pool_take(&r->worker->pipes);
	for (int i = 0; i < 2; i++)
		pipe_pool_give(&r->worker->pipes, pipes[i]);
	assert_u64(r->worker->pipes.n_idle, 2);
	r->worker->budget.limit = r->worker->budget.used + 1;
	expect_pause_after(r, 2, "descriptor limit of this worker");
	assert_u64(r->worker->pipes.n_idle, 0);
}

static void
max_flows_follow_from_the_descriptor_limit(void **state)
{
	struct rig *r = *state;
	const struct fd_budget *b = &r->worker->budget;

	rig_apply_keys(r, "", "", "");
	assert_u64(r->worker->max_flows,
	    (b->limit - b->base - 1) / FD_BUDGET_PER_FLOW);
	assert_u64(atomic_load(&r->block->max_flows), r->worker->max_flows);
}

/* A pipe in the pool takes no flow's place for good. */
static void
pipes_do_not_lower_max_flows_at_a_reload(void **state)
{
	struct rig *r = *state;
	uint32_t before;
	struct pipe *p;

	rig_apply_keys(r, "", "", "");
	before = r->worker->max_flows;
	p = pipe_pool_take(&r->worker->pipes);
	pipe_pool_give(&r->worker->pipes, p);
	p = pipe_pool_take(&r->worker->pipes);
	rig_apply_keys(r, "", "", "");
	assert_u64(r->worker->max_flows, before);
	pipe_pool_give(&r->worker->pipes, p);
}

/* One flow is all that fits; returns a client that waits. */
static int
pause_with_one(struct rig *r, struct rig_flow *f)
{
	int waiting;

	r->max_flows = 1;
	rig_serve(r);
	*f = rig_open(r);
	waiting = rig_connect(r);
	RIG_WAIT(r, sb_get(&counters(r)->paused_workers) == 1);
	return waiting;
}

static void
a_reload_that_gives_room_resumes(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;
	int waiting = pause_with_one(r, &f);

	r->max_flows = 10;
	rig_apply_keys(r, "", "", "");
	close(rig_accept(r, 0));
	assert_u64(sb_get(&counters(r)->paused_workers), 0);
	close(waiting);
	rig_close(f);
}

static void
a_paused_listener_that_is_removed_leaves_no_gauge(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;
	int waiting = pause_with_one(r, &f);

	rig_apply(r,
	    "[listener other]\nPort = 2525\nSecurityGroups = none\n"
	    "DefaultActions = forward:g\n[target-group g]\nPort = 25\n");
	assert_u64(sb_get(&counters(r)->paused_workers), 0);
	assert_u64(sb_get(&r->block->paused_listeners), 0);
	close(waiting);
	rig_close(f);
}

/* More clients than one turn accepts: all are served. */
static void
a_burst_is_accepted_over_several_turns(void **state)
{
	struct rig *r = *state;
	int clients[3 * LISTENER_ACCEPTS_PER_TURN];
	const int n = sizeof(clients) / sizeof(clients[0]);

	rig_add_target(r, 128);
	rig_apply_keys(r, "", "", "");
	for (int i = 0; i < n; i++)
		clients[i] = rig_connect(r);
	rig_turn(r);
	assert_u64_between(r->worker->n_flows, 1, LISTENER_ACCEPTS_PER_TURN);
	RIG_WAIT(r, r->worker->n_flows == (uint32_t)n);
	for (int i = 0; i < n; i++)
		close(clients[i]);
}

/* ---- accept errors ---------------------------------------------------- */

static void
emfile_at_accept_pauses_for_a_moment(void **state)
{
	struct rig *r = *state;
	int client;

	rig_serve(r);
	fault_set(FAULT_ACCEPT4, 0, 1, EMFILE);
	client = peer_connect(&r->listeners[0].addr);
	RIG_WAIT(r, sb_get(&counters(r)->paused_workers) == 1);
	assert_true(rig_logged(r, "Too many open files"));
	RIG_WAIT(r, r->worker->n_flows == 1);
	assert_u64(sb_get(&counters(r)->paused_workers), 0);
	close(client);
}

static void
an_error_of_one_connection_does_not_stop_the_next(void **state)
{
	struct rig *r = *state;
	int client;

	rig_serve(r);
	fault_set(FAULT_ACCEPT4, 0, 1, ECONNABORTED);
	client = rig_connect(r);
	RIG_WAIT(r, r->worker->n_flows == 1);
	assert_u64(fault_hits(FAULT_ACCEPT4), 1);
	assert_u64(sb_get(&counters(r)->paused), 0);
	close(client);
}

/* Somebody shut the shared socket down: accept says EINVAL for ever. */
static void
a_dead_listening_socket_can_be_closed(void **state)
{
	struct rig *r = *state;

	rig_serve(r);
	fault_set(FAULT_ACCEPT4, 0, 100000, EINVAL);
	listener_close(listener_find(r->worker, 0));
	assert_u64_between(fault_hits(FAULT_ACCEPT4), 1, 10);
	assert_true(TAILQ_EMPTY(&r->worker->listeners));
}

/* ---- no memory for a flow --------------------------------------------- */

static void
no_memory_for_the_source_is_no_resources(void **state)
{
	struct rig *r = *state;
	int client;

	rig_serve(r);
	client = rig_connect(r);
	fault_set(FAULT_CALLOC, 0, 1, ENOMEM);
	expect_rejected(r, client, FLOW_END_NO_RESOURCES);
}

static void
no_memory_for_the_flow_is_no_resources(void **state)
{
	struct rig *r = *state;
	int client;

	rig_serve(r);
	client = rig_connect(r);
	fault_set(FAULT_CALLOC, 1, 1, ENOMEM);
	expect_rejected(r, client, FLOW_END_NO_RESOURCES);
	assert_u64(sb_get(&counters(r)->new_flows), 0);
}

static void
a_client_that_cannot_be_watched_is_no_resources(void **state)
{
	struct rig *r = *state;
	int client;

	rig_serve(r);
	client = rig_connect(r);
	fault_set(FAULT_EPOLL_CTL, 0, 1, ENOMEM);
	expect_rejected(r, client, FLOW_END_NO_RESOURCES);
}

int
main(void)
{
	const struct CMUnitTest flow_limits[] = {
	    RIG_TEST(a_source_outside_the_rules_is_reset_and_recorded),
	    RIG_TEST(new_rules_count_for_new_flows_alone),
	    RIG_TEST(one_source_gets_no_more_than_its_share),
	    RIG_TEST(the_share_of_a_source_may_change_without_a_config),
	    RIG_TEST(flows_of_other_workers_count_for_a_source),
	    RIG_TEST(max_flows_of_the_worker_pauses),
	    RIG_TEST(max_flows_of_the_listener_pauses),
	    RIG_TEST(flows_of_other_workers_count_for_the_listener),
	    RIG_TEST(the_descriptor_budget_pauses),
	    RIG_TEST(idle_pipes_make_room_for_flows),
	    RIG_TEST(max_flows_follow_from_the_descriptor_limit),
	    RIG_TEST(pipes_do_not_lower_max_flows_at_a_reload),
	    RIG_TEST(a_reload_that_gives_room_resumes),
	    RIG_TEST(a_paused_listener_that_is_removed_leaves_no_gauge),
	    RIG_TEST(a_burst_is_accepted_over_several_turns),
	    RIG_TEST(emfile_at_accept_pauses_for_a_moment),
	    RIG_TEST(an_error_of_one_connection_does_not_stop_the_next),
	    RIG_TEST(a_dead_listening_socket_can_be_closed),
	    RIG_TEST(no_memory_for_the_source_is_no_resources),
	    RIG_TEST(no_memory_for_the_flow_is_no_resources),
	    RIG_TEST(a_client_that_cannot_be_watched_is_no_resources),
	};

	return cmocka_run_group_tests(flow_limits, NULL, NULL);
}
