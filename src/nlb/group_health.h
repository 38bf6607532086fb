/*
 * Which targets of a group get new flows: the healthy active ones; the standby
 * ones while no active one is healthy; and when too few are healthy for the
 * thresholds, all of them (fail open), the active ones first.
 */
#ifndef NLB_GROUP_HEALTH_H
#define NLB_GROUP_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "nlb/target.h"

/* Registered: not draining, not unused. */
struct group_counts {
	uint32_t active_healthy, active_registered;
	uint32_t standby_healthy, standby_registered;
};

enum group_mode {
	GROUP_ACTIVE,       /* healthy active targets */
	GROUP_STANDBY,      /* healthy standby targets */
	GROUP_OPEN_ACTIVE,  /* all active targets, whatever their health */
	GROUP_OPEN_STANDBY, /* all standby targets: no active is registered */
};

/*
 * minimum_count and minimum_percentage are
 * target_group_health.unhealthy_state_routing.*; they are about the active
 * targets (0 = off). A healthy standby target goes before failing open, unless
 * an active one is healthy: then there is nothing to stand in for.
 */
enum group_mode group_mode_choose(const struct group_counts *counts,
    uint32_t minimum_count, uint32_t minimum_percentage);

/* May this target get new flows in that mode? */
bool group_mode_routes(
    enum group_mode mode, bool standby, const struct target *t);
/* A healthy standby target while active ones get the flows: a flow that none
 * of those would take may still go there. */
bool group_mode_holds_back(
    enum group_mode mode, bool standby, const struct target *t);
/* Would it not get any but for failing open? */
bool group_mode_is_open(enum group_mode mode);

/* Counts one target. */
void group_counts_add(
    struct group_counts *counts, bool standby, const struct target *t);

#endif
