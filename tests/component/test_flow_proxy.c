/* worker/flow_proxy: the PROXY v2 header in front of the stream. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"
#include "nlb/proxy_v2.h"
#include "support/expect.h"
#include "support/loop_support.h"
#include "worker_fixture.h"
#include "worker/listener.h"

#define PROXY_ON "proxy_protocol_v2.enabled = true\n"

static int
setup(void **state)
{
	rig_setup(state);
	rig_add_target(*state, 4096);
	rig_apply_keys(*state, "", PROXY_ON, "");
	return 0;
}

static void
close_flow(struct rig_flow f)
{
	rig_close(f);
}

/* What the client's connection has to be announced as. */
static void
expected_header(int client, uint8_t *out)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr from, to;

	assert_i64(getsockname(client, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr((struct sockaddr *)&ss, &from);
	len = sizeof(ss);
	assert_i64(getpeername(client, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr((struct sockaddr *)&ss, &to);
	proxy_v2_encode(&from, &to, out);
}

static void
expect_header(struct rig *r, struct rig_flow f)
{
	char got[PROXY_V2_SIZE];
	uint8_t want[PROXY_V2_SIZE];

	expected_header(f.client, want);
	rig_read(r, f.target, got, sizeof(got));
	assert_bytes(got, want, sizeof(want));
}

/* A flow that cannot send its header: with err 0 a half of what is left at
 * every other try, else nothing. What the client said is there already. */
static struct rig_flow
open_blocked(struct rig *r, int err, const char *early)
{
	struct rig_flow f = {.client = rig_connect(r)};

	peer_send_all(f.client, early, strlen(early));
	fault_set(FAULT_SEND, 0, UINT32_MAX, err);
	f.target = rig_accept(r, 0);
	RIG_WAIT(r, rig_flow(r)->state == FLOW_ESTABLISHED);
	return f;
}

/* A byte of the target's stands in for the event that a real EAGAIN arms. */
static void
unblock(struct rig_flow f)
{
	fault_set(FAULT_SEND, 0, 0, 0);
	peer_send_all(f.target, "2", 1);
}

static void
header_comes_in_one_send_before_anyone_has_spoken(void **state)
{
	struct rig *r = *state;
	uint64_t calls = fault_calls(FAULT_SEND);
	struct rig_flow f = rig_open(r);
	uint8_t want[PROXY_V2_SIZE];
	char got[2 * PROXY_V2_SIZE];
	size_t n = sizeof(got);

	assert_u64(fault_calls(FAULT_SEND), calls + 1);
	assert_i64(peer_read(f.target, got, &n), PEER_DATA);
	assert_u64(n, PROXY_V2_SIZE);
	expected_header(f.client, want);
	assert_bytes(got, want, sizeof(want));
	/* The server greets before the client says a word. */
	peer_send_all(f.target, "220 ready\r\n", 11);
	rig_expect(r, f.client, "220 ready\r\n");
	peer_send_all(f.client, "EHLO me\r\n", 9);
	rig_expect(r, f.target, "EHLO me\r\n");
	close_flow(f);
}

static void
header_overtakes_what_the_client_sent_early(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = {.client = rig_connect(r)};

	peer_send_all(f.client, "EHLO early\r\n", 12);
	f.target = rig_accept(r, 0);
	expect_header(r, f);
	rig_expect(r, f.target, "EHLO early\r\n");
	close_flow(f);
}

static void
header_that_was_sent_in_part_goes_on_before_the_clients_bytes(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = open_blocked(r, 0, "EHLO");
	uint8_t want[PROXY_V2_SIZE];
	char got[PROXY_V2_SIZE + 8];
	size_t n = sizeof(got);
	uint64_t left;

	expected_header(f.client, want);
	assert_i64(peer_read(f.target, got, &n), PEER_DATA);
	left = pump_held_bytes(&rig_flow(r)->client_to_target);
	assert_u64(n + left, PROXY_V2_SIZE);
	assert_u64_between(left, 1, PROXY_V2_SIZE / 2);
	unblock(f);
	peer_send_all(f.client, " me\n", 4);
	rig_read(r, f.target, got + n, sizeof(got) - n);
	assert_bytes(got, want, sizeof(want));
	assert_memory_equal(got + PROXY_V2_SIZE, "EHLO me\n", 8);
	close_flow(f);
}

static void
blocked_header_leaves_before_bytes_and_fin_of_the_client(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = open_blocked(r, EAGAIN, "QUIT\r\n");
	char byte;
	size_t n = 1;

	assert_i64(peer_read(f.target, &byte, &n), PEER_NOTHING);
	assert_u64(
	    pump_held_bytes(&rig_flow(r)->client_to_target), PROXY_V2_SIZE);
	unblock(f);
	peer_fin(f.client);
	expect_header(r, f);
	rig_expect(r, f.target, "QUIT\r\n");
	assert_i64(rig_read_end(r, f.target), PEER_FIN);
	close_flow(f);
}

static void
client_that_resets_still_has_its_header_delivered(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = open_blocked(r, EAGAIN, "");
	uint8_t want[PROXY_V2_SIZE];
	char got[PROXY_V2_SIZE];

	expected_header(f.client, want);
	unblock(f);
	peer_reset(f.client);
	rig_read(r, f.target, got, sizeof(got));
	assert_bytes(got, want, sizeof(want));
	assert_i64(rig_read_end(r, f.target), PEER_RST);
	close(f.target);
}

static void
header_is_not_counted_as_payload(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < 3; i++) {
		/* Whole, blocked, in parts. */
		struct rig_flow f =
		    i == 0 ? rig_open(r)
			   : open_blocked(r, i == 1 ? EAGAIN : 0, "");

		unblock(f);
		peer_send_all(f.client, "QUIT\r\n", 6);
		expect_header(r, f);
		rig_expect(r, f.target, "QUIT\r\n");
		close_flow(f);
		RIG_WAIT(r, r->n_ends == i + 1);
		assert_u64(r->ends[i].client_to_target_bytes, 6);
	}
	assert_u64(sb_get(&r->block->listeners[0].client_to_target_bytes), 18);
	assert_u64(sb_get(&r->block->targets[10].client_to_target_bytes), 18);
}

static void
header_that_a_client_sends_is_payload(void **state)
{
	static const char forged_v1[] =
	    "PROXY TCP4 10.20.0.25 10.20.0.1 1 587\r\n";
	struct rig *r = *state;
	uint8_t forged_v2[PROXY_V2_SIZE];
	struct addr own = r->targets[0].addr;
	char got[PROXY_V2_SIZE];
	struct rig_flow f = {.client = rig_connect(r)};

	proxy_v2_encode(&own, &own, forged_v2);
	peer_send_all(f.client, forged_v2, sizeof(forged_v2));
	peer_send_all(f.client, forged_v1, strlen(forged_v1));
	f.target = rig_accept(r, 0);
	expect_header(r, f);
	rig_read(r, f.target, got, sizeof(got));
	assert_bytes(got, forged_v2, sizeof(forged_v2));
	rig_expect(r, f.target, forged_v1);
	close_flow(f);
}

/* ---- failures --------------------------------------------------------- */

static void
next_target_gets_a_header_of_its_own(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;
	size_t first, second;
	int reset;

	rig_add_target(r, 8);
	rig_apply_keys(r, "", PROXY_ON, "");
	f.client = rig_connect(r);
	fault_set(FAULT_SEND, 0, 1, ECONNRESET);
	RIG_WAIT(
	    r, rig_flow(r) != NULL && rig_flow(r)->state == FLOW_ESTABLISHED);
	assert_i64(rig_flow(r)->n_tried, 2);
	second = rig_flow(r)->target_slot - RIG_FIRST_TARGET_SLOT;
	first = 1 - second;
	f.target = rig_accept(r, second);
	expect_header(r, f);
	reset = rig_accept(r, first);
	assert_i64(rig_read_end(r, reset), PEER_FIN);
	assert_u64(sb_get(&r->block->targets[10 + first].connect_failures), 1);
	close(reset);
	close_flow(f);
}

static void
target_that_resets_with_the_header_under_way_and_is_the_last(void **state)
{
	struct rig *r = *state;
	int client = rig_connect(r);

	fault_set(FAULT_SEND, 0, 1, EPIPE);
	assert_i64(rig_read_end(r, client), PEER_RST);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CONNECT_REFUSED);
	close(client);
}

static void
no_memory_for_a_blocked_header_ends_the_flow(void **state)
{
	struct rig *r = *state;
	int client;

	rig_add_target(r, 8); /* which is not asked: it would fare no better */
	rig_apply_keys(r, "", PROXY_ON, "");
	client = rig_connect(r);
	fault_set(FAULT_SEND, 0, 1, EAGAIN);
	fault_set(FAULT_MALLOC, 0, 1, ENOMEM);
	assert_i64(rig_read_end(r, client), PEER_RST);
	assert_u64(fault_hits(FAULT_SEND), 1);
	assert_i64(rig_only_end(r)->reason, FLOW_END_NO_RESOURCES);
	assert_i64(rig_only_end(r)->retries, 0);
	close(client);
}

/* ---- the attribute ---------------------------------------------------- */

static void
change_counts_for_new_flows_only(void **state)
{
	struct rig *r = *state;
	struct rig_flow with, without;

	with = rig_open(r);
	expect_header(r, with);
	rig_apply_keys(r, "", "", "");
	without = rig_open(r);
	peer_send_all(with.client, "NOOP", 4);
	rig_expect(r, with.target, "NOOP");
	peer_send_all(without.client, "EHLO", 4);
	rig_expect(r, without.target, "EHLO");
	close_flow(with);
	close_flow(without);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest flow_proxy[] = {
	    TEST(header_comes_in_one_send_before_anyone_has_spoken),
	    TEST(header_overtakes_what_the_client_sent_early),
	    TEST(header_that_was_sent_in_part_goes_on_before_the_clients_bytes),
	    TEST(blocked_header_leaves_before_bytes_and_fin_of_the_client),
	    TEST(client_that_resets_still_has_its_header_delivered),
	    TEST(header_is_not_counted_as_payload),
	    TEST(header_that_a_client_sends_is_payload),
	    TEST(next_target_gets_a_header_of_its_own),
	    TEST(target_that_resets_with_the_header_under_way_and_is_the_last),
	    TEST(no_memory_for_a_blocked_header_ends_the_flow),
	    TEST(change_counts_for_new_flows_only),
	};

	return cmocka_run_group_tests(flow_proxy, NULL, NULL);
}
