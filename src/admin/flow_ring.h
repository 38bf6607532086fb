/*
 * Flows that began or ended a moment ago, for those who follow them: a ring in
 * the daemon's memory.
 */
#ifndef ADMIN_FLOW_RING_H
#define ADMIN_FLOW_RING_H

#include <stdint.h>
#include <jansson.h>

#include "nlb/conf.h"
#include "nlb/flow_record.h"

#define FLOW_RING_MAX 4096

struct flow_ring_entry {
	struct flow_record record; /* FLOW_CLOSING: it ended, else it began */
	char listener[CONF_NAME_MAX + 1], target_group[CONF_NAME_MAX + 1];
};

/* Zeroed: empty. The n-th record ever, from 1 on, has the id n. */
struct flow_ring {
	struct flow_ring_entry ring[FLOW_RING_MAX];
	uint64_t last_id;
};

struct view_flow_query;

/* A name may be NULL. */
void flow_ring_add(struct flow_ring *r, const struct flow_record *record,
    const char *listener, const char *target_group);
/* Those that are younger than the record since and match, oldest first, the
 * last id, and how many younger ones are no longer kept. A new reference, or
 * NULL when out of memory. */
json_t *flow_ring_view(const struct flow_ring *r,
    const struct view_flow_query *query, uint64_t since);

#endif
