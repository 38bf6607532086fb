/* The verdict on this node's zone; see zone_health.h. */
#include "nlb/zone_health.h"

bool
zone_group_is_healthy(const struct zone_group *group)
{
	if (!group->carries_flows)
		return true;
	if (group->healthy < group->minimum_count)
		return false;
	/* No share of nothing is enough, not even 0 of 0. */
	if (group->minimum_percentage > 0 && group->registered == 0)
		return false;
	return (uint64_t)group->healthy * 100 >=
	       (uint64_t)group->registered * group->minimum_percentage;
}

bool
zone_is_healthy(const struct zone_group *groups, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!zone_group_is_healthy(&groups[i]))
			return false;
	}
	return true;
}

bool
zone_thresholds_agree(uint32_t dns_minimum, uint32_t routing_minimum)
{
	return dns_minimum == 0 || routing_minimum == 0 ||
	       dns_minimum >= routing_minimum;
}
