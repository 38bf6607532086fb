/*
 * Prometheus text 0.0.4 and OpenMetrics 1.0. They differ in what stands before
 * the samples of a counter, in the type of an info metric, and in the end.
 */
#include "admin/exposition.h"

#include <inttypes.h>
#include <string.h>
#include <bsd/string.h>

static const char *
suffix_of(enum exposition_type type)
{
	switch (type) {
	case EXPOSITION_COUNTER:
		return "_total";
	case EXPOSITION_INFO:
		return "_info";
	case EXPOSITION_GAUGE:
	case EXPOSITION_HISTOGRAM:
		return "";
	}
	return "";
}

static const char *
type_name(const struct exposition *e)
{
	static const char *const names[] = {
	    [EXPOSITION_COUNTER] = "counter",
	    [EXPOSITION_GAUGE] = "gauge",
	    [EXPOSITION_HISTOGRAM] = "histogram",
	    [EXPOSITION_INFO] = "info",
	};

	if (e->type == EXPOSITION_INFO && !e->open_metrics)
		return "gauge";
	return names[e->type];
}

void
exposition_family(struct exposition *e, enum exposition_type type,
    const char *name, const char *help, const char *cloudwatch)
{
	const char *suffix = e->open_metrics ? "" : suffix_of(type);

	e->type = type;
	strlcpy(e->name, name, sizeof(e->name));
	fprintf(e->out, "# HELP %s%s %s%s%s%s.\n", name, suffix, help,
	    *cloudwatch == '\0' ? "" : " (CloudWatch: ", cloudwatch,
	    *cloudwatch == '\0' ? "" : ")");
	fprintf(e->out, "# TYPE %s%s %s\n", name, suffix, type_name(e));
}

static void
put_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else
			putc(*text, out);
	}
}

/* "{a="b",le="c"}"; le NULL: none. */
static void
put_labels(FILE *out, const struct exposition_label *labels, const char *le)
{
	const char *sep = "{";

	for (; labels != NULL && labels->name != NULL; labels++) {
		fprintf(out, "%s%s=\"", sep, labels->name);
		put_escaped(out, labels->value);
		putc('"', out);
		sep = ",";
	}
	if (le != NULL) {
		fprintf(out, "%sle=\"%s\"", sep, le);
		sep = ",";
	}
	if (*sep == ',')
		putc('}', out);
}

void
exposition_uint(
    struct exposition *e, const struct exposition_label *labels, uint64_t value)
{
	fprintf(e->out, "%s%s", e->name, suffix_of(e->type));
	put_labels(e->out, labels, NULL);
	fprintf(e->out, " %" PRIu64 "\n", value);
}

void
exposition_seconds(
    struct exposition *e, const struct exposition_label *labels, uint64_t ms)
{
	fprintf(e->out, "%s%s", e->name, suffix_of(e->type));
	put_labels(e->out, labels, NULL);
	fprintf(
	    e->out, " %" PRIu64 ".%03u\n", ms / 1000, (unsigned)(ms % 1000));
}

void
exposition_latency(struct exposition *e, const struct exposition_label *labels,
    const struct latency *l)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		n += l->buckets[i];
		fprintf(e->out, "%s_bucket", e->name);
		put_labels(e->out, labels, latency_bounds[i]);
		fprintf(e->out, " %" PRIu64 "\n", n);
	}
	fprintf(e->out, "%s_sum", e->name);
	put_labels(e->out, labels, NULL);
	fprintf(e->out, " %" PRIu64 ".%06u\n", l->sum_us / 1000000,
	    (unsigned)(l->sum_us % 1000000));
	fprintf(e->out, "%s_count", e->name);
	put_labels(e->out, labels, NULL);
	fprintf(e->out, " %" PRIu64 "\n", n);
}

void
exposition_end(struct exposition *e)
{
	if (e->open_metrics)
		fputs("# EOF\n", e->out);
}
