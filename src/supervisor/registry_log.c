/* Events of targets and groups; see registry_log.h. */
#include "supervisor/registry_log.h"

#include "nlb/event.h"

#define FIELDS_MAX 9

/* Fills fields with what is known of t; text holds its address. */
static void
describe(const struct registered_target *t, enum target_state before,
    char text[ADDR_STRLEN], struct log_field fields[FIELDS_MAX])
{
	const struct log_field known[FIELDS_MAX] = {
	    {EVENT_TARGET, addr_format(&t->addr, text, ADDR_STRLEN)},
	    {EVENT_TARGET_GROUP, t->group},
	    {EVENT_TARGET_ZONE, t->zone},
	    {EVENT_OLD_STATE, target_state_name(before)},
	    {EVENT_STATE, target_state_name(t->health.state)},
	    {EVENT_REASON, target_reason_code(t->health.reason)},
	    {EVENT_DESCRIPTION, target_reason_description(t->health.reason)},
	};
	size_t n = 0;

	for (size_t i = 0; known[i].name != NULL; i++)
		if (known[i].value[0] != '\0')
			fields[n++] = known[i];
	fields[n] = (struct log_field){0};
}

void
registry_log_state(const struct registered_target *t, enum target_state before,
    const char *detail)
{
	struct log_field about[FIELDS_MAX];
	char addr[ADDR_STRLEN];
	const char *reason = target_reason_code(t->health.reason);

	describe(t, before, addr, about);
	event_log_about(event_of_state(t->health.state), about,
	    "target %s of group %s is %s%s%s%s%s%s", addr, t->group,
	    target_state_name(t->health.state), reason[0] != '\0' ? " (" : "",
	    reason, reason[0] != '\0' ? ")" : "", detail[0] != '\0' ? ": " : "",
	    detail);
}

void
registry_log_deregistered(const struct registered_target *t,
    enum target_state before, uint64_t n_flows)
{
	struct log_field about[FIELDS_MAX];
	char addr[ADDR_STRLEN];

	describe(t, before, addr, about);
	event_log_about(EVENT_TARGET_DEREGISTERED, about,
	    "target %s of group %s deregistered with %llu flows", addr,
	    t->group, (unsigned long long)n_flows);
}

void
registry_log_fail_open(const char *group, bool begins)
{
	const struct log_field about[] = {{EVENT_TARGET_GROUP, group}, {0}};

	if (begins)
		event_log_about(EVENT_FAIL_OPEN_BEGAN, about,
		    "target group %s fails open: too few healthy targets, new "
		    "flows go to all of them",
		    group);
	else
		event_log_about(EVENT_FAIL_OPEN_ENDED, about,
		    "target group %s no longer fails open", group);
}

void
registry_log_standby(const char *group, bool begins)
{
	const struct log_field about[] = {{EVENT_TARGET_GROUP, group}, {0}};

	event_log_about(begins ? EVENT_STANDBY_BEGAN : EVENT_STANDBY_ENDED,
	    about, "target group %s: new flows go to its %s targets", group,
	    begins ? "standby" : "active");
}
