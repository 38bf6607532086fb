/*
 * The targets: registered ones in config order, and deregistered ones until
 * they have drained. Each has a slot in the scoreboard, where the workers read
 * whether it may get flows. Health results come in, decisions go out.
 */
#ifndef SUPERVISOR_REGISTRY_H
#define SUPERVISOR_REGISTRY_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/latency.h"
#include "health/checker.h"
#include "health/probe.h"
#include "ipc/scoreboard.h"
#include "nlb/conf.h"
#include "nlb/target.h"
#include "supervisor/traffic.h"

struct registered_target {
	TAILQ_ENTRY(registered_target) entry;
	RB_ENTRY(registered_target) place;
	char group[CONF_NAME_MAX + 1];
	char label[CONF_NAME_MAX + 1];
	char zone[33];
	char dns_name[CONF_HOST_MAX + 1]; /* that has its address, or "" */
	bool standby;       /* for when no active target is healthy */
	uint32_t max_flows; /* or CONF_NO_LIMIT */
	struct addr addr;
	uint16_t check_port;
	bool check_blocked; /* by outbound rules */
	uint16_t slot;
	struct target health;
	struct target_rules rules;
	bool in_config; /* false: deregistered */
	bool deregistration_termination;
	bool unhealthy_termination;
	bool ended_after_delay; /* END_FLOWS was sent */
	uint64_t applied; /* number of the registry_apply that wanted it */
	char last_check[PROBE_DETAIL_MAX];
	uint64_t last_check_us;
	struct latency check_latency; /* of those that say something */
	uint64_t check_results[PROBE_RESULTS];
};
TAILQ_HEAD(registered_list, registered_target);
RB_HEAD(registered_tree, registered_target);

struct registry {
	struct scoreboard *sb;
	struct checker *checker;
	struct registered_list targets; /* in the config's order */
	/* By group and address: those of one group stand side by side. */
	struct registered_tree by_place;
	struct registered_target *by_slot[SB_TARGETS];
	uint64_t n_applied;
	uint16_t next_slot; /* where the search for a free one begins */
	const struct conf *conf;
	struct traffic *traffic; /* hears of removed targets; may be NULL */
	/* Tell the workers to end a target's flows. */
	void (*end_flows)(
	    void *owner, uint16_t slot, enum flow_end_reason reason);
	void *owner;
};

void registry_init(struct registry *r, struct scoreboard *sb,
    struct checker *checker,
    void (*end_flows)(void *, uint16_t, enum flow_end_reason), void *owner);
void registry_fini(struct registry *r);

/* Enough slots for conf's new targets, and for what its names will resolve to,
 * beside those in use? 0 or -ENOSPC. */
int registry_can_apply(struct registry *r, const struct conf *conf,
    const struct conf_resolved *resolved, size_t n_resolved);
/* Registers, deregisters, updates; conf must outlive the registry's use of it
 * (until the next apply). Slots for each target of conf in its order go into
 * slots[]. 0 or -ENOMEM: some targets are missing, SB_SLOT_VOID is theirs, and
 * the next apply tries again. */
int registry_apply(struct registry *r, const struct conf *conf, uint64_t now_ms,
    uint16_t *slots);

/* It was so in the program before an upgrade, and is no news. */
void registry_was_healthy(struct registry *r, const char *group,
    const struct addr *a, uint64_t now_ms);
void registry_check_started(struct registry *r, uint16_t slot, uint64_t now_ms);
void registry_check_result(struct registry *r, uint16_t slot,
    enum probe_result result, const char *detail, uint64_t elapsed_us,
    uint64_t now_ms);
/* A worker's flow could not connect; connected: how many ever had. */
void registry_connect_failed(
    struct registry *r, uint16_t slot, uint64_t connected, uint64_t now_ms);
/* Deadlines; call about once a second. */
void registry_tick(struct registry *r, uint64_t now_ms);

struct registered_target *registry_find_slot(
    const struct registry *r, uint16_t slot);
/* In service: its health checks pass, and it is not deregistered. */
bool registry_is_healthy(
    struct registry *r, const char *group, const struct addr *addr);

#endif
