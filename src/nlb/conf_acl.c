/*
 * Network ACLs in the configuration: their rules, the listeners that name
 * them, and what a listener lets in and out when security groups and network
 * ACL are asked together.
 */
#include "nlb/conf_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
conf_acl_rule_add(struct conf_parser *p, struct conf_network_acl *acl,
    bool outbound, struct conf_span number, struct conf_span value)
{
	enum { PROTOCOL, PORTS, PEER, ACTION, N_FIELDS };
	const struct conf_field names[N_FIELDS] = {
	    [PROTOCOL] = {"Protocol", true},
	    [PORTS] = {"PortRange", true},
	    [PEER] = {outbound ? "Destination" : "Source", true},
	    [ACTION] = {"RuleAction", true},
	};
	struct conf_span values[N_FIELDS];
	struct conf_acl_rule rule = {
	    .rule = {.outbound = outbound, .line = value.line}};
	struct conf_acl_rule *grown;
	enum conf_value_error error;
	uint32_t n = 0;

	error = conf_value_number(number, 1, ACL_RULE_NUMBER_MAX, &n);
	if (error != CONF_VALUE_OK)
		conf_report_number(
		    p, number, error, "rule number", "1 to 32766");
	if (!conf_fields_parse(p, value, names, N_FIELDS, values) ||
	    !conf_rule_ports(p, values[PROTOCOL], values[PORTS], &rule.rule) ||
	    !conf_rule_peer(p, values[PEER], &rule.rule))
		return;
	rule.allow = conf_span_is(values[ACTION], "allow");
	if (!rule.allow && !conf_span_is(values[ACTION], "deny")) {
		conf_error(p, values[ACTION],
		    "`%.*s' is no RuleAction; write "
		    "allow or deny",
		    CONF_SPAN(values[ACTION]));
		return;
	}
	if (error != CONF_VALUE_OK)
		return;
	rule.number = (uint16_t)n;
	grown = conf_grow(p, acl->rules, acl->n_rules, sizeof(rule));
	if (grown == NULL)
		return;
	acl->rules = grown;
	acl->rules[acl->n_rules++] = rule;
}

static size_t
blocks_of(const struct conf *conf, const struct conf_acl_rule *r)
{
	return r->rule.prefix_list == CONF_NO_PREFIX_LIST
		   ? 1
		   : conf->prefix_lists[r->rule.prefix_list].n_entries;
}

static size_t
count_expanded(
    const struct conf *conf, const struct conf_network_acl *acl, bool outbound)
{
	size_t n = 0;

	for (size_t i = 0; i < acl->n_rules; i++)
		if (acl->rules[i].rule.outbound == outbound)
			n += blocks_of(conf, &acl->rules[i]);
	return n;
}

/* The rules of one direction with their prefix lists as blocks, in the order
 * of evaluation. */
static struct acl_rule *
expand(struct conf_parser *p, const struct conf_network_acl *acl, bool outbound,
    size_t n)
{
	struct acl_rule *list = calloc(n + 1, sizeof(list[0])), *next = list;

	if (list == NULL) {
		p->no_memory = true;
		return NULL;
	}
	for (size_t i = 0; i < acl->n_rules; i++) {
		const struct conf_acl_rule *r = &acl->rules[i];
		uint32_t prefixes = r->rule.prefix_list;

		if (r->rule.outbound != outbound)
			continue;
		for (size_t j = 0; j < blocks_of(p->conf, r); j++, next++) {
			next->number = r->number;
			next->allow = r->allow;
			next->port_from = r->rule.port_from;
			next->port_to = r->rule.port_to;
			next->cidr = prefixes == CONF_NO_PREFIX_LIST
					 ? r->rule.cidr
					 : p->conf->prefix_lists[prefixes]
					       .entries[j]
					       .cidr;
		}
	}
	acl_rules_sort(list, n);
	return list;
}

static void
resolve_listener(struct conf_parser *p, size_t i)
{
	struct conf_listener *l = &p->conf->listeners[i];

	l->network_acl_index = CONF_NO_NETWORK_ACL;
	if (l->network_acl[0] != '\0')
		(void)conf_name_resolve(p, CONF_NETWORK_ACL,
		    conf_value_of(p, CONF_LISTENER, i, "NetworkAcl"),
		    &l->network_acl_index);
}

void
conf_acls_resolve(struct conf_parser *p)
{
	struct conf_span whole = {0};
	size_t total = 0;

	for (size_t i = 0; i < p->conf->n_listeners; i++)
		resolve_listener(p, i);
	for (size_t i = 0; i < p->conf->n_network_acls; i++) {
		struct conf_network_acl *acl = &p->conf->network_acls[i];
		size_t in = count_expanded(p->conf, acl, false);
		size_t out = count_expanded(p->conf, acl, true);

		total += in + out;
		if (total > CONF_RULES_MAX) {
			conf_error(p, whole,
			    "more than %d network ACL rules with all prefix "
			    "lists expanded; use wider CIDR blocks",
			    CONF_RULES_MAX);
			return;
		}
		acl->inbound = expand(p, acl, false, in);
		acl->n_inbound = acl->inbound == NULL ? 0 : in;
		acl->outbound = expand(p, acl, true, out);
		acl->n_outbound = acl->outbound == NULL ? 0 : out;
	}
}

/* A direction without an allow rule stops everything: right in AWS, and a
 * mistake wherever a listener is to carry flows. */
static void
check_direction(struct conf_parser *p, size_t i, const struct acl_rule *rules,
    size_t n, const char *direction, const char *consequence)
{
	for (size_t j = 0; j < n; j++)
		if (rules[j].allow)
			return;
	conf_warning(p, conf_value_of(p, CONF_NETWORK_ACL, i, ""),
	    "no %s rule of [network-acl %s] allows anything, and what no rule "
	    "allows is denied: %s; add a rule with RuleAction=allow",
	    direction, p->conf->network_acls[i].name, consequence);
}

void
conf_acls_check(struct conf_parser *p)
{
	for (size_t i = 0; i < p->conf->n_network_acls; i++) {
		const struct conf_network_acl *acl = &p->conf->network_acls[i];
		bool used = false;

		for (size_t j = 0; j < p->conf->n_listeners; j++)
			used = used ||
			       p->conf->listeners[j].network_acl_index == i;
		if (!used) {
			conf_warning(p,
			    conf_value_of(p, CONF_NETWORK_ACL, i, ""),
			    "no listener uses [network-acl %s]; name it in "
			    "NetworkAcl or leave it out",
			    acl->name);
			continue;
		}
		check_direction(p, i, acl->inbound, acl->n_inbound, "inbound",
		    "nobody can connect");
		check_direction(p, i, acl->outbound, acl->n_outbound,
		    "outbound", "no target and no health check is reached");
	}
}

/* ---- what a listener lets in and out ------------------------------------- */

static const struct conf_network_acl *
acl_of(const struct conf *conf, const struct conf_listener *listener)
{
	return listener->network_acl[0] == '\0'
		   ? NULL
		   : &conf->network_acls[listener->network_acl_index];
}

bool
conf_listener_is_open(const struct conf_listener *listener)
{
	return listener->security_groups_none &&
	       listener->network_acl[0] == '\0';
}

int
conf_listener_acl_inbound(const struct conf *conf,
    const struct conf_listener *listener, struct sg_set *out)
{
	const struct conf_network_acl *acl = acl_of(conf, listener);

	if (acl == NULL)
		return sg_set_build_all(out);
	return acl_set_build(acl->inbound, acl->n_inbound, listener->port, out);
}

static int
groups_inbound(const struct conf *conf, const struct conf_listener *listener,
    struct sg_set *out)
{
	struct sg_rule_list lists[CONF_LISTENER_GROUPS_MAX];

	if (listener->security_groups_none)
		return sg_set_build_all(out);
	for (uint32_t i = 0; i < listener->n_security_groups; i++) {
		const struct conf_security_group *group =
		    &conf->security_groups[listener->security_groups[i]];

		lists[i] = (struct sg_rule_list){
		    .rules = group->inbound, .n = group->n_inbound};
	}
	return sg_set_build_union(
	    lists, listener->n_security_groups, listener->port, out);
}

int
conf_listener_inbound(const struct conf *conf,
    const struct conf_listener *listener, struct sg_set *out)
{
	struct sg_set groups = {0}, acl = {0};
	int rc;

	if (acl_of(conf, listener) == NULL)
		return groups_inbound(conf, listener, out);
	rc = groups_inbound(conf, listener, &groups);
	if (rc == 0)
		rc = conf_listener_acl_inbound(conf, listener, &acl);
	if (rc == 0)
		rc = sg_set_intersect(&groups, &acl, out);
	sg_set_fini(&groups);
	sg_set_fini(&acl);
	return rc;
}

static bool
groups_allow_outbound(const struct conf *conf,
    const struct conf_listener *listener, const struct addr *a)
{
	if (listener->n_security_groups == 0)
		return true;
	for (uint32_t i = 0; i < listener->n_security_groups; i++) {
		const struct conf_security_group *group =
		    &conf->security_groups[listener->security_groups[i]];

		if (!group->outbound_given ||
		    sg_rules_allow(
			group->outbound, group->n_outbound, a, a->port))
			return true;
	}
	return false;
}

enum conf_outbound
conf_outbound_verdict(const struct conf *conf,
    const struct conf_listener *listener, const struct addr *a)
{
	const struct conf_network_acl *acl = acl_of(conf, listener);

	if (!groups_allow_outbound(conf, listener, a))
		return CONF_OUTBOUND_SECURITY_GROUP;
	if (acl != NULL &&
	    !acl_rules_allow(acl->outbound, acl->n_outbound, a, a->port))
		return CONF_OUTBOUND_NETWORK_ACL;
	return CONF_OUTBOUND_ALLOWED;
}
