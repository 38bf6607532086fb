/*
 * nlbctl import-aws: how a document's texts get into the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nlbctl/import.h"
#include "support/expect.h"

struct fixture {
	struct import im;
	char *ini, *notes, *err;
	size_t n_ini, n_notes, n_err;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->im.ini = open_memstream(&f->ini, &f->n_ini);
	f->im.notes = open_memstream(&f->notes, &f->n_notes);
	f->im.err = open_memstream(&f->err, &f->n_err);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	fclose(f->im.ini);
	fclose(f->im.notes);
	fclose(f->im.err);
	free(f->ini);
	free(f->notes);
	free(f->err);
	free(f);
	return 0;
}

static void
flush(struct fixture *f)
{
	fflush(f->im.ini);
	fflush(f->im.notes);
	fflush(f->im.err);
}

static void
a_value_is_one_line_or_a_mistake(void **state)
{
	static const char *const refused[] = {
	    "", "x\ny", "x\r[node]", "\x1b[2J", "'\";"};
	struct fixture *f = *state;

	import_entry(&f->im, "Key", "%s", "plain");
	import_entry(&f->im, "Key", "%s", "a;b");
	import_entry(&f->im, "Key", "%s", "it's #1");
	flush(f);
	assert_str(f->ini, "Key = plain\nKey = 'a;b'\nKey = \"it's #1\"\n");
	assert_false(f->im.failed);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		f->im.failed = false;
		import_entry(&f->im, "Key", "%s", refused[i]);
		assert_true(f->im.failed);
	}
	flush(f);
	assert_null(strstr(f->ini, "node"));
	assert_null(strchr(f->err, '\x1b'));
}

static void
a_comment_stays_one(void **state)
{
	char huge[5000];
	struct fixture *f = *state;

	import_comment(&f->im, "%s", "x\n[node]\r\nUser = evil");
	flush(f);
	assert_str(f->ini, "; x\\x0a[node]\\x0d\\x0aUser = evil\n");
	memset(huge, '\n', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	import_comment(&f->im, "%s", huge);
	flush(f);
	assert_true(f->n_ini < 1000);
	assert_ptr_equal(strrchr(f->ini, '\n'), f->ini + f->n_ini - 1);
}

static void
a_note_is_told_and_written(void **state)
{
	struct fixture *f = *state;

	import_note(&f->im, "%s is not carried over", "x\ny");
	flush(f);
	assert_str(f->notes, "; - x\\x0ay is not carried over\n");
	assert_str(f->err, "nlbctl: note: x\\x0ay is not carried over\n");
	assert_false(f->im.failed);
}

static void
names_become_lower_case(void **state)
{
	static const char *const refused[] = {"", "a b", "a_b", "a]b", "a\n",
	    "\xc3\xa4", "123456789012345678901234567890123"};
	struct fixture *f = *state;
	char name[CONF_NAME_MAX + 1];

	assert_true(import_name(&f->im, "My-NLB-1", name));
	assert_str(name, "my-nlb-1");
	assert_true(
	    import_name(&f->im, "ABCDEFGHIJKLMNOPQRSTUVWXYZ123456", name));
	assert_str(name, "abcdefghijklmnopqrstuvwxyz123456");
	assert_false(f->im.failed);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		f->im.failed = false;
		assert_false(import_name(&f->im, refused[i], name));
		assert_true(f->im.failed);
	}
}

static void
attributes(struct fixture *f, enum conf_section_kind kind, const char *key,
    const char *value)
{
	json_t *list = json_pack("[{s:s, s:s}]", "Key", key, "Value", value);

	assert_non_null(list);
	import_attributes(&f->im, kind, list, "where");
	json_decref(list);
	flush(f);
}

static void
attributes_are_lines_or_notes(void **state)
{
	struct fixture *f = *state;

	attributes(f, CONF_TARGET_GROUP, "stickiness.enabled", "true");
	attributes(f, CONF_LISTENER, "tcp.idle_timeout.seconds", "60");
	assert_str(f->ini,
	    "stickiness.enabled = true\ntcp.idle_timeout.seconds = 60\n");
	/* What has no meaning here goes without a word, with this value. */
	attributes(f, CONF_LOAD_BALANCER, "access_logs.s3.enabled", "false");
	attributes(f, CONF_LOAD_BALANCER, "access_logs.s3.bucket", "");
	assert_u64(f->n_notes, 0);
	attributes(f, CONF_LOAD_BALANCER, "access_logs.s3.enabled", "true");
	assert_non_null(strstr(f->notes, "FlowLog"));
	/* Another section's, one of tomorrow's, a setting, a pattern. */
	attributes(f, CONF_LISTENER, "stickiness.enabled", "true");
	attributes(f, CONF_LISTENER, "tcp.new", "1");
	attributes(f, CONF_LISTENER, "SecurityGroups", "none");
	attributes(f, CONF_TARGET_GROUP, "Target.x", "Id=10.0.0.1");
	assert_u64(f->n_ini, strlen("stickiness.enabled = true\n"
				    "tcp.idle_timeout.seconds = 60\n"));
	for (const char *line = f->notes; *line != '\0';
	     line = strchr(line, '\n') + 1)
		assert_memory_equal(line, "; - where: ", 11);
	assert_non_null(strstr(f->notes, "SecurityGroups = none"));
	assert_non_null(strstr(f->notes, "tcp.new = 1"));
	assert_false(f->im.failed);
}

static void
client_addresses_are_carried_over_with_what_they_need(void **state)
{
	static const char *const needs[] = {"CAP_NET_RAW", "route", "rules",
	    "nlbd.ini(5)",
	    "set it to false unless the targets must see the clients'",
	    "addresses\n"};
	struct fixture *f = *state;

	attributes(f, CONF_TARGET_GROUP, "preserve_client_ip.enabled", "false");
	assert_u64(f->n_notes, 0);
	attributes(f, CONF_TARGET_GROUP, "preserve_client_ip.enabled", "true");
	assert_str(f->ini, "preserve_client_ip.enabled = false\n"
			   "preserve_client_ip.enabled = true\n");
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		assert_non_null(strstr(f->notes, needs[i]));
}

static void
members_of_another_type_are_mistakes(void **state)
{
	struct fixture *f = *state;
	json_t *object = json_pack("{s:i, s:s, s:n, s:[], s:{}}", "n", 5, "s",
	    "text", "null", "list", "object");

	assert_str(import_text(&f->im, object, "s", "x"), "text");
	assert_str(import_text(&f->im, object, "null", "x"), "");
	assert_str(import_text(&f->im, object, "none", "x"), "");
	assert_i64(import_number(&f->im, object, "n", "x"), 5);
	assert_i64(import_number(&f->im, object, "none", "x"), 0);
	assert_non_null(import_list(&f->im, object, "list", "x"));
	assert_null(import_list(&f->im, object, "null", "x"));
	assert_non_null(import_object(&f->im, object, "object", "x"));
	assert_null(import_object(&f->im, object, "none", "x"));
	assert_false(f->im.failed);
	assert_str(import_text(&f->im, object, "n", "x"), "");
	assert_i64(import_number(&f->im, object, "s", "x"), 0);
	assert_null(import_list(&f->im, object, "object", "x"));
	assert_null(import_object(&f->im, object, "list", "x"));
	assert_true(f->im.failed);
	flush(f);
	assert_str(f->err,
	    "nlbctl: x: n is no text\nnlbctl: x: s is no whole number\n"
	    "nlbctl: x: object is no list\nnlbctl: x: list is no object\n");
	json_decref(object);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest nlbctl_import[] = {
	    TEST(a_value_is_one_line_or_a_mistake),
	    TEST(a_comment_stays_one),
	    TEST(a_note_is_told_and_written),
	    TEST(names_become_lower_case),
	    TEST(attributes_are_lines_or_notes),
	    TEST(client_addresses_are_carried_over_with_what_they_need),
	    TEST(members_of_another_type_are_mistakes),
	};

	return cmocka_run_group_tests(nlbctl_import, NULL, NULL);
}
