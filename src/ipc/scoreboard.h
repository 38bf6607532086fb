/*
 * The scoreboard: one shared memory segment between supervisor and workers.
 * Target states have one writer, the supervisor; every worker block has one
 * writer, its worker. Relaxed atomics and no locks: a reader may see a sum
 * that is a moment old, never a torn value.
 *
 * A block belongs to one worker process. When the process is gone the
 * supervisor folds the block into `retired`, so counters never go backwards.
 */
#ifndef IPC_SCOREBOARD_H
#define IPC_SCOREBOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/latency.h"
#include "nlb/reason.h"

#define SB_TARGETS 4096 /* slots; CONF_TARGETS_MAX + draining ones */
/* Nobody's, and so never routable: for a target that could not be registered.
 */
#define SB_SLOT_VOID (SB_TARGETS - 1)
#define SB_LISTENERS 128 /* slots; CONF_LISTENERS_MAX, old and new */
#define SB_BLOCKS 96     /* worker processes, draining ones included */
#define SB_WORKERS 64    /* indices of workers */
#define SB_SOURCES 16384 /* buckets of the per-source sketch */
#define SB_SLOT_NONE UINT16_MAX

/* X(field, meaning): counters (and gauges: active) per listener and target.
 * One table feeds nlbctl, JSON and later the metrics. */
#define SB_LISTENER_COUNTERS(X)                                              \
	X(active_flows, "flows now (ActiveFlowCount)")                       \
	X(new_flows, "flows accepted and allowed (NewFlowCount)")            \
	X(rejected_flows, "flows that never reached a target")               \
	X(security_group_blocked, "connections refused by user space rules") \
	X(security_group_blocked_outbound,                                   \
	    "flows whose targets no outbound rule allows")                   \
	X(network_acl_blocked, "connections refused by a network ACL")       \
	X(client_to_target_bytes, "payload bytes from clients")              \
	X(target_to_client_bytes, "payload bytes from targets")              \
	X(client_to_target_packets, "TCP segments from clients")             \
	X(target_to_client_packets, "TCP segments to clients")               \
	X(client_resets, "TCP_Client_Reset_Count")                           \
	X(target_resets, "TCP_Target_Reset_Count")                           \
	X(elb_resets, "TCP_ELB_Reset_Count")                                 \
	X(unhealthy_routing_flows, "flows routed while failing open")        \
	X(port_allocation_errors, "PortAllocationErrorCount")                \
	X(connect_retries, "connects tried again on another target")         \
	X(paused_workers, "workers in which it is paused now")               \
	X(paused, "times a worker paused it: MaxFlows, descriptors")

#define SB_TARGET_COUNTERS(X)                                             \
	X(active_flows, "flows now, connecting ones included")            \
	X(new_flows, "flows connected")                                   \
	X(connect_failures, "connects refused, timed out or unreachable") \
	X(blocked_checks, "health checks that outbound rules forbid")     \
	X(client_to_target_bytes, "payload bytes to the target")          \
	X(target_to_client_bytes, "payload bytes from the target")        \
	X(client_to_target_packets, "TCP segments from its clients")      \
	X(target_to_client_packets, "TCP segments to its clients")        \
	X(client_resets, "flows that the client reset")                   \
	X(target_resets, "flows that the target reset")                   \
	X(elb_resets, "flows that nlbd reset")                            \
	X(unhealthy_routing_flows, "flows it got by failing open")        \
	X(port_allocation_errors, "connects without a free source port")

struct sb_listener {
#define X(field, help) _Atomic uint64_t field;
	SB_LISTENER_COUNTERS(X)
#undef X
};

struct sb_target_counters {
#define X(field, help) _Atomic uint64_t field;
	SB_TARGET_COUNTERS(X)
#undef X
};

/* struct latency with one writer. */
struct sb_latency {
	_Atomic uint64_t buckets[LATENCY_BUCKETS];
	_Atomic uint64_t sum_us;
};

/* Plain sums of the same, as read. */
struct sb_listener_sum {
#define X(field, help) uint64_t field;
	SB_LISTENER_COUNTERS(X)
#undef X
};
struct sb_target_sum {
#define X(field, help) uint64_t field;
	SB_TARGET_COUNTERS(X)
#undef X
};

enum sb_target_flags {
	SB_ROUTABLE = 1,  /* may get new flows now */
	SB_FAIL_OPEN = 2, /* only because its group fails open */
	SB_STANDBY = 4,   /* healthy; for flows that no active target took */
};

/* Written by the supervisor alone. */
struct sb_target_state {
	_Atomic uint32_t flags; /* enum sb_target_flags: what workers ask */
	_Atomic uint32_t state; /* enum target_state */
	_Atomic uint32_t reason;
};

enum sb_block_state {
	SB_BLOCK_FREE,
	SB_BLOCK_STARTING,
	SB_BLOCK_SERVING,
	SB_BLOCK_DRAINING,
};

struct sb_block {
	_Atomic uint32_t state; /* enum sb_block_state; see scoreboard_take */
	_Atomic uint32_t worker_index;
	_Atomic int32_t pid;
	_Atomic uint32_t max_flows;    /* what its descriptors allow */
	_Atomic uint64_t heartbeat_ms; /* CLOCK_MONOTONIC */
	_Atomic uint64_t generation;   /* of the config in force */
	_Atomic uint64_t active_flows;
	_Atomic uint64_t accepted_flows;
	_Atomic uint64_t dropped_records;  /* log records lost: channel full */
	_Atomic uint64_t pipes;            /* gauge */
	_Atomic uint64_t paused_listeners; /* gauge */
	_Atomic uint64_t ends[FLOW_END_REASON_COUNT];
	struct sb_latency turns; /* of its loop: what comes meanwhile waits */
	struct sb_listener listeners[SB_LISTENERS];
	struct sb_target_counters targets[SB_TARGETS];
	struct sb_latency connects[SB_LISTENERS]; /* that succeeded */
	_Atomic uint32_t sources[SB_SOURCES]; /* active flows by source hash */
};

struct scoreboard {
	uint64_t magic, size;
	struct hash_key source_key; /* one for all workers, random */
	_Atomic uint32_t last_worker_id;
	/* Which blocks are in use, side by side: every accept asks all of
	 * them, and the blocks themselves lie far apart. */
	_Atomic uint8_t live[SB_BLOCKS];
	struct sb_target_state targets[SB_TARGETS];
	struct sb_block retired;   /* sums of blocks whose process is gone */
	struct sb_listener former; /* sums of listeners whose slot is reused */
	struct sb_latency retired_turns[SB_WORKERS]; /* by worker index */
	struct sb_block blocks[SB_BLOCKS];
};

/* Supervisor: makes the segment; *fd is inherited by workers (not CLOEXEC is
 * the spawner's business). 0 or -errno. */
int scoreboard_create(struct scoreboard **out, int *fd);
/* Worker: maps it and checks that it is ours. 0 or -errno. */
int scoreboard_attach(int fd, struct scoreboard **out);
void scoreboard_detach(struct scoreboard *sb);

/* Supervisor: a free, zeroed block for a new worker, or NULL. */
struct sb_block *scoreboard_take(
    struct scoreboard *sb, uint32_t worker_index, uint64_t now_ms);
/* Supervisor: its process is gone: counters fold, gauges fall to 0. */
void scoreboard_retire(struct scoreboard *sb, struct sb_block *block);
size_t scoreboard_block_index(
    const struct scoreboard *sb, const struct sb_block *block);

/* A slot is about to be used for something else: its counters start anew. A
 * listener's stay in the sum of all. */
void scoreboard_reset_listener(struct scoreboard *sb, uint16_t slot);
void scoreboard_reset_target(struct scoreboard *sb, uint16_t slot);

/* Sums over retired and all live blocks. */
void scoreboard_sum_listener(
    const struct scoreboard *sb, uint16_t slot, struct sb_listener_sum *out);
/* The same over all listeners that there ever were. */
void scoreboard_sum_listeners(
    const struct scoreboard *sb, struct sb_listener_sum *out);
void scoreboard_sum_target(
    const struct scoreboard *sb, uint16_t slot, struct sb_target_sum *out);
void sb_target_sum_add(
    struct sb_target_sum *to, const struct sb_target_sum *from);
void scoreboard_sum_ends(
    const struct scoreboard *sb, uint64_t out[FLOW_END_REASON_COUNT]);
void scoreboard_sum_connects(
    const struct scoreboard *sb, uint16_t slot, struct latency *out);
/* Of all that ever had this index: it never goes back. */
void scoreboard_sum_turns(
    const struct scoreboard *sb, uint32_t worker_index, struct latency *out);
uint64_t scoreboard_dropped_records(const struct scoreboard *sb);
uint64_t scoreboard_active_flows(const struct scoreboard *sb);
/*
 * Worker: counts one more flow at the target, unless it then had more than max
 * over all workers, whatever they do at the same moment. Two that come for the
 * last place may both be refused. It leaves by sb_sub of the gauge.
 */
bool scoreboard_target_enter(const struct scoreboard *sb,
    struct sb_block *block, uint16_t slot, uint32_t max);
/* Live flows of one listener, target, or source bucket over all workers. */
uint64_t scoreboard_listener_active(const struct scoreboard *sb, uint16_t slot);
uint64_t scoreboard_target_active(const struct scoreboard *sb, uint16_t slot);
uint64_t scoreboard_source_active(const struct scoreboard *sb, uint32_t bucket,
    const struct sb_block *except);

/* Single-writer arithmetic: a plain load and store, no locked instruction. */
static inline void
sb_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter,
	    atomic_load_explicit(counter, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

static inline void
sb_sub(_Atomic uint64_t *gauge, uint64_t n)
{
	sb_add(gauge, (uint64_t)0 - n);
}

static inline void
sb_latency_add(struct sb_latency *l, uint64_t us)
{
	sb_add(&l->buckets[latency_bucket(us)], 1);
	sb_add(&l->sum_us, us);
}

static inline uint64_t
sb_get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
