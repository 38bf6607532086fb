/*
 * Numbers as people read them. For tables only: JSON output stays exact.
 */
#ifndef NLBCTL_FORMAT_H
#define NLBCTL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FORMAT_STRLEN 32 /* the longest result, NUL included */

/* Each writes into buf (FORMAT_STRLEN bytes) and returns it. */
const char *format_count(uint64_t n, char *buf);   /* "1,234,567" */
const char *format_bytes(uint64_t n, char *buf);   /* "999 B", "1.2 MB" */
const char *format_seconds(uint64_t s, char *buf); /* "42s", "3m12s", "2h05m" */
const char *format_ms(double ms, char *buf);       /* "0.41 ms", "3.2 s" */

/*
 * The candidate that text was probably meant to be, or NULL when none is near
 * enough: one or two slips of the finger, or the beginning of one alone.
 */
const char *suggest(const char *text, const char *const *candidates, size_t n);

#endif
