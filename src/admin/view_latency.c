/*
 * Histograms of durations, as lists of numbers.
 */
#include "admin/view.h"

json_t *
view_numbers(const uint64_t *list, size_t n)
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

json_t *
view_latency_bounds(void)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		json_array_append_new(list, json_string(latency_bounds[i]));
	return list;
}

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
view_sum_connects(const struct admin_ops *ops, struct latency *sum)
{
	struct connects_walk walk = {ops->scoreboard, sum};

	ops->each_listener(ops->owner, add_connects, &walk);
}

bool
view_put_latencies(json_t *status, const struct admin_ops *ops)
{
	json_t *workers = json_object_get(status, "workers"), *worker;
	struct latency latency = {0};
	size_t i;

	view_sum_connects(ops, &latency);
	if (!view_put(status, "latency_bounds", view_latency_bounds()) ||
	    !view_put(status, "connects",
		view_numbers(latency.buckets, LATENCY_BUCKETS)))
		return false;
	json_array_foreach(workers, i, worker)
	{
		scoreboard_sum_turns(ops->scoreboard,
		    (uint32_t)json_integer_value(
			json_object_get(worker, "index")),
		    &latency);
		if (!view_put(worker, "turns",
			view_numbers(latency.buckets, LATENCY_BUCKETS)))
			return false;
	}
	return true;
}
