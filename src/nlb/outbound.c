/*
 * Outbound rules by port; see outbound.h.
 *
 * The ports at which some rule begins or has ended cut all ports into
 * stretches; within one, the same rules count. Each stretch has two sets of
 * addresses, the security groups' and the network ACL's, built when they are
 * needed: targets have few ports, whatever the rules have.
 */
#include "nlb/outbound.h"

#include <errno.h>
#include <stdlib.h>

struct stretch {
	bool built;
	struct sg_set groups, acl;
};

struct outbound {
	const struct conf *conf;
	const struct conf_listener *listener;
	const struct conf_network_acl *acl; /* NULL: none */
	bool any_group; /* a group without outbound rules, or no group */
	uint32_t *cuts; /* sorted; stretch i ends before cuts[i] */
	size_t n_cuts;
	struct stretch *stretches; /* n_cuts + 1 */
};

static const struct conf_security_group *
group_at(const struct outbound *o, uint32_t i)
{
	return &o->conf->security_groups[o->listener->security_groups[i]];
}

static bool
any_group(const struct outbound *o)
{
	for (uint32_t i = 0; i < o->listener->n_security_groups; i++)
		if (!group_at(o, i)->outbound_given)
			return true;
	return o->listener->n_security_groups == 0;
}

static int
compare_cuts(const void *a, const void *b)
{
	const uint32_t *x = a;
	const uint32_t *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
add_cuts(struct outbound *o, uint16_t port_from, uint16_t port_to)
{
	o->cuts[o->n_cuts++] = port_from;
	o->cuts[o->n_cuts++] = (uint32_t)port_to + 1;
}

static int
find_cuts(struct outbound *o)
{
	size_t n_rules = o->acl == NULL ? 0 : o->acl->n_outbound, kept = 0;

	for (uint32_t i = 0; i < o->listener->n_security_groups; i++)
		n_rules += group_at(o, i)->n_outbound;
	o->cuts = calloc(2 * n_rules + 1, sizeof(*o->cuts));
	if (o->cuts == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < o->listener->n_security_groups; i++) {
		const struct conf_security_group *g = group_at(o, i);

		for (size_t j = 0; j < g->n_outbound; j++)
			add_cuts(o, g->outbound[j].port_from,
			    g->outbound[j].port_to);
	}
	for (size_t j = 0; o->acl != NULL && j < o->acl->n_outbound; j++)
		add_cuts(o, o->acl->outbound[j].port_from,
		    o->acl->outbound[j].port_to);
	qsort(o->cuts, o->n_cuts, sizeof(*o->cuts), compare_cuts);
	for (size_t i = 0; i < o->n_cuts; i++)
		if (kept == 0 || o->cuts[kept - 1] != o->cuts[i])
			o->cuts[kept++] = o->cuts[i];
	o->n_cuts = kept;
	o->stretches = calloc(kept + 1, sizeof(*o->stretches));
	return o->stretches == NULL ? -ENOMEM : 0;
}

int
outbound_create(const struct conf *conf, const struct conf_listener *listener,
    struct outbound **out)
{
	struct outbound *o = calloc(1, sizeof(*o));
	int rc;

	if (o == NULL)
		return -ENOMEM;
	o->conf = conf;
	o->listener = listener;
	if (listener->network_acl[0] != '\0')
		o->acl = &conf->network_acls[listener->network_acl_index];
	o->any_group = any_group(o);
	rc = find_cuts(o);
	if (rc < 0)
		outbound_destroy(o);
	else
		*out = o;
	return rc;
}

void
outbound_destroy(struct outbound *o)
{
	if (o == NULL)
		return;
	for (size_t i = 0; o->stretches != NULL && i <= o->n_cuts; i++) {
		sg_set_fini(&o->stretches[i].groups);
		sg_set_fini(&o->stretches[i].acl);
	}
	free(o->stretches);
	free(o->cuts);
	free(o);
}

static int
build(const struct outbound *o, uint16_t port, struct stretch *s)
{
	struct sg_rule_list lists[CONF_LISTENER_GROUPS_MAX];
	int rc = 0;

	for (uint32_t i = 0; i < o->listener->n_security_groups; i++)
		lists[i] =
		    (struct sg_rule_list){.rules = group_at(o, i)->outbound,
			.n = group_at(o, i)->n_outbound};
	if (!o->any_group)
		rc = sg_set_build_union(
		    lists, o->listener->n_security_groups, port, &s->groups);
	if (rc == 0 && o->acl != NULL)
		rc = acl_set_build(
		    o->acl->outbound, o->acl->n_outbound, port, &s->acl);
	if (rc < 0)
		sg_set_fini(&s->groups);
	s->built = rc == 0;
	return rc;
}

static struct stretch *
stretch_of(const struct outbound *o, uint16_t port)
{
	size_t low = 0, high = o->n_cuts;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (o->cuts[middle] <= port)
			low = middle + 1;
		else
			high = middle;
	}
	return &o->stretches[low];
}

enum conf_outbound
outbound_verdict(struct outbound *o, const struct addr *a)
{
	struct stretch *s = stretch_of(o, a->port);

	if (!s->built && build(o, a->port, s) < 0)
		return conf_outbound_verdict(o->conf, o->listener, a);
	if (!o->any_group && !sg_set_allows(&s->groups, a))
		return CONF_OUTBOUND_SECURITY_GROUP;
	if (o->acl != NULL && !sg_set_allows(&s->acl, a))
		return CONF_OUTBOUND_NETWORK_ACL;
	return CONF_OUTBOUND_ALLOWED;
}
