/* worker/pump: bulk transfers through pipes, and the ways back to copying. */
#include <errno.h>
#include <unistd.h>

#include "faults.h"
#include "pump_fixture.h"
#include "support/expect.h"
#include "tcp_peers.h"
#include "worker/pump.h"

static void
bulk_goes_through_a_pipe_that_comes_back(void **state)
{
	struct pump_rig *r = *state;

	pump_rig_transfer(r, 4 * 1024 * 1024);
	assert_u64_between(fault_calls(FAULT_SPLICE), 8, UINT64_MAX);
	assert_null(r->pump.pipe);
	assert_u64(r->pipes.n_lent, 0);
	assert_u64(r->pipes.n_idle, 1);
}

static void
a_read_below_the_buffer_size_starts_no_splicing(void **state)
{
	struct pump_rig *r = *state;

	for (int i = 0; i < 50; i++) {
		size_t at = r->sent;

		r->sent +=
		    peer_send(r->from, pattern() + at, PUMP_BUFFER_SIZE - 1);
		WAIT_UNTIL(r->pump.bytes == r->sent, pump_rig_step(r));
		pump_rig_drain(r, PATTERN_MAX);
	}
	assert_u64(fault_calls(FAULT_SPLICE), 0);
}

/* Until the destination is full while the pump is in bulk mode. */
static void
fill(struct pump_rig *r)
{
	r->size = PATTERN_MAX;
	pump_rig_narrow(r);
	WAIT_UNTIL(r->pump.pipe_bytes > 0, {
		pump_rig_feed(r);
		pump_rig_step(r);
		/* The copy that starts bulk mode must go out whole. */
		if (r->pump.spill != NULL)
			pump_rig_drain(r, 4096);
	});
}

static void
a_slow_reader_gets_ten_mib_whole_and_bounds_what_is_held(void **state)
{
	struct pump_rig *r = *state;
	uint64_t pipe_size;

	fill(r);
	pipe_size = r->pump.pipe->size;
	assert_i64(r->result, PUMP_BLOCKED);
	assert_u64(r->pipes.n_lent, 1);
	WAIT_UNTIL(r->result == PUMP_FIN, {
		pump_rig_feed(r);
		pump_rig_drain(r, 300000);
		pump_rig_step(r);
	});
	WAIT_UNTIL(r->received == PATTERN_MAX, pump_rig_drain(r, PATTERN_MAX));
	assert_memory_equal(r->buffer, pattern(), PATTERN_MAX);
	assert_u64_between(r->held_most, 1, pipe_size);
	assert_u64(r->pipes.n_lent, 0);
}

/* However much waits: nothing is read while anything is held. */
static void
a_full_pipe_stops_the_reader(void **state)
{
	struct pump_rig *r = *state;
	uint64_t read;

	fill(r);
	pump_rig_settle(r);
	read = r->pump.bytes + r->pump.pipe_bytes;
	for (int i = 0; i < 20; i++) {
		pump_rig_feed(r);
		pump_rig_step(r);
		assert_i64(r->result, PUMP_BLOCKED);
		assert_u64(r->pump.bytes + pump_held_bytes(&r->pump), read);
	}
}

static void
release_closes_a_pipe_with_bytes(void **state)
{
	struct pump_rig *r = *state;

	fill(r);
	pump_release(&r->pump, &r->resources);
	assert_u64(r->pipes.n_lent, 0);
	assert_u64(r->pipes.n_idle, 0);
	assert_u64(r->budget.used, r->budget_used);
}

static void
a_short_splice_goes_back_to_copying(void **state)
{
	struct pump_rig *r = *state;
	uint64_t calls;

	r->pump.splice = true;
	peer_send_all(r->from, pattern(), PUMP_SPLICE_MIN - 1);
	r->sent = PUMP_SPLICE_MIN - 1;
	WAIT_UNTIL(r->pump.bytes == r->sent, pump_rig_step(r));
	assert_false(r->pump.splice);
	calls = fault_calls(FAULT_SPLICE);
	assert_u64(calls, 2); /* in and out */
	peer_send_all(r->from, pattern() + r->sent, 100);
	r->sent += 100;
	WAIT_UNTIL(r->pump.bytes == r->sent, pump_rig_step(r));
	assert_u64(fault_calls(FAULT_SPLICE), calls);
	WAIT_UNTIL(r->received == r->sent, pump_rig_drain(r, PATTERN_MAX));
	assert_memory_equal(r->buffer, pattern(), r->sent);
}

static void
an_idle_bulk_direction_gives_its_pipe_back(void **state)
{
	struct pump_rig *r = *state;

	peer_send_all(r->from, pattern(), 60000);
	WAIT_UNTIL(r->pump.bytes == 60000, pump_rig_step(r));
	pump_rig_step(r);
	assert_null(r->pump.pipe);
	assert_u64(r->pipes.n_lent, 0);
}

static void
without_descriptors_for_a_pipe_bytes_are_copied(void **state)
{
	struct pump_rig *r = *state;

	r->budget.limit = r->budget.used + 1;
	pump_rig_transfer(r, 1024 * 1024);
	assert_u64(fault_calls(FAULT_SPLICE), 0);
	assert_u64(r->pipes.n_idle, 0);
}

static void
a_pipe_the_kernel_refuses_is_done_without(void **state)
{
	struct pump_rig *r = *state;

	fault_set(FAULT_PIPE2, 0, UINT32_MAX, EMFILE);
	pump_rig_transfer(r, 1024 * 1024);
	assert_u64_between(fault_hits(FAULT_PIPE2), 1, UINT32_MAX);
	assert_u64(fault_calls(FAULT_SPLICE), 0);
	assert_u64(r->budget.used, r->budget_used);
}

/* ---- refusals of splice ----------------------------------------------- */

static void
refused_splice_in(struct pump_rig *r, int err)
{
	fault_set(FAULT_SPLICE, 0, 1, err);
	pump_rig_transfer(r, 1024 * 1024);
	assert_u64(fault_hits(FAULT_SPLICE), 1);
	assert_u64(fault_calls(FAULT_SPLICE), 1);
	assert_true(r->pump.no_splice);
}

static void
einval_from_the_source_means_copying_for_good(void **state)
{
	refused_splice_in(*state, EINVAL);
}

static void
enomem_from_the_source_means_copying_for_good(void **state)
{
	refused_splice_in(*state, ENOMEM);
}

static void
eintr_is_tried_again(void **state)
{
	struct pump_rig *r = *state;

	fault_set(FAULT_SPLICE, 0, 3, EINTR);
	pump_rig_transfer(r, 1024 * 1024);
	assert_u64(fault_hits(FAULT_SPLICE), 3);
	assert_u64_between(fault_calls(FAULT_SPLICE), 5, UINT64_MAX);
}

/* Call 0 fills the pipe, call 1 empties it. */
static void
refused_splice_out(struct pump_rig *r, int err)
{
	fault_set(FAULT_SPLICE, 1, 1, err);
	pump_rig_transfer(r, 1024 * 1024);
	assert_u64(fault_hits(FAULT_SPLICE), 1);
	assert_u64(fault_calls(FAULT_SPLICE), 2);
	assert_u64(r->pipes.n_lent, 0);
}

static void
einval_from_the_destination_empties_the_pipe_by_hand(void **state)
{
	refused_splice_out(*state, EINVAL);
}

static void
zero_from_the_destination_empties_the_pipe_by_hand(void **state)
{
	refused_splice_out(*state, 0);
}

static void
a_pipe_emptied_by_hand_keeps_order_with_a_slow_reader(void **state)
{
	struct pump_rig *r = *state;

	fill(r);
	fault_set(FAULT_SPLICE, 0, 1, EINVAL);
	WAIT_UNTIL(r->result == PUMP_FIN, {
		pump_rig_feed(r);
		pump_rig_drain(r, 100000);
		pump_rig_step(r);
	});
	assert_u64(fault_hits(FAULT_SPLICE), 1);
	WAIT_UNTIL(r->received == PATTERN_MAX, pump_rig_drain(r, PATTERN_MAX));
	assert_memory_equal(r->buffer, pattern(), PATTERN_MAX);
}

static void
bytes_lost_in_a_pipe_are_said(void **state)
{
	struct pump_rig *r = *state;

	fill(r);
	/* As if the kernel had lost them: there is nothing to read. */
	r->pump.pipe_bytes += 1;
	r->pump.no_splice = true;
	WAIT_UNTIL(r->result == PUMP_NO_MEMORY, {
		pump_rig_drain(r, 100000);
		r->destination.writable = true;
		r->result = pump_run(
		    &r->pump, &r->source, &r->destination, &r->resources);
	});
	assert_u64(pump_held_bytes(&r->pump), 1);
}

/* ---- resets ----------------------------------------------------------- */

static void
an_error_of_the_source_seen_by_splice_is_no_fin(void **state)
{
	struct pump_rig *r = *state;

	r->pump.splice = true;
	peer_reset(r->from);
	r->from = -1;
	/* No event has told yet: splice meets the reset first. */
	WAIT_UNTIL(r->source.error != 0, {
		r->source.readable = true;
		r->pump.splice = true;
		r->result = pump_run(
		    &r->pump, &r->source, &r->destination, &r->resources);
	});
	assert_i64(r->result, PUMP_SRC_RESET);
	assert_i64(r->source.error, ECONNRESET);
}

static void
an_error_of_the_destination_seen_by_splice_marks_it(void **state)
{
	struct pump_rig *r = *state;

	fault_set(FAULT_SPLICE, 1, 1, ECONNRESET);
	r->size = 100000;
	WAIT_UNTIL(r->result == PUMP_DST_RESET, {
		pump_rig_feed(r);
		pump_rig_step(r);
	});
	assert_i64(r->destination.error, ECONNRESET);
	assert_u64_between(pump_held_bytes(&r->pump), 1, 100000);
	r->result =
	    pump_run(&r->pump, &r->source, &r->destination, &r->resources);
	assert_i64(r->result, PUMP_DST_RESET);
}

/* ---- turns ------------------------------------------------------------ */

static void
keep_both_ends_going(void *arg)
{
	struct pump_rig *r = arg;

	pump_rig_feed(r);
	pump_rig_drain(r, PATTERN_MAX);
}

static void
a_turn_ends_after_its_bytes(void **state)
{
	struct pump_rig *r = *state;

	r->size = PATTERN_MAX;
	fault_before(FAULT_SPLICE, keep_both_ends_going, r);
	WAIT_UNTIL(r->result == PUMP_BUSY, {
		uint64_t before = r->pump.bytes;

		pump_rig_feed(r);
		pump_rig_step(r);
		/* One move may add a pipe's size. */
		assert_u64_between(
		    r->pump.bytes - before, 0, 2 * PUMP_TURN_BYTES);
	});
	/* Nothing is held between turns, and the next one goes on. */
	assert_u64(pump_held_bytes(&r->pump), 0);
	WAIT_UNTIL(r->result == PUMP_FIN, {
		pump_rig_feed(r);
		pump_rig_step(r);
	});
	WAIT_UNTIL(r->received == PATTERN_MAX, pump_rig_drain(r, PATTERN_MAX));
	assert_memory_equal(r->buffer, pattern(), PATTERN_MAX);
}

/* ---- urgent data ------------------------------------------------------ */

/* 60,000 bytes in bulk mode, an urgent byte, more bytes. */
static void
urgent_in_bulk(struct pump_rig *r, size_t after)
{
	size_t before = 60000, size = before + 1 + after;

	r->pump.splice = true;
	peer_send_all(r->from, pattern(), before);
	peer_send_urgent(r->from, pattern()[before]);
	if (after > 0)
		peer_send_all(r->from, pattern() + before + 1, after);
	peer_fin(r->from);
	WAIT_UNTIL(r->result == PUMP_FIN, {
		pump_rig_step(r);
		pump_rig_drain(r, PATTERN_MAX);
	});
	WAIT_UNTIL(r->received >= size, pump_rig_drain(r, PATTERN_MAX));
	assert_u64(r->received, size);
	assert_memory_equal(r->buffer, pattern(), size);
}

static void
an_urgent_byte_in_bulk_mode_keeps_its_place(void **state)
{
	urgent_in_bulk(*state, 60000);
}

static void
an_urgent_byte_in_bulk_mode_right_before_fin_arrives(void **state)
{
	urgent_in_bulk(*state, 0);
}

/* Nothing comes behind it that would wake the pump once more. */
static void
an_urgent_byte_in_bulk_mode_needs_no_later_event(void **state)
{
	struct pump_rig *r = *state;

	r->pump.splice = true;
	peer_send_all(r->from, pattern(), 60000);
	peer_send_urgent(r->from, pattern()[60000]);
	WAIT_UNTIL(r->received == 60001, {
		pump_rig_step(r);
		pump_rig_drain(r, PATTERN_MAX);
	});
	assert_memory_equal(r->buffer, pattern(), 60001);
}

/* The byte comes between two splices of one turn: no event has told of it
 * when splice stops in front of it. */
static void
send_urgent_once(void *arg)
{
	struct pump_rig *r = arg;

	if (r->fin_sent)
		return;
	r->fin_sent = true;
	peer_send_urgent(r->from, pattern()[60000]);
	peer_fin(r->from);
}

static void
an_urgent_byte_that_splice_meets_first_arrives(void **state)
{
	struct pump_rig *r = *state;

	r->pump.splice = true;
	peer_send_all(r->from, pattern(), 60000);
	fault_before(FAULT_SPLICE, send_urgent_once, r);
	WAIT_UNTIL(r->result == PUMP_FIN, {
		pump_rig_step(r);
		pump_rig_drain(r, PATTERN_MAX);
	});
	WAIT_UNTIL(r->received >= 60001, pump_rig_drain(r, PATTERN_MAX));
	assert_u64(r->received, 60001);
	assert_memory_equal(r->buffer, pattern(), 60001);
}

int
main(void)
{
	const struct CMUnitTest pump_splice[] = {
	    PUMP_RIG_TEST(bulk_goes_through_a_pipe_that_comes_back),
	    PUMP_RIG_TEST(a_read_below_the_buffer_size_starts_no_splicing),
	    PUMP_RIG_TEST(
		a_slow_reader_gets_ten_mib_whole_and_bounds_what_is_held),
	    PUMP_RIG_TEST(a_full_pipe_stops_the_reader),
	    PUMP_RIG_TEST(release_closes_a_pipe_with_bytes),
	    PUMP_RIG_TEST(a_short_splice_goes_back_to_copying),
	    PUMP_RIG_TEST(an_idle_bulk_direction_gives_its_pipe_back),
	    PUMP_RIG_TEST(without_descriptors_for_a_pipe_bytes_are_copied),
	    PUMP_RIG_TEST(a_pipe_the_kernel_refuses_is_done_without),
	    PUMP_RIG_TEST(einval_from_the_source_means_copying_for_good),
	    PUMP_RIG_TEST(enomem_from_the_source_means_copying_for_good),
	    PUMP_RIG_TEST(eintr_is_tried_again),
	    PUMP_RIG_TEST(einval_from_the_destination_empties_the_pipe_by_hand),
	    PUMP_RIG_TEST(zero_from_the_destination_empties_the_pipe_by_hand),
	    PUMP_RIG_TEST(
		a_pipe_emptied_by_hand_keeps_order_with_a_slow_reader),
	    PUMP_RIG_TEST(bytes_lost_in_a_pipe_are_said),
	    PUMP_RIG_TEST(an_error_of_the_source_seen_by_splice_is_no_fin),
	    PUMP_RIG_TEST(an_error_of_the_destination_seen_by_splice_marks_it),
	    PUMP_RIG_TEST(a_turn_ends_after_its_bytes),
	    PUMP_RIG_TEST(an_urgent_byte_in_bulk_mode_keeps_its_place),
	    PUMP_RIG_TEST(an_urgent_byte_in_bulk_mode_right_before_fin_arrives),
	    PUMP_RIG_TEST(an_urgent_byte_in_bulk_mode_needs_no_later_event),
	    PUMP_RIG_TEST(an_urgent_byte_that_splice_meets_first_arrives),
	};

	return PUMP_RIG_RUN(pump_splice);
}
