/*
 * Strict parsers of the scalars in nlbd.ini. Pure: a piece of text in, a value
 * or the kind of mistake out. Nothing is skipped, guessed or rounded.
 */
#ifndef NLB_CONF_VALUES_H
#define NLB_CONF_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of the file with its place, not terminated. */
struct conf_span {
	const char *text;
	size_t len;
	unsigned line, col; /* 1-based; line 0 = not from a file */
};
/* For "%.*s"; a message shows the first 64 bytes of what somebody wrote. */
#define CONF_SPAN(s) (int)((s).len < 64 ? (s).len : 64), (s).text

/* Inline: of a large file, hundreds of thousands. */
static inline struct conf_span
conf_span_sub(struct conf_span s, size_t from, size_t len)
{
	s.text += from;
	s.col += (unsigned)from;
	s.len = len;
	return s;
}

bool conf_span_is(struct conf_span s, const char *text);
/* Without blanks and tabs at both ends. */
struct conf_span conf_span_trim(struct conf_span s);
/* Cuts the part before the first separator off *rest and returns it trimmed;
 * a separator between double quotes does not count. The last part leaves
 * rest->text NULL. */
struct conf_span conf_span_split(struct conf_span *rest, char separator);
/* Copies with terminator. False when it does not fit or holds a NUL. */
bool conf_span_copy(struct conf_span s, char *buf, size_t size);

enum conf_value_error {
	CONF_VALUE_OK,
	CONF_VALUE_NOT_NUMBER,   /* anything but digits */
	CONF_VALUE_LEADING_ZERO, /* 0587 could be meant as octal */
	CONF_VALUE_RANGE,
	CONF_VALUE_TOO_FINE,  /* more than three decimals of a second */
	CONF_VALUE_BACKWARDS, /* a range N-M with N > M */
};

/* All: *out untouched on error. */
enum conf_value_error conf_value_number(
    struct conf_span s, uint32_t min, uint32_t max, uint32_t *out);
/* Seconds with at most three decimals, in ms. */
enum conf_value_error conf_value_seconds(
    struct conf_span s, uint32_t min_ms, uint32_t max_ms, uint32_t *out_ms);
/* "N" or "N-M", both of them min to max. */
enum conf_value_error conf_value_range(struct conf_span s, uint32_t min,
    uint32_t max, uint32_t *from, uint32_t *to);

/* 1 to 32 of a-z, 0-9, -, and _ where allowed. */
bool conf_value_is_name(struct conf_span s, bool underscore);

/* A full DNS name (RFC 1123): 2 or more labels of 1 to 63 letters, digits and
 * hyphens, 253 characters at most, no dot at the end. The last label has 2 or
 * more and starts with a letter, so that no badly spelt address is a name. */
bool conf_value_is_host(struct conf_span s);

/* "30", "0.2": the shortest text of ms as seconds. Returns buf. */
const char *conf_value_format_ms(uint32_t ms, char *buf, size_t size);

#endif
