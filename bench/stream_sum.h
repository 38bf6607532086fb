/*
 * A checksum of a byte stream that any split of it gives alike, and that a
 * lost, doubled, changed or swapped byte changes.  The sums of two pieces give
 * that of the whole, so that what thousands of sessions send alike is summed
 * once.
 */
#ifndef STREAM_SUM_H
#define STREAM_SUM_H

#include <stddef.h>
#include <stdint.h>

/* Fletcher's two sums, modulo 2^64. All zero: the sum of no bytes. */
struct stream_sum {
	uint64_t bytes;
	uint64_t plain;
	uint64_t weighted;
};

void stream_sum_add(struct stream_sum *s, const void *data, size_t len);

/* As if the bytes that made rest had been added. */
void stream_sum_append(struct stream_sum *s, const struct stream_sum *rest);

/* One number out of it all. */
uint64_t stream_sum_value(const struct stream_sum *s);

#endif
