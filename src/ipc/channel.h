/*
 * The channel between the supervisor and one worker: a SOCK_SEQPACKET pair on
 * a libuv loop. One message is one packet, so there is no framing to get
 * wrong; descriptors travel with it (SCM_RIGHTS).
 *
 * Messages that must arrive are queued (channel_send); what may be lost when
 * the other side is slow is tried once (channel_try_send).
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <uv.h>

#include "base/log.h"
#include "nlb/flow_record.h"

/* Never another number for one that was released: after an upgrade, workers of
 * an older program are told to drain or stop and send their flow records. */
enum channel_type {
	/* supervisor to worker */
	CHANNEL_CONFIG = 1, /* struct channel_config + fds: config, listeners */
	CHANNEL_SOURCE_LIMIT = 2, /* uint32_t, in place of the config's */
	CHANNEL_END_FLOWS = 3,    /* struct channel_end_flows */
	CHANNEL_LIST_FLOWS = 4,   /* struct channel_list_flows */
	/* uint8_t, 1: begins and ends of flows, please */
	CHANNEL_WATCH_FLOWS = 5,
	CHANNEL_DRAIN = 6, /* no new flows; exit when the last one ended */
	CHANNEL_STOP = 7,  /* end all flows with `shutdown`, exit */
	/* worker to supervisor */
	CHANNEL_READY = 8,        /* uint64_t generation: in force */
	CHANNEL_CONFIG_ERROR = 9, /* uint64_t generation, then text */
	/* struct flow_record[]: of flows that ended, and that began while they
	 * are watched (any state but FLOW_CLOSING) */
	CHANNEL_FLOW_RECORDS = 10,
	/* struct channel_flows, then struct flow_record[] */
	CHANNEL_FLOWS = 11,
	/* uint8_t level, the event's code with its NUL (by name: a worker may
	 * be older than its supervisor), then text without NUL */
	CHANNEL_LOG = 12,
	CHANNEL_CONNECT_FAILED = 13, /* struct channel_connect_failed */
};

#define CHANNEL_MESSAGE_MAX 32768
#define CHANNEL_FDS_MAX 128
#define CHANNEL_LOG_MAX (LOG_LINE_MAX + 64)

/* Followed by uint16_t target_slots[n_targets] in the config's order (group
 * by group), then struct channel_listener[n_listeners] in the config's order.
 * fds: the config (a sealed memfd: conf_size bytes of INI, then struct
 * conf_resolved[n_resolved]), then one listening socket for each listener with
 * has_fd. */
struct channel_config {
	uint64_t generation;
	uint32_t conf_size, n_resolved;
	uint32_t n_targets, n_listeners;
	uint32_t max_flows;            /* per worker, CONF_AUTO = by fds */
	uint32_t max_flows_per_source; /* of the node, 0 = off */
};
struct channel_listener {
	uint16_t slot;
	uint8_t has_fd; /* 0: the worker has this slot's socket already */
	/* 1: the service manager's, so the very one that the worker of another
	 * supervisor has, with one filter for both. */
	uint8_t is_passed;
};

struct channel_end_flows {
	uint16_t target_slot;
	uint16_t reason; /* enum flow_end_reason */
};
/* A flow could not connect to a healthy target, when so many flows of all
 * workers ever had. Sent once for each failure, lost when the supervisor is
 * slow: the health checks remain. */
struct channel_connect_failed {
	uint64_t connected;
	uint16_t target_slot;
	uint16_t pad[3];
};
struct channel_list_flows {
	uint32_t request, limit;
};
struct channel_flows {
	uint32_t request;
	uint16_t n;
	uint16_t last; /* 1: no more for this request */
};
/* Records that fit one message beside its header. */
#define CHANNEL_RECORDS_MAX                                     \
	((CHANNEL_MESSAGE_MAX - sizeof(struct channel_flows)) / \
	    sizeof(struct flow_record))

/* A message as received; payload is aligned for any struct here, and both it
 * and fds live during the call. The handler takes an fd by setting it to -1;
 * the rest is closed. */
struct channel_message {
	enum channel_type type;
	const void *payload;
	size_t size;
	int *fds;
	size_t n_fds;
};

struct channel;
typedef void (*channel_message_cb)(void *arg, struct channel_message *m);
/* The other side is gone (EOF or an error). No message comes after it. */
typedef void (*channel_closed_cb)(void *arg);

/* A connected pair, both CLOEXEC and non-blocking. 0 or -errno. */
int channel_pair(int fds[2]);

/* Takes over fd. 0 or a negative errno, fd then still the caller's. */
int channel_open(uv_loop_t *loop, int fd, channel_message_cb on_message,
    channel_closed_cb on_closed, void *arg, struct channel **out);
/* The other side has exited: handles all that it had sent. on_closed may be
 * called at the end. */
void channel_receive_rest(struct channel *c);
/* Closes at once, what is queued is lost; no callback comes any more. */
void channel_close(struct channel *c);

/* Sends now or queues; order is kept. fds are duplicated when queued: they
 * stay the caller's. 0, -ENOMEM, -EMFILE, -EMSGSIZE, or -EPIPE (closed). */
int channel_send(struct channel *c, enum channel_type type, const void *payload,
    size_t size, const int *fds, size_t n_fds);
/* Sends now or not at all: -EAGAIN when the other side is slow or anything is
 * queued. */
int channel_try_send(struct channel *c, enum channel_type type,
    const void *payload, size_t size);
/* To hand it to another program of this process. */
int channel_fd(const struct channel *c);
size_t channel_queued(const struct channel *c); /* messages waiting */

#endif
