/*
 * Is this node's zone fit to stand in DNS? An NLB takes a zone's address out
 * of DNS while a target group has too few healthy targets there
 * (target_group_health.dns_failover.*, nlb-behaviour 1.5 and 1.6). Here the
 * verdict is given; who acts on it is not this module's business.
 */
#ifndef NLB_ZONE_HEALTH_H
#define NLB_ZONE_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A target group as seen from this zone: with cross-zone on, the targets of
 * all zones count. */
struct zone_group {
	bool carries_flows; /* a listener forwards to it, weight above 0 */
	uint32_t healthy;
	uint32_t registered; /* healthy ones included; not draining, unused */
	uint32_t minimum_count;      /* dns_failover; 0 = off */
	uint32_t minimum_percentage; /* dns_failover; 0 = off */
};

/* Enough healthy targets? Both thresholds must be met; one that is off is. A
 * group that carries no flows is always healthy; one without any registered
 * target is healthy only with both thresholds off. */
bool zone_group_is_healthy(const struct zone_group *group);
/* One group that is not healthy makes the zone unhealthy. */
bool zone_is_healthy(const struct zone_group *groups, size_t n);

/*
 * May the threshold for DNS stand beside the one for routing? An NLB wants it
 * at least as high, so that a zone leaves DNS no later than it fails open.
 * Two counts or two percentages; 0 = off, which contradicts nothing.
 */
bool zone_thresholds_agree(uint32_t dns_minimum, uint32_t routing_minimum);

#endif
