/*
 * The keyed hash against the reference algorithm. The reference below is
 * written from the paper with its rounds as parameters, is itself checked
 * against the paper's SipHash-2-4 vectors, and then stands for 1-3.
 */
#include "support/expect.h"

#include "base/hash.h"

#define ROTL(x, n) (((x) << (n)) | ((x) >> (64 - (n))))

static void
reference_rounds(uint64_t v[4], int n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[1] = ROTL(v[1], 13);
		v[1] ^= v[0];
		v[0] = ROTL(v[0], 32);
		v[2] += v[3];
		v[3] = ROTL(v[3], 16);
		v[3] ^= v[2];
		v[0] += v[3];
		v[3] = ROTL(v[3], 21);
		v[3] ^= v[0];
		v[2] += v[1];
		v[1] = ROTL(v[1], 17);
		v[1] ^= v[2];
		v[2] = ROTL(v[2], 32);
	}
}

/* Takes the message byte by byte, with the length byte appended. */
static uint64_t
reference_siphash(
    int c, int d, struct hash_key key, const uint8_t *data, size_t size)
{
	uint64_t v[4] = {key.k0 ^ 0x736f6d6570736575,
	    key.k1 ^ 0x646f72616e646f6d, key.k0 ^ 0x6c7967656e657261,
	    key.k1 ^ 0x7465646279746573};
	size_t words = size / 8 + 1;

	for (size_t w = 0; w < words; w++) {
		uint64_t m = 0;

		for (size_t i = 0; i < 8; i++) {
			size_t at = w * 8 + i;
			uint8_t byte = at < size ? data[at] : 0;

			if (at == words * 8 - 1)
				byte = (uint8_t)size;
			m |= (uint64_t)byte << (8 * i);
		}
		v[3] ^= m;
		reference_rounds(v, c);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	reference_rounds(v, d);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static const struct hash_key paper_key = {
    0x0706050403020100, 0x0f0e0d0c0b0a0908};

static void
fill_counting(uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)i;
}

static void
reference_gives_the_papers_siphash_2_4_vectors(void **state)
{
	uint8_t data[64];

	(void)state;
	fill_counting(data, sizeof(data));
	/* vectors.h of the reference code: lengths 0, 1, 8, 63; the paper's
	 * appendix A: length 15. */
	assert_u64(reference_siphash(2, 4, paper_key, data, 0),
	    UINT64_C(0x726fdb47dd0e0e31));
	assert_u64(reference_siphash(2, 4, paper_key, data, 1),
	    UINT64_C(0x74f839c593dc67fd));
	assert_u64(reference_siphash(2, 4, paper_key, data, 8),
	    UINT64_C(0x93f5f5799a932462));
	assert_u64(reference_siphash(2, 4, paper_key, data, 15),
	    UINT64_C(0xa129ca6149be45e5));
	assert_u64(reference_siphash(2, 4, paper_key, data, 63),
	    UINT64_C(0x958a324ceb064572));
}

static void
hash_is_siphash_1_3_for_every_length(void **state)
{
	uint8_t data[300];

	(void)state;
	fill_counting(data, sizeof(data));
	for (size_t n = 0; n <= sizeof(data); n++)
		assert_u64(hash_bytes(&paper_key, data, n),
		    reference_siphash(1, 3, paper_key, data, n));
}

/* CPython 3.11 hashes bytes with SipHash-1-3; PYTHONHASHSEED=0 is key 0. */
static void
hash_agrees_with_cpython(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} vectors[] = {
	    {1, 0x68a914128e01e473},
	    {7, 0x2f098ab0c751325a},
	    {8, 0xead411e67ebe2eea},
	    {15, 0xf30eb725bb91c9ea},
	    {16, 0x8972188433a5c5b7},
	    {63, 0x385d3e39e5f37359},
	};
	static const struct hash_key zero = {0, 0};
	uint8_t data[64];

	(void)state;
	fill_counting(data, sizeof(data));
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_u64(
		    hash_bytes(&zero, data, vectors[i].len), vectors[i].hash);
}

static void
hash_does_not_depend_on_alignment(void **state)
{
	uint8_t data[72];
	uint8_t shifted[80];

	(void)state;
	fill_counting(data, sizeof(data));
	for (size_t shift = 1; shift < 8; shift++) {
		memcpy(shifted + shift, data, sizeof(data));
		assert_u64(hash_bytes(&paper_key, shifted + shift, 71),
		    hash_bytes(&paper_key, data, 71));
	}
}

static void
key_from_name_is_the_same_everywhere(void **state)
{
	struct hash_key a = hash_key_from_name("internal-smtp");
	struct hash_key b = hash_key_from_name("internal-smtq");
	static const struct hash_key zero = {0, 0};
	static const struct hash_key one = {1, 0};
	const char *name = "internal-smtp";

	(void)state;
	/* Nodes of different versions must agree: the derivation is fixed. */
	assert_u64(a.k0,
	    reference_siphash(1, 3, zero, (const uint8_t *)name, strlen(name)));
	assert_u64(a.k1,
	    reference_siphash(1, 3, one, (const uint8_t *)name, strlen(name)));
	assert_true(a.k0 != a.k1);
	assert_true(a.k0 != b.k0);
	assert_true(a.k1 != b.k1);
}

static void
random_keys_differ(void **state)
{
	struct hash_key a = {0, 0};
	struct hash_key b = {0, 0};

	(void)state;
	assert_errno(hash_key_random(&a), 0);
	assert_errno(hash_key_random(&b), 0);
	assert_true(a.k0 != b.k0);
	assert_true(a.k1 != b.k1);
	assert_true(a.k0 != a.k1);
}

static void
mix_is_splitmix64_without_fixed_point_at_zero(void **state)
{
	(void)state;
	/* The first outputs of splitmix64.c for the seeds 0 and 1234567. */
	assert_u64(hash_mix(0), UINT64_C(0xe220a8397b1dcdaf));
	assert_u64(hash_mix(1234567), UINT64_C(6457827717110365317));
}

static void
flipping_one_bit_flips_half_of_the_hash(void **state)
{
	uint8_t data[37] = {0};
	uint64_t before = hash_bytes(&paper_key, data, sizeof(data));
	unsigned flipped = 0;

	(void)state;
	for (unsigned bit = 0; bit < sizeof(data) * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		flipped += (unsigned)__builtin_popcountll(
		    before ^ hash_bytes(&paper_key, data, sizeof(data)));
		data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	/* 296 hashes of 64 bits: 9,472 expected, standard deviation 69. */
	assert_u64_between(flipped, 9472 - 7 * 69, 9472 + 7 * 69);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reference_gives_the_papers_siphash_2_4_vectors),
	    cmocka_unit_test(hash_is_siphash_1_3_for_every_length),
	    cmocka_unit_test(hash_agrees_with_cpython),
	    cmocka_unit_test(hash_does_not_depend_on_alignment),
	    cmocka_unit_test(key_from_name_is_the_same_everywhere),
	    cmocka_unit_test(random_keys_differ),
	    cmocka_unit_test(mix_is_splitmix64_without_fixed_point_at_zero),
	    cmocka_unit_test(flipping_one_bit_flips_half_of_the_hash),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
