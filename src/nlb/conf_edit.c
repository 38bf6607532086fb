/*
 * Edits become splices of the text: cut so many bytes here, put these in their
 * place. A splice is either within a line (a value) or whole lines.
 */
#include "nlb/conf_edit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/stdlib.h>
#include <bsd/string.h>

#include "nlb/conf_internal.h"

struct splice {
	size_t at, cut;
	char *text;   /* owned; NULL: nothing */
	bool is_line; /* text is a line of its own, without its end */
};

struct editor {
	struct conf_parser parser; /* for its scan */
	const char *line_end;      /* as the file has them */
	struct splice *splices;    /* owned; one for each edit */
	size_t n_splices;
};

static size_t
line_start(const struct editor *e, unsigned line)
{
	const struct conf_scan *scan = &e->parser.scan;

	return line <= scan->n_lines ? scan->line_starts[line - 1]
				     : e->parser.len;
}

static bool
is_section(struct conf_span header, const struct conf_edit *edit)
{
	struct conf_span name = header, kind;

	if (header.len == 0)
		return false;
	kind = conf_span_split(&name, ' ');
	if (!conf_span_is(kind, conf_section_kind_name(edit->kind)))
		return false;
	if (name.text == NULL)
		return edit->section[0] == '\0';
	return conf_span_is(conf_span_trim(name), edit->section);
}

static const struct conf_section *
find_section(const struct editor *e, const struct conf_edit *edit)
{
	const struct conf_scan *scan = &e->parser.scan;

	for (size_t i = 0; i < scan->n_sections; i++) {
		if (is_section(scan->sections[i].header, edit))
			return &scan->sections[i];
	}
	return NULL;
}

static const struct conf_entry *
find_entry(
    const struct editor *e, const struct conf_section *section, const char *key)
{
	const struct conf_entry *entries = e->parser.scan.entries;

	for (size_t i = section->first; i < section->first + section->n; i++) {
		if (conf_span_is(entries[i].key, key))
			return &entries[i];
	}
	return NULL;
}

char *
conf_edit_quote(const char *value)
{
	size_t len = strlen(value);
	const char *quote = "";
	char *text;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			len = 0;
	}
	if (len == 0) {
		errno = EINVAL;
		return NULL;
	}
	if (strpbrk(value, ";#") != NULL ||
	    strchr(" \t'\"", value[0]) != NULL ||
	    strchr(" \t", value[len - 1]) != NULL)
		quote = strchr(value, '\'') == NULL ? "'" : "\"";
	if (quote[0] != '\0' && strchr(value, quote[0]) != NULL) {
		errno = EINVAL;
		return NULL;
	}
	if (asprintf(&text, "%s%s%s", quote, value, quote) == -1) {
		errno = ENOMEM;
		return NULL;
	}
	return text;
}

static int
replace_value(
    struct editor *e, const struct conf_entry *entry, const char *value)
{
	const char *at = entry->value.text;
	bool was_quoted = at[-1] == '"' || at[-1] == '\'';
	char *text;

	if (conf_span_is(entry->value, value))
		return 0;
	text = conf_edit_quote(value);
	if (text == NULL)
		return -errno;
	e->splices[e->n_splices++] =
	    (struct splice){.at = (size_t)(at - e->parser.bytes) - was_quoted,
		.cut = entry->value.len + (was_quoted ? 2 : 0),
		.text = text};
	return 0;
}

static void
remove_line(struct editor *e, const struct conf_entry *entry)
{
	size_t from = line_start(e, entry->key.line);

	e->splices[e->n_splices++] = (struct splice){
	    .at = from, .cut = line_start(e, entry->key.line + 1) - from};
}

/* "Target." of "Target.mail-1"; all of a key without a label. */
static size_t
prefix_len(enum conf_section_kind kind, struct conf_span key)
{
	const struct conf_attribute *a =
	    conf_attribute_find(kind, key.text, key.len);

	return a != NULL && (a->flags & CONF_PATTERN) != 0 ? strlen(a->key) : 0;
}

/* The entry below which a new key belongs: the last one of its kind, or of
 * the section. NULL: the section has none. */
static const struct conf_entry *
find_neighbour(const struct editor *e, const struct conf_section *section,
    const struct conf_edit *edit)
{
	const struct conf_entry *entries = e->parser.scan.entries;
	struct conf_span key = {.text = edit->key, .len = strlen(edit->key)};
	size_t len = prefix_len(edit->kind, key);

	for (size_t i = section->first + section->n; i-- > section->first;) {
		struct conf_span other = entries[i].key;

		if (prefix_len(edit->kind, other) == len &&
		    memcmp(other.text, key.text, len) == 0)
			return &entries[i];
	}
	return section->n == 0 ? NULL
			       : &entries[section->first + section->n - 1];
}

/* What stands around the = of an entry's line. */
struct layout {
	struct conf_span indent, before, after;
	size_t column; /* of the = */
};

static struct layout
layout_of(const struct editor *e, const struct conf_entry *entry)
{
	const char *line = e->parser.bytes + line_start(e, entry->key.line);
	const char *key_end = entry->key.text + entry->key.len;
	const char *equals = key_end + strspn(key_end, " \t");
	struct layout layout = {
	    .indent = {.text = line, .len = (size_t)(entry->key.text - line)},
	    .before = {.text = key_end, .len = (size_t)(equals - key_end)},
	    .after = {.text = equals + 1, .len = strspn(equals + 1, " \t")},
	    .column = (size_t)(equals - line),
	};

	return layout;
}

/* Do the section's = stand below each other, though its keys differ? */
static bool
is_aligned(const struct editor *e, const struct conf_section *section,
    const struct conf_entry *entry, size_t column)
{
	const struct conf_entry *entries = e->parser.scan.entries;

	for (size_t i = section->first; i < section->first + section->n; i++) {
		if (entries[i].key.len != entry->key.len &&
		    layout_of(e, &entries[i]).column == column)
			return true;
	}
	return false;
}

/* A line like its neighbour's. */
static int
format_line(char **out, const struct editor *e,
    const struct conf_section *section, const struct conf_entry *neighbour,
    const char *key, const char *value)
{
	struct layout l;
	size_t used, pad;

	if (neighbour == NULL)
		return asprintf(out, "%s = %s", key, value);
	l = layout_of(e, neighbour);
	used = l.indent.len + strlen(key);
	pad = l.before.len;
	if (is_aligned(e, section, neighbour, l.column))
		pad = used < l.column ? l.column - used : l.before.len > 0;
	if (memchr(l.before.text, '\t', l.before.len) != NULL)
		return asprintf(out, "%.*s%s%.*s=%.*s%s", (int)l.indent.len,
		    l.indent.text, key, (int)l.before.len, l.before.text,
		    (int)l.after.len, l.after.text, value);
	return asprintf(out, "%.*s%s%*s=%.*s%s", (int)l.indent.len,
	    l.indent.text, key, (int)pad, "", (int)l.after.len, l.after.text,
	    value);
}

static int
insert_line(struct editor *e, const struct conf_section *section,
    const struct conf_edit *edit)
{
	const struct conf_entry *neighbour = find_neighbour(e, section, edit);
	unsigned above =
	    neighbour == NULL ? section->header.line : neighbour->key.line;
	char *value = conf_edit_quote(edit->value), *line;
	int n;

	if (value == NULL)
		return -errno;
	n = format_line(&line, e, section, neighbour, edit->key, value);
	free(value);
	if (n == -1)
		return -ENOMEM;
	e->splices[e->n_splices++] = (struct splice){
	    .at = line_start(e, above + 1), .text = line, .is_line = true};
	return 0;
}

static int
add_edit(struct editor *e, const struct conf_edit *edit)
{
	const struct conf_section *section = find_section(e, edit);
	const struct conf_entry *entry;

	if (section == NULL)
		return -ENOENT;
	entry = find_entry(e, section, edit->key);
	if (edit->value == NULL) {
		if (entry != NULL)
			remove_line(e, entry);
		return 0;
	}
	return entry != NULL ? replace_value(e, entry, edit->value)
			     : insert_line(e, section, edit);
}

static int
compare_splices(const void *left, const void *right)
{
	const struct splice *a = left, *b = right;

	if (a->at == b->at)
		return 0;
	return a->at < b->at ? -1 : 1;
}

/* A text whose last line has no end keeps that. */
static char *
put_line(const struct editor *e, const char *start, char *to, const char *line,
    bool is_end)
{
	if (to > start && to[-1] != '\n')
		to = stpcpy(to, e->line_end);
	else
		is_end = false;
	to = stpcpy(to, line);
	return is_end ? to : stpcpy(to, e->line_end);
}

static int
render(const struct editor *e, char **out, size_t *out_len)
{
	const char *bytes = e->parser.bytes;
	size_t len = e->parser.len, at = 0, size = len + 1;
	char *text, *to;

	for (size_t i = 0; i < e->n_splices; i++)
		if (e->splices[i].text != NULL)
			size += strlen(e->splices[i].text) + 4;
	text = to = malloc(size);
	if (text == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < e->n_splices; i++) {
		const struct splice *s = &e->splices[i];

		to = mempcpy(to, bytes + at, s->at > at ? s->at - at : 0);
		if (s->is_line)
			to = put_line(e, text, to, s->text, s->at == len);
		else if (s->text != NULL)
			to = stpcpy(to, s->text);
		if (s->at + s->cut > at)
			at = s->at + s->cut;
	}
	to = mempcpy(to, bytes + at, len - at);
	*to = '\0';
	*out = text;
	*out_len = (size_t)(to - text);
	return 0;
}

static const char *
find_line_end(const char *text, size_t len)
{
	const char *first = memchr(text, '\n', len);

	return first != NULL && first > text && first[-1] == '\r' ? "\r\n"
								  : "\n";
}

int
conf_edit_text(const char *text, size_t len, const struct conf_edit *edits,
    size_t n, char **out, size_t *out_len)
{
	struct conf_diags diags = {0};
	struct editor e = {
	    .parser = {.bytes = text, .len = len, .diags = &diags},
	    .line_end = find_line_end(text, len),
	    .splices = calloc(n + 1, sizeof(e.splices[0])),
	};
	int rc = e.splices == NULL ? -ENOMEM : conf_scan(&e.parser);

	if (rc == 0 && diags.n_errors > 0)
		rc = -EINVAL;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = add_edit(&e, &edits[i]);
	/* mergesort is stable: new lines keep the order of the edits. */
	if (rc == 0 && mergesort(e.splices, e.n_splices, sizeof(e.splices[0]),
			   compare_splices) == -1)
		rc = -errno;
	if (rc == 0)
		rc = render(&e, out, out_len);
	for (size_t i = 0; i < e.n_splices; i++)
		free(e.splices[i].text);
	free(e.splices);
	conf_scan_fini(&e.parser.scan);
	conf_diags_fini(&diags);
	return rc;
}
