/*
 * The tables of end reasons, target states and target reasons as text.
 */
#include "nlb/reason.h"

#include <stddef.h>

static const struct {
	const char *code, *text;
	enum flow_end_class class;
} end_reasons[FLOW_END_REASON_COUNT] = {
#define X(suffix, code, class, text) \
	[FLOW_END_##suffix] = {code, text, FLOW_END_##class},
    FLOW_END_REASONS(X)
#undef X
};

static const char *const state_names[TARGET_STATE_COUNT] = {
#define X(suffix, name) [TARGET_##suffix] = name,
    TARGET_STATES(X)
#undef X
};

static const struct {
	const char *code, *description;
} target_reasons[TARGET_REASON_COUNT] = {
#define X(suffix, code, description) \
	[TARGET_REASON_##suffix] = {code, description},
    TARGET_REASONS(X)
#undef X
};

/* Records come from another process: an unknown number must not index. */
static const char unknown[] = "unknown";

const char *
flow_end_reason_code(enum flow_end_reason reason)
{
	if ((unsigned)reason >= FLOW_END_REASON_COUNT)
		return unknown;
	return end_reasons[reason].code;
}

const char *
flow_end_reason_text(enum flow_end_reason reason)
{
	if ((unsigned)reason >= FLOW_END_REASON_COUNT)
		return unknown;
	return end_reasons[reason].text;
}

enum flow_end_class
flow_end_reason_class(enum flow_end_reason reason)
{
	if ((unsigned)reason >= FLOW_END_REASON_COUNT)
		return FLOW_END_NORMAL;
	return end_reasons[reason].class;
}

const char *
target_state_name(enum target_state state)
{
	if ((unsigned)state >= TARGET_STATE_COUNT)
		return unknown;
	return state_names[state];
}

const char *
target_reason_code(enum target_reason reason)
{
	if ((unsigned)reason >= TARGET_REASON_COUNT)
		return unknown;
	return target_reasons[reason].code;
}

const char *
target_reason_description(enum target_reason reason)
{
	if ((unsigned)reason >= TARGET_REASON_COUNT)
		return unknown;
	return target_reasons[reason].description;
}
