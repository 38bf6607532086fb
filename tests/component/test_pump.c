/* worker/pump: copying, back-pressure, ends and errors. */
#include "worker/pump.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"
#include "pump_fixture.h"
#include "support/expect.h"
#include "tcp_peers.h"

static void
carries(void **state, size_t size)
{
	pump_rig_transfer(*state, size);
}

#define SIZE_TEST(name, size)          \
	static void name(void **state) \
	{                              \
		carries(state, size);  \
	}
SIZE_TEST(fin_without_a_byte_is_a_fin, 0)
SIZE_TEST(one_byte_arrives, 1)
SIZE_TEST(one_less_than_the_buffer_arrives, PUMP_BUFFER_SIZE - 1)
SIZE_TEST(exactly_the_buffer_arrives, PUMP_BUFFER_SIZE)
SIZE_TEST(one_more_than_the_buffer_arrives, PUMP_BUFFER_SIZE + 1)
SIZE_TEST(sixty_four_kib_arrive, 65536)
SIZE_TEST(one_mib_arrives, 1024 * 1024)
SIZE_TEST(ten_mib_arrive, 10 * 1024 * 1024)

static void
one_byte_segments_arrive_in_order(void **state)
{
	struct pump_rig *r = *state;

	for (size_t i = 0; i < 2000; i++) {
		peer_send_all(r->from, pattern() + i, 1);
		WAIT_UNTIL(r->pump.bytes == i + 1, pump_rig_step(r));
		pump_rig_drain(r, 64);
	}
	WAIT_UNTIL(r->received == 2000, pump_rig_drain(r, 64));
	assert_memory_equal(r->buffer, pattern(), 2000);
	assert_u64(fault_calls(FAULT_SPLICE), 0);
	assert_u64(r->pipes.n_idle, 0);
}

static void
small_reads_leave_nothing_behind(void **state)
{
	struct pump_rig *r = *state;

	peer_send_all(r->from, "220 ready\r\n", 11);
	WAIT_UNTIL(r->pump.bytes == 11, pump_rig_step(r));
	assert_i64(r->result, PUMP_BLOCKED);
	assert_false(r->source.readable);
	assert_null(r->pump.pipe);
	assert_null(r->pump.spill);
}

/* Fills the way to the reader with copied bytes until some are left over. */
static void
fill(struct pump_rig *r)
{
	r->size = SIZE_MAX;
	pump_rig_narrow(r);
	WAIT_UNTIL(pump_held_bytes(&r->pump) > 0, {
		size_t n = peer_send(r->from, pattern() + r->sent, 8000);

		r->sent += n;
		pump_rig_step(r);
	});
}

static void
a_blocked_writer_stops_the_reader_within_one_buffer(void **state)
{
	struct pump_rig *r = *state;
	uint64_t held, read;

	fill(r);
	pump_rig_settle(r);
	assert_non_null(r->pump.spill);
	assert_i64(r->result, PUMP_BLOCKED);
	held = pump_held_bytes(&r->pump);
	assert_u64_between(held, 1, PUMP_BUFFER_SIZE);
	read = r->pump.bytes + held;
	/* More input changes nothing: it stays in the kernel. */
	for (int i = 0; i < 20; i++) {
		r->sent += peer_send(r->from, pattern() + r->sent, 8000);
		pump_rig_step(r);
	}
	assert_u64(r->pump.bytes + pump_held_bytes(&r->pump), read);
	assert_true(r->source.readable);
	assert_false(r->destination.writable);
}

static void
the_spill_goes_out_first_when_the_reader_wakes(void **state)
{
	struct pump_rig *r = *state;

	fill(r);
	r->size = r->sent;
	WAIT_UNTIL(r->result == PUMP_FIN, {
		pump_rig_feed(r);
		pump_rig_drain(r, 1000);
		pump_rig_step(r);
	});
	WAIT_UNTIL(r->received == r->sent, pump_rig_drain(r, PATTERN_MAX));
	assert_memory_equal(r->buffer, pattern(), r->sent);
	assert_u64_between(r->held_most, 1, PUMP_BUFFER_SIZE);
}

static void
no_memory_for_the_spill_is_said(void **state)
{
	struct pump_rig *r = *state;

	pump_rig_narrow(r);
	fault_set(FAULT_MALLOC, 0, 1, ENOMEM);
	WAIT_UNTIL(fault_hits(FAULT_MALLOC) == 1, {
		r->sent += peer_send(r->from, pattern() + r->sent, 8000);
		pump_rig_step(r);
	});
	assert_i64(r->result, PUMP_NO_MEMORY);
}

static void
release_drops_the_spill(void **state)
{
	struct pump_rig *r = *state;

	fill(r);
	pump_release(&r->pump, &r->resources);
	assert_u64(pump_held_bytes(&r->pump), 0);
}

static void
data_before_a_reset_is_delivered_then_the_reset_is_said(void **state)
{
	struct pump_rig *r = *state;

	peer_send_all(r->from, pattern(), 5000);
	peer_reset(r->from);
	r->from = -1;
	WAIT_UNTIL(r->result == PUMP_SRC_RESET, pump_rig_step(r));
	assert_i64(r->source.error, ECONNRESET);
	assert_i64(r->destination.error, 0);
	WAIT_UNTIL(r->received == 5000, pump_rig_drain(r, PATTERN_MAX));
	assert_memory_equal(r->buffer, pattern(), 5000);
}

static void
data_before_a_reset_waits_for_a_slow_reader(void **state)
{
	struct pump_rig *r = *state;
	size_t sent;

	fill(r);
	sent = r->sent;
	peer_reset(r->from);
	r->from = -1;
	WAIT_UNTIL(r->source.error != 0, pump_rig_step(r));
	assert_i64(r->result, PUMP_BLOCKED);
	WAIT_UNTIL(r->result == PUMP_SRC_RESET, {
		pump_rig_drain(r, 1000);
		pump_rig_step(r);
	});
	/* What the kernel had taken from `from` but not sent died there. */
	WAIT_UNTIL(
	    r->received == r->pump.bytes, pump_rig_drain(r, PATTERN_MAX));
	assert_memory_equal(r->buffer, pattern(), r->received);
	assert_u64_between(r->received, 1, sent);
}

/* A failed write on the socket takes its error; the read that follows says
 * data and then a clean 0. */
static void
zero_after_a_failed_write_is_no_fin(void **state)
{
	struct pump_rig *r = *state;
	int err = 0;
	socklen_t len = sizeof(err);

	peer_send_all(r->from, pattern(), 3000);
	peer_reset(r->from);
	r->from = -1;
	/* The other direction's pump writes to the same socket first. */
	WAIT_UNTIL(send(r->source.fd, "x", 1, MSG_NOSIGNAL) == -1, );
	side_set_error(&r->source, ECONNRESET);
	assert_i64(
	    getsockopt(r->source.fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	assert_i64(err, 0);
	WAIT_UNTIL(r->result == PUMP_SRC_RESET, {
		pump_rig_step(r);
		if (r->result == PUMP_FIN)
			fail_msg("a reset became a FIN");
	});
	assert_i64(r->source.error, ECONNRESET);
	WAIT_UNTIL(r->received == 3000, pump_rig_drain(r, PATTERN_MAX));
	assert_memory_equal(r->buffer, pattern(), 3000);
}

static void
a_dead_destination_is_said(void **state)
{
	struct pump_rig *r = *state;

	peer_reset(r->to);
	r->to = -1;
	WAIT_UNTIL(r->destination.error != 0, pump_rig_step(r));
	assert_i64(r->result, PUMP_DST_RESET);
	assert_i64(r->destination.error, ECONNRESET);
	assert_i64(r->source.error, 0);
}

static void
a_write_that_fails_marks_the_destination(void **state)
{
	struct pump_rig *r = *state;

	peer_reset(r->to);
	r->to = -1;
	/* The pump meets the reset before any event tells of it. */
	r->source.readable = true;
	peer_send_all(r->from, pattern(), 100);
	WAIT_UNTIL(r->result == PUMP_DST_RESET, {
		r->source.readable = true;
		r->result = pump_run(
		    &r->pump, &r->source, &r->destination, &r->resources);
	});
	assert_i64(r->destination.error, ECONNRESET);
	assert_i64(r->source.error, 0);
}

static void
held_bytes_for_a_dead_destination_are_not_sent(void **state)
{
	struct pump_rig *r = *state;

	fill(r);
	side_set_error(&r->destination, ECONNRESET);
	r->result =
	    pump_run(&r->pump, &r->source, &r->destination, &r->resources);
	assert_i64(r->result, PUMP_DST_RESET);
}

static void
the_first_error_of_a_side_stays(void **state)
{
	struct pump_rig *r = *state;

	side_set_error(&r->source, ECONNRESET);
	side_set_error(&r->source, EPIPE);
	assert_i64(r->source.error, ECONNRESET);
	assert_true(r->source.readable);
	assert_true(r->source.fin_pending);
}

/* The errno stays in the socket for the next call; the reset is noted. */
static void
an_error_event_is_a_reset_and_stays_one(void **state)
{
	struct pump_rig *r = *state;

	side_note_events(&r->source, EPOLLERR);
	assert_i64(r->source.error, ECONNRESET);
	side_note_events(&r->source, EPOLLIN);
	assert_i64(r->source.error, ECONNRESET);
}

/* ---- urgent data ------------------------------------------------------ */

static void
expect_stream(struct pump_rig *r, const char *want, size_t size)
{
	WAIT_UNTIL(r->received == size, {
		pump_rig_step(r);
		pump_rig_drain(r, PATTERN_MAX);
	});
	assert_memory_equal(r->buffer, want, size);
}

static void
an_urgent_byte_keeps_its_place(void **state)
{
	struct pump_rig *r = *state;

	peer_send_all(r->from, "ABC", 3);
	peer_send_urgent(r->from, 'X');
	peer_send_all(r->from, "DEF", 3);
	expect_stream(r, "ABCXDEF", 7);
	/* And again on the same connection. */
	peer_send_urgent(r->from, 'Y');
	peer_send_all(r->from, "GHI", 3);
	expect_stream(r, "ABCXDEFYGHI", 11);
}

static void
an_urgent_byte_right_before_fin_arrives(void **state)
{
	struct pump_rig *r = *state;

	peer_send_all(r->from, "ABC", 3);
	peer_send_urgent(r->from, 'X');
	peer_fin(r->from);
	expect_stream(r, "ABCX", 4);
	WAIT_UNTIL(r->result == PUMP_FIN, pump_rig_step(r));
}

static void
an_urgent_byte_that_comes_alone_arrives(void **state)
{
	struct pump_rig *r = *state;

	peer_send_all(r->from, "ABC", 3);
	expect_stream(r, "ABC", 3);
	peer_send_urgent(r->from, 'X');
	expect_stream(r, "ABCX", 4);
}

static void
a_turn_without_room_reads_nothing_ahead(void **state)
{
	struct pump_rig *r = *state;

	peer_send_all(r->from, "220 ready\r\n", 11);
	WAIT_UNTIL(r->source.readable, poller_turn(&r->poller, 2));
	r->resources.batch->used = PUMP_BATCH_SIZE - PUMP_READ_AHEAD_MAX;
	pump_read_ahead(&r->pump, &r->source, &r->destination, &r->resources);
	assert_null(r->pump.spill);
	assert_true(r->source.readable);
	pump_batch_end(&r->resources);
	pump_read_ahead(&r->pump, &r->source, &r->destination, &r->resources);
	assert_u64(pump_held_bytes(&r->pump), 11);
	assert_u64(r->pump.bytes, 0);
	WAIT_UNTIL(r->received == 11, {
		pump_rig_step(r);
		pump_rig_drain(r, PATTERN_MAX);
	});
	assert_memory_equal(r->buffer, "220 ready\r\n", 11);
}

int
main(void)
{
	const struct CMUnitTest pump[] = {
	    PUMP_RIG_TEST(fin_without_a_byte_is_a_fin),
	    PUMP_RIG_TEST(one_byte_arrives),
	    PUMP_RIG_TEST(one_less_than_the_buffer_arrives),
	    PUMP_RIG_TEST(exactly_the_buffer_arrives),
	    PUMP_RIG_TEST(one_more_than_the_buffer_arrives),
	    PUMP_RIG_TEST(sixty_four_kib_arrive),
	    PUMP_RIG_TEST(one_mib_arrives),
	    PUMP_RIG_TEST(ten_mib_arrive),
	    PUMP_RIG_TEST(one_byte_segments_arrive_in_order),
	    PUMP_RIG_TEST(small_reads_leave_nothing_behind),
	    PUMP_RIG_TEST(a_blocked_writer_stops_the_reader_within_one_buffer),
	    PUMP_RIG_TEST(the_spill_goes_out_first_when_the_reader_wakes),
	    PUMP_RIG_TEST(no_memory_for_the_spill_is_said),
	    PUMP_RIG_TEST(release_drops_the_spill),
	    PUMP_RIG_TEST(
		data_before_a_reset_is_delivered_then_the_reset_is_said),
	    PUMP_RIG_TEST(data_before_a_reset_waits_for_a_slow_reader),
	    PUMP_RIG_TEST(zero_after_a_failed_write_is_no_fin),
	    PUMP_RIG_TEST(a_dead_destination_is_said),
	    PUMP_RIG_TEST(a_write_that_fails_marks_the_destination),
	    PUMP_RIG_TEST(held_bytes_for_a_dead_destination_are_not_sent),
	    PUMP_RIG_TEST(the_first_error_of_a_side_stays),
	    PUMP_RIG_TEST(an_error_event_is_a_reset_and_stays_one),
	    PUMP_RIG_TEST(an_urgent_byte_keeps_its_place),
	    PUMP_RIG_TEST(an_urgent_byte_right_before_fin_arrives),
	    PUMP_RIG_TEST(an_urgent_byte_that_comes_alone_arrives),
	    PUMP_RIG_TEST(a_turn_without_room_reads_nothing_ahead),
	};

	return PUMP_RIG_RUN(pump);
}
