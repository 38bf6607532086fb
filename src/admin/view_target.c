/*
 * Targets: in the AWS CLI's exact shape, and with all that is known of them.
 */
#include "admin/view.h"

#include <stdio.h>
#include <string.h>

struct target_walk {
	const struct admin_ops *ops;
	const char *group; /* NULL = all */
	uint64_t now_ms;
	json_t *list;
	bool failed;
};

static bool
walk_skips(const struct target_walk *walk, const struct admin_target *t)
{
	return walk->failed ||
	       (walk->group != NULL && strcmp(walk->group, t->group) != 0);
}

static void
walk_append(struct target_walk *walk, json_t *value)
{
	if (json_array_append_new(walk->list, value) != 0)
		walk->failed = true;
}

static const char *
null_if_empty(const char *text)
{
	return text[0] == '\0' ? NULL : text;
}

/* As in the AWS examples: a target that is not checked has no port to show. */
static bool
shows_check_port(const struct target *t)
{
	return t->state != TARGET_UNUSED &&
	       t->reason != TARGET_REASON_REGISTRATION_IN_PROGRESS;
}

static void
append_target_health(void *arg, const struct admin_target *t)
{
	struct target_walk *walk = arg;
	char ip[ADDR_IP_STRLEN], port[8];
	json_t *target, *health;

	if (walk_skips(walk, t))
		return;
	addr_format_ip(&t->addr, ip, sizeof(ip));
	snprintf(port, sizeof(port), "%u", (unsigned)t->check_port);
	/* DNSName is not the API's: it knows no targets by name. */
	target = json_pack("{s:s, s:i, s:s*, s:s*}", "Id", ip, "Port",
	    (int)t->addr.port, "AvailabilityZone",
	    null_if_empty(t->availability_zone), "DNSName",
	    null_if_empty(t->dns_name));
	health = json_pack("{s:s, s:s*, s:s*}", "State",
	    target_state_name(t->health->state), "Reason",
	    null_if_empty(target_reason_code(t->health->reason)), "Description",
	    null_if_empty(target_reason_description(t->health->reason)));
	walk_append(walk,
	    json_pack("{s:o, s:s*, s:o}", "Target", target, "HealthCheckPort",
		shows_check_port(t->health) ? port : NULL, "TargetHealth",
		health));
}

/* Whole seconds from then to now, or from now to a deadline ahead. */
static json_t *
seconds_between(uint64_t from_ms, uint64_t to_ms)
{
	return view_uint(to_ms > from_ms ? (to_ms - from_ms) / 1000 : 0);
}

static bool
put_target_counters(json_t *object, const struct target_walk *walk,
    const struct admin_target *t)
{
	struct sb_target_sum sum;

	scoreboard_sum_target(walk->ops->scoreboard, t->slot, &sum);
#define X(field, help)                                       \
	if (!view_put(object, #field, view_uint(sum.field))) \
		return false;
	SB_TARGET_COUNTERS(X)
#undef X
	return true;
}

static void
append_target(void *arg, const struct admin_target *t)
{
	struct target_walk *walk = arg;
	const struct target *h = t->health;
	char ip[ADDR_IP_STRLEN];
	json_t *object;

	if (walk_skips(walk, t))
		return;
	addr_format_ip(&t->addr, ip, sizeof(ip));
	object = json_pack("{s:s, s:s, s:s, s:i, s:s*, s:s*, s:i, s:s, s:s*,"
			   " s:s*, s:o, s:i, s:i, s:b, s:b, s:b, s:o, s:o}",
	    "target_group", t->group, "label", t->label, "address", ip, "port",
	    (int)t->addr.port, "dns_name", null_if_empty(t->dns_name),
	    "availability_zone", null_if_empty(t->availability_zone),
	    "health_check_port", (int)t->check_port, "state",
	    target_state_name(h->state), "reason",
	    null_if_empty(target_reason_code(h->reason)), "description",
	    null_if_empty(target_reason_description(h->reason)),
	    "state_seconds", seconds_between(h->since_ms, walk->now_ms),
	    "consecutive_successes", (int)h->successes, "consecutive_failures",
	    (int)h->failures, "routable", (int)t->routable, "fail_open",
	    (int)t->fail_open, "standby", (int)t->standby, "last_check",
	    view_text(t->last_check), "last_check_us",
	    view_uint(t->last_check_us));
	if (object != NULL &&
	    ((h->deadline_ms != 0 &&
		 !view_put(object, "remaining_seconds",
		     seconds_between(walk->now_ms, h->deadline_ms))) ||
		(t->max_flows != CONF_NO_LIMIT &&
		    !view_put(object, "max_flows", view_uint(t->max_flows))) ||
		!put_target_counters(object, walk, t))) {
		json_decref(object);
		object = NULL;
	}
	walk_append(walk, object);
}

static json_t *
walk_targets(const struct admin_ops *ops, const char *group, uint64_t now_ms,
    const char *key, void (*append)(void *, const struct admin_target *))
{
	struct target_walk walk = {
	    .ops = ops,
	    .group = group,
	    .now_ms = now_ms,
	    .list = json_array(),
	};

	walk.failed = walk.list == NULL;
	ops->each_target(ops->owner, append, &walk);
	if (walk.failed) {
		json_decref(walk.list);
		return NULL;
	}
	return json_pack("{s:o}", key, walk.list);
}

json_t *
view_target_health(const struct admin_ops *ops, const char *group)
{
	return walk_targets(
	    ops, group, 0, "TargetHealthDescriptions", append_target_health);
}

json_t *
view_targets(const struct admin_ops *ops, const char *group, uint64_t now_ms)
{
	return walk_targets(ops, group, now_ms, "targets", append_target);
}

struct group_search {
	const char *name;
	bool found;
};

static void
search_group(void *arg, const struct admin_target *t)
{
	struct group_search *search = arg;

	if (strcmp(search->name, t->group) == 0)
		search->found = true;
}

bool
view_has_target_group(const struct admin_ops *ops, const char *group)
{
	const struct conf *conf = ops->conf(ops->owner);
	struct group_search search = {.name = group};
	size_t i;

	for (i = 0; i < conf->n_target_groups; i++) {
		if (strcmp(conf->target_groups[i].name, group) == 0)
			return true;
	}
	ops->each_target(ops->owner, search_group, &search);
	return search.found;
}
