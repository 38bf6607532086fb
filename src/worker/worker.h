/*
 * A worker process: its loop, its listeners, its flows, and what they share.
 * It holds no privileges and opens no files; everything it needs comes over
 * the channel.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include <bsd/sys/queue.h>

#include "ipc/channel.h"
#include "ipc/scoreboard.h"
#include "ipc/source_addresses.h"
#include "ipc/worker_fd.h"
#include "worker/fd_budget.h"
#include "worker/pipe_pool.h"
#include "worker/poller.h"
#include "worker/pump.h"
#include "worker/source_table.h"
#include "worker/wheel.h"

struct flow;
struct listener;
TAILQ_HEAD(flow_list, flow);
STAILQ_HEAD(flow_queue, flow);
TAILQ_HEAD(listener_list, listener);

#define WORKER_RECORDS 64 /* flow records sent in one message */

struct worker {
	uv_loop_t loop;
	struct poller poller;
	struct wheel wheel;
	struct fd_budget budget;
	struct pipe_pool pipes;
	struct pump_resources pump_resources;
	struct source_table sources;
	struct source_addresses source_addresses; /* towards targets */
	struct scoreboard *sb;
	struct sb_block *block;
	struct channel *channel; /* NULL: the supervisor is gone */

	struct listener_list listeners;
	struct flow_list flows;
	struct flow_queue busy;     /* events, or turn used up: run */
	struct flow_queue flushing; /* waiting for the peer's ACKs */
	struct flow_queue ended;    /* freed after the batch */

	uint64_t next_flow_id;
	uint32_t max_flows; /* this worker's, from config and descriptors */
	uint32_t max_flows_per_source; /* of the node; 0 = off */
	uint32_t n_flows;
	bool flow_log;
	bool watched;           /* somebody follows the flows */
	bool draining;          /* no new flows; exit with the last one */
	uint64_t drained_at_ms; /* orphans: when the listeners may close */

	uv_timer_t heartbeat;
	uv_timer_t resume; /* runs while a listener is paused */
	struct flow_record records[WORKER_RECORDS];
	uint32_t n_records;
	uint64_t records_due_ms; /* those that are there must go */
};

/* The process: takes its descriptors (enum worker_fd) and the index of its
 * scoreboard block, serves until told to stop. Returns the exit code. */
int worker_main(uint32_t block_index);

/* Component tests run a worker inside their own process. channel_fd and the
 * scoreboard are given; 0 or a negative errno. */
int worker_init(struct worker *w, struct scoreboard *sb, uint32_t block_index,
    int channel_fd);
void worker_fini(struct worker *w);

/* A finished or refused flow for the flow log; lost (and counted) when the
 * supervisor is slow. It may wait for others, 50 ms at most. */
void worker_log_flow(struct worker *w, const struct flow_record *r);

/* Takes a new config (worker_config.c). 0, or -errno: the worker is then to be
 * replaced. */
int worker_apply_config(struct worker *w, struct channel_message *m);

/* Stops accepting: what waits in the kernel's queues is taken first. */
void worker_drain(struct worker *w);

#endif
