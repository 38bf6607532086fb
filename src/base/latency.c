/*
 * Where a duration belongs in the histogram.
 */
#include "base/latency.h"

const char *const latency_bounds[LATENCY_BUCKETS] = {"0.0005", "0.001",
    "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0",
    "2.5", "5.0", "10.0", "+Inf"};

static const uint32_t bounds_us[LATENCY_BUCKETS - 1] = {500, 1000, 2500, 5000,
    10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000,
    10000000};

unsigned
latency_bucket(uint64_t us)
{
	unsigned i = 0;

	/* From below: short ones are the usual ones. */
	while (i < LATENCY_BUCKETS - 1 && us > bounds_us[i])
		i++;
	return i;
}

void
latency_add(struct latency *l, uint64_t us)
{
	l->buckets[latency_bucket(us)]++;
	l->sum_us += us;
}

uint64_t
latency_count(const struct latency *l)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		n += l->buckets[i];
	return n;
}
