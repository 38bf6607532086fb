/* The choice among weighted target groups; see forward.h. */
#include "nlb/forward.h"

#include "base/hash.h"

/* Any odd number: makes the bits used here others than those routing uses. */
#define FORWARD_SALT UINT64_C(0x9ddfea08eb382d69)

int
forward_pick(
    const uint32_t *weights, size_t n, uint32_t excluded, uint64_t hash)
{
	uint64_t sum = 0;
	uint64_t point;

	for (size_t i = 0; i < n; i++) {
		if ((excluded & 1u << i) == 0)
			sum += weights[i];
	}
	if (sum == 0)
		return FORWARD_NONE;
	/* 32 bits times a sum of at most 4,995: no bias worth a name. */
	point = (hash_mix(hash ^ FORWARD_SALT) >> 32) * sum >> 32;
	for (size_t i = 0; i < n; i++) {
		if ((excluded & 1u << i) != 0)
			continue;
		if (point < weights[i])
			return (int)i;
		point -= weights[i];
	}
	return FORWARD_NONE;
}
