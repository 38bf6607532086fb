/*
 * nlbctl events: what nlbd said last in its log, and goes on saying.
 */
#include "nlbctl/verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "nlb/event.h"
#include "nlbctl/follow.h"
#include "nlbctl/format.h"
#include "nlbctl/show.h"
#include "nlbctl/since.h"

#define PATH "/v1/events"
/* Who follows sees the last ones, for a beginning. */
#define FOLLOW_FIRST 10

struct wanted {
	bool has_since;
	int64_t since_s;
	const char *code; /* NULL: all */
};

const char *
verb_events_word(size_t i)
{
	return i < EVENT_COUNT ? event_code((enum event)i) : NULL;
}

/* 0 or an exit code. */
static int
check_code(const struct command_run *run, const char *code)
{
	const char *codes[EVENT_COUNT], *near;
	enum event event;
	char text[256];

	if (code == NULL || event_parse(code, &event) == 0)
		return 0;
	for (int i = 0; i < EVENT_COUNT; i++)
		codes[i] = event_code((enum event)i);
	near = suggest(code, codes, EVENT_COUNT);
	snprintf(text, sizeof(text),
	    "there is no event '%.64s'%s%s%s\n`nlbctl explain` lists all codes",
	    code, near == NULL ? "" : "; did you mean '",
	    near == NULL ? "" : near, near == NULL ? "" : "'?");
	verb_complain(run->err, text);
	return EX_USAGE;
}

/* 0 or an exit code. */
static int
read_options(const struct command_run *run, struct wanted *wanted)
{
	const char *since = command_line_value(run->line, "since");

	*wanted = (struct wanted){.has_since = since != NULL,
	    .code = command_line_value(run->line, "event")};
	if (check_code(run, wanted->code) != 0)
		return EX_USAGE;
	if (since == NULL ||
	    since_parse(since, (int64_t)time(NULL), &wanted->since_s) == 0)
		return 0;
	verb_complain(run->err,
	    "--since is a time in UTC such as 2026-08-01T10:02:03Z or 10:02, "
	    "or how long ago, such as 90s, 15m, 2h or 1d");
	return EX_USAGE;
}

static bool
is_since(const struct wanted *wanted, const json_t *event)
{
	int64_t time_s;

	return !wanted->has_since ||
	       since_parse(show_text(event, "time"), 0, &time_s) != 0 ||
	       time_s >= wanted->since_s;
}

static bool
is_wanted(const struct wanted *wanted, const json_t *event)
{
	return is_since(wanted, event) &&
	       (wanted->code == NULL ||
		   strcmp(wanted->code, show_text(event, "code")) == 0);
}

/* Leaves the wanted ones in the answer, of them the last max. */
static void
select_events(json_t *list, const struct wanted *wanted, size_t max)
{
	for (size_t i = json_array_size(list); i > 0; i--) {
		if (max > 0 && is_wanted(wanted, json_array_get(list, i - 1)))
			max--;
		else
			json_array_remove(list, i - 1);
	}
}

static enum style
priority_style(const char *priority)
{
	if (strcmp(priority, "error") == 0)
		return STYLE_BAD;
	if (strcmp(priority, "warning") == 0)
		return STYLE_WARN;
	return STYLE_PLAIN;
}

static void
print_event(const struct output *out, const json_t *event)
{
	const char *priority = show_text(event, "priority");

	output_styled(out, STYLE_DIM, "%s", show_text(event, "time"));
	fputc(' ', out->file);
	output_styled(out, priority_style(priority), "%-7s", priority);
	output_styled(out, STYLE_PLAIN, " %s: %s", show_text(event, "code"),
	    show_text(event, "message"));
	fputc('\n', out->file);
}

/* Does --since reach further than what is kept? */
static void
note_gone(const struct command_run *run, const struct wanted *wanted,
    const json_t *root)
{
	const json_t *oldest =
	    json_array_get(json_object_get(root, "events"), 0);
	char text[256];

	if (!wanted->has_since || show_uint(root, "lost") == 0 ||
	    !is_since(wanted, oldest))
		return;
	snprintf(text, sizeof(text),
	    "events before %.32s are not kept here: nlbd's log on standard "
	    "error or in the journal has them",
	    show_text(oldest, "time"));
	verb_complain(run->err, text);
}

static int
show_once(const struct command_run *run, const struct wanted *wanted)
{
	char error[CLIENT_ERROR_MAX];
	json_t *root, *list;
	int code = verb_fetch(run, "GET", PATH, &root, error);

	if (code != 0) {
		verb_complain(run->err, error);
		return code;
	}
	note_gone(run, wanted, root);
	list = json_object_get(root, "events");
	select_events(list, wanted, SIZE_MAX);
	if (run->line->json)
		code = verb_print_json(run, root);
	else if (json_array_size(list) == 0)
		fputs("No events.\n", run->out->file);
	else
		code = follow_print(run, list, print_event);
	json_decref(root);
	return code;
}

static int
follow_events(struct follow *f, const struct wanted *wanted)
{
	size_t max = wanted->has_since ? SIZE_MAX : FOLLOW_FIRST;
	json_t *root;
	int code;

	do {
		bool is_first = !f->has_answered;
		json_t *list;

		code = follow_ring(f, PATH, &root);
		if (code != 0 || root == NULL)
			return code;
		if (is_first)
			note_gone(f->run, wanted, root);
		list = json_object_get(root, "events");
		select_events(list, wanted, max);
		code = follow_print(f->run, list, print_event);
		json_decref(root);
		max = SIZE_MAX;
	} while (code == 0 && follow_pause(f, FOLLOW_POLL_MS));
	return code;
}

int
verb_events(const struct command_run *run)
{
	struct wanted wanted;
	struct follow f;
	int code = read_options(run, &wanted);

	if (code != 0)
		return code;
	if (command_line_value(run->line, "follow") == NULL)
		return show_once(run, &wanted);
	follow_begin(
	    &f, run, "nlbd's log on standard error or in the journal has them");
	code = follow_events(&f, &wanted);
	follow_end(&f);
	return code;
}
