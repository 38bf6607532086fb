/*
 * Weighted target groups: which of a listener's groups gets a flow. Pure and
 * deterministic, like routing.h: any node with the same config chooses the
 * same group for the same flow. A changed weight moves new flows only, because
 * the choice is made once in a flow's life.
 */
#ifndef NLB_FORWARD_H
#define NLB_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#define FORWARD_WEIGHT_MAX 999 /* the NLB's */
#define FORWARD_GROUPS_MAX 5   /* bits of excluded that mean something */
#define FORWARD_NONE (-1)

/*
 * Returns the index of the chosen group, each with the probability weight /
 * sum of weights, or FORWARD_NONE when no weight is left. excluded: bit i set
 * = group i was tried already. hash decides, all of its bits alike; one that
 * also picks the target inside the group would tie the two choices together,
 * so it is mixed first.
 */
int forward_pick(
    const uint32_t *weights, size_t n, uint32_t excluded, uint64_t hash);

#endif
