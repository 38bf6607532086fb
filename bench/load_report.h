/*
 * What nlbbench prints: the result as text for a person or as JSON, and lines
 * of progress.
 */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "load_limits.h"
#include "load_plan.h"
#include "load_stats.h"

/* One second of all threads, without its histogram. */
struct load_row {
	uint64_t done;
	uint64_t failed;
	uint64_t bytes;
	uint64_t p50_ns;
	uint64_t p99_ns;
	uint64_t max_ns;
};

struct load_result {
	const struct load_plan *plan;
	const struct load_stats *stats;
	const struct load_row *rows;
	uint64_t row_count;
	double seconds; /* measured */
	bool is_interrupted;
	double busy[LOAD_THREADS_MAX];
	double machine_busy;
	struct load_limits limits;
};

void load_report_text(FILE *to, const struct load_result *result);

/* 0 or a negative errno. */
int load_report_json(FILE *to, const struct load_result *result);

/* "12 s  4512.0 /s  p50 1.213 ms ..." of one second, into text. */
void load_report_row(char *text, size_t size, const struct load_plan *plan,
    uint64_t second, const struct load_row *row);

#endif
