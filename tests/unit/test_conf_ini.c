/*
 * The invariant between the scanner and iniparser: equal readings pass, every
 * kind of difference is reported and never taken for a value.
 */
#include "support/conf_case.h"

#include <sys/resource.h>
#include <iniparser/iniparser.h>

#include "nlb/conf_internal.h"

static const char sound_text[] =
    "[Listener A]\nPort = 587\nAddress = \"all\" ; c\n[node]\n[x y]\nK=v";

struct reading {
	struct conf_diags diags;
	struct conf_parser parser;
};

static void
scan(struct reading *r, const char *text)
{
	*r = (struct reading){0};
	r->parser.bytes = text;
	r->parser.len = strlen(text);
	r->parser.diags = &r->diags;
	assert_errno(conf_scan(&r->parser), 0);
	assert_u64(r->diags.n_errors, 0);
}

static void
fini(struct reading *r)
{
	conf_scan_fini(&r->parser.scan);
	conf_diags_fini(&r->diags);
}

static void
the_values_of_iniparser_are_taken(void **state)
{
	struct reading r;
	const char *before;

	(void)state;
	scan(&r, sound_text);
	before = r.parser.scan.entries[1].value.text;
	conf_ini_compare(&r.parser);
	assert_u64(r.diags.n_errors, 0);
	assert_u64(r.parser.scan.n_sections, 3);
	assert_u64(r.parser.scan.n_entries, 3);
	assert_true(conf_span_is(r.parser.scan.entries[1].value, "all"));
	assert_ptr_not_equal(r.parser.scan.entries[1].value.text, before);
	fini(&r);
}

static void
expect_difference(struct reading *r)
{
	conf_ini_compare(&r->parser);
	assert_u64(r->diags.n_errors, 1);
	assert_contains(r->diags.list[0].message,
	    "internal error: the two readings of this file differ");
	fini(r);
}

static void
every_difference_is_reported(void **state)
{
	struct reading r;

	(void)state;
	scan(&r, sound_text);
	r.parser.scan.entries[0].value.len--; /* 58 for 587 */
	expect_difference(&r);
	scan(&r, sound_text);
	r.parser.scan.entries[0].value.text = "588";
	expect_difference(&r);
	scan(&r, sound_text);
	r.parser.scan.entries[0].key.text = "Pord";
	expect_difference(&r);
	scan(&r, sound_text);
	r.parser.scan.entries[0].key.len--;
	expect_difference(&r);
	scan(&r, sound_text);
	r.parser.scan.sections[0].header.text = "Listener B";
	expect_difference(&r);
	scan(&r, sound_text);
	r.parser.scan.sections[2].n = 0; /* one more than we know */
	expect_difference(&r);
	scan(&r, sound_text);
	r.parser.scan.n_sections = 2;
	expect_difference(&r);
	scan(&r, sound_text);
	r.parser.len -= 3; /* one fewer than we know */
	expect_difference(&r);
}

/* Keys of a section each, the section's line among them. */
static char *
write_sections(size_t n_sections, size_t n_keys)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		fail_msg("open_memstream: %s", strerror(errno));
	fprintf(out, "; the beginning\n");
	for (size_t i = 0; i < n_sections; i++) {
		fprintf(out, "[Group %zu]\n; keys\n", i);
		for (size_t j = 0; j < n_keys; j++)
			fprintf(out, "\nKey%zu = %zu ; c", j, i * n_keys + j);
		fprintf(out, "\n");
	}
	fclose(out);
	return text;
}

static void
expect_numbers(struct reading *r, size_t n)
{
	const struct conf_scan *scan = &r->parser.scan;
	char number[24];

	assert_u64(r->diags.n_errors, 0);
	assert_u64(scan->n_entries, n);
	for (size_t i = 0; i < n; i++) {
		snprintf(number, sizeof(number), "%zu", i);
		assert_true(conf_span_is(scan->entries[i].value, number));
	}
}

/* iniparser compares a new key with all others of its dictionary: were there
 * one for the file, the time would grow with the square of the keys. */
static void
no_dictionary_grows_with_the_file(void **state)
{
	static const size_t shapes[][2] = {
	    {1, 20000}, {5000, 0}, {3000, 1}, {20, 99}, {20, 100}};
	struct reading r;

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		size_t n = shapes[i][0] * shapes[i][1], keys = 0;
		char *text = write_sections(shapes[i][0], shapes[i][1]);

		scan(&r, text);
		conf_ini_compare(&r.parser);
		expect_numbers(&r, n);
		for (size_t j = 0; j < r.parser.scan.n_dictionaries; j++) {
			assert_in_range(
			    r.parser.scan.dictionaries[j]->n, 1, 128);
			keys += (size_t)r.parser.scan.dictionaries[j]->n;
		}
		assert_true(keys >= n + shapes[i][0]);
		fini(&r);
		free(text);
	}
}

static void
a_difference_far_behind_is_reported_too(void **state)
{
	char *text = write_sections(3, 450);
	struct reading r;

	(void)state;
	for (size_t i = 0; i < 3 * 450; i += 37) {
		scan(&r, text);
		r.parser.scan.entries[i].value.text = "x";
		r.parser.scan.entries[i].value.len = 1;
		expect_difference(&r);
	}
	scan(&r, text);
	r.parser.scan.sections[2].header.text = "Group 7";
	expect_difference(&r);
	scan(&r, text);
	r.parser.scan.sections[2].n--;
	expect_difference(&r);
	free(text);
}

/* What iniparser cannot read at all, as the scanner would never let through;
 * it says so on stderr when left alone. */
static void
a_text_that_iniparser_refuses_is_a_difference(void **state)
{
	struct reading r;

	(void)state;
	scan(&r, sound_text);
	r.parser.bytes = "[Listener A]\nstray\n";
	r.parser.len = strlen(r.parser.bytes);
	expect_difference(&r);
}

static void
without_a_descriptor_the_file_is_refused(void **state)
{
	struct rlimit before, none;
	struct reading r;

	(void)state;
	scan(&r, sound_text);
	assert_i64(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_i64(setrlimit(RLIMIT_NOFILE, &none), 0);
	conf_ini_compare(&r.parser);
	assert_i64(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_u64(r.diags.n_errors, 1);
	assert_contains(r.diags.list[0].message,
	    "no memory file for the parser: Too many open files");
	fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_values_of_iniparser_are_taken),
	    cmocka_unit_test(every_difference_is_reported),
	    cmocka_unit_test(no_dictionary_grows_with_the_file),
	    cmocka_unit_test(a_difference_far_behind_is_reported_too),
	    cmocka_unit_test(a_text_that_iniparser_refuses_is_a_difference),
	    cmocka_unit_test(without_a_descriptor_the_file_is_refused),
	};

	return cmocka_run_group_tests_name("conf_ini", tests, NULL, NULL);
}
