/* Peaks, and the sums of removed targets; see traffic.h. */
#include "supervisor/traffic.h"

#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "nlb/event.h"

static uint64_t
bytes_of(const struct sb_listener_sum *s)
{
	return s->client_to_target_bytes + s->target_to_client_bytes;
}

static uint64_t
packets_of(const struct sb_listener_sum *s)
{
	return s->client_to_target_packets + s->target_to_client_packets;
}

void
traffic_init(struct traffic *t, const struct scoreboard *sb, uint64_t now_ms)
{
	memset(t, 0, sizeof(*t));
	t->sb = sb;
	t->looked_ms = now_ms;
	peak_start(&t->node.bytes, 0, now_ms);
	peak_start(&t->node.packets, 0, now_ms);
	SLIST_INIT(&t->groups);
}

void
traffic_fini(struct traffic *t)
{
	struct traffic_group *g;

	while ((g = SLIST_FIRST(&t->groups)) != NULL) {
		SLIST_REMOVE_HEAD(&t->groups, entry);
		free(g);
	}
}

void
traffic_start_listener(struct traffic *t, uint16_t slot)
{
	peak_start(&t->listeners[slot].bytes, 0, t->looked_ms);
	peak_start(&t->listeners[slot].packets, 0, t->looked_ms);
}

static void
update(
    struct traffic_peaks *p, const struct sb_listener_sum *sum, uint64_t now_ms)
{
	peak_update(&p->bytes, bytes_of(sum), now_ms);
	peak_update(&p->packets, packets_of(sum), now_ms);
}

void
traffic_tick(struct traffic *t, uint64_t now_ms)
{
	struct sb_listener_sum sum;

	if (now_ms - t->looked_ms < PEAK_INTERVAL_MS)
		return;
	t->looked_ms = now_ms;
	scoreboard_sum_listeners(t->sb, &sum);
	update(&t->node, &sum, now_ms);
	for (uint16_t slot = 0; slot < SB_LISTENERS; slot++) {
		scoreboard_sum_listener(t->sb, slot, &sum);
		update(&t->listeners[slot], &sum, now_ms);
	}
}

static struct traffic_group *
find_group(const struct traffic *t, const char *name)
{
	struct traffic_group *g;

	SLIST_FOREACH (g, &t->groups, entry)
		if (strcmp(g->name, name) == 0)
			return g;
	return NULL;
}

void
traffic_keep_target(struct traffic *t, const char *group, uint16_t slot)
{
	struct traffic_group *g = find_group(t, group);
	struct sb_target_sum sum;

	if (g == NULL) {
		g = calloc(1, sizeof(*g));
		if (g == NULL) {
			event_log(EVENT_OUT_OF_MEMORY,
			    "out of memory: the counters of group %s "
			    "lose those of a removed target",
			    group);
			return;
		}
		strlcpy(g->name, group, sizeof(g->name));
		SLIST_INSERT_HEAD(&t->groups, g, entry);
	}
	scoreboard_sum_target(t->sb, slot, &sum);
	sum.active_flows = 0;
	sb_target_sum_add(&g->former, &sum);
}

struct sb_target_sum
traffic_former_targets(const struct traffic *t, const char *group)
{
	const struct traffic_group *g = find_group(t, group);

	return g != NULL ? g->former : (struct sb_target_sum){0};
}

void
traffic_forget_groups(struct traffic *t,
    bool (*is_known)(const void *arg, const char *group), const void *arg)
{
	struct traffic_group *g, *next;

	SLIST_FOREACH_SAFE(g, &t->groups, entry, next)
	{
		if (is_known(arg, g->name))
			continue;
		SLIST_REMOVE(&t->groups, g, traffic_group, entry);
		free(g);
	}
}
