/*
 * A log-linear histogram of durations: 64 buckets for each power of two, so
 * that any value is known within 1.6 % from 1 ns to 18 minutes.  Fixed size,
 * recording is a few instructions, histograms of threads add up.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_MAX_BITS 40
#define HISTOGRAM_BUCKETS \
	((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t min_ns; /* of an empty one: UINT64_MAX */
	uint64_t max_ns;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *h);

/* What is longer than the last bucket is counted there; max_ns is exact. */
void histogram_record(struct histogram *h, uint64_t ns);

/* Adds what from has seen. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/*
 * The least bucket end that so large a share (0 to 1) of the values does not
 * exceed, never more than the greatest value; 0 when empty.
 */
uint64_t histogram_quantile_ns(const struct histogram *h, double share);

double histogram_mean_ns(const struct histogram *h);

/* The greatest value that is counted in this bucket. */
uint64_t histogram_bucket_end_ns(unsigned bucket);

#endif
