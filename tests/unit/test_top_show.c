/*
 * The screen of nlbctl top: what stands on it, and what gives way.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nlbctl/screen.h"
#include "nlbctl/top_show.h"
#include "support/expect.h"

#define TARGETS 5

/* Five targets of one group: the second one is unhealthy, the third one has
 * the most flows, the fourth one the most bytes. */
static json_t *
frame(void)
{
	static const int flows[TARGETS] = {3, 0, 20, 4, 2};
	json_t *targets = json_array(), *root;

	for (int i = 0; i < TARGETS; i++) {
		char address[16];

		snprintf(address, sizeof(address), "10.0.0.%d", i + 1);
		json_array_append_new(targets,
		    json_pack("{s:s, s:s, s:i, s:s, s:i, s:f, s:f, s:s*}",
			"target_group", "smtp", "address", address, "port", 25,
			"state", i == 1 ? "unhealthy" : "healthy",
			"active_flows", flows[i], "new_flows_per_second",
			i * 1.5, "client_to_target_bytes_per_second",
			i == 3 ? 1234567.0 : 10.0, "reason",
			i == 1 ? "Target.FailedHealthChecks" : NULL));
	}
	root = json_pack("{s:s, s:s, s:s, s:i, s:i, s:[s, s], s:{s:s, s:b},"
			 " s:{s:s, s:s, s:{s:s}}, s:{s:f, s:n}, s:{s:f, s:f},"
			 " s:o, s:[{s:i, s:i, s:s, s:i, s:i, s:f, s:f}],"
			 " s:[{s:s, s:s, s:s, s:s}]}",
	    "time", "2026-08-01T10:02:03Z", "load_balancer", "mail", "health",
	    "degraded", "uptime_seconds", 192, "active_flows", 1234, "problems",
	    "target 10.0.0.2 is\033[31m down", "more", "zone", "name", "zone-a",
	    "healthy", 1, "config", "hash", "abc", "loaded_time", "then",
	    "last_reload", "verdict", "rejected", "rates_per_second",
	    "new_flows", 56.25, "rejected_flows", "connect", "p50_ms", 0.412,
	    "p99_ms", 12.0, "targets", targets, "workers", "index", 0, "pid",
	    812, "state", "serving", "active_flows", 9, "max_flows", 9800,
	    "cpu_percent", 12.5, "loop_lag_p99_ms", 1.5, "events", "time",
	    "2026-08-01T10:00:00Z", "priority", "notice", "code", "serving",
	    "message", "hello");
	assert_non_null(root);
	return root;
}

static char *
shown(const struct top_view *view, bool colour)
{
	json_t *root = frame();
	struct output out = {.colour = colour};
	char *text = NULL;
	size_t size;

	out.file = open_memstream(&text, &size);
	assert_non_null(out.file);
	assert_errno(top_show(root, view, &out), 0);
	fclose(out.file);
	json_decref(root);
	return text;
}

static size_t
count_lines(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static void
everything_stands_there_when_there_is_room(void **state)
{
	char *text = shown(&(struct top_view){.rows = 0}, false);

	(void)state;
	assert_str(text,
	    "mail is DEGRADED, zone zone-a healthy, up 3m12s  "
	    "2026-08-01T10:02:03Z\n"
	    "flows: 1,234 active, 56.2/s new, -/s rejected, -/s blocked\n"
	    "bytes: -/s in, -/s out; connect p50 0.41 ms, p99 12 ms\n"
	    "resets: -/s by clients, -/s by targets, -/s by nlbd\n"
	    "config: abc, loaded then, last reload rejected\n"
	    "! (1 of 2, see nlbctl status) target 10.0.0.2 is\\x1b[31m down\n"
	    "\n"
	    "TARGET       STATE      FLOWS  NEW/S    IN/S  OUT/S  REASON\n"
	    "10.0.0.1:25  healthy        3    0.0    10 B      -\n"
	    "10.0.0.2:25  unhealthy      0    1.5    10 B      -  "
	    "Target.FailedHealthChecks\n"
	    "10.0.0.3:25  healthy       20    3.0    10 B      -\n"
	    "10.0.0.4:25  healthy        4    4.5  1.2 MB      -\n"
	    "10.0.0.5:25  healthy        2    6.0    10 B      -\n"
	    "\n"
	    "WORKER  PID  STATE         FLOWS  CPU %  LOOP LAG P99\n"
	    "     0  812  serving  9 of 9,800   12.5       1.50 ms\n"
	    "\n"
	    "10:00:00 notice serving: hello\n");
	free(text);
}

/* The addresses' last digits, from above. */
static void
expect_order(enum top_order order, bool reverse, const char *want)
{
	struct top_view view = {.order = order, .reverse = reverse};
	char *text = shown(&view, false), *at = text, got[TARGETS + 1] = "";

	for (int i = 0; i < TARGETS; i++) {
		at = strstr(at, "\n10.0.0.");
		assert_non_null(at);
		got[i] = at[8];
		at++;
	}
	assert_str(got, want);
	free(text);
}

static void
targets_are_sorted_as_asked(void **state)
{
	(void)state;
	expect_order(TOP_BY_CONFIG, false, "12345");
	expect_order(TOP_BY_CONFIG, true, "54321");
	expect_order(TOP_BY_STATE, false, "21345");
	expect_order(TOP_BY_FLOWS, false, "34152");
	expect_order(TOP_BY_FLOWS, true, "25143");
	expect_order(TOP_BY_NEW, false, "54321");
	expect_order(TOP_BY_BYTES, false, "41235");
}

static void
it_fits_every_terminal_and_the_keys_stand_last(void **state)
{
	(void)state;
	for (size_t rows = 1; rows < 40; rows++) {
		struct top_view view = {.rows = rows, .interval_s = 2};
		char *text = shown(&view, false), *last = strrchr(text, '\n');

		/* The head alone may be longer: it is cut. */
		assert_true(count_lines(text) < rows || rows < 7);
		assert_contains(last, "q quit  h help");
		/* A title never stands there alone. */
		assert_null(strstr(text, "REASON\n\n"));
		assert_null(strstr(text, "P99\n\n"));
		if (rows >= 11)
			assert_contains(text, "\n10.0.0.1:25");
		if (rows == 12)
			assert_contains(text, "\n3 more targets\n");
		free(text);
	}
}

static void
the_last_line_tells_the_view_and_who_is_away(void **state)
{
	struct top_view view = {.rows = 24,
	    .interval_s = 5,
	    .order = TOP_BY_NEW,
	    .reverse = true,
	    .paused = true};
	char *text = shown(&view, false);

	(void)state;
	assert_contains(text, "\nPAUSED  q quit");
	assert_contains(text, "sort: new/s reversed");
	assert_contains(text, "every 5s");
	free(text);
	view.away = "cannot reach nlbd\nIs it running?";
	text = shown(&view, false);
	assert_contains(text, "\nno answer: cannot reach nlbd\\x0aIs it");
	free(text);
	view.help = true;
	text = shown(&view, false);
	assert_contains(text, "s          sort by the next column");
	free(text);
}

static void
colours_only_where_they_are_wanted(void **state)
{
	char *plain = shown(&(struct top_view){.rows = 24}, false);
	char *colour = shown(&(struct top_view){.rows = 24}, true);

	(void)state;
	assert_null(strchr(plain, '\033'));
	assert_contains(colour, "\033[1;31munhealthy\033[0m");
	/* Each state has its word, with and without. */
	assert_contains(plain, "unhealthy");
	free(plain);
	free(colour);
}

static void
what_is_no_frame_is_refused(void **state)
{
	struct output out = {.file = tmpfile()};
	json_t *root = json_object();

	(void)state;
	assert_errno(top_show(root, &(struct top_view){0}, &out), -EPROTO);
	json_decref(root);
	fclose(out.file);
}

static void
a_screen_is_cut_at_its_edges(void **state)
{
	static const struct {
		const char *text;
		size_t rows, columns, lines;
		const char *want;
	} cases[] = {
	    {"one\ntwo\nthree\n", 2, 80, 2, "one|two"},
	    {"one\ntwo", 5, 80, 2, "one|two"},
	    {"one\n\ntwo\n", 3, 2, 3, "on||tw"},
	    {"\033[1;31mabcdef\033[0mghi\n", 1, 3, 1, "\033[1;31mabc\033[0m"},
	    {"a\033[31", 1, 9, 1, "a\033[31"}, /* an end in the middle */
	    {"", 3, 3, 0, ""},
	    {"abc", 0, 3, 0, ""},
	    {"abc", 1, 0, 1, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = NULL;
		size_t size;
		FILE *file = open_memstream(&got, &size);

		assert_non_null(file);
		assert_u64(screen_clip(file, cases[i].text, cases[i].rows,
			       cases[i].columns, "|"),
		    cases[i].lines);
		fclose(file);
		assert_str(got, cases[i].want);
		free(got);
	}
}

int
main(void)
{
	const struct CMUnitTest top_show_tests[] = {
	    cmocka_unit_test(everything_stands_there_when_there_is_room),
	    cmocka_unit_test(targets_are_sorted_as_asked),
	    cmocka_unit_test(it_fits_every_terminal_and_the_keys_stand_last),
	    cmocka_unit_test(the_last_line_tells_the_view_and_who_is_away),
	    cmocka_unit_test(colours_only_where_they_are_wanted),
	    cmocka_unit_test(what_is_no_frame_is_refused),
	    cmocka_unit_test(a_screen_is_cut_at_its_edges),
	};

	return cmocka_run_group_tests_name(
	    "top_show", top_show_tests, NULL, NULL);
}
