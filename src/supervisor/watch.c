/*
 * Records of flows from the workers: for the flow log, and for those who
 * follow the flows. Workers report more than the log needs only while somebody
 * asks, and a while longer.
 */
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
			flow_log_write(&d->flow_log, &r[i], listener, group);
		if (d->flows_watched)
			flow_ring_add(&d->flow_ring, &r[i], listener, group);
	}
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
