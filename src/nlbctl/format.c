/*
 * Numbers as people read them, and "did you mean".
 */
#include "nlbctl/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SUGGEST_LEN_MAX 32

const char *
format_count(uint64_t n, char *buf)
{
	char digits[24];
	size_t i, len, used = 0;

	snprintf(digits, sizeof(digits), "%" PRIu64, n);
	len = strlen(digits);
	for (i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf[used++] = ',';
		buf[used++] = digits[i];
	}
	buf[used] = '\0';
	return buf;
}

const char *
format_bytes(uint64_t n, char *buf)
{
	static const char *const units[] = {
	    "B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)n;
	size_t unit = 0;

	/* 999.95 would print as 1000.0. */
	while (value >= 999.95 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		value /= 1000.0;
		unit++;
	}
	snprintf(buf, FORMAT_STRLEN, "%.*f %s", unit == 0 ? 0 : 1, value,
	    units[unit]);
	return buf;
}

/* Two units, the second one with two digits so that columns stay readable. */
const char *
format_seconds(uint64_t s, char *buf)
{
	if (s < 60)
		snprintf(buf, FORMAT_STRLEN, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(buf, FORMAT_STRLEN, "%" PRIu64 "m%02us", s / 60,
		    (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(buf, FORMAT_STRLEN, "%" PRIu64 "h%02um", s / 3600,
		    (unsigned)(s % 3600 / 60));
	else
		snprintf(buf, FORMAT_STRLEN, "%" PRIu64 "d%02uh", s / 86400,
		    (unsigned)(s % 86400 / 3600));
	return buf;
}

const char *
format_ms(double ms, char *buf)
{
	if (ms < 10.0)
		snprintf(buf, FORMAT_STRLEN, "%.2f ms", ms);
	else if (ms < 1000.0)
		snprintf(buf, FORMAT_STRLEN, "%.0f ms", ms);
	else
		snprintf(buf, FORMAT_STRLEN, "%.1f s", ms / 1000.0);
	return buf;
}

static size_t
smallest(size_t a, size_t b, size_t c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/* Edit distance where two swapped neighbours count as one slip. Both at most
 * SUGGEST_LEN_MAX long. */
static size_t
edit_distance(const char *a, const char *b)
{
	size_t d[SUGGEST_LEN_MAX + 1][SUGGEST_LEN_MAX + 1];
	size_t i, j, la = strlen(a), lb = strlen(b);

	for (i = 0; i <= la; i++)
		d[i][0] = i;
	for (j = 0; j <= lb; j++)
		d[0][j] = j;
	for (i = 1; i <= la; i++) {
		for (j = 1; j <= lb; j++) {
			d[i][j] = smallest(d[i - 1][j] + 1, d[i][j - 1] + 1,
			    d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[la][lb];
}

/* The one candidate that text is the beginning of. */
static const char *
suggest_prefix(const char *text, const char *const *candidates, size_t n)
{
	const char *found = NULL;
	size_t i, len = strlen(text);

	if (len == 0)
		return NULL;
	for (i = 0; i < n; i++) {
		if (strncmp(candidates[i], text, len) != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = candidates[i];
	}
	return found;
}

const char *
suggest(const char *text, const char *const *candidates, size_t n)
{
	const char *best = suggest_prefix(text, candidates, n);
	size_t i, distance, best_distance = 3, len = strlen(text);

	if (best != NULL || len > SUGGEST_LEN_MAX)
		return best;
	for (i = 0; i < n; i++) {
		if (strlen(candidates[i]) > SUGGEST_LEN_MAX)
			continue;
		distance = edit_distance(text, candidates[i]);
		/* Half of a short word may not be wrong. */
		if (distance < best_distance && distance * 2 < len) {
			best = candidates[i];
			best_distance = distance;
		}
	}
	return best;
}
