/*
 * The scanner in front of iniparser: finds every line, section and entry with
 * its place, and reports what is no INI of ours. iniparser 4.1 merges
 * duplicates in silence, knows no line numbers, cuts values at any `;' or `#'
 * and joins lines that end in a backslash; nothing of that gets past here.
 *
 *	[kind NAME]
 *	Key = value     ; a comment after a blank
 *	Key = "a value; with anything in it"
 */
#include "nlb/conf_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <iniparser/iniparser.h>

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

void *
conf_grow(struct conf_parser *p, void *list, size_t n, size_t element_size)
{
	void *grown;

	/* Room is always for the next power of two from 16 on. */
	if (n != 0 && (n < 16 || (n & (n - 1)) != 0))
		return list;
	grown = reallocarray(list, n == 0 ? 16 : n * 2, element_size);
	if (grown == NULL)
		p->no_memory = true;
	return grown;
}

static int
find_lines(struct conf_parser *p)
{
	struct conf_scan *scan = &p->scan;
	const char *end = p->bytes + p->len, *at = p->bytes;

	while (at != NULL && at < end) {
		uint32_t *grown = conf_grow(p, scan->line_starts, scan->n_lines,
		    sizeof(scan->line_starts[0]));

		if (grown == NULL)
			return -ENOMEM;
		scan->line_starts = grown;
		scan->line_starts[scan->n_lines++] = (uint32_t)(at - p->bytes);
		at = memchr(at, '\n', (size_t)(end - at));
		if (at != NULL)
			at++;
	}
	return 0;
}

/* The line without its end; CR LF is as good as LF. */
static struct conf_span
line_at(const struct conf_parser *p, size_t i)
{
	size_t start = p->scan.line_starts[i], end;
	struct conf_span line = {
	    .text = p->bytes + start, .line = (unsigned)i + 1, .col = 1};

	end = i + 1 < p->scan.n_lines ? p->scan.line_starts[i + 1] : p->len;
	if (end > start && p->bytes[end - 1] == '\n')
		end--;
	if (end > start && p->bytes[end - 1] == '\r')
		end--;
	line.len = end - start;
	return line;
}

/* False when a byte is in the line that no text file of ours has. */
static bool
check_bytes(struct conf_parser *p, struct conf_span line)
{
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.text[i];
		struct conf_diag *d;

		if ((c >= 0x20 && c != 0x7f) || c == '\t')
			continue;
		d = conf_error(p, conf_span_sub(line, i, 1),
		    c == 0 ? "NUL byte in the file"
			   : "control character 0x%02x in the file",
		    c);
		conf_hint(d, "save the file as plain text (UTF-8); only line "
			     "ends and tabs are allowed as control characters");
		return false;
	}
	return true;
}

static bool
check_line(struct conf_parser *p, struct conf_span line)
{
	struct conf_span trimmed = conf_span_trim(line);

	if (line.len > CONF_LINE_MAX) {
		conf_error(p, conf_span_sub(line, CONF_LINE_MAX, 1),
		    "line of %zu characters; a line has at most %d", line.len,
		    CONF_LINE_MAX);
		return false;
	}
	if (!check_bytes(p, line))
		return false;
	if (trimmed.len > 0 && trimmed.text[trimmed.len - 1] == '\\') {
		conf_error(p, conf_span_sub(trimmed, trimmed.len - 1, 1),
		    "a line cannot go on in the next one; take the backslash "
		    "away and write everything in one line");
		return false;
	}
	return true;
}

static bool
has_only(struct conf_span s, const char *others)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.text[i];

		if (c >= 0x80 || (!isalnum(c) && strchr(others, c) == NULL))
			return false;
	}
	return true;
}

static bool
has_room(struct conf_parser *p, struct conf_span line)
{
	if (p->scan.n_sections + p->scan.n_entries < CONF_KEYS_MAX)
		return true;
	conf_error(p, line,
	    "more than %d sections and keys; split the work "
	    "over several nlbd",
	    CONF_KEYS_MAX);
	return false;
}

/* Adds even a badly spelt section, so that its entries are checked too. */
static void
scan_section(struct conf_parser *p, struct conf_span line)
{
	struct conf_scan *scan = &p->scan;
	const char *close = memchr(line.text, ']', line.len);
	struct conf_section *grown;
	struct conf_span inside, after;
	size_t len;

	len = close == NULL ? line.len - 1 : (size_t)(close - line.text) - 1;
	inside = conf_span_trim(conf_span_sub(line, 1, len));
	if (close == NULL) {
		conf_error(p, line,
		    "a section starts with [ and ends with ]; "
		    "the ] is missing");
	} else if (len + 2 < line.len) {
		after = conf_span_trim(
		    conf_span_sub(line, len + 2, line.len - len - 2));
		conf_error(p, after,
		    "text after the ] of a section; give a comment a line of "
		    "its own");
	} else if (inside.len == 0) {
		conf_error(p, line,
		    "a section without a name; write for "
		    "example [listener submission]");
	} else if (!has_only(inside, " -_")) {
		conf_error(p, inside,
		    "`%.*s' cannot be a section; letters, digits, - and one "
		    "blank may stand between [ and ]",
		    CONF_SPAN(inside));
		inside.len = 0; /* nothing more to say about it */
	}
	grown = conf_grow(
	    p, scan->sections, scan->n_sections, sizeof(scan->sections[0]));
	if (grown == NULL)
		return;
	scan->sections = grown;
	scan->sections[scan->n_sections++] =
	    (struct conf_section){.header = inside, .first = scan->n_entries};
}

/* From behind the closing quote on only a comment may follow. */
static bool
scan_quoted(struct conf_parser *p, struct conf_span *value)
{
	const char *end =
	    memchr(value->text + 1, value->text[0], value->len - 1);
	struct conf_span after;
	size_t len;

	if (end == NULL) {
		conf_error(p, conf_span_sub(*value, 0, 1),
		    "the value starts with a quote and has no second one; add "
		    "it at the end");
		return false;
	}
	len = (size_t)(end - value->text) - 1;
	after = conf_span_trim(
	    conf_span_sub(*value, len + 2, value->len - len - 2));
	if (after.len > 0 && after.text[0] != ';' && after.text[0] != '#') {
		conf_error(p, after,
		    "text after the closing quote; put all of "
		    "the value between the quotes");
		return false;
	}
	*value = conf_span_sub(*value, 1, len);
	return true;
}

static bool
scan_plain(struct conf_parser *p, struct conf_span *value)
{
	for (size_t i = 0; i < value->len; i++) {
		char c = value->text[i];
		struct conf_diag *d;

		if (c != ';' && c != '#')
			continue;
		if (i > 0 && !is_blank(value->text[i - 1])) {
			d = conf_error(p, conf_span_sub(*value, i, 1),
			    "`%c' in the middle of a value", c);
			conf_hint(d, "put a blank before it if a comment "
				     "starts here, or the value in quotes if "
				     "it belongs to it");
			return false;
		}
		*value = conf_span_sub(*value, 0, i);
		break;
	}
	*value = conf_span_trim(*value);
	return true;
}

static bool
scan_value(struct conf_parser *p, struct conf_span key, struct conf_span *value)
{
	bool sound;

	*value = conf_span_trim(*value);
	if (value->len > 0 && (value->text[0] == '"' || value->text[0] == '\''))
		sound = scan_quoted(p, value);
	else
		sound = scan_plain(p, value);
	if (sound && value->len == 0) {
		conf_error(p, key,
		    "`%.*s' has no value; leave the line out to "
		    "get the default",
		    CONF_SPAN(key));
		return false;
	}
	return sound;
}

static void
report_stray(struct conf_parser *p, struct conf_span line)
{
	struct conf_diag *d;

	d = conf_error(p, line,
	    "this line is neither a section, nor a key with a value, nor a "
	    "comment");
	if (memchr(line.text, ':', line.len) != NULL)
		conf_hint(d, "a key and its value are written `Key = value'");
	else
		conf_hint(d, "start the line with ; to make it a comment");
}

static void
scan_entry(struct conf_parser *p, struct conf_span line)
{
	const char *equals = memchr(line.text, '=', line.len);
	struct conf_scan *scan = &p->scan;
	struct conf_span key, value;
	struct conf_entry *grown;
	size_t at;

	if (equals == NULL) {
		report_stray(p, line);
		return;
	}
	at = (size_t)(equals - line.text);
	key = conf_span_trim(conf_span_sub(line, 0, at));
	value = conf_span_sub(line, at + 1, line.len - at - 1);
	if (key.len == 0) {
		conf_error(p, line, "no key before the =; write `Key = value'");
		return;
	}
	if (!has_only(key, ".-_")) {
		conf_error(p, key,
		    "`%.*s' cannot be a key; a key consists of "
		    "letters, digits, dots, - and _",
		    CONF_SPAN(key));
		return;
	}
	if (!scan_value(p, key, &value))
		return;
	if (scan->n_sections == 0) {
		conf_error(p, key,
		    "`%.*s' stands before the first section; "
		    "put it below its [section]",
		    CONF_SPAN(key));
		return;
	}
	grown = conf_grow(
	    p, scan->entries, scan->n_entries, sizeof(scan->entries[0]));
	if (grown == NULL)
		return;
	scan->entries = grown;
	scan->entries[scan->n_entries++] =
	    (struct conf_entry){.key = key, .value = value};
	scan->sections[scan->n_sections - 1].n++;
}

/* Returns the bytes to skip at the start. */
static size_t
check_mark(struct conf_parser *p)
{
	struct conf_span start = {.text = p->bytes, .line = 1, .col = 1};

	if (p->len >= 3 && memcmp(p->bytes, "\xef\xbb\xbf", 3) == 0) {
		start.len = 3;
		conf_error(p, start,
		    "the file starts with a byte order mark; "
		    "save it as UTF-8 without BOM");
		return 3;
	}
	return 0;
}

static void
scan_line(struct conf_parser *p, struct conf_span line)
{
	if (!check_line(p, line))
		return;
	line = conf_span_trim(line);
	if (line.len == 0 || line.text[0] == ';' || line.text[0] == '#')
		return;
	if (line.text[0] == '[')
		scan_section(p, line);
	else
		scan_entry(p, line);
}

int
conf_scan(struct conf_parser *p)
{
	struct conf_scan *scan = &p->scan;

	if (find_lines(p) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < scan->n_lines && !p->no_memory; i++) {
		size_t errors = p->diags->n_errors, skip = 0;
		struct conf_span line = line_at(p, i);

		if (i == 0)
			skip = check_mark(p);
		if (!has_room(p, line))
			break;
		scan_line(p, conf_span_sub(line, skip, line.len - skip));
		if (p->diags->n_errors != errors && scan->n_sections > 0)
			scan->sections[scan->n_sections - 1].damaged = true;
	}
	return p->no_memory ? -ENOMEM : 0;
}

void
conf_scan_fini(struct conf_scan *scan)
{
	for (size_t i = 0; i < CONF_SECTION_KINDS; i++)
		free(scan->of_kind[i].list);
	free(scan->by_name);
	free(scan->sections);
	free(scan->entries);
	free(scan->line_starts);
	for (size_t i = 0; i < scan->n_dictionaries; i++)
		iniparser_freedict(scan->dictionaries[i]);
	free(scan->dictionaries);
}
