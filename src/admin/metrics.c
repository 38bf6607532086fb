/*
 * What stands on the page, family by family. Every series is there from the
 * start, with 0: a rate needs a first value. No label comes from the network:
 * they are names and addresses of the config, reasons of nlbd's own table, and
 * numbers of workers.
 *
 * A metric that is kept by listener, target group and target has one family for
 * each, as a sum over one family must not count a flow twice. A group's counter
 * keeps what targets had that have left; a sum over its targets would go back.
 */
#include "admin/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/string.h>

#include "admin/exposition.h"
#include "admin/metric_samples.h"
#include "admin/view.h"

#define FORMAT_OPEN_METRICS "application/openmetrics-text"

/* ---- the table -------------------------------------------------------- */

struct table_walk {
	struct exposition *e;
	const struct metric *metric; /* whose family is open */
	enum metric_dimension by;
};

static const char *
prefix_of(enum metric_dimension by)
{
	switch (by) {
	case METRIC_BY_LISTENER:
		return "nlbd_listener_";
	case METRIC_BY_TARGET:
		return "nlbd_target_";
	case METRIC_BY_TARGET_GROUP:
		return "nlbd_target_group_";
	case METRIC_BY_LOAD_BALANCER:
	case METRIC_BY_ZONE:
		return "nlbd_";
	}
	return "nlbd_";
}

static void
begin_metric(struct table_walk *walk, const struct metric_sample *s)
{
	const struct metric *m = s->metric;
	char name[EXPOSITION_NAME_MAX];
	size_t len;

	if (walk->metric == m && walk->by == s->by)
		return;
	walk->metric = m;
	walk->by = s->by;
	len = (size_t)snprintf(
	    name, sizeof(name), "%s%s", prefix_of(s->by), m->name);
	if (m->kind == METRIC_COUNTER && len < sizeof(name))
		name[len - strlen("_total")] = '\0';
	exposition_family(walk->e,
	    m->kind == METRIC_COUNTER ? EXPOSITION_COUNTER : EXPOSITION_GAUGE,
	    name, m->help, m->cloudwatch);
}

static void
put_sample(void *arg, const struct metric_sample *s)
{
	struct table_walk *walk = arg;
	struct exposition_label labels[3] = {{NULL, NULL}};
	char address[ADDR_STRLEN];

	begin_metric(walk, s);
	if (s->listener != NULL)
		labels[0] = (struct exposition_label){"listener", s->listener};
	if (s->target_group != NULL)
		labels[0] =
		    (struct exposition_label){"target_group", s->target_group};
	if (s->target != NULL)
		labels[1] = (struct exposition_label){
		    "target", addr_format(s->target, address, sizeof(address))};
	exposition_uint(walk->e, labels, s->value);
}

/* ---- the daemon ------------------------------------------------------- */

static void
put_flow_ends(struct exposition *e, const struct scoreboard *sb)
{
	uint64_t ends[FLOW_END_REASON_COUNT];

	scoreboard_sum_ends(sb, ends);
	exposition_family(e, EXPOSITION_COUNTER, "nlbd_flow_ends",
	    "flows that ended, by the reason that nlbd(8) lists", "");
	for (unsigned i = 0; i < FLOW_END_REASON_COUNT; i++) {
		struct exposition_label labels[] = {
		    {"reason", flow_end_reason_code((enum flow_end_reason)i)},
		    {NULL, NULL}};

		exposition_uint(e, labels, ends[i]);
	}
}

static void
put_info(struct exposition *e, const struct conf *conf, uint64_t config_hash)
{
	char hash[17];
	struct exposition_label build[] = {
	    {"version", NLBD_VERSION}, {NULL, NULL}};
	struct exposition_label lb[] = {{"load_balancer", conf->lb.name},
	    {"zone", conf->lb.availability_zone}, {NULL, NULL}};
	struct exposition_label config[] = {{"hash", hash}, {NULL, NULL}};

	snprintf(hash, sizeof(hash), "%016" PRIx64, config_hash);
	exposition_family(
	    e, EXPOSITION_INFO, "nlbd_build", "the nlbd that runs", "");
	exposition_uint(e, build, 1);
	exposition_family(e, EXPOSITION_INFO, "nlbd_load_balancer",
	    "names from the configuration", "");
	exposition_uint(e, lb, 1);
	exposition_family(e, EXPOSITION_INFO, "nlbd_config",
	    "the configuration in force, by a hash of its bytes", "");
	exposition_uint(e, config, 1);
}

static void
put_reloads(struct exposition *e, const struct admin_status *status)
{
	struct exposition_label accepted[] = {
	    {"verdict", "accepted"}, {NULL, NULL}};
	struct exposition_label rejected[] = {
	    {"verdict", "rejected"}, {NULL, NULL}};

	exposition_family(e, EXPOSITION_COUNTER, "nlbd_config_reloads",
	    "reloads by their verdict", "");
	exposition_uint(e, accepted, status->reloads_accepted);
	exposition_uint(e, rejected, status->reloads_rejected);
	exposition_family(e, EXPOSITION_GAUGE,
	    "nlbd_config_last_reload_successful",
	    "0 when the last reload was rejected and an older file is in "
	    "force",
	    "");
	exposition_uint(e, NULL, status->last_reload != ADMIN_VERDICT_REJECTED);
	exposition_family(e, EXPOSITION_GAUGE,
	    "nlbd_config_last_reload_timestamp_seconds",
	    "when the last reload was asked for; 0 before the first", "");
	exposition_seconds(e, NULL, status->last_reload_ms);
	exposition_family(e, EXPOSITION_GAUGE,
	    "nlbd_config_loaded_timestamp_seconds",
	    "when the configuration in force was read", "");
	exposition_seconds(e, NULL, status->config_loaded_ms);
	exposition_family(e, EXPOSITION_GAUGE, "nlbd_config_generation",
	    "configurations put in force since the start", "");
	exposition_uint(e, NULL, status->config_generation);
}

static void
put_daemon(struct exposition *e, const struct admin_ops *ops,
    const struct admin_status *status)
{
	put_info(e, ops->conf(ops->owner), status->config_hash);
	put_reloads(e, status);
	exposition_family(e, EXPOSITION_GAUGE, "nlbd_start_time_seconds",
	    "when the supervisor started", "");
	exposition_seconds(e, NULL, status->start_ms);
	exposition_family(e, EXPOSITION_GAUGE, "nlbd_stopping",
	    "1 while nlbd takes no more flows and waits for those it has", "");
	exposition_uint(e, NULL, status->stopping);
	exposition_family(e, EXPOSITION_COUNTER, "nlbd_worker_restarts",
	    "workers that ended and were replaced", "");
	exposition_uint(e, NULL, status->worker_restarts);
	exposition_family(e, EXPOSITION_COUNTER, "nlbd_flow_log_lost_records",
	    "flow log records that were lost because the log was slow or full",
	    "");
	exposition_uint(e, NULL,
	    scoreboard_dropped_records(ops->scoreboard) +
		status->flow_records_lost);
	exposition_family(e, EXPOSITION_COUNTER, "nlbd_event_log_lost_lines",
	    "lines that standard error did not take at once", "");
	exposition_uint(e, NULL, status->log_lines_lost);
}

/* ---- families with a sample for each of something --------------------- */

struct each_walk {
	struct exposition *e;
	const struct scoreboard *sb;
	unsigned index; /* of what the walk is about */
};

static void
put_connects(void *arg, const struct admin_listener *l)
{
	const struct each_walk *walk = arg;
	struct exposition_label labels[] = {
	    {"listener", l->name}, {NULL, NULL}};
	struct latency latency;

	scoreboard_sum_connects(walk->sb, l->slot, &latency);
	exposition_latency(walk->e, labels, &latency);
}

static void
put_listeners(struct exposition *e, const struct admin_ops *ops)
{
	struct each_walk walk = {.e = e, .sb = ops->scoreboard};

	exposition_family(e, EXPOSITION_HISTOGRAM,
	    "nlbd_listener_connect_duration_seconds",
	    "how long a flow's connect to its target took, when it succeeded",
	    "");
	ops->each_listener(ops->owner, put_connects, &walk);
}

enum worker_family {
	WORKER_ACTIVE_FLOWS,
	WORKER_MAX_FLOWS,
	WORKER_SERVING,
	WORKER_LOOP_LAG,
	WORKER_FAMILIES,
};

static void
put_worker(void *arg, const struct admin_worker *w)
{
	const struct each_walk *walk = arg;
	char index[12];
	struct exposition_label labels[] = {{"worker", index}, {NULL, NULL}};
	struct latency turns;

	snprintf(index, sizeof(index), "%" PRIu32, w->index);
	switch (walk->index) {
	case WORKER_ACTIVE_FLOWS:
		exposition_uint(walk->e, labels, w->active_flows);
		break;
	case WORKER_MAX_FLOWS:
		exposition_uint(walk->e, labels, w->max_flows);
		break;
	case WORKER_SERVING:
		exposition_uint(
		    walk->e, labels, strcmp(w->state, "serving") == 0);
		break;
	default:
		scoreboard_sum_turns(walk->sb, w->index, &turns);
		exposition_latency(walk->e, labels, &turns);
		break;
	}
}

static void
put_workers(struct exposition *e, const struct admin_ops *ops)
{
	static const struct {
		enum exposition_type type;
		const char *name, *help;
	} families[WORKER_FAMILIES] = {
	    [WORKER_ACTIVE_FLOWS] = {EXPOSITION_GAUGE,
		"nlbd_worker_active_flows", "flows of the worker now"},
	    [WORKER_MAX_FLOWS] = {EXPOSITION_GAUGE, "nlbd_worker_max_flows",
		"flows that its descriptors and MaxFlows allow it"},
	    [WORKER_SERVING] = {EXPOSITION_GAUGE, "nlbd_worker_serving",
		"1 while it takes flows; 0 while it starts or drains"},
	    [WORKER_LOOP_LAG] = {EXPOSITION_HISTOGRAM,
		"nlbd_worker_loop_lag_seconds",
		"how long a turn of its event loop kept later events waiting"},
	};
	struct each_walk walk = {.e = e, .sb = ops->scoreboard};

	for (walk.index = 0; walk.index < WORKER_FAMILIES; walk.index++) {
		exposition_family(e, families[walk.index].type,
		    families[walk.index].name, families[walk.index].help, "");
		ops->each_worker(ops->owner, put_worker, &walk);
	}
}

enum target_family {
	TARGET_IS_HEALTHY,
	TARGET_IS_ROUTABLE,
	TARGET_CHECKS,
	TARGET_CHECK_DURATION,
	TARGET_FAMILIES,
};

static void
put_checks(struct exposition *e, const char *group, const char *target,
    const uint64_t *results)
{
	static const char *const names[PROBE_RESULTS] = {
	    [PROBE_SUCCESS] = "success",
	    [PROBE_FAILURE] = "failure",
	    [PROBE_VOID] = "void",
	};

	for (unsigned i = 0; i < PROBE_RESULTS; i++) {
		struct exposition_label labels[] = {{"target_group", group},
		    {"target", target}, {"result", names[i]}, {NULL, NULL}};

		exposition_uint(e, labels, results[i]);
	}
}

static void
put_target(void *arg, const struct admin_target *t)
{
	const struct each_walk *walk = arg;
	char address[ADDR_STRLEN];
	struct exposition_label labels[] = {{"target_group", t->group},
	    {"target", addr_format(&t->addr, address, sizeof(address))},
	    {NULL, NULL}};

	switch (walk->index) {
	case TARGET_IS_HEALTHY:
		exposition_uint(
		    walk->e, labels, t->health->state == TARGET_HEALTHY);
		break;
	case TARGET_IS_ROUTABLE:
		exposition_uint(walk->e, labels, t->routable);
		break;
	case TARGET_CHECKS:
		put_checks(walk->e, t->group, address, t->check_results);
		break;
	default:
		exposition_latency(walk->e, labels, t->check_latency);
		break;
	}
}

static void
put_targets(struct exposition *e, const struct admin_ops *ops)
{
	static const struct {
		enum exposition_type type;
		const char *name, *help;
	} families[TARGET_FAMILIES] = {
	    [TARGET_IS_HEALTHY] = {EXPOSITION_GAUGE, "nlbd_target_healthy",
		"1 while the target is in state healthy"},
	    [TARGET_IS_ROUTABLE] = {EXPOSITION_GAUGE, "nlbd_target_routable",
		"1 while the target may get new flows"},
	    [TARGET_CHECKS] = {EXPOSITION_COUNTER, "nlbd_target_health_checks",
		"health checks by their result; void says nothing about the "
		"target"},
	    [TARGET_CHECK_DURATION] = {EXPOSITION_HISTOGRAM,
		"nlbd_target_health_check_duration_seconds",
		"how long health checks of the target took"},
	};
	struct each_walk walk = {.e = e, .sb = ops->scoreboard};

	for (walk.index = 0; walk.index < TARGET_FAMILIES; walk.index++) {
		exposition_family(e, families[walk.index].type,
		    families[walk.index].name, families[walk.index].help, "");
		ops->each_target(ops->owner, put_target, &walk);
	}
}

static void
put_groups(struct exposition *e, const struct view_groups *groups)
{
	exposition_family(e, EXPOSITION_GAUGE, "nlbd_target_group_fail_open",
	    "1 while too few targets are healthy and flows go to all", "");
	for (size_t i = 0; i < groups->n; i++) {
		struct exposition_label labels[] = {
		    {"target_group", groups->list[i].name}, {NULL, NULL}};

		exposition_uint(e, labels, groups->list[i].fail_open);
	}
	exposition_family(e, EXPOSITION_GAUGE,
	    "nlbd_target_group_registered_hosts",
	    "targets that the configuration names", "");
	for (size_t i = 0; i < groups->n; i++) {
		struct exposition_label labels[] = {
		    {"target_group", groups->list[i].name}, {NULL, NULL}};

		exposition_uint(e, labels, groups->list[i].registered);
	}
}

/* By what became of them, one series each. */
static void
put_receiver(void *arg, const struct admin_receiver *r)
{
	const struct each_walk *walk = arg;
	const struct {
		const char *result;
		uint64_t n;
	} counts[] = {{"sent", r->n_sent}, {"failed", r->n_failed},
	    {"dropped", r->n_dropped}};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct exposition_label labels[] = {{"notify", r->name},
		    {"result", counts[i].result}, {NULL, NULL}};

		exposition_uint(walk->e, labels, counts[i].n);
	}
}

static void
put_receivers(struct exposition *e, const struct admin_ops *ops)
{
	struct each_walk walk = {.e = e};

	exposition_family(e, EXPOSITION_COUNTER, "nlbd_notifications",
	    "events for receivers of [notify] sections, by what became of "
	    "them",
	    "");
	ops->each_receiver(ops->owner, put_receiver, &walk);
}

/* ---- the page --------------------------------------------------------- */

const char *
metrics_content_type(bool open_metrics)
{
	return open_metrics ? FORMAT_OPEN_METRICS
		   "; version=1.0.0; charset=utf-8"
			    : "text/plain; version=0.0.4; charset=utf-8";
}

bool
metrics_wants_open_metrics(const char *accept)
{
	return accept != NULL && strstr(accept, FORMAT_OPEN_METRICS) != NULL;
}

/* False: out of memory. */
static bool
put_page(struct exposition *e, const struct admin_ops *ops)
{
	struct table_walk walk = {.e = e};
	struct admin_status status;
	struct view_groups groups;
	int rc = metric_samples_each(ops,
	    METRIC_BY_LOAD_BALANCER | METRIC_BY_LISTENER |
		METRIC_BY_TARGET_GROUP | METRIC_BY_TARGET,
	    put_sample, &walk);

	if (rc != 0)
		return false;
	view_groups_collect(ops, &groups);
	memset(&status, 0, sizeof(status));
	ops->status(ops->owner, &status);
	put_groups(e, &groups);
	put_targets(e, ops);
	put_listeners(e, ops);
	put_workers(e, ops);
	put_receivers(e, ops);
	put_flow_ends(e, ops->scoreboard);
	put_daemon(e, ops, &status);
	exposition_end(e);
	free(groups.list);
	return !groups.failed;
}

char *
metrics_page(const struct admin_ops *ops, bool open_metrics, size_t *n)
{
	struct exposition e = {.open_metrics = open_metrics};
	char *text = NULL;
	bool good;

	e.out = open_memstream(&text, n);
	if (e.out == NULL)
		return NULL;
	good = put_page(&e, ops);
	if (fclose(e.out) != 0 || !good) {
		free(text);
		return NULL;
	}
	return text;
}
