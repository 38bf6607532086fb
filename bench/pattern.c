/*
 * Stream pattern: see pattern.h.
 */
#include "pattern.h"

#include <string.h>

#include "base/hash.h"

/* Apart from one another for neighbouring seeds; any odd number would do. */
#define SEED_STRIDE 40503

/* Twice, so that a whole period starts at any place in the first half. */
static char table[2 * PATTERN_PERIOD];

void
pattern_init(void)
{
	for (size_t i = 0; i < PATTERN_PERIOD; i++)
		table[i] = (char)hash_mix(i + 1);
	memcpy(table + PATTERN_PERIOD, table, PATTERN_PERIOD);
}

const char *
pattern_at(uint64_t seed, uint64_t offset)
{
	uint64_t start = seed % PATTERN_PERIOD * SEED_STRIDE;

	return table + (start + offset % PATTERN_PERIOD) % PATTERN_PERIOD;
}

static size_t
first_difference(const char *a, const char *b, size_t len)
{
	size_t i = 0;

	while (i < len && a[i] == b[i])
		i++;
	return i;
}

size_t
pattern_match(uint64_t seed, uint64_t offset, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		const char *want = pattern_at(seed, offset + done);
		size_t part = len - done;

		if (part > PATTERN_PERIOD)
			part = PATTERN_PERIOD;
		if (memcmp(data + done, want, part) != 0)
			return done + first_difference(data + done, want, part);
		done += part;
	}
	return len;
}
