/*
 * The whole conf as an INI file: every key, defaults included. What it prints
 * parses back to the same conf.
 */
#include "nlb/conf_internal.h"

#include <errno.h>
#include <string.h>
#include <bsd/string.h>

#define WIDTH_MAX 36 /* longer keys stick out rather than widen all lines */

struct printer {
	const struct conf *conf;
	FILE *out;
	int width; /* of the section's longest key */
};

/* Values with ; or # need quotes; a single quote is in none of them. */
static void
print_entry(const struct printer *pr, const char *key, const char *label,
    const char *value)
{
	const char *quote = strpbrk(value, ";#") == NULL ? "" : "'";
	int used = fprintf(pr->out, "%s%s", key, label);

	fprintf(pr->out, "%*s = %s%s%s\n",
	    used < pr->width ? pr->width - used : 0, "", quote, value, quote);
}

static void
start_section(struct printer *pr, enum conf_section_kind kind, const char *name)
{
	const char *blank = name[0] == '\0' ? "" : " ";

	if (kind != CONF_LOAD_BALANCER)
		fputc('\n', pr->out);
	fprintf(
	    pr->out, "[%s%s%s]\n", conf_section_kind_name(kind), blank, name);
	pr->width = 0;
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);
		int len = (int)strlen(a->key);

		if (a->section == kind && len > pr->width && len <= WIDTH_MAX)
			pr->width = len;
	}
}

static void
print_section(struct printer *pr, enum conf_section_kind kind, const char *name,
    const void *base)
{
	char text[CONF_TEXT_MAX];

	start_section(pr, kind, name);
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);

		if (a->section != kind || (a->flags & CONF_PATTERN) != 0)
			continue;
		conf_type_format(pr->conf, a, base, text, sizeof(text));
		print_entry(pr, a->key, "", text);
	}
}

/* The fields of a rule, the description among them. */
static void
format_rule(const struct printer *pr, const struct conf_rule *rule, char *value,
    size_t value_size)
{
	char peer[CIDR_STRLEN], ports[16];
	const char *description =
	    rule->description == NULL ? "" : rule->description;
	const char *quote;
	size_t len = strlen(description);

	if (rule->port_from == rule->port_to)
		snprintf(ports, sizeof(ports), "%u", rule->port_from);
	else
		snprintf(ports, sizeof(ports), "%u-%u", rule->port_from,
		    rule->port_to);
	if (rule->prefix_list == CONF_NO_PREFIX_LIST)
		cidr_format(&rule->cidr, peer, sizeof(peer));
	else
		snprintf(peer, sizeof(peer), "prefix-list:%s",
		    pr->conf->prefix_lists[rule->prefix_list].name);
	quote = strchr(description, ',') != NULL ||
			(len > 0 &&
			    (strchr(" \t", description[0]) != NULL ||
				strchr(" \t", description[len - 1]) != NULL))
		    ? "\""
		    : "";
	snprintf(value, value_size, "Protocol=tcp,PortRange=%s,%s=%s%s%s%s%s",
	    ports, rule->outbound ? "Destination" : "Source", peer,
	    len == 0 ? "" : ",Description=", quote, description, quote);
}

static void
print_rule(const struct printer *pr, const struct conf_rule *rule)
{
	char value[1024];

	format_rule(pr, rule, value, sizeof(value));
	print_entry(
	    pr, rule->outbound ? "Outbound." : "Inbound.", rule->label, value);
}

const char *
conf_target_format(
    const struct conf_target *t, const char *host, char *buf, size_t size)
{
	char ip[ADDR_IP_STRLEN], max_flows[24] = "";

	if (t->max_flows == CONF_NO_LIMIT)
		strlcpy(max_flows, ",MaxFlows=off", sizeof(max_flows));
	else if (t->max_flows != 0)
		snprintf(
		    max_flows, sizeof(max_flows), ",MaxFlows=%u", t->max_flows);
	snprintf(buf, size, "Id=%s,Port=%u%s%s%s%s",
	    host[0] != '\0' ? host : addr_format_ip(&t->addr, ip, sizeof(ip)),
	    t->addr.port,
	    t->availability_zone[0] == '\0' ? "" : ",AvailabilityZone=",
	    t->availability_zone, t->standby ? ",Standby=true" : "", max_flows);
	return buf;
}

static void
print_target(
    const struct printer *pr, const struct conf_target *t, const char *host)
{
	char value[CONF_TARGET_TEXT_MAX];

	print_entry(pr, "Target.", t->label,
	    conf_target_format(t, host, value, sizeof(value)));
}

static void
print_network_acl(struct printer *pr, const struct conf_network_acl *acl)
{
	start_section(pr, CONF_NETWORK_ACL, acl->name);
	for (size_t i = 0; i < acl->n_rules; i++) {
		const struct conf_acl_rule *r = &acl->rules[i];
		char value[1024], label[8];

		snprintf(label, sizeof(label), "%u", r->number);
		format_rule(pr, &r->rule, value, sizeof(value));
		strlcat(value,
		    r->allow ? ",RuleAction=allow" : ",RuleAction=deny",
		    sizeof(value));
		print_entry(pr, r->rule.outbound ? "Outbound." : "Inbound.",
		    label, value);
	}
}

static void
print_prefix_list(struct printer *pr, const struct conf_prefix_list *list)
{
	char text[CIDR_STRLEN];

	start_section(pr, CONF_PREFIX_LIST, list->name);
	for (size_t i = 0; i < list->n_entries; i++)
		print_entry(pr, "Entry.", list->entries[i].label,
		    cidr_format(&list->entries[i].cidr, text, sizeof(text)));
}

int
conf_print(const struct conf *conf, FILE *out)
{
	struct printer pr = {.conf = conf, .out = out};

	print_section(&pr, CONF_LOAD_BALANCER, "", &conf->lb);
	for (size_t i = 0; i < conf->n_listeners; i++)
		print_section(&pr, CONF_LISTENER, conf->listeners[i].name,
		    &conf->listeners[i]);
	for (size_t i = 0; i < conf->n_security_groups; i++) {
		const struct conf_security_group *g = &conf->security_groups[i];

		start_section(&pr, CONF_SECURITY_GROUP, g->name);
		for (size_t j = 0; j < g->n_rules; j++)
			print_rule(&pr, &g->rules[j]);
	}
	for (size_t i = 0; i < conf->n_network_acls; i++)
		print_network_acl(&pr, &conf->network_acls[i]);
	for (size_t i = 0; i < conf->n_prefix_lists; i++)
		print_prefix_list(&pr, &conf->prefix_lists[i]);
	for (size_t i = 0; i < conf->n_target_groups; i++) {
		const struct conf_target_group *g = &conf->target_groups[i];

		print_section(&pr, CONF_TARGET_GROUP, g->name, g);
		for (size_t j = 0; j < conf_written_targets(g); j++)
			print_target(&pr, &g->targets[j], "");
		for (size_t j = 0; j < g->n_dns_targets; j++)
			print_target(&pr, &g->dns_targets[j].target,
			    g->dns_targets[j].host);
	}
	print_section(&pr, CONF_NODE, "", &conf->node);
	for (size_t i = 0; i < conf->n_notify; i++)
		print_section(
		    &pr, CONF_NOTIFY, conf->notify[i].name, &conf->notify[i]);
	if (fflush(out) != 0 || ferror(out) != 0)
		return -EIO;
	return 0;
}
