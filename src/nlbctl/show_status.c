/*
 * The status screen: the verdict first, then listeners, target groups,
 * targets and workers, and last, next to the prompt, what to do.
 */
#include "nlbctl/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "nlbctl/format.h"

/* More targets than this: only the ones that need a look are shown. */
#define TARGETS_SHOWN_MAX 10
#define ENDS_MAX 64

#define N_COLUMNS(columns) (sizeof(columns) / sizeof((columns)[0]))

static void
show_headline(const json_t *root, const struct output *out)
{
	size_t n = json_array_size(json_object_get(root, "problems"));

	show_health(root, out);
	if (n > 0)
		fprintf(out->file, ": %zu problem%s, see below", n,
		    n == 1 ? "" : "s");
	if (show_bool(root, "stopping"))
		fputs(" (stopping)", out->file);
	fputc('\n', out->file);
}

/* Of interest where DNS looks at it, or where it is not well. */
static void
show_zone(const json_t *root, const struct output *out)
{
	const json_t *zone = json_object_get(root, "zone");
	const char *name = json_string_value(json_object_get(zone, "name"));
	bool healthy = show_bool(zone, "healthy");

	if (zone == NULL || (name == NULL && healthy))
		return;
	output_styled(out, STYLE_PLAIN, "zone %s is ",
	    name == NULL ? "(none given)" : name);
	output_styled(out, healthy ? STYLE_GOOD : STYLE_BAD, "%s",
	    healthy ? "healthy" : "unhealthy");
	output_styled(out, STYLE_PLAIN, " for DNS");
	fputc('\n', out->file);
}

static void
show_facts(const json_t *root, const struct output *out)
{
	const json_t *config = json_object_get(root, "config");
	const json_t *reload = json_object_get(config, "last_reload");
	char up[FORMAT_STRLEN], flows[FORMAT_STRLEN];
	uint64_t active = show_uint(root, "active_flows");
	const json_t *runtime = json_object_get(config, "runtime_changes");
	const char *verdict = show_text(reload, "verdict");

	output_styled(out, STYLE_PLAIN,
	    "nlbd %s, pid %" PRIu64 ", up %s, %s active flow%s",
	    show_text(root, "version"), show_uint(root, "pid"),
	    format_seconds(show_uint(root, "uptime_seconds"), up),
	    format_count(active, flows), active == 1 ? "" : "s");
	fputc('\n', out->file);
	output_styled(out, STYLE_PLAIN, "%s, generation %" PRIu64 ", loaded %s",
	    show_text(config, "path"), show_uint(config, "generation"),
	    show_text(config, "loaded_time"));
	if (strcmp(verdict, "none") != 0) {
		fputs(", last reload ", out->file);
		output_styled(out,
		    strcmp(verdict, "accepted") == 0 ? STYLE_PLAIN : STYLE_BAD,
		    "%s", verdict);
	}
	fputc('\n', out->file);
	if (json_is_string(runtime)) {
		output_styled(out, STYLE_WARN,
		    "not as in the file: %s with --runtime; a reload takes it "
		    "back",
		    json_string_value(runtime));
		fputc('\n', out->file);
	}
}

/* "a", or "a=70,b=30": weights of a lone group say nothing, unless 0. */
static void
join_forwards(const json_t *list, char *buf, size_t size)
{
	const json_t *forward;
	size_t i, used = 0;
	uint64_t weight;
	int n;

	buf[0] = '\0';
	json_array_foreach(list, i, forward)
	{
		weight = show_uint(forward, "weight");
		n = snprintf(buf + used, size - used, "%s%s",
		    used == 0 ? "" : ",", show_text(forward, "target_group"));
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
		if (json_array_size(list) == 1 && weight > 0)
			return;
		n = snprintf(buf + used, size - used, "=%" PRIu64, weight);
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

static void
listener_row(struct table *table, const json_t *l)
{
	char address[64], groups[256], buf[FORMAT_STRLEN];
	uint64_t rejected = show_uint(l, "rejected_flows");
	uint64_t blocked = show_uint(l, "filter_drops") +
			   show_uint(l, "security_group_blocked") +
			   show_uint(l, "security_group_blocked_outbound") +
			   show_uint(l, "network_acl_blocked");

	table_cell(table, STYLE_PLAIN, "%s", show_text(l, "name"));
	table_cell(table, STYLE_PLAIN, "%s",
	    show_address(l, address, sizeof(address)));
	join_forwards(json_object_get(l, "forwards"), groups, sizeof(groups));
	table_cell(table, STYLE_PLAIN, "%s", groups);
	if (show_bool(l, "paused"))
		table_cell(table, STYLE_BAD, "paused");
	else
		table_cell(table, STYLE_GOOD, "open");
	table_cell(table, STYLE_PLAIN, "%s",
	    format_count(show_uint(l, "active_flows"), buf));
	table_cell(table, STYLE_PLAIN, "%s",
	    format_count(show_uint(l, "new_flows"), buf));
	table_cell(table, rejected > 0 ? STYLE_WARN : STYLE_PLAIN, "%s",
	    format_count(rejected, buf));
	table_cell(table, STYLE_PLAIN, "%s", format_count(blocked, buf));
	table_cell(table, STYLE_PLAIN, "%s",
	    format_bytes(show_uint(l, "client_to_target_bytes"), buf));
	table_cell(table, STYLE_PLAIN, "%s",
	    format_bytes(show_uint(l, "target_to_client_bytes"), buf));
	table_cell(table, STYLE_PLAIN, "%s", show_text(l, "filter"));
}

static int
show_listeners(const json_t *list, const struct output *out)
{
	static const struct table_column columns[] = {{"LISTENER", TABLE_LEFT},
	    {"ADDRESS", TABLE_LEFT}, {"FORWARDS TO", TABLE_LEFT},
	    {"STATE", TABLE_LEFT}, {"FLOWS", TABLE_RIGHT}, {"NEW", TABLE_RIGHT},
	    {"REJECTED", TABLE_RIGHT}, {"BLOCKED", TABLE_RIGHT},
	    {"IN", TABLE_RIGHT}, {"OUT", TABLE_RIGHT},
	    {"SECURITY GROUPS", TABLE_LEFT}};
	struct table *table = table_create(columns, N_COLUMNS(columns));
	const json_t *l;
	size_t i;
	int rc;

	json_array_foreach(list, i, l) listener_row(table, l);
	fputc('\n', out->file);
	rc = table_print(table, out);
	table_destroy(table);
	return rc;
}

/* A number that should be 0 is coloured when it is not. */
static void
count_cell(struct table *table, const json_t *object, const char *key,
    enum style nonzero)
{
	uint64_t n = show_uint(object, key);
	char buf[FORMAT_STRLEN];

	table_cell(
	    table, n > 0 ? nonzero : STYLE_PLAIN, "%s", format_count(n, buf));
}

static enum style
healthy_style(uint64_t healthy, uint64_t registered, bool used)
{
	if (!used)
		return STYLE_DIM;
	if (healthy == 0)
		return STYLE_BAD;
	return healthy < registered ? STYLE_WARN : STYLE_GOOD;
}

static void
group_row(struct table *table, const json_t *g)
{
	uint64_t registered = show_uint(g, "registered");
	uint64_t healthy = show_uint(g, "healthy");
	uint64_t unused = show_uint(g, "unused");
	bool used = show_bool(g, "in_use");

	/* Those of other zones are not missed here. */
	if (used)
		registered -= unused < registered ? unused : registered;

	table_cell(table, STYLE_PLAIN, "%s", show_text(g, "name"));
	table_cell(table, healthy_style(healthy, registered, used),
	    "%" PRIu64 " of %" PRIu64, healthy, registered);
	count_cell(table, g, "unhealthy", STYLE_BAD);
	count_cell(table, g, "initial", STYLE_WARN);
	count_cell(table, g, "draining", STYLE_WARN);
	count_cell(table, g, "unused", STYLE_PLAIN);
	if (show_bool(g, "dns_healthy"))
		table_cell(table, STYLE_PLAIN, "healthy");
	else
		table_cell(table, STYLE_BAD, "unhealthy");
	if (!used)
		table_cell(table, STYLE_DIM, "no listener uses it");
	else if (show_bool(g, "fail_open"))
		table_cell(table, STYLE_BAD, "all targets (fail open)");
	else if (show_bool(g, "on_standby"))
		table_cell(table, STYLE_WARN, "standby targets");
	else if (healthy == 0)
		table_cell(table, STYLE_BAD, "nobody");
	else
		table_cell(table, STYLE_PLAIN, "healthy targets");
}

static int
show_groups(const json_t *list, const struct output *out)
{
	static const struct table_column columns[] = {
	    {"TARGET GROUP", TABLE_LEFT}, {"HEALTHY", TABLE_LEFT},
	    {"UNHEALTHY", TABLE_RIGHT}, {"INITIAL", TABLE_RIGHT},
	    {"DRAINING", TABLE_RIGHT}, {"UNUSED", TABLE_RIGHT},
	    {"FOR DNS", TABLE_LEFT}, {"NEW FLOWS GO TO", TABLE_LEFT}};
	struct table *table = table_create(columns, N_COLUMNS(columns));
	const json_t *g;
	size_t i;
	int rc;

	json_array_foreach(list, i, g) group_row(table, g);
	fputc('\n', out->file);
	rc = table_print(table, out);
	table_destroy(table);
	return rc;
}

static void
status_target_row(struct table *table, const json_t *t)
{
	const char *state = show_text(t, "state");
	char address[64], check[256], flows[64], buf[FORMAT_STRLEN];

	table_cell(table, STYLE_PLAIN, "%s",
	    show_address(t, address, sizeof(address)));
	table_cell(table, STYLE_PLAIN, "%s", show_text(t, "label"));
	table_cell(table, STYLE_PLAIN, "%s", show_text(t, "target_group"));
	table_cell(table, show_state_style(state), "%s%s", state,
	    show_bool(t, "standby") ? " (standby)" : "");
	table_cell(table, STYLE_PLAIN, "%s",
	    format_seconds(show_uint(t, "state_seconds"), buf));
	table_cell(table, STYLE_PLAIN, "%s",
	    show_target_flows(t, flows, sizeof(flows)));
	table_cell(table, STYLE_PLAIN, "%s",
	    format_count(show_uint(t, "new_flows"), buf));
	count_cell(table, t, "connect_failures", STYLE_WARN);
	table_cell(
	    table, STYLE_PLAIN, "%s", show_last_check(t, check, sizeof(check)));
}

static int
show_status_targets(const json_t *list, const struct output *out)
{
	static const struct table_column columns[] = {{"TARGET", TABLE_LEFT},
	    {"LABEL", TABLE_LEFT}, {"GROUP", TABLE_LEFT}, {"STATE", TABLE_LEFT},
	    {"FOR", TABLE_RIGHT}, {"FLOWS", TABLE_RIGHT}, {"NEW", TABLE_RIGHT},
	    {"CONNECT FAILURES", TABLE_RIGHT}, {"LAST CHECK", TABLE_LEFT}};
	bool all = json_array_size(list) <= TARGETS_SHOWN_MAX;
	struct table *table = table_create(columns, N_COLUMNS(columns));
	const json_t *t;
	size_t i, shown = 0;
	int rc = 0;

	json_array_foreach(list, i, t)
	{
		if (shown == TARGETS_SHOWN_MAX ||
		    (!all && strcmp(show_text(t, "state"), "healthy") == 0))
			continue;
		status_target_row(table, t);
		shown++;
	}
	if (shown > 0) {
		fputc('\n', out->file);
		rc = table_print(table, out);
	}
	table_destroy(table);
	if (shown < json_array_size(list))
		fprintf(out->file,
		    "%s%zu more targets: `nlbctl describe-target-health`.\n",
		    shown == 0 ? "\n" : "", json_array_size(list) - shown);
	return rc;
}

/* "10.0.0.1, 10.0.0.2 (+ 10.0.0.9 until one is healthy)" */
static void
join_addresses(const json_t *n, char *buf, size_t size)
{
	const json_t *kept = json_object_get(n, "kept_addresses"), *a;
	size_t i;

	buf[0] = '\0';
	json_array_foreach(json_object_get(n, "addresses"), i, a)
	{
		strlcat(buf, i == 0 ? "" : ", ", size);
		strlcat(
		    buf, json_is_string(a) ? json_string_value(a) : "-", size);
	}
	if (i == 0)
		strlcat(buf, "none", size);
	if (json_array_size(kept) == 0)
		return;
	strlcat(buf, " (and until one is healthy ", size);
	json_array_foreach(kept, i, a)
	{
		strlcat(buf, i == 0 ? "" : ", ", size);
		strlcat(
		    buf, json_is_string(a) ? json_string_value(a) : "-", size);
	}
	strlcat(buf, ")", size);
}

static void
name_row(struct table *table, const json_t *n)
{
	char addresses[512], buf[FORMAT_STRLEN];
	uint64_t next = show_uint(n, "next_seconds");

	table_cell(table, STYLE_PLAIN, "%s:%" PRIu64, show_text(n, "name"),
	    show_uint(n, "port"));
	table_cell(table, STYLE_PLAIN, "%s", show_text(n, "label"));
	table_cell(table, STYLE_PLAIN, "%s", show_text(n, "target_group"));
	if (json_is_string(json_object_get(n, "error")))
		table_cell(table, STYLE_BAD, "%s", show_text(n, "error"));
	else if (json_is_string(json_object_get(n, "last_answer_time")))
		table_cell(table,
		    json_is_string(json_object_get(n, "refused")) ? STYLE_WARN
								  : STYLE_GOOD,
		    "resolved");
	else
		table_cell(table, STYLE_WARN, "not yet");
	table_cell(table, STYLE_PLAIN, "%s", format_seconds(next, buf));
	join_addresses(n, addresses, sizeof(addresses));
	table_cell(table, STYLE_PLAIN, "%s", addresses);
}

static int
show_names(const json_t *list, const struct output *out)
{
	static const struct table_column columns[] = {{"NAME", TABLE_LEFT},
	    {"LABEL", TABLE_LEFT}, {"GROUP", TABLE_LEFT},
	    {"RESOLUTION", TABLE_LEFT}, {"AGAIN IN", TABLE_RIGHT},
	    {"ADDRESSES", TABLE_LEFT}};
	struct table *table;
	const json_t *n;
	size_t i;
	int rc;

	if (json_array_size(list) == 0)
		return 0;
	table = table_create(columns, N_COLUMNS(columns));
	json_array_foreach(list, i, n) name_row(table, n);
	fputc('\n', out->file);
	rc = table_print(table, out);
	table_destroy(table);
	return rc;
}

static int
show_workers(const json_t *root, const struct output *out)
{
	static const struct table_column columns[] = {{"WORKER", TABLE_RIGHT},
	    {"PID", TABLE_RIGHT}, {"STATE", TABLE_LEFT}, {"FLOWS", TABLE_RIGHT},
	    {"MAX FLOWS", TABLE_RIGHT}, {"GENERATION", TABLE_RIGHT}};
	const json_t *list = json_object_get(root, "workers");
	struct table *table = table_create(columns, N_COLUMNS(columns));
	uint64_t restarts = show_uint(root, "worker_restarts");
	const char *state;
	char buf[FORMAT_STRLEN];
	const json_t *w;
	size_t i;
	int rc;

	json_array_foreach(list, i, w)
	{
		state = show_text(w, "state");
		table_cell(
		    table, STYLE_PLAIN, "%" PRIu64, show_uint(w, "index"));
		table_cell(table, STYLE_PLAIN, "%" PRIu64, show_uint(w, "pid"));
		table_cell(table,
		    strcmp(state, "serving") == 0 ? STYLE_GOOD : STYLE_WARN,
		    "%s", state);
		table_cell(table, STYLE_PLAIN, "%s",
		    format_count(show_uint(w, "active_flows"), buf));
		table_cell(table, STYLE_PLAIN, "%s",
		    format_count(show_uint(w, "max_flows"), buf));
		table_cell(
		    table, STYLE_PLAIN, "%" PRIu64, show_uint(w, "generation"));
	}
	fputc('\n', out->file);
	rc = table_print(table, out);
	table_destroy(table);
	if (restarts > 0)
		fprintf(out->file,
		    "Workers were replaced %s time%s; the log says why.\n",
		    format_count(restarts, buf), restarts == 1 ? "" : "s");
	return rc;
}

struct end_count {
	const char *code;
	uint64_t n;
};

static int
compare_most_first(const void *a, const void *b)
{
	const struct end_count *x = a, *y = b;

	return x->n < y->n ? 1 : x->n > y->n ? -1 : strcmp(x->code, y->code);
}

/* "Flows ended: 1,203 client-fin, 12 idle-timeout", most first. */
static void
show_ends(json_t *ends, const struct output *out)
{
	struct end_count list[ENDS_MAX];
	char text[1024], count[FORMAT_STRLEN];
	size_t i, n = 0, used = 0;
	const char *code;
	json_t *value;
	int len;

	json_object_foreach(ends, code, value)
	{
		if (json_integer_value(value) > 0 && n < ENDS_MAX)
			list[n++] = (struct end_count){
			    code, (uint64_t)json_integer_value(value)};
	}
	if (n == 0)
		return;
	qsort(list, n, sizeof(list[0]), compare_most_first);
	for (i = 0; i < n; i++) {
		len = snprintf(text + used, sizeof(text) - used, "%s%s %s",
		    i == 0 ? "" : ", ", format_count(list[i].n, count),
		    list[i].code);
		if (len < 0 || (size_t)len >= sizeof(text) - used)
			break;
		used += (size_t)len;
	}
	fputc('\n', out->file);
	output_wrapped(out, "Flows ended: ", text);
}

static void
show_problems(const json_t *list, const struct output *out)
{
	const json_t *problem;
	char first[24];
	size_t i;

	json_array_foreach(list, i, problem)
	{
		if (i == 0)
			fputc('\n', out->file);
		snprintf(first, sizeof(first), "%zu. ", i + 1);
		output_wrapped(out, first,
		    json_is_string(problem) ? json_string_value(problem) : "-");
	}
}

int
show_status(const json_t *root, const struct output *out)
{
	const json_t *listeners = json_object_get(root, "listeners");
	const json_t *groups = json_object_get(root, "target_groups");
	const json_t *targets = json_object_get(root, "targets");

	if (!json_is_array(listeners) || !json_is_array(groups) ||
	    !json_is_string(json_object_get(root, "health")))
		return -EPROTO;
	show_headline(root, out);
	show_facts(root, out);
	show_zone(root, out);
	if (show_listeners(listeners, out) != 0 ||
	    show_groups(groups, out) != 0 ||
	    show_names(json_object_get(root, "names"), out) != 0 ||
	    show_status_targets(targets, out) != 0 ||
	    show_workers(root, out) != 0)
		return -ENOMEM;
	show_ends(json_object_get(root, "flow_ends"), out);
	show_problems(json_object_get(root, "problems"), out);
	return 0;
}
