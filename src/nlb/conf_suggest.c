/*
 * "did you mean": the nearest known word to what somebody typed.
 */
#include "nlb/conf_internal.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#define WORD_MAX 80 /* the longest key has 75 characters */

static char
lower(char c)
{
	return (char)tolower((unsigned char)c);
}

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Edits from one to the other, a swap of neighbours counting as one
 * (optimal string alignment), letters without case. */
static size_t
edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1];

	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3];
		const size_t *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			bool same = lower(a[i - 1]) == lower(b[j - 1]);

			row[j] = min3(
			    above[j] + 1, row[j - 1] + 1, above[j - 1] + !same);
			if (i > 1 && j > 1 &&
			    lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]) &&
			    above2[j - 2] + 1 < row[j])
				row[j] = above2[j - 2] + 1;
		}
	}
	return rows[a_len % 3][b_len];
}

/* Half of a long key is a good guess too. */
static bool
is_part_of(struct conf_span got, const char *candidate, size_t len)
{
	return got.len >= 4 && got.len < len &&
	       (strncasecmp(got.text, candidate, got.len) == 0 ||
		   strncasecmp(got.text, candidate + len - got.len, got.len) ==
		       0);
}

struct conf_suggestion
conf_suggestion_start(const struct conf_parser *p, struct conf_span got)
{
	struct conf_suggestion s = {.got = got};

	/* Far more mistakes than are shown: guessing only costs time. */
	if (p->diags->n_errors > 2 * CONF_DIAGS_MAX)
		s.got.len = 0;
	return s;
}

void
conf_suggestion_try(struct conf_suggestion *s, const char *candidate)
{
	size_t len = strlen(candidate), shorter, distance;

	if (len == 0 || len > WORD_MAX || s->got.len == 0 ||
	    s->got.len > WORD_MAX)
		return;
	shorter = len < s->got.len ? len : s->got.len;
	/* In half edits, so that a part of a word loses against one edit. */
	if (is_part_of(s->got, candidate, len))
		distance = 3;
	else if ((len + s->got.len - 2 * shorter) * 3 > shorter + 1)
		return; /* the lengths alone say no */
	else
		distance =
		    2 * edit_distance(s->got.text, s->got.len, candidate, len);
	if (distance * 3 > 2 * (shorter + 1))
		return;
	if (s->best == NULL || distance < s->distance) {
		s->best = candidate;
		s->distance = distance;
	}
}

void
conf_suggestion_hint(const struct conf_suggestion *s, struct conf_diag *diag)
{
	if (s->best != NULL)
		conf_hint(diag, "did you mean `%s'?", s->best);
}
