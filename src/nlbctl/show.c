/*
 * What the views share, and the small ones: verdicts, targets, flows.
 */
#include "nlbctl/show.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nlbctl/format.h"

const char *
show_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "-" : text;
}

uint64_t
show_uint(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n < 0 ? 0 : (uint64_t)n;
}

bool
show_bool(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

void
show_health(const json_t *root, const struct output *out)
{
	const char *health = show_text(root, "health");

	output_styled(out, STYLE_BOLD, "%s", show_text(root, "load_balancer"));
	fputs(" is ", out->file);
	if (strcmp(health, "ok") == 0)
		output_styled(out, STYLE_GOOD, "OK");
	else if (strcmp(health, "degraded") == 0)
		output_styled(out, STYLE_WARN, "DEGRADED");
	else
		output_styled(out, STYLE_BAD, "FAILING");
}

const char *
show_address(const json_t *object, char *buf, size_t size)
{
	const char *ip = show_text(object, "address");
	unsigned port = (unsigned)(show_uint(object, "port") & 0xffff);

	snprintf(
	    buf, size, strchr(ip, ':') == NULL ? "%s:%u" : "[%s]:%u", ip, port);
	return buf;
}

const char *
show_clock(const json_t *object, char buf[SHOW_CLOCK_SIZE])
{
	const char *time = show_text(object, "time");
	const char *clock = strchr(time, 'T');

	snprintf(buf, SHOW_CLOCK_SIZE, "%s", clock == NULL ? time : clock + 1);
	return buf;
}

enum style
show_state_style(const char *state)
{
	if (strcmp(state, "healthy") == 0)
		return STYLE_GOOD;
	if (strcmp(state, "unhealthy") == 0 ||
	    strcmp(state, "unavailable") == 0)
		return STYLE_BAD;
	if (strcmp(state, "unused") == 0)
		return STYLE_DIM;
	return STYLE_WARN;
}

const char *
show_last_check(const json_t *target, char *buf, size_t size)
{
	const char *detail = show_text(target, "last_check");
	uint64_t us = show_uint(target, "last_check_us");
	char ms[FORMAT_STRLEN];

	if (detail[0] == '\0')
		snprintf(buf, size, "none yet");
	else if (us == 0)
		snprintf(buf, size, "%s", detail);
	else
		snprintf(buf, size, "%s, %s", detail,
		    format_ms((double)us / 1000.0, ms));
	return buf;
}

const char *
show_target_flows(const json_t *target, char *buf, size_t size)
{
	char count[FORMAT_STRLEN], max[FORMAT_STRLEN];

	format_count(show_uint(target, "active_flows"), count);
	if (json_object_get(target, "max_flows") == NULL)
		snprintf(buf, size, "%s", count);
	else
		snprintf(buf, size, "%s of %s", count,
		    format_count(show_uint(target, "max_flows"), max));
	return buf;
}

int
show_verdict(const json_t *root, const struct output *out)
{
	const char *verdict = show_text(root, "verdict");

	if (strcmp(verdict, "accepted") != 0)
		return -EPROTO;
	output_styled(out, STYLE_GOOD, "accepted");
	fputs(": ", out->file);
	output_lines(out->file, show_text(root, "message"));
	return 0;
}

static void
target_row(struct table *table, const json_t *t)
{
	const char *state = show_text(t, "state");
	char address[64], check[256], time[FORMAT_STRLEN], left[FORMAT_STRLEN];
	char flows[64];

	table_cell(table, STYLE_PLAIN, "%s", show_text(t, "target_group"));
	table_cell(table, STYLE_PLAIN, "%s", show_text(t, "label"));
	if (json_is_string(json_object_get(t, "dns_name")))
		table_cell(table, STYLE_PLAIN, "%s (%s)",
		    show_address(t, address, sizeof(address)),
		    show_text(t, "dns_name"));
	else
		table_cell(table, STYLE_PLAIN, "%s",
		    show_address(t, address, sizeof(address)));
	table_cell(table, STYLE_PLAIN, "%s", show_text(t, "availability_zone"));
	table_cell(table, show_state_style(state), "%s%s", state,
	    show_bool(t, "standby") ? " (standby)" : "");
	format_seconds(show_uint(t, "state_seconds"), time);
	if (json_object_get(t, "remaining_seconds") != NULL)
		table_cell(table, STYLE_PLAIN, "%s, %s left", time,
		    format_seconds(show_uint(t, "remaining_seconds"), left));
	else
		table_cell(table, STYLE_PLAIN, "%s", time);
	table_cell(table, STYLE_PLAIN, "%s",
	    json_object_get(t, "reason") == NULL ? "" : show_text(t, "reason"));
	table_cell(table, STYLE_PLAIN, "%s",
	    show_target_flows(t, flows, sizeof(flows)));
	table_cell(
	    table, STYLE_PLAIN, "%s", show_last_check(t, check, sizeof(check)));
}

int
show_targets(const json_t *root, const struct output *out)
{
	static const struct table_column columns[] = {
	    {"TARGET GROUP", TABLE_LEFT}, {"LABEL", TABLE_LEFT},
	    {"TARGET", TABLE_LEFT}, {"ZONE", TABLE_LEFT}, {"STATE", TABLE_LEFT},
	    {"FOR", TABLE_LEFT}, {"REASON", TABLE_LEFT}, {"FLOWS", TABLE_RIGHT},
	    {"LAST CHECK", TABLE_LEFT}};
	const json_t *list = json_object_get(root, "targets");
	struct table *table;
	const json_t *t;
	bool fail_open = false;
	size_t i;
	int rc;

	if (!json_is_array(list))
		return -EPROTO;
	if (json_array_size(list) == 0) {
		fputs("No targets.\n", out->file);
		return 0;
	}
	table = table_create(columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(list, i, t)
	{
		target_row(table, t);
		fail_open = fail_open || show_bool(t, "fail_open");
	}
	rc = table_print(table, out);
	table_destroy(table);
	if (fail_open)
		output_wrapped(out, "",
		    "A group fails open: too few of its targets are healthy, "
		    "so new connections go to all of them.");
	return rc;
}

static void
flow_row(struct table *table, const json_t *f)
{
	char buf[FORMAT_STRLEN];
	uint64_t retries = show_uint(f, "retries");
	const json_t *connect_ms = json_object_get(f, "connect_ms");

	table_cell(table, STYLE_PLAIN, "%s", show_text(f, "client"));
	table_cell(table, STYLE_PLAIN, "%s", show_text(f, "listener"));
	table_cell(table, STYLE_PLAIN, "%s", show_text(f, "target"));
	table_cell(table, STYLE_PLAIN, "%s", show_text(f, "state"));
	table_cell(table, STYLE_PLAIN, "%s",
	    format_bytes(show_uint(f, "client_to_target_bytes"), buf));
	table_cell(table, STYLE_PLAIN, "%s",
	    format_bytes(show_uint(f, "target_to_client_bytes"), buf));
	table_cell(table, STYLE_PLAIN, "%s",
	    format_seconds(show_uint(f, "duration_ms") / 1000, buf));
	table_cell(table, STYLE_PLAIN, "%s",
	    json_is_number(connect_ms)
		? format_ms(json_number_value(connect_ms), buf)
		: "-");
	/* Almost always none: then the column is not there. */
	if (retries > 0)
		table_cell(table, STYLE_WARN, "%s", format_count(retries, buf));
	else
		table_cell(table, STYLE_PLAIN, "%s", "");
	table_cell(table, STYLE_PLAIN, "%s",
	    format_count(show_uint(f, "worker"), buf));
}

static void
flows_summary(const json_t *root, size_t n, const struct output *out)
{
	uint64_t matching = show_uint(root, "matching_flows");
	uint64_t missing = show_uint(root, "missing_workers");
	char a[FORMAT_STRLEN], b[FORMAT_STRLEN];

	if (n < matching)
		fprintf(out->file, "%s of %s flows, the newest ones.\n",
		    format_count(n, a), format_count(matching, b));
	else if (n == 0)
		fputs("No flows.\n", out->file);
	else
		fprintf(out->file, "%s flow%s.\n", format_count(n, a),
		    n == 1 ? "" : "s");
	if (missing > 0) {
		output_styled(out, STYLE_WARN,
		    "%s worker%s did not answer in time: flows are missing "
		    "here.",
		    format_count(missing, a), missing == 1 ? "" : "s");
		fputc('\n', out->file);
	}
}

int
show_flows(const json_t *root, const struct output *out)
{
	static const struct table_column columns[] = {{"CLIENT", TABLE_LEFT},
	    {"LISTENER", TABLE_LEFT}, {"TARGET", TABLE_LEFT},
	    {"STATE", TABLE_LEFT}, {"TO TARGET", TABLE_RIGHT},
	    {"TO CLIENT", TABLE_RIGHT}, {"AGE", TABLE_RIGHT},
	    {"CONNECT", TABLE_RIGHT}, {"RETRIES", TABLE_RIGHT},
	    {"WORKER", TABLE_RIGHT}};
	const json_t *list = json_object_get(root, "flows");
	struct table *table;
	const json_t *f;
	size_t i;
	int rc = 0;

	if (!json_is_array(list))
		return -EPROTO;
	if (json_array_size(list) > 0) {
		table =
		    table_create(columns, sizeof(columns) / sizeof(columns[0]));
		json_array_foreach(list, i, f) flow_row(table, f);
		rc = table_print(table, out);
		table_destroy(table);
	}
	flows_summary(root, json_array_size(list), out);
	return rc;
}
