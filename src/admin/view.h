/*
 * What the admin interface shows, as JSON: built from the daemon's answers
 * (struct admin_ops) and the scoreboard. Pure apart from those: no sockets.
 *
 * All view_ functions return a new reference, or NULL when out of memory.
 */
#ifndef ADMIN_VIEW_H
#define ADMIN_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "admin/admin.h"
#include "nlb/arn.h"
#include "nlb/metric.h"
#include "nlb/zone_health.h"

struct view_flow_query {
	uint32_t limit;
	char target[ADDR_STRLEN]; /* "ip" or "ip:port"; "" = all */
	char listener[CONF_NAME_MAX + 1];
};

/* What a status has besides. */
enum view_include {
	VIEW_INCLUDE_TARGETS = 1,
	VIEW_INCLUDE_LATENCY = 2, /* histograms */
};

/* now_ms is the clock of struct target.since_ms. */
json_t *view_status(
    const struct admin_ops *ops, unsigned include, uint64_t now_ms);
/* Exactly what `aws elbv2 describe-target-health` prints. group NULL = all. */
json_t *view_target_health(const struct admin_ops *ops, const char *group);
/* The same targets with all that is known of them. */
json_t *view_targets(
    const struct admin_ops *ops, const char *group, uint64_t now_ms);
/* An array of the DNS names among the targets. */
json_t *view_names(const struct admin_ops *ops);
/* One of them; a name may be NULL. */
json_t *view_flow(const struct flow_record *r, const char *listener,
    const char *target_group);
bool view_flow_matches(const struct view_flow_query *query,
    const struct flow_record *r, const char *listener);
json_t *view_flows(const struct admin_ops *ops,
    const struct view_flow_query *query, const struct flow_record *records,
    size_t n, uint32_t missing_workers);
/* by: METRIC_BY_ bits; 0: each metric by what it says most shortly, the load
 * balancer or the target group. only: one metric, or NULL for all. */
json_t *view_metrics(
    const struct admin_ops *ops, unsigned by, const struct metric *only);
json_t *view_verdict(bool accepted, const char *text);
/* As in the ELBv2 API: {"Attributes": [...]} of the load balancer, a listener
 * or a target group; index is the section's number in conf.
 * {"TargetGroups": [...]}, {"Listeners": [...]}: NULL = all. */
json_t *view_attributes(
    const struct conf *conf, enum conf_section_kind kind, size_t index);
json_t *view_target_groups(
    const struct conf *conf, const struct conf_target_group *only);
json_t *view_listeners(
    const struct conf *conf, const struct conf_listener *only);
json_t *view_load_balancers(const struct admin_ops *ops);
json_t *view_arn(enum arn_kind kind, const struct conf *conf, const char *name);
json_t *view_error(const char *code, const char *message);

/* Is there such a group, in the config or among draining targets? */
bool view_has_target_group(const struct admin_ops *ops, const char *group);

/* Overall health, worst last. */
enum view_health { VIEW_OK, VIEW_DEGRADED, VIEW_FAILING };

/* What is wrong: sentences, each with what to do (view_problem.c). */
struct view_problems {
	json_t *list; /* owned */
	enum view_health health;
	bool failed; /* out of memory */
};

/* Counts of one target group (view_problem.c). */
struct view_group {
	char name[CONF_NAME_MAX + 1];
	uint32_t healthy, unhealthy, initial, draining, unused, registered;
	bool fail_open, in_use;
	bool by_name;     /* it has targets by DNS name */
	bool on_standby;  /* flows go to its standby targets */
	bool dns_healthy; /* enough for target_group_health.dns_failover */
	struct zone_group zone;
	char bad_target[ADDR_STRLEN]; /* the first unhealthy one */
	char bad_detail[128];         /* what its last check said */
};
struct view_groups {
	struct view_group *list; /* owned */
	size_t n;
	bool zone_healthy; /* all groups are: this node may stand in DNS */
	bool failed;       /* out of memory */
};

void view_groups_collect(
    const struct admin_ops *ops, struct view_groups *groups);
void view_problems_collect(const struct admin_ops *ops,
    const struct admin_status *status, const struct view_groups *groups,
    struct view_problems *problems);

/* Histograms (view_latency.c): their bounds, as latency_bounds has them; the
 * sum of all listeners' connects, which starts from what *sum has; those of
 * all and the turns of each worker put into a status. */
json_t *view_latency_bounds(void);
void view_sum_connects(const struct admin_ops *ops, struct latency *sum);
bool view_put_latencies(json_t *status, const struct admin_ops *ops);

/* JSON helpers. A NULL value makes them fail, so errors need one look. */
bool view_put(json_t *object, const char *key, json_t *value);
/* Any bytes: what is not UTF-8 becomes '?'. NULL gives null. */
json_t *view_text(const char *text);
json_t *view_uint(uint64_t n);
json_t *view_numbers(const uint64_t *list, size_t n);
/* "2026-08-01T10:02:03Z"; 0 gives null. */
json_t *view_time(uint64_t wall_ms);

#endif
