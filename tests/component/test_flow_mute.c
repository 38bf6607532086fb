/* worker/flow: input that nobody takes wakes nobody, and nothing of it is
 * lost. */
#include "worker/flow.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "worker_fixture.h"

#define SEGMENTS 10

struct blocked {
	struct rig_flow ends;
	struct flow *flow;
	size_t sent; /* by the client, of the pattern */
};

static int
setup(void **state)
{
	rig_setup(state);
	rig_serve(*state);
	return 0;
}

static void
send_some(struct blocked *b, size_t size)
{
	b->sent += peer_send(b->ends.client, pattern() + b->sent, size);
}

/* A flow whose target reads nothing, until nlbd cannot write any more. */
static struct blocked
open_blocked(struct rig *r)
{
	struct blocked b = {.ends = rig_open(r)};

	b.flow = rig_flow(r);
	peer_set_buffers(b.ends.target, 0, 65536);
	WAIT_UNTIL(pump_held_bytes(&b.flow->client_to_target) > 0, {
		send_some(&b, 100000);
		rig_turn(r);
	});
	return b;
}

static size_t
unread(const struct blocked *b)
{
	int n = 0;

	assert_i64(ioctl(b->flow->client.fd, FIONREAD, &n), 0);
	return (size_t)n;
}

/* Segments of a byte, each of them an event if nothing prevents it. */
static void
send_segments(struct rig *r, struct blocked *b)
{
	for (int i = 0; i < SEGMENTS; i++) {
		size_t before = unread(b);

		send_some(b, 1);
		do
			rig_turn(r);
		while (unread(b) == before);
	}
}

static struct blocked
open_muted(struct rig *r)
{
	struct blocked b = open_blocked(r);

	send_segments(r, &b);
	assert_true(b.flow->client.muted);
	return b;
}

static void
expect_all(struct rig *r, const struct blocked *b)
{
	static char bytes[PATTERN_MAX];

	assert_true(b->sent <= sizeof(bytes));
	rig_read(r, b->ends.target, bytes, b->sent);
	assert_memory_equal(bytes, pattern(), b->sent);
}

static unsigned events_seen;
static poll_item_cb real_on_event;

static void
count_event(struct poll_item *item, uint32_t events)
{
	events_seen++;
	real_on_event(item, events);
}

static void
segments_behind_a_blocked_writer_do_not_wake_the_worker(void **state)
{
	struct rig *r = *state;
	struct blocked b = open_blocked(r);

	events_seen = 0;
	real_on_event = b.flow->client.item.on_event;
	b.flow->client.item.on_event = count_event;
	send_segments(r, &b);
	/* The one that mutes, and the echo of muting. */
	assert_u64_between(events_seen, 0, 2);
	rig_close(b.ends);
}

static void
muted_input_arrives_whole_and_is_heard_again(void **state)
{
	struct rig *r = *state;
	struct blocked b = open_muted(r);

	expect_all(r, &b);
	RIG_WAIT(r, !b.flow->client.muted);
	peer_send_all(b.ends.client, "QUIT\r\n", 6);
	rig_expect(r, b.ends.target, "QUIT\r\n");
	rig_close(b.ends);
}

static void
urgent_byte_behind_muted_input_keeps_its_place(void **state)
{
	struct rig *r = *state;
	struct blocked b = open_muted(r);

	peer_send_urgent(b.ends.client, pattern()[b.sent++]);
	send_some(&b, 1000);
	expect_all(r, &b);
	peer_send_all(b.ends.client, "QUIT\r\n", 6);
	rig_expect(r, b.ends.target, "QUIT\r\n");
	rig_close(b.ends);
}

static void
fin_behind_muted_input_is_passed_on(void **state)
{
	struct rig *r = *state;
	struct blocked b = open_muted(r);

	peer_fin(b.ends.client);
	RIG_WAIT(r, b.flow->client.fin_pending);
	expect_all(r, &b);
	assert_i64(rig_read_end(r, b.ends.target), PEER_FIN);
	rig_close(b.ends);
}

static void
reset_of_a_muted_sender_is_noticed(void **state)
{
	struct rig *r = *state;
	struct blocked b = open_muted(r);

	peer_reset(b.ends.client);
	RIG_WAIT(r, b.flow->state == FLOW_FLUSHING);
	assert_true(b.flow->reset_by_client);
	close(b.ends.target);
}

static void
other_direction_goes_on_while_one_is_muted(void **state)
{
	struct rig *r = *state;
	struct blocked b = open_muted(r);

	for (int i = 0; i < 3; i++) {
		peer_send_all(b.ends.target, "250 Ok\r\n", 8);
		rig_expect(r, b.ends.client, "250 Ok\r\n");
	}
	rig_close(b.ends);
}

static void
flow_that_cannot_be_heard_again_ends(void **state)
{
	struct rig *r = *state;
	struct blocked b = open_muted(r);
	char bytes[4096];
	size_t size = sizeof(bytes);

	fault_set(FAULT_EPOLL_CTL, 0, UINT32_MAX, ENOMEM);
	WAIT_UNTIL(r->n_ends == 1, {
		size = sizeof(bytes);
		(void)peer_read(b.ends.target, bytes, &size);
		rig_turn(r);
	});
	fault_reset();
	assert_i64(r->ends[0].reason, FLOW_END_NO_RESOURCES);
	rig_close(b.ends);
}

static void
input_that_cannot_be_muted_arrives_all_the_same(void **state)
{
	struct rig *r = *state;
	struct blocked b = open_blocked(r);

	fault_set(FAULT_EPOLL_CTL, 0, UINT32_MAX, ENOMEM);
	send_segments(r, &b);
	assert_true(fault_hits(FAULT_EPOLL_CTL) > 0);
	assert_false(b.flow->client.muted);
	fault_reset();
	expect_all(r, &b);
	rig_close(b.ends);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest flow_mute[] = {
	    TEST(segments_behind_a_blocked_writer_do_not_wake_the_worker),
	    TEST(muted_input_arrives_whole_and_is_heard_again),
	    TEST(urgent_byte_behind_muted_input_keeps_its_place),
	    TEST(fin_behind_muted_input_is_passed_on),
	    TEST(reset_of_a_muted_sender_is_noticed),
	    TEST(other_direction_goes_on_while_one_is_muted),
	    TEST(flow_that_cannot_be_heard_again_ends),
	    TEST(input_that_cannot_be_muted_arrives_all_the_same),
	};

	return cmocka_run_group_tests(flow_mute, NULL, NULL);
}
