/*
 * The attribute table is sound, and every row of it stands in the manual
 * nlbd.ini.5 and in the sample config/nlbd.ini with the same facts.
 */
#include "support/conf_case.h"

#include <ctype.h>

#include "nlb/attributes.h"

static void
rows_are_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);
		bool pattern = (a->flags & CONF_PATTERN) != 0;
		bool required = (a->flags & CONF_REQUIRED) != 0;

		if (a->help == NULL || strchr(a->help, '\n') != NULL ||
		    a->help[0] == '\0')
			fail_msg("%s: help", a->key);
		if (pattern != (a->key[strlen(a->key) - 1] == '.'))
			fail_msg("%s: pattern", a->key);
		if (required != (a->missing != NULL))
			fail_msg("%s: what to do when it is missing", a->key);
		if ((a->default_value == NULL) != (pattern || required))
			fail_msg("%s: default", a->key);
		if (a->aws_max != 0 &&
		    (a->aws_min < a->min || a->aws_max > a->max))
			fail_msg("%s: an NLB takes what nlbd refuses", a->key);
		for (size_t j = 0; j < i; j++) {
			const struct conf_attribute *b = conf_attribute_at(j);

			if (a->section == b->section &&
			    strcmp(a->key, b->key) == 0)
				fail_msg("%s: twice", a->key);
		}
	}
}

static const struct conf_attribute *
find(enum conf_section_kind kind, const char *key)
{
	return conf_attribute_find(kind, key, strlen(key));
}

static void
keys_are_found_exactly_and_patterns_by_their_start(void **state)
{
	(void)state;
	assert_str(find(CONF_LISTENER, "Port")->key, "Port");
	assert_null(find(CONF_LISTENER, "port"));
	assert_null(find(CONF_LISTENER, "Por"));
	assert_null(find(CONF_LISTENER, "Ports"));
	assert_null(find(CONF_NODE, "Port"));
	assert_str(find(CONF_TARGET_GROUP, "Target.mail-1")->key, "Target.");
	assert_null(find(CONF_TARGET_GROUP, "Target"));
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);

		assert_ptr_equal(find(a->section, a->key), a);
	}
}

static void
ranges_are_told_in_words(void **state)
{
	char text[160];

	(void)state;
	assert_str(conf_attribute_range(
		       find(CONF_LISTENER, "MaxFlows"), text, sizeof(text)),
	    "off or 1 to 10000000");
	assert_str(conf_attribute_range(
		       find(CONF_TARGET_GROUP, "HealthCheckTimeoutSeconds"),
		       text, sizeof(text)),
	    "0.05 to 3600");
	assert_str(conf_attribute_aws_range(
		       find(CONF_TARGET_GROUP, "HealthCheckTimeoutSeconds"),
		       text, sizeof(text)),
	    "2 to 120");
	assert_str(
	    conf_attribute_range(
		find(CONF_TARGET_GROUP, "IpAddressType"), text, sizeof(text)),
	    "ipv4 or ipv6");
	assert_str(
	    conf_attribute_range(
		find(CONF_TARGET_GROUP, "ConnectRetryOn"), text, sizeof(text)),
	    "none, or any of refused, timeout and unreachable with commas "
	    "between");
	assert_str(conf_attribute_aws_range(
		       find(CONF_LISTENER, "Port"), text, sizeof(text)),
	    "");
}

/* The part of text from the line that is start up to one that begins with
 * end; owned by the caller, NULL when there is none. */
static char *
part_of(const char *text, const char *start, const char *end)
{
	size_t len = strlen(start);
	const char *at = text, *stop;

	while ((at = strstr(at, start)) != NULL) {
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			break;
		at++;
	}
	if (at == NULL)
		return NULL;
	stop = strstr(at + len, end);
	if (stop == NULL)
		stop = at + strlen(at);
	return strndup(at, (size_t)(stop - at));
}

static void
expect_fact(const struct conf_attribute *a, const char *item, const char *fact)
{
	if (strstr(item, fact) == NULL)
		fail_msg(
		    "nlbd.ini.5: %s: no \"%s\" in:\n%s", a->key, fact, item);
}

static void
check_item(const struct conf_attribute *a, char *item)
{
	char range[160], fact[220];

	for (char *s = item; *s != '\0'; s++) {
		if (*s == '\n')
			*s = ' ';
	}
	if ((a->flags & CONF_RELOADABLE) == 0)
		expect_fact(a, item, "needs a restart");
	if ((a->flags & CONF_EXTENSION) != 0)
		expect_fact(a, item, "extension");
	if ((a->flags & CONF_PATTERN) != 0)
		return;
	snprintf(fact, sizeof(fact), "Values: %s; ",
	    conf_attribute_range(a, range, sizeof(range)));
	expect_fact(a, item, fact);
	if (a->aws_max != 0) {
		snprintf(fact, sizeof(fact), "NLB: %s; ",
		    conf_attribute_aws_range(a, range, sizeof(range)));
		expect_fact(a, item, fact);
	}
	if (a->default_value == NULL) {
		expect_fact(a, item, "required");
		return;
	}
	snprintf(fact, sizeof(fact), "default: %s;", a->default_value);
	if (strstr(item, fact) == NULL) /* the last fact */
		fact[strlen(fact) - 1] = '.';
	expect_fact(a, item, fact);
}

static void
every_key_is_in_the_manual_with_its_facts(void **state)
{
	size_t len;
	char *manual =
	    conf_case_read(conf_case_path("src/nlb/nlbd.ini.5"), &len);

	(void)state;
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);
		const char *kind = conf_section_kind_name(a->section);
		char start[120], *section, *item;
		const char *label = "";

		if ((a->flags & CONF_PATTERN) != 0)
			label = a->section == CONF_NETWORK_ACL
				    ? "\\& Ns Ar NUMBER"
				    : "\\& Ns Ar LABEL";
		snprintf(start, sizeof(start),
		    conf_section_kind_is_named(a->section)
			? ".Ss The %s NAME sections"
			: ".Ss The %s section",
		    kind);
		section = part_of(manual, start, "\n.S");
		if (section == NULL) {
			fail_msg("nlbd.ini.5: no line \"%s\"", start);
			break; /* not reached */
		}
		snprintf(start, sizeof(start), ".It Ic %s%s", a->key, label);
		item = part_of(section, start, "\n.It Ic ");
		if (item == NULL) {
			fail_msg("nlbd.ini.5: %s: no line \"%s\"", kind, start);
			break; /* not reached */
		}
		check_item(a, item);
		free(item);
		free(section);
	}
	free(manual);
}

/* The sample's lines: which attribute stands in a line, commented out or not;
 * *kind follows the sections. */
static const struct conf_attribute *
attribute_of_line(const char *line, int *kind)
{
	const char *start = line[0] == ';' ? line + 1 : line;
	const char *equals = strstr(start, " = ");

	if (start[0] == '[') {
		for (*kind = 0; *kind < CONF_SECTION_KINDS; ++*kind) {
			const char *name = conf_section_kind_name(*kind);

			if (strncmp(start + 1, name, strlen(name)) == 0)
				break;
		}
		return NULL;
	}
	if (!isalpha((unsigned char)start[0]) || equals == NULL)
		return NULL;
	return conf_attribute_find(*kind, start, (size_t)(equals - start));
}

static void
check_sample_line(const struct conf_attribute *a, const char *line)
{
	char want[200];

	if (line[0] != ';' || a->default_value == NULL)
		return;
	snprintf(want, sizeof(want), ";%s = %s", a->key, a->default_value);
	assert_str(line, want);
}

static void
every_key_is_in_the_sample_with_its_default(void **state)
{
	size_t len;
	char *sample = conf_case_read(conf_case_path("config/nlbd.ini"), &len);
	bool seen[200] = {false};
	int kind = CONF_SECTION_KINDS;

	(void)state;
	assert_u64_between(conf_attribute_count(), 50, 200);
	for (char *line = strtok(sample, "\n"); line != NULL;
	     line = strtok(NULL, "\n")) {
		const struct conf_attribute *a = attribute_of_line(line, &kind);

		if (a == NULL)
			continue;
		seen[a - conf_attribute_at(0)] = true;
		check_sample_line(a, line);
	}
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		if (!seen[i])
			fail_msg("config/nlbd.ini: no %s",
			    conf_attribute_at(i)->key);
	}
	free(sample);
}

static char *
with_defaults_given(char *sample)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int kind = CONF_SECTION_KINDS;
	bool in_section = true; /* and not in one that is commented out */

	for (char *line = strtok(sample, "\n"); line != NULL;
	     line = strtok(NULL, "\n")) {
		const struct conf_attribute *a = attribute_of_line(line, &kind);
		bool give;

		if (line[0] == '[' || strncmp(line, ";[", 2) == 0)
			in_section = line[0] == '[';
		give = in_section && a != NULL && line[0] == ';' &&
		       a->default_value != NULL;

		fprintf(out, "%s\n", give ? line + 1 : line);
	}
	fclose(out);
	return text;
}

static void
the_sample_says_what_holds_without_a_key(void **state)
{
	size_t len;
	char *sample = conf_case_read(conf_case_path("config/nlbd.ini"), &len);
	struct conf *implied = conf_case_sound(sample), *given;
	char *text = with_defaults_given(sample), *left, *right;

	(void)state;
	given = conf_case_sound(text);
	left = conf_case_print(implied);
	right = conf_case_print(given);
	assert_str(left, right);
	free(left);
	free(right);
	free(text);
	free(sample);
	conf_destroy(implied);
	conf_destroy(given);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_are_sound),
	    cmocka_unit_test(
		keys_are_found_exactly_and_patterns_by_their_start),
	    cmocka_unit_test(ranges_are_told_in_words),
	    cmocka_unit_test(every_key_is_in_the_manual_with_its_facts),
	    cmocka_unit_test(every_key_is_in_the_sample_with_its_default),
	    cmocka_unit_test(the_sample_says_what_holds_without_a_key),
	};

	return cmocka_run_group_tests_name("attributes", tests, NULL, NULL);
}
