/*
 * SourceAddresses: where nlbd's own connections come from, those of flows and
 * those of health checks.
 *
 * A connection's source port is chosen at connect(2), not at bind(2): a port
 * is then taken for one target only, and each address has the whole port range
 * for every target.
 */
#ifndef IPC_SOURCE_ADDRESSES_H
#define IPC_SOURCE_ADDRESSES_H

#include <errno.h>
#include <stdint.h>

#include "nlb/conf.h"

/* None of the addresses can be bound: they are not this machine's. */
#define SOURCE_ADDRESSES_UNUSABLE ENXIO

struct source_addresses {
	struct addr list[CONF_SOURCE_ADDRESSES_MAX];
	uint32_t n;
	uint32_t next; /* where the next connection starts to look */
};

void source_addresses_set(
    struct source_addresses *s, const struct conf_load_balancer *lb);

/*
 * connect(2) from an address of the target's family, all of them in turn; from
 * the next one when an address has no free port left towards target, or is not
 * one of this machine. Without an address of that family, and with s NULL, the
 * kernel chooses.
 *
 * Returns 0 or connect's negative errno. -EADDRNOTAVAIL: no address has a free
 * port left; -SOURCE_ADDRESSES_UNUSABLE: see above. The socket can then be
 * closed only. *failed is how many allocations of a port failed on the way.
 */
int source_addresses_connect(struct source_addresses *s, int fd,
    const struct addr *target, uint32_t *failed);

/* Logs a warning for each address that is not one of this machine now. */
void source_addresses_warn(const struct conf_load_balancer *lb);

#endif
