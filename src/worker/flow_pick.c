/*
 * Which target a flow connects to: of the target group that the weights give
 * it, the one that the group's table gives it and that may have it. Once in a
 * flow's life, and again for each target that did not take it.
 */
#include "nlb/client_ip.h"
#include "nlb/forward.h"
#include "worker/flow.h"

static bool
was_tried(const struct flow *f, uint16_t slot)
{
	for (uint8_t i = 0; i < f->n_tried; i++)
		if (f->tried[i] == slot)
			return true;
	return false;
}

uint32_t
flow_target_flags(const struct flow *f, uint16_t slot)
{
	return atomic_load_explicit(
	    &flow_worker(f)->sb->targets[slot].flags, memory_order_relaxed);
}

/* The group that was chosen for f; not with FLOW_NO_FORWARD. */
static const struct listener_forward *
forward_of(const struct flow *f)
{
	return &f->listener->forwards[f->forward];
}

/* Without its MaxFlows a target takes what comes. */
static bool
is_full(const struct flow *f, const struct group *g, uint32_t index)
{
	return g->max_flows[index] != CONF_NO_LIMIT &&
	       scoreboard_target_active(flow_worker(f)->sb, g->slots[index]) >=
		   g->max_flows[index];
}

static bool
is_usable(void *arg, uint32_t index)
{
	const struct flow *f = arg;
	const struct listener_forward *fw = forward_of(f);
	uint16_t slot = fw->group->slots[index];
	uint32_t wanted =
	    f->last_resort ? SB_ROUTABLE | SB_STANDBY : SB_ROUTABLE;

	return (flow_target_flags(f, slot) & wanted) != 0 &&
	       (fw->outbound == NULL ||
		   fw->outbound[index] == CONF_OUTBOUND_ALLOWED) &&
	       !was_tried(f, slot) && !is_full(f, fw->group, index);
}

/* False: another worker was quicker, and the target is full. */
static bool
take_target(struct flow *f, int index)
{
	struct worker *w = flow_worker(f);
	const struct group *g = forward_of(f)->group;

	if (!scoreboard_target_enter(
		w->sb, w->block, g->slots[index], g->max_flows[index]))
		return false;
	f->target_slot = g->slots[index];
	f->target_addr = g->addrs[index];
	f->proxy_v2 = g->proxy_v2;
	f->as_client = g->preserve_client_ip &&
		       client_ip_is_preserved(&f->client_addr, &f->target_addr);
	f->connect_targets = g->connect_targets;
	f->connect_retry_on = g->connect_retry_on;
	f->connect_start_ns = uv_hrtime();
	f->deadline_ms = w->poller.now_ms + g->connect_timeout_ms;
	if (f->deadline_ms > f->connect_total_ms)
		f->deadline_ms = f->connect_total_ms;
	if (f->n_tried > 0)
		sb_add(&f->listener->counters->connect_retries, 1);
	f->tried[f->n_tried++] = f->target_slot;
	return true;
}

static uint64_t
hash_for(const struct flow *f, const struct routing_table *table, bool sticky)
{
	return sticky ? routing_source_hash(table, &f->client_addr)
		      : routing_flow_hash(
			    table, &f->client_addr, &f->listener->bound, f->id);
}

/* The group that the weights give to f, of those that it has not asked yet.
 * The first group's key stands for the listener: all nodes have it. */
static void
choose_group(struct flow *f)
{
	const struct listener *l = f->listener;
	const struct group *g;
	int choice;

	if (l->n_forwards == 0) {
		f->forward = FLOW_NO_FORWARD;
		return;
	}
	choice = forward_pick(l->weights, l->n_forwards, f->forwards_tried,
	    hash_for(f, l->forwards[0].group->table, l->sticky));
	if (choice == FORWARD_NONE) {
		f->forward = FLOW_NO_FORWARD;
		return;
	}
	f->forward = (uint8_t)choice;
	f->forwards_tried |= (uint8_t)(1u << choice);
	g = l->forwards[choice].group;
	f->hash = hash_for(f, g->table, g->stickiness);
}

/* Chooses a group for a new flow, and again for one that still connects when
 * a reload has changed what the listener forwards to. */
static void
choose_first_group(struct flow *f)
{
	const struct listener *l = f->listener;

	if (f->connect_total_ms != 0 && f->configured == l->configured)
		return;
	f->configured = l->configured;
	f->forwards_tried = 0;
	f->last_resort = false;
	choose_group(f);
	if (f->connect_total_ms == 0 && f->forward != FLOW_NO_FORWARD)
		f->connect_total_ms = flow_worker(f)->poller.now_ms +
				      forward_of(f)->group->connect_total_ms;
}

/* The next target: one of the chosen group while it has any left, its standby
 * targets last, then one of the other groups, which the weights choose in the
 * same way. */
static int
pick_target(struct flow *f)
{
	while (f->forward != FLOW_NO_FORWARD) {
		int index = routing_pick(
		    forward_of(f)->group->table, f->hash, is_usable, f);

		if (index != ROUTING_NONE)
			return index;
		/* Nobody in service took it: those that stand by may. */
		if (f->last_resort)
			choose_group(f);
		f->last_resort = !f->last_resort;
	}
	return ROUTING_NONE;
}

bool
flow_pick_target(struct flow *f)
{
	int index;

	choose_first_group(f);
	do {
		index = pick_target(f);
		if (index == ROUTING_NONE)
			return false;
	} while (!take_target(f, index));
	return true;
}

/* Why a group without a usable target has none: because of a network ACL or of
 * security groups, because those that may get it are full, or there is none
 * that is routable. */
static enum flow_end_reason
group_reason(const struct flow *f, const struct listener_forward *fw)
{
	enum flow_end_reason reason = FLOW_END_NO_TARGET;

	for (uint32_t i = 0; i < fw->group->n_targets; i++) {
		uint32_t flags = flow_target_flags(f, fw->group->slots[i]);

		if ((flags & (SB_ROUTABLE | SB_STANDBY)) == 0)
			continue;
		if (fw->outbound == NULL ||
		    fw->outbound[i] == CONF_OUTBOUND_ALLOWED) {
			if (fw->group->max_flows[i] != CONF_NO_LIMIT)
				return FLOW_END_TARGET_LIMIT;
			continue; /* has just come into service */
		}
		if ((flags & SB_ROUTABLE) == 0)
			continue;
		if (fw->outbound[i] == CONF_OUTBOUND_NETWORK_ACL)
			reason = FLOW_END_NETWORK_ACL;
		else if (reason == FLOW_END_NO_TARGET)
			reason = FLOW_END_SECURITY_GROUP_OUTBOUND;
	}
	return reason;
}

enum flow_end_reason
flow_pick_failure(const struct flow *f)
{
	const struct listener *l = f->listener;

	if (f->n_tried > 0)
		return f->reason; /* of the last attempt */
	for (uint32_t i = 0; i < l->n_forwards; i++) {
		enum flow_end_reason reason =
		    l->weights[i] > 0 ? group_reason(f, &l->forwards[i])
				      : FLOW_END_NO_TARGET;

		if (reason != FLOW_END_NO_TARGET)
			return reason;
	}
	return FLOW_END_NO_TARGET;
}
