/*
 * Rates from two answers.
 */
#include "nlbctl/top_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nlbctl/show.h"

#define EVENTS_SHOWN 5

double
top_quantile_ms(const json_t *counts, const json_t *bounds, double q)
{
	double total = 0, below = 0, lower = 0, upper, n;
	size_t i, last = json_array_size(counts);

	for (i = 0; i < last; i++)
		total += json_number_value(json_array_get(counts, i));
	if (total <= 0)
		return -1;
	for (i = 0; i < last; i++) {
		const char *bound =
		    json_string_value(json_array_get(bounds, i));

		n = json_number_value(json_array_get(counts, i));
		/* The last bucket has no end: its beginning is certain. */
		if (i + 1 == last || bound == NULL)
			break;
		upper = strtod(bound, NULL);
		if (below + n >= q * total && n > 0)
			return 1000 * (lower + (upper - lower) *
						   (q * total - below) / n);
		below += n;
		lower = upper;
	}
	return 1000 * lower;
}

/* Between two frames. */
struct span {
	const json_t *before, *now; /* before NULL: rates are not known */
	double seconds;
};

/* A counter that went back is another one's. */
static double
grown(double before, double now)
{
	return now > before ? now - before : 0;
}

static double
number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static json_t *
rate(const struct span *span, double before, double now)
{
	if (span->before == NULL)
		return json_null();
	return json_real(grown(before, now) / span->seconds);
}

static json_t *
rate_of(const struct span *span, const json_t *before, const json_t *now,
    const char *key)
{
	return rate(span, number(before, key), number(now, key));
}

/* Over all listeners. */
static double
sum(const json_t *status, const char *key)
{
	const json_t *list = json_object_get(status, "listeners"), *listener;
	double total = 0;
	size_t i;

	json_array_foreach(list, i, listener) total += number(listener, key);
	return total;
}

static json_t *
total_rates(const struct span *span)
{
	static const char *const keys[] = {"new_flows", "rejected_flows",
	    "client_to_target_bytes", "target_to_client_bytes", "client_resets",
	    "target_resets", "elb_resets"};
	static const char *const blocked[] = {"filter_drops",
	    "security_group_blocked", "security_group_blocked_outbound",
	    "network_acl_blocked"};
	json_t *rates = json_object();
	double before = 0, now = 0;
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_set_new(rates, keys[i],
		    rate(span, sum(span->before, keys[i]),
			sum(span->now, keys[i])));
	for (i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++) {
		before += sum(span->before, blocked[i]);
		now += sum(span->now, blocked[i]);
	}
	json_object_set_new(rates, "blocked", rate(span, before, now));
	return rates;
}

/* What came into each bucket. */
static json_t *
grown_counts(
    const json_t *before, const json_t *now, const char *key, double *total)
{
	const json_t *a = json_object_get(before, key);
	const json_t *b = json_object_get(now, key), *count;
	json_t *counts = json_array();
	size_t i;

	*total = 0;
	json_array_foreach(b, i, count)
	{
		double n = grown(json_number_value(json_array_get(a, i)),
		    json_number_value(count));

		*total += n;
		json_array_append_new(counts, json_real(n));
	}
	return counts;
}

static json_t *
quantile(const json_t *counts, const json_t *bounds, double q)
{
	double ms = top_quantile_ms(counts, bounds, q);

	return ms < 0 ? json_null() : json_real(ms);
}

static json_t *
connect_times(const struct span *span)
{
	const json_t *bounds = json_object_get(span->now, "latency_bounds");
	json_t *counts, *times;
	double total;

	if (span->before == NULL)
		return json_pack(
		    "{s:n, s:n, s:n}", "count", "p50_ms", "p99_ms");
	counts = grown_counts(span->before, span->now, "connects", &total);
	times = json_pack("{s:I, s:o, s:o}", "count", (json_int_t)total,
	    "p50_ms", quantile(counts, bounds, 0.5), "p99_ms",
	    quantile(counts, bounds, 0.99));
	json_decref(counts);
	return times;
}

/* ---- targets and workers ---------------------------------------------- */

static void
target_key(const json_t *target, char *key, size_t size)
{
	char address[64];

	snprintf(key, size, "%s %s", show_text(target, "target_group"),
	    show_address(target, address, sizeof(address)));
}

/* {key: target}, to find each one's former state. */
static json_t *
index_targets(const json_t *status)
{
	const json_t *list = json_object_get(status, "targets");
	json_t *index = json_object(), *target;
	char key[160];
	size_t i;

	json_array_foreach(list, i, target)
	{
		target_key(target, key, sizeof(key));
		json_object_set(index, key, target);
	}
	return index;
}

static json_t *
frame_target(const struct span *span, const json_t *was, const json_t *is)
{
	static const char *const keys[] = {"target_group", "label", "address",
	    "port", "state", "reason", "standby", "active_flows", "max_flows"};
	json_t *t = json_object();

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *value = json_object_get(is, keys[i]);

		if (value != NULL)
			json_object_set(t, keys[i], value);
	}
	json_object_set_new(
	    t, "new_flows_per_second", rate_of(span, was, is, "new_flows"));
	json_object_set_new(t, "client_to_target_bytes_per_second",
	    rate_of(span, was, is, "client_to_target_bytes"));
	json_object_set_new(t, "target_to_client_bytes_per_second",
	    rate_of(span, was, is, "target_to_client_bytes"));
	json_object_set_new(t, "connect_failures_per_second",
	    rate_of(span, was, is, "connect_failures"));
	return t;
}

static json_t *
frame_targets(const struct span *span)
{
	const json_t *list = json_object_get(span->now, "targets"), *is, *was;
	json_t *index = index_targets(span->before), *targets = json_array();
	struct span new = {.now = span->now};
	char key[160];
	size_t i;

	json_array_foreach(list, i, is)
	{
		target_key(is, key, sizeof(key));
		was = json_object_get(index, key);
		json_array_append_new(
		    targets, frame_target(was == NULL ? &new : span, was, is));
	}
	json_decref(index);
	return targets;
}

/* The same process, before. */
static const json_t *
former_worker(const struct span *span, const json_t *worker)
{
	const json_t *list = json_object_get(span->before, "workers"), *was;
	size_t i;

	json_array_foreach(list, i, was)
	{
		if (show_uint(was, "pid") == show_uint(worker, "pid"))
			return was;
	}
	return NULL;
}

static json_t *
frame_worker(const struct span *span, json_t *is)
{
	const json_t *was = former_worker(span, is);
	bool has_cpu = was != NULL && json_object_get(was, "cpu_ms") != NULL &&
		       json_object_get(is, "cpu_ms") != NULL;
	json_t *worker = json_copy(is), *counts;
	double total;

	counts = grown_counts(was, is, "turns", &total);
	json_object_del(worker, "turns");
	json_object_del(worker, "cpu_ms");
	json_object_del(worker, "generation");
	json_object_set_new(worker, "cpu_percent",
	    has_cpu
		? json_real(grown(number(was, "cpu_ms"), number(is, "cpu_ms")) /
			    (10 * span->seconds))
		: json_null());
	json_object_set_new(worker, "loop_lag_p99_ms",
	    was == NULL
		? json_null()
		: quantile(counts, json_object_get(span->now, "latency_bounds"),
		      0.99));
	json_decref(counts);
	return worker;
}

static json_t *
frame_workers(const struct span *span)
{
	const json_t *list = json_object_get(span->now, "workers");
	json_t *workers = json_array(), *is;
	size_t i;

	json_array_foreach(list, i, is)
	    json_array_append_new(workers, frame_worker(span, is));
	return workers;
}

static json_t *
last_events(const json_t *events)
{
	size_t n = json_array_size(events);
	size_t i = n > EVENTS_SHOWN ? n - EVENTS_SHOWN : 0;
	json_t *list = json_array();

	for (; i < n; i++)
		json_array_append(list, json_array_get(events, i));
	return list;
}

/* ---- the frame -------------------------------------------------------- */

json_t *
top_frame(const json_t *before, const json_t *now, const json_t *events)
{
	static const char *const keys[] = {"version", "load_balancer", "health",
	    "problems", "zone", "drained", "stopping", "start_time",
	    "uptime_seconds", "config", "active_flows"};
	struct span span = {.before = before, .now = now};
	json_t *frame = json_object();

	span.seconds =
	    (number(now, "uptime_ms") - number(before, "uptime_ms")) / 1000;
	if (span.seconds <= 0 || strcmp(show_text(before, "start_time"),
				     show_text(now, "start_time")) != 0)
		span.before = NULL;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *value = json_object_get(now, keys[i]);

		if (value != NULL)
			json_object_set(frame, keys[i], value);
	}
	json_object_set_new(frame, "interval_seconds",
	    span.before == NULL ? json_null() : json_real(span.seconds));
	json_object_set_new(frame, "rates_per_second", total_rates(&span));
	json_object_set_new(frame, "connect", connect_times(&span));
	json_object_set_new(frame, "targets", frame_targets(&span));
	json_object_set_new(frame, "workers", frame_workers(&span));
	json_object_set_new(frame, "events", last_events(events));
	return frame;
}
