/*
 * The metrics in the shape of `aws cloudwatch list-metrics`, each with its
 * value.
 */
#include "admin/view.h"

#include "admin/metric_samples.h"

struct metric_walk {
	const char *load_balancer;
	const struct metric *only; /* NULL = all */
	bool coarsest;
	json_t *list;
	bool failed;
};

static void
put_dimension(
    struct metric_walk *walk, json_t *list, const char *name, const char *value)
{
	if (value != NULL &&
	    json_array_append_new(list, json_pack("{s:s, s:o}", "Name", name,
					    "Value", view_text(value))) != 0)
		walk->failed = true;
}

static json_t *
dimensions(struct metric_walk *walk, const struct metric_sample *s)
{
	json_t *list = json_array();
	char target[ADDR_STRLEN];

	put_dimension(walk, list, "AvailabilityZone", s->zone);
	put_dimension(walk, list, "LoadBalancer", walk->load_balancer);
	put_dimension(walk, list, "Listener", s->listener);
	put_dimension(walk, list, "TargetGroup", s->target_group);
	if (s->target != NULL)
		put_dimension(walk, list, "Target",
		    addr_format(s->target, target, sizeof(target)));
	return list;
}

/* The load balancer as a whole; where that says nothing, the target group. */
static bool
is_coarsest(const struct metric_sample *s)
{
	unsigned kept = s->metric->dimensions;

	return (kept & METRIC_BY_LOAD_BALANCER) != 0
		   ? s->by == METRIC_BY_LOAD_BALANCER
		   : s->by == METRIC_BY_TARGET_GROUP;
}

static void
append_sample(void *arg, const struct metric_sample *s)
{
	struct metric_walk *walk = arg;
	const struct metric *m = s->metric;
	bool is_aws = m->cloudwatch[0] != '\0';
	json_t *object;

	if ((walk->only != NULL && m != walk->only) ||
	    (walk->coarsest && !is_coarsest(s)))
		return;
	object = json_pack("{s:s, s:s, s:o, s:s, s:s, s:o}", "Namespace",
	    is_aws ? "AWS/NetworkELB" : "nlbd", "MetricName",
	    is_aws ? m->cloudwatch : m->name, "Dimensions", dimensions(walk, s),
	    "Unit", m->unit, "Kind",
	    m->kind == METRIC_COUNTER ? "counter" : "gauge", "Value",
	    view_uint(s->value));
	if (json_array_append_new(walk->list, object) != 0)
		walk->failed = true;
}

json_t *
view_metrics(
    const struct admin_ops *ops, unsigned by, const struct metric *only)
{
	struct metric_walk walk = {
	    .load_balancer = ops->conf(ops->owner)->lb.name,
	    .only = only,
	    .coarsest = by == 0,
	    .list = json_array(),
	};

	walk.failed = walk.list == NULL;
	if (metric_samples_each(ops,
		by != 0 ? by : METRIC_BY_LOAD_BALANCER | METRIC_BY_TARGET_GROUP,
		append_sample, &walk) < 0)
		walk.failed = true;
	if (!walk.failed)
		return json_pack("{s:o}", "Metrics", walk.list);
	json_decref(walk.list);
	return NULL;
}
