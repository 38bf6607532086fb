/*
 * Reproducible bytes for streams of any length: both ends compute them, so
 * that every byte is compared without being stored.  The period is a prime:
 * a stream that is shifted by a byte, a page or a pipe's length differs.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>

#define PATTERN_PERIOD 65521

/* Once, before any other function here and before threads. */
void pattern_init(void);

/*
 * The bytes of stream `seed` from offset on: PATTERN_PERIOD of them lie there
 * in one piece, and for ever.
 */
const char *pattern_at(uint64_t seed, uint64_t offset);

/*
 * How many of the bytes are what the stream has from offset on; len when all
 * are.
 */
size_t pattern_match(
    uint64_t seed, uint64_t offset, const char *data, size_t len);

#endif
