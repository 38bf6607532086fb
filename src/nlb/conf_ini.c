/*
 * iniparser reads the same bytes as the scanner, and the values that count are
 * the ones it found. A difference between the two readings would mean that one
 * of them misunderstands the file: that is reported, never guessed at.
 *
 * iniparser's dictionary compares every new key with all that it holds. So it
 * gets the file in pieces, each with a dictionary of its own: the time grows
 * with the file and not with its square. Nothing but the name of the section
 * goes from line to line (the scanner has refused doubled keys and sections
 * and continued lines), and a piece that starts within a section begins with
 * that name.
 */
#include "nlb/conf_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <iniparser/iniparser.h>

/* Sections and entries of one piece: fewer than a dictionary has room for from
 * the start. */
#define PIECE_ITEMS 100

#define NO_MEMORY_FILE "no memory file for the parser: %s"

/* The scanner has reported all there is to say, with line and column. */
static int
be_silent(const char *fmt, ...)
{
	(void)fmt;
	return 0;
}

static int
write_whole(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Where a walk over sections and entries stands: at the header of a section
 * (entry 0), or at one of its entries (counted from 1). */
struct place {
	size_t section, entry;
};

static bool
is_end(const struct conf_scan *scan, struct place at)
{
	return at.section >= scan->n_sections;
}

static struct place
next_place(const struct conf_scan *scan, struct place at)
{
	if (at.entry < scan->sections[at.section].n)
		at.entry++;
	else
		at = (struct place){.section = at.section + 1};
	return at;
}

/* Where its line starts in the bytes: the file's begin and end belong to the
 * first and the last section. */
static size_t
offset_of(const struct conf_parser *p, struct place at)
{
	const struct conf_scan *scan = &p->scan;
	const struct conf_section *section;
	size_t line, offset;

	if (is_end(scan, at))
		return p->len;
	if (at.section == 0 && at.entry == 0)
		return 0;
	section = &scan->sections[at.section];
	line = at.entry == 0
		   ? section->header.line
		   : scan->entries[section->first + at.entry - 1].key.line;
	offset = scan->line_starts[line - 1];
	return offset < p->len ? offset : p->len;
}

/* A piece that starts within a section gets the section's line again. */
static int
write_piece(
    const struct conf_parser *p, int fd, struct place from, struct place to)
{
	size_t start = offset_of(p, from), end = offset_of(p, to);
	int error = 0;

	if (ftruncate(fd, 0) == -1 || lseek(fd, 0, SEEK_SET) == -1)
		return -errno;
	if (from.entry > 0) {
		struct conf_span header = p->scan.sections[from.section].header;
		char line[CONF_LINE_MAX + 4];
		int n = snprintf(line, sizeof(line), "[%.*s]\n",
		    (int)header.len, header.text);

		error = write_whole(fd, line, (size_t)n);
	}
	if (error == 0)
		error = write_whole(fd, p->bytes + start, end - start);
	return error;
}

static bool
same_lowered(const char *text, struct conf_span s)
{
	if (strlen(text) != s.len)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (text[i] != (char)tolower((unsigned char)s.text[i]))
			return false;
	}
	return true;
}

/* The dictionary's key of an entry is "section:key". */
static bool
same_key(const char *text, struct conf_span section, struct conf_span key)
{
	struct conf_span head = {.text = text, .len = section.len};
	char lowered[CONF_LINE_MAX + 1];

	if (strlen(text) != section.len + 1 + key.len ||
	    text[section.len] != ':')
		return false;
	if (!conf_span_copy(head, lowered, sizeof(lowered)))
		return false;
	return same_lowered(lowered, section) &&
	       same_lowered(text + section.len + 1, key);
}

/* Both keep the file's order: one walk compares everything. */
static bool
take_values(struct conf_scan *scan, const dictionary *d, struct place from,
    struct place to)
{
	struct place at = from;
	size_t i = 0, n = (size_t)d->n;

	if (from.entry > 0 && n > 0)
		i++; /* the section's line again */
	while (at.section != to.section || at.entry != to.entry) {
		const struct conf_section *section =
		    &scan->sections[at.section];
		struct conf_entry *e;

		if (i >= n)
			return false;
		if (at.entry == 0) {
			if (!same_lowered(d->key[i], section->header))
				return false;
		} else {
			e = &scan->entries[section->first + at.entry - 1];
			if (d->val[i] == NULL ||
			    !same_key(d->key[i], section->header, e->key) ||
			    !conf_span_is(e->value, d->val[i]))
				return false;
			e->value.text = d->val[i];
		}
		at = next_place(scan, at);
		i++;
	}
	return i == n;
}

/* Reads and compares the next piece, and moves *at behind it. */
static bool
compare_piece(struct conf_parser *p, int fd, const char *name, struct place *at)
{
	struct conf_scan *scan = &p->scan;
	struct place from = *at;
	struct conf_span whole = {0};
	struct _dictionary_ **grown;
	dictionary *d;
	int error;

	for (int i = 0; i < PIECE_ITEMS && !is_end(scan, *at); i++)
		*at = next_place(scan, *at);
	error = write_piece(p, fd, from, *at);
	if (error != 0) {
		conf_error(p, whole, NO_MEMORY_FILE, strerror(-error));
		return true;
	}
	grown = conf_grow(p, scan->dictionaries, scan->n_dictionaries,
	    sizeof(scan->dictionaries[0]));
	if (grown == NULL)
		return true;
	scan->dictionaries = grown;
	d = iniparser_load(name);
	if (d == NULL)
		return false;
	scan->dictionaries[scan->n_dictionaries++] = d;
	return take_values(scan, d, from, *at);
}

static void
compare_all(struct conf_parser *p, int fd, const char *name)
{
	struct conf_span whole = {0};
	size_t errors = p->diags->n_errors;
	struct place at = {0};
	bool same = true;

	iniparser_set_error_callback(be_silent);
	while (same && !is_end(&p->scan, at) && !p->no_memory &&
	       p->diags->n_errors == errors)
		same = compare_piece(p, fd, name, &at);
	if (!same)
		conf_error(p, whole,
		    "internal error: the two readings of this file differ; "
		    "please report it with the file");
}

/* iniparser 4.1 takes file names only; a memfd has one under /proc. */
void
conf_ini_compare(struct conf_parser *p)
{
	struct conf_span whole = {0};
	char name[40];
	int fd;

	fd = memfd_create("nlbd.ini", MFD_CLOEXEC);
	if (fd == -1) {
		conf_error(p, whole, NO_MEMORY_FILE, strerror(errno));
		return;
	}
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (access(name, R_OK) != 0)
		conf_error(p, whole,
		    "cannot read %s: %s; nlbd needs /proc to parse its config",
		    name, strerror(errno));
	else
		compare_all(p, fd, name);
	close(fd);
}
