/* worker/flow_connect: refused, silent and missing targets, the next one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "support/loop_support.h"
#include "worker_fixture.h"
#include "worker/listener.h"

/* The client is reset, and the record, the reason's counter and
 * RejectedFlowCount say so, but for what rules have blocked; no other counter
 * does. */
static const struct flow_record *
expect_rejected(struct rig *r, int client, enum flow_end_reason reason)
{
	const struct flow_record *end;

	assert_i64(rig_read_end(r, client), PEER_RST);
	end = rig_only_end(r);
	assert_str(
	    flow_end_reason_code(end->reason), flow_end_reason_code(reason));
	assert_i64(end->state, FLOW_CLOSING);
	assert_u64(sb_get(&r->block->listeners[0].rejected_flows),
	    flow_end_reason_class(reason) == FLOW_END_REJECTED);
	assert_u64(sb_get(&r->block->listeners[0].elb_resets), 0);
	close(client);
	return end;
}

static void
no_registered_target_is_no_target(void **state)
{
	struct rig *r = *state;
	const struct flow_record *end;

	rig_apply_keys(r, "", "", "");
	end = expect_rejected(r, rig_connect(r), FLOW_END_NO_TARGET);
	assert_i64(end->target_slot, FLOW_SLOT_NONE);
	assert_i64(end->target.family, ADDR_NONE);
	assert_u64(end->connect_us, 0);
}

static void
no_routable_target_is_no_target(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 8);
	rig_set_flags(r, 0, 0);
	rig_apply_keys(r, "", "", "");
	expect_rejected(r, rig_connect(r), FLOW_END_NO_TARGET);
}

static void
outbound_rules_keep_flows_from_targets(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 8);
	rig_apply_keys(r, "SecurityGroups = sg\n", "",
	    "[security-group sg]\n"
	    "Inbound.all = Protocol=tcp,PortRange=587,Source=0.0.0.0/0\n"
	    "Outbound.a = Protocol=tcp,PortRange=25,Destination=10.0.0.0/8\n");
	expect_rejected(r, rig_connect(r), FLOW_END_SECURITY_GROUP_OUTBOUND);
	assert_u64(sb_get(&r->block->targets[10].connect_failures), 0);
	assert_u64(
	    sb_get(&r->block->listeners[0].security_group_blocked_outbound), 1);
}

static void
outbound_rules_pick_among_targets(void **state)
{
	struct rig *r = *state;
	char sg[512];

	rig_add_closed_target(r);
	rig_add_target(r, 8);
	snprintf(sg, sizeof(sg),
	    "[security-group sg]\n"
	    "Inbound.all = Protocol=tcp,PortRange=587,Source=0.0.0.0/0\n"
	    "Outbound.a = Protocol=tcp,PortRange=%u,Destination=127.0.0.1/32\n",
	    r->targets[1].addr.port);
	rig_apply_keys(r, "SecurityGroups = sg\n", "", sg);
	for (int i = 0; i < 20; i++) {
		int client = rig_connect(r);

		close(rig_accept(r, 1));
		close(client);
	}
	assert_u64(sb_get(&r->block->targets[10].connect_failures), 0);
}

static void
a_refusing_target_is_connect_refused(void **state)
{
	struct rig *r = *state;
	const struct flow_record *end;

	rig_add_closed_target(r);
	rig_apply_keys(r, "", "", "");
	end = expect_rejected(r, rig_connect(r), FLOW_END_CONNECT_REFUSED);
	assert_u64(end->connect_us, 0);
	assert_i64(end->retries, 0);
	assert_u64(sb_get(&r->block->targets[10].connect_failures), 1);
	assert_u64(sb_get(&r->block->targets[10].new_flows), 0);
	assert_u64(sb_get(&r->block->listeners[0].connect_retries), 0);
}

static void
the_next_target_is_asked_and_the_bytes_arrive(void **state)
{
	struct rig *r = *state;
	uint64_t failures;

	rig_add_target(r, 64);
	rig_add_closed_target(r);
	rig_add_closed_target(r);
	rig_apply_keys(r, "", "", "");
	for (int i = 0; i < 20; i++) {
		struct rig_flow f = {.client = rig_connect(r)};

		peer_send_all(f.client, "EHLO", 4);
		f.target = rig_accept(r, 0);
		rig_expect(r, f.target, "EHLO");
		rig_close(f);
	}
	RIG_WAIT(r, r->n_ends == 20);
	failures = sb_get(&r->block->targets[11].connect_failures) +
		   sb_get(&r->block->targets[12].connect_failures);
	assert_u64_between(failures, 1, 40);
	assert_u64(sb_get(&r->block->listeners[0].connect_retries), failures);
	assert_u64(sb_get(&r->block->targets[10].new_flows), 20);
	for (size_t i = 0; i < 20; i++) {
		assert_i64(r->ends[i].target_slot, 10);
		failures -= r->ends[i].retries;
	}
	assert_u64(failures, 0);
}

static void
no_flow_tries_more_than_eight_targets(void **state)
{
	struct rig *r = *state;
	const struct flow_record *end;

	for (int i = 0; i < CONF_CONNECT_TARGETS_MAX + 2; i++)
		rig_add_closed_target(r);
	rig_apply_keys(r, "", "", "");
	end = expect_rejected(r, rig_connect(r), FLOW_END_CONNECT_REFUSED);
	assert_i64(end->retries, CONF_CONNECT_TARGETS_MAX - 1);
	assert_u64(sb_get(&r->block->listeners[0].connect_retries),
	    CONF_CONNECT_TARGETS_MAX - 1);
}

/* ---- silent targets --------------------------------------------------- */

/* Makes target 0 swallow SYNs. */
static struct black_hole
add_black_hole(struct rig *r)
{
	struct black_hole hole;

	rig_add_target(r, 1);
	assert_true(black_hole_open(&hole));
	r->targets[0].addr = hole.addr;
	return hole;
}

/* Two targets, the first one alone until it is being asked. */
static void
serve_first_alone(struct rig *r)
{
	rig_add_target(r, 8);
	rig_set_flags(r, 1, 0);
	rig_apply_keys(r, "", "", "");
}

/* The first one did not answer in its time. */
static int
accept_second(struct rig *r)
{
	rig_set_flags(r, 1, SB_ROUTABLE);
	fault_skip_clock(3000 + WHEEL_TICK_MS);
	return rig_accept(r, 1);
}

static void
a_silent_target_is_connect_timeout(void **state)
{
	struct rig *r = *state;
	struct black_hole hole = add_black_hole(r);
	int client;

	rig_apply_keys(r, "", "", "");
	client = rig_connect(r);
	RIG_WAIT(r, rig_flow(r) != NULL);
	fault_skip_clock(2500);
	for (int i = 0; i < 5; i++)
		rig_turn(r);
	assert_u64(r->worker->n_flows, 1);
	assert_i64(rig_flow(r)->state, FLOW_CONNECTING);
	fault_skip_clock(500 + WHEEL_TICK_MS);
	expect_rejected(r, client, FLOW_END_CONNECT_TIMEOUT);
	assert_u64(sb_get(&r->block->targets[10].connect_failures), 1);
	black_hole_close(&hole);
}

static void
a_silent_target_does_not_keep_the_next_from_its_turn(void **state)
{
	struct rig *r = *state;
	struct black_hole hole = add_black_hole(r);
	struct rig_flow f;

	serve_first_alone(r);
	f.client = rig_connect(r);
	peer_send_all(f.client, "EHLO", 4);
	RIG_WAIT(r, rig_flow(r) != NULL);
	f.target = accept_second(r);
	rig_expect(r, f.target, "EHLO");
	rig_close(f);
	RIG_WAIT(r, r->n_ends == 1);
	assert_i64(rig_only_end(r)->retries, 1);
	black_hole_close(&hole);
}

static void
the_whole_search_has_an_end(void **state)
{
	struct rig *r = *state;
	struct black_hole hole = add_black_hole(r);
	int client;

	rig_add_target(r, 8);
	rig_set_flags(r, 1, 0);
	rig_apply_keys(r, "", "ConnectTotalSeconds = 3\n", "");
	client = rig_connect(r);
	RIG_WAIT(r, rig_flow(r) != NULL);
	/* A second target would take it, but the time is up. */
	rig_set_flags(r, 1, SB_ROUTABLE);
	fault_skip_clock(3000 + WHEEL_TICK_MS);
	expect_rejected(r, client, FLOW_END_CONNECT_TIMEOUT);
	assert_i64(peer_accept(r->targets[1].fd), -1);
	black_hole_close(&hole);
}

/* Our loop stalled; the target had answered in time. */
static void
an_answer_that_waits_in_the_kernel_wins_over_the_deadline(void **state)
{
	struct rig *r = *state;
	struct flow *flow;
	int client, target;

	rig_serve(r);
	client = rig_connect(r);
	listener_close(listener_find(r->worker, 0)); /* accepts first */
	flow = rig_flow(r);
	assert_i64(flow->state, FLOW_CONNECTING);
	WAIT_UNTIL((target = peer_accept(r->targets[0].fd)) != -1, );
	flow_connect_timeout(flow);
	assert_i64(flow->state, FLOW_CONNECTING);
	RIG_WAIT(r, flow->state == FLOW_ESTABLISHED);
	assert_u64(sb_get(&r->block->targets[10].connect_failures), 0);
	close(client);
	close(target);
}

/* The target goes while flows are still connecting to it: they are not reset,
 * the next target has them. */
static void
a_connecting_flow_outlives_its_targets_end(void **state)
{
	struct rig *r = *state;
	struct black_hole hole = add_black_hole(r);
	struct rig_flow f;

	serve_first_alone(r);
	f.client = rig_connect(r);
	RIG_WAIT(r, rig_flow(r) != NULL);
	rig_set_flags(r, 0, 0);
	rig_set_flags(r, 1, SB_ROUTABLE);
	rig_end_flows(r, 0, FLOW_END_TARGET_UNHEALTHY);
	f.target = rig_accept(r, 1);
	peer_send_all(f.client, "EHLO", 4);
	rig_expect(r, f.target, "EHLO");
	assert_u64(r->n_ends, 0);
	assert_u64(sb_get(&r->block->targets[10].active_flows), 0);
	rig_close(f);
	black_hole_close(&hole);
}

/* ---- clients that leave ----------------------------------------------- */

static void
a_client_that_resets_while_connecting_ends_the_flow(void **state)
{
	struct rig *r = *state;
	struct black_hole hole = add_black_hole(r);
	int client;

	rig_apply_keys(r, "", "", "");
	client = rig_connect(r);
	RIG_WAIT(r, rig_flow(r) != NULL);
	peer_reset(client);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CLIENT_RST);
	assert_u64(sb_get(&r->block->listeners[0].client_resets), 1);
	black_hole_close(&hole);
}

static void
what_a_client_said_before_its_reset_still_reaches_a_target(void **state)
{
	struct rig *r = *state;
	struct black_hole hole = add_black_hole(r);
	int client, target;

	serve_first_alone(r);
	client = rig_connect(r);
	RIG_WAIT(r, rig_flow(r) != NULL);
	peer_send_all(client, "last words", 10);
	peer_reset(client);
	RIG_WAIT(r, rig_flow(r)->client.error != 0);
	assert_i64(rig_flow(r)->state, FLOW_CONNECTING);
	target = accept_second(r);
	rig_expect(r, target, "last words");
	assert_i64(rig_read_end(r, target), PEER_RST);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CLIENT_RST);
	close(target);
	black_hole_close(&hole);
}

static void
a_client_fin_while_connecting_is_passed_on_later(void **state)
{
	struct rig *r = *state;
	struct black_hole hole = add_black_hole(r);
	int client, target;

	serve_first_alone(r);
	client = rig_connect(r);
	peer_fin(client);
	RIG_WAIT(r, rig_flow(r) != NULL && rig_flow(r)->client.fin_pending);
	target = accept_second(r);
	assert_i64(rig_read_end(r, target), PEER_FIN);
	peer_send_all(target, "220", 3);
	rig_expect(r, client, "220");
	close(client);
	close(target);
	black_hole_close(&hole);
}

/* ---- targets that answer and go --------------------------------------- */

/* Accepted, and the target does this, before the worker sees any of it. */
static struct rig_flow
answer_unseen(struct rig *r, size_t target, const char *say)
{
	struct rig_flow f = {.client = rig_connect(r)};

	listener_close(listener_find(r->worker, 0));
	WAIT_UNTIL((f.target = peer_accept(r->targets[target].fd)) != -1, );
	if (say[0] != '\0')
		peer_send_all(f.target, say, strlen(say));
	peer_reset(f.target);
	return f;
}

static void
a_target_that_resets_at_once_counts_as_refused(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;

	rig_serve(r);
	f = answer_unseen(r, 0, "");
	expect_rejected(r, f.client, FLOW_END_CONNECT_REFUSED);
}

static void
a_target_that_says_why_before_it_resets_is_heard(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;

	rig_serve(r);
	f = answer_unseen(r, 0, "421 too busy");
	rig_expect(r, f.client, "421 too busy");
	assert_i64(rig_read_end(r, f.client), PEER_RST);
	assert_i64(rig_only_end(r)->reason, FLOW_END_TARGET_RST);
	close(f.client);
}

static void
a_connect_that_succeeds_at_once_is_used(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;

	rig_serve(r);
	f.client = rig_connect(r); /* first: it connects, too */
	fault_set(FAULT_CONNECT, 0, 1, 0);
	f.target = rig_accept(r, 0);
	assert_u64(fault_hits(FAULT_CONNECT), 1);
	peer_send_all(f.client, "EHLO", 4);
	rig_expect(r, f.target, "EHLO");
	peer_send_all(f.target, "250", 3);
	rig_expect(r, f.client, "250");
	rig_close(f);
}

/* ---- our own shortages ------------------------------------------------ */

static void
no_source_port_is_port_allocation(void **state)
{
	struct rig *r = *state;
	int client;

	rig_serve(r);
	client = rig_connect(r);
	fault_set(FAULT_CONNECT, 0, 1, EADDRNOTAVAIL);
	expect_rejected(r, client, FLOW_END_PORT_ALLOCATION);
	assert_u64(sb_get(&r->block->listeners[0].port_allocation_errors), 1);
	/* The target is not to blame. */
	assert_u64(sb_get(&r->block->targets[10].connect_failures), 0);
}

static void
waits_for(struct rig *r, enum fault_call call, unsigned skip, int err)
{
	struct rig_flow f;

	rig_serve(r);
	f.client = rig_connect(r);
	fault_set(call, skip, 1, err);
	RIG_WAIT(r, fault_hits(call) == 1);
	assert_u64(r->worker->n_flows, 1);
	assert_i64(rig_flow(r)->state, FLOW_CONNECTING);
	assert_u64(sb_get(&r->block->targets[10].active_flows), 0);
	/* A socket that could not be watched had connected already. */
	if (call == FAULT_EPOLL_CTL)
		close(rig_accept(r, 0));
	/* Asked again in a moment, without harm. */
	f.target = rig_accept(r, 0);
	peer_send_all(f.client, "EHLO", 4);
	rig_expect(r, f.target, "EHLO");
	assert_u64(sb_get(&r->block->targets[10].connect_failures), 0);
	assert_u64(sb_get(&r->block->listeners[0].connect_retries), 0);
	rig_close(f);
	RIG_WAIT(r, r->n_ends == 1);
	assert_i64(rig_only_end(r)->retries, 0);
}

static void
a_missing_descriptor_is_waited_for(void **state)
{
	waits_for(*state, FAULT_SOCKET, 0, EMFILE);
}

static void
missing_memory_of_the_kernel_is_waited_for(void **state)
{
	/* 0: the client's socket */
	waits_for(*state, FAULT_EPOLL_CTL, 1, ENOMEM);
}

static void
a_shortage_that_stays_ends_the_flow(void **state)
{
	struct rig *r = *state;
	int client;

	rig_add_target(r, 8);
	rig_apply_keys(r, "", "ConnectTotalSeconds = 1\n", "");
	client = rig_connect(r);
	fault_set(FAULT_SOCKET, 0, UINT32_MAX, EMFILE);
	RIG_WAIT(r, fault_hits(FAULT_SOCKET) >= 2);
	fault_skip_clock(2000);
	expect_rejected(r, client, FLOW_END_NO_RESOURCES);
	assert_u64(sb_get(&r->block->targets[10].connect_failures), 0);
}

/* ---- fail open, stickiness -------------------------------------------- */

static void
flows_of_a_group_that_fails_open_are_counted(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;

	rig_add_target(r, 8);
	rig_set_flags(r, 0, SB_ROUTABLE | SB_FAIL_OPEN);
	rig_apply_keys(r, "", "", "");
	f = rig_open(r);
	assert_u64(sb_get(&r->block->listeners[0].unhealthy_routing_flows), 1);
	rig_close(f);
}

static void
a_sticky_source_stays_with_its_target(void **state)
{
	struct rig *r = *state;
	uint64_t a, b;

	rig_add_target(r, 64);
	rig_add_target(r, 64);
	rig_apply_keys(r, "", "stickiness.enabled = true\n", "");
	for (int i = 0; i < 20; i++) {
		close(rig_connect(r));
		RIG_WAIT(
		    r, sb_get(&r->block->accepted_flows) == (uint64_t)i + 1);
	}
	RIG_WAIT(r, sb_get(&r->block->targets[10].new_flows) +
			    sb_get(&r->block->targets[11].new_flows) ==
			20);
	a = sb_get(&r->block->targets[10].new_flows);
	b = sb_get(&r->block->targets[11].new_flows);
	assert_true(a == 0 || b == 0);
}

int
main(void)
{
	const struct CMUnitTest flow_connect[] = {
	    RIG_TEST(no_registered_target_is_no_target),
	    RIG_TEST(no_routable_target_is_no_target),
	    RIG_TEST(outbound_rules_keep_flows_from_targets),
	    RIG_TEST(outbound_rules_pick_among_targets),
	    RIG_TEST(a_refusing_target_is_connect_refused),
	    RIG_TEST(the_next_target_is_asked_and_the_bytes_arrive),
	    RIG_TEST(no_flow_tries_more_than_eight_targets),
	    RIG_TEST(a_silent_target_is_connect_timeout),
	    RIG_TEST(a_silent_target_does_not_keep_the_next_from_its_turn),
	    RIG_TEST(the_whole_search_has_an_end),
	    RIG_TEST(an_answer_that_waits_in_the_kernel_wins_over_the_deadline),
	    RIG_TEST(a_connecting_flow_outlives_its_targets_end),
	    RIG_TEST(a_client_that_resets_while_connecting_ends_the_flow),
	    RIG_TEST(
		what_a_client_said_before_its_reset_still_reaches_a_target),
	    RIG_TEST(a_client_fin_while_connecting_is_passed_on_later),
	    RIG_TEST(a_target_that_resets_at_once_counts_as_refused),
	    RIG_TEST(a_target_that_says_why_before_it_resets_is_heard),
	    RIG_TEST(a_connect_that_succeeds_at_once_is_used),
	    RIG_TEST(no_source_port_is_port_allocation),
	    RIG_TEST(a_missing_descriptor_is_waited_for),
	    RIG_TEST(missing_memory_of_the_kernel_is_waited_for),
	    RIG_TEST(a_shortage_that_stays_ends_the_flow),
	    RIG_TEST(flows_of_a_group_that_fails_open_are_counted),
	    RIG_TEST(a_sticky_source_stays_with_its_target),
	};

	return cmocka_run_group_tests(flow_connect, NULL, NULL);
}
