/*
 * A flow: one client connection and one target connection, and two pumps.
 *
 * Flow states
 *
 *   flow_accept()         connected          a side was reset
 *  ------------> CONNECTING ----> ESTABLISHED ----------> FLUSHING
 *                    |                 |                     |
 *                    |                 | both FIN            | delivered, or
 *                    |                 |                     | deadline
 *                    '------- flow_end(reason) --------------'
 *                                  |
 *                                  v
 *                               CLOSING --> freed after the batch of events
 *
 * FLUSHING: one side is dead; what it had sent goes to the other side until
 * the peer's kernel has acknowledged it, then that side is reset as well.
 */
#ifndef WORKER_FLOW_H
#define WORKER_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "nlb/flow_record.h"
#include "worker/listener.h"
#include "worker/pump.h"
#include "worker/wheel.h"

#define FLOW_NO_FORWARD UINT8_MAX /* no group left that may get it */
#define FLOW_FLUSH_DEADLINE_MS 5000
#define FLOW_FLUSH_POLL_MS 4
/* A new flow is looked at first after this, if no deadline is earlier. */
#define FLOW_FIRST_LOOK_MS 3000
/* No descriptor or memory for the target socket: asked again after this. */
#define FLOW_RESOURCE_RETRY_MS 100

struct flow {
	struct side client, target;
	struct pump client_to_target, target_to_client;
	TAILQ_ENTRY(flow) entry;
	STAILQ_ENTRY(flow) queued; /* busy, flushing or ended list */
	struct wheel_entry timer;
	uint64_t timer_ms; /* when the wheel looks at it */
	struct listener *listener;
	struct source *source;
	uint64_t id;
	uint64_t hash;             /* routing */
	uint64_t start_us;         /* wall clock */
	uint64_t start_ns;         /* monotonic */
	uint64_t deadline_ms;      /* CONNECTING, FLUSHING */
	uint64_t connect_total_ms; /* CONNECTING: the whole budget's end */
	uint64_t activity_ms;      /* ESTABLISHED: last byte either way */
	uint64_t packets_ms;       /* when they were counted last */
	/* TCP segments of the client's connection. */
	uint64_t packets_from_client, packets_to_client;
	uint64_t connect_start_ns;
	uint32_t connect_us;
	struct addr client_addr, target_addr;
	uint16_t target_slot; /* SB_SLOT_NONE: none */
	uint16_t tried[CONF_CONNECT_TARGETS_MAX];
	uint8_t n_tried;
	/* Of the group of the last target, whatever a reload makes of it. */
	uint8_t connect_targets, connect_retry_on;
	uint8_t forward;         /* CONNECTING: index of the chosen group */
	uint8_t forwards_tried;  /* bits: groups chosen so far */
	uint32_t configured;     /* of the listener when it was chosen */
	uint8_t state;           /* enum flow_state, by flow_set_state alone */
	uint8_t reason;          /* enum flow_end_reason: so far, then final */
	bool last_resort;        /* CONNECTING: standby targets too */
	bool client_ended_first; /* whose FIN came first */
	bool fin_seen;
	bool reset_by_client; /* FLUSHING: the dead side */
	bool proxy_v2;        /* the target expects a PROXY v2 header */
	bool as_client;       /* it is reached from the client's address */
	bool in_busy, in_flushing;
	bool ending;           /* lost its target, waits for its turn */
	uint8_t ending_reason; /* enum flow_end_reason: then */
};

/* The flow that the member at ptr belongs to. */
#define FLOW_OF(ptr, member) \
	((struct flow *)((char *)(ptr)-offsetof(struct flow, member)))

static inline struct worker *
flow_worker(const struct flow *f)
{
	return f->listener->worker;
}

/* A client was accepted and may enter: takes fd and source. Connects. */
void flow_accept(struct listener *l, int fd, const struct addr *client,
    struct source *source);

/* Ends the flow, from any state and any callback, once. Sides are reset unless
 * reason is a FIN. The memory stays until flow_reap. */
void flow_end(struct flow *f, enum flow_end_reason reason);

/* The wheel's entry fired. */
void flow_on_timer(struct worker *w, struct wheel_entry *e);
/* Runs the flows that have events, and those that used up their last turn;
 * looks at flushing flows; frees ended ones. */
void flow_run_busy(struct worker *w);
void flow_poll_flushing(struct worker *w);
void flow_reap(struct worker *w);

/* What is known of f now. */
void flow_fill_record(const struct flow *f, struct flow_record *r);
/* A connection that was refused before it became a flow. */
void flow_log_rejected(struct listener *l, int fd, const struct addr *client,
    enum flow_end_reason reason);

/* flow_pick.c: the next target that may have the flow is its target from now
 * on. False: there is none (left). */
bool flow_pick_target(struct flow *f);
/* There was none: why. */
enum flow_end_reason flow_pick_failure(const struct flow *f);
/* enum sb_target_flags of a target. */
uint32_t flow_target_flags(const struct flow *f, uint16_t slot);

/* flow_connect.c: picks the next target and connects, until one is under way
 * or the flow ended. */
void flow_connect_next(struct flow *f);
/* An event on the target's socket while CONNECTING. */
void flow_connect_event(struct flow *f, uint32_t events);
/* The connect deadline passed. */
void flow_connect_timeout(struct flow *f);
/* The target it connects to was taken out of service: the next one. */
void flow_connect_elsewhere(struct flow *f);

/* flow_proxy.c: the address that the client connected to. */
void flow_local_addr(const struct flow *f, struct addr *out);
/* Sends the PROXY v2 header to a target that expects one, before anything
 * else. 0 or -errno; after -ENOMEM the flow must end. */
int flow_proxy_send(struct flow *f);

/* flow_count.c: what p moved since it had moved before; a run at a time, not a
 * system call. */
void flow_count_bytes(struct flow *f, const struct pump *p, uint64_t before);
/* The flow ends for f->reason: its packets, while the client's socket is still
 * open, and the end itself. */
void flow_count_last_packets(struct flow *f);
void flow_count_end(const struct flow *f);

/* flow_deadline.c: puts the flow, which is not there, into the wheel: it looks
 * at it at at_ms. */
void flow_arm(struct flow *f, uint64_t at_ms);

/* flow.c: the target answered, and its socket is writable. */
void flow_established(struct flow *f);
/* The wheel shall look at the flow at at_ms at the latest: moves the entry only
 * when it would come too late. */
void flow_rearm(struct flow *f, uint64_t at_ms);

#endif
