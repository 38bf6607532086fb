/*
 * nlbctl flows --follow: flows as they begin and end.
 */
#include "nlbctl/verb.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "nlbctl/follow.h"
#include "nlbctl/format.h"
#include "nlbctl/show.h"

#define ROW_BEGIN "%-8s  %-5s  %-21s  %-12s  %-21s  "
#define ROW_END "%9s  %9s  %8s  "

static void
print_title(const struct output *out)
{
	output_styled(out, STYLE_DIM, ROW_BEGIN ROW_END "%s", "TIME", "FLOW",
	    "CLIENT", "LISTENER", "TARGET", "TO TARGET", "TO CLIENT", "LASTED",
	    "END");
	fputc('\n', out->file);
}

static enum style
end_style(const char *reason)
{
	bool is_fin = strcmp(reason, "client-fin") == 0 ||
		      strcmp(reason, "target-fin") == 0;

	return is_fin ? STYLE_PLAIN : STYLE_WARN;
}

static void
print_began(const struct output *out, const json_t *f)
{
	double ms = json_number_value(json_object_get(f, "connect_ms"));
	char connect[FORMAT_STRLEN];

	output_styled(
	    out, STYLE_DIM, "connected in %s", format_ms(ms, connect));
}

static void
print_ended(const struct output *out, const json_t *f)
{
	char to_target[FORMAT_STRLEN], to_client[FORMAT_STRLEN];
	char lasted[FORMAT_STRLEN];
	uint64_t ms = show_uint(f, "duration_ms");
	const char *reason = show_text(f, "end_reason");

	if (ms < 10000)
		format_ms((double)ms, lasted);
	else
		format_seconds(ms / 1000, lasted);
	output_styled(out, STYLE_PLAIN, ROW_END,
	    format_bytes(show_uint(f, "client_to_target_bytes"), to_target),
	    format_bytes(show_uint(f, "target_to_client_bytes"), to_client),
	    lasted);
	output_styled(out, end_style(reason), "%s", reason);
}

static void
print_flow(const struct output *out, const json_t *f)
{
	const char *what = show_text(f, "what");
	char clock[SHOW_CLOCK_SIZE];

	output_styled(out, STYLE_PLAIN, ROW_BEGIN, show_clock(f, clock), what,
	    show_text(f, "client"), show_text(f, "listener"),
	    show_text(f, "target"));
	if (strcmp(what, "ended") == 0)
		print_ended(out, f);
	else
		print_began(out, f);
	fputc('\n', out->file);
}

/* 0, or an exit code after saying what is wrong. */
static int
build_path(const struct command_run *run, char *path, size_t size)
{
	static const char *const options[] = {"listener", "target"};

	if (command_line_value(run->line, "limit") != NULL) {
		verb_complain(run->err,
		    "--limit is for the list of flows: leave it out with "
		    "--follow");
		return EX_USAGE;
	}
	snprintf(path, size, "/v1/flows/watch");
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const char *value = command_line_value(run->line, options[i]);

		if (value != NULL &&
		    client_add_query(path, size, options[i], value) != 0) {
			verb_complain(
			    run->err, "an option's value is too long");
			return EX_USAGE;
		}
	}
	return 0;
}

static int
follow_flows(struct follow *f, const char *path)
{
	json_t *root;
	int code;

	do {
		code = follow_ring(f, path, &root);
		if (code != 0 || root == NULL)
			return code;
		code = follow_print(
		    f->run, json_object_get(root, "flows"), print_flow);
		json_decref(root);
	} while (code == 0 && follow_pause(f, FOLLOW_POLL_MS));
	return code;
}

int
verb_flows(const struct command_run *run)
{
	struct follow f;
	char path[400];
	int code;

	if (command_line_value(run->line, "follow") == NULL)
		return verb_request(run);
	code = build_path(run, path, sizeof(path));
	if (code != 0)
		return code;
	if (!run->line->json)
		print_title(run->out);
	follow_begin(&f, run, "FlowLog in nlbd.ini has all that ended");
	code = follow_flows(&f, path);
	follow_end(&f);
	return code;
}
