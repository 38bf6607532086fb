/*
 * Keyed hashing (SipHash-1-3): what an outsider can choose (addresses, ports)
 * never decides alone where it lands.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k0, k1;
};

/* SipHash-1-3 of size bytes. Same key and bytes, same value on any machine. */
uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t size);

/* A key that is the same on every node: derived from a name. */
struct hash_key hash_key_from_name(const char *name);

/* A key nobody can guess, by getrandom(2). 0 or -errno. */
int hash_key_random(struct hash_key *out);

/* One more well-mixed value out of a hash (splitmix64 finaliser). */
uint64_t hash_mix(uint64_t h);

#endif
