/* The editor of INI texts: what changes, and that nothing else does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nlb/conf_edit.h"
#include "support/expect.h"

#define GROUP(k, v)                                                       \
	{                                                                 \
		.kind = CONF_TARGET_GROUP, .section = "smtp", .key = (k), \
		.value = (v)                                              \
	}

static const char text[] = "; the load balancer\n"
			   "[load-balancer]\n"
			   "Name = lab\n"
			   "\n"
			   "[target-group smtp]   \n"
			   "Port     = 587 ; submission\n"
			   "Protocol = TCP\n"
			   "; HealthyThresholdCount = 9\n"
			   "Target.a = Id=10.0.0.1   ; rack 1\n"
			   "# the second one\n"
			   "\n"
			   "Target.b = Id=10.0.0.2\n"
			   "; nothing below\n"
			   "\n"
			   "[target-group spare]\n"
			   "\n"
			   "[node]\n"
			   "Workers = 2";

static char *
edited(const char *from, const struct conf_edit *edits, size_t n)
{
	char *out = NULL;
	size_t len = 0;

	assert_errno(
	    conf_edit_text(from, strlen(from), edits, n, &out, &len), 0);
	assert_u64(len, strlen(out));
	return out;
}

/* from with its one part old replaced is what the edit makes of it. */
static void
expect_edit(const char *from, struct conf_edit edit, const char *old,
    const char *replacement)
{
	char *got = edited(from, &edit, 1), want[2048];
	const char *at = strstr(from, old);

	assert_non_null(at);
	snprintf(want, sizeof(want), "%.*s%s%s", (int)(at - from), from,
	    replacement, at + strlen(old));
	assert_str(got, want);
	free(got);
}

static void
value_changes_and_its_comment_stays(void **state)
{
	(void)state;
	expect_edit(text, (struct conf_edit)GROUP("Port", "2525"),
	    "587 ; submission", "2525 ; submission");
	expect_edit(text, (struct conf_edit)GROUP("Target.a", "Id=10.0.0.9"),
	    "Id=10.0.0.1   ;", "Id=10.0.0.9   ;");
}

static void
same_value_changes_nothing(void **state)
{
	(void)state;
	expect_edit(text, (struct conf_edit)GROUP("Port", "587"), "587", "587");
}

static void
new_key_goes_below_its_kind_in_their_layout(void **state)
{
	(void)state;
	expect_edit(text, (struct conf_edit)GROUP("Target.c", "Id=10.0.0.3"),
	    "Id=10.0.0.2\n", "Id=10.0.0.2\nTarget.c = Id=10.0.0.3\n");
	expect_edit(text, (struct conf_edit)GROUP("HealthyThresholdCount", "3"),
	    "Protocol = TCP\n", "Protocol = TCP\nHealthyThresholdCount = 3\n");
	/* Their = stand below each other. */
	expect_edit(text, (struct conf_edit)GROUP("A", "3"), "Protocol = TCP\n",
	    "Protocol = TCP\nA        = 3\n");
}

static void
layout_without_blanks_and_with_tabs_is_kept(void **state)
{
	(void)state;
	expect_edit("[target-group smtp]\nPort=587\n",
	    (struct conf_edit)GROUP("Protocol", "TCP"), "Port=587\n",
	    "Port=587\nProtocol=TCP\n");
	expect_edit("[target-group smtp]\n\tPort\t=\t587\n",
	    (struct conf_edit)GROUP("Protocol", "TCP"), "587\n",
	    "587\n\tProtocol\t=\tTCP\n");
	expect_edit("[target-group smtp]\n  Port = 587\n",
	    (struct conf_edit)GROUP("A", "TCP"), "587\n", "587\n  A = TCP\n");
}

static void
empty_section_takes_a_first_key(void **state)
{
	struct conf_edit edit = {.kind = CONF_TARGET_GROUP,
	    .section = "spare",
	    .key = "Port",
	    .value = "25"};

	(void)state;
	expect_edit(text, edit, "[target-group spare]\n",
	    "[target-group spare]\nPort = 25\n");
}

static void
removed_line_leaves_the_comments_around_it(void **state)
{
	(void)state;
	expect_edit(text, (struct conf_edit)GROUP("Target.b", NULL),
	    "Target.b = Id=10.0.0.2\n", "");
	expect_edit(
	    text, (struct conf_edit)GROUP("Target.z", NULL), "lab", "lab");
}

static void
missing_line_end_at_the_end_stays_missing(void **state)
{
	struct conf_edit edit = {.kind = CONF_NODE,
	    .section = "",
	    .key = "LogLevel",
	    .value = "debug"};

	(void)state;
	expect_edit(text, edit, "Workers = 2", "Workers = 2\nLogLevel = debug");
	edit.key = "Workers";
	edit.value = NULL;
	expect_edit(text, edit, "Workers = 2", "");
}

static void
cr_lf_stays_cr_lf(void **state)
{
	static const char dos[] = "[target-group smtp]\r\nPort = 587\r\n"
				  "Target.a = Id=10.0.0.1\r\n\r\n[node]";
	struct conf_edit node = {
	    .kind = CONF_NODE, .section = "", .key = "Workers", .value = "1"};

	(void)state;
	expect_edit(dos, (struct conf_edit)GROUP("Target.b", "Id=10.0.0.2"),
	    "10.0.0.1\r\n", "10.0.0.1\r\nTarget.b = Id=10.0.0.2\r\n");
	expect_edit(dos, (struct conf_edit)GROUP("Target.a", NULL),
	    "Target.a = Id=10.0.0.1\r\n", "");
	expect_edit(dos, (struct conf_edit)GROUP("Port", "25"), "587", "25");
	expect_edit(dos, node, "[node]", "[node]\r\nWorkers = 1");
}

static void
value_is_quoted_where_it_must_be(void **state)
{
	static const char quotes[] = "[target-group smtp]\n"
				     "A = \"one;two\" ; why\n"
				     "B = 'x'\n";

	(void)state;
	expect_edit(quotes, (struct conf_edit)GROUP("A", "three"),
	    "\"one;two\"", "three");
	expect_edit(quotes, (struct conf_edit)GROUP("A", "a#b"), "\"one;two\"",
	    "'a#b'");
	expect_edit(
	    quotes, (struct conf_edit)GROUP("A", "one;two"), "why", "why");
	expect_edit(quotes, (struct conf_edit)GROUP("B", "it's #1"), "'x'",
	    "\"it's #1\"");
	expect_edit(quotes, (struct conf_edit)GROUP("C", "/a;b"), "B = 'x'\n",
	    "B = 'x'\nC = '/a;b'\n");
}

static void
value_that_no_line_can_hold_is_refused(void **state)
{
	static const char *const values[] = {
	    "", "1\nPort = 25", "1\r2", "1\x01", "a\x7f", "'a\";", "\"a'#"};
	char *out;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct conf_edit edit = GROUP("Port", values[i]);

		assert_errno(
		    conf_edit_text(text, strlen(text), &edit, 1, &out, &len),
		    -EINVAL);
		edit.key = "Other";
		assert_errno(
		    conf_edit_text(text, strlen(text), &edit, 1, &out, &len),
		    -EINVAL);
	}
}

static void
unknown_section_and_unsound_text_are_refused(void **state)
{
	struct conf_edit edit = {.kind = CONF_TARGET_GROUP,
	    .section = "smt",
	    .key = "Port",
	    .value = "25"};
	char *out;
	size_t len;

	(void)state;
	assert_errno(
	    conf_edit_text(text, strlen(text), &edit, 1, &out, &len), -ENOENT);
	edit.kind = CONF_LISTENER;
	edit.section = "smtp";
	assert_errno(
	    conf_edit_text(text, strlen(text), &edit, 1, &out, &len), -ENOENT);
	assert_errno(conf_edit_text("stray", 5, &edit, 1, &out, &len), -EINVAL);
	assert_errno(conf_edit_text("", 0, &edit, 1, &out, &len), -ENOENT);
}

/* ---- at random -------------------------------------------------------- */

enum { SECTIONS = 4, KEYS = 12, LINES_MAX = 400 };

struct model {
	uint64_t seed;
	char text[1 << 16];
	size_t len;
	/* What each key of each section has; 0: it is not there. */
	unsigned values[SECTIONS][KEYS];
	bool touched[SECTIONS][KEYS];
	char names[SECTIONS][8], keys[KEYS][24];
	char edit_values[SECTIONS * KEYS][16];
};

static unsigned
roll(struct model *m, unsigned sides)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 7;
	m->seed ^= m->seed << 17;
	return (unsigned)((m->seed >> 11) % sides);
}

static void __attribute__((format(printf, 2, 3)))
put(struct model *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	m->len += (size_t)vsnprintf(
	    m->text + m->len, sizeof(m->text) - m->len, fmt, ap);
	va_end(ap);
}

static void
put_noise(struct model *m, const char *end)
{
	static const char *const noise[] = {"", "; a comment", "# another",
	    ";Key9 = 5", "   ", "\t; [target-group g1]"};

	while (roll(m, 3) == 0)
		put(m, "%s%s", noise[roll(m, 6)], end);
}

static void
put_value(struct model *m, unsigned value)
{
	static const char *const shapes[] = {"v%u", "\"v%u\"", "'v%u'"};
	static const char *const comments[] = {
	    "", " ; a comment", "\t# v1", "  "};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	put(m, shapes[roll(m, 3)], value);
#pragma GCC diagnostic pop
	put(m, "%s", comments[roll(m, 4)]);
}

static void
make_text(struct model *m, uint64_t seed)
{
	static const char *const blanks[] = {"", " ", "  ", "\t"};
	const char *end;

	memset(m, 0, sizeof(*m));
	m->seed = seed * 0x9e3779b97f4a7c15u + 1;
	end = roll(m, 4) == 0 ? "\r\n" : "\n";
	put_noise(m, end);
	for (unsigned s = 0; s < SECTIONS; s++) {
		snprintf(m->names[s], sizeof(m->names[s]), "g%u", s);
		put(m, "[target-group%s g%u]%s", roll(m, 2) ? "" : " ", s, end);
		for (unsigned k = 0; k < KEYS; k++) {
			snprintf(m->keys[k], sizeof(m->keys[k]), "%s%u",
			    k < KEYS / 2 ? "Target.t" : "Key", k);
			put_noise(m, end);
			if (roll(m, 3) == 0)
				continue;
			m->values[s][k] = 1 + roll(m, 9);
			put(m, "%s%s%s=%s", blanks[roll(m, 4)], m->keys[k],
			    blanks[roll(m, 4)], blanks[roll(m, 4)]);
			put_value(m, m->values[s][k]);
			put(m, "%s", end);
		}
		put_noise(m, end);
	}
	if (roll(m, 3) == 0) /* the last line without its end */
		m->len -= strlen(end);
	m->text[m->len] = '\0';
}

static size_t
make_edits(struct model *m, struct conf_edit *edits)
{
	size_t n = 0;

	for (unsigned s = 0; s < SECTIONS; s++) {
		for (unsigned k = 0; k < KEYS; k++) {
			unsigned value = roll(m, 10);

			if (roll(m, 5) != 0)
				continue;
			edits[n] = (struct conf_edit){
			    .kind = CONF_TARGET_GROUP,
			    .section = m->names[s],
			    .key = m->keys[k],
			    .value = value == 0 ? NULL : m->edit_values[n],
			};
			snprintf(m->edit_values[n], sizeof(m->edit_values[n]),
			    "v%u", value);
			n++;
			m->touched[s][k] = m->values[s][k] != value;
			m->values[s][k] = value;
		}
	}
	return n;
}

/* Splits; lines point into a copy. */
static size_t
split(char *bytes, char **lines)
{
	size_t n = 0;

	for (char *at = bytes; at != NULL && *at != '\0' && n < LINES_MAX;) {
		lines[n++] = strsep(&at, "\n");
		lines[n - 1][strcspn(lines[n - 1], "\r")] = '\0';
	}
	return n;
}

/* "[target-group g2]" makes 2 of *section; "Key7=v3" 7 and its value. */
static bool
read_line(const char *line, unsigned *section, unsigned *key, unsigned *value)
{
	char name[32];
	unsigned n;

	if (sscanf(line, "[target-group g%u]", section) == 1)
		return false;
	line += strspn(line, " \t");
	if (sscanf(line, "%31[^ \t=0-9]%u", name, &n) != 2 || line[0] == ';' ||
	    line[0] == '#')
		return false;
	*key = n;
	line = strchr(line, '=') + 1;
	line += strspn(line, " \t\"'v");
	*value = (unsigned)atoi(line);
	return true;
}

/* Every line of the old text is in the new one, in order, but those of keys
 * that were touched; and every further line is a touched key's. */
static void
expect_only_touched(const struct model *m, char *new_text)
{
	static char *old_lines[LINES_MAX], *new_lines[LINES_MAX];
	static char old_text[sizeof(m->text)];
	unsigned seen[SECTIONS][KEYS] = {{0}};
	unsigned section = 0, old_section = 0, key = 0, value = 0;
	size_t n_old, n_new, old = 0;

	memcpy(old_text, m->text, m->len + 1);
	n_old = split(old_text, old_lines);
	n_new = split(new_text, new_lines);
	for (size_t i = 0; i < n_new; i++) {
		bool is_key = read_line(new_lines[i], &section, &key, &value);

		if (is_key)
			seen[section][key] = value;
		if (is_key && m->touched[section][key])
			continue;
		while (
		    old < n_old && strcmp(old_lines[old], new_lines[i]) != 0) {
			unsigned k, v;

			assert_true(
			    read_line(old_lines[old++], &old_section, &k, &v));
			assert_true(m->touched[old_section][k]);
		}
		assert_true(old++ < n_old);
		old_section = section;
	}
	for (unsigned s = 0; s < SECTIONS; s++)
		for (unsigned k = 0; k < KEYS; k++)
			assert_u64(seen[s][k], m->values[s][k]);
}

static bool
ends_line(const char *bytes)
{
	size_t len = strlen(bytes);

	return len > 0 && bytes[len - 1] == '\n';
}

/* NLBD_TEST_EDITS=50000 for a long run; the same seeds every time. */
static void
random_edits_change_what_they_name_and_nothing_else(void **state)
{
	static struct model m;
	static struct conf_edit edits[SECTIONS * KEYS];
	const char *wanted = getenv("NLBD_TEST_EDITS");
	unsigned rounds = wanted != NULL ? (unsigned)atoi(wanted) : 1000;

	(void)state;
	for (unsigned i = 1; i <= rounds; i++) {
		bool has_cr;
		char *out;
		size_t n;

		make_text(&m, i);
		has_cr = strchr(m.text, '\r') != NULL;
		n = make_edits(&m, edits);
		out = edited(m.text, edits, n);
		if (ends_line(m.text))
			assert_true(ends_line(out));
		for (char *c = strchr(out, '\n'); c != NULL;
		     c = strchr(c + 1, '\n'))
			assert_true((c > out && c[-1] == '\r') == has_cr);
		expect_only_touched(&m, out);
		free(out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(value_changes_and_its_comment_stays),
	    cmocka_unit_test(same_value_changes_nothing),
	    cmocka_unit_test(new_key_goes_below_its_kind_in_their_layout),
	    cmocka_unit_test(layout_without_blanks_and_with_tabs_is_kept),
	    cmocka_unit_test(empty_section_takes_a_first_key),
	    cmocka_unit_test(removed_line_leaves_the_comments_around_it),
	    cmocka_unit_test(missing_line_end_at_the_end_stays_missing),
	    cmocka_unit_test(cr_lf_stays_cr_lf),
	    cmocka_unit_test(value_is_quoted_where_it_must_be),
	    cmocka_unit_test(value_that_no_line_can_hold_is_refused),
	    cmocka_unit_test(unknown_section_and_unsound_text_are_refused),
	    cmocka_unit_test(
		random_edits_change_what_they_name_and_nothing_else),
	};

	return cmocka_run_group_tests_name("conf_edit", tests, NULL, NULL);
}
