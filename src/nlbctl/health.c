/*
 * nlbctl health: one line and an exit code, as monitoring plugins have them.
 */
#include "nlbctl/verb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "nlbctl/show.h"

enum plugin {
	PLUGIN_OK,
	PLUGIN_WARNING,
	PLUGIN_CRITICAL,
	PLUGIN_UNKNOWN,
};

static const char *const plugin_names[] = {
    [PLUGIN_OK] = "OK",
    [PLUGIN_WARNING] = "WARNING",
    [PLUGIN_CRITICAL] = "CRITICAL",
    [PLUGIN_UNKNOWN] = "UNKNOWN",
};

struct host_counts {
	uint64_t healthy, unhealthy, registered;
};

static struct host_counts
count_hosts(const json_t *root)
{
	const json_t *groups = json_object_get(root, "target_groups"), *g;
	struct host_counts counts = {0};
	size_t i;

	json_array_foreach(groups, i, g)
	{
		counts.healthy += show_uint(g, "healthy");
		counts.unhealthy += show_uint(g, "unhealthy");
		counts.registered += show_uint(g, "registered");
	}
	return counts;
}

static enum plugin
judge(const json_t *root)
{
	const char *health = show_text(root, "health");

	if (strcmp(health, "ok") == 0)
		return PLUGIN_OK;
	if (strcmp(health, "degraded") == 0)
		return PLUGIN_WARNING;
	return strcmp(health, "failing") == 0 ? PLUGIN_CRITICAL
					      : PLUGIN_UNKNOWN;
}

/* "2 of 3 targets healthy; Target group ...", and after the bar what graphs
 * are made of. */
static void
describe(const json_t *root, char *text, size_t size)
{
	struct host_counts hosts = count_hosts(root);
	const json_t *problems = json_object_get(root, "problems");
	const char *first = json_string_value(json_array_get(problems, 0));
	size_t n = json_array_size(problems), used;

	snprintf(text, size, "%" PRIu64 " of %" PRIu64 " targets healthy",
	    hosts.healthy, hosts.registered);
	used = strlen(text);
	if (first != NULL && n == 1)
		snprintf(text + used, size - used, "; %.512s", first);
	else if (first != NULL)
		snprintf(text + used, size - used, "; %.512s (and %zu more)",
		    first, n - 1);
	/* A bar would begin the numbers. */
	for (char *bar = strchr(text, '|'); bar != NULL; bar = strchr(bar, '|'))
		*bar = '/';
	used = strlen(text);
	snprintf(text + used, size - used,
	    " | active_flows=%" PRIu64 " healthy=%" PRIu64
	    " unhealthy=%" PRIu64,
	    show_uint(root, "active_flows"), hosts.healthy, hosts.unhealthy);
}

/* Nobody listens: clients are hardly served. But that we may not ask, or got
 * no answer in time, tells nothing. */
static enum plugin
judge_unreachable(const struct command_run *run, int code)
{
	bool forbidden = access(run->socket_path, W_OK) != 0 && errno == EACCES;

	return code == EX_UNAVAILABLE && !forbidden ? PLUGIN_CRITICAL
						    : PLUGIN_UNKNOWN;
}

static int
report(const struct command_run *run, enum plugin plugin, const char *text)
{
	json_t *root;

	if (command_line_value(run->line, "quiet") != NULL)
		return (int)plugin;
	if (!run->line->json) {
		output_styled(run->out, STYLE_PLAIN, "NLBD %s - %s",
		    plugin_names[plugin], text);
		fputc('\n', run->out->file);
		return (int)plugin;
	}
	root = json_pack("{s:s, s:i, s:s}", "status", plugin_names[plugin],
	    "exit_code", (int)plugin, "message", text);
	if (verb_print_json(run, root) != EX_OK)
		plugin = PLUGIN_UNKNOWN;
	json_decref(root);
	return (int)plugin;
}

int
verb_health(const struct command_run *run)
{
	char text[1024], error[CLIENT_ERROR_MAX], *newline;
	enum plugin plugin;
	json_t *root;
	int code;

	code = verb_fetch(run, "GET", "/v1/status", &root, error);
	if (code != 0) {
		while ((newline = strchr(error, '\n')) != NULL)
			*newline = ' ';
		return report(run, judge_unreachable(run, code), error);
	}
	plugin = judge(root);
	describe(root, text, sizeof(text));
	json_decref(root);
	return report(run, plugin, text);
}
