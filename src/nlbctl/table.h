/*
 * Output for people: aligned columns, wrapped sentences, colours on a
 * terminal. Every text is escaped on its way out: nothing that a daemon says
 * can steer the terminal.
 */
#ifndef NLBCTL_TABLE_H
#define NLBCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct output {
	FILE *file;
	bool colour;
};

enum style {
	STYLE_PLAIN,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_BAD,
	STYLE_DIM,
	STYLE_BOLD,
};

/* Writes escaped text in a style. */
void output_styled(const struct output *out, enum style style, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
/* Writes text wrapped at 78 columns: first before the first line, as many
 * blanks before the others. */
void output_wrapped(
    const struct output *out, const char *first, const char *text);
/* Writes text of several lines: line breaks and tabs stay, the rest is
 * escaped. Ends with a newline. */
void output_lines(FILE *file, const char *text);

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table_column {
	const char *title;
	enum table_align align;
};

struct table;

/* columns must outlive the table. NULL = out of memory; all other functions
 * take that NULL, so table_print's return value tells in the end. */
struct table *table_create(const struct table_column *columns, size_t n);
void table_destroy(struct table *table);
/* The next cell of the current row; a row is full after n cells. */
void table_cell(struct table *table, enum style style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Title row and all full rows. Columns whose cells are all empty are left out.
 * 0 or -ENOMEM. */
int table_print(const struct table *table, const struct output *out);

#endif
