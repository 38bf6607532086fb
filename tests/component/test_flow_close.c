/* worker/flow: how flows end, and what both sides see of it. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "worker_fixture.h"
#include "worker/listener.h"

static int
setup(void **state)
{
	rig_setup(state);
	rig_add_target(*state, 128);
	rig_apply_keys(*state, "", "", "");
	return 0;
}

/* Both sides see a reset, and the record and one reset counter say so. */
static void
expect_both_reset(struct rig *r, struct rig_flow f, enum flow_end_reason reason)
{
	const struct flow_record *end;

	assert_i64(rig_read_end(r, f.client), PEER_RST);
	assert_i64(rig_read_end(r, f.target), PEER_RST);
	end = rig_only_end(r);
	assert_str(
	    flow_end_reason_code(end->reason), flow_end_reason_code(reason));
	assert_i64(end->state, FLOW_CLOSING);
	assert_u64(sb_get(&r->block->listeners[0].elb_resets), 1);
	assert_u64(sb_get(&r->block->listeners[0].client_resets), 0);
	assert_u64(sb_get(&r->block->listeners[0].target_resets), 0);
	assert_u64(sb_get(&r->block->listeners[0].rejected_flows), 0);
	rig_close(f);
}

static void
client_reset_reaches_the_target_behind_the_data(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	peer_send_all(f.client, "MAIL FROM", 9);
	peer_reset(f.client);
	rig_expect(r, f.target, "MAIL FROM");
	assert_i64(rig_read_end(r, f.target), PEER_RST);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CLIENT_RST);
	assert_u64(rig_only_end(r)->client_to_target_bytes, 9);
	assert_u64(sb_get(&r->block->listeners[0].client_resets), 1);
	assert_u64(sb_get(&r->block->listeners[0].target_resets), 0);
	close(f.target);
}

static void
target_reset_reaches_the_client_behind_the_data(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	peer_send_all(f.target, "421 closing", 11);
	peer_reset(f.target);
	rig_expect(r, f.client, "421 closing");
	assert_i64(rig_read_end(r, f.client), PEER_RST);
	assert_i64(rig_only_end(r)->reason, FLOW_END_TARGET_RST);
	assert_u64(sb_get(&r->block->listeners[0].target_resets), 1);
	assert_u64(sb_get(&r->block->listeners[0].client_resets), 0);
	close(f.client);
}

/* "221 Bye" and the end of a mail: one segment and one wake-up of the client,
 * not two. */
static void
the_last_bytes_and_the_fin_go_out_as_one_segment(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	uint32_t before;

	RIG_WAIT(r, rig_flow(r)->state == FLOW_ESTABLISHED);
	before = peer_segments_in(f.client);
	peer_send_all(f.target, "221 Bye", 7);
	peer_fin(f.target);
	rig_expect(r, f.client, "221 Bye");
	assert_i64(rig_read_end(r, f.client), PEER_FIN);
	assert_u64(peer_segments_in(f.client) - before, 1);
	/* The other direction is as alive as before. */
	peer_send_all(f.client, "more", 4);
	rig_expect(r, f.target, "more");
	rig_close(f);
	RIG_WAIT(r, r->n_ends == 1);
}

static void
a_reset_after_fin_is_a_reset(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	peer_send_all(f.client, "QUIT", 4);
	peer_fin(f.client);
	rig_expect(r, f.target, "QUIT");
	assert_i64(rig_read_end(r, f.target), PEER_FIN);
	peer_reset(f.client);
	RIG_WAIT(r, r->n_ends == 1);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CLIENT_RST);
	close(f.target);
}

/* The client's data stands in our pipe and the target's full socket when the
 * client resets: all of it arrives, and then the reset, not a FIN. */
static void
a_reset_waits_until_a_slow_target_has_the_rest(void **state)
{
	static char buffer[PATTERN_MAX];
	struct rig *r = *state;
	struct rig_flow f = {.client = rig_connect(r)};
	size_t sent = 0, got = 0;
	enum peer_event e = PEER_NOTHING;

	f.target = rig_accept(r, 0);
	WAIT_UNTIL(rig_flow(r) != NULL &&
		       rig_flow(r)->state == FLOW_ESTABLISHED &&
		       pump_held_bytes(&rig_flow(r)->client_to_target) > 0,
	    {
		    sent += peer_send(f.client, pattern() + sent, 100000);
		    rig_turn(r);
	    });
	/* What is still in the client's own kernel dies with its reset. */
	peer_reset(f.client);
	RIG_WAIT(r, rig_flow(r)->state == FLOW_FLUSHING);
	assert_true(rig_flow(r)->in_flushing);
	WAIT_UNTIL(e == PEER_RST || e == PEER_FIN, {
		size_t n = 200000;

		rig_turn(r);
		e = peer_read(f.target, buffer + got, &n);
		got += n;
	});
	assert_i64(e, PEER_RST);
	assert_u64(got, rig_only_end(r)->client_to_target_bytes);
	assert_u64_between(got, 100000, sent);
	assert_memory_equal(buffer, pattern(), got);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CLIENT_RST);
	close(f.target);
}

/* Leaves a flow in FLUSHING: the target reset, the client does not read. */
static struct rig_flow
open_flushing(struct rig *r)
{
	struct rig_flow f = {.client = rig_connect(r)};
	size_t sent = 0;

	f.target = rig_accept(r, 0);
	WAIT_UNTIL(rig_flow(r) != NULL &&
		       rig_flow(r)->state == FLOW_ESTABLISHED &&
		       pump_held_bytes(&rig_flow(r)->target_to_client) > 0,
	    {
		    sent = peer_send(f.target, pattern(), 100000);
		    rig_turn(r);
	    });
	(void)sent;
	peer_reset(f.target);
	RIG_WAIT(r, rig_flow(r)->state == FLOW_FLUSHING);
	return f;
}

static void
a_flush_ends_at_its_deadline(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = open_flushing(r);

	fault_skip_clock(FLOW_FLUSH_DEADLINE_MS - 1000);
	for (int i = 0; i < 5; i++)
		rig_turn(r);
	assert_u64(r->worker->n_flows, 1);
	fault_skip_clock(1000 + WHEEL_TICK_MS);
	assert_i64(rig_only_end(r)->reason, FLOW_END_FLUSH_TIMEOUT);
	assert_u64(sb_get(&r->block->listeners[0].elb_resets), 1);
	close(f.client);
}

static void
a_flush_ends_when_the_other_side_resets_too(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = open_flushing(r);

	peer_reset(f.client);
	assert_i64(rig_only_end(r)->reason, FLOW_END_TARGET_RST);
}

static void
a_flushing_flow_may_be_ended_by_the_supervisor(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = open_flushing(r);

	rig_end_flows(r, 0, FLOW_END_DEREGISTERED);
	assert_i64(rig_only_end(r)->reason, FLOW_END_DEREGISTERED);
	close(f.client);
}

static void
out_of_memory_while_flushing_ends_the_flow(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = open_flushing(r);

	/* The pipe is emptied by hand, and there is no room for the rest. */
	rig_flow(r)->target_to_client.no_splice = true;
	rig_flow(r)->client.writable = true;
	fault_set(FAULT_MALLOC, 0, UINT32_MAX, ENOMEM);
	RIG_WAIT(r, r->worker->n_flows == 0);
	fault_reset();
	assert_i64(rig_only_end(r)->reason, FLOW_END_NO_RESOURCES);
	close(f.client);
}

static void
out_of_memory_in_the_middle_ends_the_flow(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	r->worker->budget.limit = r->worker->budget.used; /* no pipes */
	fault_set(FAULT_MALLOC, 0, UINT32_MAX, ENOMEM);
	WAIT_UNTIL(r->worker->n_flows == 0, {
		size_t n = 0;

		if (send(f.client, pattern(), 100000, MSG_NOSIGNAL) > 0)
			n++;
		rig_turn(r);
	});
	fault_reset();
	assert_i64(rig_only_end(r)->reason, FLOW_END_NO_RESOURCES);
	rig_close(f);
}

/* ---- idle timeout ----------------------------------------------------- */

static void
an_idle_flow_is_reset_after_its_time_and_not_before(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	fault_skip_clock(349 * 1000);
	for (int i = 0; i < 5; i++)
		rig_turn(r);
	assert_u64(r->worker->n_flows, 1);
	fault_skip_clock(1000 + WHEEL_TICK_MS);
	expect_both_reset(r, f, FLOW_END_IDLE_TIMEOUT);
}

static void
bytes_either_way_start_the_idle_time_anew(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	fault_skip_clock(300 * 1000);
	peer_send_all(f.client, "NOOP", 4);
	rig_expect(r, f.target, "NOOP");
	fault_skip_clock(300 * 1000);
	for (int i = 0; i < 5; i++)
		rig_turn(r);
	assert_u64(r->worker->n_flows, 1);
	peer_send_all(f.target, "250 ok", 6);
	rig_expect(r, f.client, "250 ok");
	fault_skip_clock(300 * 1000);
	for (int i = 0; i < 5; i++)
		rig_turn(r);
	assert_u64(r->worker->n_flows, 1);
	fault_skip_clock(50 * 1000 + WHEEL_TICK_MS);
	expect_both_reset(r, f, FLOW_END_IDLE_TIMEOUT);
}

static void
an_idle_time_of_more_than_a_wheel_round_is_kept(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;

	rig_apply_keys(r,
	    "SecurityGroups = none\ntcp.idle_timeout.seconds = 6000\n", "", "");
	f = rig_open(r);
	for (int i = 0; i < 10; i++) {
		fault_skip_clock(599 * 1000);
		rig_turn(r);
	}
	assert_u64(r->worker->n_flows, 1);
	fault_skip_clock(10 * 1000 + WHEEL_TICK_MS);
	expect_both_reset(r, f, FLOW_END_IDLE_TIMEOUT);
}

static void
a_shorter_idle_time_counts_from_the_reload_on(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	fault_skip_clock(100 * 1000);
	rig_turn(r);
	rig_apply_keys(r,
	    "SecurityGroups = none\ntcp.idle_timeout.seconds = 60\n", "", "");
	/* 128 ms at most, not the 250 s that were left. */
	expect_both_reset(r, f, FLOW_END_IDLE_TIMEOUT);
}

/* The loop stalled, not the peers: bytes that came in time save the flow. */
static void
waiting_bytes_win_over_the_idle_timer_after_a_stall(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	peer_send_all(f.client, "NOOP", 4);
	fault_skip_clock(400 * 1000);
	rig_expect(r, f.target, "NOOP");
	for (int i = 0; i < 5; i++)
		rig_turn(r);
	assert_u64(r->worker->n_flows, 1);
	rig_close(f);
}

/* As above, and no event has come yet when the timer looks. */
static void
bytes_nobody_was_told_of_win_over_the_idle_timer(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	struct flow *flow = rig_flow(r);

	peer_send_all(f.client, "NOOP", 4);
	r->worker->poller.now_ms += 400 * 1000;
	wheel_remove(&r->worker->wheel, &flow->timer);
	flow_on_timer(r->worker, &flow->timer);
	assert_i64(flow->state, FLOW_ESTABLISHED);
	rig_expect(r, f.target, "NOOP");
	rig_close(f);
}

/* Input that we leave in the kernel because the other side is slow does not
 * count as life. */
static void
a_blocked_flow_still_times_out(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	WAIT_UNTIL(pump_held_bytes(&rig_flow(r)->client_to_target) > 0, {
		(void)peer_send(f.client, pattern(), 100000);
		rig_turn(r);
	});
	(void)peer_send(f.client, pattern(), 100000);
	for (int i = 0; i < 5; i++)
		rig_turn(r);
	fault_skip_clock(350 * 1000 + WHEEL_TICK_MS);
	assert_i64(rig_only_end(r)->reason, FLOW_END_IDLE_TIMEOUT);
	assert_u64(sb_get(&r->block->listeners[0].elb_resets), 1);
	rig_close(f);
}

/* ---- told by the supervisor ------------------------------------------- */

static void
ended_by_message(struct rig *r, enum flow_end_reason reason)
{
	struct rig_flow f = rig_open(r);

	rig_end_flows(r, 0, reason);
	expect_both_reset(r, f, reason);
}

static void
flows_of_a_deregistered_target_are_reset(void **state)
{
	ended_by_message(*state, FLOW_END_DEREGISTERED);
}

static void
flows_of_an_unhealthy_target_are_reset(void **state)
{
	ended_by_message(*state, FLOW_END_TARGET_UNHEALTHY);
}

static void
flows_of_other_targets_go_on(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	struct channel_end_flows m = {
	    .target_slot = 11, .reason = FLOW_END_DEREGISTERED};

	rig_send(r, CHANNEL_END_FLOWS, &m, sizeof(m));
	peer_send_all(f.client, "NOOP", 4);
	rig_expect(r, f.target, "NOOP");
	assert_u64(r->n_ends, 0);
	rig_close(f);
}

static void
stop_resets_all_flows_and_stops_the_worker(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	rig_send(r, CHANNEL_STOP, NULL, 0);
	RIG_WAIT(r, r->worker->poller.stopped);
	expect_both_reset(r, f, FLOW_END_SHUTDOWN);
}

static void
a_drained_worker_stops_with_its_last_flow(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	int late;

	rig_send(r, CHANNEL_DRAIN, NULL, 0);
	RIG_WAIT(r, r->worker->draining);
	assert_i64(atomic_load(&r->block->state), SB_BLOCK_DRAINING);
	assert_true(TAILQ_EMPTY(&r->worker->listeners));
	/* The supervisor's copy of the socket still takes connections. */
	late = rig_connect(r);
	peer_send_all(f.client, "still here", 10);
	rig_expect(r, f.target, "still here");
	assert_u64(r->worker->n_flows, 1);
	assert_false(r->worker->poller.stopped);
	peer_fin(f.client);
	peer_fin(f.target);
	RIG_WAIT(r, r->worker->poller.stopped);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CLIENT_FIN);
	rig_close(f);
	close(late);
}

static void
a_drain_takes_what_waits_in_the_queue_first(void **state)
{
	struct rig *r = *state;
	int clients[5];

	for (int i = 0; i < 5; i++)
		clients[i] = rig_connect(r);
	worker_drain(r->worker);
	assert_u64(r->worker->n_flows, 5);
	rig_send(r, CHANNEL_STOP, NULL, 0);
	RIG_WAIT(r, r->worker->poller.stopped && r->n_ends == 5);
	for (int i = 0; i < 5; i++)
		close(clients[i]);
}

static void
a_flow_may_end_while_it_waits_for_its_next_turn(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	struct flow *flow = rig_flow(r);

	/* As after PUMP_BUSY. */
	flow->in_busy = true;
	STAILQ_INSERT_TAIL(&r->worker->busy, flow, queued);
	flow_end(flow, FLOW_END_ADMIN);
	flow_end(flow, FLOW_END_SHUTDOWN); /* too late */
	expect_both_reset(r, f, FLOW_END_ADMIN);
	assert_true(STAILQ_EMPTY(&r->worker->busy));
}

/* Both events stand in the same batch; the first one ends the flow. */
static void
two_resets_in_one_batch_end_the_flow_once(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	peer_reset(f.client);
	peer_reset(f.target);
	RIG_WAIT(r, r->n_ends > 0);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CLIENT_RST);
}

/* The client's FIN is met first, and cannot be passed on any more. */
static void
a_fin_for_a_target_that_has_reset_is_a_reset(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	peer_fin(f.client);
	peer_reset(f.target);
	assert_i64(rig_read_end(r, f.client), PEER_RST);
	assert_i64(rig_only_end(r)->reason, FLOW_END_TARGET_RST);
	close(f.client);
}

/* The kernel refuses a call for a reason of its own: the socket still lives,
 * and a plain close would end a cut stream with FIN. */
static void
a_cut_stream_never_ends_in_fin(void **state)
{
	static char buffer[PATTERN_MAX];
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	enum peer_event e = PEER_NOTHING;

	fault_set(FAULT_SPLICE, 1, 1, ENOBUFS); /* out of the pipe */
	WAIT_UNTIL(fault_hits(FAULT_SPLICE) == 1, {
		(void)peer_send(f.client, pattern(), 100000);
		rig_turn(r);
	});
	WAIT_UNTIL(e == PEER_FIN || e == PEER_RST, {
		size_t n = sizeof(buffer);

		rig_turn(r);
		e = peer_read(f.target, buffer, &n);
	});
	assert_i64(e, PEER_RST);
	/* At once, not at the flush's deadline. */
	assert_i64(rig_only_end(r)->reason, FLOW_END_TARGET_RST);
	rig_close(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest flow_close[] = {
	    TEST(client_reset_reaches_the_target_behind_the_data),
	    TEST(target_reset_reaches_the_client_behind_the_data),
	    TEST(the_last_bytes_and_the_fin_go_out_as_one_segment),
	    TEST(a_reset_after_fin_is_a_reset),
	    TEST(a_reset_waits_until_a_slow_target_has_the_rest),
	    TEST(a_flush_ends_at_its_deadline),
	    TEST(a_flush_ends_when_the_other_side_resets_too),
	    TEST(a_flushing_flow_may_be_ended_by_the_supervisor),
	    TEST(out_of_memory_while_flushing_ends_the_flow),
	    TEST(out_of_memory_in_the_middle_ends_the_flow),
	    TEST(an_idle_flow_is_reset_after_its_time_and_not_before),
	    TEST(bytes_either_way_start_the_idle_time_anew),
	    TEST(an_idle_time_of_more_than_a_wheel_round_is_kept),
	    TEST(a_shorter_idle_time_counts_from_the_reload_on),
	    TEST(waiting_bytes_win_over_the_idle_timer_after_a_stall),
	    TEST(bytes_nobody_was_told_of_win_over_the_idle_timer),
	    TEST(a_blocked_flow_still_times_out),
	    TEST(flows_of_a_deregistered_target_are_reset),
	    TEST(flows_of_an_unhealthy_target_are_reset),
	    TEST(flows_of_other_targets_go_on),
	    TEST(stop_resets_all_flows_and_stops_the_worker),
	    TEST(a_drained_worker_stops_with_its_last_flow),
	    TEST(a_drain_takes_what_waits_in_the_queue_first),
	    TEST(a_flow_may_end_while_it_waits_for_its_next_turn),
	    TEST(two_resets_in_one_batch_end_the_flow_once),
	    TEST(a_cut_stream_never_ends_in_fin),
	    TEST(a_fin_for_a_target_that_has_reset_is_a_reset),
	};

	return cmocka_run_group_tests(flow_close, NULL, NULL);
}
