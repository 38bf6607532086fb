/*
 * What each code that nlbd shows usually comes from, and what to do about it:
 * the ends of flows, the states and reasons of targets, the metrics, the
 * conditions that status tells, and the events. For nlbctl explain; complete
 * by a unit test.
 */
#ifndef NLB_EXPLAIN_H
#define NLB_EXPLAIN_H

#include <stddef.h>

struct explanation {
	const char *code;
	const char *kind;    /* "end of a flow", "metric", ... */
	const char *meaning; /* without a stop */
	/* Sentences, one a line; the likeliest first. */
	const char *causes; /* "" = none to be sought */
	const char *steps;  /* in the order to try them; "" = nothing to do */
};

/* By number, in the order of their tables. i < explain_count(). */
size_t explain_count(void);
struct explanation explain_at(size_t i);

/* Does text name e? Case does not matter, nor what stands before a reason's
 * dot; a metric has two names. One text may name more than one. */
int explain_matches(const struct explanation *e, const char *text);

#endif
