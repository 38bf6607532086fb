/*
 * SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", with
 * one compression and three finalisation rounds).
 */
#include "base/hash.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotl(uint64_t x, unsigned n)
{
	return (x << n) | (x >> (64 - n));
}

static inline void
sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

static inline void
sip_word(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	s->v0 ^= m;
}

uint64_t
hash_bytes(const struct hash_key *key, const void *data, size_t size)
{
	struct sip s = {
	    .v0 = key->k0 ^ 0x736f6d6570736575u,
	    .v1 = key->k1 ^ 0x646f72616e646f6du,
	    .v2 = key->k0 ^ 0x6c7967656e657261u,
	    .v3 = key->k1 ^ 0x7465646279746573u,
	};
	const uint8_t *p = data;
	size_t left = size;
	uint64_t m;

	for (; left >= 8; left -= 8, p += 8) {
		memcpy(&m, p, 8);
		sip_word(&s, le64toh(m));
	}
	m = (uint64_t)(size & 0xff) << 56;
	for (size_t i = 0; i < left; i++)
		m |= (uint64_t)p[i] << (8 * i);
	sip_word(&s, m);

	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

struct hash_key
hash_key_from_name(const char *name)
{
	/* Not secret, only different: two values from one name. */
	static const struct hash_key first = {.k0 = 0, .k1 = 0};
	static const struct hash_key second = {.k0 = 1, .k1 = 0};
	size_t len = strlen(name);

	return (struct hash_key){
	    .k0 = hash_bytes(&first, name, len),
	    .k1 = hash_bytes(&second, name, len),
	};
}

int
hash_key_random(struct hash_key *out)
{
	struct hash_key key;
	ssize_t n;

	/* Up to 256 bytes come whole, or the call was interrupted early. */
	do {
		n = getrandom(&key, sizeof(key), 0);
	} while (n == -1 && errno == EINTR);
	if (n != (ssize_t)sizeof(key))
		return n == -1 ? -errno : -EIO;
	*out = key;
	return 0;
}

uint64_t
hash_mix(uint64_t h)
{
	/* The increment keeps 0 from being a fixed point. */
	h += 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
	return h ^ (h >> 31);
}
