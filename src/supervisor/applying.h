/*
 * A config on its way into the registry: for one target group after the other,
 * the listeners that forward to it and what follows from them for its targets'
 * checks.
 */
#ifndef SUPERVISOR_APPLYING_H
#define SUPERVISOR_APPLYING_H

#include <stdbool.h>
#include <stdint.h>

#include "nlb/conf.h"
#include "nlb/outbound.h"

struct applying {
	const struct conf *conf;
	uint64_t now_ms;
	struct outbound *outbound[CONF_LISTENERS_MAX]; /* by listener */
	const struct conf_target_group *tg;            /* the one at hand */
	uint32_t listeners[CONF_LISTENERS_MAX];        /* forward to it */
	uint32_t n_listeners;
};

/* 0 or -ENOMEM; applying_fini in both cases. */
int applying_init(struct applying *a, const struct conf *conf, uint64_t now_ms);
void applying_fini(struct applying *a);

void applying_take_group(struct applying *a, size_t group);
/* Checks leave by the outbound rules of the listeners that use the group: does
 * none of them let a check of addr out? */
bool applying_blocks_check(const struct applying *a, const struct addr *addr);
/* In the Host header of an HTTP check, as an NLB's: the port of the (first)
 * listener that uses the group, or 0. */
uint16_t applying_host_port(const struct applying *a);

#endif
