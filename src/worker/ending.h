/*
 * Flows that end because of their target: it turned unhealthy or was
 * deregistered. That may be thousands at once, so they end in batches, a turn
 * of the loop between two of them: the flows of other targets are not held up.
 */
#ifndef WORKER_ENDING_H
#define WORKER_ENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "nlb/reason.h"

struct flow;
struct worker;

/* In one turn at most so many, and for no longer than this. */
#define ENDING_FLOWS_PER_TURN 64
#define ENDING_TURN_NS 1000000

/*
 * The flows that the target has now will end, for that reason. It is final: a
 * target that comes back before the last one has gone keeps only the flows it
 * gets from then on. A flow that still connects has lost nothing yet and goes
 * to the next target; one that ends by itself first has its own reason.
 */
void ending_mark(struct worker *w, uint16_t slot, enum flow_end_reason reason);
/* A batch of them. True: there are more. */
bool ending_run(struct worker *w);
/* The flow left its target before its turn came. */
void ending_spare(struct flow *f);

#endif
