/*
 * The worker processes: spawned by exec of our own binary, watched by exit
 * and heartbeat, replaced with the same listening sockets.
 */
#ifndef SUPERVISOR_WORKERS_H
#define SUPERVISOR_WORKERS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "ipc/channel.h"
#include "ipc/scoreboard.h"
#include "supervisor/sockets.h"

/* A worker that lives shorter than this counts towards a crash loop. */
#define WORKERS_QUICK_DEATH_MS 1000
#define WORKERS_BACKOFF_MAX_MS 5000
#define WORKERS_HEARTBEAT_LIMIT_MS 3000
#define WORKERS_WATCH_INTERVAL_MS 500

/*
 * Worker states
 *
 *   spawn            READY received          workers_drain
 *  ------> STARTING --------------> SERVING ---------------> DRAINING
 *             ^                        |                        |
 *             | at once, or            | exited, killed,        | exited
 *             | after a backoff        | heartbeat lost         v
 *             '------- GONE <----------'                    (no successor)
 */
enum worker_state {
	WORKER_GONE,
	WORKER_STARTING,
	WORKER_SERVING,
	WORKER_DRAINING,
};

struct workers;

struct worker_process {
	struct workers *workers;
	uint32_t index;
	enum worker_state state;
	uv_process_t *process; /* freed by its close callback; NULL = GONE */
	struct channel *channel;
	struct sb_block *block;
	uint64_t spawned_ms;
	uint32_t quick_deaths; /* in a row */
	uv_timer_t respawn;
	uint64_t sent_slots[SB_LISTENERS / 64]; /* sockets it has */
	uint32_t source_limit;                  /* that it has */
	uint64_t deaf_since_ms; /* channel lost, process there; 0 = no */
	bool killed_for_silence;
};

/* What the daemon gives and hears. */
struct workers_owner {
	void *owner;
	/* Sends the config in force to w (workers_send_config). */
	void (*on_spawned)(void *owner, struct worker_process *w);
	void (*on_ready)(
	    void *owner, struct worker_process *w, uint64_t generation);
	void (*on_message)(
	    void *owner, struct worker_process *w, struct channel_message *m);
	/* Its process has exited. all_gone: none is left and none will come. */
	void (*on_gone)(void *owner, struct worker_process *w, bool all_gone);
};

struct workers {
	uv_loop_t *loop;
	struct scoreboard *sb;
	int scoreboard_fd, lock_fd;
	struct workers_owner owner;
	struct worker_process *list;
	uint32_t n;
	uint32_t restarts;
	bool stopping;
	uv_timer_t watch;
	uint64_t last_watch_ms, grace_until_ms;
};

/* 0 or a negative errno. */
int workers_init(struct workers *ws, uv_loop_t *loop, struct scoreboard *sb,
    int scoreboard_fd, int lock_fd, uint32_t n,
    const struct workers_owner *owner);
/* Spawns all. 0 or the first failure. */
int workers_start(struct workers *ws);
/* After all processes are gone; handles close on the loop. */
void workers_fini(struct workers *ws);

/* The config in force, as a message for one worker: sockets it does not have
 * yet go along. conf_fd is a memfd with the bytes. 0 or a negative errno. */
int workers_send_config(struct worker_process *w,
    const struct channel_config *head, const uint16_t *target_slots,
    const struct sockets *sockets, int conf_fd);
/* To those workers that have another one. */
void workers_send_source_limit(struct workers *ws, uint32_t limit);
/* To every live worker; failures are logged, the watchdog deals with them. */
void workers_broadcast(struct workers *ws, enum channel_type type,
    const void *payload, size_t size);
/* No replacements from now on: DRAIN or STOP to all. */
void workers_drain(struct workers *ws);
void workers_stop(struct workers *ws);
void workers_kill(struct workers *ws);

bool workers_all_serve(const struct workers *ws, uint64_t generation);
/* One is there that serves or drains, and reports. */
bool workers_any_responds(const struct workers *ws);
uint32_t workers_alive(const struct workers *ws);
const char *worker_state_name(enum worker_state state);

#endif
