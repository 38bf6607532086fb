/*
 * A snapshot of the scoreboard and of the targets' states, then the table of
 * metrics over it.
 */
#include "admin/metric_samples.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/stdlib.h>

#include "admin/view.h"

/* ---- where a value stands in the sums --------------------------------- */

/* Offsets plus 1; 0 = none. The value is the sum of both. */
struct source {
	size_t listener[2], target[2];
};
#define L(field) (offsetof(struct sb_listener_sum, field) + 1)
#define T(field) (offsetof(struct sb_target_sum, field) + 1)

#define BOTH(field)              \
	{                        \
		{L(field)},      \
		{                \
			T(field) \
		}                \
	}
#define LISTENER(field)     \
	{                   \
		{L(field)}, \
		{           \
			0   \
		}           \
	}
#define TARGET(field)            \
	{                        \
		{0},             \
		{                \
			T(field) \
		}                \
	}
#define TWO(a, b)                  \
	{                          \
		{L(a), L(b)},      \
		{                  \
			T(a), T(b) \
		}                  \
	}

/* Those without a row come from elsewhere: host counts, the zone, peaks. */
static const struct source sources[METRIC_COUNT] = {
    [METRIC_ACTIVE_FLOWS] = BOTH(active_flows),
    [METRIC_NEW_FLOWS] = BOTH(new_flows),
    [METRIC_REJECTED_FLOWS] = LISTENER(rejected_flows),
    [METRIC_PROCESSED_BYTES] =
	TWO(client_to_target_bytes, target_to_client_bytes),
    [METRIC_CLIENT_TO_TARGET_BYTES] = BOTH(client_to_target_bytes),
    [METRIC_TARGET_TO_CLIENT_BYTES] = BOTH(target_to_client_bytes),
    [METRIC_PROCESSED_PACKETS] =
	TWO(client_to_target_packets, target_to_client_packets),
    [METRIC_CLIENT_TO_TARGET_PACKETS] = BOTH(client_to_target_packets),
    [METRIC_TARGET_TO_CLIENT_PACKETS] = BOTH(target_to_client_packets),
    [METRIC_CLIENT_RESETS] = BOTH(client_resets),
    [METRIC_TARGET_RESETS] = BOTH(target_resets),
    [METRIC_ELB_RESETS] = BOTH(elb_resets),
    [METRIC_UNHEALTHY_ROUTING_FLOWS] = BOTH(unhealthy_routing_flows),
    [METRIC_PORT_ALLOCATION_ERRORS] = BOTH(port_allocation_errors),
    /* and what the kernel dropped */
    [METRIC_SECURITY_GROUP_BLOCKED_INBOUND] = LISTENER(security_group_blocked),
    [METRIC_SECURITY_GROUP_BLOCKED_OUTBOUND] =
	LISTENER(security_group_blocked_outbound),
    [METRIC_NETWORK_ACL_BLOCKED] = LISTENER(network_acl_blocked),
    [METRIC_BLOCKED_CHECKS] = TARGET(blocked_checks),
    [METRIC_CONNECT_FAILURES] = TARGET(connect_failures),
    [METRIC_CONNECT_RETRIES] = LISTENER(connect_retries),
    [METRIC_PAUSES] = LISTENER(paused),
    [METRIC_PAUSED_WORKERS] = LISTENER(paused_workers),
};

static uint64_t
add_fields(const void *sums, const size_t offsets[2])
{
	uint64_t n = 0;

	for (int i = 0; i < 2; i++)
		if (offsets[i] != 0)
			n += *(
			    const uint64_t *)(const void *)((const char *)sums +
							    offsets[i] - 1);
	return n;
}

/* ---- the snapshot ----------------------------------------------------- */

struct listener_row {
	const char *name;
	struct sb_listener_sum sum;
	uint64_t filter_drops;
	struct admin_peaks peaks;
};

struct target_row {
	const char *group, *label;
	struct addr addr;
	struct sb_target_sum sum;
};

struct snapshot {
	const struct admin_ops *ops;
	struct listener_row *listeners, all; /* all: removed ones too */
	size_t n_listeners;
	struct target_row *targets;
	size_t n_targets;
	struct view_groups groups;
	struct sb_target_sum *group_sums; /* by group */
	const char *zone;                 /* NULL: the config names none */
	bool failed;
};

/* One more row, or NULL when out of memory. */
static void *
grow(void **rows, size_t *n, size_t size, bool *failed)
{
	char *p = *failed ? NULL : reallocarray(*rows, *n + 1, size);

	if (p == NULL) {
		*failed = true;
		return NULL;
	}
	*rows = p;
	p += (*n)++ * size;
	memset(p, 0, size);
	return p;
}

static void
add_listener(void *arg, const struct admin_listener *l)
{
	struct snapshot *s = arg;
	void *rows = s->listeners;
	struct listener_row *row =
	    grow(&rows, &s->n_listeners, sizeof(*row), &s->failed);

	s->listeners = rows;
	if (row == NULL)
		return;
	row->name = l->name;
	row->filter_drops = l->filter_drops;
	row->peaks = s->ops->peaks(s->ops->owner, l->slot);
	s->all.filter_drops += l->filter_drops;
	scoreboard_sum_listener(s->ops->scoreboard, l->slot, &row->sum);
}

static void
add_target(void *arg, const struct admin_target *t)
{
	struct snapshot *s = arg;
	void *rows = s->targets;
	struct target_row *row =
	    grow(&rows, &s->n_targets, sizeof(*row), &s->failed);

	s->targets = rows;
	if (row == NULL)
		return;
	row->group = t->group;
	row->label = t->label;
	row->addr = t->addr;
	scoreboard_sum_target(s->ops->scoreboard, t->slot, &row->sum);
}

/* Every target's group is there. The search begins at start. */
static size_t
find_group(const struct view_groups *groups, const char *name, size_t start)
{
	for (size_t i = start; i < groups->n; i++)
		if (strcmp(groups->list[i].name, name) == 0)
			return i;
	for (size_t i = 0; i < start; i++)
		if (strcmp(groups->list[i].name, name) == 0)
			return i;
	return groups->n; /* a sum that nobody reads */
}

static void
sum_groups(struct snapshot *s)
{
	s->group_sums = calloc(s->groups.n + 1, sizeof(*s->group_sums));
	if (s->group_sums == NULL) {
		s->failed = true;
		return;
	}
	for (size_t g = 0; g < s->groups.n; g++)
		s->group_sums[g] = s->ops->former_targets(
		    s->ops->owner, s->groups.list[g].name);
	/* Targets come group by group: the last one's is the usual hit. */
	for (size_t i = 0, g = 0; i < s->n_targets; i++) {
		g = find_group(&s->groups, s->targets[i].group, g);
		sb_target_sum_add(&s->group_sums[g], &s->targets[i].sum);
	}
}

static void
snapshot_take(struct snapshot *s, const struct admin_ops *ops)
{
	const struct conf *conf = ops->conf(ops->owner);

	*s = (struct snapshot){.ops = ops};
	if (conf->lb.availability_zone[0] != '\0')
		s->zone = conf->lb.availability_zone;
	ops->each_listener(ops->owner, add_listener, s);
	scoreboard_sum_listeners(ops->scoreboard, &s->all.sum);
	s->all.peaks = ops->peaks(ops->owner, SB_SLOT_NONE);
	ops->each_target(ops->owner, add_target, s);
	view_groups_collect(ops, &s->groups);
	s->failed = s->failed || s->groups.failed;
	if (!s->failed)
		sum_groups(s);
}

static void
snapshot_free(struct snapshot *s)
{
	free(s->listeners);
	free(s->targets);
	free(s->groups.list);
	free(s->group_sums);
}

/* ---- the walk --------------------------------------------------------- */

struct walk {
	const struct snapshot *snapshot;
	void (*fn)(void *arg, const struct metric_sample *s);
	void *arg;
};

static void
emit(const struct walk *w, struct metric_sample s, uint64_t value)
{
	s.value = value;
	w->fn(w->arg, &s);
}

static uint64_t
listener_value(enum metric_id id, const struct listener_row *row)
{
	uint64_t n = add_fields(&row->sum, sources[id].listener);

	switch (id) {
	case METRIC_PEAK_BYTES:
		return row->peaks.bytes_per_second;
	case METRIC_PEAK_PACKETS:
		return row->peaks.packets_per_second;
	case METRIC_SECURITY_GROUP_BLOCKED_INBOUND:
		return n + row->filter_drops;
	default:
		return n;
	}
}

static uint64_t
node_value(enum metric_id id, const struct snapshot *s)
{
	return id == METRIC_ZONE_HEALTHY ? s->groups.zone_healthy
					 : listener_value(id, &s->all);
}

static uint64_t
group_value(enum metric_id id, const struct snapshot *s, size_t g)
{
	if (id == METRIC_HEALTHY_HOSTS)
		return s->groups.list[g].healthy;
	if (id == METRIC_UNHEALTHY_HOSTS)
		return s->groups.list[g].unhealthy;
	return add_fields(&s->group_sums[g], sources[id].target);
}

static void
emit_groups(const struct walk *w, enum metric_id id, struct metric_sample s)
{
	const struct view_groups *groups = &w->snapshot->groups;

	for (size_t g = 0; g < groups->n; g++) {
		s.target_group = groups->list[g].name;
		emit(w, s, group_value(id, w->snapshot, g));
	}
}

static void
emit_listeners(const struct walk *w, enum metric_id id, struct metric_sample s)
{
	for (size_t i = 0; i < w->snapshot->n_listeners; i++) {
		s.listener = w->snapshot->listeners[i].name;
		emit(w, s, listener_value(id, &w->snapshot->listeners[i]));
	}
}

static void
emit_targets(const struct walk *w, enum metric_id id, struct metric_sample s)
{
	for (size_t i = 0; i < w->snapshot->n_targets; i++) {
		const struct target_row *row = &w->snapshot->targets[i];

		s.target_group = row->group;
		s.target = &row->addr;
		s.target_label = row->label;
		emit(w, s, add_fields(&row->sum, sources[id].target));
	}
}

static void
emit_by(const struct walk *w, enum metric_id id, enum metric_dimension by)
{
	struct metric_sample s = {.metric = &metrics[id], .by = by};

	switch (by) {
	case METRIC_BY_ZONE:
		s.zone = w->snapshot->zone;
		if (s.zone == NULL)
			return;
		if ((s.metric->dimensions & METRIC_BY_TARGET_GROUP) != 0 &&
		    (s.metric->dimensions & METRIC_BY_LOAD_BALANCER) == 0) {
			emit_groups(w, id, s);
			return;
		}
		emit(w, s, node_value(id, w->snapshot));
		return;
	case METRIC_BY_LOAD_BALANCER:
		emit(w, s, node_value(id, w->snapshot));
		return;
	case METRIC_BY_TARGET_GROUP:
		emit_groups(w, id, s);
		return;
	case METRIC_BY_LISTENER:
		emit_listeners(w, id, s);
		return;
	case METRIC_BY_TARGET:
		emit_targets(w, id, s);
		return;
	}
}

int
metric_samples_each(const struct admin_ops *ops, unsigned by,
    void (*fn)(void *arg, const struct metric_sample *s), void *arg)
{
	struct snapshot snapshot;
	struct walk w = {.snapshot = &snapshot, .fn = fn, .arg = arg};
	int rc = 0;

	snapshot_take(&snapshot, ops);
	if (snapshot.failed)
		rc = -ENOMEM;
	for (int id = 0; rc == 0 && id < METRIC_COUNT; id++)
		for (unsigned bit = 0; bit < METRIC_DIMENSIONS; bit++)
			if ((by & metrics[id].dimensions & 1u << bit) != 0)
				emit_by(&w, (enum metric_id)id,
				    (enum metric_dimension)(1u << bit));
	snapshot_free(&snapshot);
	return rc;
}
