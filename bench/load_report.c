/*
 * Results as text: see load_report.h.  load_report_json.c has the JSON.
 */
#include "load_report.h"

#include <inttypes.h>
#include <string.h>

static double
ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

/* Bytes as a person reads them. */
static const char *
scaled(char *text, size_t size, double value, const char *unit)
{
	static const char *const prefixes[] = {"", "k", "M", "G", "T"};
	unsigned i = 0;

	while (value >= 1000 && i < 4) {
		value /= 1000;
		i++;
	}
	snprintf(text, size, i == 0 ? "%.0f %s%s" : "%.2f %s%s", value,
	    prefixes[i], unit);
	return text;
}

void
load_report_row(char *text, size_t size, const struct load_plan *plan,
    uint64_t second, const struct load_row *row)
{
	char bits[32];

	snprintf(text, size,
	    "%s %3" PRIu64 " s  %6" PRIu64 " /s  %s  p50 %.3f  p99 %.3f  "
	    "max %.3f ms  %" PRIu64 " failed",
	    plan->profile, second, row->done,
	    scaled(bits, sizeof(bits), (double)row->bytes * 8, "bit/s"),
	    ms(row->p50_ns), ms(row->p99_ns), ms(row->max_ns), row->failed);
}

static void
print_head(FILE *to, const struct load_result *r)
{
	const struct load_plan *plan = r->plan;
	char rate[64] = "closed loop";

	if (load_plan_holds(plan))
		snprintf(rate, sizeof(rate), "held");
	else if (plan->rate > 0)
		snprintf(
		    rate, sizeof(rate), "open loop at %.1f /s", plan->rate);
	fprintf(to,
	    "%s to %s: %s, %" PRIu64
	    " flow%s, %u thread%s; %.1f s measured%s\n",
	    plan->profile, plan->to_text, rate, plan->flows,
	    plan->flows > 1 ? "s" : "", plan->threads,
	    plan->threads > 1 ? "s" : "", r->seconds,
	    r->is_interrupted ? ", interrupted" : "");
}

static void
print_times(FILE *to, const char *what, const struct histogram *h)
{
	if (h->count == 0)
		return;
	fprintf(to, "  %-12s %10.3f %10.3f %10.3f %10.3f %10.3f ms\n", what,
	    ms(histogram_quantile_ns(h, 0.5)),
	    ms(histogram_quantile_ns(h, 0.9)),
	    ms(histogram_quantile_ns(h, 0.99)),
	    ms(histogram_quantile_ns(h, 0.999)), ms(h->max_ns));
}

static void
print_kind(FILE *to, const struct load_result *r, unsigned number)
{
	const struct load_kind_stats *kind = &r->stats->kinds[number];
	const char *name = r->plan->kinds[number].name;

	if (load_plan_holds(r->plan))
		fprintf(to,
		    "%ss: %" PRIu64 " ended as they should, %" PRIu64
		    " failed\n",
		    name, kind->done, kind->failed);
	else
		fprintf(to,
		    "%ss: %" PRIu64 " done, %.1f /s, %" PRIu64 " failed\n",
		    name, kind->done, (double)kind->done / r->seconds,
		    kind->failed);
	if (kind->latency.count == 0)
		return;
	fprintf(to, "  %-12s %10s %10s %10s %10s %10s\n", "", "p50", "p90",
	    "p99", "p99.9", "max");
	print_times(to, name, &kind->latency);
	print_times(to, "connect", &kind->connect);
	print_times(to, "greeting", &kind->greeting);
}

static void
print_bytes(FILE *to, const struct load_result *r)
{
	const struct load_stats *stats = r->stats;
	double both = (double)(stats->bytes_out + stats->bytes_back);
	char text[32];

	fprintf(to, "bytes: %s out",
	    scaled(text, sizeof(text), (double)stats->bytes_out, "B"));
	fprintf(to, ", %s back",
	    scaled(text, sizeof(text), (double)stats->bytes_back, "B"));
	if (!load_plan_holds(r->plan))
		fprintf(to, ", %s",
		    scaled(text, sizeof(text), both * 8 / r->seconds, "bit/s"));
	fputc('\n', to);
	if (stats->failures[LOAD_WRONG_BYTES] > 0)
		fprintf(to, "check: WRONG BYTES CAME BACK\n");
	else if (stats->bytes_back == 0)
		fprintf(to, "check: nothing came back\n");
	else if (r->plan->server.is_foreign)
		fprintf(to, "check: every reply had the expected code\n");
	else
		fprintf(to, "check: every byte that came back was right\n");
}

static void
print_failures(FILE *to, const struct load_stats *stats)
{
	for (unsigned i = 0; i < LOAD_FAILURE_COUNT; i++) {
		if (stats->failures[i] == 0)
			continue;
		fprintf(to, "FAILED: %" PRIu64 " %s; the first: %s\n",
		    stats->failures[i], load_failure_text(i),
		    stats->examples[i]);
	}
}

void
load_report_text(FILE *to, const struct load_result *r)
{
	const struct load_stats *stats = r->stats;

	print_head(to, r);
	for (unsigned i = 0; i < r->plan->kind_count; i++)
		print_kind(to, r, i);
	print_bytes(to, r);
	print_failures(to, stats);
	fprintf(
	    to, "client: machine %.0f %% busy, threads", r->machine_busy * 100);
	for (unsigned i = 0; i < r->plan->threads; i++)
		fprintf(to, " %.0f %%", r->busy[i] * 100);
	if (stats->late.count > 0)
		fprintf(to, ", late by p99 %.3f ms",
		    ms(histogram_quantile_ns(&stats->late, 0.99)));
	fputc('\n', to);
	for (unsigned i = 0; i < r->limits.count; i++)
		fprintf(to, "LIMIT: %s\n", r->limits.texts[i]);
}
