/*
 * The table of events, and how one is logged.
 */
#include "nlb/event.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define LEVEL(level) LOG_LEVEL_##level

static const struct {
	struct log_kind kind;
	const char *meaning;
} table[EVENT_COUNT] = {
#define X(suffix, code, level, id, meaning) \
	[EVENT_##suffix] = {{code, id, LEVEL(level)}, meaning},
    EVENTS(X)
#undef X
};

static const struct log_kind unknown = {"unknown", NULL, LOG_LEVEL_NOTICE};

const struct log_kind *
event_kind(enum event event)
{
	return (unsigned)event < EVENT_COUNT ? &table[event].kind : &unknown;
}

const char *
event_code(enum event event)
{
	return event_kind(event)->code;
}

enum log_level
event_level(enum event event)
{
	return event_kind(event)->level;
}

const char *
event_meaning(enum event event)
{
	return (unsigned)event < EVENT_COUNT ? table[event].meaning
					     : unknown.code;
}

int
event_parse(const char *code, enum event *out)
{
	for (size_t i = 0; i < EVENT_COUNT; i++) {
		if (strcmp(table[i].kind.code, code) != 0)
			continue;
		*out = (enum event)i;
		return 0;
	}
	return -EINVAL;
}

enum event
event_of_state(enum target_state state)
{
	static const enum event events[TARGET_STATE_COUNT] = {
	    [TARGET_INITIAL] = EVENT_TARGET_INITIAL,
	    [TARGET_HEALTHY] = EVENT_TARGET_HEALTHY,
	    [TARGET_UNHEALTHY] = EVENT_TARGET_UNHEALTHY,
	    [TARGET_UNHEALTHY_DRAINING] = EVENT_TARGET_UNHEALTHY_DRAINING,
	    [TARGET_DRAINING] = EVENT_TARGET_DRAINING,
	    [TARGET_UNUSED] = EVENT_TARGET_UNUSED,
	    [TARGET_UNAVAILABLE] = EVENT_TARGET_UNAVAILABLE,
	};

	return (unsigned)state < TARGET_STATE_COUNT ? events[state]
						    : EVENT_TARGET_UNAVAILABLE;
}

uint32_t
event_class(const char *code)
{
	static const struct {
		const char *prefix;
		uint32_t class;
	} classes[] = {
	    {"target-", EVENT_CLASS_TARGET_HEALTH},
	    {"fail-open-", EVENT_CLASS_FAIL_OPEN},
	    {"standby-", EVENT_CLASS_FAIL_OPEN},
	    {"reload-", EVENT_CLASS_RELOAD},
	    {"change-applied", EVENT_CLASS_RELOAD},
	    {"worker", EVENT_CLASS_WORKER},
	    {"name", EVENT_CLASS_NAME},
	    {"serving", EVENT_CLASS_NODE},
	    {"notify-test", UINT32_MAX},
	    {"stop-", EVENT_CLASS_NODE},
	    {"node-", EVENT_CLASS_NODE},
	    {"listener-", EVENT_CLASS_NODE},
	    {"upgrade", EVENT_CLASS_NODE},
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (strncmp(code, classes[i].prefix,
			strlen(classes[i].prefix)) == 0)
			return classes[i].class;
	return 0;
}

void
event_log(enum event event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_kind_va(event_kind(event), NULL, fmt, ap);
	va_end(ap);
}

void
event_log_about(
    enum event event, const struct log_field *about, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_kind_va(event_kind(event), about, fmt, ap);
	va_end(ap);
}
