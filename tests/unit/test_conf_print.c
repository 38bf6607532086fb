/*
 * --print-config: what is printed is a valid file with every key, and parses
 * back to the same conf.
 */
#include "support/conf_case.h"

#include "nlb/attributes.h"
#include "nlb/conf_diff.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const char *const good_files[] = {
    "tests/data/good/minimal.ini",
    "tests/data/good/example.ini",
    "tests/data/good/comments.ini",
    "tests/data/good/every-key.ini",
    "tests/data/good/prefix-list.ini",
    "tests/data/good/warnings.ini",
    "config/nlbd.ini",
    "config/nlbd-minimal.ini",
};

static struct conf *
load(const char *path)
{
	size_t len;
	char *bytes = conf_case_read(conf_case_path(path), &len);
	struct conf_case c = conf_case_bytes(bytes, len, false);

	if (c.result != 0)
		fail_msg("%s: %s", path, c.text);
	free(bytes);
	free(c.text);
	conf_diags_fini(&c.diags);
	return c.conf;
}

static void
what_is_printed_parses_back_to_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(good_files); i++) {
		struct conf *conf = load(good_files[i]);
		char *first = conf_case_print(conf), *second;
		struct conf_case again = conf_case_text(first);
		struct conf_diff diff;
		char summary[300];

		if (again.result != 0)
			fail_msg(
			    "%s: %s\n%s", good_files[i], again.text, first);
		second = conf_case_print(again.conf);
		assert_str(second, first);
		assert_errno(
		    conf_diff(conf, again.conf, &diff, &again.diags), 0);
		assert_str(conf_diff_summary(&diff, summary, sizeof(summary)),
		    "nothing changed");
		free(first);
		free(second);
		conf_destroy(conf);
		conf_case_fini(&again);
	}
}

static void
every_key_of_the_table_is_printed(void **state)
{
	struct conf *conf = load("tests/data/good/prefix-list.ini");
	char *text = conf_case_print(conf);

	(void)state;
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);
		char line[120];

		if (a->section == CONF_NETWORK_ACL)
			continue;
		snprintf(line, sizeof(line), "\n%s", a->key);
		assert_contains(text, line);
	}
	free(text);
	conf_destroy(conf);
}

static void
rules_are_printed_as_they_were_written(void **state)
{
	struct conf *conf = load("tests/data/good/prefix-list.ini");
	char *text = conf_case_print(conf);

	(void)state;
	assert_contains(text,
	    "Inbound.nat-a = Protocol=tcp,PortRange=587,Source=203.0.113.10/32,"
	    "Description=NAT gateway A\n");
	assert_contains(text,
	    "Inbound.nat-b = Protocol=tcp,PortRange=500-600,"
	    "Source=2001:db8::/32,Description=\"B, with = and spaces \"\n");
	assert_contains(text,
	    "Inbound.nat-c = "
	    "'Protocol=tcp,PortRange=587,Source=203.0.113.12/32,"
	    "Description=\"C; the #3, last\"'\n");
	assert_contains(text,
	    "Inbound.nat-d = "
	    "'Protocol=tcp,PortRange=587,Source=203.0.113.12/32,"
	    "Description=D; the #4'\n");
	assert_contains(text, "Inbound.all = Protocol=tcp,PortRange=1-65535,"
			      "Source=prefix-list:offices\n");
	assert_contains(text, "Entry.bonn = 2001:db8:1::/48\n");
	free(text);
	conf_destroy(conf);
}

static void
a_full_disk_is_an_error(void **state)
{
	struct conf *conf = load("tests/data/good/minimal.ini");
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_errno(conf_print(conf, full), -EIO);
	fclose(full);
	conf_destroy(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_printed_parses_back_to_the_same),
	    cmocka_unit_test(every_key_of_the_table_is_printed),
	    cmocka_unit_test(rules_are_printed_as_they_were_written),
	    cmocka_unit_test(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests_name("conf_print", tests, NULL, NULL);
}
