/*
 * What no single line can tell: listeners against each other, names that
 * nobody uses, attributes that contradict each other, quotas of AWS.
 */
#include "nlb/conf_internal.h"

#include <stdio.h>
#include <string.h>

#include "nlb/zone_health.h"

#define AWS_RULES_MAX 60 /* per group, direction and address family */
#define AWS_GROUP_TARGETS_MAX 1000

struct conf_span
conf_value_at_line(struct conf_parser *p, unsigned line)
{
	struct conf_span none = {0};
	size_t low = 0, high = p->scan.n_entries;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->scan.entries[middle].key.line < line)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < p->scan.n_entries && p->scan.entries[low].key.line == line)
		return p->scan.entries[low].value;
	return none;
}

struct conf_span
conf_value_of(struct conf_parser *p, enum conf_section_kind kind, size_t i,
    const char *key)
{
	const struct conf_section_list *same = &p->scan.of_kind[kind];
	struct conf_span none = {0};

	if (i >= same->n)
		return none;
	for (size_t j = 0; j < same->list[i]->n; j++) {
		const struct conf_entry *e =
		    &p->scan.entries[same->list[i]->first + j];

		if (conf_span_is(e->key, key))
			return e->value;
	}
	return same->list[i]->header;
}

/* Does the listener take every local address of the family? */
static bool
is_wildcard(const struct conf *conf, const struct conf_listener *listener,
    uint8_t family)
{
	if (listener->address.family != ADDR_NONE)
		return listener->address.family == family &&
		       addr_is_unspecified(&listener->address);
	return family == ADDR_IPV4 ||
	       conf->lb.ip_address_type == CONF_DUALSTACK;
}

bool
conf_listener_covers(const struct conf *conf,
    const struct conf_listener *listener, const struct addr *a)
{
	if (listener->port == 0 || listener->port != a->port)
		return false;
	if (addr_ip_equal(&listener->address, a))
		return true;
	return is_wildcard(conf, listener, a->family) && addr_is_loopback(a);
}

static bool
collide(const struct conf *conf, const struct conf_listener *a,
    const struct conf_listener *b)
{
	if (a->port == 0 || a->port != b->port)
		return false;
	if (a->address.family != ADDR_NONE &&
	    addr_ip_equal(&a->address, &b->address))
		return true;
	return (is_wildcard(conf, a, ADDR_IPV4) &&
		   is_wildcard(conf, b, ADDR_IPV4)) ||
	       (is_wildcard(conf, a, ADDR_IPV6) &&
		   is_wildcard(conf, b, ADDR_IPV6));
}

static void
check_listener_places(struct conf_parser *p)
{
	const struct conf *conf = p->conf;

	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (l->address.family == ADDR_IPV6 &&
		    conf->lb.ip_address_type == CONF_IPV4)
			conf_error(p,
			    conf_value_of(p, CONF_LISTENER, i, "Address"),
			    "an IPv6 address in an ipv4 load balancer; set "
			    "IpAddressType = dualstack in [load-balancer]");
		for (size_t j = 0; j < i; j++) {
			if (!collide(conf, &conf->listeners[j], l))
				continue;
			conf_error(p,
			    conf_value_of(p, CONF_LISTENER, i, "Port"),
			    "port %u is the one of [listener %s] too, at the "
			    "same address; change Port or Address of one",
			    l->port, conf->listeners[j].name);
			break;
		}
	}
}

static bool
admits_somebody(const struct conf *conf, const struct conf_listener *listener)
{
	for (uint32_t i = 0; i < listener->n_security_groups; i++) {
		const struct conf_security_group *group =
		    &conf->security_groups[listener->security_groups[i]];

		for (size_t j = 0; j < group->n_inbound; j++) {
			if (group->inbound[j].port_from <= listener->port &&
			    listener->port <= group->inbound[j].port_to)
				return true;
		}
	}
	return false;
}

static void
check_security_groups(struct conf_parser *p)
{
	const struct conf *conf = p->conf;
	bool used[CONF_SECTIONS_MAX] = {false};

	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		for (uint32_t j = 0; j < l->n_security_groups; j++)
			used[l->security_groups[j]] = true;
		if (l->n_security_groups != 0 && !admits_somebody(conf, l))
			conf_warning(p,
			    conf_value_of(
				p, CONF_LISTENER, i, "SecurityGroups"),
			    "no inbound rule of these groups covers port %u: "
			    "nobody can connect; add an Inbound rule",
			    l->port);
	}
	for (size_t i = 0; i < conf->n_security_groups; i++) {
		if (!used[i])
			conf_warning(p,
			    conf_value_of(p, CONF_SECURITY_GROUP, i, ""),
			    "no listener uses [security-group %s]; name it in "
			    "SecurityGroups or leave it out",
			    conf->security_groups[i].name);
	}
}

static void
check_rule_quota(struct conf_parser *p, size_t group,
    const struct sg_rule *rules, size_t n, const char *direction)
{
	size_t v6 = 0, most;

	for (size_t i = 0; i < n; i++)
		v6 += rules[i].cidr.base.family == ADDR_IPV6;
	most = v6 > n - v6 ? v6 : n - v6;
	if (most <= AWS_RULES_MAX)
		return;
	conf_aws(p, conf_value_of(p, CONF_SECURITY_GROUP, group, ""),
	    "%zu %s rules of one address family work here, but an AWS "
	    "security group takes %d by default; merge CIDR blocks or spread "
	    "them over groups",
	    most, direction, AWS_RULES_MAX);
}

static void
check_quotas(struct conf_parser *p)
{
	for (size_t i = 0; i < p->conf->n_security_groups; i++) {
		const struct conf_security_group *g =
		    &p->conf->security_groups[i];

		check_rule_quota(p, i, g->inbound, g->n_inbound, "inbound");
		check_rule_quota(p, i, g->outbound, g->n_outbound, "outbound");
	}
	for (size_t i = 0; i < p->conf->n_target_groups; i++) {
		size_t n = p->conf->target_groups[i].n_targets;

		if (n > AWS_GROUP_TARGETS_MAX)
			conf_aws(p, conf_value_of(p, CONF_TARGET_GROUP, i, ""),
			    "%zu targets work here, but an NLB takes %d in one "
			    "group; spread them over groups",
			    n, AWS_GROUP_TARGETS_MAX);
	}
}

static void
check_use_of_groups(struct conf_parser *p)
{
	const struct conf *conf = p->conf;
	bool used[CONF_SECTIONS_MAX] = {false};

	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		for (uint32_t j = 0; j < l->n_forwards; j++)
			used[l->forwards[j].group] = true;
	}
	for (size_t i = 0; i < conf->n_target_groups; i++) {
		if (!used[i])
			conf_warning(p,
			    conf_value_of(p, CONF_TARGET_GROUP, i, ""),
			    "no listener forwards to [target-group %s]: its "
			    "targets stay `unused'; name it in DefaultActions",
			    conf->target_groups[i].name);
	}
}

/* Attributes of one group that contradict each other. */
static void
check_group(struct conf_parser *p, size_t i)
{
	static const char draining[] =
	    "target_health_state.unhealthy.draining_interval_seconds";
	const struct conf_target_group *g = &p->conf->target_groups[i];
	char a[24], b[24];

	conf_check_health(p, i);
	if (g->connect_timeout_ms > g->connect_total_ms)
		conf_warning(p,
		    conf_value_of(
			p, CONF_TARGET_GROUP, i, "ConnectTimeoutSeconds"),
		    "ConnectTimeoutSeconds = %s is longer than "
		    "ConnectTotalSeconds = %s, which leaves no time for "
		    "another target; choose a shorter timeout",
		    conf_value_format_ms(g->connect_timeout_ms, a, sizeof(a)),
		    conf_value_format_ms(g->connect_total_ms, b, sizeof(b)));
	if (g->unhealthy_termination && g->unhealthy_draining_interval_s != 0)
		conf_error(p, conf_value_of(p, CONF_TARGET_GROUP, i, draining),
		    "flows cannot drain when they are reset at once; set "
		    "target_health_state.unhealthy.connection_termination."
		    "enabled = false, or this to 0");
	if (g->ip_address_type == CONF_IPV6 &&
	    p->conf->lb.ip_address_type == CONF_IPV4)
		conf_aws(p,
		    conf_value_of(p, CONF_TARGET_GROUP, i, "IpAddressType"),
		    "an ipv6 group behind an ipv4 load balancer works here, "
		    "but an NLB wants IpAddressType = dualstack in "
		    "[load-balancer]");
	if (g->n_targets + g->n_dns_targets == 0 && p->sound)
		conf_warning(p, conf_value_of(p, CONF_TARGET_GROUP, i, ""),
		    "[target-group %s] has no targets: its flows are refused; "
		    "add a line such as `Target.mail-1 = Id=10.20.0.25'",
		    g->name);
}

static void
check_thresholds(struct conf_parser *p, size_t i, const char *unit,
    uint32_t dns, uint32_t routing)
{
	char key[96];

	if (zone_thresholds_agree(dns, routing))
		return;
	snprintf(key, sizeof(key),
	    "target_group_health.unhealthy_state_routing."
	    "minimum_healthy_targets.%s",
	    unit);
	conf_aws(p, conf_value_of(p, CONF_TARGET_GROUP, i, key),
	    "%s = %u above target_group_health.dns_failover."
	    "minimum_healthy_targets.%s = %u works here, but an NLB wants the "
	    "zone to leave DNS no later than the group fails open; raise the "
	    "latter, or set it to off",
	    key, routing, unit, dns);
}

/* Attributes of a group's health that contradict each other. */
static void
check_group_health(struct conf_parser *p, size_t i)
{
	const struct conf_target_group *g = &p->conf->target_groups[i];

	check_thresholds(
	    p, i, "count", g->dns_failover_count, g->routing_min_count);
	check_thresholds(p, i, "percentage", g->dns_failover_percentage,
	    g->routing_min_percentage);
}

static void
check_load_balancer(struct conf_parser *p)
{
	if (strcmp(p->conf->lb.availability_zone, "all") == 0)
		conf_error(p,
		    conf_value_of(p, CONF_LOAD_BALANCER, 0, "AvailabilityZone"),
		    "`all' is for targets; name the zone of this node, or "
		    "write none");
}

static bool
listener_takes(const struct conf *conf, const struct conf_listener *l,
    const struct addr *a)
{
	if (l->port != a->port)
		return false;
	if (addr_ip_equal(&l->address, a) || is_wildcard(conf, l, a->family))
		return true;
	return addr_is_unspecified(a) && l->address.family == a->family;
}

static void
check_http_listen(struct conf_parser *p)
{
	const struct conf *conf = p->conf;
	const struct addr *http = &conf->node.http_listen;

	if (http->family == ADDR_NONE)
		return;
	for (size_t i = 0; i < conf->n_listeners; i++) {
		if (!listener_takes(conf, &conf->listeners[i], http))
			continue;
		conf_error(p, conf_value_of(p, CONF_NODE, 0, "HttpListen"),
		    "port %u is the one of [listener %s] too, at the same "
		    "address; choose another port",
		    http->port, conf->listeners[i].name);
		return;
	}
	if (!addr_is_loopback(http))
		conf_warning(p, conf_value_of(p, CONF_NODE, 0, "HttpListen"),
		    "everybody who can reach this address sees clients, "
		    "targets and metrics; let only your monitoring reach the "
		    "port, or take 127.0.0.1:%u",
		    http->port);
}

void
conf_check(struct conf_parser *p)
{
	struct conf_span whole = {0};

	if (p->conf->n_listeners == 0)
		conf_hint(conf_error(p, whole,
			      "there is no [listener NAME] "
			      "section: nobody could connect"),
		    "nlbd.ini(5) has a small example to start from");
	check_load_balancer(p);
	check_listener_places(p);
	check_http_listen(p);
	check_quotas(p);
	/* What failed to parse makes other things look unused. */
	if (p->sound) {
		check_security_groups(p);
		check_use_of_groups(p);
		conf_acls_check(p);
	}
	for (size_t i = 0; i < p->conf->n_target_groups; i++) {
		check_group(p, i);
		check_group_health(p, i);
	}
	conf_check_targets(p);
	if (p->sound)
		conf_check_sources(p);
	conf_check_client_ip(p);
	conf_check_notify(p);
}
