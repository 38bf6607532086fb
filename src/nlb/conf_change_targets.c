/*
 * Registering and deregistering: which lines come, go or change.
 */
#include "nlb/conf_change_plan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <bsd/string.h>

/* The line with the same address, or the same name, and port. */
static const struct conf_target *
find_target(
    const struct conf_change_plan *plan, const struct conf_dns_target *wanted)
{
	const struct conf_target_group *g = plan->group;

	if (wanted->host[0] == '\0') {
		for (size_t i = 0; i < conf_written_targets(g); i++)
			if (addr_equal(
				&g->targets[i].addr, &wanted->target.addr))
				return &g->targets[i];
		return NULL;
	}
	for (size_t i = 0; i < g->n_dns_targets; i++)
		if (strcmp(g->dns_targets[i].host, wanted->host) == 0 &&
		    g->dns_targets[i].target.addr.port ==
			wanted->target.addr.port)
			return &g->dns_targets[i].target;
	return NULL;
}

/* The name that has found the address; NULL when none has. */
static const char *
find_name(const struct conf_change_plan *plan, const struct addr *addr)
{
	for (size_t i = 0; i < plan->group->n_targets; i++) {
		const struct conf_target *t = &plan->group->targets[i];

		if (t->dns != NULL && addr_equal(&t->addr, addr))
			return t->dns->host;
	}
	return NULL;
}

/* "10.0.0.1:25", "mail.example.com:25" */
static const char *
format(const struct conf_dns_target *t, char *buf, size_t size)
{
	if (t->host[0] == '\0')
		return addr_format(&t->target.addr, buf, size);
	snprintf(buf, size, "%s:%u", t->host, t->target.addr.port);
	return buf;
}
#define FORMAT_MAX (CONF_HOST_MAX + ADDR_STRLEN)

static bool
parse_target(struct conf_change_plan *plan, struct conf_span text,
    struct conf_dns_target *target)
{
	*target = (struct conf_dns_target){0};
	if (!conf_target_parse(&plan->parser, text, target))
		return false;
	if (target->target.addr.port == 0)
		target->target.addr.port = plan->group->port;
	return true;
}

/* Takes value over. NULL: the line goes. */
static void
plan_target(struct conf_change_plan *plan, const char *label, char *value)
{
	struct conf_change_line *line = &plan->lines[plan->n_edits];

	snprintf(line->key, sizeof(line->key), CONF_CHANGE_TARGET_PREFIX "%s",
	    label);
	line->value = value;
	plan->edits[plan->n_edits++] = (struct conf_edit){
	    .kind = plan->kind,
	    .section = plan->change->name,
	    .key = line->key,
	    .value = value,
	};
}

static bool
is_planned(const struct conf_change_plan *plan, const char *label)
{
	for (size_t i = 0; i < plan->n_edits; i++) {
		if (strcmp(
			plan->lines[i].key + strlen(CONF_CHANGE_TARGET_PREFIX),
			label) == 0)
			return true;
	}
	return false;
}

static bool
is_label_free(const struct conf_change_plan *plan, const char *label)
{
	for (size_t i = 0; i < plan->group->n_targets; i++) {
		if (strcmp(plan->group->targets[i].label, label) == 0)
			return false;
	}
	for (size_t i = 0; i < plan->group->n_dns_targets; i++) {
		if (strcmp(plan->group->dns_targets[i].target.label, label) ==
		    0)
			return false;
	}
	return !is_planned(plan, label);
}

/* A label from the address: 10-0-0-1, 10-0-0-1-2525, 10-0-0-1-2 and on. Of a
 * long address its end, which tells it from its neighbours; of a long name its
 * beginning. */
static void
choose_label(const struct conf_change_plan *plan,
    const struct conf_dns_target *target, char label[CONF_NAME_MAX + 1])
{
	const size_t max = CONF_NAME_MAX - strlen("-65535");
	char id[FORMAT_MAX], *from = id;
	unsigned suffix = target->target.addr.port;

	if (target->host[0] != '\0')
		strlcpy(id, target->host, max + 1);
	else
		addr_format_ip(&target->target.addr, id, sizeof(id));
	for (char *c = id; *c != '\0'; c++)
		*c = isalnum((unsigned char)*c) ? *c : '-';
	if (strlen(id) > max)
		from = id + strlen(id) - max;
	from += strspn(from, "-");
	strlcpy(label, from[0] == '\0' ? "target" : from, CONF_NAME_MAX + 1);
	for (unsigned n = 2; !is_label_free(plan, label); suffix = n++)
		snprintf(label, CONF_NAME_MAX + 1, "%s-%u",
		    from[0] == '\0' ? "target" : from, suffix);
}

static struct conf_span
field_name(struct conf_span part)
{
	return conf_span_split(&part, '=');
}

/* What a target is known by. */
static bool
is_identity(struct conf_span part)
{
	struct conf_span name = field_name(part);

	return conf_span_is(name, "Id") || conf_span_is(name, "Port");
}

/* The field of a target's value that is named like part; text NULL: none. */
static struct conf_span
find_field(struct conf_span value, struct conf_span part)
{
	struct conf_span wanted = field_name(part), found = {0}, name;

	while (value.text != NULL) {
		found = conf_span_split(&value, ',');
		name = field_name(found);
		if (name.len == wanted.len &&
		    memcmp(name.text, wanted.text, name.len) == 0)
			return found;
	}
	found.text = NULL;
	return found;
}

static void
put_field(FILE *f, struct conf_span part, const char *comma)
{
	fprintf(f, "%s%.*s", comma, (int)part.len, part.text);
}

/* A target's value with given fields in the place of its own. Id and Port stay
 * as they are written. */
static char *
merge_fields(struct conf_span old, struct conf_span given)
{
	struct conf_span rest = old, part, other;
	const char *comma = "";
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	while (rest.text != NULL) {
		part = conf_span_split(&rest, ',');
		other = find_field(given, part);
		if (!is_identity(part) && other.text != NULL)
			part = other;
		put_field(f, part, comma);
		comma = ",";
	}
	while (given.text != NULL) {
		part = conf_span_split(&given, ',');
		if (!is_identity(part) && find_field(old, part).text == NULL)
			put_field(f, part, comma);
	}
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static bool
same_target(const struct conf_target *a, const struct conf_target *b)
{
	char a_text[CONF_TARGET_TEXT_MAX], b_text[CONF_TARGET_TEXT_MAX];

	return strcmp(conf_target_format(a, "", a_text, sizeof(a_text)),
		   conf_target_format(b, "", b_text, sizeof(b_text))) == 0;
}

/* Registered already: the same once more changes nothing, other fields
 * (AvailabilityZone) take the place of the old ones. */
static void
register_again(struct conf_change_plan *plan,
    const struct conf_target *registered, struct conf_span given)
{
	struct conf_span old =
	    conf_value_at_line(&plan->parser, registered->line);
	struct conf_dns_target merged;
	char *value = merge_fields(old, given);

	if (value == NULL) {
		plan->no_memory = true;
		return;
	}
	if (!parse_target(plan, conf_span_of(value), &merged) ||
	    same_target(registered, &merged.target))
		free(value);
	else
		plan_target(plan, registered->label, value);
}

static bool
is_named_before(
    struct conf_change_plan *plan, const struct conf_dns_target *list, size_t n)
{
	char text[FORMAT_MAX];

	for (size_t i = 0; i < n; i++) {
		if (!addr_equal(&list[i].target.addr, &list[n].target.addr) ||
		    strcmp(list[i].host, list[n].host) != 0)
			continue;
		conf_diags_add(plan->parser.diags, false,
		    "%s is named twice; name it once",
		    format(&list[n], text, sizeof(text)));
		return true;
	}
	return false;
}

static void
register_target(struct conf_change_plan *plan, struct conf_span given,
    const struct conf_dns_target *target)
{
	const struct conf_target *registered = find_target(plan, target);
	char label[CONF_NAME_MAX + 1], *value;

	if (registered != NULL) {
		register_again(plan, registered, given);
		return;
	}
	value = strndup(given.text, given.len);
	if (value == NULL) {
		plan->no_memory = true;
		return;
	}
	choose_label(plan, target, label);
	plan_target(plan, label, value);
}

/* As in AWS: a target that is not there is no mistake. */
static void
deregister_target(
    struct conf_change_plan *plan, const struct conf_dns_target *target)
{
	const struct conf_target *registered = find_target(plan, target);
	const char *name = find_name(plan, &target->target.addr);
	char text[FORMAT_MAX];

	if (registered != NULL)
		plan_target(plan, registered->label, NULL);
	else if (name != NULL)
		conf_diags_add(plan->parser.diags, false,
		    "%s is an address of %s; deregister the name",
		    format(target, text, sizeof(text)), name);
	else
		conf_diags_add(plan->parser.diags, true,
		    "%s is not registered in target group %s: nothing to do",
		    format(target, text, sizeof(text)), plan->group->name);
}

void
conf_change_plan_targets(struct conf_change_plan *plan)
{
	const struct conf_change *change = plan->change;
	struct conf_dns_target *seen =
	    calloc(change->n_targets + 1, sizeof(seen[0]));

	plan->no_memory = seen == NULL;
	for (size_t i = 0; i < change->n_targets && !plan->no_memory; i++) {
		struct conf_span given = conf_span_of(change->targets[i]);

		if (!parse_target(plan, given, &seen[i]) ||
		    is_named_before(plan, seen, i))
			continue;
		if (change->kind == CONF_CHANGE_REGISTER_TARGETS)
			register_target(plan, given, &seen[i]);
		else
			deregister_target(plan, &seen[i]);
	}
	free(seen);
}
