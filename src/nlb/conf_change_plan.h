/*
 * What the conf_change*.c files share: one change on its way to edits of the
 * text. Nobody else includes this.
 */
#ifndef NLB_CONF_CHANGE_PLAN_H
#define NLB_CONF_CHANGE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "nlb/conf_change.h"
#include "nlb/conf_edit.h"
#include "nlb/conf_internal.h"

#define CONF_CHANGE_TARGET_PREFIX "Target."

/* What the edit of a target's line points to. */
struct conf_change_line {
	char key[sizeof(CONF_CHANGE_TARGET_PREFIX) + CONF_NAME_MAX];
	char *value; /* owned, or NULL */
};

struct conf_change_plan {
	struct conf_parser
	    parser;       /* for reports and values; its conf is copy */
	struct conf copy; /* shallow: owns nothing */
	const struct conf_change *change;
	const struct conf_target_group
	    *group; /* NULL: it is about a listener */
	enum conf_section_kind kind;
	size_t index;                   /* of the section */
	struct conf_edit *edits;        /* owned */
	struct conf_change_line *lines; /* owned; by the edits' numbers */
	size_t n_edits;
	bool no_memory;
};

static inline struct conf_span
conf_span_of(const char *text)
{
	struct conf_span span = {.text = text, .len = strlen(text)};

	return span;
}

/* Adds the edits of the change's targets; reports mistakes. */
void conf_change_plan_targets(struct conf_change_plan *plan);

#endif
