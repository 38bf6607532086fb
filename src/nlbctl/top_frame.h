/*
 * One frame of nlbctl top: what nlbd says now, and what changed since it said
 * so last, as rates. Pure: JSON in, JSON out.
 */
#ifndef NLBCTL_TOP_FRAME_H
#define NLBCTL_TOP_FRAME_H

#include <jansson.h>

/*
 * before and now are answers of /v1/status?include=latency, to whose workers
 * "cpu_ms" was added where it is known; events is a list, of which the last
 * ones are taken. Without a before (NULL), or when it is another nlbd's, the
 * rates are null. A new reference, or NULL when out of memory.
 */
json_t *top_frame(
    const json_t *before, const json_t *now, const json_t *events);

/* The value below which the part q of all lies, by counts in buckets with
 * these upper bounds (strings, seconds), linear within one; in milliseconds.
 * Negative: there are no counts. */
double top_quantile_ms(const json_t *counts, const json_t *bounds, double q);

#endif
