/*
 * Between explain.c and the texts that have a file of their own.
 */
#ifndef NLB_EXPLAIN_INTERNAL_H
#define NLB_EXPLAIN_INTERNAL_H

#include "nlb/event.h"
#include "nlb/explain.h"

struct advice {
	const char *causes, *steps;
};

/* event < EVENT_COUNT. */
struct explanation explain_event(enum event event);

#endif
