/*
 * Aligned columns, wrapped sentences, colours.
 */
#include "nlbctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define CELL_MAX 1024 /* bytes of one cell, escapes included */
#define GAP 2         /* blanks between columns */
#define WRAP_COLUMN 78

struct cell {
	char *text; /* owned, escaped */
	enum style style;
};

struct table {
	const struct table_column *columns;
	size_t n_columns;
	struct cell *cells; /* owned, row after row */
	size_t n_cells, size;
	bool failed; /* out of memory */
};

static void
style_begin(const struct output *out, enum style style)
{
	static const char *const codes[] = {
	    [STYLE_GOOD] = "\033[32m",
	    [STYLE_WARN] = "\033[33m",
	    [STYLE_BAD] = "\033[1;31m",
	    [STYLE_DIM] = "\033[2m",
	    [STYLE_BOLD] = "\033[1m",
	};

	if (out->colour && style != STYLE_PLAIN)
		fputs(codes[style], out->file);
}

static void
style_end(const struct output *out, enum style style)
{
	if (out->colour && style != STYLE_PLAIN)
		fputs("\033[0m", out->file);
}

static void __attribute__((format(printf, 3, 0)))
format_escaped(char *dst, size_t size, const char *fmt, va_list ap)
{
	char text[CELL_MAX];

	vsnprintf(text, sizeof(text), fmt, ap);
	log_escape(dst, size, text, strlen(text));
}

void
output_styled(const struct output *out, enum style style, const char *fmt, ...)
{
	char escaped[CELL_MAX];
	va_list ap;

	va_start(ap, fmt);
	format_escaped(escaped, sizeof(escaped), fmt, ap);
	va_end(ap);
	style_begin(out, style);
	fputs(escaped, out->file);
	style_end(out, style);
}

void
output_wrapped(const struct output *out, const char *first, const char *text)
{
	char escaped[CELL_MAX];
	char *word, *rest = escaped;
	size_t column = strlen(first), indent = column;
	bool line_start = true;

	log_escape(escaped, sizeof(escaped), text, strlen(text));
	fputs(first, out->file);
	while ((word = strsep(&rest, " ")) != NULL) {
		if (!line_start && column + 1 + strlen(word) > WRAP_COLUMN) {
			fprintf(out->file, "\n%*s", (int)indent, "");
			column = indent;
			line_start = true;
		}
		column += (size_t)fprintf(
		    out->file, "%s%s", line_start ? "" : " ", word);
		line_start = false;
	}
	fputc('\n', out->file);
}

void
output_lines(FILE *file, const char *text)
{
	char escaped[8];
	size_t i;

	for (i = 0; text[i] != '\0'; i++) {
		/* A backslash is no danger, and doubled it would move the
		 * caret under a quoted line. */
		if (text[i] == '\n' || text[i] == '\t' || text[i] == '\\')
			fputc(text[i], file);
		else
			fputs(log_escape(escaped, sizeof(escaped), &text[i], 1),
			    file);
	}
	if (i > 0 && text[i - 1] != '\n')
		fputc('\n', file);
}

struct table *
table_create(const struct table_column *columns, size_t n)
{
	struct table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->columns = columns;
	table->n_columns = n;
	return table;
}

void
table_destroy(struct table *table)
{
	size_t i;

	if (table == NULL)
		return;
	for (i = 0; i < table->n_cells; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}

static bool
table_grow(struct table *table)
{
	size_t size = table->size == 0 ? 64 : table->size * 2;
	struct cell *cells;

	cells = reallocarray(table->cells, size, sizeof(*cells));
	if (cells == NULL)
		return false;
	table->cells = cells;
	table->size = size;
	return true;
}

void
table_cell(struct table *table, enum style style, const char *fmt, ...)
{
	char escaped[CELL_MAX];
	char *text;
	va_list ap;

	if (table == NULL || table->failed)
		return;
	va_start(ap, fmt);
	format_escaped(escaped, sizeof(escaped), fmt, ap);
	va_end(ap);
	text = strdup(escaped);
	if (text == NULL ||
	    (table->n_cells == table->size && !table_grow(table))) {
		free(text);
		table->failed = true;
		return;
	}
	table->cells[table->n_cells].text = text;
	table->cells[table->n_cells].style = style;
	table->n_cells++;
}

/* The widest text of a column; 0 when all its cells are empty. */
static size_t
column_width(const struct table *table, size_t column, size_t n_rows)
{
	size_t i, len, width = 0;

	for (i = 0; i < n_rows; i++) {
		len = strlen(table->cells[i * table->n_columns + column].text);
		if (len > width)
			width = len;
	}
	len = strlen(table->columns[column].title);
	return width > 0 && len > width ? len : width;
}

static void
print_cell(const struct output *out, const struct table_column *column,
    size_t width, enum style style, const char *text, size_t *pending)
{
	size_t len = strlen(text);
	size_t before = column->align == TABLE_RIGHT ? width - len : 0;

	/* Blanks are held back, so that no line ends with some. */
	*pending += before;
	if (len > 0) {
		fprintf(out->file, "%*s", (int)*pending, "");
		*pending = 0;
		style_begin(out, style);
		fputs(text, out->file);
		style_end(out, style);
	}
	*pending += width - len - before + GAP;
}

/* cells NULL = the title row. */
static void
print_row(const struct table *table, const struct output *out,
    const size_t *widths, const struct cell *cells)
{
	size_t i, pending = 0;

	for (i = 0; i < table->n_columns; i++) {
		if (widths[i] == 0)
			continue;
		if (cells == NULL)
			print_cell(out, &table->columns[i], widths[i],
			    STYLE_DIM, table->columns[i].title, &pending);
		else
			print_cell(out, &table->columns[i], widths[i],
			    cells[i].style, cells[i].text, &pending);
	}
	fputc('\n', out->file);
}

int
table_print(const struct table *table, const struct output *out)
{
	size_t i, n_rows, *widths;

	if (table == NULL || table->failed)
		return -ENOMEM;
	widths = calloc(table->n_columns, sizeof(*widths));
	if (widths == NULL)
		return -ENOMEM;
	n_rows = table->n_cells / table->n_columns;
	for (i = 0; i < table->n_columns; i++)
		widths[i] = column_width(table, i, n_rows);
	print_row(table, out, widths, NULL);
	for (i = 0; i < n_rows; i++)
		print_row(
		    table, out, widths, &table->cells[i * table->n_columns]);
	free(widths);
	return 0;
}
