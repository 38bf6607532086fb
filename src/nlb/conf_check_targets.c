/*
 * Targets: who may be one, doubled ones, families and zones.
 */
#include "nlb/conf_internal.h"

#include <stdlib.h>
#include <string.h>

static const struct addr nowhere; /* of a name, before it is resolved */

static bool
is_metadata_service(const struct addr *a)
{
	/* 169.254.169.254 is link-local and refused as such. */
	static const struct addr ipv6 = {.family = ADDR_IPV6,
	    .ip = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}};

	return addr_ip_equal(a, &ipv6);
}

const char *
conf_target_refusal(const struct addr *a)
{
	static const uint8_t broadcast[4] = {255, 255, 255, 255};

	if (is_metadata_service(a))
		return "the instance metadata service";
	if (addr_is_link_local(a))
		return "a link-local address (the instance metadata service "
		       "among them)";
	if (addr_is_unspecified(a))
		return "the unspecified address";
	if (addr_is_multicast(a))
		return "a multicast address";
	if (a->family == ADDR_IPV4 && memcmp(a->ip, broadcast, 4) == 0)
		return "the broadcast address";
	return NULL;
}

/* IPv6 targets in a VPC have global addresses: only IPv4 tells public from
 * private. */
static void
check_address(struct conf_parser *p, const struct conf_target_group *group,
    const struct conf_target *t, struct conf_span at)
{
	uint8_t family =
	    group->ip_address_type == CONF_IPV6 ? ADDR_IPV6 : ADDR_IPV4;
	const char *refused = conf_target_refusal(&t->addr);
	char text[ADDR_STRLEN];

	addr_format_ip(&t->addr, text, sizeof(text));
	if (refused != NULL)
		conf_error(p, at,
		    "%s is %s and cannot be a target; name the "
		    "server's own address",
		    text, refused);
	else if (addr_is_loopback(&t->addr))
		conf_aws(p, at,
		    "%s is this machine: it works here, but an NLB "
		    "takes addresses of other machines",
		    text);
	else if (t->addr.family == ADDR_IPV4 && !addr_is_private(&t->addr))
		conf_aws(p, at,
		    "%s is a public address: it works here, but an "
		    "NLB takes 10.0.0.0/8, 100.64.0.0/10, "
		    "172.16.0.0/12 and 192.168.0.0/16 only",
		    text);
	if (t->addr.family != family)
		conf_error(p, at,
		    "%s is no %s address as the group's "
		    "IpAddressType asks for; put it into a group "
		    "of its own",
		    text, family == ADDR_IPV6 ? "IPv6" : "IPv4");
}

static void
check_own_listener(
    struct conf_parser *p, const struct conf_target *t, struct conf_span at)
{
	char text[ADDR_STRLEN];

	for (size_t i = 0; i < p->conf->n_listeners; i++) {
		const struct conf_listener *l = &p->conf->listeners[i];

		if (!conf_listener_covers(p->conf, l, &t->addr))
			continue;
		conf_error(p, at,
		    "%s is nlbd's own [listener %s]: flows would "
		    "run in a circle; name the server behind it",
		    addr_format(&t->addr, text, sizeof(text)), l->name);
		return;
	}
}

/* A target of another zone is fine: the node there uses it. */
static void
check_zone(struct conf_parser *p, const struct conf_target_group *group,
    const struct conf_target *t, struct conf_span at)
{
	if (p->conf->lb.availability_zone[0] != '\0' ||
	    conf_target_zone_enabled(p->conf, group, t))
		return;
	conf_error(p, at,
	    "a target in zone %s, but this node's zone is "
	    "not known; set AvailabilityZone in "
	    "[load-balancer], or AvailabilityZone=all "
	    "here",
	    t->availability_zone);
}

/* A whole group of foreign targets is rather a spelling mistake. */
static void
check_some_zone(struct conf_parser *p, size_t i)
{
	const struct conf_target_group *g = &p->conf->target_groups[i];

	if (g->n_targets + g->n_dns_targets == 0 ||
	    p->conf->lb.availability_zone[0] == '\0')
		return;
	for (size_t j = 0; j < g->n_targets; j++) {
		if (conf_target_zone_enabled(p->conf, g, &g->targets[j]))
			return;
	}
	for (size_t j = 0; j < g->n_dns_targets; j++) {
		const struct conf_target t =
		    conf_dns_target_at(&g->dns_targets[j], &nowhere);

		if (conf_target_zone_enabled(p->conf, g, &t))
			return;
	}
	conf_warning(p, conf_value_of(p, CONF_TARGET_GROUP, i, ""),
	    "no target of [target-group %s] is in zone %s: all stay `unused'; "
	    "set load_balancing.cross_zone.enabled = true or correct the "
	    "zones",
	    g->name, p->conf->lb.availability_zone);
}

static int
compare_targets(const void *left, const void *right)
{
	const struct conf_target *a = *(const struct conf_target *const *)left;
	const struct conf_target *b = *(const struct conf_target *const *)right;
	int order = addr_compare(&a->addr, &b->addr);

	if (order != 0)
		return order;
	return a->line < b->line ? -1 : 1;
}

static void
check_doubled(struct conf_parser *p, const struct conf_target_group *group)
{
	const struct conf_target **sorted;
	char text[ADDR_STRLEN];

	sorted = calloc(group->n_targets + 1, sizeof(sorted[0]));
	if (sorted == NULL) {
		p->no_memory = true;
		return;
	}
	for (size_t i = 0; i < group->n_targets; i++)
		sorted[i] = &group->targets[i];
	qsort(sorted, group->n_targets, sizeof(sorted[0]), compare_targets);
	for (size_t i = 1; i < group->n_targets; i++) {
		if (!addr_equal(&sorted[i - 1]->addr, &sorted[i]->addr))
			continue;
		conf_error(p, conf_value_at_line(p, sorted[i]->line),
		    "%s is registered twice in this group, first in line %u; "
		    "keep one of the two",
		    addr_format(&sorted[i]->addr, text, sizeof(text)),
		    sorted[i - 1]->line);
	}
	free(sorted);
}

void
conf_check_targets(struct conf_parser *p)
{
	struct conf_span whole = {0};
	size_t total = 0;

	for (size_t i = 0; i < p->conf->n_target_groups; i++) {
		const struct conf_target_group *g = &p->conf->target_groups[i];

		for (size_t j = 0; j < g->n_targets; j++) {
			const struct conf_target *t = &g->targets[j];
			struct conf_span at = conf_value_at_line(p, t->line);

			check_address(p, g, t, at);
			check_own_listener(p, t, at);
			check_zone(p, g, t, at);
		}
		for (size_t j = 0; j < g->n_dns_targets; j++) {
			const struct conf_target t =
			    conf_dns_target_at(&g->dns_targets[j], &nowhere);

			check_zone(p, g, &t, conf_value_at_line(p, t.line));
		}
		check_doubled(p, g);
		check_some_zone(p, i);
		total += g->n_targets + g->n_dns_targets;
	}
	if (total > CONF_TARGETS_MAX)
		conf_error(p, whole,
		    "%zu targets; all groups together take at "
		    "most %d, as an NLB",
		    total, CONF_TARGETS_MAX);
	conf_dns_check(p);
}
