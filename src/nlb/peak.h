/*
 * Peaks as CloudWatch has them (PeakBytesPerSecond, PeakPacketsPerSecond): a
 * rate is the average of ten seconds, and a minute's peak is the highest of
 * its rates. Pure arithmetic over a counter; time is passed in.
 */
#ifndef NLB_PEAK_H
#define NLB_PEAK_H

#include <stdbool.h>
#include <stdint.h>

#define PEAK_INTERVAL_MS 10000
#define PEAK_WINDOW_MS 60000

struct peak {
	uint64_t total, at_ms; /* the counter when it was looked at last */
	uint64_t window_ms;    /* when this minute began */
	uint64_t highest;      /* in it so far */
	uint64_t last;         /* of the last whole one */
	bool has_last;
};

/* The counter stands at total now. */
void peak_start(struct peak *p, uint64_t total, uint64_t now_ms);
/* The same, later: call it as often as you like; what is nearer to the last
 * look than ten seconds is left for the next call. A counter that went back
 * has started anew from 0. */
void peak_update(struct peak *p, uint64_t total, uint64_t now_ms);
/* Per second: of the last whole minute, or of the first one so far. */
uint64_t peak_per_second(const struct peak *p);

#endif
