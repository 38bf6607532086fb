/*
 * Records of flows from the workers: for the flow log, and for those who
 * follow the flows. Workers report more than the log needs only while somebody
 * asks, and a while longer.
 */
#include <string.h>

#include "supervisor/daemon.h"

#define WATCH_MS 10000

void
daemon_take_flow_records(struct daemon *d, const struct channel_message *m)
{
	const struct flow_record *r = m->payload;

	for (size_t i = 0; i < m->size / sizeof(*r); i++) {
		const char *listener =
		    daemon_listener_name(d, r[i].listener_slot);
		const char *group =
		    daemon_target_group_name(d, r[i].target_slot);

		if (r[i].state == FLOW_CLOSING)
			flow_log_add(&d->flow_log, &r[i], listener, group);
		if (d->flows_watched)
			flow_ring_add(&d->flow_ring, &r[i], listener, group);
	}
	flow_log_flush(&d->flow_log);
}

/* Slots of a program before are not ours: where the flow went says what they
 * were, as far as the config in force still has it. */
static const char *
listener_at(const struct daemon *d, const struct addr *local)
{
	const char *any = NULL;

	for (size_t i = 0; i < d->sockets.n; i++) {
		const struct socket_set *set = &d->sockets.sets[i];

		if (addr_equal(&set->bound, local))
			return set->name;
		if (set->bound.port == local->port &&
		    addr_is_unspecified(&set->bound))
			any = set->name;
	}
	return any;
}

/* NULL where several groups have the target. */
static const char *
target_group_at(const struct daemon *d, const struct addr *where)
{
	const struct registered_target *t;
	const char *group = NULL;

	TAILQ_FOREACH (t, &d->registry.targets, entry) {
		if (!addr_equal(&t->addr, where))
			continue;
		if (group != NULL && strcmp(group, t->group) != 0)
			return NULL;
		group = t->group;
	}
	return group;
}

void
daemon_take_former_records(void *owner, const struct flow_record *r, size_t n)
{
	struct daemon *d = owner;

	for (size_t i = 0; i < n; i++)
		if (r[i].state == FLOW_CLOSING)
			flow_log_add(&d->flow_log, &r[i],
			    listener_at(d, &r[i].listener),
			    target_group_at(d, &r[i].target));
	flow_log_flush(&d->flow_log);
}

static void
set_watched(struct daemon *d, bool watched)
{
	uint8_t payload = watched;

	d->flows_watched = watched;
	workers_broadcast(
	    &d->workers, CHANNEL_WATCH_FLOWS, &payload, sizeof(payload));
}

const struct flow_ring *
daemon_watch_flows(void *owner)
{
	struct daemon *d = owner;

	d->watched_until_ms = daemon_now_ms(d) + WATCH_MS;
	if (!d->flows_watched)
		set_watched(d, true);
	return &d->flow_ring;
}

void
daemon_watch_worker(struct daemon *d, struct worker_process *w)
{
	const uint8_t payload = 1;

	if (d->flows_watched && w->channel != NULL)
		(void)channel_send(w->channel, CHANNEL_WATCH_FLOWS, &payload,
		    sizeof(payload), NULL, 0);
}

void
daemon_watch_tick(struct daemon *d)
{
	if (d->flows_watched && daemon_now_ms(d) >= d->watched_until_ms)
		set_watched(d, false);
}
