/*
 * nlbctl wait: asks until something is so, or the time is over.
 */
#include "nlbctl/verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "nlbctl/show.h"

#define TIMEOUT_DEFAULT_S 600 /* as the AWS CLI's waiters */
#define POLL_MS 250

/* What was found when nlbd was asked last. */
struct finding {
	bool done;
	char text[256];
};

struct condition {
	const char *name;
	const char *path;
	bool of_targets; /* knows --target-group and --target */
	void (*judge)(const struct command_run *run, const json_t *root,
	    struct finding *out);
};

/* By address, or by address and port. */
static bool
is_wanted(const struct command_run *run, const json_t *target)
{
	const char *wanted = command_line_value(run->line, "target");
	char address[64];

	return wanted == NULL ||
	       strcmp(wanted, show_text(target, "address")) == 0 ||
	       strcmp(wanted, show_address(target, address, sizeof(address))) ==
		   0;
}

static void
judge_in_service(
    const struct command_run *run, const json_t *root, struct finding *out)
{
	const json_t *list = json_object_get(root, "targets"), *target;
	size_t i, n = 0, healthy = 0;

	json_array_foreach(list, i, target)
	{
		/* One that was deregistered will not come back. */
		if (show_text(target, "label")[0] == '\0' ||
		    !is_wanted(run, target))
			continue;
		n++;
		healthy += strcmp(show_text(target, "state"), "healthy") == 0;
	}
	out->done = n > 0 && healthy == n;
	snprintf(out->text, sizeof(out->text), "%zu of %zu target%s in service",
	    healthy, n, n == 1 ? " is" : "s are");
}

static void
judge_deregistered(
    const struct command_run *run, const json_t *root, struct finding *out)
{
	bool named = command_line_value(run->line, "target") != NULL;
	const json_t *list = json_object_get(root, "targets"), *target;
	size_t i, n = 0;
	uint64_t flows = 0;

	json_array_foreach(list, i, target)
	{
		const char *state = show_text(target, "state");
		bool is_left = strcmp(state, "draining") == 0 ||
			       (named && strcmp(state, "unused") != 0);

		if (!is_left || !is_wanted(run, target))
			continue;
		n++;
		flows += show_uint(target, "active_flows");
	}
	out->done = n == 0;
	if (n == 0)
		snprintf(out->text, sizeof(out->text), "deregistered");
	else
		snprintf(out->text, sizeof(out->text),
		    "%zu target%s not deregistered yet, with %" PRIu64
		    " flow%s",
		    n, n == 1 ? " is" : "s are", flows, flows == 1 ? "" : "s");
}

static void
judge_drained(
    const struct command_run *run, const json_t *root, struct finding *out)
{
	uint64_t flows = show_uint(root, "active_flows");

	(void)run;
	out->done = flows == 0;
	snprintf(out->text, sizeof(out->text), "%" PRIu64 " flow%s left", flows,
	    flows == 1 ? "" : "s");
}

static const struct condition conditions[] = {
    {"target-in-service", "/v1/targets", true, judge_in_service},
    {"target-deregistered", "/v1/targets", true, judge_deregistered},
    {"drained", "/v1/status", false, judge_drained},
};
#define CONDITIONS (sizeof(conditions) / sizeof(conditions[0]))

const char *
verb_wait_word(size_t i)
{
	return i < CONDITIONS ? conditions[i].name : NULL;
}

static const struct condition *
find_condition(const char *name)
{
	for (size_t i = 0; i < CONDITIONS; i++) {
		if (strcmp(conditions[i].name, name) == 0)
			return &conditions[i];
	}
	return NULL;
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* An nlbd that was stopping and is gone has ended its flows. */
static int
ask(const struct command_run *run, const struct condition *condition,
    const char *path, bool *stopping, struct finding *out)
{
	char error[CLIENT_ERROR_MAX];
	json_t *root;
	int code = verb_fetch(run, "GET", path, &root, error);

	if (code == 0) {
		condition->judge(run, root, out);
		*stopping = show_bool(root, "stopping");
		json_decref(root);
	} else if (code == EX_UNAVAILABLE && *stopping) {
		out->done = true;
		snprintf(out->text, sizeof(out->text), "nlbd has stopped");
		code = 0;
	} else {
		snprintf(out->text, sizeof(out->text), "%.255s", error);
	}
	return code;
}

static int
poll_until(const struct command_run *run, const struct condition *condition,
    const char *path, uint64_t deadline_ms)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	struct finding finding = {0};
	bool stopping = false;
	int code;

	for (;;) {
		code = ask(run, condition, path, &stopping, &finding);
		if (code == 0 && finding.done) {
			if (!run->line->json)
				output_lines(run->out->file, finding.text);
			return EX_OK;
		}
		/* It may start just now, or be busy; the rest stays so. */
		if (code != 0 && code != EX_UNAVAILABLE && code != EX_TEMPFAIL)
			break;
		if (now_ms() >= deadline_ms) {
			verb_complain(run->err, "the time is over");
			break;
		}
		nanosleep(&pause, NULL);
	}
	verb_complain(run->err, finding.text);
	return code == 0 ? EX_TEMPFAIL : code;
}

int
verb_wait(const struct command_run *run)
{
	const struct condition *condition = find_condition(run->line->operand);
	const char *group = command_line_value(run->line, "target-group");
	const char *target = command_line_value(run->line, "target");
	const char *timeout = command_line_value(run->line, "timeout");
	uint64_t seconds = TIMEOUT_DEFAULT_S;
	char path[512];

	if (condition == NULL) {
		verb_complain(run->err,
		    "wait for target-in-service, target-deregistered or "
		    "drained");
		return EX_USAGE;
	}
	if (!condition->of_targets && (group != NULL || target != NULL)) {
		verb_complain(run->err, "drained is about the whole node: "
					"leave the target and its group out");
		return EX_USAGE;
	}
	snprintf(path, sizeof(path), "%s", condition->path);
	if (group != NULL &&
	    client_add_query(path, sizeof(path), "target-group", group) != 0) {
		verb_complain(run->err, "the group's name is too long");
		return EX_USAGE;
	}
	if (timeout != NULL)
		seconds = strtoul(timeout, NULL, 10); /* was checked */
	return poll_until(run, condition, path, now_ms() + seconds * 1000);
}
