/* Network ACLs: numbers decide, the first match wins, no match is a deny; the
 * set that the kernel's filter is made of says the same for every address. */
#include "support/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nlb/network_acl.h"

#define PORT 587

static struct acl_rule
acl_rule(
    unsigned number, bool allow, const char *cidr, uint16_t from, uint16_t to)
{
	struct acl_rule r = {.number = (uint16_t)number,
	    .allow = allow,
	    .port_from = from,
	    .port_to = to};
	enum cidr_error error;

	assert_errno(cidr_parse(cidr, &r.cidr, &error), 0);
	return r;
}

static void
lowest_number_that_matches_decides(void **state)
{
	struct acl_rule rules[] = {
	    acl_rule(200, true, "10.0.0.0/8", 1, 65535),
	    acl_rule(100, false, "10.1.0.0/16", 587, 587),
	    acl_rule(50, true, "10.1.2.0/24", 587, 587),
	    acl_rule(32766, false, "10.0.0.0/8", 1, 65535),
	};
	static const struct {
		const char *ip;
		uint16_t port;
		bool allowed;
	} rows[] = {
	    {"10.1.2.3", 587, true},
	    {"10.1.3.3", 587, false},
	    {"10.1.3.3", 588, true}, /* the deny is for another port */
	    {"10.2.0.1", 587, true},
	    {"11.0.0.1", 587, false}, /* no rule: denied */
	    {"fd00::1", 587, false},
	};

	(void)state;
	acl_rules_sort(rules, 4);
	assert_u64(rules[0].number, 50);
	assert_u64(rules[3].number, 32766);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr a = ip(rows[i].ip);
		struct sg_set set;

		assert_errno(acl_set_build(rules, 4, rows[i].port, &set), 0);
		if (acl_rules_allow(rules, 4, &a, rows[i].port) !=
			rows[i].allowed ||
		    sg_set_allows(&set, &a) != rows[i].allowed)
			fail_msg("row %zu", i);
		sg_set_fini(&set);
	}
}

static void
no_rule_at_all_denies_everybody(void **state)
{
	struct addr a = ip("10.0.0.1");
	struct sg_set set;

	(void)state;
	assert_false(acl_rules_allow(NULL, 0, &a, PORT));
	assert_errno(acl_set_build(NULL, 0, PORT, &set), 0);
	assert_u64(set.n_v4 + set.n_v6, 0);
	sg_set_fini(&set);
}

static void
ranges_are_merged_and_reach_the_last_address(void **state)
{
	struct acl_rule rules[] = {
	    acl_rule(1, false, "0.0.0.0/32", 1, 65535),
	    acl_rule(2, false, "255.255.255.255/32", 1, 65535),
	    acl_rule(3, true, "10.0.0.0/8", 1, 65535),
	    acl_rule(4, true, "0.0.0.0/0", 1, 65535),
	    acl_rule(5, true, "::/0", 1, 65535),
	};
	struct addr first = ip("0.0.0.0"), last = ip("255.255.255.255");
	struct addr inner = ip("255.255.255.254");
	struct addr v6 = ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	struct sg_set set;

	(void)state;
	assert_errno(acl_set_build(rules, 5, PORT, &set), 0);
	assert_u64(set.n_v4, 1);
	assert_u64(set.n_v6, 1);
	assert_false(sg_set_allows(&set, &first));
	assert_false(sg_set_allows(&set, &last));
	assert_true(sg_set_allows(&set, &inner));
	assert_true(sg_set_allows(&set, &v6));
	sg_set_fini(&set);
}

/* A small generator of our own: the same numbers on every machine. */
static uint32_t
next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1;
	return (uint32_t)(*seed >> 33);
}

/* Blocks inside a /24, so that many overlap and every address can be asked. */
static struct acl_rule
random_rule(uint64_t *seed, bool v6)
{
	char text[64];
	unsigned bits = next_random(seed) % 9;
	unsigned base = next_random(seed) % 256 & (0xffu << (8 - bits));
	uint16_t from = next_random(seed) % 4 == 0 ? 600 : 500;

	if (v6)
		snprintf(
		    text, sizeof(text), "2001:db8::%x/%u", base, 120 + bits);
	else
		snprintf(text, sizeof(text), "192.0.2.%u/%u", base, 24 + bits);
	return acl_rule(1 + next_random(seed) % 40, next_random(seed) % 2 == 0,
	    text, from, 700);
}

static void
set_agrees_with_the_rules_for_every_address(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		struct acl_rule rules[30];
		size_t n = next_random(&seed) % 30;
		struct sg_set set;

		for (size_t i = 0; i < n; i++) {
			rules[i] = random_rule(&seed, i % 2 == 1);
			/* As from the file: numbers differ. */
			rules[i].number = (uint16_t)(rules[i].number * 64 + i);
		}
		acl_rules_sort(rules, n);
		assert_errno(acl_set_build(rules, n, PORT, &set), 0);
		for (unsigned host = 0; host < 256; host++) {
			struct addr v4 = ip("192.0.2.0"), v6 = ip("2001:db8::");

			v4.ip[3] = (uint8_t)host;
			v6.ip[15] = (uint8_t)host;
			if (sg_set_allows(&set, &v4) !=
				acl_rules_allow(rules, n, &v4, PORT) ||
			    sg_set_allows(&set, &v6) !=
				acl_rules_allow(rules, n, &v6, PORT))
				fail_msg("round %u, host %u", round, host);
		}
		sg_set_fini(&set);
	}
}

static void
intersection_allows_what_both_allow(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		struct acl_rule rules[24];
		struct sg_set a, b, both;

		for (size_t i = 0; i < 24; i++) {
			rules[i] = random_rule(&seed, i % 2 == 1);
			rules[i].number = (uint16_t)(i % 12 + 1);
		}
		assert_errno(acl_set_build(rules, 12, PORT, &a), 0);
		assert_errno(acl_set_build(rules + 12, 12, PORT, &b), 0);
		assert_errno(sg_set_intersect(&a, &b, &both), 0);
		for (unsigned host = 0; host < 256; host++) {
			struct addr v4 = ip("192.0.2.0"), v6 = ip("2001:db8::");

			v4.ip[3] = (uint8_t)host;
			v6.ip[15] = (uint8_t)host;
			if (sg_set_allows(&both, &v4) !=
				(sg_set_allows(&a, &v4) &&
				    sg_set_allows(&b, &v4)) ||
			    sg_set_allows(&both, &v6) !=
				(sg_set_allows(&a, &v6) &&
				    sg_set_allows(&b, &v6)))
				fail_msg("round %u, host %u", round, host);
		}
		sg_set_fini(&a);
		sg_set_fini(&b);
		sg_set_fini(&both);
	}
}

static void
everybody_and_a_set_is_the_set(void **state)
{
	struct acl_rule rule = acl_rule(1, true, "10.0.0.0/8", 1, 65535);
	struct sg_set all, ten, both;

	(void)state;
	assert_errno(sg_set_build_all(&all), 0);
	assert_u64(all.n_v4, 1);
	assert_u64(all.n_v6, 1);
	assert_errno(acl_set_build(&rule, 1, PORT, &ten), 0);
	assert_errno(sg_set_intersect(&all, &ten, &both), 0);
	assert_u64(both.n_v4, 1);
	assert_u64(both.n_v6, 0);
	assert_memory_equal(&both.v4[0], &ten.v4[0], sizeof(both.v4[0]));
	sg_set_fini(&all);
	sg_set_fini(&ten);
	sg_set_fini(&both);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lowest_number_that_matches_decides),
	    cmocka_unit_test(no_rule_at_all_denies_everybody),
	    cmocka_unit_test(ranges_are_merged_and_reach_the_last_address),
	    cmocka_unit_test(set_agrees_with_the_rules_for_every_address),
	    cmocka_unit_test(intersection_allows_what_both_allow),
	    cmocka_unit_test(everybody_and_a_set_is_the_set),
	};

	return cmocka_run_group_tests_name("network_acl", tests, NULL, NULL);
}
