/*
 * nlbctl notify-test: an event for all receivers, and how each took it.
 */
#include "nlbctl/verb.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "nlbctl/show.h"

#define POLL_MS 100
/* As long as the first tries may take: the later ones show in status. */
#define POLLS_MAX 100

/* 0 with a new reference, or an exit code that was explained. */
static int
fetch_receivers(const struct command_run *run, json_t **out)
{
	char error[CLIENT_ERROR_MAX];
	json_t *root;
	int code = verb_fetch(run, "GET", "/v1/status", &root, error);

	if (code != 0) {
		verb_complain(run->err, error);
		return code;
	}
	*out = json_incref(json_object_get(root, "receivers"));
	json_decref(root);
	return 0;
}

static const json_t *
find(const json_t *list, const char *name)
{
	const json_t *receiver;
	size_t i;

	json_array_foreach(list, i, receiver)
	{
		if (strcmp(show_text(receiver, "name"), name) == 0)
			return receiver;
	}
	return NULL;
}

/* Has anybody still something in hand? */
static bool
is_waiting(const json_t *list)
{
	const json_t *receiver;
	size_t i;

	json_array_foreach(list, i, receiver)
	{
		if (show_uint(receiver, "waiting") > 0)
			return true;
	}
	return false;
}

/* Until nobody waits any more, or long enough. */
static int
await(const struct command_run *run, json_t **out)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};

	for (int i = 0;; i++) {
		int code = fetch_receivers(run, out);

		if (code != 0)
			return code;
		if (i == POLLS_MAX || !is_waiting(*out))
			return 0;
		json_decref(*out);
		nanosleep(&pause, NULL);
	}
}

/* Everything that waited, the test among it, and nothing was given up. */
static bool
was_told(const json_t *was, const json_t *receiver)
{
	return show_uint(receiver, "waiting") == 0 &&
	       show_uint(receiver, "sent") > show_uint(was, "sent") &&
	       show_uint(receiver, "failed") == show_uint(was, "failed") &&
	       show_uint(receiver, "dropped") == show_uint(was, "dropped");
}

/* One line for each. Were all of them told? */
static bool
print_outcome(
    const struct command_run *run, const json_t *before, const json_t *list)
{
	const json_t *receiver;
	bool all = true;
	size_t i;

	json_array_foreach(list, i, receiver)
	{
		const char *name = show_text(receiver, "name");
		const char *error =
		    json_string_value(json_object_get(receiver, "error"));
		bool told = was_told(find(before, name), receiver);

		all = all && told;
		if (run->line->json)
			continue;
		output_styled(run->out, STYLE_BOLD, "%s", name);
		output_styled(run->out, told ? STYLE_GOOD : STYLE_BAD, ": %s",
		    told            ? "told"
		    : error != NULL ? error
				    : "not told; see Events");
		fputc('\n', run->out->file);
	}
	return all;
}

int
verb_notify_test(const struct command_run *run)
{
	char error[CLIENT_ERROR_MAX];
	json_t *before = NULL, *list = NULL, *root = NULL;
	int code = fetch_receivers(run, &before);

	if (code == 0 && json_array_size(before) == 0) {
		verb_complain(run->err,
		    "nobody is to be told: the configuration has no [notify "
		    "NAME] section, see nlbd.ini(5)");
		code = EX_DATAERR;
	}
	if (code == 0) {
		code = verb_fetch(run, "POST", "/v1/notify-test", &root, error);
		if (code != 0)
			verb_complain(run->err, error);
	}
	if (code == 0)
		code = await(run, &list);
	if (code == 0 && !print_outcome(run, before, list))
		code = EX_TEMPFAIL;
	if (list != NULL && run->line->json)
		(void)verb_print_json(run, list);
	json_decref(before);
	json_decref(list);
	json_decref(root);
	return code;
}
