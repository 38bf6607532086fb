/*
 * Targets by DNS name: the lines of the file, and the addresses that somebody
 * has found for them. Nothing is resolved here.
 */
#include "nlb/conf_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/string.h>

#define DNS_PORT 53

struct conf_target
conf_dns_target_at(const struct conf_dns_target *dns, const struct addr *addr)
{
	struct conf_target t = dns->target;

	t.addr = *addr;
	t.dns = dns;
	return t;
}

/* ---- checks ----------------------------------------------------------- */

static void
check_line(
    struct conf_parser *p, const struct conf_target_group *group, size_t line)
{
	const struct conf_dns_target *t = &group->dns_targets[line];
	struct conf_span at = conf_value_at_line(p, t->target.line);

	conf_aws(p, at,
	    "%s is a name: it works here, but an NLB takes addresses only",
	    t->host);
	for (size_t i = 0; i < line; i++) {
		const struct conf_dns_target *other = &group->dns_targets[i];

		if (other->target.addr.port != t->target.addr.port ||
		    strcmp(other->host, t->host) != 0)
			continue;
		conf_error(p, at,
		    "%s:%u is registered twice in this group, first in line "
		    "%u; keep one of the two",
		    t->host, t->target.addr.port, other->target.line);
		return;
	}
}

void
conf_dns_check(struct conf_parser *p)
{
	const struct conf_node *node = &p->conf->node;
	struct conf_span whole = {0};
	size_t total = conf_count_dns_targets(p->conf);

	if (node->resolve_min_s > node->resolve_max_s)
		conf_error(p,
		    conf_value_of(p, CONF_NODE, 0, "ResolveMinSeconds"),
		    "ResolveMinSeconds = %u is above ResolveMaxSeconds = %u; "
		    "lower it or raise the other",
		    node->resolve_min_s, node->resolve_max_s);
	if (total > CONF_DNS_TARGETS_MAX) {
		conf_error(p, whole,
		    "%zu targets by name; all groups together take at most %d",
		    total, CONF_DNS_TARGETS_MAX);
		return;
	}
	for (size_t i = 0; i < p->conf->n_target_groups; i++) {
		const struct conf_target_group *g = &p->conf->target_groups[i];

		for (size_t j = 0; j < g->n_dns_targets; j++)
			check_line(p, g, j);
	}
}

/* ---- addresses -------------------------------------------------------- */

static uint8_t
family_of(const struct conf_target_group *group)
{
	return group->ip_address_type == CONF_IPV6 ? ADDR_IPV6 : ADDR_IPV4;
}

size_t
conf_written_targets(const struct conf_target_group *group)
{
	size_t n = 0;

	while (n < group->n_targets && group->targets[n].dns == NULL)
		n++;
	return n;
}

static bool
has_target(const struct conf_target *targets, size_t n, const struct addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&targets[i].addr, addr))
			return true;
	return false;
}

static int
check_resolved(
    const struct conf *conf, const struct conf_resolved *list, size_t n)
{
	size_t total = n;

	for (size_t i = 0; i < conf->n_target_groups; i++)
		total += conf_written_targets(&conf->target_groups[i]);
	if (total > CONF_TARGETS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		const struct conf_resolved *r = &list[i];
		const struct conf_target_group *g;

		if (r->group >= conf->n_target_groups)
			return -EINVAL;
		g = &conf->target_groups[r->group];
		if (r->target >= g->n_dns_targets ||
		    r->addr.family != family_of(g) ||
		    r->addr.port != g->dns_targets[r->target].target.addr.port)
			return -EINVAL;
	}
	return 0;
}

/* The group's targets with what the list says of its names; NULL: no memory. */
static struct conf_target *
join(const struct conf_target_group *g, uint32_t group,
    const struct conf_resolved *list, size_t n_list, size_t *n)
{
	struct conf_target *targets;

	*n = conf_written_targets(g);
	targets = calloc(*n + n_list + 1, sizeof(targets[0]));
	if (targets == NULL)
		return NULL;
	if (*n > 0)
		memcpy(targets, g->targets, *n * sizeof(targets[0]));
	for (size_t i = 0; i < n_list; i++) {
		if (list[i].group != group ||
		    has_target(targets, *n, &list[i].addr))
			continue;
		targets[(*n)++] = conf_dns_target_at(
		    &g->dns_targets[list[i].target], &list[i].addr);
	}
	return targets;
}

int
conf_set_resolved(struct conf *conf, const struct conf_resolved *list, size_t n)
{
	struct {
		struct conf_target *targets;
		size_t n;
	} * joined;
	int rc = check_resolved(conf, list, n);

	if (rc < 0)
		return rc;
	joined = calloc(conf->n_target_groups + 1, sizeof(joined[0]));
	if (joined == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_target_groups && rc == 0; i++) {
		const struct conf_target_group *g = &conf->target_groups[i];

		if (g->n_dns_targets == 0)
			continue;
		joined[i].targets = join(g, (uint32_t)i, list, n, &joined[i].n);
		if (joined[i].targets == NULL)
			rc = -ENOMEM;
	}
	for (size_t i = 0; i < conf->n_target_groups; i++) {
		struct conf_target_group *g = &conf->target_groups[i];

		if (rc == 0 && g->n_dns_targets > 0) {
			free(g->targets);
			g->targets = joined[i].targets;
			g->n_targets = joined[i].n;
		} else {
			free(joined[i].targets);
		}
	}
	free(joined);
	return rc;
}

static bool
is_own_listener(const struct conf *conf, const struct addr *a, bool is_local)
{
	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (conf_listener_covers(conf, l, a) ||
		    (is_local && l->port == a->port &&
			l->address.family == ADDR_NONE))
			return true;
	}
	return false;
}

/* Do all listeners that forward to the group forbid it? A group that nobody
 * uses has nothing to forbid. */
static bool
is_blocked(const struct conf *conf, const struct conf_target_group *group,
    const struct addr *a)
{
	bool used = false;

	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		for (uint32_t j = 0; j < l->n_forwards; j++) {
			if (&conf->target_groups[l->forwards[j].group] != group)
				continue;
			used = true;
			if (conf_outbound_verdict(conf, l, a) ==
			    CONF_OUTBOUND_ALLOWED)
				return false;
		}
	}
	return used;
}

const char *
conf_dns_refusal(const struct conf *conf, const struct conf_target_group *group,
    const struct addr *a, bool is_local)
{
	const char *refused = conf_target_refusal(a);

	if (a->family != family_of(group))
		return "not of the group's IpAddressType";
	if (refused != NULL)
		return refused;
	if (a->family == ADDR_IPV4 && (a->ip[0] == 0 || a->ip[0] >= 240))
		return "a reserved address";
	if (addr_is_loopback(a))
		return "this machine itself";
	if (is_own_listener(conf, a, is_local))
		return "nlbd's own listener";
	if (is_blocked(conf, group, a))
		return "outside of the outbound rules";
	return NULL;
}

/* ---- the resolver's keys ---------------------------------------------- */

static bool
add_resolver(
    struct conf_parser *p, struct conf_span value, struct conf_node *node)
{
	struct addr server = {0};
	char text[ADDR_STRLEN];

	if (!conf_span_copy(value, text, sizeof(text)) ||
	    (addr_parse(text, &server) != 0 &&
		addr_parse_ip(text, &server) != 0)) {
		conf_hint(conf_error(p, value,
			      "`%.*s' is no IP address of a DNS server",
			      CONF_SPAN(value)),
		    "write for example 10.0.0.2, 127.0.0.1:5353, "
		    "[fd00:ec2::253]:53 or auto");
		return false;
	}
	if (addr_is_unspecified(&server) || addr_is_multicast(&server)) {
		conf_error(p, value,
		    "no DNS server answers at %.*s; write its own address, or "
		    "auto",
		    CONF_SPAN(value));
		return false;
	}
	if (node->n_resolvers == CONF_RESOLVERS_MAX) {
		conf_error(p, value,
		    "more than %d DNS servers, as in resolv.conf; take some "
		    "away",
		    CONF_RESOLVERS_MAX);
		return false;
	}
	if (server.port == 0)
		server.port = DNS_PORT;
	node->resolvers[node->n_resolvers++] = server;
	return true;
}

bool
conf_resolvers_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	struct conf_node *node = base;
	struct conf_span rest = value;
	bool sound = true;

	(void)a;
	node->n_resolvers = 0;
	if (conf_span_is(value, "auto"))
		return true;
	while (rest.text != NULL)
		sound &= add_resolver(p, conf_span_split(&rest, ','), node);
	return sound;
}

void
conf_resolvers_format(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	const struct conf_node *node = base;
	char text[ADDR_STRLEN];

	(void)conf;
	(void)a;
	strlcpy(buf, node->n_resolvers == 0 ? "auto" : "", size);
	for (uint32_t i = 0; i < node->n_resolvers; i++) {
		strlcat(buf, i == 0 ? "" : ", ", size);
		addr_format(&node->resolvers[i], text, sizeof(text));
		strlcat(buf, text, size);
	}
}
