/*
 * What a flow adds to the counters of its listener and target: bytes while it
 * runs, packets now and then and at its end, and the kind of its end.
 *
 * An NLB passes packets on, so each is counted once, on either side. Here the
 * client's connection is asked for its segments: one getsockopt at the flow's
 * end, and one in a second in which bytes move. A flow shorter than that costs
 * one call.
 */
#include <errno.h>

#include "base/tcp_counts.h"
#include "worker/flow.h"

#define PACKETS_INTERVAL_MS 1000

static struct sb_block *
block_of(const struct flow *f)
{
	return flow_worker(f)->block;
}

/* NULL: the flow has no target (any more). */
static struct sb_target_counters *
target_of(const struct flow *f)
{
	return f->target_slot == SB_SLOT_NONE
		   ? NULL
		   : &block_of(f)->targets[f->target_slot];
}

static void
add_packets(struct flow *f, uint32_t from_client, uint32_t to_client)
{
	struct sb_listener *l = f->listener->counters;
	struct sb_target_counters *t = target_of(f);

	f->packets_from_client += from_client;
	f->packets_to_client += to_client;
	sb_add(&l->client_to_target_packets, from_client);
	sb_add(&l->target_to_client_packets, to_client);
	if (t == NULL)
		return;
	sb_add(&t->client_to_target_packets, from_client);
	sb_add(&t->target_to_client_packets, to_client);
}

static void
sample_packets(struct flow *f)
{
	uint32_t in, out;

	f->packets_ms = flow_worker(f)->poller.now_ms;
	if (tcp_segments(f->client.fd, &in, &out) < 0)
		return;
	/* The SYN-ACK left before the connection had a socket of its own. */
	add_packets(f, in - (uint32_t)f->packets_from_client,
	    out + 1 - (uint32_t)f->packets_to_client);
}

void
flow_count_bytes(struct flow *f, const struct pump *p, uint64_t before)
{
	struct sb_listener *l = f->listener->counters;
	struct sb_target_counters *t = target_of(f);
	uint64_t n = p->bytes - before;

	if (n == 0)
		return;
	f->activity_ms = flow_worker(f)->poller.now_ms;
	if (p == &f->client_to_target) {
		sb_add(&l->client_to_target_bytes, n);
		sb_add(&t->client_to_target_bytes, n);
	} else {
		sb_add(&l->target_to_client_bytes, n);
		sb_add(&t->target_to_client_bytes, n);
	}
	if (f->activity_ms - f->packets_ms >= PACKETS_INTERVAL_MS)
		sample_packets(f);
}

void
flow_count_last_packets(struct flow *f)
{
	bool normal = flow_end_reason_class(f->reason) == FLOW_END_NORMAL;

	sample_packets(f);
	/* What the close is about to send, and the answer to it. After the
	 * target's FIN went out first, nothing is left to send. */
	if (f->reason == FLOW_END_CLIENT_FIN)
		add_packets(f, 1, 1);
	else if (!normal && f->client.error != ECONNRESET)
		add_packets(f, 0, 1);
}

void
flow_count_end(const struct flow *f)
{
	struct sb_listener *l = f->listener->counters;
	struct sb_target_counters *t = target_of(f);

	sb_add(&block_of(f)->ends[f->reason], 1);
	switch (flow_end_reason_class(f->reason)) {
	case FLOW_END_CLIENT_RESET:
		sb_add(&l->client_resets, 1);
		if (t != NULL)
			sb_add(&t->client_resets, 1);
		break;
	case FLOW_END_TARGET_RESET:
		sb_add(&l->target_resets, 1);
		if (t != NULL)
			sb_add(&t->target_resets, 1);
		break;
	case FLOW_END_ELB_RESET:
		sb_add(&l->elb_resets, 1);
		if (t != NULL)
			sb_add(&t->elb_resets, 1);
		break;
	case FLOW_END_REJECTED:
		sb_add(&l->rejected_flows, 1);
		break;
	case FLOW_END_BLOCKED: /* whoever refuses counts it */
	case FLOW_END_NORMAL:
		break;
	}
}
