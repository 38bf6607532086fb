/*
 * Assertions that print what they saw as a person would write it: cmocka
 * 1.1's own print integers as hex bit patterns. Argument order: what came out,
 * what was expected.
 */
#ifndef TESTS_EXPECT_H
#define TESTS_EXPECT_H

/* cmocka.h needs these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#define assert_i64(got, want) \
	expect_i64((got), (want), #got, __FILE__, __LINE__)
#define assert_u64(got, want) \
	expect_u64((got), (want), #got, __FILE__, __LINE__)
/* lo <= got <= hi */
#define assert_u64_between(got, lo, hi) \
	expect_u64_between((got), (lo), (hi), #got, __FILE__, __LINE__)
/* Either may be NULL. */
#define assert_str(got, want) \
	expect_str((got), (want), #got, __FILE__, __LINE__)
#define assert_contains(text, part) \
	expect_contains((text), (part), #text, __FILE__, __LINE__)
/* 0 or a negative errno. */
#define assert_errno(got, want) \
	expect_errno((got), (want), #got, __FILE__, __LINE__)
#define assert_bytes(got, want, size) \
	expect_bytes((got), (want), (size), #got, __FILE__, __LINE__)

static inline void
expect_i64(
    int64_t got, int64_t want, const char *what, const char *file, int line)
{
	if (got == want)
		return;
	print_error("%s: %" PRId64 ", expected %" PRId64 "\n", what, got, want);
	_fail(file, line);
}

static inline void
expect_u64(
    uint64_t got, uint64_t want, const char *what, const char *file, int line)
{
	if (got == want)
		return;
	print_error("%s: %" PRIu64 ", expected %" PRIu64 "\n", what, got, want);
	_fail(file, line);
}

static inline void
expect_u64_between(uint64_t got, uint64_t lo, uint64_t hi, const char *what,
    const char *file, int line)
{
	if (got >= lo && got <= hi)
		return;
	print_error("%s: %" PRIu64 ", expected %" PRIu64 " to %" PRIu64 "\n",
	    what, got, lo, hi);
	_fail(file, line);
}

static inline void
expect_str(const char *got, const char *want, const char *what,
    const char *file, int line)
{
	if (got == want ||
	    (got != NULL && want != NULL && strcmp(got, want) == 0))
		return;
	print_error("%s:\n  \"%s\"\nexpected\n  \"%s\"\n", what,
	    got != NULL ? got : "(null)", want != NULL ? want : "(null)");
	_fail(file, line);
}

static inline void
expect_contains(const char *text, const char *part, const char *what,
    const char *file, int line)
{
	if (text != NULL && strstr(text, part) != NULL)
		return;
	print_error("%s:\n  \"%s\"\ndoes not contain\n  \"%s\"\n", what,
	    text != NULL ? text : "(null)", part);
	_fail(file, line);
}

static inline void
expect_errno(int got, int want, const char *what, const char *file, int line)
{
	const char *got_name = strerrorname_np(-got);
	const char *want_name = strerrorname_np(-want);

	if (got == want)
		return;
	print_error("%s: %d (%s), expected %d (%s)\n", what, got,
	    got_name != NULL ? got_name : "?", want,
	    want_name != NULL ? want_name : "?");
	_fail(file, line);
}

static inline void
expect_bytes(const void *got, const void *want, size_t size, const char *what,
    const char *file, int line)
{
	const uint8_t *g = got;
	const uint8_t *w = want;

	for (size_t i = 0; i < size; i++) {
		if (g[i] == w[i])
			continue;
		print_error("%s: byte %zu of %zu is 0x%02x, expected 0x%02x\n",
		    what, i, size, (unsigned)g[i], (unsigned)w[i]);
		_fail(file, line);
	}
}

#endif
