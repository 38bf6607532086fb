/*
 * What is known of one DNS name: the addresses of its last answer, the ones
 * before that are still needed, and when to ask again. Time and chance come
 * in, nothing goes out.
 */
#ifndef NLB_RESOLUTION_H
#define NLB_RESOLUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nlb/conf.h"

/* A failed resolution is tried again this soon at the latest. */
#define RESOLUTION_RETRY_MAX_S 30

/*
 * An address and a name
 *
 *            in an answer              not in the next one
 *  (unknown) ------------> answer[] ------------------------> (gone)
 *                             ^  |
 *    in an answer once more   |  | not in the next one, but a healthy target
 *                             |  v
 *                            kept[] --> (gone): an address of the answer is
 *                                       healthy, or this one no longer
 */
struct resolution {
	struct addr answer[CONF_DNS_ADDRESSES_MAX]; /* sorted, no port */
	struct addr kept[CONF_DNS_ADDRESSES_MAX];
	size_t n_answer, n_kept;
	uint32_t failures; /* in a row */
};

/* Is the address of this name a healthy target? */
typedef bool (*resolution_healthy_fn)(void *arg, const struct addr *a);

/* Sorts and takes doubled ones away; returns how many are left. */
size_t resolution_sort(struct addr *list, size_t n);
/*
 * The sorted answer to the last question, cut to CONF_DNS_ADDRESSES_MAX. Of
 * the addresses that it lacks, healthy ones are kept while no address of the
 * answer is healthy: a name never loses its last working target to a record
 * that does not work. Returns whether anything changed.
 */
bool resolution_answer(struct resolution *r, const struct addr *list, size_t n,
    resolution_healthy_fn healthy, void *arg);
/* What is known from elsewhere, one address (no port) at a time, before any
 * answer; beyond CONF_DNS_ADDRESSES_MAX there is no place. */
void resolution_remember(struct resolution *r, const struct addr *a, bool kept);
/* No answer: all that is known holds. */
void resolution_fail(struct resolution *r);
/* Lets go of kept addresses; ask it when health may have changed. Returns
 * whether anything changed. */
bool resolution_release(
    struct resolution *r, resolution_healthy_fn healthy, void *arg);

/* Milliseconds to the next question: the TTL within its bounds and up to a
 * tenth more, so that the nodes of a fleet do not ask together. random is any
 * number. */
uint64_t resolution_delay_ms(
    uint32_t ttl_s, uint32_t min_s, uint32_t max_s, uint32_t random);
/* The same after the failures so far: min_s, doubled with each, at most
 * RESOLUTION_RETRY_MAX_S and max_s. */
uint64_t resolution_retry_ms(
    uint32_t failures, uint32_t min_s, uint32_t max_s, uint32_t random);

#endif
