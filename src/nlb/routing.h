/*
 * Which target gets a flow. Pure and deterministic: any node with the same
 * config picks the same target for the same flow.
 *
 * A Maglev table is built over the registered targets, once per config. A
 * pick that lands on a target that may not be used now is re-hashed in the
 * same table, so that a lost target's share alone moves, and comes back alone.
 * Nothing is rebuilt when health changes: a new state counts from the next
 * pick on.
 */
#ifndef NLB_ROUTING_H
#define NLB_ROUTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/hash.h"

struct routing_table; /* immutable after routing_create; counted */

#define ROUTING_TARGETS_MAX 4096
#define ROUTING_NONE (-1)

/* May target i (index into the addresses given to routing_create) get a new
 * flow now? */
typedef bool (*routing_usable)(void *arg, uint32_t index);

/*
 * Builds the table over n target addresses (address and port are a target's
 * identity; their order does not matter to the picks). n == 0 is allowed.
 * name seeds the hash (the target group's name). Returns 0 or -ENOMEM,
 * -EINVAL (n too large). Give it back with routing_unref.
 */
int routing_create(const struct addr *targets, size_t n, const char *name,
    struct routing_table **out);
struct routing_table *routing_ref(struct routing_table *t);
void routing_unref(struct routing_table *t);

/* Hash of protocol (TCP), both addresses and ports, and salt, which stands in
 * for the TCP sequence number. */
uint64_t routing_flow_hash(const struct routing_table *t,
    const struct addr *src, const struct addr *dst, uint64_t salt);
/* Hash of the source address alone: stickiness.type = source_ip. */
uint64_t routing_source_hash(
    const struct routing_table *t, const struct addr *src);

/*
 * Returns the index of the chosen usable target, or ROUTING_NONE when none is
 * usable. O(1) while most targets are usable, O(n) at worst.
 */
int routing_pick(const struct routing_table *t, uint64_t hash,
    routing_usable usable, void *arg);

#endif
