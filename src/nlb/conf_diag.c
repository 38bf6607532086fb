/*
 * Diagnostics of a config file: collected, put into file order, capped, and
 * printed with the line, a caret and a hint. All text in them is escaped.
 */
#include "nlb/conf_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/stdlib.h>
#include <bsd/string.h>

#define MESSAGE_MAX 1024
#define EXCERPT_MAX 120   /* characters of the line that are shown */
#define EXCERPT_BEFORE 60 /* of them before the caret, in a long line */

static char *format_escaped(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0)));
static struct conf_diag *add(struct conf_diags *diags, bool warning,
    const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
static struct conf_diag *report(struct conf_parser *p, struct conf_span where,
    bool warning, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

static char *
format_escaped(const char *fmt, va_list ap)
{
	char raw[MESSAGE_MAX], escaped[MESSAGE_MAX * 4];

	vsnprintf(raw, sizeof(raw), fmt, ap);
	log_escape(escaped, sizeof(escaped), raw, strlen(raw));
	return strdup(escaped);
}

static void
diag_fini(struct conf_diag *diag)
{
	free(diag->message);
	free(diag->excerpt);
	free(diag->hint);
}

/* Lines in order; what is about the file as a whole comes last. */
static int
compare_places(const void *left, const void *right)
{
	const struct conf_diag *a = left, *b = right;

	if (a->line != b->line)
		return a->line - 1 < b->line - 1 ? -1 : 1;
	if (a->col != b->col)
		return a->col < b->col ? -1 : 1;
	return 0;
}

void
conf_diags_finish(struct conf_diags *diags)
{
	size_t errors = 0, warnings = 0, max_warnings, kept = 0;

	if (diags->n == 0)
		return;
	/* mergesort is stable: two mistakes at one place keep their order. */
	mergesort(
	    diags->list, diags->n, sizeof(diags->list[0]), compare_places);
	if (diags->n <= CONF_DIAGS_MAX)
		return;
	for (size_t i = 0; i < diags->n; i++)
		errors += !diags->list[i].warning;
	max_warnings = errors < CONF_DIAGS_MAX ? CONF_DIAGS_MAX - errors : 0;
	errors = 0;
	for (size_t i = 0; i < diags->n; i++) {
		struct conf_diag *d = &diags->list[i];

		if (d->warning ? warnings < max_warnings
			       : errors < CONF_DIAGS_MAX) {
			warnings += d->warning;
			errors += !d->warning;
			diags->list[kept++] = *d;
		} else {
			diag_fini(d);
		}
	}
	diags->n_suppressed += diags->n - kept;
	diags->n = kept;
}

static struct conf_diag *
add(struct conf_diags *diags, bool warning, const char *fmt, va_list ap)
{
	struct conf_diag *diag;

	if (warning)
		diags->n_warnings++;
	else
		diags->n_errors++;
	/* Cut only now and then: the first ones of the file are to be kept,
	 * and passes over the file report one after the other. */
	if (diags->n >= 2 * CONF_DIAGS_MAX)
		conf_diags_finish(diags);
	if (diags->list == NULL) {
		diags->list =
		    calloc(2 * CONF_DIAGS_MAX, sizeof(diags->list[0]));
		if (diags->list == NULL) {
			diags->n_suppressed++;
			return NULL;
		}
	}
	diag = &diags->list[diags->n];
	*diag = (struct conf_diag){.warning = warning};
	diag->message = format_escaped(fmt, ap);
	if (diag->message == NULL) {
		diags->n_suppressed++;
		return NULL;
	}
	diags->n++;
	return diag;
}

struct conf_diag *
conf_diags_add(struct conf_diags *diags, bool warning, const char *fmt, ...)
{
	struct conf_diag *diag;
	va_list ap;

	va_start(ap, fmt);
	diag = add(diags, warning, fmt, ap);
	va_end(ap);
	return diag;
}

/* Blanks instead of tabs, so that the caret stands under its character. */
static size_t
escape_part(char *dst, size_t size, const char *text, size_t len)
{
	char plain[EXCERPT_MAX];

	for (size_t i = 0; i < len; i++)
		plain[i] = text[i];
	for (size_t i = 0; i < len; i++) {
		if (plain[i] == '\t')
			plain[i] = ' ';
	}
	log_escape(dst, size, plain, len);
	return strlen(dst);
}

/* The part of the line around where, escaped, with the caret's column. */
static void
set_excerpt(struct conf_diag *diag, const char *line, size_t len, size_t col,
    size_t mark)
{
	char text[EXCERPT_MAX * 4 + 8];
	size_t from = 0, to, at, used = 0;

	if (len > EXCERPT_MAX && col > EXCERPT_BEFORE)
		from = col - EXCERPT_BEFORE;
	to = len - from > EXCERPT_MAX ? from + EXCERPT_MAX : len;
	if (mark > to - col)
		mark = to - col;
	if (from > 0)
		used = strlcpy(text, "...", sizeof(text));
	else
		text[0] = '\0';
	used += escape_part(
	    text + used, sizeof(text) - used, line + from, col - from);
	at = used;
	used += escape_part(text + used, sizeof(text) - used, line + col, mark);
	diag->caret = (unsigned)at + 1;
	diag->caret_len = used > at ? (unsigned)(used - at) : 1;
	used += escape_part(text + used, sizeof(text) - used, line + col + mark,
	    to - col - mark);
	if (to < len)
		strlcpy(text + used, "...", sizeof(text) - used);
	diag->excerpt = strdup(text);
}

static struct conf_diag *
report(struct conf_parser *p, struct conf_span where, bool warning,
    const char *fmt, va_list ap)
{
	struct conf_diag *diag = add(p->diags, warning, fmt, ap);
	size_t start, end;

	if (diag == NULL) {
		p->no_memory = true;
		return NULL;
	}
	if (where.line == 0 || where.line > p->scan.n_lines)
		return diag;
	diag->line = where.line;
	diag->col = where.col;
	start = p->scan.line_starts[where.line - 1];
	end = where.line < p->scan.n_lines ? p->scan.line_starts[where.line]
					   : p->len;
	while (end > start &&
	       (p->bytes[end - 1] == '\n' || p->bytes[end - 1] == '\r'))
		end--;
	if (where.col - 1 <= end - start)
		set_excerpt(diag, p->bytes + start, end - start, where.col - 1,
		    where.len);
	return diag;
}

struct conf_diag *
conf_error(struct conf_parser *p, struct conf_span where, const char *fmt, ...)
{
	struct conf_diag *diag;
	va_list ap;

	va_start(ap, fmt);
	diag = report(p, where, false, fmt, ap);
	va_end(ap);
	return diag;
}

struct conf_diag *
conf_warning(
    struct conf_parser *p, struct conf_span where, const char *fmt, ...)
{
	struct conf_diag *diag;
	va_list ap;

	va_start(ap, fmt);
	diag = report(p, where, true, fmt, ap);
	va_end(ap);
	return diag;
}

struct conf_diag *
conf_aws(struct conf_parser *p, struct conf_span where, const char *fmt, ...)
{
	struct conf_diag *diag;
	va_list ap;

	va_start(ap, fmt);
	diag = report(p, where, !p->strict_aws, fmt, ap);
	va_end(ap);
	if (p->strict_aws)
		conf_hint(diag, "an error because of --strict-aws");
	return diag;
}

void
conf_hint(struct conf_diag *diag, const char *fmt, ...)
{
	va_list ap;

	if (diag == NULL)
		return;
	va_start(ap, fmt);
	free(diag->hint);
	diag->hint = format_escaped(fmt, ap);
	va_end(ap);
}

void
conf_diags_fini(struct conf_diags *diags)
{
	for (size_t i = 0; i < diags->n; i++)
		diag_fini(&diags->list[i]);
	free(diags->list);
	*diags = (struct conf_diags){0};
}

void
conf_diags_drop_warnings(struct conf_diags *diags)
{
	size_t kept = 0;

	for (size_t i = 0; i < diags->n; i++) {
		if (diags->list[i].warning)
			diag_fini(&diags->list[i]);
		else
			diags->list[kept++] = diags->list[i];
	}
	diags->n = kept;
	diags->n_warnings = 0;
	diags->n_suppressed =
	    diags->n_errors > kept ? diags->n_errors - kept : 0;
}

static bool
has_message(const struct conf_diags *diags, const char *message)
{
	for (size_t i = 0; i < diags->n; i++) {
		if (strcmp(diags->list[i].message, message) == 0)
			return true;
	}
	return false;
}

void
conf_diags_move_new(struct conf_diags *to, struct conf_diags *from,
    const struct conf_diags *known)
{
	size_t kept = 0;

	for (size_t i = 0; i < from->n; i++) {
		struct conf_diag *d = &from->list[i], *added;

		added = has_message(known, d->message)
			    ? NULL
			    : conf_diags_add(to, d->warning, "%s", "");
		if (added == NULL) {
			from->list[kept++] = *d;
			continue;
		}
		free(added->message);
		*added = *d;
	}
	from->n = kept;
}

static void
print_excerpt(const struct conf_diag *d, FILE *out)
{
	fprintf(out, "%5u | %s\n", d->line, d->excerpt);
	if (d->caret == 0)
		return;
	fprintf(out, "      | %*s", (int)d->caret, "^");
	for (unsigned i = 1; i < d->caret_len; i++)
		fputc('~', out);
	fputc('\n', out);
}

void
conf_diags_print(const struct conf_diags *diags, const char *path, FILE *out)
{
	char name[1024];

	log_escape(name, sizeof(name), path, strlen(path));
	for (size_t i = 0; i < diags->n; i++) {
		const struct conf_diag *d = &diags->list[i];

		if (d->line != 0)
			fprintf(out, "%s:%u:%u: ", name, d->line, d->col);
		else
			fprintf(out, "%s: ", name);
		fprintf(out, "%s: %s\n", d->warning ? "warning" : "error",
		    d->message);
		if (d->excerpt != NULL)
			print_excerpt(d, out);
		if (d->hint != NULL)
			fprintf(out, "      = %s\n", d->hint);
	}
	if (diags->n_suppressed != 0)
		fprintf(
		    out, "%s: %zu more not shown\n", name, diags->n_suppressed);
}
