/* Who gets the flows of a group; see group_health.h. */
#include "nlb/group_health.h"

enum group_mode
group_mode_choose(const struct group_counts *counts, uint32_t minimum_count,
    uint32_t minimum_percentage)
{
	if (counts->active_healthy == 0 && counts->standby_healthy > 0)
		return GROUP_STANDBY;
	if (counts->active_registered > 0)
		return target_group_fails_open(counts->active_healthy,
			   counts->active_registered, minimum_count,
			   minimum_percentage)
			   ? GROUP_OPEN_ACTIVE
			   : GROUP_ACTIVE;
	return target_group_fails_open(counts->standby_healthy,
		   counts->standby_registered, minimum_count,
		   minimum_percentage)
		   ? GROUP_OPEN_STANDBY
		   : GROUP_ACTIVE;
}

bool
group_mode_routes(enum group_mode mode, bool standby, const struct target *t)
{
	switch (mode) {
	case GROUP_ACTIVE:
		return !standby && t->state == TARGET_HEALTHY;
	case GROUP_STANDBY:
		return standby && t->state == TARGET_HEALTHY;
	case GROUP_OPEN_ACTIVE:
		return !standby && target_is_registered(t);
	case GROUP_OPEN_STANDBY:
		return standby && target_is_registered(t);
	}
	return false;
}

bool
group_mode_holds_back(
    enum group_mode mode, bool standby, const struct target *t)
{
	return standby && t->state == TARGET_HEALTHY &&
	       !group_mode_routes(mode, standby, t);
}

bool
group_mode_is_open(enum group_mode mode)
{
	return mode == GROUP_OPEN_ACTIVE || mode == GROUP_OPEN_STANDBY;
}

void
group_counts_add(
    struct group_counts *counts, bool standby, const struct target *t)
{
	uint32_t registered = target_is_registered(t);
	uint32_t healthy = t->state == TARGET_HEALTHY;

	if (standby) {
		counts->standby_registered += registered;
		counts->standby_healthy += healthy;
	} else {
		counts->active_registered += registered;
		counts->active_healthy += healthy;
	}
}
