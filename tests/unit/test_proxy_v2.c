/*
 * nlb/proxy_v2 against headers captured from NLBs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nlb/proxy_v2.h"
#include "support/expect.h"

#define SIGNATURE \
	0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a

/* Captured: 35.153.225.202:52018 -> 10.0.36.133:443. The rest is zero. */
static const uint8_t captured_ipv4[PROXY_V2_SIZE] = {SIGNATURE, 0x21, 0x11,
    0x00, 0x54, 0x23, 0x99, 0xe1, 0xca, 0x0a, 0x00, 0x24, 0x85, 0xcb, 0x32,
    0x01, 0xbb, 0x03, 0x00, 0x04, 0xc4, 0xfb, 0x1a, 0x1b, 0x04, 0x00, 0x3e};
/* Captured: a health check. */
static const uint8_t captured_local[PROXY_V2_SIZE] = {SIGNATURE, 0x20, 0x11,
    0x00, 0x54, 0x03, 0x00, 0x04, 0xbc, 0xe5, 0x95, 0x1f, 0x04, 0x00, 0x4a};
/* Captured: a connection through an endpoint service, whose id stands between
 * CRC and NOOP. nlbd writes none; the CRC is what it proves. */
static const uint8_t captured_endpoint[PROXY_V2_SIZE] = {SIGNATURE, 0x21, 0x11,
    0x00, 0x54, 0xac, 0x1f, 0x07, 0x71, 0xac, 0x1f, 0x0a, 0x1f, 0xc8, 0xf2,
    0x00, 0x50, 0x03, 0x00, 0x04, 0xe8, 0xd6, 0x89, 0x2d, 0xea, 0x00, 0x17,
    0x01, 'v', 'p', 'c', 'e', '-', '0', '8', 'd', '2', 'b', 'f', '1', '5', 'f',
    'a', 'c', '5', '0', '0', '1', 'c', '9', 0x04, 0x00, 0x24};

static struct addr
address(const char *text)
{
	struct addr a;

	assert_i64(addr_parse(text, &a), 0);
	return a;
}

static void
encode(const char *client, const char *destination, uint8_t *out)
{
	struct addr from = address(client), to = address(destination);

	memset(out, 0xaa, PROXY_V2_SIZE);
	proxy_v2_encode(&from, &to, out);
}

/* The CRC as a receiver computes it: over a copy with the field zeroed. */
static uint32_t
crc_of_header(const uint8_t *header, size_t crc_at)
{
	uint8_t copy[PROXY_V2_SIZE];

	memcpy(copy, header, sizeof(copy));
	memset(copy + crc_at, 0, 4);
	return proxy_v2_crc32c(copy, sizeof(copy));
}

static void
crc32c_has_the_check_value_of_its_definition(void **state)
{
	(void)state;
	assert_u64(proxy_v2_crc32c("123456789", 9), 0xe3069283);
	assert_u64(proxy_v2_crc32c("", 0), 0);
}

static void
crc32c_agrees_with_all_captured_headers(void **state)
{
	(void)state;
	assert_u64(crc_of_header(captured_ipv4, 31), 0xc4fb1a1b);
	assert_u64(crc_of_header(captured_local, 19), 0xbce5951f);
	assert_u64(crc_of_header(captured_endpoint, 31), 0xe8d6892d);
}

static void
ipv4_header_equals_the_captured_one(void **state)
{
	uint8_t out[PROXY_V2_SIZE];

	(void)state;
	encode("35.153.225.202:52018", "10.0.36.133:443", out);
	assert_memory_equal(out, captured_ipv4, sizeof(out));
}

static void
local_header_equals_the_captured_one(void **state)
{
	uint8_t out[PROXY_V2_SIZE];

	(void)state;
	memset(out, 0xaa, sizeof(out));
	proxy_v2_encode_local(out);
	assert_memory_equal(out, captured_local, sizeof(out));
}

/* A CRC computed elsewhere, with another implementation of CRC-32C. */
static void
ipv6_header_has_the_same_size_and_its_own_family(void **state)
{
	static const uint8_t expected[PROXY_V2_SIZE] = {SIGNATURE, 0x21, 0x21,
	    0x00, 0x54, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0x10, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01,
	    0xcb, 0x32, 0x02, 0x4b, 0x03, 0x00, 0x04, 0x9b, 0x99, 0xb5, 0xdf,
	    0x04, 0x00, 0x26};
	uint8_t out[PROXY_V2_SIZE];

	(void)state;
	encode("[2001:db8::10]:52018", "[2001:db8::1]:587", out);
	assert_memory_equal(out, expected, sizeof(out));
}

static void
two_families_meet_in_an_ipv6_header(void **state)
{
	static const uint8_t mapped[] = {
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 10};
	uint8_t out[PROXY_V2_SIZE];

	(void)state;
	encode("192.0.2.10:1", "[2001:db8::1]:587", out);
	assert_u64(out[13], 0x21);
	assert_memory_equal(out + 16, mapped, sizeof(mapped));
	assert_u64(out[32], 0x20); /* the destination as it is */
}

int
main(void)
{
	const struct CMUnitTest proxy_v2[] = {
	    cmocka_unit_test(crc32c_has_the_check_value_of_its_definition),
	    cmocka_unit_test(crc32c_agrees_with_all_captured_headers),
	    cmocka_unit_test(ipv4_header_equals_the_captured_one),
	    cmocka_unit_test(local_header_equals_the_captured_one),
	    cmocka_unit_test(ipv6_header_has_the_same_size_and_its_own_family),
	    cmocka_unit_test(two_families_meet_in_an_ipv6_header),
	};

	return cmocka_run_group_tests(proxy_v2, NULL, NULL);
}
