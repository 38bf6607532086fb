/*
 * Histogram: see histogram.h.
 */
#include "histogram.h"

#include <math.h>
#include <string.h>

#define SUB_BUCKETS (1u << HISTOGRAM_SUB_BITS)

void
histogram_init(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
	h->min_ns = UINT64_MAX;
}

/* The first 64 values have a bucket each; from there on one power is 64. */
static unsigned
bucket_of(uint64_t ns)
{
	unsigned shift;

	if (ns < SUB_BUCKETS)
		return (unsigned)ns;
	if (ns >> HISTOGRAM_MAX_BITS != 0)
		return HISTOGRAM_BUCKETS - 1;
	shift = 63u - (unsigned)__builtin_clzll(ns) - HISTOGRAM_SUB_BITS;
	return ((shift + 1) << HISTOGRAM_SUB_BITS) +
	       (unsigned)((ns >> shift) & (SUB_BUCKETS - 1));
}

uint64_t
histogram_bucket_end_ns(unsigned bucket)
{
	unsigned shift = bucket >> HISTOGRAM_SUB_BITS;
	uint64_t within = bucket & (SUB_BUCKETS - 1);

	if (shift == 0)
		return within;
	shift--;
	return ((SUB_BUCKETS + within + 1) << shift) - 1;
}

void
histogram_record(struct histogram *h, uint64_t ns)
{
	h->count++;
	h->sum_ns += ns;
	if (ns < h->min_ns)
		h->min_ns = ns;
	if (ns > h->max_ns)
		h->max_ns = ns;
	h->buckets[bucket_of(ns)]++;
}

void
histogram_merge(struct histogram *h, const struct histogram *from)
{
	h->count += from->count;
	h->sum_ns += from->sum_ns;
	if (from->min_ns < h->min_ns)
		h->min_ns = from->min_ns;
	if (from->max_ns > h->max_ns)
		h->max_ns = from->max_ns;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->buckets[i] += from->buckets[i];
}

uint64_t
histogram_quantile_ns(const struct histogram *h, double share)
{
	uint64_t wanted = (uint64_t)ceil(share * (double)h->count);
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	if (wanted == 0)
		return h->min_ns;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += h->buckets[i];
		if (seen >= wanted && histogram_bucket_end_ns(i) < h->max_ns)
			return histogram_bucket_end_ns(i);
	}
	return h->max_ns;
}

double
histogram_mean_ns(const struct histogram *h)
{
	return h->count == 0 ? 0 : (double)h->sum_ns / (double)h->count;
}
