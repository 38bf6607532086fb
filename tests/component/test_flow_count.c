/* worker/flow_count: packets and resets, as both ends of a flow saw them. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/tcp_counts.h"
#include "faults.h"
#include "support/expect.h"
#include "worker/listener.h"
#include "worker_fixture.h"

static int
setup(void **state)
{
	rig_setup(state);
	rig_add_target(*state, 128);
	rig_apply_keys(*state, "", "", "");
	return 0;
}

static struct sb_listener *
listener_counters(struct rig *r)
{
	return &r->block->listeners[0];
}

static struct sb_target_counters *
target_counters(struct rig *r)
{
	return &r->block->targets[RIG_FIRST_TARGET_SLOT];
}

/* Some back and forth, as mail has it. */
static void
talk(struct rig *r, struct rig_flow f)
{
	for (int i = 0; i < 3; i++) {
		peer_send_all(f.target, "250 go on", 9);
		rig_expect(r, f.client, "250 go on");
		peer_send_all(f.client, "MAIL FROM", 9);
		rig_expect(r, f.target, "MAIL FROM");
	}
}

/* The record, the listener and the target all say so. */
static void
expect_packets(struct rig *r, uint64_t from_client, uint64_t to_client)
{
	const struct flow_record *end = rig_only_end(r);

	assert_u64(end->client_to_target_packets, from_client);
	assert_u64(end->target_to_client_packets, to_client);
	assert_u64(sb_get(&listener_counters(r)->client_to_target_packets),
	    from_client);
	assert_u64(
	    sb_get(&listener_counters(r)->target_to_client_packets), to_client);
	if (end->target_slot == FLOW_SLOT_NONE)
		return;
	assert_u64(
	    sb_get(&target_counters(r)->client_to_target_packets), from_client);
	assert_u64(
	    sb_get(&target_counters(r)->target_to_client_packets), to_client);
}

/* What the client's own kernel has sent and received, from the first SYN to
 * the last ACK: the connection is over, nothing more will come. */
static void
expect_what_the_client_saw(struct rig *r, int client)
{
	uint32_t in, out;

	assert_i64(tcp_segments(client, &in, &out), 0);
	assert_u64_between(in, 2, 100);
	expect_packets(r, out, in);
	close(client);
}

static void
packets_of_a_flow_that_the_target_ends_are_the_clients(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	talk(r, f);
	peer_send_all(f.target, "221 bye", 7);
	peer_fin(f.target);
	rig_expect(r, f.client, "221 bye");
	assert_i64(rig_read_end(r, f.client), PEER_FIN);
	peer_fin(f.client);
	assert_i64(rig_read_end(r, f.target), PEER_FIN);
	assert_i64(rig_only_end(r)->reason, FLOW_END_TARGET_FIN);
	expect_what_the_client_saw(r, f.client);
	close(f.target);
}

static void
packets_of_a_flow_that_the_client_ends_are_the_clients(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	talk(r, f);
	peer_fin(f.client);
	assert_i64(rig_read_end(r, f.target), PEER_FIN);
	peer_fin(f.target);
	assert_i64(rig_read_end(r, f.client), PEER_FIN);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CLIENT_FIN);
	expect_what_the_client_saw(r, f.client);
	close(f.target);
}

static void
a_reset_from_the_target_is_a_packet_and_the_targets(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	talk(r, f);
	peer_reset(f.target);
	assert_i64(rig_read_end(r, f.client), PEER_RST);
	assert_i64(rig_only_end(r)->reason, FLOW_END_TARGET_RST);
	expect_what_the_client_saw(r, f.client);
	assert_u64(sb_get(&target_counters(r)->target_resets), 1);
	assert_u64(sb_get(&target_counters(r)->client_resets), 0);
	assert_u64(sb_get(&target_counters(r)->elb_resets), 0);
}

static void
a_reset_from_the_client_is_a_packet_and_the_clients(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	RIG_WAIT(r, rig_flow(r)->state == FLOW_ESTABLISHED);
	peer_reset(f.client);
	assert_i64(rig_read_end(r, f.target), PEER_RST);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CLIENT_RST);
	expect_packets(r, 3, 1); /* SYN, ACK and RST; SYN-ACK */
	assert_u64(sb_get(&target_counters(r)->client_resets), 1);
	assert_u64(sb_get(&target_counters(r)->target_resets), 0);
	close(f.target);
}

static void
a_reset_of_our_own_is_a_packet_and_nlbds(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	talk(r, f);
	rig_end_flows(r, 0, FLOW_END_TARGET_UNHEALTHY);
	assert_i64(rig_read_end(r, f.client), PEER_RST);
	assert_i64(rig_only_end(r)->reason, FLOW_END_TARGET_UNHEALTHY);
	expect_what_the_client_saw(r, f.client);
	assert_u64(sb_get(&target_counters(r)->elb_resets), 1);
	assert_u64(sb_get(&target_counters(r)->client_resets), 0);
	assert_u64(sb_get(&target_counters(r)->target_resets), 0);
	close(f.target);
}

static void
packets_of_a_flow_without_a_target_are_the_listeners(void **state)
{
	struct rig *r = *state;
	int client;

	rig_set_flags(r, 0, 0);
	client = rig_connect(r);
	assert_i64(rig_read_end(r, client), PEER_RST);
	assert_i64(rig_only_end(r)->reason, FLOW_END_NO_TARGET);
	expect_what_the_client_saw(r, client);
	assert_u64(sb_get(&target_counters(r)->client_to_target_packets), 0);
}

/* Once in a second in which bytes move, and nothing twice. */
static void
packets_of_a_long_flow_are_counted_on_its_way(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	uint64_t before;

	talk(r, f);
	assert_u64(sb_get(&listener_counters(r)->client_to_target_packets), 0);
	fault_skip_clock(1500);
	talk(r, f);
	before = sb_get(&listener_counters(r)->client_to_target_packets);
	assert_u64_between(before, 5, 20); /* SYN, ACK, three with data */
	assert_u64(
	    sb_get(&target_counters(r)->client_to_target_packets), before);
	peer_fin(f.client);
	assert_i64(rig_read_end(r, f.target), PEER_FIN);
	peer_fin(f.target);
	assert_i64(rig_read_end(r, f.client), PEER_FIN);
	expect_what_the_client_saw(r, f.client);
	close(f.target);
}

static void
a_socket_that_is_none_has_no_segments(void **state)
{
	uint32_t in = 7, out = 7;

	(void)state;
	assert_errno(tcp_segments(-1, &in, &out), -EBADF);
	assert_u64(in + out, 14);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		packets_of_a_flow_that_the_target_ends_are_the_clients, setup,
		rig_teardown),
	    cmocka_unit_test_setup_teardown(
		packets_of_a_flow_that_the_client_ends_are_the_clients, setup,
		rig_teardown),
	    cmocka_unit_test_setup_teardown(
		a_reset_from_the_target_is_a_packet_and_the_targets, setup,
		rig_teardown),
	    cmocka_unit_test_setup_teardown(
		a_reset_from_the_client_is_a_packet_and_the_clients, setup,
		rig_teardown),
	    cmocka_unit_test_setup_teardown(
		a_reset_of_our_own_is_a_packet_and_nlbds, setup, rig_teardown),
	    cmocka_unit_test_setup_teardown(
		packets_of_a_flow_without_a_target_are_the_listeners, setup,
		rig_teardown),
	    cmocka_unit_test_setup_teardown(
		packets_of_a_long_flow_are_counted_on_its_way, setup,
		rig_teardown),
	    cmocka_unit_test(a_socket_that_is_none_has_no_segments),
	};

	return cmocka_run_group_tests_name("flow_count", tests, NULL, NULL);
}
