/*
 * One target's health: thresholds, draining, registration.
 */
#include "nlb/target.h"

#include <string.h>

/* Saturates: a deadline beyond the end of time never passes. */
static uint64_t
deadline_after(uint64_t now_ms, uint32_t seconds)
{
	uint64_t span_ms = (uint64_t)seconds * 1000;

	return now_ms > UINT64_MAX - span_ms ? UINT64_MAX : now_ms + span_ms;
}

static void
count(uint32_t *counter)
{
	if (*counter < UINT32_MAX)
		(*counter)++;
}

/* Leaving or gone, unlike one that is only out of use. */
static bool
is_deregistered(const struct target *t)
{
	return t->state == TARGET_DRAINING ||
	       (t->state == TARGET_UNUSED &&
		   t->reason == TARGET_REASON_NOT_REGISTERED);
}

void
target_init(struct target *t, uint64_t now_ms)
{
	memset(t, 0, sizeof(*t));
	t->state = TARGET_INITIAL;
	t->reason = TARGET_REASON_REGISTRATION_IN_PROGRESS;
	t->since_ms = now_ms;
}

void
target_set_state(struct target *t, enum target_state state,
    enum target_reason reason, uint64_t now_ms)
{
	t->reason = reason;
	if (t->state == state)
		return;
	t->state = state;
	t->since_ms = now_ms;
	t->deadline_ms = 0;
	t->successes = 0;
	t->failures = 0;
	t->connect_failures = 0;
}

void
target_set_in_use(
    struct target *t, bool in_use, enum target_reason why, uint64_t now_ms)
{
	/* One that leaves lives by its deregistration delay alone. */
	if (is_deregistered(t))
		return;
	if (!in_use)
		target_set_state(t, TARGET_UNUSED, why, now_ms);
	else if (t->state == TARGET_UNUSED)
		target_set_state(t, TARGET_INITIAL,
		    TARGET_REASON_REGISTRATION_IN_PROGRESS, now_ms);
}

void
target_check_started(struct target *t, uint64_t now_ms)
{
	if (t->state == TARGET_INITIAL)
		target_set_state(t, TARGET_INITIAL,
		    TARGET_REASON_INITIAL_HEALTH_CHECKING, now_ms);
}

static bool
report_success(
    struct target *t, const struct target_rules *rules, uint64_t now_ms)
{
	bool threshold_met;

	t->failures = 0;
	count(&t->successes);
	switch (t->state) {
	case TARGET_UNHEALTHY:
	case TARGET_UNHEALTHY_DRAINING:
		threshold_met = t->successes >= rules->healthy_threshold_count;
		break;
	case TARGET_INITIAL:
	case TARGET_UNAVAILABLE:
		/* No verdict yet: the first success brings it into service,
		 * irrespective of the threshold (nlb-behaviour 0, no. 2). */
		threshold_met = true;
		break;
	default:
		threshold_met = false;
		break;
	}
	if (!threshold_met)
		return false;
	target_set_state(t, TARGET_HEALTHY, TARGET_REASON_NONE, now_ms);
	return true;
}

static void
take_out(struct target *t, const struct target_rules *rules, uint64_t now_ms)
{
	/* Only a target that was in service has flows worth a grace period. */
	if (t->state == TARGET_HEALTHY &&
	    rules->unhealthy_draining_interval_s > 0) {
		target_set_state(t, TARGET_UNHEALTHY_DRAINING,
		    TARGET_REASON_FAILED_HEALTH_CHECKS, now_ms);
		t->deadline_ms = deadline_after(
		    now_ms, rules->unhealthy_draining_interval_s);
		return;
	}
	target_set_state(
	    t, TARGET_UNHEALTHY, TARGET_REASON_FAILED_HEALTH_CHECKS, now_ms);
}

static bool
report_failure(
    struct target *t, const struct target_rules *rules, uint64_t now_ms)
{
	t->successes = 0;
	count(&t->failures);
	if (t->state == TARGET_UNHEALTHY ||
	    t->state == TARGET_UNHEALTHY_DRAINING ||
	    t->failures < rules->unhealthy_threshold_count)
		return false;
	take_out(t, rules, now_ms);
	return true;
}

bool
target_connect_failed(struct target *t, const struct target_rules *rules,
    uint64_t connected, uint64_t now_ms)
{
	if (t->state != TARGET_HEALTHY || !rules->passive_checks)
		return false;
	if (t->connected != connected)
		t->connect_failures = 0;
	t->connected = connected;
	count(&t->connect_failures);
	if (t->connect_failures < TARGET_CONNECT_FAILURES)
		return false;
	take_out(t, rules, now_ms);
	return true;
}

bool
target_report(struct target *t, const struct target_rules *rules,
    enum probe_result result, uint64_t now_ms)
{
	if (!target_is_checked(t))
		return false;
	if (result != PROBE_VOID)
		t->connect_failures = 0;
	switch (result) {
	case PROBE_SUCCESS:
		target_check_started(t, now_ms);
		return report_success(t, rules, now_ms);
	case PROBE_FAILURE:
		target_check_started(t, now_ms);
		return report_failure(t, rules, now_ms);
	case PROBE_VOID:
		break;
	}
	return false;
}

void
target_deregister(
    struct target *t, const struct target_rules *rules, uint64_t now_ms)
{
	if (t->state == TARGET_DRAINING)
		return; /* again: the delay goes on from where it is */
	if (t->state == TARGET_UNUSED || rules->deregistration_delay_s == 0) {
		target_set_state(
		    t, TARGET_UNUSED, TARGET_REASON_NOT_REGISTERED, now_ms);
		return;
	}
	target_set_state(t, TARGET_DRAINING,
	    TARGET_REASON_DEREGISTRATION_IN_PROGRESS, now_ms);
	t->deadline_ms = deadline_after(now_ms, rules->deregistration_delay_s);
}

void
target_register(struct target *t, uint64_t now_ms)
{
	if (is_deregistered(t))
		target_set_state(t, TARGET_INITIAL,
		    TARGET_REASON_REGISTRATION_IN_PROGRESS, now_ms);
}

bool
target_tick(struct target *t, uint64_t active_flows, uint64_t now_ms)
{
	uint32_t successes;

	if (t->state == TARGET_DRAINING) {
		if (active_flows > 0 && now_ms < t->deadline_ms)
			return false;
		target_set_state(
		    t, TARGET_UNUSED, TARGET_REASON_NOT_REGISTERED, now_ms);
		return true;
	}
	if (t->state == TARGET_UNHEALTHY_DRAINING && now_ms >= t->deadline_ms) {
		/* The deadline is no check: a run of successes goes on. */
		successes = t->successes;
		target_set_state(t, TARGET_UNHEALTHY,
		    TARGET_REASON_FAILED_HEALTH_CHECKS, now_ms);
		t->successes = successes;
		return true;
	}
	return false;
}

bool
target_is_checked(const struct target *t)
{
	return t->state != TARGET_DRAINING && t->state != TARGET_UNUSED;
}

bool
target_is_registered(const struct target *t)
{
	return t->state != TARGET_DRAINING && t->state != TARGET_UNUSED;
}

bool
target_group_fails_open(uint32_t healthy, uint32_t registered,
    uint32_t minimum_count, uint32_t minimum_percentage)
{
	if (registered == 0)
		return false;
	return healthy < minimum_count ||
	       (uint64_t)healthy * 100 <
		   (uint64_t)registered * minimum_percentage;
}
