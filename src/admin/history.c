/*
 * Taking and showing the samples.
 */
#include "admin/history.h"

#include <stdbool.h>
#include <string.h>

#include "admin/view.h"

struct connects_walk {
	const struct scoreboard *sb;
	struct latency *sum;
};

static void
add_connects(void *arg, const struct admin_listener *l)
{
	struct connects_walk *walk = arg;
	struct latency one;

	scoreboard_sum_connects(walk->sb, l->slot, &one);
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		walk->sum->buckets[i] += one.buckets[i];
	walk->sum->sum_us += one.sum_us;
}

void
history_tick(struct history *h, const struct admin_ops *ops, uint64_t now_ms,
    uint64_t wall_ms)
{
	struct history_sample *s = &h->ring[h->n % HISTORY_SAMPLES];
	struct connects_walk walk = {ops->scoreboard, &s->connects};

	if (now_ms < h->next_ms)
		return;
	h->next_ms = now_ms + HISTORY_INTERVAL_S * 1000;
	memset(s, 0, sizeof(*s));
	s->wall_ms = wall_ms;
	scoreboard_sum_listeners(ops->scoreboard, &s->sum);
	scoreboard_sum_ends(ops->scoreboard, s->ends);
	ops->each_listener(ops->owner, add_connects, &walk);
	h->n++;
}

static json_t *
numbers(const uint64_t *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		if (json_array_append_new(array, view_uint(list[i])) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *
view_sample(const struct history_sample *s)
{
	json_t *object =
	    json_pack("{s:o, s:o, s:o}", "time_ms", view_uint(s->wall_ms),
		"flow_ends", numbers(s->ends, FLOW_END_REASON_COUNT),
		"connects", numbers(s->connects.buckets, LATENCY_BUCKETS));

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

static json_t *
view_bounds(void)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		json_array_append_new(list, json_string(latency_bounds[i]));
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
	    view_bounds(), "samples", list);
}
