/*
 * One target's health as a pure state machine. Time comes in, nothing goes
 * out: the caller reads state, reason and what changed.
 */
#ifndef NLB_TARGET_H
#define NLB_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "nlb/reason.h"

/* The outcome of one health check attempt. */
enum probe_result {
	PROBE_SUCCESS,
	PROBE_FAILURE,
	/* Could not be made (no local resources) or timed out while our own
	 * loop stalled: says nothing about the target. */
	PROBE_VOID,
};
#define PROBE_RESULTS 3

/* The rules a target lives by; from its target group's attributes. */
struct target_rules {
	uint32_t healthy_threshold_count;
	uint32_t unhealthy_threshold_count;
	uint32_t deregistration_delay_s;
	uint32_t unhealthy_draining_interval_s; /* 0 = straight to unhealthy */
	bool passive_checks; /* flows that cannot connect count */
};

/* Connects of flows that fail in a row, with no check and no connected flow in
 * between, and take a healthy target out at once. */
#define TARGET_CONNECT_FAILURES 3

/*
 * Target states (TargetHealth.State of the API)
 *
 *               first check due          first success
 *  registered -> INITIAL(registration) -> INITIAL(checking) -> HEALTHY
 *                                            |                 |   ^
 *                  unhealthy threshold ------'       unhealthy |   | healthy
 *                                            v       threshold v   | threshold
 *                                        UNHEALTHY <-----------'   |
 *                                            |---------------------'
 *      (with a draining interval: HEALTHY -> UNHEALTHY_DRAINING -> UNHEALTHY)
 *  deregister, from any of these -> DRAINING -> UNUSED(not registered) -> gone
 *  group unused by any listener, or zone not enabled -> UNUSED <-> INITIAL
 */
struct target {
	enum target_state state;
	enum target_reason reason;
	uint32_t successes, failures; /* consecutive, capped */
	uint64_t since_ms;            /* when state was entered */
	uint64_t deadline_ms; /* DRAINING, UNHEALTHY_DRAINING: end, else 0 */
	uint32_t connect_failures; /* passive: in a row, since the last check */
	uint64_t connected;        /* flows connected when they failed */
};

void target_init(struct target *t, uint64_t now_ms);
/* The only writer of state; restarts counters and since_ms on a change. */
void target_set_state(struct target *t, enum target_state state,
    enum target_reason reason, uint64_t now_ms);

/* In use by a listener (and in an enabled zone) or not: why = NOT_IN_USE or
 * ZONE_NOT_ENABLED. Coming into use starts at INITIAL. */
void target_set_in_use(
    struct target *t, bool in_use, enum target_reason why, uint64_t now_ms);
/* The first check was sent: INITIAL moves on to InitialHealthChecking. */
void target_check_started(struct target *t, uint64_t now_ms);
/* Returns true when the state changed. VOID changes nothing. */
bool target_report(struct target *t, const struct target_rules *rules,
    enum probe_result result, uint64_t now_ms);
/*
 * The passive check: a flow could not connect to it, when so many flows ever
 * had (connected: one more since the last failure starts the row anew).
 * Returns true when the state changed; the way back is the healthy threshold
 * of the active checks. Counts while HEALTHY and with passive_checks alone.
 */
bool target_connect_failed(struct target *t, const struct target_rules *rules,
    uint64_t connected, uint64_t now_ms);
/* Starts draining; straight to UNUSED when the target was unused. */
void target_deregister(
    struct target *t, const struct target_rules *rules, uint64_t now_ms);
/* Registered again while draining: back to INITIAL. */
void target_register(struct target *t, uint64_t now_ms);
/* Deadlines passed? Returns true when the state changed. active_flows == 0
 * ends DRAINING early (nothing left to wait for). */
bool target_tick(struct target *t, uint64_t active_flows, uint64_t now_ms);

/* Is checked in this state? (not while DRAINING or UNUSED) */
bool target_is_checked(const struct target *t);
/* Counts as registered for routing and fail open? (not DRAINING/UNUSED) */
bool target_is_registered(const struct target *t);

/*
 * Group health: should this group fail open? minimum_count and
 * minimum_percentage are target_group_health.unhealthy_state_routing.*; 0 =
 * off. registered == 0 gives false (there is nobody to route to).
 */
bool target_group_fails_open(uint32_t healthy, uint32_t registered,
    uint32_t minimum_count, uint32_t minimum_percentage);

#endif
