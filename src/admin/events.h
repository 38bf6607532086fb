/*
 * The last lines of the event log, for those who look at the dashboard: a ring
 * in the daemon's memory.
 */
#ifndef ADMIN_EVENTS_H
#define ADMIN_EVENTS_H

#include <stdint.h>
#include <jansson.h>

#include "base/log.h"

#define EVENTS_MAX 256

struct kept_event {
	uint64_t wall_ms;
	struct log_kind kind;
	char text[LOG_LINE_MAX];
};

/* Zeroed: empty. The n-th event ever, from 1 on, has the id n. */
struct events {
	struct kept_event ring[EVENTS_MAX];
	uint64_t last_id;
};

void events_add(
    struct events *e, uint64_t wall_ms, const struct log_entry *entry);
/* Those that are younger than the event since (0: all), oldest first, the last
 * id, and how many younger ones are no longer kept. A new reference, or NULL
 * when out of memory. */
json_t *events_view(const struct events *e, uint64_t since);

#endif
