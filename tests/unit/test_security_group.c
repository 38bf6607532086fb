/* Security groups in user space: the union of rules at one port. */
#include "support/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define PORT 587

/* "from-to from-to ..." of one family of a set. */
static const char *
ranges_text(const struct sg_range *r, size_t n, enum addr_family family)
{
	static char text[512];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		struct addr from = {.family = (uint8_t)family};
		struct addr to = from;
		char a[ADDR_IP_STRLEN];
		char b[ADDR_IP_STRLEN];

		memcpy(from.ip, r[i].from, sizeof(from.ip));
		memcpy(to.ip, r[i].to, sizeof(to.ip));
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s%s-%s", i > 0 ? " " : "",
		    addr_format_ip(&from, a, sizeof(a)),
		    addr_format_ip(&to, b, sizeof(b)));
	}
	return text;
}

static void
rules_become_sorted_merged_ranges(void **state)
{
	static const struct {
		const char *rules[5];
		const char *v4, *v6;
	} rows[] = {
	    {{"10.0.0.0/8"}, "10.0.0.0-10.255.255.255", ""},
	    {{"192.0.2.7/32"}, "192.0.2.7-192.0.2.7", ""},
	    {{"192.0.2.6/31"}, "192.0.2.6-192.0.2.7", ""},
	    {{"10.2.0.0/16", "10.0.0.0/16"},
		"10.0.0.0-10.0.255.255 10.2.0.0-10.2.255.255", ""},
	    /* adjacent */
	    {{"10.0.0.128/25", "10.0.0.0/25"}, "10.0.0.0-10.0.0.255", ""},
	    {{"10.0.0.255/32", "10.0.1.0/32"}, "10.0.0.255-10.0.1.0", ""},
	    {{"9.255.255.255/32", "10.0.0.0/8"}, "9.255.255.255-10.255.255.255",
		""},
	    /* one address between them */
	    {{"10.0.0.0/32", "10.0.0.2/32"},
		"10.0.0.0-10.0.0.0 "
		"10.0.0.2-10.0.0.2",
		""},
	    /* nested, either order; the longer end wins */
	    {{"10.0.0.0/8", "10.0.0.0/24", "10.9.0.0/16"},
		"10.0.0.0-10.255.255.255", ""},
	    {{"10.0.0.0/24", "10.0.0.0/8"}, "10.0.0.0-10.255.255.255", ""},
	    {{"10.0.0.1/32", "10.0.0.1/32"}, "10.0.0.1-10.0.0.1", ""},
	    {{"0.0.0.0/0", "10.0.0.0/8", "255.255.255.255/32"},
		"0.0.0.0-255.255.255.255", ""},
	    {{"128.0.0.0/1", "0.0.0.0/1"}, "0.0.0.0-255.255.255.255", ""},
	    {{"::/0", "fd00::/8"}, "",
		"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	    {{"fd00::/8", "10.0.0.0/8", "fd00::/9"}, "10.0.0.0-10.255.255.255",
		"fd00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	    {{"2001:db8:0:1::/64", "2001:db8::/64"}, "",
		"2001:db8::-2001:db8:0:1:ffff:ffff:ffff:ffff"},
	    {{"2001:db8::ffff:ffff/128", "2001:db8::1:0:0/128"}, "",
		"2001:db8::ffff:ffff-2001:db8::1:0:0"},
	    {{"2001:db8::1/128", "2001:db8::3/128"}, "",
		"2001:db8::1-2001:db8::1 2001:db8::3-2001:db8::3"},
	    /* the last IPv4 and the first IPv6 address do not touch */
	    {{"255.255.255.255/32", "::/128"},
		"255.255.255.255-255.255.255.255", "::-::"},
	    {{"::ffff:192.0.2.0/120"}, "192.0.2.0-192.0.2.255", ""},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct sg_rule rules[5];
		struct sg_set set;
		size_t n = 0;

		while (n < 5 && rows[i].rules[n] != NULL) {
			rules[n] = rule(rows[i].rules[n]);
			n++;
		}
		assert_errno(sg_set_build(rules, n, PORT, &set), 0);
		assert_str(
		    ranges_text(set.v4, set.n_v4, ADDR_IPV4), rows[i].v4);
		assert_str(
		    ranges_text(set.v6, set.n_v6, ADDR_IPV6), rows[i].v6);
		sg_set_fini(&set);
	}
}

static void
no_rule_allows_nothing(void **state)
{
	struct addr v4 = ip("10.0.0.1");
	struct addr v6 = ip("fd00::1");
	struct addr none = {0};
	struct sg_set set;

	(void)state;
	assert_errno(sg_set_build(NULL, 0, PORT, &set), 0);
	assert_u64(set.n_v4 + set.n_v6, 0);
	assert_false(sg_set_allows(&set, &v4));
	assert_false(sg_set_allows(&set, &v6));
	assert_false(sg_set_allows(&set, &none));
	assert_false(sg_rules_allow(NULL, 0, &v4, PORT));
	sg_set_fini(&set);
}

static void
everything_open_still_refuses_what_is_no_address(void **state)
{
	struct sg_rule rules[] = {rule("0.0.0.0/0"), rule("::/0")};
	struct addr v4 = ip("255.255.255.255");
	struct addr v6 = ip("::");
	struct addr none = {0};
	struct sg_set set;

	(void)state;
	assert_errno(sg_set_build(rules, 2, PORT, &set), 0);
	assert_true(sg_set_allows(&set, &v4));
	assert_true(sg_set_allows(&set, &v6));
	assert_false(sg_set_allows(&set, &none));
	assert_false(sg_rules_allow(rules, 2, &none, PORT));
	sg_set_fini(&set);
}

static void
families_do_not_open_each_other(void **state)
{
	struct sg_rule v4_rule = rule("0.0.0.0/0");
	struct sg_rule v6_rule = rule("::/0");
	struct addr v4 = ip("10.0.0.1");
	struct addr v6 = ip("fd00::1");
	struct sg_set set;

	(void)state;
	assert_errno(sg_set_build(&v4_rule, 1, PORT, &set), 0);
	assert_true(sg_set_allows(&set, &v4));
	assert_false(sg_set_allows(&set, &v6));
	sg_set_fini(&set);
	assert_errno(sg_set_build(&v6_rule, 1, PORT, &set), 0);
	assert_false(sg_set_allows(&set, &v4));
	assert_true(sg_set_allows(&set, &v6));
	sg_set_fini(&set);
}

static void
v4_mapped_client_matches_the_ipv4_rule(void **state)
{
	struct sg_rule r = rule("203.0.113.10/32");
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6};
	struct sg_set set;
	struct addr a;

	(void)state;
	memcpy(&sin6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\x00\x71\x0a",
	    16);
	addr_from_sockaddr((struct sockaddr *)&sin6, &a);
	assert_errno(sg_set_build(&r, 1, PORT, &set), 0);
	assert_true(sg_set_allows(&set, &a));
	assert_true(sg_rules_allow(&r, 1, &a, PORT));
	sg_set_fini(&set);
}

static void
rule_counts_only_within_its_port_range(void **state)
{
	struct sg_rule rules[] = {
	    rule_ports("10.0.0.0/8", 587, 587),
	    rule_ports("10.0.0.0/8", 1000, 2000),
	    rule_ports("192.0.2.0/24", 0, 65535),
	};
	static const struct {
		uint16_t port;
		bool allowed;
	} rows[] = {{0, false}, {586, false}, {587, true}, {588, false},
	    {999, false}, {1000, true}, {1500, true}, {2000, true},
	    {2001, false}, {65535, false}};
	struct addr a = ip("10.1.2.3");
	struct addr b = ip("192.0.2.1");

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct sg_set set;

		assert_errno(sg_set_build(rules, 3, rows[i].port, &set), 0);
		assert_i64(sg_set_allows(&set, &a), rows[i].allowed);
		assert_i64(sg_rules_allow(rules, 3, &a, rows[i].port),
		    rows[i].allowed);
		assert_true(sg_set_allows(&set, &b));
		sg_set_fini(&set);
	}
}

static void
port_of_the_address_does_not_matter(void **state)
{
	struct sg_rule r = rule("10.0.0.1/32");
	struct addr a = ip("10.0.0.1");
	struct sg_set set;

	(void)state;
	a.port = 40000;
	assert_errno(sg_set_build(&r, 1, PORT, &set), 0);
	assert_true(sg_set_allows(&set, &a));
	assert_true(sg_rules_allow(&r, 1, &a, PORT));
	sg_set_fini(&set);
}

static void
several_groups_are_one_union(void **state)
{
	struct sg_rule first[] = {rule("10.0.0.0/25"), rule("fd00::/64")};
	struct sg_rule third[] = {rule("10.0.0.128/25")};
	struct sg_rule_list lists[] = {{first, 2}, {NULL, 0}, {third, 1}};
	struct sg_set set;

	(void)state;
	assert_errno(sg_set_build_union(lists, 3, PORT, &set), 0);
	assert_str(
	    ranges_text(set.v4, set.n_v4, ADDR_IPV4), "10.0.0.0-10.0.0.255");
	assert_u64(set.n_v6, 1);
	sg_set_fini(&set);
	assert_null(set.v4);
	assert_errno(sg_set_build_union(NULL, 0, PORT, &set), 0);
	assert_u64(set.n_v4, 0);
	sg_set_fini(&set);
}

static void
hundred_thousand_rules_are_found_at_their_borders(void **state)
{
	const size_t n = 100000;
	struct sg_rule *rules = calloc(n, sizeof(*rules));
	struct sg_set set;

	(void)state;
	assert_non_null(rules);
	/* Every other address of 10.0.0.0/8's begin, in no useful order. */
	for (size_t i = 0; i < n; i++) {
		uint32_t host = (uint32_t)((i * 7919) % n) * 2;

		rules[i] = rule_ports("10.0.0.0/32", PORT, PORT);
		rules[i].cidr.base.ip[1] = (uint8_t)(host >> 16);
		rules[i].cidr.base.ip[2] = (uint8_t)(host >> 8);
		rules[i].cidr.base.ip[3] = (uint8_t)host;
	}
	assert_errno(sg_set_build(rules, n, PORT, &set), 0);
	assert_u64(set.n_v4, n);
	for (uint32_t host = 0; host < 2 * n; host++) {
		struct addr a = {.ip = {10, (uint8_t)(host >> 16),
				     (uint8_t)(host >> 8), (uint8_t)host},
		    .family = ADDR_IPV4};

		if (sg_set_allows(&set, &a) != (host % 2 == 0))
			fail_msg("host %u", host);
	}
	sg_set_fini(&set);
	free(rules);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rules_become_sorted_merged_ranges),
	    cmocka_unit_test(no_rule_allows_nothing),
	    cmocka_unit_test(everything_open_still_refuses_what_is_no_address),
	    cmocka_unit_test(families_do_not_open_each_other),
	    cmocka_unit_test(v4_mapped_client_matches_the_ipv4_rule),
	    cmocka_unit_test(rule_counts_only_within_its_port_range),
	    cmocka_unit_test(port_of_the_address_does_not_matter),
	    cmocka_unit_test(several_groups_are_one_union),
	    cmocka_unit_test(hundred_thousand_rules_are_found_at_their_borders),
	};

	return cmocka_run_group_tests_name("security_group", tests, NULL, NULL);
}
