/* Security group rules written as text, for tests. */
#ifndef TESTS_RULES_H
#define TESTS_RULES_H

#include "support/expect.h"

#include "nlb/security_group.h"

static inline struct addr
ip(const char *text)
{
	struct addr a;

	if (addr_parse_ip(text, &a) != 0)
		fail_msg("cannot parse %s", text);
	return a;
}

static inline struct sg_rule
rule_ports(const char *cidr, uint16_t from, uint16_t to)
{
	struct sg_rule r = {.port_from = from, .port_to = to};

	if (cidr_parse(cidr, &r.cidr, NULL) != 0)
		fail_msg("cannot parse %s", cidr);
	return r;
}

/* All ports. */
static inline struct sg_rule
rule(const char *cidr)
{
	return rule_ports(cidr, 0, UINT16_MAX);
}

#endif
