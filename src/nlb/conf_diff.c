/*
 * Old and new conf compared by name, attribute for attribute through the
 * table, so that a new key takes part without a line here.
 */
#include "nlb/conf_diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nlb/conf_internal.h"

static bool
attributes_equal(const struct conf *old_conf, const struct conf *new_conf,
    const struct conf_attribute *a, const void *old_base, const void *new_base)
{
	char old_text[CONF_TEXT_MAX], new_text[CONF_TEXT_MAX];

	conf_type_format(old_conf, a, old_base, old_text, sizeof(old_text));
	conf_type_format(new_conf, a, new_base, new_text, sizeof(new_text));
	return strcmp(old_text, new_text) == 0;
}

static bool
sections_equal(const struct conf *old_conf, const struct conf *new_conf,
    enum conf_section_kind kind, const void *old_base, const void *new_base)
{
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);

		if (a->section != kind || (a->flags & CONF_PATTERN) != 0)
			continue;
		if (!attributes_equal(
			old_conf, new_conf, a, old_base, new_base))
			return false;
	}
	return true;
}

/* Two confs being compared. */
struct diffing {
	const struct conf *old_conf, *new_conf;
	struct conf_diff diff;
	size_t targets_moved; /* in the group at hand: another zone or role */
	struct conf_diags *diags;
	int error; /* 0: go on */
};

/* ---- what both confs always have ------------------------------------------
 */

/* A parse of the new conf's bytes up to where the places of keys are known. */
static int
find_places(const struct diffing *d, struct conf_parser *p)
{
	*p = (struct conf_parser){.bytes = d->new_conf->bytes,
	    .len = d->new_conf->n_bytes,
	    .diags = d->diags};
	if (conf_scan(p) != 0)
		return -ENOMEM;
	conf_sections_classify(p);
	return p->no_memory ? -ENOMEM : 0;
}

static void
report_fixed(struct diffing *d, const struct conf_attribute *a,
    const void *old_base, const void *new_base)
{
	char old_text[CONF_TEXT_MAX], new_text[CONF_TEXT_MAX];
	struct conf_parser p;

	d->error = find_places(d, &p);
	if (d->error == 0) {
		conf_type_format(
		    d->old_conf, a, old_base, old_text, sizeof(old_text));
		conf_type_format(
		    d->new_conf, a, new_base, new_text, sizeof(new_text));
		conf_error(&p, conf_value_of(&p, a->section, 0, a->key),
		    "[%s] %s cannot change from %s to %s while nlbd runs; "
		    "restart nlbd, or set it back to %s",
		    conf_section_kind_name(a->section), a->key, old_text,
		    new_text, old_text);
		d->error = p.no_memory ? -ENOMEM : -EINVAL;
	}
	conf_scan_fini(&p.scan);
}

/* [load-balancer] and [node] */
static void
diff_singles(struct diffing *d)
{
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);
		const void *old_base = &d->old_conf->node;
		const void *new_base = &d->new_conf->node;

		if (conf_section_kind_is_named(a->section))
			continue;
		if (a->section == CONF_LOAD_BALANCER) {
			old_base = &d->old_conf->lb;
			new_base = &d->new_conf->lb;
		}
		if (attributes_equal(
			d->old_conf, d->new_conf, a, old_base, new_base))
			continue;
		if ((a->flags & CONF_RELOADABLE) != 0)
			d->diff.node_changed++;
		else if (d->error != -ENOMEM)
			report_fixed(d, a, old_base, new_base);
	}
	conf_diags_finish(d->diags);
}

/* ---- lists, by name or address --------------------------------------------
 */

struct list {
	const void *first;
	size_t n, size; /* size: of one element */
};
typedef int (*list_compare)(const void *a, const void *b);
/* What to do with one of both lists; NULL: it is only in the other one. */
typedef void (*list_pair)(
    struct diffing *d, const void *old_one, const void *new_one);

/* Pointers to the elements, sorted; free it. NULL: out of memory. */
static const void **
sorted(const struct list *list, int (*compare)(const void *, const void *))
{
	const void **order = calloc(list->n + 1, sizeof(order[0]));

	if (order == NULL)
		return NULL;
	for (size_t i = 0; i < list->n; i++)
		order[i] = (const char *)list->first + i * list->size;
	qsort(order, list->n, sizeof(order[0]), compare);
	return order;
}

/* Elements are unique in their list, and compare gets pointers to pointers, as
 * qsort has it. */
static void
diff_lists(struct diffing *d, struct list old_list, struct list new_list,
    list_compare compare, list_pair pair)
{
	const void **old_ones = sorted(&old_list, compare);
	const void **new_ones = sorted(&new_list, compare);
	size_t i = 0, j = 0;

	if (old_ones == NULL || new_ones == NULL)
		d->error = -ENOMEM;
	while (d->error == 0 && (i < old_list.n || j < new_list.n)) {
		int order = j == new_list.n ? -1
			    : i == old_list.n
				? 1
				: compare(&old_ones[i], &new_ones[j]);

		pair(d, order <= 0 ? old_ones[i] : NULL,
		    order >= 0 ? new_ones[j] : NULL);
		i += order <= 0;
		j += order >= 0;
	}
	free(old_ones);
	free(new_ones);
}

/* Every struct of a named section starts with its name. */
static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A listener at all addresses follows the load balancer's address type. */
static bool
listeners_equal(const struct conf *old_conf, const struct conf *new_conf,
    const struct conf_listener *a, const struct conf_listener *b)
{
	if (a->address.family == ADDR_NONE &&
	    old_conf->lb.ip_address_type != new_conf->lb.ip_address_type)
		return false;
	return sections_equal(old_conf, new_conf, CONF_LISTENER, a, b);
}

static void
pair_listeners(struct diffing *d, const void *old_one, const void *new_one)
{
	if (old_one == NULL)
		d->diff.listeners_added++;
	else if (new_one == NULL)
		d->diff.listeners_removed++;
	else if (!listeners_equal(d->old_conf, d->new_conf, old_one, new_one))
		d->diff.listeners_changed++;
}

static int
compare_targets(const void *left, const void *right)
{
	const struct conf_target *a = *(const struct conf_target *const *)left;
	const struct conf_target *b = *(const struct conf_target *const *)right;

	return addr_compare(&a->addr, &b->addr);
}

static void
pair_targets(struct diffing *d, const void *old_one, const void *new_one)
{
	const struct conf_target *was = old_one, *t = new_one;

	if (was == NULL)
		d->diff.targets_added++;
	else if (t == NULL)
		d->diff.targets_removed++;
	else if (strcmp(was->availability_zone, t->availability_zone) != 0 ||
		 was->standby != t->standby || was->max_flows != t->max_flows)
		d->targets_moved++;
}

static int
compare_dns_targets(const void *left, const void *right)
{
	const struct conf_dns_target *a =
	    *(const struct conf_dns_target *const *)left;
	const struct conf_dns_target *b =
	    *(const struct conf_dns_target *const *)right;
	int order = strcmp(a->host, b->host);

	return order != 0 ? order
			  : addr_compare(&a->target.addr, &b->target.addr);
}

/* A name counts as one target, whatever it resolves to. */
static void
pair_dns_targets(struct diffing *d, const void *old_one, const void *new_one)
{
	const struct conf_dns_target *was = old_one, *t = new_one;

	pair_targets(d, was == NULL ? NULL : &was->target,
	    t == NULL ? NULL : &t->target);
}

static struct list
targets_of(const struct conf_target_group *group)
{
	return (struct list){.first = group->targets,
	    .n = conf_written_targets(group),
	    .size = sizeof(group->targets[0])};
}

static struct list
dns_targets_of(const struct conf_target_group *group)
{
	return (struct list){.first = group->dns_targets,
	    .n = group->n_dns_targets,
	    .size = sizeof(group->dns_targets[0])};
}

static void
pair_groups(struct diffing *d, const void *old_one, const void *new_one)
{
	const struct conf_target_group *was = old_one, *g = new_one;

	if (was == NULL && g != NULL) {
		d->diff.groups_added++;
		d->diff.targets_added +=
		    conf_written_targets(g) + g->n_dns_targets;
	}
	if (was != NULL && g == NULL) {
		d->diff.groups_removed++;
		d->diff.targets_removed +=
		    conf_written_targets(was) + was->n_dns_targets;
	}
	if (was == NULL || g == NULL)
		return;
	d->targets_moved = 0;
	diff_lists(
	    d, targets_of(was), targets_of(g), compare_targets, pair_targets);
	diff_lists(d, dns_targets_of(was), dns_targets_of(g),
	    compare_dns_targets, pair_dns_targets);
	if (d->targets_moved > 0 || !sections_equal(d->old_conf, d->new_conf,
					CONF_TARGET_GROUP, was, g))
		d->diff.groups_changed++;
}

static bool
rules_equal(
    const struct sg_rule *a, size_t n_a, const struct sg_rule *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (!addr_equal(&a[i].cidr.base, &b[i].cidr.base) ||
		    a[i].cidr.prefix_len != b[i].cidr.prefix_len ||
		    a[i].port_from != b[i].port_from ||
		    a[i].port_to != b[i].port_to)
			return false;
	}
	return true;
}

static void
pair_security_groups(
    struct diffing *d, const void *old_one, const void *new_one)
{
	const struct conf_security_group *was = old_one, *g = new_one;

	if (was == NULL || g == NULL ||
	    was->outbound_given != g->outbound_given ||
	    !rules_equal(
		was->inbound, was->n_inbound, g->inbound, g->n_inbound) ||
	    !rules_equal(
		was->outbound, was->n_outbound, g->outbound, g->n_outbound))
		d->diff.rules_changed++;
}

static bool
acl_rules_equal(
    const struct acl_rule *a, size_t n_a, const struct acl_rule *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (!addr_equal(&a[i].cidr.base, &b[i].cidr.base) ||
		    a[i].cidr.prefix_len != b[i].cidr.prefix_len ||
		    a[i].number != b[i].number || a[i].allow != b[i].allow ||
		    a[i].port_from != b[i].port_from ||
		    a[i].port_to != b[i].port_to)
			return false;
	}
	return true;
}

static void
pair_network_acls(struct diffing *d, const void *old_one, const void *new_one)
{
	const struct conf_network_acl *was = old_one, *acl = new_one;

	if (was == NULL || acl == NULL ||
	    !acl_rules_equal(
		was->inbound, was->n_inbound, acl->inbound, acl->n_inbound) ||
	    !acl_rules_equal(
		was->outbound, was->n_outbound, acl->outbound, acl->n_outbound))
		d->diff.acls_changed++;
}

static void
pair_notify(struct diffing *d, const void *old_one, const void *new_one)
{
	if (old_one == NULL || new_one == NULL ||
	    !sections_equal(
		d->old_conf, d->new_conf, CONF_NOTIFY, old_one, new_one))
		d->diff.notify_changed++;
}

int
conf_diff(const struct conf *old_conf, const struct conf *new_conf,
    struct conf_diff *out, struct conf_diags *diags)
{
	struct diffing d = {
	    .old_conf = old_conf, .new_conf = new_conf, .diags = diags};

	diff_singles(&d);
#define DIFF(field, pair)                                       \
	if (d.error == 0)                                       \
	diff_lists(&d,                                          \
	    (struct list){old_conf->field, old_conf->n_##field, \
		sizeof(old_conf->field[0])},                    \
	    (struct list){new_conf->field, new_conf->n_##field, \
		sizeof(new_conf->field[0])},                    \
	    compare_names, pair)
	DIFF(listeners, pair_listeners);
	DIFF(target_groups, pair_groups);
	DIFF(security_groups, pair_security_groups);
	DIFF(network_acls, pair_network_acls);
	DIFF(notify, pair_notify);
#undef DIFF
	if (d.error == 0)
		*out = d.diff;
	return d.error;
}

bool
conf_diff_is_empty(const struct conf_diff *diff)
{
	static const struct conf_diff nothing;

	return memcmp(diff, &nothing, sizeof(nothing)) == 0;
}

const char *
conf_diff_summary(const struct conf_diff *diff, char *buf, size_t size)
{
	const struct {
		size_t n;
		const char *what, *how;
	} parts[] = {
	    {diff->listeners_added, "listener", "added"},
	    {diff->listeners_removed, "listener", "removed"},
	    {diff->listeners_changed, "listener", "changed"},
	    {diff->groups_added, "target group", "added"},
	    {diff->groups_removed, "target group", "removed"},
	    {diff->groups_changed, "target group", "changed"},
	    {diff->targets_added, "target", "added"},
	    {diff->targets_removed, "target", "removed"},
	    {diff->rules_changed, "security group", "changed"},
	    {diff->acls_changed, "network ACL", "changed"},
	    {diff->notify_changed, "notify section", "changed"},
	    {diff->node_changed, "other key", "changed"},
	};
	size_t used = 0;

	snprintf(buf, size, "nothing changed");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int n;

		if (parts[i].n == 0 || used >= size)
			continue;
		n = snprintf(buf + used, size - used, "%s%zu %s%s %s",
		    used == 0 ? "" : ", ", parts[i].n, parts[i].what,
		    parts[i].n == 1 ? "" : "s", parts[i].how);
		used += (size_t)n;
	}
	return buf;
}
