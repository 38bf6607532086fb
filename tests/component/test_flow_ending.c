/* Component tests of worker/ending: a target loses many flows at once, and the
 * others do not notice. */
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "worker/ending.h"
#include "worker_fixture.h"

/* Four batches, and a fifth that is not full. */
#define MANY (4 * ENDING_FLOWS_PER_TURN + 8)

static struct rig_flow flows[MANY];

static const struct sb_target_counters *
counters(const struct rig *r, size_t target)
{
	return &r->block->targets[r->targets[target].slot];
}

/* The target that new flows go to, and no other. */
static void
route_to(struct rig *r, size_t target)
{
	for (size_t i = 0; i < r->n_targets; i++)
		rig_set_flags(r, i, i == target ? SB_ROUTABLE : 0);
}

static struct rig_flow
open_on(struct rig *r, size_t target)
{
	uint64_t before = sb_get(&counters(r, target)->new_flows);
	struct rig_flow f = {.client = rig_connect(r)};

	f.target = rig_accept(r, target);
	RIG_WAIT(r, sb_get(&counters(r, target)->new_flows) > before);
	return f;
}

/* Two targets; the first one has many flows. */
static void
open_many(struct rig *r)
{
	rig_add_target(r, 64);
	rig_add_target(r, 64);
	rig_apply_keys(r, "", "", "");
	route_to(r, 0);
	for (size_t i = 0; i < MANY; i++)
		flows[i] = open_on(r, 0);
	route_to(r, 1);
}

static void
close_flow(struct rig_flow f)
{
	rig_close(f);
}

/* All of the first target's flows are reset, with that reason. */
static void
expect_many_ended(struct rig *r, enum flow_end_reason reason)
{
	RIG_WAIT(r, r->n_ends == MANY);
	for (size_t i = 0; i < MANY; i++) {
		assert_i64(r->ends[i].reason, reason);
		assert_u64(r->ends[i].target_slot, r->targets[0].slot);
		assert_i64(rig_read_end(r, flows[i].client), PEER_RST);
		assert_i64(rig_read_end(r, flows[i].target), PEER_RST);
		close_flow(flows[i]);
	}
	assert_u64(sb_get(&counters(r, 0)->active_flows), 0);
}

/* The worker's kernel has what was sent. */
static bool
has_arrived(int fd)
{
	int unacked = 1;

	return ioctl(fd, SIOCOUTQ, &unacked) == 0 && unacked == 0;
}

static void
other_flows_get_their_turn_between_batches(void **state)
{
	struct rig *r = *state;
	struct rig_flow other;
	uint64_t sent = 0, turns = 0;

	open_many(r);
	other = open_on(r, 1);
	rig_end_flows(r, 0, FLOW_END_TARGET_UNHEALTHY);
	while (r->worker->n_flows > 1) {
		uint32_t before = r->worker->n_flows;

		peer_send_all(other.client, ".", 1);
		sent++;
		WAIT_UNTIL(has_arrived(other.client), usleep(100));
		rig_turn(r);
		/* Each turn moves the other's byte, and ends a batch. */
		assert_u64(
		    sb_get(&counters(r, 1)->client_to_target_bytes), sent);
		assert_true(
		    before - r->worker->n_flows <= ENDING_FLOWS_PER_TURN);
		turns += before > r->worker->n_flows;
	}
	assert_true(turns >= MANY / ENDING_FLOWS_PER_TURN);
	expect_many_ended(r, FLOW_END_TARGET_UNHEALTHY);
	assert_u64(sb_get(&r->block->listeners[0].elb_resets), MANY);
	close_flow(other);
}

static void
a_batch_of_slow_ends_is_a_short_one(void **state)
{
	struct rig *r = *state;
	uint32_t before;

	open_many(r);
	rig_end_flows(r, 0, FLOW_END_DEREGISTERED);
	fault_step_clock(ENDING_TURN_NS);
	RIG_WAIT(r, r->worker->n_flows < MANY);
	while (r->worker->n_flows > 0) {
		before = r->worker->n_flows;
		rig_turn(r);
		assert_u64(before - r->worker->n_flows, 1);
	}
	fault_step_clock(0);
	expect_many_ended(r, FLOW_END_DEREGISTERED);
}

static void
a_target_that_comes_back_keeps_new_flows_only(void **state)
{
	struct rig *r = *state;
	struct rig_flow fresh;

	open_many(r);
	rig_end_flows(r, 0, FLOW_END_TARGET_UNHEALTHY);
	RIG_WAIT(r, r->worker->n_flows < MANY);
	route_to(r, 0);
	fresh.client = rig_connect(r);
	RIG_WAIT(r, sb_get(&r->block->listeners[0].new_flows) == MANY + 1);
	/* It stands beside flows that are still to end. */
	assert_true(TAILQ_FIRST(&r->worker->flows)->ending);
	fresh.target = rig_accept(r, 0);
	RIG_WAIT(r, r->n_ends == MANY);
	peer_send_all(fresh.client, "NOOP", 4);
	rig_expect(r, fresh.target, "NOOP");
	assert_u64(r->worker->n_flows, 1);
	assert_u64(sb_get(&counters(r, 0)->active_flows), 1);
	for (size_t i = 0; i < MANY; i++)
		close_flow(flows[i]);
	close_flow(fresh);
}

static void
a_flow_that_ends_first_has_its_own_reason(void **state)
{
	struct rig *r = *state;
	size_t own = 0;

	open_many(r);
	rig_end_flows(r, 0, FLOW_END_TARGET_UNHEALTHY);
	/* The youngest: its turn comes last. */
	peer_reset(flows[MANY - 1].client);
	RIG_WAIT(r, r->n_ends == MANY);
	for (size_t i = 0; i < MANY; i++)
		own += r->ends[i].reason == FLOW_END_CLIENT_RST;
	assert_u64(own, 1);
	for (size_t i = 0; i < MANY - 1; i++)
		close_flow(flows[i]);
	close(flows[MANY - 1].target);
}

/* Accepted with the last breath of its target: connected, but not yet served
 * when the target is lost, and behind many that are to end. */
static void
a_flow_that_connects_meanwhile_goes_to_the_next_target(void **state)
{
	struct rig *r = *state;
	struct rig_flow late;

	open_many(r);
	route_to(r, 0);
	late.client = rig_connect(r);
	rig_end_flows(r, 0, FLOW_END_TARGET_UNHEALTHY);
	rig_turn(r);
	route_to(r, 1);
	late.target = rig_accept(r, 1);
	expect_many_ended(r, FLOW_END_TARGET_UNHEALTHY);
	peer_send_all(late.client, "EHLO", 4);
	rig_expect(r, late.target, "EHLO");
	assert_u64(sb_get(&r->block->listeners[0].connect_retries), 1);
	close_flow(late);
}

static void
stopping_ends_those_that_wait_as_well(void **state)
{
	struct rig *r = *state;
	size_t unhealthy = 0, shutdown = 0;

	open_many(r);
	rig_end_flows(r, 0, FLOW_END_TARGET_UNHEALTHY);
	RIG_WAIT(r, r->worker->n_flows < MANY);
	rig_send(r, CHANNEL_STOP, NULL, 0);
	RIG_WAIT(r, r->worker->poller.stopped);
	RIG_WAIT(r, r->n_ends == MANY);
	for (size_t i = 0; i < MANY; i++) {
		unhealthy += r->ends[i].reason == FLOW_END_TARGET_UNHEALTHY;
		shutdown += r->ends[i].reason == FLOW_END_SHUTDOWN;
		close_flow(flows[i]);
	}
	assert_true(unhealthy > 0 && shutdown > 0);
	assert_u64(unhealthy + shutdown, MANY);
}

int
main(void)
{
	const struct CMUnitTest flow_ending[] = {
	    RIG_TEST(other_flows_get_their_turn_between_batches),
	    RIG_TEST(a_batch_of_slow_ends_is_a_short_one),
	    RIG_TEST(a_target_that_comes_back_keeps_new_flows_only),
	    RIG_TEST(a_flow_that_ends_first_has_its_own_reason),
	    RIG_TEST(a_flow_that_connects_meanwhile_goes_to_the_next_target),
	    RIG_TEST(stopping_ends_those_that_wait_as_well),
	};

	return cmocka_run_group_tests(flow_ending, NULL, NULL);
}
