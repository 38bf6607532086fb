/*
 * The supervisor: owns the config, the sockets, the workers, the registry of
 * targets, the health checker, the admin interface and the logs. It never
 * touches a flow's bytes.
 */
#ifndef SUPERVISOR_DAEMON_H
#define SUPERVISOR_DAEMON_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "admin/admin.h"
#include "admin/events.h"
#include "admin/flow_ring.h"
#include "admin/history.h"
#include "health/checker.h"
#include "ipc/scoreboard.h"
#include "nlb/conf.h"
#include "supervisor/config_file.h"
#include "supervisor/flow_log.h"
#include "supervisor/former.h"
#include "supervisor/names.h"
#include "supervisor/notifications.h"
#include "supervisor/passed.h"
#include "supervisor/registry.h"
#include "supervisor/sockets.h"
#include "supervisor/traffic.h"
#include "supervisor/upgrade.h"
#include "supervisor/workers.h"

/* sysexits(3), as nlbd(8) lists them. */
enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_USAGE = 64,
	EXIT_CODE_NO_FILE = 66,
	EXIT_CODE_OS = 71,
	EXIT_CODE_CANNOT_BIND = 73,
	EXIT_CODE_CONFIG = 78,
};

struct daemon_options {
	const char *config_path;
	struct conf_options conf_options;
};

/* The admin interface on TCP: HttpListen. Zeroed with fd -1: off. */
struct http_listen {
	struct addr addr;
	int fd;
	struct admin *admin;
};

/* Somebody waits for a generation to be in force in all workers. */
struct reload_waiter {
	TAILQ_ENTRY(reload_waiter) entry;
	uint64_t generation;
	uint64_t deadline_ms;
	admin_verdict_cb cb; /* NULL: nobody to tell but the log */
	void *arg;
	char text[512];
};

/* Somebody waits for the workers' flows. */
struct flows_waiter {
	TAILQ_ENTRY(flows_waiter) entry;
	uint32_t request;
	uint64_t deadline_ms;
	admin_flows_cb cb;
	void *arg;
	struct flow_record *records;
	size_t n, capacity;
	uint32_t missing;
	bool asked[SOCKETS_WORKERS_MAX]; /* and not yet answered */
};

/*
 * Daemon states
 *
 *            all workers READY       SIGTERM           drained, deadline, or
 *   STARTING -----------------> SERVING ----> DRAINING ---------> STOPPING
 *       |                                        ^   a second SIGTERM
 *       '-------------- SIGTERM -----------------'
 */
enum daemon_state {
	DAEMON_STARTING,
	DAEMON_SERVING,
	DAEMON_DRAINING,
	DAEMON_STOPPING,
};

struct daemon {
	uv_loop_t loop;
	enum daemon_state state;
	bool drained; /* by nlbctl drain-node: out of DNS, still serving */
	struct daemon_options options;
	char *config_path; /* as in options, for an exec */
	char admin_path[CONF_PATH_MAX];
	char lock_path[CONF_PATH_MAX + 8];
	int lock_fd, admin_fd;
	bool admin_is_passed; /* the service manager's: its name stays */
	struct passed_sockets passed; /* empty once we serve */

	struct conf *conf;
	/* What the file says, when changes with --runtime (or their order)
	 * make it differ from conf; else NULL. */
	struct conf *file_conf;
	char runtime_changes[512]; /* in how far it differs; "" = in nothing */
	/* Of the names in conf, as conf_set_resolved got them; owned. */
	struct conf_resolved *resolved;
	size_t n_resolved;
	int conf_fd; /* sealed memfd with both, for the workers */
	uint64_t generation, config_hash, config_loaded_ms;
	enum admin_verdict last_reload;
	uint64_t n_reloads[ADMIN_VERDICT_REJECTED + 1]; /* by verdict */
	uint64_t last_reload_ms;
	char last_reload_text[512];
	uint64_t start_wall_ms, start_ms;

	struct scoreboard *sb;
	int sb_fd;
	struct sockets sockets;
	struct workers workers;
	struct former_workers former;
	struct upgrade upgrade;
	struct registry registry;
	struct traffic traffic;
	struct names *names;
	struct checker *checker;
	struct notifications *notifications;
	struct admin_ops admin_ops;
	struct events events; /* of the log */
	struct history history;
	struct flow_ring flow_ring;
	bool flows_watched; /* and come into the ring */
	uint64_t watched_until_ms;
	struct admin *admin;
	struct http_listen http;
	struct flow_log flow_log;
	uint16_t *target_slots; /* per target of conf, in its order */
	size_t n_targets;
	/* By slot; outlives the listener, its last flows are logged with it. */
	char listener_names[SB_LISTENERS][CONF_NAME_MAX + 1];

	TAILQ_HEAD(, reload_waiter) reload_waiters;
	TAILQ_HEAD(, flows_waiter) flows_waiters;
	uint32_t last_flows_request;
	uv_timer_t tick;
	uv_timer_t hup_delay;
	uv_timer_t drain_deadline;
	uv_timer_t watchdog; /* the service manager's */
	uv_signal_t signals[6];
	int exit_code;
};

/* Reads the config and serves until stopped. Returns the exit code. */
int daemon_main(const struct daemon_options *options);

uint64_t daemon_now_ms(const struct daemon *d);
uint64_t daemon_wall_ms(void);
/* How many conf wants. */
uint32_t daemon_count_workers(const struct conf *conf);

/* place.c: the lock, the admin socket, the user. 0 or an exit code. */
int daemon_take_place(struct daemon *d, const struct conf *conf);

/* config.c: reads and parses the config file. 0, or a negative errno; the
 * diagnostics are kept in diags in both cases. */
int daemon_read_config(
    struct daemon *d, struct conf **out, struct conf_diags *diags);
/* Makes conf (owned from here on) the one in force: first and later ones
 * alike. file (or NULL) is put in place when nothing else can fail any more.
 * 0; or a negative errno with nothing changed and one sentence in why. */
int daemon_apply_config(struct daemon *d, struct conf *conf,
    struct config_file *file, char *why, size_t why_size);
/* Could another program serve by the file in this one's place? Opens what it
 * wants, as a reload would, and drops it again. What only the other program
 * understands is not tried. 0; or a negative errno with one sentence in why. */
int daemon_try_file(struct daemon *d, char *why, size_t size);
/* The file says what runs. */
void daemon_forget_file(struct daemon *d);
/* What the names in the config resolve to may be something else now. */
void daemon_renew_names(void *owner);
int daemon_send_config(struct daemon *d, struct worker_process *w);
/* MaxFlowsPerSource in numbers, 0 = off. */
uint32_t daemon_source_limit(const struct daemon *d);

/* http_listen.c: opens what conf wants, if that is new; 0, or a negative errno
 * with one sentence in why. It is then committed or closed. */
int http_listen_prepare(struct daemon *d, const struct conf *conf,
    struct http_listen *out, char *why, size_t size);
void http_listen_commit(struct daemon *d, struct http_listen *prepared);
void http_listen_close(struct http_listen *h);

/* reload.c */
int daemon_reload(void *owner, admin_verdict_cb cb, void *arg);
int daemon_check(void *owner, admin_verdict_cb cb, void *arg);
/* Calls cb when all workers have the generation of now in force, or after
 * 3 s. */
void daemon_wait_for_workers(
    struct daemon *d, const char *text, admin_verdict_cb cb, void *arg);
/* A worker is ready, or time has passed: who can be told? */
void daemon_settle_reloads(struct daemon *d);
/* At the end: everyone is told what is known. */
void daemon_finish_reloads(struct daemon *d);
/* READY=1 to the service manager, with what is being served. */
void daemon_notify_ready(const struct daemon *d);
/* "serving 2 listeners with 1 worker"; returns buf. */
const char *daemon_serving_text(const struct daemon *d, char *buf, size_t size);

/* change.c */
int daemon_change(void *owner, const struct conf_change *wanted,
    bool runtime_only, char **text, admin_verdict_cb cb, void *arg);

/* flows.c */
int daemon_list_flows(void *owner, admin_flows_cb cb, void *arg);
void daemon_take_message(
    void *owner, struct worker_process *w, struct channel_message *m);
void daemon_take_flows(
    struct daemon *d, struct worker_process *w, struct channel_message *m);
void daemon_worker_lost(struct daemon *d, struct worker_process *w);
void daemon_settle_flows(struct daemon *d);
void daemon_finish_flows(struct daemon *d);

/* watch.c */
void daemon_take_flow_records(
    struct daemon *d, const struct channel_message *m);
/* Of a worker of the program before an upgrade: for the flow log alone. */
void daemon_take_former_records(
    void *owner, const struct flow_record *r, size_t n);
const struct flow_ring *daemon_watch_flows(void *owner);
/* A worker is new: it is told, too. */
void daemon_watch_worker(struct daemon *d, struct worker_process *w);
void daemon_watch_tick(struct daemon *d);

/* admin_ops.c */
void daemon_fill_ops(struct daemon *d, struct admin_ops *ops);
const char *daemon_listener_name(void *owner, uint16_t slot);
const char *daemon_target_group_name(void *owner, uint16_t target_slot);

#endif
