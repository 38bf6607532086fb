/*
 * The admin interface: HTTP on a unix socket, and read-only on TCP, served by
 * libmicrohttpd on the supervisor's loop. It knows what can be asked (struct
 * admin_ops), not how workers move bytes.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/latency.h"
#include "ipc/scoreboard.h"
#include "nlb/conf.h"
#include "nlb/conf_change.h"
#include "nlb/flow_record.h"
#include "nlb/target.h"

enum admin_verdict {
	ADMIN_VERDICT_NONE, /* no reload yet */
	ADMIN_VERDICT_ACCEPTED,
	ADMIN_VERDICT_REJECTED,
};

/* Filled by the daemon; strings are owned by it and live until the loop's
 * next turn. */
struct admin_status {
	const char *config_path;
	uint64_t config_generation;
	uint64_t config_hash;      /* of the bytes in force */
	uint64_t config_loaded_ms; /* wall clock, since the epoch */
	/* In how far --runtime changes make it differ from the file; "" = in
	 * nothing. */
	const char *runtime_changes;
	enum admin_verdict last_reload;
	uint64_t last_reload_ms;      /* wall clock; 0 = none */
	const char *last_reload_text; /* summary, or the first error */
	uint64_t start_ms;            /* wall clock */
	uint64_t uptime_ms;
	bool stopping;
	bool drained; /* the node shall leave DNS, and still serves */
	uint32_t worker_restarts;
	uint64_t reloads_accepted, reloads_rejected;
	/* what the logs did not take: full disk, no reader; see also
	 * scoreboard_dropped_records */
	uint64_t flow_records_lost, log_lines_lost;
};

struct admin_worker {
	uint32_t index;
	int32_t pid;
	const char *state; /* "starting", "serving", "draining" */
	uint64_t active_flows, max_flows, generation;
};

struct admin_listener {
	const char *name;
	struct addr address; /* as bound, port included */
	uint16_t slot;
	bool paused;
	bool kernel_filter;      /* the SYN filter is attached */
	const char *filter_text; /* "12 ranges in the kernel", or why not */
	uint64_t filter_drops;   /* segments dropped at the listening sockets */
};

struct admin_target {
	const char *group;
	const char *label; /* "" once deregistered */
	struct addr addr;
	const char *availability_zone; /* "" = not given */
	uint16_t slot;
	uint16_t check_port;
	const struct target *health;
	bool routable, fail_open, standby;
	uint32_t max_flows;     /* or CONF_NO_LIMIT */
	const char *dns_name;   /* that it was found by, "" = none */
	const char *last_check; /* last probe's detail, "" = none yet */
	uint64_t last_check_us; /* its duration */
	const struct latency *check_latency;
	const uint64_t *check_results; /* by enum probe_result */
};

/* The last whole minute's highest averages of ten seconds. */
struct admin_peaks {
	uint64_t bytes_per_second, packets_per_second;
};

/* A DNS name among the targets. */
struct admin_name {
	const char *group, *label, *host;
	uint16_t port;
	const struct addr *addresses; /* of the last answer, refused ones out */
	const struct addr *kept; /* former ones, until a new one is healthy */
	size_t n_addresses, n_kept;
	const char *refused;     /* "10.0.0.1:25 is ..., ..."; "" = none */
	const char *error;       /* of the last resolution; "" = none */
	uint32_t failures;       /* in a row */
	uint64_t last_answer_ms; /* wall clock; 0 = none yet */
	uint64_t next_ms;        /* from now; 0 = being resolved */
};

/* Who is told of events. */
struct admin_receiver {
	const char *name;
	const char *error; /* of the last try; "" = none */
	uint64_t n_waiting, n_sent, n_failed, n_dropped;
};

/* text (verdict: accepted: one line of summary; rejected: all diagnostics as
 * conf_diags_print writes them) lives during the call only. */
typedef void (*admin_verdict_cb)(void *arg, bool accepted, const char *text);
/* All flows of all workers that answered in time; records live during the
 * call. missing = workers that did not answer. */
typedef void (*admin_flows_cb)(
    void *arg, const struct flow_record *records, size_t n, uint32_t missing);

struct events;
struct flow_ring;
struct history;

struct admin_ops {
	void *owner;
	const struct events *events;
	const struct history *history;
	struct scoreboard *scoreboard;
	const struct conf *(*conf)(void *owner);
	void (*status)(void *owner, struct admin_status *out);
	void (*each_worker)(void *owner,
	    void (*fn)(void *arg, const struct admin_worker *w), void *arg);
	void (*each_listener)(void *owner,
	    void (*fn)(void *arg, const struct admin_listener *l), void *arg);
	/* registered and still draining targets, in config order */
	void (*each_target)(void *owner,
	    void (*fn)(void *arg, const struct admin_target *t), void *arg);
	/* sums of the targets that a group has no more */
	struct sb_target_sum (*former_targets)(void *owner, const char *group);
	/* of one listener, or of all with SB_SLOT_NONE */
	struct admin_peaks (*peaks)(void *owner, uint16_t listener_slot);
	/* DNS names of targets, in config order */
	void (*each_name)(void *owner,
	    void (*fn)(void *arg, const struct admin_name *n), void *arg);
	/* [notify] sections, in config order */
	void (*each_receiver)(void *owner,
	    void (*fn)(void *arg, const struct admin_receiver *r), void *arg);
	/* name of what a flow record's slots mean; NULL = gone */
	const char *(*listener_name)(void *owner, uint16_t slot);
	const char *(*target_group_name)(void *owner, uint16_t target_slot);
	/* DNS shall leave this node, or may come back. */
	void (*drain_node)(void *owner, bool drained);
	/* Each calls cb exactly once, later or at once. 0, or a negative
	 * errno and cb is not called. */
	int (*list_flows)(void *owner, admin_flows_cb cb, void *arg);
	/* Flows that begin or end come into this ring from now on, until it
	 * was not asked for a while. */
	const struct flow_ring *(*watch_flows)(void *owner);
	int (*reload)(void *owner, admin_verdict_cb cb, void *arg);
	/* Has the program's file take over, once that accepts the config. */
	int (*upgrade)(void *owner, admin_verdict_cb cb, void *arg);
	/* Reads and checks the config file again, changes nothing. */
	int (*check)(void *owner, admin_verdict_cb cb, void *arg);
	/* Changes the config in force, and the file unless runtime_only. Sets
	 * *text (malloc, or NULL) before cb is called: notes, or with a
	 * negative errno what is wrong: -ENOENT (no such section), -EINVAL
	 * (the change), -EBUSY (not as things stand), -ESHUTDOWN, -ENOMEM. */
	int (*change)(void *owner, const struct conf_change *wanted,
	    bool runtime_only, char **text, admin_verdict_cb cb, void *arg);
};

struct admin;

/*
 * Serves on listen_fd, a bound and listening unix stream socket (mode and
 * owner are the caller's business; fd stays the caller's). Peers other than
 * root and allowed_uid are refused by SO_PEERCRED, some at a time, every
 * 100 ms. At most 16 connections, 8 KiB of request head, 2 s without progress.
 * 0, -ENOMEM or -EIO.
 */
int admin_create(uv_loop_t *loop, int listen_fd, uid_t allowed_uid,
    const struct admin_ops *ops, struct admin **out);
/*
 * Serves on listen_fd, a bound and listening TCP socket, to everybody who can
 * reach it: GET and HEAD only, one request a connection, under an address, the
 * machine's name or localhost as Host. At most 32 connections, 8 of one source,
 * each of 5 s at most; when all places are taken, one that has not asked yet
 * makes room. At a pace of all, and of each source (nlb/source_pace.h).
 */
int admin_create_http(uv_loop_t *loop, int listen_fd,
    const struct admin_ops *ops, struct admin **out);
/* Ends all connections and closes handles; memory goes from the loop. Pending
 * list_flows/reload callbacks may still come and are then ignored. */
void admin_destroy(struct admin *admin);

#endif
