/*
 * Lines with a label: security group and network ACL rules, prefix list
 * entries, targets.
 */
#include "nlb/conf_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTION_MAX 255 /* AWS's limit */

/* Takes Protocol and PortRange, which every rule has. */
bool
conf_rule_ports(struct conf_parser *p, struct conf_span protocol,
    struct conf_span ports, struct conf_rule *rule)
{
	enum conf_value_error error;
	uint32_t from, to;

	if (!conf_span_is(protocol, "tcp")) {
		conf_error(p, protocol,
		    "`%.*s' is no protocol of a rule; "
		    "nlbd forwards TCP only, write tcp",
		    CONF_SPAN(protocol));
		return false;
	}
	error = conf_value_range(ports, 1, 65535, &from, &to);
	if (error != CONF_VALUE_OK) {
		conf_report_number(p, ports, error, "PortRange",
		    "a port or a range of ports from 1 to 65535, as in "
		    "587 or 587-588");
		return false;
	}
	rule->port_from = (uint16_t)from;
	rule->port_to = (uint16_t)to;
	return true;
}

bool
conf_rule_peer(
    struct conf_parser *p, struct conf_span peer, struct conf_rule *rule)
{
	static const char prefix[] = "prefix-list:";
	size_t prefix_len = sizeof(prefix) - 1;

	rule->prefix_list = CONF_NO_PREFIX_LIST;
	if (peer.len < prefix_len || memcmp(peer.text, prefix, prefix_len) != 0)
		return conf_parse_cidr(p, peer, &rule->cidr);
	peer = conf_span_sub(peer, prefix_len, peer.len - prefix_len);
	return conf_name_resolve(p, CONF_PREFIX_LIST, peer, &rule->prefix_list);
}

/* What the EC2 API takes in a description. */
static bool
is_aws_description(struct conf_span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.text[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9'))
			continue;
		if (strchr(" ._-:/()#,@[]+=&;{}!$*", c) == NULL)
			return false;
	}
	return true;
}

static bool
take_description(
    struct conf_parser *p, struct conf_span text, struct conf_rule *rule)
{
	char copy[DESCRIPTION_MAX + 1];

	if (text.text == NULL)
		return true;
	if (memchr(text.text, '\'', text.len) != NULL ||
	    memchr(text.text, '\\', text.len) != NULL) {
		conf_error(p, text,
		    "a description takes no single quote and "
		    "no backslash; leave them out");
		return false;
	}
	if (!conf_span_copy(text, copy, sizeof(copy))) {
		conf_error(p, text,
		    "a description of %zu characters; at most "
		    "%d are allowed",
		    text.len, DESCRIPTION_MAX);
		return false;
	}
	if (!is_aws_description(text))
		conf_aws(p, text,
		    "this description works here, but AWS takes "
		    "letters, digits, blanks and "
		    "._-:/()#,@[]+=&;{}!$* only");
	rule->description = strdup(copy);
	if (rule->description == NULL)
		p->no_memory = true;
	return true;
}

static bool
take_rule(struct conf_parser *p, bool outbound, struct conf_span value,
    struct conf_rule *rule)
{
	enum { PROTOCOL, PORTS, PEER, DESCRIPTION, N_FIELDS };
	const struct conf_field names[N_FIELDS] = {
	    [PROTOCOL] = {"Protocol", true},
	    [PORTS] = {"PortRange", true},
	    [PEER] = {outbound ? "Destination" : "Source", true},
	    [DESCRIPTION] = {"Description", false},
	};
	struct conf_span values[N_FIELDS];

	rule->outbound = outbound;
	rule->line = value.line;
	return conf_fields_parse(p, value, names, N_FIELDS, values) &&
	       conf_rule_ports(p, values[PROTOCOL], values[PORTS], rule) &&
	       conf_rule_peer(p, values[PEER], rule) &&
	       take_description(p, values[DESCRIPTION], rule);
}

static void
add_rule(struct conf_parser *p, struct conf_security_group *group,
    bool outbound, struct conf_span label, struct conf_span value)
{
	struct conf_rule rule = {0}, *grown;

	if (outbound)
		group->outbound_given = true;
	(void)conf_span_copy(label, rule.label, sizeof(rule.label));
	if (!take_rule(p, outbound, value, &rule))
		return;
	grown = conf_grow(p, group->rules, group->n_rules, sizeof(rule));
	if (grown == NULL) {
		free(rule.description);
		return;
	}
	group->rules = grown;
	group->rules[group->n_rules++] = rule;
}

static void
add_prefix(struct conf_parser *p, struct conf_prefix_list *list,
    struct conf_span label, struct conf_span value)
{
	struct conf_prefix_entry entry = {0}, *grown;

	(void)conf_span_copy(label, entry.label, sizeof(entry.label));
	if (!conf_parse_cidr(p, value, &entry.cidr))
		return;
	grown = conf_grow(p, list->entries, list->n_entries, sizeof(entry));
	if (grown == NULL)
		return;
	list->entries = grown;
	list->entries[list->n_entries++] = entry;
}

static bool
take_standby(
    struct conf_parser *p, struct conf_span value, struct conf_target *target)
{
	if (value.text == NULL || conf_span_is(value, "false"))
		return true;
	target->standby = conf_span_is(value, "true");
	if (!target->standby)
		conf_error(p, value,
		    "`%.*s' is no value of Standby; write true or false",
		    CONF_SPAN(value));
	return target->standby;
}

static bool
take_max_flows(
    struct conf_parser *p, struct conf_span value, struct conf_target *target)
{
	enum conf_value_error error;

	if (value.text == NULL)
		return true;
	target->max_flows = CONF_NO_LIMIT;
	if (conf_span_is(value, "off"))
		return true;
	error = conf_value_number(value, 1, 10000000, &target->max_flows);
	if (error != CONF_VALUE_OK)
		conf_report_number(
		    p, value, error, "MaxFlows", "off or 1 to 10000000");
	return error == CONF_VALUE_OK;
}

/* An address, or a name. */
static bool
take_id(
    struct conf_parser *p, struct conf_span value, struct conf_dns_target *out)
{
	char text[ADDR_IP_STRLEN];

	if (conf_span_copy(value, text, sizeof(text)) &&
	    addr_parse_ip(text, &out->target.addr) == 0)
		return true;
	if (!conf_value_is_host(value)) {
		conf_hint(
		    conf_error(p, value,
			"`%.*s' is neither an IP address nor a full DNS name",
			CONF_SPAN(value)),
		    "write IPv4 as four numbers without leading zeros, IPv6, "
		    "or a name such as mail.example.com; a port stands in "
		    "Port=");
		return false;
	}
	for (size_t i = 0; i < value.len; i++)
		out->host[i] = (char)tolower((unsigned char)value.text[i]);
	out->host[value.len] = '\0';
	return true;
}

bool
conf_target_parse(
    struct conf_parser *p, struct conf_span value, struct conf_dns_target *out)
{
	enum { ID, PORT, ZONE, STANDBY, MAX_FLOWS, N_FIELDS };
	static const struct conf_field names[N_FIELDS] = {
	    [ID] = {"Id", true},
	    [PORT] = {"Port", false},
	    [ZONE] = {"AvailabilityZone", false},
	    [STANDBY] = {"Standby", false},
	    [MAX_FLOWS] = {"MaxFlows", false},
	};
	struct conf_target *target = &out->target;
	struct conf_span values[N_FIELDS];
	enum conf_value_error error;
	uint32_t port = 0;

	if (!conf_fields_parse(p, value, names, N_FIELDS, values) ||
	    !take_id(p, values[ID], out))
		return false;
	if (values[PORT].text != NULL) {
		error = conf_value_number(values[PORT], 1, 65535, &port);
		if (error != CONF_VALUE_OK) {
			conf_report_number(
			    p, values[PORT], error, "Port", "1 to 65535");
			return false;
		}
	}
	target->addr.port = (uint16_t)port;
	if (!take_standby(p, values[STANDBY], target) ||
	    !take_max_flows(p, values[MAX_FLOWS], target))
		return false;
	if (values[ZONE].text == NULL)
		return true;
	if (!conf_value_is_name(values[ZONE], true)) {
		conf_error(p, values[ZONE],
		    "`%.*s' is no AvailabilityZone; "
		    "write the zone's name, or all",
		    CONF_SPAN(values[ZONE]));
		return false;
	}
	return conf_span_copy(values[ZONE], target->availability_zone,
	    sizeof(target->availability_zone));
}

static void
add_target(struct conf_parser *p, struct conf_target_group *group,
    struct conf_span label, struct conf_span value)
{
	struct conf_dns_target t = {.target.line = value.line};
	void *grown;

	(void)conf_span_copy(label, t.target.label, sizeof(t.target.label));
	if (!conf_target_parse(p, value, &t))
		return;
	if (t.host[0] != '\0')
		grown = conf_grow(
		    p, group->dns_targets, group->n_dns_targets, sizeof(t));
	else
		grown = conf_grow(
		    p, group->targets, group->n_targets, sizeof(t.target));
	if (grown == NULL)
		return;
	if (t.host[0] != '\0') {
		group->dns_targets = grown;
		group->dns_targets[group->n_dns_targets++] = t;
	} else {
		group->targets = grown;
		group->targets[group->n_targets++] = t.target;
	}
}

void
conf_line_set(struct conf_parser *p, const struct conf_attribute *a,
    const struct conf_section *section, const struct conf_entry *entry)
{
	size_t prefix_len = strlen(a->key);
	struct conf_span label =
	    conf_span_sub(entry->key, prefix_len, entry->key.len - prefix_len);
	void *base = conf_section_base(p->conf, section->kind, section->index);

	if (a->type == CONF_TYPE_ACL_RULE) {
		conf_acl_rule_add(
		    p, base, a->key[0] == 'O', label, entry->value);
		return;
	}
	if (!conf_value_is_name(label, false)) {
		conf_hint(conf_error(p, entry->key,
			      "`%.*s' needs a label of 1 "
			      "to %d characters of a-z, "
			      "0-9 and - behind the dot",
			      CONF_SPAN(entry->key), CONF_NAME_MAX),
		    "write for example %sa", a->key);
		return;
	}
	if (a->type == CONF_TYPE_PREFIX)
		add_prefix(p, base, label, entry->value);
	else if (a->type == CONF_TYPE_TARGET)
		add_target(p, base, label, entry->value);
	else
		add_rule(p, base, a->type == CONF_TYPE_OUTBOUND_RULE, label,
		    entry->value);
}

static size_t
count_expanded(const struct conf *conf, const struct conf_security_group *group,
    bool outbound)
{
	size_t n = 0;

	for (size_t i = 0; i < group->n_rules; i++) {
		const struct conf_rule *rule = &group->rules[i];

		if (rule->outbound != outbound)
			continue;
		n += rule->prefix_list == CONF_NO_PREFIX_LIST
			 ? 1
			 : conf->prefix_lists[rule->prefix_list].n_entries;
	}
	return n;
}

static struct sg_rule *
expand(struct conf_parser *p, const struct conf_security_group *group,
    bool outbound, size_t n)
{
	struct sg_rule *list = calloc(n + 1, sizeof(list[0])), *next = list;

	if (list == NULL) {
		p->no_memory = true;
		return NULL;
	}
	for (size_t i = 0; i < group->n_rules; i++) {
		const struct conf_rule *rule = &group->rules[i];
		const struct conf_prefix_list *prefixes;
		struct sg_rule ports = {.cidr = rule->cidr,
		    .port_from = rule->port_from,
		    .port_to = rule->port_to};

		if (rule->outbound != outbound)
			continue;
		if (rule->prefix_list == CONF_NO_PREFIX_LIST) {
			*next++ = ports;
			continue;
		}
		prefixes = &p->conf->prefix_lists[rule->prefix_list];
		for (size_t j = 0; j < prefixes->n_entries; j++) {
			*next = ports;
			next++->cidr = prefixes->entries[j].cidr;
		}
	}
	sg_rules_sort(list, n);
	return list;
}

static void
resolve_rules(struct conf_parser *p)
{
	struct conf_span whole = {0};
	size_t total = 0;

	for (size_t i = 0; i < p->conf->n_security_groups; i++) {
		struct conf_security_group *group =
		    &p->conf->security_groups[i];
		size_t in = count_expanded(p->conf, group, false);
		size_t out = count_expanded(p->conf, group, true);

		total += in + out;
		if (total > CONF_RULES_MAX) {
			conf_error(p, whole,
			    "more than %d rules with all "
			    "prefix lists expanded; use "
			    "wider CIDR blocks",
			    CONF_RULES_MAX);
			return;
		}
		group->inbound = expand(p, group, false, in);
		group->n_inbound = group->inbound == NULL ? 0 : in;
		group->outbound = expand(p, group, true, out);
		group->n_outbound = group->outbound == NULL ? 0 : out;
	}
}

void
conf_lines_resolve(struct conf_parser *p)
{
	for (size_t i = 0; i < p->conf->n_target_groups; i++) {
		struct conf_target_group *group = &p->conf->target_groups[i];

		for (size_t j = 0; j < group->n_targets; j++) {
			if (group->targets[j].addr.port == 0)
				group->targets[j].addr.port = group->port;
		}
		for (size_t j = 0; j < group->n_dns_targets; j++) {
			struct addr *a = &group->dns_targets[j].target.addr;

			if (a->port == 0)
				a->port = group->port;
		}
	}
	resolve_rules(p);
	conf_acls_resolve(p);
}
