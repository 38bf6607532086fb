/*
 * Results as JSON: see load_report.h.
 */
#include "load_report.h"

#include <errno.h>

#include <jansson.h>

static double
us(uint64_t ns)
{
	return (double)ns / 1e3;
}

static json_t *
times(const struct histogram *h)
{
	return json_pack("{sI sf sf sf sf sf sf sf}", "count",
	    (json_int_t)h->count, "mean", histogram_mean_ns(h) / 1e3, "min",
	    h->count == 0 ? 0.0 : us(h->min_ns), "p50",
	    us(histogram_quantile_ns(h, 0.5)), "p90",
	    us(histogram_quantile_ns(h, 0.9)), "p99",
	    us(histogram_quantile_ns(h, 0.99)), "p99_9",
	    us(histogram_quantile_ns(h, 0.999)), "max", us(h->max_ns));
}

/* [[end of the bucket in us, count], ...] of those that are not empty. */
static json_t *
buckets(const struct histogram *h)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (h->buckets[i] > 0)
			json_array_append_new(list,
			    json_pack("[fI]", us(histogram_bucket_end_ns(i)),
				(json_int_t)h->buckets[i]));
	}
	return list;
}

static json_t *
kinds(const struct load_result *r)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < r->plan->kind_count; i++) {
		const struct load_kind_stats *kind = &r->stats->kinds[i];

		json_object_set_new(object, r->plan->kinds[i].name,
		    json_pack("{sI sI sf so so so so}", "done",
			(json_int_t)kind->done, "failed",
			(json_int_t)kind->failed, "per_s",
			(double)kind->done / r->seconds, "latency_us",
			times(&kind->latency), "connect_us",
			times(&kind->connect), "greeting_us",
			times(&kind->greeting), "histogram_us",
			buckets(&kind->latency)));
	}
	return object;
}

static json_t *
failures(const struct load_stats *stats)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < LOAD_FAILURE_COUNT; i++) {
		if (stats->failures[i] > 0)
			json_object_set_new(object, load_failure_text(i),
			    json_pack("{sI ss}", "count",
				(json_int_t)stats->failures[i], "first",
				stats->examples[i]));
	}
	return object;
}

static json_t *
series(const struct load_result *r)
{
	json_t *list = json_array();

	for (uint64_t i = 0; i < r->row_count; i++) {
		const struct load_row *row = &r->rows[i];

		json_array_append_new(list,
		    json_pack("{sI sI sI sI sf sf sf}", "second",
			(json_int_t)i + 1, "done", (json_int_t)row->done,
			"failed", (json_int_t)row->failed, "bytes",
			(json_int_t)row->bytes, "p50_us", us(row->p50_ns),
			"p99_us", us(row->p99_ns), "max_us", us(row->max_ns)));
	}
	return list;
}

static json_t *
client(const struct load_result *r)
{
	json_t *threads = json_array();
	json_t *limits = json_array();

	for (unsigned i = 0; i < r->plan->threads; i++)
		json_array_append_new(threads, json_real(r->busy[i]));
	for (unsigned i = 0; i < r->limits.count; i++)
		json_array_append_new(limits, json_string(r->limits.texts[i]));
	return json_pack("{so sf sI so so}", "threads_busy", threads,
	    "machine_busy", r->machine_busy, "waited",
	    (json_int_t)r->stats->waited, "late_us", times(&r->stats->late),
	    "limits", limits);
}

int
load_report_json(FILE *to, const struct load_result *r)
{
	const struct load_plan *plan = r->plan;
	json_t *root =
	    json_pack("{ss ss ss sf sI sI sI sf sb sI sI so so so so}",
		"profile", plan->profile, "to", plan->to_text, "loop",
		plan->rate > 0 ? "open" : "closed", "rate", plan->rate, "flows",
		(json_int_t)plan->flows, "threads", (json_int_t)plan->threads,
		"size", (json_int_t)plan->size, "seconds", r->seconds,
		"interrupted", (int)r->is_interrupted, "bytes_out",
		(json_int_t)r->stats->bytes_out, "bytes_back",
		(json_int_t)r->stats->bytes_back, "units", kinds(r), "failures",
		failures(r->stats), "series", series(r), "client", client(r));
	int error;

	if (root == NULL)
		return -ENOMEM;
	error = json_dumpf(root, to, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	json_decref(root);
	if (error == 0 && fputc('\n', to) == EOF)
		error = -1;
	return error == 0 ? 0 : -EIO;
}
