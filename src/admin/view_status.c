/*
 * The whole state of one nlbd in one object.
 */
#include "admin/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct list_walk {
	const struct admin_ops *ops;
	const struct conf *conf;
	json_t *list;
	bool failed;
};

static void
append_worker(void *arg, const struct admin_worker *w)
{
	struct list_walk *walk = arg;
	json_t *object;

	object = json_pack("{s:i, s:i, s:s, s:o, s:o, s:o}", "index",
	    (int)w->index, "pid", (int)w->pid, "state", w->state,
	    "active_flows", view_uint(w->active_flows), "max_flows",
	    view_uint(w->max_flows), "generation", view_uint(w->generation));
	if (json_array_append_new(walk->list, object) != 0)
		walk->failed = true;
}

/* Empty for a listener that the config has no more. */
static json_t *
listener_target_groups(const struct conf *conf, const char *name)
{
	const struct conf_listener *l = conf_find_listener(conf, name);
	json_t *list = json_array();
	uint32_t i;

	for (i = 0; l != NULL && i < l->n_forwards; i++) {
		if (json_array_append_new(list,
			json_string(
			    conf->target_groups[l->forwards[i].group].name)) !=
		    0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* The same with their weights. */
static json_t *
listener_forwards(const struct conf *conf, const char *name)
{
	const struct conf_listener *l = conf_find_listener(conf, name);
	json_t *list = json_array();
	uint32_t i;

	for (i = 0; l != NULL && i < l->n_forwards; i++) {
		const struct conf_forward *f = &l->forwards[i];

		if (json_array_append_new(
			list, json_pack("{s:s, s:i}", "target_group",
				  conf->target_groups[f->group].name, "weight",
				  (int)f->weight)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static bool
put_listener_counters(
    json_t *object, const struct scoreboard *sb, uint16_t slot)
{
	struct sb_listener_sum sum;
	const char *key;

	scoreboard_sum_listener(sb, slot, &sum);
	/* "paused" says whether it is now; the counter takes another name. */
#define X(field, help)                                                 \
	key = strcmp(#field, "paused") == 0 ? "paused_count" : #field; \
	if (!view_put(object, key, view_uint(sum.field)))              \
		return false;
	SB_LISTENER_COUNTERS(X)
#undef X
	return true;
}

static void
append_listener(void *arg, const struct admin_listener *l)
{
	struct list_walk *walk = arg;
	char ip[ADDR_IP_STRLEN];
	json_t *object;

	addr_format_ip(&l->address, ip, sizeof(ip));
	object = json_pack("{s:s, s:s, s:i, s:o, s:o, s:b, s:b, s:o, s:o}",
	    "name", l->name, "address", ip, "port", (int)l->address.port,
	    "target_groups", listener_target_groups(walk->conf, l->name),
	    "forwards", listener_forwards(walk->conf, l->name), "paused",
	    (int)l->paused, "kernel_filter", (int)l->kernel_filter, "filter",
	    view_text(l->filter_text), "filter_drops",
	    view_uint(l->filter_drops));
	if (object != NULL &&
	    !put_listener_counters(object, walk->ops->scoreboard, l->slot)) {
		json_decref(object);
		object = NULL;
	}
	if (json_array_append_new(walk->list, object) != 0)
		walk->failed = true;
}

static json_t *
walk_done(struct list_walk *walk)
{
	if (!walk->failed)
		return walk->list;
	json_decref(walk->list);
	return NULL;
}

static json_t *
status_workers(const struct admin_ops *ops)
{
	struct list_walk walk = {.ops = ops, .list = json_array()};

	ops->each_worker(ops->owner, append_worker, &walk);
	return walk_done(&walk);
}

static json_t *
status_listeners(const struct admin_ops *ops)
{
	struct list_walk walk = {
	    .ops = ops,
	    .conf = ops->conf(ops->owner),
	    .list = json_array(),
	};

	ops->each_listener(ops->owner, append_listener, &walk);
	return walk_done(&walk);
}

static json_t *
status_target_groups(const struct view_groups *groups)
{
	const struct view_group *g;
	json_t *list = json_array(), *object;
	size_t i;

	for (i = 0; i < groups->n; i++) {
		g = &groups->list[i];
		object = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:b,"
				   " s:b, s:b, s:b}",
		    "name", g->name, "healthy", (int)g->healthy, "unhealthy",
		    (int)g->unhealthy, "initial", (int)g->initial, "draining",
		    (int)g->draining, "unused", (int)g->unused, "registered",
		    (int)g->registered, "fail_open", (int)g->fail_open,
		    "in_use", (int)g->in_use, "dns_healthy",
		    (int)g->dns_healthy, "on_standby", (int)g->on_standby);
		if (json_array_append_new(list, object) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* This node's zone, as DNS should see it. */
static json_t *
status_zone(const struct conf *conf, const struct view_groups *groups)
{
	const char *name = conf->lb.availability_zone;

	return json_pack("{s:s?, s:b}", "name", name[0] == '\0' ? NULL : name,
	    "healthy", (int)groups->zone_healthy);
}

static json_t *
status_flow_ends(const struct scoreboard *sb)
{
	uint64_t ends[FLOW_END_REASON_COUNT];
	json_t *object = json_object();
	unsigned i;

	scoreboard_sum_ends(sb, ends);
	for (i = 0; i < FLOW_END_REASON_COUNT; i++) {
		if (!view_put(object,
			flow_end_reason_code((enum flow_end_reason)i),
			view_uint(ends[i]))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

/* Not the Url: some are secrets. */
static void
append_receiver(void *arg, const struct admin_receiver *r)
{
	(void)json_array_append_new(arg,
	    json_pack("{s:s, s:s?, s:o, s:o, s:o, s:o}", "name", r->name,
		"error", r->error[0] == '\0' ? NULL : r->error, "waiting",
		view_uint(r->n_waiting), "sent", view_uint(r->n_sent), "failed",
		view_uint(r->n_failed), "dropped", view_uint(r->n_dropped)));
}

static json_t *
status_receivers(const struct admin_ops *ops)
{
	json_t *list = json_array();

	ops->each_receiver(ops->owner, append_receiver, list);
	return list;
}

static json_t *
status_config(const struct admin_status *status)
{
	static const char *const verdicts[] = {
	    [ADMIN_VERDICT_NONE] = "none",
	    [ADMIN_VERDICT_ACCEPTED] = "accepted",
	    [ADMIN_VERDICT_REJECTED] = "rejected",
	};
	/* null unless the running config is not what the file says. */
	const char *runtime = status->runtime_changes;
	char hash[17];

	if (runtime != NULL && runtime[0] == '\0')
		runtime = NULL;
	snprintf(hash, sizeof(hash), "%016" PRIx64, status->config_hash);
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:{s:s, s:o, s:o}}", "path",
	    view_text(status->config_path), "generation",
	    view_uint(status->config_generation), "hash", hash, "loaded_time",
	    view_time(status->config_loaded_ms), "runtime_changes",
	    view_text(runtime), "last_reload", "verdict",
	    verdicts[status->last_reload], "time",
	    view_time(status->last_reload_ms), "message",
	    view_text(status->last_reload_text));
}

static json_t *
status_build(const struct admin_ops *ops, const struct admin_status *status,
    const struct view_groups *groups, const struct view_problems *problems)
{
	static const char *const healths[] = {
	    [VIEW_OK] = "ok",
	    [VIEW_DEGRADED] = "degraded",
	    [VIEW_FAILING] = "failing",
	};

	return json_pack(
	    "{s:s, s:i, s:s, s:s, s:O, s:o, s:o, s:o, s:b, s:b, s:i, s:o,"
	    " s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
	    "version", NLBD_VERSION, "pid", (int)getpid(), "load_balancer",
	    ops->conf(ops->owner)->lb.name, "health", healths[problems->health],
	    "problems", problems->list, "start_time",
	    view_time(status->start_ms), "uptime_seconds",
	    view_uint(status->uptime_ms / 1000), "uptime_ms",
	    view_uint(status->uptime_ms), "stopping", (int)status->stopping,
	    "drained", (int)status->drained, "worker_restarts",
	    (int)status->worker_restarts, "active_flows",
	    view_uint(scoreboard_active_flows(ops->scoreboard)), "config",
	    status_config(status), "workers", status_workers(ops), "listeners",
	    status_listeners(ops), "target_groups",
	    status_target_groups(groups), "names", view_names(ops), "receivers",
	    status_receivers(ops), "zone",
	    status_zone(ops->conf(ops->owner), groups), "flow_ends",
	    status_flow_ends(ops->scoreboard));
}

/* Moves the list of view_targets into the status object. */
static bool
put_targets(json_t *root, const struct admin_ops *ops, uint64_t now_ms)
{
	json_t *targets = view_targets(ops, NULL, now_ms);

	if (targets == NULL || json_object_update(root, targets) != 0) {
		json_decref(targets);
		return false;
	}
	json_decref(targets);
	return true;
}

json_t *
view_status(const struct admin_ops *ops, unsigned include, uint64_t now_ms)
{
	struct admin_status status;
	struct view_groups groups;
	struct view_problems problems;
	json_t *root = NULL;

	memset(&status, 0, sizeof(status));
	ops->status(ops->owner, &status);
	view_groups_collect(ops, &groups);
	view_problems_collect(ops, &status, &groups, &problems);
	if (!groups.failed && !problems.failed)
		root = status_build(ops, &status, &groups, &problems);
	json_decref(problems.list);
	free(groups.list);
	if (root != NULL && (((include & VIEW_INCLUDE_TARGETS) != 0 &&
				 !put_targets(root, ops, now_ms)) ||
				((include & VIEW_INCLUDE_LATENCY) != 0 &&
				    !view_put_latencies(root, ops)))) {
		json_decref(root);
		return NULL;
	}
	return root;
}
