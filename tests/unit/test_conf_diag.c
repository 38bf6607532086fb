/*
 * Diagnostics. tests/data/bad holds broken files with all that is said about
 * them in NAME.expected (NAME strict-*: with --strict-aws); tests/data/good
 * holds files that are taken, with an .expected where warnings belong to them.
 */
#include "support/conf_case.h"

#include <dirent.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static char *
with_suffix(const char *dir, const char *stem, const char *suffix)
{
	static char path[1024];

	snprintf(path, sizeof(path), "%s/%s%s", dir, stem, suffix);
	return path;
}

static void
check_file(const char *dir, const char *stem, int result)
{
	const char *shown = with_suffix("x", stem, ".ini") + 2;
	char *name = strdup(shown), *bytes, *want, *got;
	bool strict = strncmp(stem, "strict-", 7) == 0;
	struct conf_case c;
	size_t len;
	FILE *there;

	bytes = conf_case_read(with_suffix(dir, stem, ".ini"), &len);
	c = conf_case_bytes(bytes, len, strict);
	got = conf_case_print_diags(&c.diags, name);
	there = fopen(with_suffix(dir, stem, ".expected"), "r");
	if (there != NULL) {
		fclose(there);
		want =
		    conf_case_read(with_suffix(dir, stem, ".expected"), &len);
	} else {
		want = strdup("");
	}
	if (c.result != result)
		fail_msg("%s: %d", name, c.result);
	assert_str(got, want);
	free(want);
	free(got);
	free(bytes);
	free(name);
	conf_case_fini(&c);
}

static size_t
check_folder(const char *folder, int result)
{
	char *path = strdup(conf_case_path(folder));
	DIR *dir = opendir(path);
	const struct dirent *e;
	size_t n = 0;

	if (dir == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	while ((e = readdir(dir)) != NULL) {
		char stem[256];
		char *dot;

		snprintf(stem, sizeof(stem), "%s", e->d_name);
		dot = strrchr(stem, '.');
		if (dot == NULL || strcmp(dot, ".ini") != 0)
			continue;
		*dot = '\0';
		check_file(path, stem, result);
		n++;
	}
	closedir(dir);
	free(path);
	return n;
}

static void
every_bad_file_gets_what_is_expected(void **state)
{
	(void)state;
	assert_u64_between(check_folder("tests/data/bad", -EINVAL), 30, 1000);
}

static void
every_good_file_is_taken(void **state)
{
	(void)state;
	assert_u64_between(check_folder("tests/data/good", 0), 5, 1000);
}

/* n lines with an unknown key, behind a warning each where asked for. */
static char *
many_mistakes(size_t n, size_t n_warnings)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	fputs(CASE_LISTENER CASE_GROUP, out);
	for (size_t i = 0; i < n_warnings; i++)
		fprintf(out, "Target.w%zu = Id=198.51.100.%zu,Port=%zu\n", i,
		    i % 256, 1 + i / 256);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "Unknown%zu = 1\n", i);
	fclose(out);
	return text;
}

static void
more_than_a_hundred_mistakes_are_counted_not_shown(void **state)
{
	char *text = many_mistakes(1000, 0);
	struct conf_case c = conf_case_text(text);

	(void)state;
	assert_errno(c.result, -EINVAL);
	assert_u64(c.diags.n, 100);
	assert_u64(c.diags.n_errors, 1000);
	assert_u64(c.diags.n_suppressed, 900);
	assert_contains(c.diags.list[0].message, "Unknown0'");
	assert_contains(c.diags.list[99].message, "Unknown99'");
	assert_contains(c.text, "FILE: 900 more not shown\n");
	conf_case_fini(&c);
	free(text);
}

static void
warnings_never_push_an_error_out(void **state)
{
	char *text = many_mistakes(1, 500);
	struct conf_case c = conf_case_text(text);

	(void)state;
	assert_errno(c.result, -EINVAL);
	assert_u64(c.diags.n, 100);
	assert_u64(c.diags.n_warnings, 500);
	assert_u64(c.diags.n_errors, 1);
	assert_u64(c.diags.n_suppressed, 401);
	assert_false(c.diags.list[99].warning);
	assert_true(c.diags.list[98].warning);
	conf_case_fini(&c);
	free(text);
}

/* Names are found late, keys early, stray text first of all. */
static void
mistakes_come_in_the_order_of_the_file(void **state)
{
	struct conf_case c = conf_case_text("[listener a]\n"
					    "SecurityGroups = nobody\n"
					    "stray\n"
					    "Prot = 5\n"
					    "[listener a]\n");

	(void)state;
	assert_errno(c.result, -EINVAL);
	for (size_t i = 1; i < c.diags.n; i++)
		assert_u64_between(
		    c.diags.list[i].line, c.diags.list[i - 1].line, 5);
	assert_u64_between(c.diags.n, 6, 20);
	conf_case_fini(&c);
}

static void
hostile_bytes_come_out_escaped(void **state)
{
	struct conf_case c = conf_case_text("[listener a]\n"
					    "Port = \x1b]0;owned\a\n"
					    "Address = \xff\xfe\x9b\n"
					    "Title\x9b = 5\n");
	char *named;

	(void)state;
	assert_errno(c.result, -EINVAL);
	for (const char *s = c.text; *s != '\0'; s++) {
		if (*s != '\n' && (*s < 0x20 || *s > 0x7e))
			fail_msg(
			    "byte 0x%02x in: %s", (unsigned char)*s, c.text);
	}
	assert_contains(c.text, "Address = \\xff\\xfe\\x9b\n");
	named = conf_case_print_diags(&c.diags, "a\nb\x1b");
	assert_contains(named, "a\\x0ab\\x1b:2:");
	free(named);
	conf_case_fini(&c);
}

static void
a_tab_does_not_move_the_caret(void **state)
{
	struct conf_case c = conf_case_text(
	    "[node]\n\tWorkers\t=\t65\n" CASE_LISTENER CASE_GROUP);

	(void)state;
	assert_u64(c.diags.n, 1);
	assert_u64(c.diags.list[0].line, 2);
	assert_u64(c.diags.list[0].col, 12);
	assert_str(c.diags.list[0].excerpt, " Workers = 65");
	assert_u64(c.diags.list[0].caret, 12);
	assert_u64(c.diags.list[0].caret_len, 2);
	conf_case_fini(&c);
}

/* The caret points at the byte even where escapes stand before it. */
static void
an_escape_moves_the_caret_along(void **state)
{
	struct conf_case c = conf_case_text(CASE_LISTENER CASE_GROUP
	    "Target.b = Id=10.0.0.1,Port=\xc3\xb6,AvailabilityZone=\xc3\xb6\n");
	const struct conf_diag *d = &c.diags.list[0];

	(void)state;
	assert_u64(c.diags.n, 1);
	assert_str(d->excerpt,
	    "Target.b = "
	    "Id=10.0.0.1,Port=\\xc3\\xb6,AvailabilityZone=\\xc3\\xb6");
	assert_u64(d->caret, 29);
	assert_u64(d->caret_len, 8);
	conf_case_fini(&c);
}

static void
a_long_line_is_shown_around_the_caret(void **state)
{
	char line[900];
	char text[2000];
	struct conf_case c;

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	snprintf(text, sizeof(text), "%s[security-group %s]\n%s", CASE_LISTENER,
	    "a", "");
	snprintf(text + strlen(text), sizeof(text) - strlen(text),
	    "Inbound.a = Protocol=tcp,PortRange=587,Description=%.200s,"
	    "Source=10.0.0.1/8,Description=%.200s\n" CASE_GROUP,
	    line, line);
	c = conf_case_text(text);
	assert_errno(c.result, -EINVAL);
	assert_u64_between(strlen(c.diags.list[0].excerpt), 100, 130);
	assert_true(strncmp(c.diags.list[0].excerpt, "...", 3) == 0);
	assert_str(
	    c.diags.list[0].excerpt + strlen(c.diags.list[0].excerpt) - 3,
	    "...");
	assert_u64(c.diags.list[0].caret, 64);
	assert_true(
	    strncmp(c.diags.list[0].excerpt + 63, "Description", 11) == 0);
	conf_case_fini(&c);
}

static const char *
hint_for(const char *line, struct conf_case *c)
{
	char text[1000];

	snprintf(text, sizeof(text), CASE_LISTENER "%s\n" CASE_GROUP, line);
	*c = conf_case_text(text);
	assert_u64(c->diags.n, 1);
	return c->diags.list[0].hint;
}

static void
near_words_are_suggested_and_far_ones_not(void **state)
{
	static const struct {
		const char *line, *hint;
	} rows[] = {
	    {"Portt = 5", "did you mean `Port'?"},
	    {"Prot = 5", "did you mean `Port'?"},
	    {"MAXFLOWS = 5", "did you mean `MaxFlows'?"},
	    {"adress = all", "did you mean `Address'?"},
	    {"idle_timeout.seconds = 5",
		"did you mean `tcp.idle_timeout.seconds'?"},
	    {"HealthCheckPath = /", "it is a key of [target-group]"},
	    {"Workers = 5", "it is a key of [node]"},
	    {"q = 5", NULL},
	    {"Certificate = x", NULL},
	    {"A-key-that-is-longer-than-any-key-of-the-table-could-ever-be-"
	     "and-has-no-neighbour-at-all = 1",
		NULL},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct conf_case c;

		assert_str(hint_for(rows[i].line, &c), rows[i].hint);
		conf_case_fini(&c);
	}
}

static void
warnings_alone_are_no_failure_and_strict_ones_are(void **state)
{
	static const char text[] =
	    CASE_LISTENER CASE_GROUP "HealthCheckIntervalSeconds = 0.2\n"
				     "HealthCheckTimeoutSeconds = 0.2\n";
	struct conf_case lax = conf_case_text(text);
	struct conf_case strict = conf_case_bytes(text, strlen(text), true);

	(void)state;
	assert_errno(lax.result, 0);
	assert_u64(lax.diags.n_warnings, 2);
	assert_u64(lax.diags.n_errors, 0);
	assert_errno(strict.result, -EINVAL);
	assert_u64(strict.diags.n_errors, 2);
	assert_str(
	    strict.diags.list[0].hint, "an error because of --strict-aws");
	assert_null(strict.conf);
	conf_case_fini(&lax);
	conf_case_fini(&strict);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_bad_file_gets_what_is_expected),
	    cmocka_unit_test(every_good_file_is_taken),
	    cmocka_unit_test(
		more_than_a_hundred_mistakes_are_counted_not_shown),
	    cmocka_unit_test(warnings_never_push_an_error_out),
	    cmocka_unit_test(mistakes_come_in_the_order_of_the_file),
	    cmocka_unit_test(hostile_bytes_come_out_escaped),
	    cmocka_unit_test(a_tab_does_not_move_the_caret),
	    cmocka_unit_test(an_escape_moves_the_caret_along),
	    cmocka_unit_test(a_long_line_is_shown_around_the_caret),
	    cmocka_unit_test(near_words_are_suggested_and_far_ones_not),
	    cmocka_unit_test(warnings_alone_are_no_failure_and_strict_ones_are),
	};

	return cmocka_run_group_tests_name("conf_diag", tests, NULL, NULL);
}
