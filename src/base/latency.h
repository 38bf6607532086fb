/*
 * A histogram of durations in fixed buckets, wide enough for a connect within
 * one rack and for one that times out. Adding to it is a compare or two and two
 * additions.
 */
#ifndef BASE_LATENCY_H
#define BASE_LATENCY_H

#include <stdint.h>

#define LATENCY_BUCKETS 15 /* the last one has no bound */

struct latency {
	uint64_t buckets[LATENCY_BUCKETS]; /* each for itself */
	uint64_t sum_us;
};

/* Upper bounds in seconds, as Prometheus writes them; the last is "+Inf". */
extern const char *const latency_bounds[LATENCY_BUCKETS];

/* The bucket that a duration belongs to; a bound belongs to its bucket. */
unsigned latency_bucket(uint64_t us);
void latency_add(struct latency *l, uint64_t us);
uint64_t latency_count(const struct latency *l);

#endif
