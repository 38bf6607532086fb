/* ipc/scoreboard: the shared segment, its blocks and sums. */
#include "ipc/scoreboard.h"

#include <sched.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"

struct board {
	struct scoreboard *sb;
	int fd;
};

static int
setup(void **state)
{
	static struct board b;

	assert_i64(scoreboard_create(&b.sb, &b.fd), 0);
	*state = &b;
	return 0;
}

static int
teardown(void **state)
{
	struct board *b = *state;

	scoreboard_detach(b->sb);
	close(b->fd);
	return 0;
}

static void
what_one_process_writes_the_other_reads(void **state)
{
	struct board *b = *state;
	struct scoreboard *theirs;

	assert_i64(scoreboard_attach(b->fd, &theirs), 0);
	assert_ptr_not_equal(theirs, b->sb);
	atomic_store(&b->sb->targets[4095].flags, SB_ROUTABLE);
	assert_u64(atomic_load(&theirs->targets[4095].flags), SB_ROUTABLE);
	sb_add(&theirs->blocks[SB_BLOCKS - 1].accepted_flows, 5);
	assert_u64(sb_get(&b->sb->blocks[SB_BLOCKS - 1].accepted_flows), 5);
	assert_memory_equal(&theirs->source_key, &b->sb->source_key,
	    sizeof(theirs->source_key));
	scoreboard_detach(theirs);
}

static void
a_segment_that_is_not_ours_is_refused(void **state)
{
	struct board *b = *state;
	struct scoreboard *out;
	int fd = memfd_create("other", MFD_CLOEXEC);

	assert_errno(scoreboard_attach(fd, &out), -EPROTO);
	assert_i64(ftruncate(fd, sizeof(struct scoreboard) - 1), 0);
	assert_errno(scoreboard_attach(fd, &out), -EPROTO);
	assert_i64(ftruncate(fd, sizeof(struct scoreboard)), 0);
	assert_errno(scoreboard_attach(fd, &out), -EPROTO);
	close(fd);
	assert_errno(scoreboard_attach(fd, &out), -EBADF);
	b->sb->size--; /* of another version */
	assert_errno(scoreboard_attach(b->fd, &out), -EPROTO);
	scoreboard_detach(NULL);
}

static void
blocks_are_taken_until_there_is_none(void **state)
{
	struct scoreboard *sb = ((struct board *)*state)->sb;

	for (uint32_t i = 0; i < SB_BLOCKS; i++) {
		struct sb_block *block = scoreboard_take(sb, i, 1000 + i);

		assert_u64(scoreboard_block_index(sb, block), i);
		assert_u64(atomic_load(&block->worker_index), i);
		assert_u64(sb_get(&block->heartbeat_ms), 1000 + i);
		assert_u64(atomic_load(&block->state), SB_BLOCK_STARTING);
	}
	assert_null(scoreboard_take(sb, 0, 0));
	scoreboard_retire(sb, &sb->blocks[50]);
	assert_ptr_equal(scoreboard_take(sb, 0, 0), &sb->blocks[50]);
}

/* Fills every counter of the block with n plus a number of its own. */
static void
fill(struct sb_block *block, uint64_t n)
{
	struct sb_listener *l = &block->listeners[SB_LISTENERS - 1];
	struct sb_target_counters *t = &block->targets[SB_TARGETS - 1];

#define X(field, help) sb_add(&l->field, n++);
	SB_LISTENER_COUNTERS(X)
#undef X
#define X(field, help) sb_add(&t->field, n++);
	SB_TARGET_COUNTERS(X)
#undef X
	for (size_t i = 0; i < FLOW_END_REASON_COUNT; i++)
		sb_add(&block->ends[i], n++);
	sb_latency_add(&block->connects[SB_LISTENERS - 1], n++);
	sb_latency_add(&block->turns, 20000000 + n++);
	sb_add(&block->active_flows, n++);
	atomic_store(&block->sources[7], (uint32_t)n++);
	sb_add(&block->accepted_flows, n++);
	sb_add(&block->dropped_records, n++);
}

struct sums {
	struct sb_listener_sum listener;
	struct sb_target_sum target;
	uint64_t ends[FLOW_END_REASON_COUNT];
	struct latency connects, turns; /* turns: of worker 0 */
	uint64_t dropped_records;
};

static struct sums
sum(const struct scoreboard *sb)
{
	struct sums s;

	scoreboard_sum_listener(sb, SB_LISTENERS - 1, &s.listener);
	scoreboard_sum_target(sb, SB_TARGETS - 1, &s.target);
	scoreboard_sum_ends(sb, s.ends);
	scoreboard_sum_connects(sb, SB_LISTENERS - 1, &s.connects);
	scoreboard_sum_turns(sb, 0, &s.turns);
	s.dropped_records = scoreboard_dropped_records(sb);
	return s;
}

static void
sums_cover_all_live_blocks_field_by_field(void **state)
{
	struct scoreboard *sb = ((struct board *)*state)->sb;
	uint64_t n = 1000 + 50;
	struct sums s;

	fill(scoreboard_take(sb, 0, 0), 1000);
	fill(scoreboard_take(sb, 1, 0), 50);
	fill(&sb->blocks[9], 77); /* free: does not count */
	s = sum(sb);
#define X(field, help)                   \
	assert_u64(s.listener.field, n); \
	n += 2;
	SB_LISTENER_COUNTERS(X)
#undef X
#define X(field, help)                 \
	assert_u64(s.target.field, n); \
	n += 2;
	SB_TARGET_COUNTERS(X)
#undef X
	for (size_t i = 0; i < FLOW_END_REASON_COUNT; i++, n += 2)
		assert_u64(s.ends[i], n);
	assert_u64(latency_count(&s.connects), 2);
	assert_u64(s.connects.sum_us, n);
	n += 2;
	/* Only one of the two blocks is worker 0's. */
	assert_u64(latency_count(&s.turns), 1);
	assert_u64(s.turns.buckets[LATENCY_BUCKETS - 1], 1);
	n += 2;
	assert_u64(s.dropped_records, n + 6);
	assert_u64(scoreboard_active_flows(sb), n);
	assert_u64(scoreboard_listener_active(sb, SB_LISTENERS - 1), 1050);
	assert_u64(scoreboard_target_active(sb, SB_TARGETS - 1),
	    s.target.active_flows);
	assert_u64(scoreboard_source_active(sb, 7, NULL), n + 2);
	assert_u64(scoreboard_source_active(sb, 7, &sb->blocks[0]),
	    atomic_load(&sb->blocks[1].sources[7]));
	assert_u64(scoreboard_source_active(sb, 8, NULL), 0);
}

static void
a_retired_block_keeps_its_counters_and_loses_its_gauges(void **state)
{
	struct scoreboard *sb = ((struct board *)*state)->sb;
	struct sb_block *block = scoreboard_take(sb, 0, 0);
	struct sums before, after;

	fill(block, 1);
	before = sum(sb);
	scoreboard_retire(sb, block);
	after = sum(sb);
	before.listener.active_flows = 0;
	before.listener.paused_workers = 0;
	before.target.active_flows = 0;
	assert_memory_equal(&after, &before, sizeof(after));
	assert_u64(scoreboard_active_flows(sb), 0);
	assert_u64(scoreboard_source_active(sb, 7, NULL), 0);
	assert_u64(sb_get(&sb->retired.accepted_flows) + 1,
	    sb_get(&sb->retired.dropped_records));
	/* The next worker in the block starts at zero, and adds to them. */
	block = scoreboard_take(sb, 0, 0);
	assert_u64(sb_get(&block->accepted_flows), 0);
	fill(block, 1);
	scoreboard_retire(sb, block);
	assert_u64(sum(sb).listener.new_flows, 2 * after.listener.new_flows);
}

static void
a_reset_slot_starts_anew_and_the_others_do_not(void **state)
{
	struct scoreboard *sb = ((struct board *)*state)->sb;
	struct sums s;
	struct sb_block *block = scoreboard_take(sb, 0, 0);

	fill(block, 5);
	scoreboard_retire(sb, block);
	fill(scoreboard_take(sb, 0, 0), 5);
	atomic_store(&sb->targets[SB_TARGETS - 1].flags, SB_ROUTABLE);
	scoreboard_reset_listener(sb, SB_LISTENERS - 2);
	scoreboard_reset_target(sb, SB_TARGETS - 2);
	assert_u64_between(sum(sb).listener.new_flows, 1, 1000);
	s = sum(sb);
	assert_u64(latency_count(&s.connects), 2);
	scoreboard_reset_listener(sb, SB_LISTENERS - 1);
	s = sum(sb);
	assert_u64(s.listener.new_flows, 0);
	assert_u64(latency_count(&s.connects), 0);
	assert_u64(latency_count(&s.turns), 2);
	assert_u64_between(sum(sb).target.new_flows, 1, 1000);
	scoreboard_reset_target(sb, SB_TARGETS - 1);
	assert_u64(sum(sb).target.new_flows, 0);
	assert_u64(atomic_load(&sb->targets[SB_TARGETS - 1].flags), 0);
}

#define PLACES 2
#define VISITORS 4
#define VISITS 5000 /* of each */

/* What visitors count by themselves, with locked instructions. */
struct visits {
	_Atomic uint32_t inside, entered, too_many;
};

static void
visit(const struct scoreboard *sb, struct sb_block *block, struct visits *v)
{
	for (int i = 0; i < VISITS;) {
		if (!scoreboard_target_enter(sb, block, 5, PLACES)) {
			sched_yield(); /* to those who are inside */
			continue;
		}
		i++;
		if (atomic_fetch_add(&v->inside, 1) >= PLACES)
			atomic_fetch_add(&v->too_many, 1);
		atomic_fetch_add(&v->entered, 1);
		atomic_fetch_sub(&v->inside, 1);
		sb_sub(&block->targets[5].active_flows, 1);
	}
}

static void
many_processes_never_take_more_places_than_there_are(void **state)
{
	struct scoreboard *sb = ((struct board *)*state)->sb;
	struct visits *v = mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(v, MAP_FAILED);
	for (uint32_t i = 0; i < VISITORS; i++) {
		struct sb_block *block = scoreboard_take(sb, i, 0);

		if (fork() == 0) {
			visit(sb, block, v);
			_exit(0);
		}
	}
	for (int i = 0; i < VISITORS; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_i64(status, 0);
	}
	assert_u64(atomic_load(&v->too_many), 0);
	assert_u64(atomic_load(&v->entered), VISITORS * VISITS);
	assert_u64(scoreboard_target_active(sb, 5), 0);
	munmap(v, sizeof(*v));
}

static void
places_are_counted_over_all_workers(void **state)
{
	struct scoreboard *sb = ((struct board *)*state)->sb;
	struct sb_block *a = scoreboard_take(sb, 0, 0);
	struct sb_block *b = scoreboard_take(sb, 1, 0);

	assert_true(scoreboard_target_enter(sb, a, 5, 2));
	assert_true(scoreboard_target_enter(sb, b, 5, 2));
	assert_false(scoreboard_target_enter(sb, a, 5, 2));
	assert_u64(scoreboard_target_active(sb, 5), 2);
	assert_true(scoreboard_target_enter(sb, a, 5, UINT32_MAX));
	sb_sub(&a->targets[5].active_flows, 2);
	/* A worker that died holds none. */
	scoreboard_retire(sb, b);
	assert_true(scoreboard_target_enter(sb, a, 5, 1));
}

static void
gauges_go_down_to_zero(void **state)
{
	_Atomic uint64_t gauge = 0;

	(void)state;
	sb_add(&gauge, 3);
	sb_sub(&gauge, 2);
	assert_u64(sb_get(&gauge), 1);
	sb_sub(&gauge, 1);
	assert_u64(sb_get(&gauge), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest scoreboard[] = {
	    TEST(what_one_process_writes_the_other_reads),
	    TEST(a_segment_that_is_not_ours_is_refused),
	    TEST(blocks_are_taken_until_there_is_none),
	    TEST(sums_cover_all_live_blocks_field_by_field),
	    TEST(a_retired_block_keeps_its_counters_and_loses_its_gauges),
	    TEST(a_reset_slot_starts_anew_and_the_others_do_not),
	    TEST(places_are_counted_over_all_workers),
	    TEST(many_processes_never_take_more_places_than_there_are),
	    cmocka_unit_test(gauges_go_down_to_zero),
	};

	return cmocka_run_group_tests(scoreboard, NULL, NULL);
}
