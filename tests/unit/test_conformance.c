/*
 * The conformance table tests/conformance/nlb.tsv against nlbd's own tables:
 * defaults and ranges of keys, and the reasons of targets. What its columns
 * mean stands in the file itself.
 */
#include "support/conf_case.h"

#include "nlb/attributes.h"
#include "nlb/reason.h"

#define TABLE "tests/conformance/nlb.tsv"
#define ROWS_MAX 1000

enum cell { KIND, BEHAVIOUR, GUIDE, NLB, NLBD, TEST, VERDICT, CELLS };

struct row {
	char *cells[CELLS];
};

static struct {
	char *text; /* owned; the cells point into it */
	struct row rows[ROWS_MAX];
	size_t n;
} table;

static int
read_table(void **state)
{
	size_t len;
	char *rest, *line;

	(void)state;
	table.text = conf_case_read(conf_case_path(TABLE), &len);
	rest = table.text;
	while ((line = strsep(&rest, "\n")) != NULL) {
		struct row *row = &table.rows[table.n];
		size_t n = 0;

		if (line[0] == '#' || line[0] == '\0')
			continue;
		while (n < CELLS && line != NULL)
			row->cells[n++] = strsep(&line, "\t");
		if (n != CELLS || line != NULL)
			fail_msg(TABLE ": not 7 cells: %s", row->cells[0]);
		if (++table.n == ROWS_MAX)
			fail_msg(TABLE ": more than %d rows", ROWS_MAX);
	}
	return 0;
}

static int
free_table(void **state)
{
	(void)state;
	free(table.text);
	return 0;
}

static const struct row *
find_row(const char *kind, const char *behaviour)
{
	for (size_t i = 0; i < table.n; i++) {
		char *const *cells = table.rows[i].cells;

		if (strcmp(cells[KIND], kind) == 0 &&
		    strcmp(cells[BEHAVIOUR], behaviour) == 0)
			return &table.rows[i];
	}
	return NULL;
}

/* The row of an NLB's key, whose nlbd cell must be told; NULL for keys that an
 * NLB does not have. */
static const struct row *
row_of(const char *kind, const struct conf_attribute *a, const char *told)
{
	const struct row *row;
	char name[160];

	if ((a->flags & (CONF_EXTENSION | CONF_PATTERN)) != 0)
		return NULL;
	snprintf(name, sizeof(name), "%s %s",
	    conf_section_kind_name(a->section), a->key);
	row = find_row(kind, name);
	if (row == NULL)
		fail_msg(TABLE ": no row %s of %s", kind, name);
	else if (strcmp(row->cells[NLBD], told) != 0)
		fail_msg(TABLE ": %s of %s: \"%s\", but nlbd has \"%s\"", kind,
		    name, row->cells[NLBD], told);
	return row;
}

/* Numbers and words, which mean the same only when they read the same. */
static bool
is_comparable(const struct conf_attribute *a)
{
	return a->type == CONF_TYPE_BOOL || a->type == CONF_TYPE_WORD ||
	       a->type == CONF_TYPE_PORT || a->type == CONF_TYPE_NUMBER ||
	       a->type == CONF_TYPE_SECONDS || a->type == CONF_TYPE_CHECK_PORT;
}

static bool
is_verdict(const struct row *row, const char *verdict)
{
	return strcmp(row->cells[VERDICT], verdict) == 0;
}

static void
defaults_are_those_of_the_table(void **state)
{
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);
		const char *told = (a->flags & CONF_REQUIRED) != 0
				       ? "required"
				       : a->default_value;
		const struct row *row = row_of("default", a, told);

		if (row == NULL)
			continue;
		n++;
		if (is_comparable(a) &&
		    is_verdict(row, "same") !=
			(strcmp(row->cells[NLB], row->cells[NLBD]) == 0))
			fail_msg(TABLE ": default of %s: verdict \"%s\"",
			    a->key, row->cells[VERDICT]);
	}
	assert_u64_between(n, 30, 200);
}

/* The range of an NLB that the attribute table knows, and the verdict. */
static void
check_range(const struct conf_attribute *a, const struct row *row)
{
	char told[160];

	conf_attribute_aws_range(a, told, sizeof(told));
	if (a->aws_max != 0 && strcmp(row->cells[NLB], told) != 0)
		fail_msg(TABLE ": range of %s: \"%s\", but an NLB has \"%s\"",
		    a->key, row->cells[NLB], told);
	if (a->aws_max != 0 &&
	    is_verdict(row, "same") != (strcmp(told, row->cells[NLBD]) == 0))
		fail_msg(TABLE ": range of %s: verdict \"%s\"", a->key,
		    row->cells[VERDICT]);
}

static void
ranges_are_those_of_the_table(void **state)
{
	char told[160];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);
		const struct row *row = row_of(
		    "range", a, conf_attribute_range(a, told, sizeof(told)));

		if (row == NULL)
			continue;
		n++;
		check_range(a, row);
	}
	assert_u64_between(n, 30, 200);
}

/* A row whose name begins with the code and whose texts are the reason's. */
static bool
reason_is_told(const char *code, const char *text)
{
	for (size_t i = 0; i < table.n; i++) {
		char *const *cells = table.rows[i].cells;
		size_t len = strcspn(cells[BEHAVIOUR], " ");

		if (strcmp(cells[KIND], "reason") == 0 && strlen(code) == len &&
		    strncmp(cells[BEHAVIOUR], code, len) == 0 &&
		    strcmp(cells[NLBD], text) == 0)
			return strcmp(cells[NLB], text) == 0 ||
			       !is_verdict(&table.rows[i], "same");
	}
	return false;
}

static void
reasons_are_those_of_the_table(void **state)
{
	size_t n = 0;

	(void)state;
	for (int i = TARGET_REASON_NONE + 1; i < TARGET_REASON_COUNT; i++) {
		const char *code = target_reason_code((enum target_reason)i);

		if (!reason_is_told(
			code, target_reason_description((enum target_reason)i)))
			fail_msg(
			    TABLE ": no row, or not the text, of %s", code);
	}
	for (size_t i = 0; i < table.n; i++)
		n += strcmp(table.rows[i].cells[KIND], "reason") == 0;
	assert_u64(n, TARGET_REASON_COUNT - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_are_those_of_the_table),
	    cmocka_unit_test(ranges_are_those_of_the_table),
	    cmocka_unit_test(reasons_are_those_of_the_table),
	};

	return cmocka_run_group_tests_name(
	    "conformance", tests, read_table, free_table);
}
