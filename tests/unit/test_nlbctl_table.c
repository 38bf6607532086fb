/*
 * Tables, wrapped sentences, numbers for people, and "did you mean".
 */
#include <stdio.h>
#include <stdlib.h>

#include "nlbctl/format.h"
#include "nlbctl/table.h"
#include "support/expect.h"

struct sink {
	char *text;
	size_t size;
	struct output out;
};

static void
sink_open(struct sink *sink, bool colour)
{
	sink->out.file = open_memstream(&sink->text, &sink->size);
	assert_non_null(sink->out.file);
	sink->out.colour = colour;
}

static void
sink_expect(struct sink *sink, const char *want)
{
	assert_i64(fclose(sink->out.file), 0);
	assert_str(sink->text, want);
	free(sink->text);
}

static const struct table_column columns[] = {
    {"NAME", TABLE_LEFT}, {"N", TABLE_RIGHT}, {"NOTE", TABLE_LEFT}};

static void
columns_align_and_lines_end_without_blanks(void **state)
{
	struct table *table = table_create(columns, 3);
	struct sink sink;

	(void)state;
	table_cell(table, STYLE_PLAIN, "a");
	table_cell(table, STYLE_PLAIN, "%d", 12345);
	table_cell(table, STYLE_PLAIN, "x");
	table_cell(table, STYLE_PLAIN, "longer");
	table_cell(table, STYLE_PLAIN, "7");
	table_cell(table, STYLE_PLAIN, "%s", "");
	sink_open(&sink, false);
	assert_i64(table_print(table, &sink.out), 0);
	sink_expect(&sink, "NAME        N  NOTE\n"
			   "a       12345  x\n"
			   "longer      7\n");
	table_destroy(table);
}

static void
an_empty_column_and_a_half_row_are_left_out(void **state)
{
	struct table *table = table_create(columns, 3);
	struct sink sink;

	(void)state;
	table_cell(table, STYLE_PLAIN, "a");
	table_cell(table, STYLE_PLAIN, "%s", "");
	table_cell(table, STYLE_PLAIN, "x");
	table_cell(table, STYLE_PLAIN, "half");
	sink_open(&sink, false);
	assert_i64(table_print(table, &sink.out), 0);
	sink_expect(&sink, "NAME  NOTE\na     x\n");
	table_destroy(table);
}

static void
hostile_bytes_are_escaped_in_cells_and_sentences(void **state)
{
	static const char hostile[] = "\033[2Jx\r\n\xff";
	struct table *table = table_create(columns, 1);
	struct sink sink;

	(void)state;
	table_cell(table, STYLE_PLAIN, "%s", hostile);
	sink_open(&sink, false);
	assert_i64(table_print(table, &sink.out), 0);
	output_wrapped(&sink.out, "1. ", hostile);
	output_styled(&sink.out, STYLE_BAD, "%s", hostile);
	sink_expect(&sink, "NAME\n\\x1b[2Jx\\x0d\\x0a\\xff\n"
			   "1. \\x1b[2Jx\\x0d\\x0a\\xff\n"
			   "\\x1b[2Jx\\x0d\\x0a\\xff");
	table_destroy(table);
}

static void
lines_keep_breaks_tabs_and_backslashes_alone(void **state)
{
	struct sink sink;

	(void)state;
	sink_open(&sink, false);
	output_lines(sink.out.file, "a\\b\n\t^\033[0m");
	output_lines(sink.out.file, "");
	output_lines(sink.out.file, "end\n");
	sink_expect(&sink, "a\\b\n\t^\\x1b[0m\nend\n");
}

static void
colours_do_not_move_columns(void **state)
{
	static const struct table_column two[] = {
	    {"A", TABLE_RIGHT}, {"B", TABLE_LEFT}};
	struct table *table = table_create(two, 2);
	struct sink sink;

	(void)state;
	table_cell(table, STYLE_GOOD, "1");
	table_cell(table, STYLE_PLAIN, "x");
	table_cell(table, STYLE_PLAIN, "22");
	table_cell(table, STYLE_BAD, "y");
	sink_open(&sink, true);
	assert_i64(table_print(table, &sink.out), 0);
	sink_expect(&sink, " \033[2mA\033[0m  \033[2mB\033[0m\n"
			   " \033[32m1\033[0m  x\n"
			   "22  \033[1;31my\033[0m\n");
	table_destroy(table);
}

static void
many_rows_are_all_there(void **state)
{
	static const struct table_column one[] = {{"N", TABLE_RIGHT}};
	struct table *table = table_create(one, 1);
	struct sink sink;
	int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		table_cell(table, STYLE_PLAIN, "%d", i);
	sink_open(&sink, false);
	assert_i64(table_print(table, &sink.out), 0);
	assert_i64(fclose(sink.out.file), 0);
	assert_u64(sink.size, 1001 * 4);
	assert_str(sink.text + 1000 * 4, "999\n");
	free(sink.text);
	table_destroy(table);
	/* Out of memory at the start is told at the end. */
	table_cell(NULL, STYLE_PLAIN, "x");
	assert_true(table_print(NULL, &sink.out) < 0);
	table_destroy(NULL);
}

static void
sentences_wrap_with_an_indent(void **state)
{
	struct sink sink;

	(void)state;
	sink_open(&sink, false);
	output_wrapped(&sink.out, "1. ",
	    "Seventy-five columns are what fits behind the number of this "
	    "sentence, the rest goes on below.");
	sink_expect(&sink,
	    "1. Seventy-five columns are what fits behind the number of this "
	    "sentence, the\n"
	    "   rest goes on below.\n");
}

static void
numbers_read_well(void **state)
{
	static const struct {
		uint64_t n;
		const char *count, *bytes, *seconds;
	} rows[] = {
	    {0, "0", "0 B", "0s"},
	    {59, "59", "59 B", "59s"},
	    {192, "192", "192 B", "3m12s"},
	    {999, "999", "999 B", "16m39s"},
	    {1000, "1,000", "1.0 kB", "16m40s"},
	    {7500, "7,500", "7.5 kB", "2h05m"},
	    {273600, "273,600", "273.6 kB", "3d04h"},
	    {999949, "999,949", "999.9 kB", "11d13h"},
	    {999950, "999,950", "1.0 MB", "11d13h"},
	    {1234567, "1,234,567", "1.2 MB", "14d06h"},
	    {UINT64_MAX, "18,446,744,073,709,551,615", "18.4 EB",
		"213503982334601d07h"},
	};
	char buf[FORMAT_STRLEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_str(format_count(rows[i].n, buf), rows[i].count);
		assert_str(format_bytes(rows[i].n, buf), rows[i].bytes);
		assert_str(format_seconds(rows[i].n, buf), rows[i].seconds);
	}
	assert_str(format_ms(0.412, buf), "0.41 ms");
	assert_str(format_ms(41.2, buf), "41 ms");
	assert_str(format_ms(3210.0, buf), "3.2 s");
}

static void
near_misses_are_suggested_and_others_not(void **state)
{
	static const char *const verbs[] = {
	    "status", "describe-target-health", "flows", "check", "reload"};
	static const struct {
		const char *text, *want;
	} rows[] = {
	    {"stats", "status"},
	    {"st", "status"},
	    {"relaod", "reload"},
	    {"flwos", "flows"},
	    {"flow", "flows"},
	    {"describe", "describe-target-health"},
	    {"describe-target-helath", "describe-target-health"},
	    {"chekc", "check"},
	    {"xyz", NULL},
	    {"", NULL},
	    {"drain", NULL},
	    {"a-word-longer-than-any-verb-could-ever-be", NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_str(suggest(rows[i].text, verbs, 5), rows[i].want);
}

int
main(void)
{
	const struct CMUnitTest nlbctl_table[] = {
	    cmocka_unit_test(columns_align_and_lines_end_without_blanks),
	    cmocka_unit_test(an_empty_column_and_a_half_row_are_left_out),
	    cmocka_unit_test(hostile_bytes_are_escaped_in_cells_and_sentences),
	    cmocka_unit_test(lines_keep_breaks_tabs_and_backslashes_alone),
	    cmocka_unit_test(colours_do_not_move_columns),
	    cmocka_unit_test(many_rows_are_all_there),
	    cmocka_unit_test(sentences_wrap_with_an_indent),
	    cmocka_unit_test(numbers_read_well),
	    cmocka_unit_test(near_misses_are_suggested_and_others_not),
	};

	return cmocka_run_group_tests(nlbctl_table, NULL, NULL);
}
