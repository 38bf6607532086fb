/* Addresses and CIDR blocks: what is taken, what is refused, what is equal. */
#include "support/expect.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/addr.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct addr
ip(const char *text)
{
	struct addr a;

	if (addr_parse_ip(text, &a) != 0)
		fail_msg("cannot parse %s", text);
	return a;
}

/* Fails unless parsing refused and left the canary alone. */
static void
expect_refused(int r, const struct addr *out, const char *text)
{
	struct addr canary;

	memset(&canary, 0x5a, sizeof(canary));
	if (r != -EINVAL || memcmp(out, &canary, sizeof(canary)) != 0)
		fail_msg("\"%s\": r = %d, out touched or taken", text, r);
}

static void
ip_text_is_taken_and_written_canonically(void **state)
{
	static const struct {
		const char *text, *canonical;
		int family;
	} rows[] = {
	    {"0.0.0.0", "0.0.0.0", ADDR_IPV4},
	    {"10.0.0.1", "10.0.0.1", ADDR_IPV4},
	    {"255.255.255.255", "255.255.255.255", ADDR_IPV4},
	    {"::", "::", ADDR_IPV6},
	    {"::1", "::1", ADDR_IPV6},
	    {"2001:DB8:0:0::1", "2001:db8::1", ADDR_IPV6},
	    {"fd00:0001:2:3:4:5:6:7", "fd00:1:2:3:4:5:6:7", ADDR_IPV6},
	    {"64:ff9b::192.0.2.1", "64:ff9b::c000:201", ADDR_IPV6},
	    {"::ffff:10.0.0.1", "10.0.0.1", ADDR_IPV4},
	    {"::FFFF:0a00:0001", "10.0.0.1", ADDR_IPV4},
	    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_IPV6},
	};
	char buf[ADDR_IP_STRLEN];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct addr a;

		memset(&a, 0x5a, sizeof(a));
		assert_errno(addr_parse_ip(rows[i].text, &a), 0);
		assert_i64(a.family, rows[i].family);
		assert_i64(a.port, 0);
		assert_i64(a.pad, 0);
		assert_str(
		    addr_format_ip(&a, buf, sizeof(buf)), rows[i].canonical);
	}
}

static void
mapped_address_is_the_same_bytes_as_ipv4(void **state)
{
	struct addr mapped = ip("::ffff:192.0.2.7");
	struct addr plain = ip("192.0.2.7");

	(void)state;
	assert_bytes(&mapped, &plain, sizeof(plain));
}

static void
ip_text_that_can_be_read_two_ways_is_refused(void **state)
{
	static const char *const texts[] = {"", " ", "10", "1.2.3", "1.2.3.",
	    ".1.2.3", "1..2.3", "1.2.3.4.5", "1.2.3.4.", "010.0.0.1",
	    "10.00.0.1", "10.0.0.01", "256.0.0.1", "1.2.3.256", "1.2.3.4 ",
	    " 1.2.3.4", "1.2.3.4\n", "1.2.3.-4", "+1.2.3.4", "0x7f.0.0.1",
	    "1.2.3.4/32", "1.2.3.4:587", "1.2.3.99999999999", "a.b.c.d",
	    "localhost", "[::1]", "::1 ", " ::1", "fe80::1%eth0", "fe80::1%2",
	    ":", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7",
	    "1:2:3:4:5:6:7:8:9", "::ffff:010.0.0.1", "::ffff:1.2.3", "::g",
	    "::1/128"};

	(void)state;
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct addr a;

		memset(&a, 0x5a, sizeof(a));
		expect_refused(addr_parse_ip(texts[i], &a), &a, texts[i]);
	}
}

static void
address_with_port_is_taken_and_written(void **state)
{
	static const struct {
		const char *text, *canonical;
		unsigned port;
	} rows[] = {
	    {"10.0.0.1:587", "10.0.0.1:587", 587},
	    {"10.0.0.1:1", "10.0.0.1:1", 1},
	    {"[fd00::1]:65535", "[fd00::1]:65535", 65535},
	    {"[::ffff:10.0.0.1]:25", "10.0.0.1:25", 25},
	    {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:10000",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:10000", 10000},
	};
	char buf[ADDR_STRLEN];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct addr a;

		assert_errno(addr_parse(rows[i].text, &a), 0);
		assert_u64(a.port, rows[i].port);
		assert_str(
		    addr_format(&a, buf, sizeof(buf)), rows[i].canonical);
	}
}

static void
address_with_port_is_refused_when_doubtful(void **state)
{
	static const char *const texts[] = {"", ":", "10.0.0.1",
	    "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:0587", "10.0.0.1:587x",
	    "10.0.0.1: 587", "10.0.0.1:65536", "10.0.0.1:4294967883",
	    "10.0.0.1:-1", "10.0.0.1:587:1", ":587", "[]:587", "[::1]",
	    "[::1]587", "[::1]:", "[::1:587", "::1:587", "::1]:587",
	    "[10.0.0.1]:587", "[fe80::1%eth0]:587", "localhost:587",
	    "[00000000000000000000000000000000000000000000000000::]:1"};

	(void)state;
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct addr a;

		memset(&a, 0x5a, sizeof(a));
		expect_refused(addr_parse(texts[i], &a), &a, texts[i]);
	}
}

static void
no_address_is_written_as_a_dash(void **state)
{
	struct addr none = {.port = 587};
	char buf[ADDR_STRLEN];

	(void)state;
	assert_str(addr_format(&none, buf, sizeof(buf)), "-");
	assert_str(addr_format_ip(&none, buf, sizeof(buf)), "-");
}

static void
short_buffer_is_cut_and_terminated(void **state)
{
	struct addr a = ip("192.0.2.100");
	struct cidr c = {.base = a, .prefix_len = 32};
	char buf[8];

	(void)state;
	a.port = 587;
	memset(buf, 'x', sizeof(buf));
	assert_str(addr_format_ip(&a, buf, 6), "192.0");
	assert_str(addr_format(&a, buf, 6), "192.0");
	assert_str(cidr_format(&c, buf, 6), "192.0");
	assert_i64(buf[6], 'x');
}

static void
sockaddr_round_trip_keeps_address_and_port(void **state)
{
	static const char *const texts[] = {"10.0.0.1:587", "[fd00::1]:65535"};

	(void)state;
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct sockaddr_storage ss;
		struct addr a;
		struct addr back;

		assert_errno(addr_parse(texts[i], &a), 0);
		memset(&ss, 0x5a, sizeof(ss));
		assert_u64(addr_to_sockaddr(&a, &ss),
		    i == 0 ? sizeof(struct sockaddr_in)
			   : sizeof(struct sockaddr_in6));
		memset(&back, 0x5a, sizeof(back));
		addr_from_sockaddr((struct sockaddr *)&ss, &back);
		assert_bytes(&back, &a, sizeof(a));
	}
}

static void
mapped_sockaddr_becomes_ipv4(void **state)
{
	struct sockaddr_in6 sin6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(1234)};
	struct addr want = ip("203.0.113.9");
	struct addr a;

	(void)state;
	want.port = 1234;
	(void)inet_pton(AF_INET6, "::ffff:203.0.113.9", &sin6.sin6_addr);
	addr_from_sockaddr((struct sockaddr *)&sin6, &a);
	assert_bytes(&a, &want, sizeof(a));
}

static void
foreign_sockaddr_is_no_address(void **state)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNIX};
	struct addr none = {0};
	struct addr a;

	(void)state;
	memset(&a, 0x5a, sizeof(a));
	addr_from_sockaddr((struct sockaddr *)&ss, &a);
	assert_bytes(&a, &none, sizeof(a));
	assert_u64(addr_to_sockaddr(&none, &ss), 0);
}

static void
order_is_family_then_address_then_port(void **state)
{
	static const char *const sorted[] = {"0.0.0.0:1", "9.255.0.1:9",
	    "10.0.0.1:25", "10.0.0.1:587", "10.0.1.0:1", "255.0.0.0:1",
	    "[::1]:1", "[::1]:2", "[fd00::]:1"};

	(void)state;
	for (size_t i = 0; i < LENGTH(sorted); i++) {
		for (size_t j = 0; j < LENGTH(sorted); j++) {
			struct addr a;
			struct addr b;
			int d;

			assert_errno(addr_parse(sorted[i], &a), 0);
			assert_errno(addr_parse(sorted[j], &b), 0);
			d = addr_compare(&a, &b);
			assert_i64((d > 0) - (d < 0), (i > j) - (i < j));
			assert_i64(addr_equal(&a, &b), i == j);
		}
	}
}

static void
ip_equal_ignores_the_port_and_equal_does_not(void **state)
{
	struct addr a = ip("10.0.0.1");
	struct addr b = a;

	(void)state;
	b.port = 1;
	assert_true(addr_ip_equal(&a, &b));
	assert_false(addr_equal(&a, &b));
	/* The same bytes in the other family are another address. */
	b = a;
	b.family = ADDR_IPV6;
	assert_false(addr_ip_equal(&a, &b));
}

static void
address_kinds_are_told_apart_at_their_borders(void **state)
{
	enum { UNSPEC = 1, LOOP = 2, MULTI = 4, LINK = 8, PRIV = 16 };
	static const struct {
		const char *text;
		int kinds;
	} rows[] = {
	    {"0.0.0.0", UNSPEC},
	    {"0.0.0.1", 0},
	    {"::", UNSPEC},
	    {"::1", LOOP},
	    {"::2", 0},
	    {"126.255.255.255", 0},
	    {"127.0.0.0", LOOP},
	    {"127.255.255.255", LOOP},
	    {"128.0.0.0", 0},
	    {"223.255.255.255", 0},
	    {"224.0.0.0", MULTI},
	    {"239.255.255.255", MULTI},
	    {"240.0.0.0", 0},
	    {"feff::", 0},
	    {"ff00::", MULTI},
	    {"ff02::1", MULTI},
	    {"169.253.255.255", 0},
	    {"169.254.0.0", LINK},
	    {"169.254.169.254", LINK},
	    {"169.255.0.0", 0},
	    {"fe7f::1", 0},
	    {"fe80::1", LINK},
	    {"febf::1", LINK},
	    {"fec0::1", 0},
	    {"9.255.255.255", 0},
	    {"10.0.0.0", PRIV},
	    {"10.255.255.255", PRIV},
	    {"11.0.0.0", 0},
	    {"172.15.255.255", 0},
	    {"172.16.0.0", PRIV},
	    {"172.31.255.255", PRIV},
	    {"172.32.0.0", 0},
	    {"192.167.255.255", 0},
	    {"192.168.0.0", PRIV},
	    {"192.169.0.0", 0},
	    {"100.63.255.255", 0},
	    {"100.64.0.0", PRIV},
	    {"100.127.255.255", PRIV},
	    {"100.128.0.0", 0},
	    {"fbff::", 0},
	    {"fc00::", PRIV},
	    {"fdff::1", PRIV},
	    {"fe00::", 0},
	};
	struct addr none = {0};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct addr a = ip(rows[i].text);
		int kinds = (addr_is_unspecified(&a) ? UNSPEC : 0) |
			    (addr_is_loopback(&a) ? LOOP : 0) |
			    (addr_is_multicast(&a) ? MULTI : 0) |
			    (addr_is_link_local(&a) ? LINK : 0) |
			    (addr_is_private(&a) ? PRIV : 0);

		if (kinds != rows[i].kinds)
			fail_msg("%s: kinds %d, expected %d", rows[i].text,
			    kinds, rows[i].kinds);
	}
	assert_false(addr_is_unspecified(&none));
	assert_false(addr_is_private(&none));
}

static void
cidr_is_taken_and_written_canonically(void **state)
{
	static const char *const rows[][2] = {
	    {"0.0.0.0/0", "0.0.0.0/0"},
	    {"10.0.0.0/8", "10.0.0.0/8"},
	    {"203.0.113.10/32", "203.0.113.10/32"},
	    {"192.0.2.128/25", "192.0.2.128/25"},
	    {"::/0", "::/0"},
	    {"2001:DB8::/32", "2001:db8::/32"},
	    {"fd00::1/128", "fd00::1/128"},
	    {"2001:db8:8000::/33", "2001:db8:8000::/33"},
	    {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
	    {"::ffff:10.0.0.1/128", "10.0.0.1/32"},
	    {"::ffff:0:0/96", "0.0.0.0/0"},
	};
	char buf[CIDR_STRLEN];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		enum cidr_error error = 0;
		struct cidr c;

		memset(&c, 0x5a, sizeof(c));
		assert_errno(cidr_parse(rows[i][0], &c, &error), 0);
		assert_i64(error, 0);
		assert_i64(c.base.port, 0);
		assert_str(cidr_format(&c, buf, sizeof(buf)), rows[i][1]);
	}
}

static void
cidr_mistakes_are_named(void **state)
{
	static const struct {
		const char *text;
		enum cidr_error error;
	} rows[] = {
	    {"", CIDR_BAD_ADDRESS},
	    {"/8", CIDR_BAD_ADDRESS},
	    {"010.0.0.0/8", CIDR_BAD_ADDRESS},
	    {"10.0.0/8", CIDR_BAD_ADDRESS},
	    {" 10.0.0.0/8", CIDR_BAD_ADDRESS},
	    {"fe80::%eth0/64", CIDR_BAD_ADDRESS},
	    {"any", CIDR_BAD_ADDRESS},
	    {"0000000000000000000000000000000000000000000000000/8",
		CIDR_BAD_ADDRESS},
	    {"10.0.0.0", CIDR_BAD_PREFIX},
	    {"10.0.0.0/", CIDR_BAD_PREFIX},
	    {"10.0.0.0/33", CIDR_BAD_PREFIX},
	    {"10.0.0.0/08", CIDR_BAD_PREFIX},
	    {"10.0.0.0/8 ", CIDR_BAD_PREFIX},
	    {"10.0.0.0/-8", CIDR_BAD_PREFIX},
	    {"10.0.0.0/8/8", CIDR_BAD_PREFIX},
	    {"10.0.0.0/255.0.0.0", CIDR_BAD_PREFIX},
	    {"10.0.0.0/4294967304", CIDR_BAD_PREFIX},
	    {"::/129", CIDR_BAD_PREFIX},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		enum cidr_error error = 0;
		struct cidr c;

		memset(&c, 0x5a, sizeof(c));
		expect_refused(cidr_parse(rows[i].text, &c, &error), &c.base,
		    rows[i].text);
		if (error != rows[i].error)
			fail_msg("%s: error %d, expected %d", rows[i].text,
			    (int)error, (int)rows[i].error);
		expect_refused(
		    cidr_parse(rows[i].text, &c, NULL), &c.base, rows[i].text);
	}
}

static void
host_bits_are_refused_with_the_block_meant(void **state)
{
	static const char *const rows[][2] = {
	    {"10.0.0.1/8", "10.0.0.0/8"},
	    {"10.1.2.3/31", "10.1.2.2/31"},
	    {"1.2.3.4/0", "0.0.0.0/0"},
	    {"192.0.2.200/25", "192.0.2.128/25"},
	    {"2001:db8::1/64", "2001:db8::/64"},
	    {"fd00::1/127", "fd00::/127"},
	    {"::ffff:10.0.0.1/104", "10.0.0.0/8"},
	    /* Shorter than /96 it cannot be an IPv4 block. */
	    {"::ffff:10.0.0.0/90", "::ffc0:0:0/90"},
	};
	char buf[CIDR_STRLEN];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		enum cidr_error error = 0;
		struct cidr c;

		assert_errno(cidr_parse(rows[i][0], &c, &error), -EINVAL);
		assert_i64(error, CIDR_HOST_BITS);
		assert_str(cidr_format(&c, buf, sizeof(buf)), rows[i][1]);
	}
}

static void
cidr_contains_its_first_and_last_address_only(void **state)
{
	static const struct {
		const char *cidr, *inside[2], *outside[2];
	} rows[] = {
	    {"10.0.0.0/8", {"10.0.0.0", "10.255.255.255"},
		{"9.255.255.255", "11.0.0.0"}},
	    {"192.0.2.128/25", {"192.0.2.128", "192.0.2.255"},
		{"192.0.2.127", "192.0.3.0"}},
	    {"192.0.2.6/31", {"192.0.2.6", "192.0.2.7"},
		{"192.0.2.5", "192.0.2.8"}},
	    {"192.0.2.6/32", {"192.0.2.6", "::ffff:192.0.2.6"},
		{"192.0.2.5", "192.0.2.7"}},
	    {"0.0.0.0/0", {"0.0.0.0", "255.255.255.255"}, {"::", "::1"}},
	    {"::/0", {"::", "ffff::"}, {"0.0.0.0", "::ffff:1.2.3.4"}},
	    {"2001:db8::/33",
		{"2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
		{"2001:db8:8000::", "2001:db7:ffff::"}},
	    {"fd00::1/128", {"fd00::1", "fd00:0::1"}, {"fd00::", "fd00::2"}},
	};
	struct addr none = {0};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct cidr c;

		assert_errno(cidr_parse(rows[i].cidr, &c, NULL), 0);
		for (size_t k = 0; k < 2; k++) {
			struct addr in = ip(rows[i].inside[k]);
			struct addr out = ip(rows[i].outside[k]);

			if (!cidr_contains(&c, &in))
				fail_msg("%s lacks %s", rows[i].cidr,
				    rows[i].inside[k]);
			if (cidr_contains(&c, &out))
				fail_msg("%s has %s", rows[i].cidr,
				    rows[i].outside[k]);
		}
		assert_false(cidr_contains(&c, &none));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ip_text_is_taken_and_written_canonically),
	    cmocka_unit_test(mapped_address_is_the_same_bytes_as_ipv4),
	    cmocka_unit_test(ip_text_that_can_be_read_two_ways_is_refused),
	    cmocka_unit_test(address_with_port_is_taken_and_written),
	    cmocka_unit_test(address_with_port_is_refused_when_doubtful),
	    cmocka_unit_test(no_address_is_written_as_a_dash),
	    cmocka_unit_test(short_buffer_is_cut_and_terminated),
	    cmocka_unit_test(sockaddr_round_trip_keeps_address_and_port),
	    cmocka_unit_test(mapped_sockaddr_becomes_ipv4),
	    cmocka_unit_test(foreign_sockaddr_is_no_address),
	    cmocka_unit_test(order_is_family_then_address_then_port),
	    cmocka_unit_test(ip_equal_ignores_the_port_and_equal_does_not),
	    cmocka_unit_test(address_kinds_are_told_apart_at_their_borders),
	    cmocka_unit_test(cidr_is_taken_and_written_canonically),
	    cmocka_unit_test(cidr_mistakes_are_named),
	    cmocka_unit_test(host_bits_are_refused_with_the_block_meant),
	    cmocka_unit_test(cidr_contains_its_first_and_last_address_only),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
