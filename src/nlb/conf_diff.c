/*
 * Old and new conf compared by name, attribute for attribute through the
 * table, so that a new key takes part without a line here.
 */
#include "nlb/conf_diff.h"

#include <errno.h>
#include <stdio.h>
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

static void
report_fixed(const struct conf *old_conf, const struct conf *new_conf,
    const struct conf_attribute *a, const void *old_base, const void *new_base,
    struct conf_diags *diags)
{
	char old_text[CONF_TEXT_MAX], new_text[CONF_TEXT_MAX];

	conf_type_format(old_conf, a, old_base, old_text, sizeof(old_text));
	conf_type_format(new_conf, a, new_base, new_text, sizeof(new_text));
	conf_diags_add(diags, false,
	    "[%s] %s cannot change from %s to %s while nlbd runs; restart "
	    "nlbd, "
	    "or set it back to %s",
	    conf_section_kind_name(a->section), a->key, old_text, new_text,
	    old_text);
}

/* [load-balancer] and [node], which both confs always have. */
static int
diff_singles(const struct conf *old_conf, const struct conf *new_conf,
    struct conf_diff *out, struct conf_diags *diags)
{
	int result = 0;

	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);
		const void *old_base = &old_conf->node;
		const void *new_base = &new_conf->node;

		if (conf_section_kind_is_named(a->section))
			continue;
		if (a->section == CONF_LOAD_BALANCER) {
			old_base = &old_conf->lb;
			new_base = &new_conf->lb;
		}
		if (attributes_equal(old_conf, new_conf, a, old_base, new_base))
			continue;
		if ((a->flags & CONF_RELOADABLE) != 0) {
			out->node_changed++;
			continue;
		}
		report_fixed(old_conf, new_conf, a, old_base, new_base, diags);
		result = -EINVAL;
	}
	return result;
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
diff_listeners(const struct conf *old_conf, const struct conf *new_conf,
    struct conf_diff *out)
{
	for (size_t i = 0; i < old_conf->n_listeners; i++) {
		if (conf_find_listener(new_conf, old_conf->listeners[i].name) ==
		    NULL)
			out->listeners_removed++;
	}
	for (size_t i = 0; i < new_conf->n_listeners; i++) {
		const struct conf_listener *new_one = &new_conf->listeners[i];
		const struct conf_listener *old_one =
		    conf_find_listener(old_conf, new_one->name);

		if (old_one == NULL)
			out->listeners_added++;
		else if (!listeners_equal(old_conf, new_conf, old_one, new_one))
			out->listeners_changed++;
	}
}

static const struct conf_target *
find_target(const struct conf_target_group *group, const struct addr *addr)
{
	for (size_t i = 0; i < group->n_targets; i++) {
		if (addr_equal(&group->targets[i].addr, addr))
			return &group->targets[i];
	}
	return NULL;
}

/* Returns whether a target that stayed has another zone or role. */
static bool
diff_targets(const struct conf_target_group *old_group,
    const struct conf_target_group *new_group, struct conf_diff *out)
{
	bool moved = false;

	for (size_t i = 0; i < old_group->n_targets; i++) {
		if (find_target(new_group, &old_group->targets[i].addr) == NULL)
			out->targets_removed++;
	}
	for (size_t i = 0; i < new_group->n_targets; i++) {
		const struct conf_target *t = &new_group->targets[i];
		const struct conf_target *was =
		    find_target(old_group, &t->addr);

		if (was == NULL)
			out->targets_added++;
		else if (strcmp(was->availability_zone, t->availability_zone) !=
			     0 ||
			 was->standby != t->standby)
			moved = true;
	}
	return moved;
}

static void
diff_groups(const struct conf *old_conf, const struct conf *new_conf,
    struct conf_diff *out)
{
	for (size_t i = 0; i < old_conf->n_target_groups; i++) {
		const struct conf_target_group *g = &old_conf->target_groups[i];

		if (conf_find_target_group(new_conf, g->name) != NULL)
			continue;
		out->groups_removed++;
		out->targets_removed += g->n_targets;
	}
	for (size_t i = 0; i < new_conf->n_target_groups; i++) {
		const struct conf_target_group *g = &new_conf->target_groups[i];
		const struct conf_target_group *was =
		    conf_find_target_group(old_conf, g->name);
		bool moved;

		if (was == NULL) {
			out->groups_added++;
			out->targets_added += g->n_targets;
			continue;
		}
		moved = diff_targets(was, g, out);
		if (moved || !sections_equal(
				 old_conf, new_conf, CONF_TARGET_GROUP, was, g))
			out->groups_changed++;
	}
}

static const struct conf_security_group *
find_security_group(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_security_groups; i++) {
		if (strcmp(conf->security_groups[i].name, name) == 0)
			return &conf->security_groups[i];
	}
	return NULL;
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
diff_security_groups(const struct conf *old_conf, const struct conf *new_conf,
    struct conf_diff *out)
{
	for (size_t i = 0; i < old_conf->n_security_groups; i++) {
		if (find_security_group(
			new_conf, old_conf->security_groups[i].name) == NULL)
			out->rules_changed++;
	}
	for (size_t i = 0; i < new_conf->n_security_groups; i++) {
		const struct conf_security_group *g =
		    &new_conf->security_groups[i];
		const struct conf_security_group *was =
		    find_security_group(old_conf, g->name);

		if (was == NULL || was->outbound_given != g->outbound_given ||
		    !rules_equal(was->inbound, was->n_inbound, g->inbound,
			g->n_inbound) ||
		    !rules_equal(was->outbound, was->n_outbound, g->outbound,
			g->n_outbound))
			out->rules_changed++;
	}
}

static const struct conf_network_acl *
find_network_acl(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_network_acls; i++) {
		if (strcmp(conf->network_acls[i].name, name) == 0)
			return &conf->network_acls[i];
	}
	return NULL;
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
diff_network_acls(const struct conf *old_conf, const struct conf *new_conf,
    struct conf_diff *out)
{
	for (size_t i = 0; i < old_conf->n_network_acls; i++) {
		if (find_network_acl(
			new_conf, old_conf->network_acls[i].name) == NULL)
			out->acls_changed++;
	}
	for (size_t i = 0; i < new_conf->n_network_acls; i++) {
		const struct conf_network_acl *acl = &new_conf->network_acls[i];
		const struct conf_network_acl *was =
		    find_network_acl(old_conf, acl->name);

		if (was == NULL ||
		    !acl_rules_equal(was->inbound, was->n_inbound, acl->inbound,
			acl->n_inbound) ||
		    !acl_rules_equal(was->outbound, was->n_outbound,
			acl->outbound, acl->n_outbound))
			out->acls_changed++;
	}
}

int
conf_diff(const struct conf *old_conf, const struct conf *new_conf,
    struct conf_diff *out, struct conf_diags *diags)
{
	struct conf_diff diff = {0};
	int result;

	result = diff_singles(old_conf, new_conf, &diff, diags);
	if (result != 0)
		return result;
	diff_listeners(old_conf, new_conf, &diff);
	diff_groups(old_conf, new_conf, &diff);
	diff_security_groups(old_conf, new_conf, &diff);
	diff_network_acls(old_conf, new_conf, &diff);
	*out = diff;
	return 0;
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
