/* Writing PROXY protocol v2 headers; see proxy_v2.h. */
#include "nlb/proxy_v2.h"

#include <string.h>

#define FIXED_SIZE 16 /* up to and with the length */
#define TLV_HEAD_SIZE 3
#define CRC_SIZE 4

enum {
	COMMAND_LOCAL = 0x20,
	COMMAND_PROXY = 0x21,
	FAMILY_TCP4 = 0x11,
	FAMILY_TCP6 = 0x21,
	TLV_CRC32C = 0x03,
	TLV_NOOP = 0x04,
};

static const uint8_t signature[] = {
    '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

uint32_t
proxy_v2_crc32c(const void *data, size_t size)
{
	/* One header per connection: four bits at a time are quick enough,
	 * and the table fits in a cache line. */
	static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede,
	    0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4,
	    0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
	const uint8_t *p = data;
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		crc ^= p[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static uint8_t *
put_u16(uint8_t *p, size_t value)
{
	*p++ = (uint8_t)(value >> 8);
	*p++ = (uint8_t)value;
	return p;
}

static uint8_t *
put_head(uint8_t *p, uint8_t command, uint8_t family)
{
	memcpy(p, signature, sizeof(signature));
	p += sizeof(signature);
	*p++ = command;
	*p++ = family;
	return put_u16(p, PROXY_V2_SIZE - FIXED_SIZE);
}

/* The CRC and, up to the end of the header, the NOOP. */
static void
put_tlvs(uint8_t *p, uint8_t *out)
{
	uint8_t *end = out + PROXY_V2_SIZE, *crc_at;
	uint32_t crc;

	*p++ = TLV_CRC32C;
	p = put_u16(p, CRC_SIZE);
	crc_at = p;
	memset(p, 0, CRC_SIZE);
	p += CRC_SIZE;
	*p++ = TLV_NOOP;
	p = put_u16(p, (size_t)(end - p) - (TLV_HEAD_SIZE - 1));
	memset(p, 0, (size_t)(end - p));

	crc = proxy_v2_crc32c(out, PROXY_V2_SIZE);
	put_u16(put_u16(crc_at, crc >> 16), crc & 0xffff);
}

static uint8_t *
put_ip(uint8_t *p, const struct addr *a, uint8_t family)
{
	if (family == FAMILY_TCP4) {
		memcpy(p, a->ip, 4);
		return p + 4;
	}
	if (a->family == ADDR_IPV6) {
		memcpy(p, a->ip, 16);
		return p + 16;
	}
	memset(p, 0, 10);
	p[10] = p[11] = 0xff;
	memcpy(p + 12, a->ip, 4);
	return p + 16;
}

void
proxy_v2_encode(const struct addr *client, const struct addr *destination,
    uint8_t out[PROXY_V2_SIZE])
{
	uint8_t family =
	    client->family == ADDR_IPV6 || destination->family == ADDR_IPV6
		? FAMILY_TCP6
		: FAMILY_TCP4;
	uint8_t *p = put_head(out, COMMAND_PROXY, family);

	p = put_ip(p, client, family);
	p = put_ip(p, destination, family);
	p = put_u16(p, client->port);
	p = put_u16(p, destination->port);
	put_tlvs(p, out);
}

void
proxy_v2_encode_local(uint8_t out[PROXY_V2_SIZE])
{
	/* The NLB names IPv4 here, whatever the target speaks. */
	put_tlvs(put_head(out, COMMAND_LOCAL, FAMILY_TCP4), out);
}
