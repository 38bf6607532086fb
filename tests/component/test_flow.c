/* worker/flow: bytes both ways, half-close, FIN and RST, records, lists. */
#include "worker/flow.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
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
	rig_add_target(*state, 4096);
	rig_apply_keys(*state, "", "", "");
	return 0;
}

static void
close_flow(struct rig_flow f)
{
	rig_close(f);
}

static void
the_target_may_speak_first(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	peer_send_all(f.target, "220 ready\r\n", 11);
	rig_expect(r, f.client, "220 ready\r\n");
	peer_send_all(f.client, "EHLO me\r\n", 9);
	rig_expect(r, f.target, "EHLO me\r\n");
	close_flow(f);
}

static void
bytes_sent_before_the_target_is_there_arrive(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = {.client = rig_connect(r)};

	RIG_WAIT(r, rig_flow(r) != NULL || true);
	peer_send_all(f.client, "EHLO early\r\n", 12);
	f.target = rig_accept(r, 0);
	rig_expect(r, f.target, "EHLO early\r\n");
	close_flow(f);
}

static void
client_fin_reaches_target_while_target_keeps_sending(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	const struct flow_record *end;

	peer_send_all(f.client, "QUIT\r\n", 6);
	peer_fin(f.client);
	rig_expect(r, f.target, "QUIT\r\n");
	assert_i64(rig_read_end(r, f.target), PEER_FIN);
	assert_u64(r->worker->n_flows, 1);
	for (int i = 0; i < 5; i++) {
		peer_send_all(f.target, "221 bye\r\n", 9);
		rig_expect(r, f.client, "221 bye\r\n");
	}
	peer_fin(f.target);
	assert_i64(rig_read_end(r, f.client), PEER_FIN);
	end = rig_only_end(r);
	assert_i64(end->reason, FLOW_END_CLIENT_FIN);
	assert_u64(end->client_to_target_bytes, 6);
	assert_u64(end->target_to_client_bytes, 45);
	close_flow(f);
}

static void
target_fin_reaches_client_while_client_keeps_sending(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);

	peer_send_all(f.target, "421 no\r\n", 8);
	peer_fin(f.target);
	rig_expect(r, f.client, "421 no\r\n");
	assert_i64(rig_read_end(r, f.client), PEER_FIN);
	for (int i = 0; i < 5; i++) {
		peer_send_all(f.client, "NOOP\r\n", 6);
		rig_expect(r, f.target, "NOOP\r\n");
	}
	peer_fin(f.client);
	assert_i64(rig_read_end(r, f.target), PEER_FIN);
	assert_i64(rig_only_end(r)->reason, FLOW_END_TARGET_FIN);
	close_flow(f);
}

/* Reads with the worker until size bytes of the pattern and then FIN came. */
static void
expect_pattern(struct rig *r, int fd, char *buffer, size_t size)
{
	rig_read(r, fd, buffer, size);
	assert_memory_equal(buffer, pattern(), size);
	assert_i64(rig_read_end(r, fd), PEER_FIN);
}

static void
ten_mib_each_way_at_once_arrive_whole(void **state)
{
	static char back[PATTERN_MAX], forth[PATTERN_MAX];
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	size_t up = 0, down = 0, got_up = 0, got_down = 0;

	WAIT_UNTIL(got_up == PATTERN_MAX && got_down == PATTERN_MAX, {
		size_t n = PATTERN_MAX - got_up;

		up += peer_send(f.client, pattern() + up, PATTERN_MAX - up);
		down +=
		    peer_send(f.target, pattern() + down, PATTERN_MAX - down);
		rig_turn(r);
		if (n > 0 &&
		    peer_read(f.target, forth + got_up, &n) == PEER_DATA)
			got_up += n;
		n = PATTERN_MAX - got_down;
		if (n > 0 &&
		    peer_read(f.client, back + got_down, &n) == PEER_DATA)
			got_down += n;
	});
	assert_memory_equal(forth, pattern(), PATTERN_MAX);
	assert_memory_equal(back, pattern(), PATTERN_MAX);
	assert_u64(sb_get(&r->block->listeners[0].client_to_target_bytes),
	    PATTERN_MAX);
	assert_u64(
	    sb_get(&r->block->targets[10].target_to_client_bytes), PATTERN_MAX);
	RIG_WAIT(r, r->worker->pipes.n_lent == 0);
	close_flow(f);
}

static void
a_mib_and_fin_arrive_behind_a_slow_start_of_reading(void **state)
{
	static char buffer[PATTERN_MAX];
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	size_t sent = 0;

	while (sent < PATTERN_MAX / 4) {
		size_t n = peer_send(
		    f.client, pattern() + sent, PATTERN_MAX / 4 - sent);

		sent += n;
		rig_turn(r);
		if (n == 0)
			break;
	}
	peer_fin(f.client);
	expect_pattern(r, f.target, buffer, sent);
	close_flow(f);
}

/* Three flows that use up their turns do not keep a fourth from its bytes. */
static void
bulk_flows_leave_room_for_a_small_one(void **state)
{
	static char sink[1 << 20];
	struct rig *r = *state;
	struct rig_flow bulk[3], small;
	size_t sent[3] = {0};

	for (int i = 0; i < 3; i++)
		bulk[i] = rig_open(r);
	small = rig_open(r);
	peer_send_all(small.client, "NOOP\r\n", 6);
	for (int turn = 0; turn < 50; turn++) {
		for (int i = 0; i < 3; i++) {
			size_t n = sizeof(sink);

			sent[i] +=
			    peer_send(bulk[i].client, pattern(), sizeof(sink));
			(void)peer_read(bulk[i].target, sink, &n);
		}
		rig_turn(r);
	}
	rig_expect(r, small.target, "NOOP\r\n");
	for (int i = 0; i < 3; i++) {
		assert_u64_between(sent[i], 100000, UINT64_MAX);
		close_flow(bulk[i]);
	}
	close_flow(small);
}

/* The bytes that clients sent and that nobody has read yet, when the first
 * write of a turn is about to happen. */
struct before_write {
	struct worker *worker;
	int unread, seen;
};

static void
look_before_write(void *arg)
{
	struct before_write *b = arg;
	struct flow *f;

	if (b->seen++ > 0)
		return;
	TAILQ_FOREACH (f, &b->worker->flows, entry) {
		int n = 0;

		assert_i64(ioctl(f->client.fd, FIONREAD, &n), 0);
		b->unread += n;
	}
}

/* So that a peer is woken once for all of them. */
static void
all_flows_of_a_turn_are_read_before_any_is_written(void **state)
{
	struct rig *r = *state;
	struct before_write b = {.worker = r->worker};
	struct rig_flow f[3];

	for (int i = 0; i < 3; i++)
		f[i] = rig_open(r);
	RIG_WAIT(r, sb_get(&r->block->targets[10].new_flows) == 3);
	for (int i = 0; i < 3; i++)
		peer_send_all(f[i].client, "QUIT\r\n", 6);
	fault_before(FAULT_SEND, look_before_write, &b);
	for (int i = 0; i < 3; i++)
		rig_expect(r, f[i].target, "QUIT\r\n");
	assert_i64(b.seen, 3);
	assert_i64(b.unread, 0);
	for (int i = 0; i < 3; i++)
		close_flow(f[i]);
}

static void
a_record_says_who_talked_with_whom(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr client;
	const struct flow_record *end;

	getsockname(f.client, (struct sockaddr *)&ss, &len);
	addr_from_sockaddr((struct sockaddr *)&ss, &client);
	peer_fin(f.client);
	peer_fin(f.target);
	end = rig_only_end(r);
	assert_true(addr_equal(&end->client, &client));
	assert_true(addr_equal(&end->listener, &r->listeners[0].addr));
	assert_true(addr_equal(&end->target, &r->targets[0].addr));
	assert_i64(end->state, FLOW_CLOSING);
	assert_i64(end->listener_slot, 0);
	assert_i64(end->target_slot, RIG_FIRST_TARGET_SLOT);
	assert_i64(end->retries, 0);
	assert_i64(end->worker, 7);
	assert_u64_between(end->connect_us, 1, 20000000);
	assert_u64_between(end->duration_us, end->connect_us, 60000000);
	assert_u64_between(end->start_us, 1600000000000000, UINT64_MAX);
	close_flow(f);
}

static void
counters_tell_of_a_flow_from_start_to_end(void **state)
{
	struct rig *r = *state;
	struct sb_listener *l = &r->block->listeners[0];
	struct sb_target_counters *t = &r->block->targets[10];
	struct rig_flow f = rig_open(r);

	assert_u64(sb_get(&l->active_flows), 1);
	assert_u64(sb_get(&t->active_flows), 1);
	assert_u64(sb_get(&r->block->active_flows), 1);
	assert_u64(sb_get(&r->block->accepted_flows), 1);
	assert_u64(sb_get(&l->new_flows), 1);
	assert_u64(sb_get(&t->new_flows), 1);
	assert_u64(sb_get(&l->unhealthy_routing_flows), 0);
	close_flow(f);
	RIG_WAIT(r, r->n_ends == 1);
	assert_u64(sb_get(&l->active_flows), 0);
	assert_u64(sb_get(&t->active_flows), 0);
	assert_u64(sb_get(&l->rejected_flows), 0);
}

static void
connects_and_turns_of_the_loop_are_timed(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	struct latency connects, turns;

	scoreboard_sum_connects(r->sb, 0, &connects);
	assert_u64(latency_count(&connects), 1);
	assert_true(connects.sum_us > 0);
	scoreboard_sum_connects(r->sb, 1, &connects);
	assert_u64(latency_count(&connects), 0);
	scoreboard_sum_turns(r->sb, 7, &turns);
	assert_true(latency_count(&turns) > 0);
	close_flow(f);
	RIG_WAIT(r, r->n_ends == 1);
}

/* ---- lists ------------------------------------------------------------ */

#define MANY ((int)CHANNEL_RECORDS_MAX + 20)

static void
list(struct rig *r, uint32_t request, uint32_t limit)
{
	struct channel_list_flows ask = {.request = request, .limit = limit};

	r->n_listed = r->n_list_messages = 0;
	r->list_complete = false;
	rig_send(r, CHANNEL_LIST_FLOWS, &ask, sizeof(ask));
	RIG_WAIT(r, r->list_complete);
	assert_u64(r->list_request, request);
}

static void
a_list_longer_than_a_message_comes_in_parts(void **state)
{
	static int clients[MANY];
	struct rig *r = *state;
	bool seen[MANY + 2] = {false};
	uint64_t first;

	for (int i = 0; i < MANY; i++) {
		clients[i] = rig_connect(r);
		RIG_WAIT(r, r->worker->n_flows == (uint32_t)i + 1);
	}
	RIG_WAIT(r, sb_get(&r->block->targets[10].new_flows) == (uint64_t)MANY);
	list(r, 77, 100000);
	assert_u64(r->n_listed, MANY);
	assert_u64(r->n_list_messages, 2);
	first = r->listed[0].id;
	for (int i = 0; i < MANY; i++) {
		assert_i64(r->listed[i].state, FLOW_ESTABLISHED);
		assert_u64_between(r->listed[i].id, first, first + MANY - 1);
		assert_false(seen[r->listed[i].id - first]);
		seen[r->listed[i].id - first] = true;
	}
	list(r, 78, 5);
	assert_u64(r->n_listed, 5);
	list(r, 79, 0);
	assert_u64(r->n_listed, 0);
	for (int i = 0; i < MANY; i++)
		close(clients[i]);
}

static void
an_empty_list_is_answered(void **state)
{
	list(*state, 1, 100);
	assert_u64(((struct rig *)*state)->n_listed, 0);
}

static void
messages_of_the_wrong_size_are_ignored(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	struct channel_end_flows bad = {
	    .target_slot = 10, .reason = FLOW_END_REASON_COUNT};

	rig_send(r, CHANNEL_LIST_FLOWS, "x", 1);
	rig_send(r, CHANNEL_END_FLOWS, "x", 1);
	rig_send(r, CHANNEL_END_FLOWS, &bad, sizeof(bad));
	rig_send(r, (enum channel_type)99, NULL, 0);
	list(r, 5, 10);
	assert_u64(r->n_list_messages, 1);
	assert_u64(r->n_listed, 1);
	assert_true(rig_logged(r, "unknown message type 99"));
	close_flow(f);
}

static void
without_a_flow_log_no_records_are_sent(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;

	r->flow_log_off = true;
	rig_apply_keys(r, "", "", "");
	f = rig_open(r);
	close_flow(f);
	RIG_WAIT(r, r->worker->n_flows == 0);
	list(r, 1, 1);
	assert_u64(r->n_ends, 0);
}

static void
watch(struct rig *r, uint8_t on)
{
	rig_send(r, CHANNEL_WATCH_FLOWS, &on, sizeof(on));
	RIG_WAIT(r, r->worker->watched == (on != 0));
}

static void
watched_flows_are_reported_when_they_connect_and_end(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;
	uint64_t id;

	r->flow_log_off = true;
	rig_apply_keys(r, "", "", "");
	watch(r, 1);
	f = rig_open(r);
	RIG_WAIT(r, r->n_ends == 1);
	id = r->ends[0].id;
	assert_i64(r->ends[0].state, FLOW_ESTABLISHED);
	assert_true(r->ends[0].connect_us > 0);
	close_flow(f);
	RIG_WAIT(r, r->n_ends == 2);
	assert_i64(r->ends[1].state, FLOW_CLOSING);
	assert_u64(r->ends[1].id, id);
	watch(r, 0);
	f = rig_open(r);
	close_flow(f);
	RIG_WAIT(r, r->worker->n_flows == 0);
	list(r, 1, 1);
	assert_u64(r->n_ends, 2);
}

/* A message for each would wake the supervisor as often. */
static void
records_of_many_flows_come_together_and_soon(void **state)
{
	enum { FLOWS = 100, GATHER_MS = 50 };
	struct rig *r = *state;
	uint64_t begun_ns = uv_hrtime();

	for (int i = 0; i < FLOWS; i++) {
		struct rig_flow f = rig_open(r);

		close_flow(f);
		RIG_WAIT(r, r->worker->n_flows == 0);
	}
	RIG_WAIT(r, r->n_ends == FLOWS);
	assert_u64_between(r->n_end_messages, 2,
	    (uv_hrtime() - begun_ns) / 1000000 / GATHER_MS + 3);
}

static void
a_record_that_is_alone_comes_at_once(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	uint64_t rested_ms = r->worker->poller.now_ms + 100;

	RIG_WAIT(r, r->worker->poller.now_ms >= rested_ms);
	close_flow(f);
	RIG_WAIT(r, r->worker->n_flows == 0);
	assert_u64(r->worker->n_records, 0);
	RIG_WAIT(r, r->n_ends == 1);
}

static void
records_for_a_slow_supervisor_are_dropped_and_counted(void **state)
{
	struct rig *r = *state;

	fault_set(FAULT_SENDMSG, 0, UINT32_MAX, EAGAIN);
	for (int i = 0; i < WORKER_RECORDS + 3; i++) {
		struct rig_flow f = rig_open(r);

		close_flow(f);
		RIG_WAIT(r, r->worker->n_flows == 0);
	}
	RIG_WAIT(r, sb_get(&r->block->dropped_records) == WORKER_RECORDS + 3);
	assert_u64(r->n_ends, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest flow[] = {
	    TEST(the_target_may_speak_first),
	    TEST(bytes_sent_before_the_target_is_there_arrive),
	    TEST(client_fin_reaches_target_while_target_keeps_sending),
	    TEST(target_fin_reaches_client_while_client_keeps_sending),
	    TEST(ten_mib_each_way_at_once_arrive_whole),
	    TEST(a_mib_and_fin_arrive_behind_a_slow_start_of_reading),
	    TEST(bulk_flows_leave_room_for_a_small_one),
	    TEST(all_flows_of_a_turn_are_read_before_any_is_written),
	    TEST(a_record_says_who_talked_with_whom),
	    TEST(counters_tell_of_a_flow_from_start_to_end),
	    TEST(connects_and_turns_of_the_loop_are_timed),
	    TEST(a_list_longer_than_a_message_comes_in_parts),
	    TEST(an_empty_list_is_answered),
	    TEST(messages_of_the_wrong_size_are_ignored),
	    TEST(without_a_flow_log_no_records_are_sent),
	    TEST(watched_flows_are_reported_when_they_connect_and_end),
	    TEST(records_of_many_flows_come_together_and_soon),
	    TEST(a_record_that_is_alone_comes_at_once),
	    TEST(records_for_a_slow_supervisor_are_dropped_and_counted),
	};

	return cmocka_run_group_tests(flow, NULL, NULL);
}
