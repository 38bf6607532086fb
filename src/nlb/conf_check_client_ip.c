/*
 * preserve_client_ip.enabled: what it needs of the machine, and what it makes
 * void elsewhere in the file.
 */
#include "nlb/conf_internal.h"

#define KEY "preserve_client_ip.enabled"

static struct conf_span
value_of(struct conf_parser *p, size_t group)
{
	return conf_value_of(p, CONF_TARGET_GROUP, group, KEY);
}

/* A missing capability is final: every flow would fail. Routing is not ours,
 * may come later than we do, and can be done in ways that do not show in a
 * table (a program on the interface): it is worth a warning. */
static void
check_machine(struct conf_parser *p, size_t i, const struct conf_machine *m)
{
	const struct conf_target_group *g = &p->conf->target_groups[i];
	char family = g->ip_address_type == CONF_IPV6 ? '6' : '4';

	if (!m->transparent)
		conf_hint(
		    conf_error(p, value_of(p, i),
			KEY " = true needs the capability CAP_NET_RAW, which "
			    "nlbd does not have; give it (systemd: in "
			    "AmbientCapabilities and CapabilityBoundingSet) "
			    "and restart nlbd, or set this to false"),
		    "nlbd started as root with User keeps it only if a group "
		    "asks for it at the start");
	else if (!m->diverts[g->ip_address_type])
		conf_hint(conf_warning(p, value_of(p, i),
			      "answers to clients will not reach nlbd, and "
			      "flows to [target-group %s] will time out: no "
			      "routing rule leads to a route such as `local "
			      "default dev lo' for IPv%c; add them as in "
			      "nlbd.ini(5)",
			      g->name, family),
		    "health checks do not notice: they come from nlbd's own "
		    "address");
}

/* Once for all groups: the list stands in one line. */
static void
check_sources(struct conf_parser *p, size_t i)
{
	const struct conf_load_balancer *lb = &p->conf->lb;
	const struct conf_target_group *g = &p->conf->target_groups[i];
	uint8_t family =
	    g->ip_address_type == CONF_IPV6 ? ADDR_IPV6 : ADDR_IPV4;

	for (uint32_t j = 0; j < lb->n_source_addresses; j++) {
		if (lb->source_addresses[j].family != family)
			continue;
		conf_warning(p, value_of(p, i),
		    "flows to [target-group %s] come from their clients' "
		    "addresses: SourceAddresses counts for its health checks "
		    "alone",
		    g->name);
		return;
	}
}

void
conf_check_client_ip(struct conf_parser *p)
{
	struct conf_machine machine;
	bool asked = false;

	for (size_t i = 0; i < p->conf->n_target_groups; i++) {
		if (!p->conf->target_groups[i].preserve_client_ip)
			continue;
		check_sources(p, i);
		if (p->ask_machine == NULL)
			continue;
		if (!asked)
			p->ask_machine(&machine);
		asked = true;
		check_machine(p, i, &machine);
	}
}
