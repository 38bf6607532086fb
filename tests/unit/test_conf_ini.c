/*
 * The invariant between the scanner and iniparser: equal readings pass, every
 * kind of difference is reported and never taken for a value.
 */
#include "support/conf_case.h"

#include <sys/resource.h>

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
	    cmocka_unit_test(a_text_that_iniparser_refuses_is_a_difference),
	    cmocka_unit_test(without_a_descriptor_the_file_is_refused),
	};

	return cmocka_run_group_tests_name("conf_ini", tests, NULL, NULL);
}
