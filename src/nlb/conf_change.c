/*
 * A change becomes edits of the text; the text is parsed like any file. So a
 * change can do nothing that a file could not, and is refused as a file is.
 */
#include "nlb/conf_change.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/string.h>

#include "nlb/conf_change_plan.h"

const char *
conf_change_verb(enum conf_change_kind kind)
{
	static const char *const verbs[] = {
	    [CONF_CHANGE_REGISTER_TARGETS] = "register-targets",
	    [CONF_CHANGE_DEREGISTER_TARGETS] = "deregister-targets",
	    [CONF_CHANGE_TARGET_GROUP] = "modify-target-group",
	    [CONF_CHANGE_TARGET_GROUP_ATTRIBUTES] =
		"modify-target-group-attributes",
	    [CONF_CHANGE_LISTENER_ATTRIBUTES] = "modify-listener-attributes",
	};

	return verbs[kind];
}

/* ---- settings --------------------------------------------------------- */

bool
conf_attribute_is_attribute(const struct conf_attribute *a)
{
	if ((a->flags & (CONF_PATTERN | CONF_HEALTH_SETTING)) != 0)
		return false;
	return islower((unsigned char)a->key[0]) ||
	       (a->flags & CONF_EXTENSION) != 0;
}

const char *
conf_attribute_format(const struct conf *conf, const struct conf_attribute *a,
    size_t index, char buf[CONF_TEXT_MAX])
{
	const void *base = &conf->lb;

	if (a->section == CONF_LISTENER)
		base = &conf->listeners[index];
	else if (a->section == CONF_TARGET_GROUP)
		base = &conf->target_groups[index];
	conf_type_format(conf, a, base, buf, CONF_TEXT_MAX);
	return buf;
}

static bool
is_settable(const struct conf_change_plan *plan, const struct conf_attribute *a)
{
	if (plan->change->kind == CONF_CHANGE_TARGET_GROUP)
		return (a->flags & CONF_HEALTH_SETTING) != 0;
	return conf_attribute_is_attribute(a);
}

static void
report_unknown(struct conf_change_plan *plan, const char *key)
{
	struct conf_suggestion s =
	    conf_suggestion_start(&plan->parser, conf_span_of(key));
	struct conf_diag *d;

	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);

		if (a->section == plan->kind && is_settable(plan, a))
			conf_suggestion_try(&s, a->key);
	}
	d = conf_diags_add(plan->parser.diags, false,
	    "`%.64s' is no attribute of a %s; see nlbd.ini(5) for those it has",
	    key, conf_section_kind_name(plan->kind));
	conf_suggestion_hint(&s, d);
}

/* Its row in the table, when it may be set by this change. */
static const struct conf_attribute *
find_settable(struct conf_change_plan *plan, const char *key)
{
	const struct conf_attribute *a =
	    conf_attribute_find(plan->kind, key, strlen(key));
	struct conf_diag *d;

	if (a == NULL || (a->flags & CONF_PATTERN) != 0) {
		report_unknown(plan, key);
		return NULL;
	}
	if (is_settable(plan, a) && (a->flags & CONF_RELOADABLE) != 0)
		return a;
	d = conf_diags_add(plan->parser.diags, false,
	    "%s cannot be changed by %s", a->key,
	    conf_change_verb(plan->change->kind));
	if ((a->flags & CONF_HEALTH_SETTING) != 0)
		conf_hint(d, "modify-target-group changes it");
	else if (conf_attribute_is_attribute(a))
		conf_hint(d, "modify-target-group-attributes changes it");
	else if ((a->flags & CONF_RELOADABLE) != 0)
		conf_hint(d, "change it in the file, then reload");
	else
		conf_hint(d, "change it in the file, then restart nlbd");
	return NULL;
}

/* The value's canonical text. False when it was reported as wrong. */
static bool
canonical(struct conf_change_plan *plan, const struct conf_attribute *a,
    const char *value, char buf[CONF_TEXT_MAX])
{
	union {
		struct conf_listener listener;
		struct conf_target_group group;
	} scratch;

	if (plan->kind == CONF_LISTENER)
		scratch.listener = plan->copy.listeners[plan->index];
	else
		scratch.group = plan->copy.target_groups[plan->index];
	if (value[0] == '\0') {
		conf_diags_add(
		    plan->parser.diags, false, "%s has no value", a->key);
		return false;
	}
	if (!conf_type_set(&plan->parser, a, conf_span_of(value), &scratch))
		return false;
	conf_type_format(&plan->copy, a, &scratch, buf, CONF_TEXT_MAX);
	return true;
}

static bool
is_set_before(struct conf_change_plan *plan, size_t i)
{
	const struct conf_setting *settings = plan->change->settings;

	for (size_t j = 0; j < i; j++) {
		if (strcmp(settings[j].key, settings[i].key) != 0)
			continue;
		conf_diags_add(plan->parser.diags, false,
		    "%s is given twice; keep one of the two", settings[i].key);
		return true;
	}
	return false;
}

/* Those that conf does not have yet. One that it only has by a default that
 * another key may change is written all the same. */
static void
plan_settings(struct conf_change_plan *plan)
{
	for (size_t i = 0; i < plan->change->n_settings; i++) {
		const struct conf_setting *s = &plan->change->settings[i];
		const struct conf_attribute *a = find_settable(plan, s->key);
		char now[CONF_TEXT_MAX], wanted[CONF_TEXT_MAX];

		if (a == NULL || is_set_before(plan, i) ||
		    !canonical(plan, a, s->value, wanted))
			continue;
		conf_attribute_format(&plan->copy, a, plan->index, now);
		if (strcmp(now, wanted) == 0 &&
		    (a->flags & CONF_DEFAULT_VARIES) == 0)
			continue;
		plan->edits[plan->n_edits++] = (struct conf_edit){
		    .kind = plan->kind,
		    .section = plan->change->name,
		    .key = a->key,
		    .value = s->value,
		};
	}
}

/* ---- the whole change ------------------------------------------------- */

static int
find_section(struct conf_change_plan *plan)
{
	const struct conf *conf = &plan->copy;
	const char *name = plan->change->name;
	struct conf_suggestion s =
	    conf_suggestion_start(&plan->parser, conf_span_of(name));
	bool is_listener = plan->kind == CONF_LISTENER;
	size_t n = is_listener ? conf->n_listeners : conf->n_target_groups;
	struct conf_diag *d;

	for (size_t i = 0; i < n; i++) {
		const char *other = is_listener ? conf->listeners[i].name
						: conf->target_groups[i].name;

		plan->index = i;
		if (strcmp(other, name) == 0)
			return 0;
		conf_suggestion_try(&s, other);
	}
	d = conf_diags_add(plan->parser.diags, false, "there is no %s `%.64s'",
	    is_listener ? "listener" : "target group", name);
	conf_suggestion_hint(&s, d);
	return -ENOENT;
}

static int
start(struct conf_change_plan *plan, const struct conf *conf,
    const struct conf_change *change, const struct conf_options *options,
    struct conf_diags *diags)
{
	size_t n = change->n_targets + change->n_settings + 1;
	int rc;

	*plan = (struct conf_change_plan){
	    .parser = {.bytes = conf->bytes,
		.len = conf->n_bytes,
		.strict_aws = options->strict_aws,
		.diags = diags},
	    .copy = *conf,
	    .change = change,
	    .kind = change->kind == CONF_CHANGE_LISTENER_ATTRIBUTES
			? CONF_LISTENER
			: CONF_TARGET_GROUP,
	};
	plan->parser.conf = &plan->copy;
	rc = find_section(plan);
	if (rc < 0)
		return rc;
	if (plan->kind == CONF_TARGET_GROUP)
		plan->group = &plan->copy.target_groups[plan->index];
	plan->edits = calloc(n, sizeof(plan->edits[0]));
	plan->lines = calloc(n, sizeof(plan->lines[0]));
	if (plan->edits == NULL || plan->lines == NULL)
		return -ENOMEM;
	return conf_scan(&plan->parser);
}

static void
finish(struct conf_change_plan *plan)
{
	conf_scan_fini(&plan->parser.scan);
	for (size_t i = 0; plan->lines != NULL && i < plan->n_edits; i++)
		free(plan->lines[i].value);
	free(plan->lines);
	free(plan->edits);
}

/* Warnings that the text has because of the change: with their places, and in
 * the place of those that were said of the change itself. */
static void
note_new_warnings(struct conf_change_plan *plan,
    const struct conf_options *options, struct conf_diags *parsed,
    struct conf_diags *diags)
{
	struct conf_diags before = {0}, notes = {0}, said = {0};
	struct conf *conf = NULL;

	if (parsed->n == 0)
		return;
	(void)conf_parse(
	    plan->copy.bytes, plan->copy.n_bytes, options, &conf, &before);
	conf_destroy(conf);
	conf_diags_move_new(&notes, parsed, &before);
	conf_diags_move_new(&said, diags, &notes);
	conf_diags_move_new(&said, &notes, &said);
	conf_diags_fini(diags);
	conf_diags_fini(&notes);
	conf_diags_fini(&before);
	*diags = said;
}

static int
parse_edited(struct conf_change_plan *plan, const struct conf_options *options,
    struct conf **out, struct conf_diags *diags)
{
	struct conf_diags parsed = {0};
	char *text;
	size_t len;
	int rc = conf_edit_text(plan->copy.bytes, plan->copy.n_bytes,
	    plan->edits, plan->n_edits, &text, &len);

	if (rc == -EINVAL)
		conf_diags_add(diags, false,
		    "a value with line breaks, other control characters or two "
		    "kinds of quotes; write it without");
	if (rc < 0)
		return rc;
	if (len == plan->copy.n_bytes &&
	    memcmp(text, plan->copy.bytes, len) == 0) {
		free(text);
		return 0;
	}
	rc = conf_parse(text, len, options, out, &parsed);
	free(text);
	if (rc == 0) {
		note_new_warnings(plan, options, &parsed, diags);
		conf_diags_fini(&parsed);
		return 0;
	}
	/* Warnings about the rest of the file are no answer to this change. */
	conf_diags_drop_warnings(&parsed);
	conf_diags_fini(diags);
	*diags = parsed;
	return rc;
}

static int
apply(struct conf_change_plan *plan, const struct conf_options *options,
    struct conf **out, struct conf_diags *diags)
{
	size_t errors = diags->n_errors;

	conf_change_plan_targets(plan);
	plan_settings(plan);
	if (plan->no_memory || plan->parser.no_memory)
		return -ENOMEM;
	if (diags->n_errors != errors)
		return -EINVAL;
	*out = NULL;
	if (plan->n_edits == 0)
		return 0;
	return parse_edited(plan, options, out, diags);
}

int
conf_change_apply(const struct conf *conf, const struct conf_change *change,
    const struct conf_options *options, struct conf **out,
    struct conf_diags *diags)
{
	struct conf_change_plan plan;
	int rc = start(&plan, conf, change, options, diags);

	if (rc == 0)
		rc = apply(&plan, options, out, diags);
	finish(&plan);
	return rc;
}
