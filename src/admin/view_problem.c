/*
 * What is wrong now, in sentences that end with what to do about it, and the
 * overall health they add up to.
 */
#include "admin/view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/string.h>

static void __attribute__((format(printf, 3, 4)))
problem_add(struct view_problems *problems, enum view_health health,
    const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (json_array_append_new(problems->list, view_text(text)) != 0)
		problems->failed = true;
	if (health > problems->health)
		problems->health = health;
}

static struct view_group *
group_find_or_add(struct view_groups *groups, const char *name)
{
	struct view_group *list;
	size_t i;

	/* Targets come group by group: the last one is the usual hit. */
	for (i = groups->n; i-- > 0;) {
		if (strcmp(groups->list[i].name, name) == 0)
			return &groups->list[i];
	}
	list = reallocarray(groups->list, groups->n + 1, sizeof(*list));
	if (list == NULL) {
		groups->failed = true;
		return NULL;
	}
	groups->list = list;
	memset(&list[groups->n], 0, sizeof(*list));
	strlcpy(list[groups->n].name, name, sizeof(list[groups->n].name));
	return &list[groups->n++];
}

static void
group_count_bad(struct view_group *g, const struct admin_target *t)
{
	g->unhealthy++;
	if (g->bad_target[0] != '\0')
		return;
	addr_format(&t->addr, g->bad_target, sizeof(g->bad_target));
	strlcpy(g->bad_detail, t->last_check == NULL ? "" : t->last_check,
	    sizeof(g->bad_detail));
}

static void
group_count(void *arg, const struct admin_target *t)
{
	struct view_group *g = group_find_or_add(arg, t->group);

	if (g == NULL)
		return;
	if (t->label[0] != '\0')
		g->registered++;
	if (t->fail_open)
		g->fail_open = true;
	if (t->standby && t->routable && !t->fail_open)
		g->on_standby = true;
	g->zone.registered += target_is_registered(t->health);
	g->zone.healthy += t->health->state == TARGET_HEALTHY;
	switch (t->health->state) {
	case TARGET_INITIAL:
		g->initial++;
		break;
	case TARGET_HEALTHY:
		g->healthy++;
		break;
	case TARGET_UNHEALTHY:
	case TARGET_UNHEALTHY_DRAINING:
	case TARGET_UNAVAILABLE:
		group_count_bad(g, t);
		break;
	case TARGET_DRAINING:
		g->draining++;
		break;
	case TARGET_UNUSED:
	case TARGET_STATE_COUNT:
		g->unused++;
		break;
	}
}

/* The first rows of groups are the config's, in its order. */
static void
judge_zone(const struct admin_ops *ops, const struct conf *conf,
    struct view_groups *groups)
{
	struct admin_status status;
	size_t i;

	memset(&status, 0, sizeof(status));
	ops->status(ops->owner, &status);
	groups->zone_healthy = !status.drained;
	for (i = 0; i < groups->n; i++) {
		struct view_group *g = &groups->list[i];

		if (i < conf->n_target_groups) {
			g->zone.minimum_count =
			    conf->target_groups[i].dns_failover_count;
			g->zone.minimum_percentage =
			    conf->target_groups[i].dns_failover_percentage;
		}
		g->dns_healthy = zone_group_is_healthy(&g->zone);
		groups->zone_healthy = groups->zone_healthy && g->dns_healthy;
	}
}

void
view_groups_collect(const struct admin_ops *ops, struct view_groups *groups)
{
	const struct conf *conf = ops->conf(ops->owner);
	struct view_group *g;
	size_t i, j;

	memset(groups, 0, sizeof(*groups));
	for (i = 0; i < conf->n_target_groups; i++) {
		g = group_find_or_add(groups, conf->target_groups[i].name);
		if (g != NULL)
			g->by_name = conf->target_groups[i].n_dns_targets > 0;
	}
	if (groups->failed)
		return;
	for (i = 0; i < conf->n_listeners; i++) {
		for (j = 0; j < conf->listeners[i].n_forwards; j++) {
			/* The first rows are the config's, in its order. */
			g = &groups->list[conf->listeners[i].forwards[j].group];
			g->in_use = true;
			if (conf->listeners[i].forwards[j].weight > 0)
				g->zone.carries_flows = true;
		}
	}
	ops->each_target(ops->owner, group_count, groups);
	judge_zone(ops, conf, groups);
}

static void
group_problems(struct view_problems *problems, const struct view_group *g)
{
	const char *bad_sep = g->bad_detail[0] == '\0' ? "" : ": ";

	if (!g->in_use)
		return;
	if (g->registered == 0 && g->by_name) {
		problem_add(problems, VIEW_FAILING,
		    "Target group %s has no target: its DNS names are not "
		    "resolved, every connection is refused. `nlbctl status` "
		    "tells why; correct the record, Resolvers or the outbound "
		    "rules.",
		    g->name);
	} else if (g->registered == 0) {
		problem_add(problems, VIEW_FAILING,
		    "Target group %s has no target: every connection is "
		    "refused. Add a Target line and run `nlbctl reload`.",
		    g->name);
	} else if (g->unused >= g->registered) {
		problem_add(problems, VIEW_FAILING,
		    "All targets of group %s are in other zones than this "
		    "node: every connection is refused. Set "
		    "load_balancing.cross_zone.enabled = true or correct "
		    "AvailabilityZone, and run `nlbctl reload`.",
		    g->name);
	} else if (g->healthy == 0 && g->unhealthy == 0) {
		problem_add(problems, VIEW_DEGRADED,
		    "Target group %s has no healthy target yet: the first "
		    "health checks are under way. Wait for one interval.",
		    g->name);
	} else if (g->healthy == 0) {
		problem_add(problems, VIEW_FAILING,
		    "Target group %s has no healthy target%s (%s%s%s). Start "
		    "the servers or open their firewall; `nlbctl "
		    "describe-target-health` shows each one.",
		    g->name,
		    g->fail_open ? ", new connections go to all of them" : "",
		    g->bad_target, bad_sep, g->bad_detail);
	} else if (g->on_standby) {
		problem_add(problems, VIEW_DEGRADED,
		    "Target group %s runs on its standby targets: no active "
		    "one is healthy%s%s%s. Mend those; new flows return to "
		    "them by themselves.",
		    g->name, g->bad_target[0] == '\0' ? "" : " (",
		    g->bad_target, g->bad_target[0] == '\0' ? "" : ")");
	} else if (g->unhealthy > 0) {
		problem_add(problems, VIEW_DEGRADED,
		    "%u of %u targets of group %s %s unhealthy (%s%s%s). "
		    "Look at that server; it comes back by itself once its "
		    "health checks pass.",
		    g->unhealthy, g->registered, g->name,
		    g->unhealthy == 1 ? "is" : "are", g->bad_target, bad_sep,
		    g->bad_detail);
	}
}

/* Some healthy targets, and still not enough: without any, group_problems has
 * said what matters. */
static void
zone_problems(struct view_problems *problems, const struct view_group *g)
{
	if (g->dns_healthy || g->healthy == 0)
		return;
	problem_add(problems, VIEW_DEGRADED,
	    "This zone is unhealthy for DNS: group %s has %u of %u targets "
	    "healthy, fewer than target_group_health.dns_failover."
	    "minimum_healthy_targets asks for. Mend its targets or lower the "
	    "threshold.",
	    g->name, g->zone.healthy, g->zone.registered);
}

struct problem_walk {
	const struct conf *conf;
	struct view_problems *problems;
	uint32_t n_workers, n_serving;
};

static void
listener_problems(void *arg, const struct admin_listener *l)
{
	struct problem_walk *walk = arg;
	const struct conf_listener *conf;

	conf = conf_find_listener(walk->conf, l->name);
	if (l->paused) {
		problem_add(walk->problems, VIEW_DEGRADED,
		    "Listener %s is paused: its flows are at the limit, new "
		    "connections wait in the kernel. Raise MaxFlows or the "
		    "limit of open files (LimitNOFILE), or find the source "
		    "with `nlbctl flows`.",
		    l->name);
	}
	if (conf != NULL && !conf_listener_is_open(conf) && !l->kernel_filter) {
		problem_add(walk->problems, VIEW_DEGRADED,
		    "Listener %s checks its security groups in user space "
		    "only (%s). Refused sources see a reset instead of "
		    "silence; merge rules until they fit the kernel's filter.",
		    l->name, l->filter_text);
	}
}

static void
worker_problems(void *arg, const struct admin_worker *w)
{
	struct problem_walk *walk = arg;

	walk->n_workers++;
	if (strcmp(w->state, "serving") == 0)
		walk->n_serving++;
	else if (strcmp(w->state, "draining") != 0)
		problem_add(walk->problems, VIEW_DEGRADED,
		    "Worker %u is %s and takes no connections yet. If it "
		    "stays so, the log says why.",
		    w->index, w->state);
}

static void
name_problems(void *arg, const struct admin_name *n)
{
	struct problem_walk *walk = arg;

	if (n->error[0] != '\0')
		problem_add(walk->problems, VIEW_DEGRADED,
		    "Name %s of group %s cannot be resolved (%s): the "
		    "addresses known before stay, %zu of them. Look at its DNS "
		    "record and at Resolvers; nlbd asks again by itself.",
		    n->host, n->group, n->error, n->n_addresses);
	if (n->refused[0] != '\0')
		problem_add(walk->problems, VIEW_DEGRADED,
		    "Name %s of group %s has addresses that are left out: %s. "
		    "Correct its DNS record, or the Outbound rules if they "
		    "are meant.",
		    n->host, n->group, n->refused);
}

static void
receiver_problems(void *arg, const struct admin_receiver *r)
{
	struct problem_walk *walk = arg;

	if (r->error[0] != '\0')
		problem_add(walk->problems, VIEW_DEGRADED,
		    "Notify %s cannot be told of events: %s. Look at its "
		    "receiver and at Url; nlbd tries again with the next "
		    "event.",
		    r->name, r->error);
}

static void
process_problems(
    const struct admin_status *status, struct view_problems *problems)
{
	if (status->stopping)
		problem_add(problems, VIEW_DEGRADED,
		    "nlbd is stopping: it takes no new connections and waits "
		    "for the flows it has. Send SIGTERM again to end them.");
	if (status->drained && !status->stopping)
		problem_add(problems, VIEW_DEGRADED,
		    "This node is drained: DNS is told to leave it, and who "
		    "still comes is served. Stop nlbd after `nlbctl wait "
		    "drained`, or take it back with `nlbctl drain-node "
		    "--undo`.");
	if (status->last_reload == ADMIN_VERDICT_REJECTED)
		problem_add(problems, VIEW_DEGRADED,
		    "The last reload was rejected, the configuration before it "
		    "stays in force (%s). Correct %s, then `nlbctl check` and "
		    "`nlbctl reload`.",
		    status->last_reload_text == NULL ? "see the log"
						     : status->last_reload_text,
		    status->config_path);
}

void
view_problems_collect(const struct admin_ops *ops,
    const struct admin_status *status, const struct view_groups *groups,
    struct view_problems *problems)
{
	struct problem_walk walk = {
	    .conf = ops->conf(ops->owner),
	    .problems = problems,
	};
	size_t i;

	memset(problems, 0, sizeof(*problems));
	problems->list = json_array();
	process_problems(status, problems);
	ops->each_worker(ops->owner, worker_problems, &walk);
	if (walk.n_serving == 0 && !status->stopping)
		problem_add(problems, VIEW_FAILING,
		    "No worker is serving: connections wait in the kernel. "
		    "The log says why the workers ended.");
	ops->each_listener(ops->owner, listener_problems, &walk);
	ops->each_name(ops->owner, name_problems, &walk);
	ops->each_receiver(ops->owner, receiver_problems, &walk);
	for (i = 0; i < groups->n; i++) {
		group_problems(problems, &groups->list[i]);
		zone_problems(problems, &groups->list[i]);
	}
}
