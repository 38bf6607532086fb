/*
 * The worker's descriptors, counted before they are taken: accept is never
 * called when the flow could not get its two sockets, so EMFILE stays what it
 * should be, an accident.
 */
#ifndef WORKER_FD_BUDGET_H
#define WORKER_FD_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "nlb/conf.h"

/* loop, channel, scoreboard, lock, stdio, and descriptors in transit */
#define FD_BUDGET_BASE 28
/* Under a limit of some size, all listeners that a config may have, twice: a
 * reload brings new sockets before the old ones go, and a worker full of flows
 * must be able to take them. */
#define FD_BUDGET_LISTENERS (2 * CONF_LISTENERS_MAX)
#define FD_BUDGET_LISTENERS_FROM 1024
#define FD_BUDGET_PER_FLOW 2

struct fd_budget {
	uint32_t limit; /* RLIMIT_NOFILE */
	uint32_t used;
	uint32_t base; /* of used: what is never for flows */
};

/* Raises the soft limit to the hard one and reads it. n_listeners sockets are
 * taken from it at once. */
void fd_budget_init(struct fd_budget *b, uint32_t n_listeners);
/* Of that limit, what is never for flows. */
uint32_t fd_budget_base(uint32_t limit);
/* Flows that fit when there are no pipes. */
uint32_t fd_budget_max_flows(const struct fd_budget *b);

bool fd_budget_fits(const struct fd_budget *b, uint32_t n);
bool fd_budget_take(struct fd_budget *b, uint32_t n);
/* Only when at least an eighth of the budget stays free: pipes are a luxury
 * that flows must not pay for. */
bool fd_budget_take_spare(struct fd_budget *b, uint32_t n);
void fd_budget_give(struct fd_budget *b, uint32_t n);

#endif
