/*
 * How often each source may come: a row at once, then a steady pace. Who goes
 * beyond it is shut out for a while, so that the others need not wait behind
 * it. No counterpart in an NLB, which has no port of its own to ask at.
 */
#ifndef NLB_SOURCE_PACE_H
#define NLB_SOURCE_PACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "nlb/security_group.h"

#define SOURCE_PACE_ROW 64      /* that may come at once */
#define SOURCE_PACE_EACH_MS 100 /* one more, after them */
#define SOURCE_PACE_SHUT_MS 900 /* no more, beyond that */
#define SOURCE_PACE_SOURCES_MAX 64

struct source_pace_entry {
	struct addr key;   /* addr_source: who share it share its fate */
	uint64_t spent_ms; /* when its whole row is there again */
	uint64_t open_ms;  /* shut out until then */
};

/* All zero: nobody came yet. */
struct source_pace {
	struct source_pace_entry entries[SOURCE_PACE_SOURCES_MAX];
	size_t n;
};

enum source_verdict {
	SOURCE_ADMITTED,
	SOURCE_SHUT, /* from now on, for the first time in a minute */
	SOURCE_SHUT_AGAIN,
	SOURCE_IS_SHUT /* came before that was known */
};

/*
 * One more from client, at now_ms of a clock that never goes back. With
 * SOURCE_PACE_SOURCES_MAX others that came lately it is admitted uncounted:
 * the memory is bounded, and the sum of all is somebody else's to bound.
 */
enum source_verdict source_pace_take(
    struct source_pace *p, const struct addr *client, uint64_t now_ms);

/* When the next of those who are shut out may come again; UINT64_MAX: nobody
 * is shut out. */
uint64_t source_pace_next_open_ms(const struct source_pace *p, uint64_t now_ms);

/* All addresses but those that are shut out. 0 or -ENOMEM with *out untouched.
 * Free with sg_set_fini. */
int source_pace_allowed(
    const struct source_pace *p, uint64_t now_ms, struct sg_set *out);

#endif
