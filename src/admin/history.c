/*
 * Taking and showing the samples.
 */
#include "admin/history.h"

#include <stdbool.h>
#include <string.h>

#include "admin/view.h"

void
history_tick(struct history *h, const struct admin_ops *ops, uint64_t now_ms,
    uint64_t wall_ms)
{
	struct history_sample *s = &h->ring[h->n % HISTORY_SAMPLES];

	if (now_ms < h->next_ms)
		return;
	h->next_ms = now_ms + HISTORY_INTERVAL_S * 1000;
	memset(s, 0, sizeof(*s));
	s->wall_ms = wall_ms;
	scoreboard_sum_listeners(ops->scoreboard, &s->sum);
	scoreboard_sum_ends(ops->scoreboard, s->ends);
	view_sum_connects(ops, &s->connects);
	h->n++;
}

static json_t *
view_sample(const struct history_sample *s)
{
	json_t *object =
	    json_pack("{s:o, s:o, s:o}", "time_ms", view_uint(s->wall_ms),
		"flow_ends", view_numbers(s->ends, FLOW_END_REASON_COUNT),
		"connects", view_numbers(s->connects.buckets, LATENCY_BUCKETS));

#define X(field, help)                                            \
	if (object != NULL &&                                     \
	    !view_put(object, #field, view_uint(s->sum.field))) { \
		json_decref(object);                              \
		object = NULL;                                    \
	}
	SB_LISTENER_COUNTERS(X)
#undef X
	return object;
}

/* What the positions in a sample's lists stand for. */
static json_t *
view_reasons(void)
{
	json_t *list = json_array();

	for (int i = 0; i < FLOW_END_REASON_COUNT; i++)
		json_array_append_new(list,
		    json_string(flow_end_reason_code((enum flow_end_reason)i)));
	return list;
}

json_t *
history_view(const struct history *h, uint64_t since_ms)
{
	json_t *list = json_array();
	uint64_t i = h->n > HISTORY_SAMPLES ? h->n - HISTORY_SAMPLES : 0;

	for (; i < h->n; i++) {
		const struct history_sample *s = &h->ring[i % HISTORY_SAMPLES];

		if (s->wall_ms > since_ms &&
		    json_array_append_new(list, view_sample(s)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:i, s:o, s:o, s:o}", "interval_seconds",
	    HISTORY_INTERVAL_S, "reasons", view_reasons(), "connect_bounds",
	    view_latency_bounds(), "samples", list);
}
