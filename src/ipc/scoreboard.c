/*
 * The scoreboard's segment: making, mapping, folding, summing. A memfd, so
 * that it needs no name in any file system and dies with its users.
 */
#include "ipc/scoreboard.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SB_MAGIC 0x6e6c62643a736231ULL /* "nlbd:sb1" */

static int
map_segment(int fd, struct scoreboard **out)
{
	void *p = mmap(NULL, sizeof(struct scoreboard), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

int
scoreboard_create(struct scoreboard **out, int *fd)
{
	struct scoreboard *sb = NULL;
	int rc, memfd;

	memfd = memfd_create("nlbd-scoreboard", MFD_CLOEXEC);
	if (memfd == -1)
		return -errno;
	if (ftruncate(memfd, sizeof(*sb)) == -1) {
		rc = -errno;
		goto fail;
	}
	rc = map_segment(memfd, &sb);
	if (rc < 0)
		goto fail;
	rc = hash_key_random(&sb->source_key);
	if (rc < 0) {
		scoreboard_detach(sb);
		goto fail;
	}
	sb->size = sizeof(*sb);
	sb->magic = SB_MAGIC;
	*out = sb;
	*fd = memfd;
	return 0;
fail:
	close(memfd);
	return rc;
}

int
scoreboard_attach(int fd, struct scoreboard **out)
{
	struct scoreboard *sb = NULL;
	struct stat st;
	int rc;

	if (fstat(fd, &st) == -1)
		return -errno;
	if (st.st_size != (off_t)sizeof(*sb))
		return -EPROTO;
	rc = map_segment(fd, &sb);
	if (rc < 0 || sb == NULL)
		return rc;
	if (sb->magic != SB_MAGIC || sb->size != sizeof(*sb)) {
		scoreboard_detach(sb);
		return -EPROTO;
	}
	*out = sb;
	return 0;
}

void
scoreboard_detach(struct scoreboard *sb)
{
	if (sb != NULL)
		munmap(sb, sizeof(*sb));
}

struct sb_block *
scoreboard_take(struct scoreboard *sb, uint32_t worker_index, uint64_t now_ms)
{
	for (size_t i = 0; i < SB_BLOCKS; i++) {
		struct sb_block *b = &sb->blocks[i];

		if (atomic_load(&b->state) != SB_BLOCK_FREE)
			continue;
		memset(b, 0, sizeof(*b));
		atomic_store(&b->worker_index, worker_index);
		atomic_store(&b->heartbeat_ms, now_ms);
		atomic_store(&b->state, SB_BLOCK_STARTING);
		atomic_store(&sb->live[i], 1);
		return b;
	}
	return NULL;
}

static bool
is_live(const struct scoreboard *sb, size_t i)
{
	return atomic_load_explicit(&sb->live[i], memory_order_relaxed) != 0;
}

static void
fold_latency(struct sb_latency *to, const struct sb_latency *from)
{
	for (size_t i = 0; i < LATENCY_BUCKETS; i++)
		sb_add(&to->buckets[i], sb_get(&from->buckets[i]));
	sb_add(&to->sum_us, sb_get(&from->sum_us));
}

static void
add_latency(struct latency *out, const struct sb_latency *l)
{
	for (size_t i = 0; i < LATENCY_BUCKETS; i++)
		out->buckets[i] += sb_get(&l->buckets[i]);
	out->sum_us += sb_get(&l->sum_us);
}

static void
fold_listener(struct sb_listener *to, const struct sb_listener *from)
{
#define X(field, help) sb_add(&to->field, sb_get(&from->field));
	SB_LISTENER_COUNTERS(X)
#undef X
	atomic_store(&to->active_flows, 0);
	atomic_store(&to->paused_workers, 0);
}

static void
fold_targets(struct sb_block *to, const struct sb_block *from)
{
	for (size_t i = 0; i < SB_TARGETS; i++) {
		struct sb_target_counters *t = &to->targets[i];
		const struct sb_target_counters *f = &from->targets[i];

#define X(field, help) sb_add(&t->field, sb_get(&f->field));
		SB_TARGET_COUNTERS(X)
#undef X
		atomic_store(&t->active_flows, 0);
	}
}

void
scoreboard_retire(struct scoreboard *sb, struct sb_block *block)
{
	struct sb_block *to = &sb->retired;

	for (size_t i = 0; i < SB_LISTENERS; i++) {
		fold_listener(&to->listeners[i], &block->listeners[i]);
		fold_latency(&to->connects[i], &block->connects[i]);
	}
	fold_latency(
	    &sb->retired_turns[atomic_load(&block->worker_index) % SB_WORKERS],
	    &block->turns);
	fold_targets(to, block);
	for (size_t i = 0; i < FLOW_END_REASON_COUNT; i++)
		sb_add(&to->ends[i], sb_get(&block->ends[i]));
	sb_add(&to->accepted_flows, sb_get(&block->accepted_flows));
	sb_add(&to->dropped_records, sb_get(&block->dropped_records));
	atomic_store(&sb->live[scoreboard_block_index(sb, block)], 0);
	/* Zeroed now and not at the next take: sums must not count it twice. */
	memset(block, 0, sizeof(*block));
}

size_t
scoreboard_block_index(
    const struct scoreboard *sb, const struct sb_block *block)
{
	return (size_t)(block - sb->blocks);
}

void
scoreboard_reset_listener(struct scoreboard *sb, uint16_t slot)
{
	fold_listener(&sb->former, &sb->retired.listeners[slot]);
	memset(&sb->retired.listeners[slot], 0,
	    sizeof(sb->retired.listeners[slot]));
	memset(
	    &sb->retired.connects[slot], 0, sizeof(sb->retired.connects[slot]));
	for (size_t i = 0; i < SB_BLOCKS; i++) {
		if (!is_live(sb, i))
			continue; /* zero, and perhaps never touched */
		fold_listener(&sb->former, &sb->blocks[i].listeners[slot]);
		memset(&sb->blocks[i].listeners[slot], 0,
		    sizeof(sb->blocks[i].listeners[slot]));
		memset(&sb->blocks[i].connects[slot], 0,
		    sizeof(sb->blocks[i].connects[slot]));
	}
}

void
scoreboard_reset_target(struct scoreboard *sb, uint16_t slot)
{
	memset(&sb->targets[slot], 0, sizeof(sb->targets[slot]));
	memset(
	    &sb->retired.targets[slot], 0, sizeof(sb->retired.targets[slot]));
	/* The others are zero: thousands of targets may come at once. */
	for (size_t i = 0; i < SB_BLOCKS; i++)
		if (is_live(sb, i))
			memset(&sb->blocks[i].targets[slot], 0,
			    sizeof(sb->blocks[i].targets[slot]));
}

static void
add_listener(struct sb_listener_sum *out, const struct sb_listener *l)
{
#define X(field, help) out->field += sb_get(&l->field);
	SB_LISTENER_COUNTERS(X)
#undef X
}

/* From first on, n slots. */
static void
sum_slots(const struct scoreboard *sb, size_t first, size_t n,
    struct sb_listener_sum *out)
{
	for (size_t i = 0; i <= SB_BLOCKS; i++) {
		const struct sb_block *b =
		    i == SB_BLOCKS ? &sb->retired : &sb->blocks[i];

		if (i < SB_BLOCKS && !is_live(sb, i))
			continue;
		for (size_t slot = first; slot < first + n; slot++)
			add_listener(out, &b->listeners[slot]);
	}
}

void
scoreboard_sum_listener(
    const struct scoreboard *sb, uint16_t slot, struct sb_listener_sum *out)
{
	memset(out, 0, sizeof(*out));
	sum_slots(sb, slot, 1, out);
}

void
scoreboard_sum_listeners(
    const struct scoreboard *sb, struct sb_listener_sum *out)
{
	memset(out, 0, sizeof(*out));
	add_listener(out, &sb->former);
	sum_slots(sb, 0, SB_LISTENERS, out);
}

void
scoreboard_sum_target(
    const struct scoreboard *sb, uint16_t slot, struct sb_target_sum *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i <= SB_BLOCKS; i++) {
		const struct sb_block *b =
		    i == SB_BLOCKS ? &sb->retired : &sb->blocks[i];
		const struct sb_target_counters *t = &b->targets[slot];

		if (i < SB_BLOCKS && !is_live(sb, i))
			continue;
#define X(field, help) out->field += sb_get(&t->field);
		SB_TARGET_COUNTERS(X)
#undef X
	}
}

void
sb_target_sum_add(struct sb_target_sum *to, const struct sb_target_sum *from)
{
#define X(field, help) to->field += from->field;
	SB_TARGET_COUNTERS(X)
#undef X
}

void
scoreboard_sum_ends(
    const struct scoreboard *sb, uint64_t out[FLOW_END_REASON_COUNT])
{
	for (size_t r = 0; r < FLOW_END_REASON_COUNT; r++)
		out[r] = sb_get(&sb->retired.ends[r]);
	for (size_t i = 0; i < SB_BLOCKS; i++) {
		if (!is_live(sb, i))
			continue;
		for (size_t r = 0; r < FLOW_END_REASON_COUNT; r++)
			out[r] += sb_get(&sb->blocks[i].ends[r]);
	}
}

void
scoreboard_sum_connects(
    const struct scoreboard *sb, uint16_t slot, struct latency *out)
{
	memset(out, 0, sizeof(*out));
	add_latency(out, &sb->retired.connects[slot]);
	for (size_t i = 0; i < SB_BLOCKS; i++)
		if (is_live(sb, i))
			add_latency(out, &sb->blocks[i].connects[slot]);
}

void
scoreboard_sum_turns(
    const struct scoreboard *sb, uint32_t worker_index, struct latency *out)
{
	memset(out, 0, sizeof(*out));
	add_latency(out, &sb->retired_turns[worker_index % SB_WORKERS]);
	for (size_t i = 0; i < SB_BLOCKS; i++)
		if (is_live(sb, i) &&
		    atomic_load(&sb->blocks[i].worker_index) == worker_index)
			add_latency(out, &sb->blocks[i].turns);
}

uint64_t
scoreboard_dropped_records(const struct scoreboard *sb)
{
	uint64_t n = sb_get(&sb->retired.dropped_records);

	for (size_t i = 0; i < SB_BLOCKS; i++)
		if (is_live(sb, i))
			n += sb_get(&sb->blocks[i].dropped_records);
	return n;
}

uint64_t
scoreboard_active_flows(const struct scoreboard *sb)
{
	uint64_t n = 0;

	for (size_t i = 0; i < SB_BLOCKS; i++)
		if (is_live(sb, i))
			n += sb_get(&sb->blocks[i].active_flows);
	return n;
}

uint64_t
scoreboard_listener_active(const struct scoreboard *sb, uint16_t slot)
{
	uint64_t n = 0;

	for (size_t i = 0; i < SB_BLOCKS; i++)
		if (is_live(sb, i))
			n +=
			    sb_get(&sb->blocks[i].listeners[slot].active_flows);
	return n;
}

uint64_t
scoreboard_target_active(const struct scoreboard *sb, uint16_t slot)
{
	uint64_t n = 0;

	for (size_t i = 0; i < SB_BLOCKS; i++)
		if (is_live(sb, i))
			n += sb_get(&sb->blocks[i].targets[slot].active_flows);
	return n;
}

bool
scoreboard_target_enter(const struct scoreboard *sb, struct sb_block *block,
    uint16_t slot, uint32_t max)
{
	_Atomic uint64_t *gauge = &block->targets[slot].active_flows;

	sb_add(gauge, 1);
	if (max == UINT32_MAX)
		return true;
	/* Everybody first says that he comes and then counts: of two who come
	 * at once, at least one sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	if (scoreboard_target_active(sb, slot) <= max)
		return true;
	sb_sub(gauge, 1);
	return false;
}

uint64_t
scoreboard_source_active(
    const struct scoreboard *sb, uint32_t bucket, const struct sb_block *except)
{
	uint64_t n = 0;

	for (size_t i = 0; i < SB_BLOCKS; i++) {
		const struct sb_block *b = &sb->blocks[i];

		if (is_live(sb, i) && b != except)
			n += atomic_load_explicit(
			    &b->sources[bucket], memory_order_relaxed);
	}
	return n;
}
