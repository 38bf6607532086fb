/*
 * The SYN filter against the user-space evaluation and against a model that
 * shares no code with either.
 */
#include "support/bpf.h"
#include "support/rules.h"

#include <errno.h>
#include <stdlib.h>

#include "nlb/syn_filter.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define PORT 587
#define PASS 0xffffffffu

#define RULE_SETS 2000
#define ADDRS_PER_SET 500
#define RULES_MAX 30
#define SEED UINT64_C(0x5eed0587)

static uint64_t random_state = SEED;

/* splitmix64: the same numbers in every run. */
static uint64_t
random_u64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static unsigned
random_below(unsigned n)
{
	return (unsigned)(random_u64() % n);
}

static struct syn_filter
compile(const struct sg_rule *rules, size_t n)
{
	struct syn_filter f;
	struct sg_set set;

	assert_errno(sg_set_build(rules, n, PORT, &set), 0);
	assert_errno(syn_filter_compile(&set, &f), 0);
	sg_set_fini(&set);
	bpf_check(f.insns, f.n);
	return f;
}

static bool
passes(const struct syn_filter *f, const struct addr *a)
{
	struct bpf_packet p;
	uint32_t result;

	bpf_packet_init(&p, a);
	result = bpf_run(f->insns, f->n, &p, NULL);
	if (result != 0 && result != PASS)
		fail_msg("result 0x%x", (unsigned)result);
	return result == PASS;
}

static bool
passes_text(const struct syn_filter *f, const char *text)
{
	struct addr a = ip(text);

	return passes(f, &a);
}

static void
empty_set_drops_all_in_one_instruction(void **state)
{
	struct syn_filter f = compile(NULL, 0);

	(void)state;
	assert_u64(f.n, 1);
	assert_false(passes_text(&f, "127.0.0.1"));
	assert_false(passes_text(&f, "::1"));
	syn_filter_fini(&f);
	assert_null(f.insns);
}

static void
open_set_passes_all_in_one_instruction(void **state)
{
	struct sg_rule rules[] = {rule("0.0.0.0/0"), rule("::/0")};
	struct syn_filter f = compile(rules, 2);

	(void)state;
	assert_u64(f.n, 1);
	assert_true(passes_text(&f, "0.0.0.0"));
	assert_true(passes_text(&f, "::"));
	syn_filter_fini(&f);
}

static void
one_open_family_leaves_the_other_closed(void **state)
{
	struct sg_rule v4 = rule("0.0.0.0/0");
	struct sg_rule v6 = rule("::/0");
	struct syn_filter f = compile(&v4, 1);

	(void)state;
	assert_true(passes_text(&f, "0.0.0.0"));
	assert_true(passes_text(&f, "255.255.255.255"));
	assert_false(passes_text(&f, "::"));
	assert_false(passes_text(&f, "ffff::"));
	syn_filter_fini(&f);
	f = compile(&v6, 1);
	assert_false(passes_text(&f, "0.0.0.0"));
	assert_false(passes_text(&f, "255.255.255.255"));
	assert_true(passes_text(&f, "::"));
	assert_true(passes_text(&f, "ffff::"));
	syn_filter_fini(&f);
}

static void
borders_of_hand_picked_blocks_are_exact(void **state)
{
	static const struct {
		const char *rules[4], *pass[4], *drop[4];
	} rows[] = {
	    {{"203.0.113.10/32"}, {"203.0.113.10"},
		{"203.0.113.9", "203.0.113.11", "0.0.0.0", "::cb00:710a"}},
	    {{"0.0.0.0/32", "255.255.255.255/32"},
		{"0.0.0.0", "255.255.255.255"},
		{"0.0.0.1", "255.255.255.254", "128.0.0.0"}},
	    {{"10.0.0.0/8", "10.0.0.0/24", "11.0.0.0/8"},
		{"10.0.0.0", "10.255.255.255", "11.255.255.255"},
		{"9.255.255.255", "12.0.0.0", "a00::", "b00::"}},
	    {{"fd00::1/128"}, {"fd00::1"},
		{"fd00::", "fd00::2", "fd00::1:0:1", "fd01::1"}},
	    {{"2001:db8::/32"},
		{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"2001:db7:ffff::", "2001:db9::", "3001:db8::", "::"}},
	    {{"2001:db8:1:2::/64"},
		{"2001:db8:1:2::", "2001:db8:1:2:ffff:ffff:ffff:ffff"},
		{"2001:db8:1:1:ffff::", "2001:db8:1:3::", "2001:db9:1:2::",
		    "2001:db8:2:2::"}},
	    /* ends that carry into a higher word */
	    {{"2001:db8:ffff:ffff::/64", "::ffff:ffff:ffff:ffff/128"},
		{"2001:db8:ffff:ffff::1", "::ffff:ffff:ffff:ffff"},
		{"2001:db9::", "0:0:0:1::", "2001:db8:ffff:fffe::",
		    "::ffff:ffff:ffff:fffe"}},
	    {{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "::/128"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "::1"}},
	    /* the same word at several depths */
	    {{"1:1:1:1:1:1:1:1/128", "1:1:1:1:1:1::/96", "1:1:1:1::/64",
		 "1:1:1:2::/128"},
		{"1:1:1:1:1:1:1:1", "1:1:1:1::", "1:1:1:1:ffff::", "1:1:1:2::"},
		{"1:1:1:0:ffff::", "1:1:1:2::1", "1:1::", "1:1:1:2:0:1::"}},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct sg_rule rules[4];
		struct syn_filter f;
		size_t n = 0;

		for (; n < 4 && rows[i].rules[n] != NULL; n++)
			rules[n] = rule(rows[i].rules[n]);
		f = compile(rules, n);
		for (size_t k = 0; k < 4; k++) {
			if (rows[i].pass[k] != NULL &&
			    !passes_text(&f, rows[i].pass[k]))
				fail_msg(
				    "row %zu drops %s", i, rows[i].pass[k]);
			if (rows[i].drop[k] != NULL &&
			    passes_text(&f, rows[i].drop[k]))
				fail_msg(
				    "row %zu passes %s", i, rows[i].drop[k]);
		}
		syn_filter_fini(&f);
	}
}

/* The model: bit by bit, rule by rule. */
static bool
model_allows(
    const struct sg_rule *rules, size_t n, const struct addr *a, uint16_t port)
{
	for (size_t i = 0; i < n; i++) {
		const struct cidr *c = &rules[i].cidr;
		unsigned bit = 0;

		if (port < rules[i].port_from || port > rules[i].port_to ||
		    c->base.family != a->family)
			continue;
		while (
		    bit < c->prefix_len &&
		    ((c->base.ip[bit / 8] ^ a->ip[bit / 8]) >> (7 - bit % 8) &
			1) == 0)
			bit++;
		if (bit == c->prefix_len)
			return true;
	}
	return false;
}

static size_t
width(const struct addr *a)
{
	return a->family == ADDR_IPV4 ? 4 : 16;
}

static void
clear_bits_from(struct addr *a, unsigned bit)
{
	for (; bit < width(a) * 8; bit++)
		a->ip[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
}

/* Adds 1 or -1 at the given bit, with wrap-around. */
static void
step(struct addr *a, unsigned bit, int sign)
{
	int carry = sign * (1 << (7 - bit % 8));

	for (size_t i = bit / 8 + 1; i-- > 0 && carry != 0;) {
		int sum = a->ip[i] + carry;

		a->ip[i] = (uint8_t)sum;
		carry = sum < 0 ? -1 : sum > 255 ? 1 : 0;
	}
}

static void
random_bytes(struct addr *a)
{
	for (size_t i = 0; i < width(a); i++)
		a->ip[i] = (uint8_t)random_u64();
}

/* A fresh block, or a relative of an earlier one: neighbour, part, whole. */
static struct sg_rule
random_rule(const struct sg_rule *earlier, unsigned n)
{
	struct sg_rule r = {.port_from = 0, .port_to = UINT16_MAX};
	struct addr *base = &r.cidr.base;
	unsigned bits;

	if (n > 0 && random_below(4) != 0) {
		r.cidr = earlier[random_below(n)].cidr;
	} else {
		base->family = random_below(2) ? ADDR_IPV4 : ADDR_IPV6;
		random_bytes(base);
		r.cidr.prefix_len = 1;
	}
	bits = (unsigned)width(base) * 8;
	switch (random_below(8)) {
	case 0:
		r.cidr.prefix_len = (uint8_t)bits;
		break;
	case 1: /* a few bits up or down */
		if (r.cidr.prefix_len > 8)
			r.cidr.prefix_len -= (uint8_t)random_below(4);
		break;
	case 2:
	case 3: /* neighbour */
		if (r.cidr.prefix_len > 0)
			step(base, r.cidr.prefix_len - 1u,
			    random_below(2) ? 1 : -1);
		break;
	case 4: /* word-aligned, or everything */
		r.cidr.prefix_len =
		    random_below(64) == 0
			? 0
			: (uint8_t)(32 * (1 + random_below(bits / 32)));
		break;
	default:
		r.cidr.prefix_len = (uint8_t)(8 + random_below(bits - 7));
		break;
	}
	clear_bits_from(base, r.cidr.prefix_len);
	if (random_below(3) == 0) {
		r.port_from = (uint16_t)(PORT - 1 + random_below(3));
		r.port_to = (uint16_t)(r.port_from + random_below(3));
	}
	return r;
}

/* Mostly at the borders of the rules. */
static struct addr
random_addr(const struct sg_rule *rules, unsigned n)
{
	struct addr a = {.family = random_below(2) ? ADDR_IPV4 : ADDR_IPV6};
	unsigned bits;
	unsigned kind = random_below(8);

	if (n == 0 || kind == 0) {
		random_bytes(&a);
		return a;
	}
	a = rules[random_below(n)].cidr.base;
	bits = (unsigned)width(&a) * 8;
	if (kind <= 3) { /* just before, just after, one end or the other */
		const struct cidr *c = &rules[random_below(n)].cidr;

		a = c->base;
		bits = (unsigned)width(&a) * 8;
		if (kind != 1 && c->prefix_len > 0)
			step(&a, c->prefix_len - 1u, 1);
		if (kind != 3)
			step(&a, bits - 1, random_below(2) ? 1 : -1);
	} else if (kind <= 6) {
		unsigned bit = random_below(bits);

		a.ip[bit / 8] ^= (uint8_t)(0x80u >> (bit % 8));
	}
	return a;
}

/* The way a client's address reaches us: IPv4 half of the time as a
 * v4-mapped one, from a dual-stack socket. */
static struct addr
through_sockaddr(const struct addr *a)
{
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6};
	struct sockaddr_storage ss;
	struct addr out;

	if (a->family == ADDR_IPV4 && random_below(2) == 0) {
		sin6.sin6_addr.s6_addr[10] = 0xff;
		sin6.sin6_addr.s6_addr[11] = 0xff;
		memcpy(&sin6.sin6_addr.s6_addr[12], a->ip, 4);
		addr_from_sockaddr((struct sockaddr *)&sin6, &out);
	} else {
		(void)addr_to_sockaddr(a, &ss);
		addr_from_sockaddr((struct sockaddr *)&ss, &out);
	}
	return out;
}

/* Checks one rule set; returns how many of the addresses it allowed. */
static unsigned
check_random_set(unsigned number)
{
	struct sg_rule rules[RULES_MAX];
	unsigned n = random_below(RULES_MAX + 1);
	uint16_t port = (uint16_t)(PORT - 1 + random_below(3));
	struct syn_filter f;
	struct sg_set set;
	unsigned allowed = 0;

	for (unsigned i = 0; i < n; i++)
		rules[i] = random_rule(rules, i);
	assert_errno(sg_set_build(rules, n, port, &set), 0);
	assert_errno(syn_filter_compile(&set, &f), 0);
	bpf_check(f.insns, f.n);
	for (unsigned i = 0; i < ADDRS_PER_SET; i++) {
		struct addr wire = random_addr(rules, n);
		struct addr a = through_sockaddr(&wire);
		/* The kernel ignores an IPv6 SYN with a v4-mapped source
		 * (tcp_v6_conn_request): such a client is on IPv4. */
		const struct addr *sent = a.family == ADDR_IPV4 ? &a : &wire;
		bool model = model_allows(rules, n, &a, port);
		bool user = sg_set_allows(&set, &a);
		bool linear = sg_rules_allow(rules, n, &a, port);
		bool kernel = passes(&f, sent);
		char text[ADDR_IP_STRLEN];

		if (user != model || linear != model || kernel != model)
			fail_msg("set %u of seed 0x%llx, %s: model %d, set %d, "
				 "rules %d, filter %d",
			    number, (unsigned long long)SEED,
			    addr_format_ip(&a, text, sizeof(text)), model, user,
			    linear, kernel);
		allowed += model;
	}
	syn_filter_fini(&f);
	sg_set_fini(&set);
	return allowed;
}

static void
filter_set_and_model_agree_on_a_million_random_pairs(void **state)
{
	unsigned allowed = 0;

	(void)state;
	print_message("# seed 0x%llx, %d rule sets, %d addresses each\n",
	    (unsigned long long)SEED, RULE_SETS, ADDRS_PER_SET);
	for (unsigned i = 0; i < RULE_SETS; i++)
		allowed += check_random_set(i);
	/* Both answers must be frequent, or the agreement says little. */
	assert_u64_between(allowed, RULE_SETS * ADDRS_PER_SET / 4,
	    RULE_SETS * ADDRS_PER_SET * 3 / 4);
}

/* n blocks that do not touch, spread over the whole address space: one in the
 * first half of each n-th of the first word's values. */
static struct sg_rule *
scattered_rules(size_t n, enum addr_family family, unsigned prefix_len)
{
	struct sg_rule *rules = calloc(n, sizeof(*rules));
	uint32_t stride = UINT32_MAX / (uint32_t)n;

	assert_non_null(rules);
	for (size_t i = 0; i < n; i++) {
		struct addr *base = &rules[i].cidr.base;
		uint32_t first =
		    (uint32_t)i * stride + random_below(stride / 2);

		base->family = (uint8_t)family;
		random_bytes(base);
		for (unsigned b = 0; b < 4; b++)
			base->ip[b] = (uint8_t)(first >> (24 - 8 * b));
		clear_bits_from(base, prefix_len);
		rules[i].cidr.prefix_len = (uint8_t)prefix_len;
		rules[i].port_to = UINT16_MAX;
	}
	return rules;
}

static void
expect_size(size_t n, enum addr_family family, unsigned prefix_len,
    size_t per_range_x10, unsigned max_steps)
{
	struct sg_rule *rules = scattered_rules(n, family, prefix_len);
	struct syn_filter f = compile(rules, n);

	assert_u64_between(f.n, n, n * per_range_x10 / 10 + 8);
	for (size_t i = 0; i < n; i++) {
		struct addr a = rules[i].cidr.base;
		struct bpf_packet p;
		unsigned steps;

		bpf_packet_init(&p, &a);
		assert_u64(bpf_run(f.insns, f.n, &p, &steps), PASS);
		assert_u64_between(steps, 1, max_steps);
		step(&a, prefix_len - 1, 1);
		assert_false(passes(&f, &a));
		step(&a, prefix_len - 1, -1);
		step(&a, (unsigned)width(&a) * 8 - 1, -1);
		assert_false(passes(&f, &a));
	}
	syn_filter_fini(&f);
	free(rules);
}

static void
programs_are_small_and_answer_in_logarithmic_time(void **state)
{
	(void)state;
	/* 2n comparisons make a tree of depth log2(2n); version, load, RET and
	 * the odd JA come on top. */
	expect_size(1000, ADDR_IPV4, 32, 21, 11 + 6);
	expect_size(1900, ADDR_IPV4, 24, 21, 12 + 7);
	/* word by word: /32 is one word, /48 and /64 two, /128 four */
	expect_size(1900, ADDR_IPV6, 32, 21, 12 + 7);
	expect_size(700, ADDR_IPV6, 48, 52, 22);
	expect_size(700, ADDR_IPV6, 64, 52, 22);
	expect_size(400, ADDR_IPV6, 128, 92, 26);
}

static void
ipv6_ranges_share_their_common_prefix(void **state)
{
	struct sg_rule rules[256];
	struct syn_filter f;

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		rules[i] = rule("2001:db8:0:0::/64");
		rules[i].cidr.base.ip[6] = (uint8_t)i;
	}
	f = compile(rules, 256);
	/* two comparisons each, and the first word once */
	assert_u64_between(f.n, 512, 530);
	assert_true(passes_text(&f, "2001:db8:0:ff00::1"));
	assert_false(passes_text(&f, "2001:db8:0:ff01::1"));
	syn_filter_fini(&f);
}

static void
set_that_does_not_fit_is_e2big_and_leaves_out_alone(void **state)
{
	static const struct {
		size_t n;
		enum addr_family family;
		unsigned prefix_len;
	} rows[] = {{2200, ADDR_IPV4, 32}, {2200, ADDR_IPV6, 32},
	    {1200, ADDR_IPV6, 128}};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct sg_rule *rules = scattered_rules(
		    rows[i].n, rows[i].family, rows[i].prefix_len);
		struct syn_filter f = {.insns = NULL, .n = 12345};
		struct sg_set set;

		assert_errno(sg_set_build(rules, rows[i].n, PORT, &set), 0);
		assert_u64(set.n_v4 + set.n_v6, rows[i].n);
		assert_errno(syn_filter_compile(&set, &f), -E2BIG);
		assert_u64(f.n, 12345);
		assert_null(f.insns);
		sg_set_fini(&set);
		free(rules);
	}
}

/* The largest set that fits and the next one, which must not. */
static void
every_size_up_to_the_limit_is_valid_and_exact(void **state)
{
	const size_t n = 2100;
	struct sg_rule *rules = scattered_rules(n, ADDR_IPV4, 32);
	size_t fitted = 0;
	size_t insns = 0;

	(void)state;
	for (size_t i = 1900; i < n; i++) {
		struct sg_set set;
		struct syn_filter f;
		int r;

		assert_errno(sg_set_build(rules, i, PORT, &set), 0);
		r = syn_filter_compile(&set, &f);
		sg_set_fini(&set);
		if (r == 0) {
			assert_u64(fitted, i == 1900 ? 0 : i - 1);
			fitted = i;
			insns = f.n;
			bpf_check(f.insns, f.n);
			assert_true(passes(&f, &rules[0].cidr.base));
			assert_true(passes(&f, &rules[i - 1].cidr.base));
			assert_false(passes(&f, &rules[i].cidr.base));
			syn_filter_fini(&f);
		} else {
			assert_errno(r, -E2BIG);
		}
	}
	print_message(
	    "# %zu host routes fit, in %zu instructions\n", fitted, insns);
	assert_u64_between(fitted, 1950, n - 2);
	assert_u64_between(insns, 4080, SYN_FILTER_INSNS_MAX);
	free(rules);
}

static void
refuse_new_drops_syn_without_ack_only(void **state)
{
	struct syn_filter f = {0};
	struct addr source = ip("192.0.2.1");
	struct bpf_packet p;

	(void)state;
	assert_errno(syn_filter_refuse_new(&f), 0);
	bpf_check(f.insns, f.n);
	bpf_packet_init(&p, &source);
	for (unsigned flags = 0; flags < 256; flags++) {
		bool refused = (flags & 0x02) != 0 && (flags & 0x10) == 0;

		p.tcp[13] = (uint8_t)flags;
		assert_u64(bpf_run(f.insns, f.n, &p, NULL), refused ? 0 : PASS);
	}
	syn_filter_fini(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty_set_drops_all_in_one_instruction),
	    cmocka_unit_test(open_set_passes_all_in_one_instruction),
	    cmocka_unit_test(one_open_family_leaves_the_other_closed),
	    cmocka_unit_test(borders_of_hand_picked_blocks_are_exact),
	    cmocka_unit_test(
		filter_set_and_model_agree_on_a_million_random_pairs),
	    cmocka_unit_test(programs_are_small_and_answer_in_logarithmic_time),
	    cmocka_unit_test(ipv6_ranges_share_their_common_prefix),
	    cmocka_unit_test(
		set_that_does_not_fit_is_e2big_and_leaves_out_alone),
	    cmocka_unit_test(every_size_up_to_the_limit_is_valid_and_exact),
	    cmocka_unit_test(refuse_new_drops_syn_without_ack_only),
	};

	return cmocka_run_group_tests_name("syn_filter", tests, NULL, NULL);
}
