/*
 * The last quarter of an hour in samples of five seconds, for the dashboard's
 * charts: sums as the scoreboard has them, whose differences are rates.
 */
#ifndef ADMIN_HISTORY_H
#define ADMIN_HISTORY_H

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "admin/admin.h"
#include "base/latency.h"
#include "nlb/reason.h"

#define HISTORY_INTERVAL_S 5
#define HISTORY_SAMPLES 181 /* 15 minutes, both ends */

struct history_sample {
	uint64_t wall_ms;
	struct sb_listener_sum sum; /* of all listeners */
	uint64_t ends[FLOW_END_REASON_COUNT];
	struct latency connects;
};

/* Zeroed: empty. */
struct history {
	struct history_sample ring[HISTORY_SAMPLES];
	uint64_t n; /* ever taken */
	uint64_t next_ms;
};

/* Call more often than every five seconds: takes a sample when one is due by
 * now_ms, a clock that never goes back. */
void history_tick(struct history *h, const struct admin_ops *ops,
    uint64_t now_ms, uint64_t wall_ms);
/* Samples younger than since_ms (wall clock; 0: all), oldest first. A new
 * reference, or NULL when out of memory. */
json_t *history_view(const struct history *h, uint64_t since_ms);

#endif
