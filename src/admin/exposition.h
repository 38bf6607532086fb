/*
 * The two text formats that Prometheus reads: text 0.0.4, and OpenMetrics 1.0.
 * Families come one after the other, each with all its samples.
 */
#ifndef ADMIN_EXPOSITION_H
#define ADMIN_EXPOSITION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/latency.h"

#define EXPOSITION_NAME_MAX 96

enum exposition_type {
	EXPOSITION_COUNTER,
	EXPOSITION_GAUGE,
	EXPOSITION_HISTOGRAM,
	EXPOSITION_INFO, /* always 1: the labels tell */
};

struct exposition {
	FILE *out;
	bool open_metrics;
	enum exposition_type type;
	char name[EXPOSITION_NAME_MAX]; /* of the family, without its suffix */
};

/* A list of them ends with a NULL name. Values may be any UTF-8 text. */
struct exposition_label {
	const char *name, *value;
};

/*
 * Begins a family. name is without a suffix: _total and _info are added. Help
 * is a sentence without a stop; cloudwatch "" = not a metric of the NLB.
 */
void exposition_family(struct exposition *e, enum exposition_type type,
    const char *name, const char *help, const char *cloudwatch);
/* One sample of the family. labels may be NULL. */
void exposition_uint(struct exposition *e,
    const struct exposition_label *labels, uint64_t value);
/* Milliseconds, written as seconds. */
void exposition_seconds(
    struct exposition *e, const struct exposition_label *labels, uint64_t ms);
void exposition_latency(struct exposition *e,
    const struct exposition_label *labels, const struct latency *l);
/* Nothing may follow. */
void exposition_end(struct exposition *e);

#endif
