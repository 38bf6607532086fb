/*
 * Network ACLs: numbered rules that allow or deny, the lowest number first,
 * the first match wins, and nothing matches in the end means deny. AWS
 * evaluates them per packet and so needs rules for the answers too; here they
 * are asked once, for each new flow, and answers need no rules.
 */
#ifndef NLB_NETWORK_ACL_H
#define NLB_NETWORK_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "nlb/security_group.h"

#define ACL_RULE_NUMBER_MAX                              \
	32766 /* AWS's; the one after it is the `*' rule \
	       */

struct acl_rule {
	struct cidr cidr; /* source of an inbound, destination of an outbound */
	uint16_t number;  /* 1 to ACL_RULE_NUMBER_MAX; several may share one */
	uint16_t port_from, port_to; /* inclusive */
	bool allow;
};

/* Brings rules into the order of evaluation. Equal numbers come from the blocks
 * of one rule, so the order among them decides nothing. */
void acl_rules_sort(struct acl_rule *rules, size_t n);

/* Straight evaluation of sorted rules: O(n). The reference for the set. */
bool acl_rules_allow(const struct acl_rule *rules, size_t n,
    const struct addr *a, uint16_t port);

/* The addresses that sorted rules allow at port, as a security group's set:
 * O(n log n). 0 or -ENOMEM with *out untouched. Free with sg_set_fini. */
int acl_set_build(
    const struct acl_rule *rules, size_t n, uint16_t port, struct sg_set *out);

#endif
