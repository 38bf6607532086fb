/*
 * A worker inside the test: on its own poller, with a channel to a supervisor
 * that the test plays, listening sockets and targets on loopback. Every wait
 * turns both loops.
 */
#ifndef WORKER_FIXTURE_H
#define WORKER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#include <unistd.h>

#include "base/log.h"
#include "nlb/conf.h"
#include "tcp_peers.h"
#include "worker/flow.h"
#include "worker/worker.h"

#define RIG_LISTENERS 4
#define RIG_TARGETS 10
#define RIG_RECORDS 2048
#define RIG_FIRST_TARGET_SLOT 10

struct rig_listener {
	char name[CONF_NAME_MAX + 1];
	int fd;
	struct addr addr;
	bool sent; /* the worker has the socket */
};

struct rig_target {
	int fd; /* -1: nobody listens */
	struct addr addr;
	uint16_t slot;
};

struct rig {
	struct scoreboard *sb;
	struct sb_block *block;
	struct worker *worker;
	uv_loop_t loop; /* the supervisor's */
	struct channel *channel;
	uint64_t generation;
	int descriptors; /* before */

	/* slot = index; made when a config first names one */
	struct rig_listener listeners[RIG_LISTENERS];
	size_t n_listeners;
	struct rig_target targets[RIG_TARGETS];
	size_t n_targets;
	uint32_t max_flows, max_flows_per_source; /* the channel's */
	bool flow_log_off;

	/* what the worker said */
	uint64_t ready; /* generation */
	char error[256];
	struct flow_record ends[RIG_RECORDS], listed[RIG_RECORDS];
	size_t n_ends, n_end_messages, n_listed, n_list_messages;
	uint32_t list_request;
	bool list_complete;
	bool channel_lost;
	size_t n_logs;
	char logs[16][LOG_LINE_MAX];
};

int rig_setup(void **state);
/* Ends the worker, then fails the test when a gauge, the descriptor budget, a
 * pipe or a descriptor did not come back. */
int rig_teardown(void **state);

/* One turn of both loops, up to 2 ms. */
void rig_turn(struct rig *r);
#define RIG_WAIT(r, condition) WAIT_UNTIL(condition, rig_turn(r))

/* ---- the supervisor's side */

/* A target that listens with that backlog; its index. */
size_t rig_add_target(struct rig *r, int backlog);
/* A target where nobody listens. */
size_t rig_add_closed_target(struct rig *r);
/* "Target.tN = Id=...,Port=..." for all targets. */
const char *rig_target_lines(struct rig *r);
/* Sends a config as the supervisor does, and waits for CHANNEL_READY. */
void rig_apply(struct rig *r, const char *text);
/* The same without waiting. */
void rig_send_config(struct rig *r, const char *text);
/* One listener "in" that forwards to all targets, with more keys. */
void rig_apply_keys(struct rig *r, const char *listener_keys,
    const char *group_keys, const char *more_sections);
void rig_send(
    struct rig *r, enum channel_type type, const void *payload, size_t size);
void rig_end_flows(struct rig *r, size_t target, enum flow_end_reason reason);
void rig_set_flags(struct rig *r, size_t target, uint32_t flags);
bool rig_logged(const struct rig *r, const char *part);

/* ---- peers */

struct rig_flow {
	int client, target;
};
/* A client of listener 0. */
int rig_connect(struct rig *r);
/* A connection the worker made to that target. */
int rig_accept(struct rig *r, size_t target);
/* Both ends of a new flow over target 0. */
struct rig_flow rig_open(struct rig *r);
static inline void
rig_close(struct rig_flow f)
{
	close(f.client);
	close(f.target);
}
/* One target and a config without further keys. */
static inline void
rig_serve(struct rig *r)
{
	rig_add_target(r, 8);
	rig_apply_keys(r, "", "", "");
}
void rig_read(struct rig *r, int fd, char *bytes, size_t size);
void rig_expect(struct rig *r, int fd, const char *text);
/* What comes after the data. */
enum peer_event rig_read_end(struct rig *r, int fd);
/* The only flow there is. */
struct flow *rig_flow(struct rig *r);
/* The record of the only flow that ended. */
const struct flow_record *rig_only_end(struct rig *r);

#define RIG_TEST(name) \
	cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

#endif
