/*
 * What the metrics need beyond the scoreboard's counters: peaks of the node and
 * of each listener, and what the targets had that a group has no more.
 */
#ifndef SUPERVISOR_TRAFFIC_H
#define SUPERVISOR_TRAFFIC_H

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "ipc/scoreboard.h"
#include "nlb/conf.h"
#include "nlb/peak.h"

struct traffic_peaks {
	struct peak bytes, packets;
};

/* Sums of removed targets, by group. */
struct traffic_group {
	SLIST_ENTRY(traffic_group) entry;
	char name[CONF_NAME_MAX + 1];
	struct sb_target_sum former;
};
SLIST_HEAD(traffic_groups, traffic_group);

struct traffic {
	const struct scoreboard *sb;
	struct traffic_peaks node, listeners[SB_LISTENERS];
	uint64_t looked_ms;
	struct traffic_groups groups;
};

void traffic_init(
    struct traffic *t, const struct scoreboard *sb, uint64_t now_ms);
void traffic_fini(struct traffic *t);

/* The slot's counters begin at 0; its ten seconds are the node's. */
void traffic_start_listener(struct traffic *t, uint16_t slot);
/* Looks at the counters when it is time to; call it about once a second. */
void traffic_tick(struct traffic *t, uint64_t now_ms);

/* The target in slot goes: its counters stay with its group. Out of memory they
 * do not. */
void traffic_keep_target(struct traffic *t, const char *group, uint16_t slot);
/* All zero for a group that has lost none. */
struct sb_target_sum traffic_former_targets(
    const struct traffic *t, const char *group);
/* Forgets the groups for which is_known says no. */
void traffic_forget_groups(struct traffic *t,
    bool (*is_known)(const void *arg, const char *group), const void *arg);

#endif
