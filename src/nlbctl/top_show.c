/*
 * The screen of nlbctl top: the node, its targets, its workers, what happened
 * last. When there is little room, the events go first, then the workers.
 */
#include "nlbctl/top_show.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nlbctl/format.h"
#include "nlbctl/show.h"

#define HEAD_LINES 5
#define TARGETS_MIN 3
#define WORKERS_MAX 8

static const char *const order_names[TOP_ORDERS] = {
    [TOP_BY_CONFIG] = "config",
    [TOP_BY_STATE] = "state",
    [TOP_BY_FLOWS] = "flows",
    [TOP_BY_NEW] = "new/s",
    [TOP_BY_BYTES] = "bytes/s",
};

const char *
top_order_name(enum top_order order)
{
	return order_names[order];
}

/* ---- numbers ---------------------------------------------------------- */

static const char *
per_second(const json_t *object, const char *key, char *buf)
{
	const json_t *value = json_object_get(object, key);
	double n = json_number_value(value);

	if (!json_is_number(value))
		snprintf(buf, FORMAT_STRLEN, "-");
	else if (n < 100)
		snprintf(buf, FORMAT_STRLEN, "%.1f", n);
	else
		format_count((uint64_t)(n + 0.5), buf);
	return buf;
}

static const char *
bytes_per_second(const json_t *value, char *buf)
{
	if (!json_is_number(value))
		snprintf(buf, FORMAT_STRLEN, "-");
	else
		format_bytes((uint64_t)(json_number_value(value) + 0.5), buf);
	return buf;
}

static const char *
milliseconds(const json_t *object, const char *key, char *buf)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_number(value))
		snprintf(buf, FORMAT_STRLEN, "-");
	else
		format_ms(json_number_value(value), buf);
	return buf;
}

/* ---- the head --------------------------------------------------------- */

static void
show_headline(const json_t *frame, const struct output *out)
{
	const json_t *zone = json_object_get(frame, "zone");
	const char *zone_name =
	    json_string_value(json_object_get(zone, "name"));
	char up[FORMAT_STRLEN];

	show_health(frame, out);
	if (show_bool(frame, "stopping"))
		output_styled(out, STYLE_WARN, " (stopping)");
	if (show_bool(frame, "drained"))
		output_styled(out, STYLE_WARN, " (drained)");
	output_styled(out, STYLE_PLAIN, ", zone%s%s ",
	    zone_name == NULL ? "" : " ", zone_name == NULL ? "" : zone_name);
	if (show_bool(zone, "healthy"))
		output_styled(out, STYLE_GOOD, "healthy");
	else
		output_styled(out, STYLE_BAD, "unhealthy");
	output_styled(out, STYLE_PLAIN, ", up %s",
	    format_seconds(show_uint(frame, "uptime_seconds"), up));
	output_styled(out, STYLE_DIM, "  %s", show_text(frame, "time"));
	fputc('\n', out->file);
}

static void
show_rates(const json_t *frame, const struct output *out)
{
	const json_t *r = json_object_get(frame, "rates_per_second");
	const json_t *connect = json_object_get(frame, "connect");
	char a[FORMAT_STRLEN], b[FORMAT_STRLEN], c[FORMAT_STRLEN],
	    d[FORMAT_STRLEN];

	fprintf(out->file,
	    "flows: %s active, %s/s new, %s/s rejected, %s/s blocked\n",
	    format_count(show_uint(frame, "active_flows"), a),
	    per_second(r, "new_flows", b), per_second(r, "rejected_flows", c),
	    per_second(r, "blocked", d));
	fprintf(out->file, "bytes: %s/s in, %s/s out; connect p50 %s, p99 %s\n",
	    bytes_per_second(json_object_get(r, "client_to_target_bytes"), a),
	    bytes_per_second(json_object_get(r, "target_to_client_bytes"), b),
	    milliseconds(connect, "p50_ms", c),
	    milliseconds(connect, "p99_ms", d));
	fprintf(out->file,
	    "resets: %s/s by clients, %s/s by targets, %s/s by nlbd\n",
	    per_second(r, "client_resets", a),
	    per_second(r, "target_resets", b), per_second(r, "elb_resets", c));
}

static void
show_config(const json_t *frame, const struct output *out)
{
	const json_t *config = json_object_get(frame, "config");
	const json_t *reload = json_object_get(config, "last_reload");
	const char *verdict = show_text(reload, "verdict");

	output_styled(out, STYLE_PLAIN, "config: %s, loaded %s, last reload ",
	    show_text(config, "hash"), show_text(config, "loaded_time"));
	output_styled(out,
	    strcmp(verdict, "rejected") == 0 ? STYLE_BAD : STYLE_PLAIN, "%s",
	    verdict);
	if (json_is_string(json_object_get(config, "runtime_changes")))
		output_styled(out, STYLE_WARN, ", changed with --runtime");
	fputc('\n', out->file);
}

static bool
has_problem(const json_t *frame)
{
	return json_array_size(json_object_get(frame, "problems")) > 0;
}

/* The first one: nlbctl status has them all, and what to do. */
static void
show_problem(const json_t *frame, const struct output *out)
{
	const json_t *list = json_object_get(frame, "problems");
	const char *first = json_string_value(json_array_get(list, 0));
	size_t n = json_array_size(list);

	if (!has_problem(frame))
		return;
	output_styled(out, STYLE_WARN, "! ");
	if (n > 1)
		fprintf(out->file, "(1 of %zu, see nlbctl status) ", n);
	output_styled(out, STYLE_PLAIN, "%s",
	    first == NULL ? "see nlbctl status" : first);
	fputc('\n', out->file);
}

/* ---- targets ---------------------------------------------------------- */

struct row {
	const json_t *target;
	size_t place; /* in the configuration */
	double key;   /* larger ones first */
};

static double
target_bytes(const json_t *t)
{
	return json_number_value(
		   json_object_get(t, "client_to_target_bytes_per_second")) +
	       json_number_value(
		   json_object_get(t, "target_to_client_bytes_per_second"));
}

/* How much it needs a look. */
static double
state_weight(const char *state)
{
	switch (show_state_style(state)) {
	case STYLE_BAD:
		return 3;
	case STYLE_WARN:
		return 2;
	case STYLE_GOOD:
		return 1;
	default:
		return 0;
	}
}

static double
sort_key(const json_t *t, enum top_order order)
{
	switch (order) {
	case TOP_BY_STATE:
		return state_weight(show_text(t, "state"));
	case TOP_BY_FLOWS:
		return (double)show_uint(t, "active_flows");
	case TOP_BY_NEW:
		return json_number_value(
		    json_object_get(t, "new_flows_per_second"));
	case TOP_BY_BYTES:
		return target_bytes(t);
	default:
		return 0;
	}
}

static int
compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	return x->place < y->place ? -1 : 1;
}

/* malloc; NULL: out of memory. */
static struct row *
sorted_rows(const json_t *list, const struct top_view *view)
{
	size_t n = json_array_size(list);
	struct row *rows = calloc(n + 1, sizeof(*rows)), swap;

	if (rows == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		rows[i].target = json_array_get(list, i);
		rows[i].place = i;
		rows[i].key = sort_key(rows[i].target, view->order);
	}
	qsort(rows, n, sizeof(*rows), compare_rows);
	for (size_t i = 0; view->reverse && i < n / 2; i++) {
		swap = rows[i];
		rows[i] = rows[n - 1 - i];
		rows[n - 1 - i] = swap;
	}
	return rows;
}

static void
target_row(struct table *table, const json_t *t, bool with_group)
{
	const char *state = show_text(t, "state");
	char buf[64];

	table_cell(table, STYLE_PLAIN, "%s",
	    with_group ? show_text(t, "target_group") : "");
	table_cell(table, STYLE_PLAIN, "%s", show_address(t, buf, sizeof(buf)));
	table_cell(table, show_state_style(state), "%s%s", state,
	    show_bool(t, "standby") ? " (standby)" : "");
	table_cell(
	    table, STYLE_PLAIN, "%s", show_target_flows(t, buf, sizeof(buf)));
	table_cell(table, STYLE_PLAIN, "%s",
	    per_second(t, "new_flows_per_second", buf));
	table_cell(table, STYLE_PLAIN, "%s",
	    bytes_per_second(
		json_object_get(t, "client_to_target_bytes_per_second"), buf));
	table_cell(table, STYLE_PLAIN, "%s",
	    bytes_per_second(
		json_object_get(t, "target_to_client_bytes_per_second"), buf));
	table_cell(table, STYLE_PLAIN, "%s",
	    json_object_get(t, "reason") == NULL ? "" : show_text(t, "reason"));
}

/* The targets of one group alone need no column for its name. */
static bool
has_many_groups(const json_t *list)
{
	const char *first = show_text(json_array_get(list, 0), "target_group");
	const json_t *t;
	size_t i;

	json_array_foreach(list, i, t)
	{
		if (strcmp(show_text(t, "target_group"), first) != 0)
			return true;
	}
	return false;
}

static int
show_target_table(const json_t *list, const struct top_view *view, size_t max,
    const struct output *out)
{
	static const struct table_column columns[] = {
	    {"TARGET GROUP", TABLE_LEFT}, {"TARGET", TABLE_LEFT},
	    {"STATE", TABLE_LEFT}, {"FLOWS", TABLE_RIGHT},
	    {"NEW/S", TABLE_RIGHT}, {"IN/S", TABLE_RIGHT},
	    {"OUT/S", TABLE_RIGHT}, {"REASON", TABLE_LEFT}};
	size_t n = json_array_size(list), shown = n < max ? n : max;
	struct row *rows = sorted_rows(list, view);
	struct table *table;
	int rc;

	if (rows == NULL)
		return -ENOMEM;
	/* The last line tells of those that have no room. */
	if (shown < n && shown > 0)
		shown--;
	table = table_create(columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < shown; i++)
		target_row(table, rows[i].target, has_many_groups(list));
	rc = table_print(table, out);
	table_destroy(table);
	free(rows);
	if (shown < n)
		fprintf(out->file, "%zu more target%s\n", n - shown,
		    n - shown == 1 ? "" : "s");
	return rc;
}

/* ---- workers and events ----------------------------------------------- */

static int
show_workers(const json_t *list, size_t max, const struct output *out)
{
	static const struct table_column columns[] = {{"WORKER", TABLE_RIGHT},
	    {"PID", TABLE_RIGHT}, {"STATE", TABLE_LEFT}, {"FLOWS", TABLE_RIGHT},
	    {"CPU %", TABLE_RIGHT}, {"LOOP LAG P99", TABLE_RIGHT}};
	struct table *table =
	    table_create(columns, sizeof(columns) / sizeof(columns[0]));
	char buf[64];
	int rc;

	for (size_t i = 0; i < json_array_size(list) && i < max; i++) {
		const json_t *w = json_array_get(list, i);

		table_cell(table, STYLE_PLAIN, "%llu",
		    (unsigned long long)show_uint(w, "index"));
		table_cell(table, STYLE_PLAIN, "%llu",
		    (unsigned long long)show_uint(w, "pid"));
		table_cell(table,
		    strcmp(show_text(w, "state"), "serving") == 0 ? STYLE_PLAIN
								  : STYLE_WARN,
		    "%s", show_text(w, "state"));
		table_cell(table, STYLE_PLAIN, "%s",
		    show_target_flows(w, buf, sizeof(buf)));
		table_cell(table, STYLE_PLAIN, "%s",
		    per_second(w, "cpu_percent", buf));
		table_cell(table, STYLE_PLAIN, "%s",
		    milliseconds(w, "loop_lag_p99_ms", buf));
	}
	rc = table_print(table, out);
	table_destroy(table);
	return rc;
}

static void
show_events(const json_t *list, size_t max, const struct output *out)
{
	size_t n = json_array_size(list);
	char clock[SHOW_CLOCK_SIZE];

	for (size_t i = n > max ? n - max : 0; i < n; i++) {
		const json_t *event = json_array_get(list, i);

		output_styled(out, STYLE_DIM, "%s", show_clock(event, clock));
		output_styled(out, STYLE_PLAIN, " %s %s: %s",
		    show_text(event, "priority"), show_text(event, "code"),
		    show_text(event, "message"));
		fputc('\n', out->file);
	}
}

/* ---- the whole -------------------------------------------------------- */

/* Lines for each part; a part has a title line, and one before it. */
struct layout {
	size_t targets, workers, events;
};

/* As many as there are, and room for; 0 when there is too little. */
static size_t
give(size_t *room, size_t wanted, size_t least, size_t titles)
{
	size_t n;

	if (wanted == 0 || *room < least + titles)
		return 0;
	n = wanted < *room - titles ? wanted : *room - titles;
	*room -= n + titles;
	return n;
}

static struct layout
lay_out(const json_t *frame, const struct top_view *view)
{
	size_t targets = json_array_size(json_object_get(frame, "targets"));
	size_t workers = json_array_size(json_object_get(frame, "workers"));
	size_t events = json_array_size(json_object_get(frame, "events"));
	size_t room = view->rows == 0 ? SIZE_MAX / 2 : view->rows, rest, head;
	struct layout l;

	if (view->rows > 0 && workers > WORKERS_MAX)
		workers = WORKERS_MAX;
	head = HEAD_LINES + (has_problem(frame) ? 1 : 0) + 1;
	room -= room < head ? room : head;
	/* What the others take of the room, the targets give up to a point. */
	rest = room;
	l.targets = give(&rest, targets < TARGETS_MIN ? targets : TARGETS_MIN,
	    targets == 1 ? 1 : 2, 2);
	if (l.targets == 0 && targets > 0)
		rest = 0; /* they are what one looks for */
	l.workers = give(&rest, workers, 1, 2);
	l.events = give(&rest, events, 1, 1);
	if (l.targets > 0 && targets > l.targets)
		l.targets +=
		    targets - l.targets < rest ? targets - l.targets : rest;
	return l;
}

static void
show_keys(const struct top_view *view, const struct output *out)
{
	if (view->away != NULL) {
		output_styled(out, STYLE_BAD, "no answer: %s", view->away);
		return;
	}
	output_styled(out, STYLE_DIM,
	    "%sq quit  h help  s sort: %s%s  r reverse  p pause  +/- every %us",
	    view->paused ? "PAUSED  " : "", top_order_name(view->order),
	    view->reverse ? " reversed" : "", view->interval_s);
}

static void
show_help(const struct output *out)
{
	fputs(
	    "q, Ctrl-C  quit\n"
	    "s          sort by the next column: config, state, flows, new/s, "
	    "bytes/s\n"
	    "r          reverse the order\n"
	    "p, blank   pause, and go on\n"
	    "+, -       a longer, a shorter interval\n"
	    "h, ?       this help; any key leaves it\n\n"
	    "Rates are those of the last interval. IN/S, OUT/S: bytes from "
	    "clients\nto the target, and back. LOOP LAG: how long a turn "
	    "of the worker's loop keeps\nlater events waiting. nlbctl(8) tells "
	    "more.\n",
	    out->file);
}

int
top_show(
    const json_t *frame, const struct top_view *view, const struct output *out)
{
	const json_t *targets = json_object_get(frame, "targets");
	struct layout l = lay_out(frame, view);
	int rc = 0;

	if (!json_is_array(targets))
		return -EPROTO;
	if (view->help) {
		show_help(out);
		return 0;
	}
	show_headline(frame, out);
	show_rates(frame, out);
	show_config(frame, out);
	show_problem(frame, out);
	if (l.targets > 0) {
		fputc('\n', out->file);
		rc = show_target_table(targets, view, l.targets, out);
	}
	if (rc == 0 && l.workers > 0) {
		fputc('\n', out->file);
		rc = show_workers(
		    json_object_get(frame, "workers"), l.workers, out);
	}
	if (l.events > 0) {
		fputc('\n', out->file);
		show_events(json_object_get(frame, "events"), l.events, out);
	}
	if (view->rows > 0)
		show_keys(view, out);
	return rc;
}
