/*
 * Security groups: allow rules only, their union, evaluated per new flow
 * (nlb-behaviour 3.1). The user-space evaluation here is the reference; the
 * SYN filter (syn_filter.h) is the same decision compiled for the kernel.
 */
#ifndef NLB_SECURITY_GROUP_H
#define NLB_SECURITY_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct sg_rule {
	struct cidr cidr; /* source of an inbound, destination of an outbound */
	uint16_t port_from, port_to; /* inclusive */
};

/* By address, then by the rest: their order decides nothing. */
void sg_rules_sort(struct sg_rule *rules, size_t n);

/* A sorted, merged set of address ranges per family: what some rules allow at
 * one port. Lookup is a binary search. */
struct sg_range {
	uint8_t from[16], to[16]; /* inclusive, network order */
};
struct sg_set {
	struct sg_range *v4, *v6; /* owned */
	size_t n_v4, n_v6;
};

/*
 * Collects the rules that cover port into *out. rules may be NULL with n == 0
 * (nothing allowed). 0 or -ENOMEM with *out untouched. Free with sg_set_fini.
 */
int sg_set_build(
    const struct sg_rule *rules, size_t n, uint16_t port, struct sg_set *out);
/* The same over several rule lists (a listener with several groups). */
struct sg_rule_list {
	const struct sg_rule *rules;
	size_t n;
};
int sg_set_build_union(const struct sg_rule_list *lists, size_t n_lists,
    uint16_t port, struct sg_set *out);
void sg_set_fini(struct sg_set *set);

/* Every address of both families. 0 or -ENOMEM with *out untouched. */
int sg_set_build_all(struct sg_set *out);
/* What both sets allow. 0 or -ENOMEM with *out untouched. */
int sg_set_intersect(
    const struct sg_set *a, const struct sg_set *b, struct sg_set *out);

/* The first and the last address of a block. */
void sg_range_from_cidr(const struct cidr *c, struct sg_range *out);
/* The address after ip, which has width bytes; false when ip is the last. */
bool sg_address_after(const uint8_t *ip, size_t width, uint8_t *out);

bool sg_set_allows(const struct sg_set *set, const struct addr *a);

/* Straight evaluation of a rule list, for outbound checks: O(n). */
bool sg_rules_allow(
    const struct sg_rule *rules, size_t n, const struct addr *a, uint16_t port);

#endif
