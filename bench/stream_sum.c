/*
 * Stream checksum: see stream_sum.h.
 */
#include "stream_sum.h"

#include "base/hash.h"

void
stream_sum_add(struct stream_sum *s, const void *data, size_t len)
{
	const uint8_t *byte = data;
	uint64_t plain = s->plain;
	uint64_t weighted = s->weighted;

	s->bytes += len;
	for (size_t i = 0; i < len; i++) {
		plain += byte[i];
		weighted += plain;
	}
	s->plain = plain;
	s->weighted = weighted;
}

void
stream_sum_append(struct stream_sum *s, const struct stream_sum *rest)
{
	/* Each byte so far stands in the weighted sum once more for every
	 * byte that follows it. */
	s->weighted += rest->bytes * s->plain + rest->weighted;
	s->plain += rest->plain;
	s->bytes += rest->bytes;
}

uint64_t
stream_sum_value(const struct stream_sum *s)
{
	return hash_mix(s->weighted ^ hash_mix(s->plain ^ hash_mix(s->bytes)));
}
