/*
 * iniparser reads the same bytes as the scanner, and the values that count are
 * the ones it found. A difference between the two readings would mean that one
 * of them misunderstands the file: that is reported, never guessed at.
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

/* iniparser 4.1 takes file names only; a memfd has one under /proc. */
static dictionary *
load(struct conf_parser *p)
{
	struct conf_span whole = {0};
	dictionary *loaded = NULL;
	char name[40];
	int fd;

	iniparser_set_error_callback(be_silent);
	fd = memfd_create("nlbd.ini", MFD_CLOEXEC);
	if (fd == -1 || write_whole(fd, p->bytes, p->len) != 0) {
		conf_error(p, whole, "no memory file for the parser: %s",
		    strerror(errno));
	} else {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		if (access(name, R_OK) != 0)
			conf_error(p, whole,
			    "cannot read %s: %s; nlbd needs "
			    "/proc to parse its config",
			    name, strerror(errno));
		else
			loaded = iniparser_load(name);
	}
	if (fd != -1)
		close(fd);
	return loaded;
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
take_values(struct conf_scan *scan, const dictionary *d)
{
	size_t at = 0, n = (size_t)d->n;

	for (size_t i = 0; i < scan->n_sections; i++) {
		const struct conf_section *section = &scan->sections[i];

		if (at >= n || !same_lowered(d->key[at++], section->header))
			return false;
		for (size_t j = 0; j < section->n; j++, at++) {
			struct conf_entry *e =
			    &scan->entries[section->first + j];

			if (at >= n || d->val[at] == NULL ||
			    !same_key(d->key[at], section->header, e->key) ||
			    !conf_span_is(e->value, d->val[at]))
				return false;
			e->value.text = d->val[at];
		}
	}
	return at == n;
}

void
conf_ini_compare(struct conf_parser *p)
{
	struct conf_span whole = {0};
	size_t errors = p->diags->n_errors;

	p->scan.dictionary = load(p);
	if (p->diags->n_errors != errors)
		return;
	if (p->scan.dictionary == NULL ||
	    !take_values(&p->scan, p->scan.dictionary))
		conf_error(p, whole,
		    "internal error: the two readings of this file differ; "
		    "please report it with the file");
}
