/* nlb/resolution: when a name is asked for, and what its answers make of it. */
#include "support/expect.h"

#include <stdio.h>

#include "nlb/resolution.h"

static struct addr
ip(unsigned last)
{
	struct addr a = {.family = ADDR_IPV4, .ip = {10, 0, 0, (uint8_t)last}};

	return a;
}

/* Addresses by their last byte are healthy or not. */
struct world {
	bool healthy[256];
	struct resolution r;
};

static bool
is_healthy(void *arg, const struct addr *a)
{
	const struct world *w = arg;

	return w->healthy[a->ip[3]];
}

/* An answer of the addresses whose last bytes text has. */
static bool
answer(struct world *w, const char *text)
{
	struct addr list[64];
	size_t n = 0;

	for (; *text != '\0'; text++)
		list[n++] = ip((unsigned char)*text);
	n = resolution_sort(list, n);
	return resolution_answer(&w->r, list, n, is_healthy, w);
}

static void
expect(const struct world *w, const char *in_answer, const char *kept)
{
	char got[2][CONF_DNS_ADDRESSES_MAX + 1] = {"", ""};

	for (size_t i = 0; i < w->r.n_answer; i++)
		got[0][i] = (char)w->r.answer[i].ip[3];
	for (size_t i = 0; i < w->r.n_kept; i++)
		got[1][i] = (char)w->r.kept[i].ip[3];
	assert_str(got[0], in_answer);
	assert_str(got[1], kept);
}

static void
ttl_is_bounded_on_both_sides(void **state)
{
	static const struct {
		uint32_t ttl_s, min_s, max_s;
		uint64_t ms;
	} rows[] = {
	    {60, 5, 300, 60000},
	    {0, 5, 300, 5000},
	    {4, 5, 300, 5000},
	    {5, 5, 300, 5000},
	    {300, 5, 300, 300000},
	    {301, 5, 300, 300000},
	    {UINT32_MAX, 5, 86400, 86400000},
	    {UINT32_MAX, 1, 1, 1000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_u64(resolution_delay_ms(
			       rows[i].ttl_s, rows[i].min_s, rows[i].max_s, 0),
		    rows[i].ms);
}

static void
jitter_is_up_to_a_tenth(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	for (uint32_t random = 0; random < 20000; random++) {
		uint64_t ms = resolution_delay_ms(60, 5, 300, random);

		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	assert_u64(least, 60000);
	assert_u64(most, 66000);
}

static void
failures_are_tried_again_less_and_less_often(void **state)
{
	static const struct {
		uint32_t failures, min_s, max_s;
		uint64_t ms;
	} rows[] = {
	    {1, 5, 300, 5000},
	    {2, 5, 300, 10000},
	    {3, 5, 300, 20000},
	    {4, 5, 300, 30000},
	    {UINT32_MAX, 5, 300, 30000},
	    {9, 1, 4, 4000},
	    {9, 60, 300, 60000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_u64(resolution_retry_ms(rows[i].failures, rows[i].min_s,
			       rows[i].max_s, 0),
		    rows[i].ms);
}

static void
answers_are_sorted_and_each_address_counts_once(void **state)
{
	struct world w = {0};

	(void)state;
	assert_true(answer(&w, "cabacb"));
	expect(&w, "abc", "");
	assert_false(answer(&w, "bca"));
	expect(&w, "abc", "");
	assert_u64(resolution_sort(NULL, 0), 0);
}

static void
addresses_that_vanish_are_gone_when_another_is_healthy(void **state)
{
	struct world w = {.healthy = {['a'] = true, ['b'] = true}};

	(void)state;
	(void)answer(&w, "ab");
	assert_true(answer(&w, "bc"));
	expect(&w, "bc", "");
}

static void
healthy_addresses_are_kept_until_a_new_one_is_healthy(void **state)
{
	struct world w = {.healthy = {['a'] = true, ['b'] = true}};

	(void)state;
	(void)answer(&w, "abx"); /* x is not healthy: nothing is lost with it */
	assert_true(answer(&w, "cd"));
	expect(&w, "cd", "ab");
	assert_false(answer(&w, "cd"));
	assert_false(resolution_release(&w.r, is_healthy, &w));
	expect(&w, "cd", "ab");
	w.healthy['d'] = true;
	assert_true(resolution_release(&w.r, is_healthy, &w));
	expect(&w, "cd", "");
	assert_false(resolution_release(&w.r, is_healthy, &w));
}

static void
kept_addresses_go_when_they_fail_themselves(void **state)
{
	struct world w = {.healthy = {['a'] = true, ['b'] = true}};

	(void)state;
	(void)answer(&w, "ab");
	(void)answer(&w, "c");
	w.healthy['a'] = false;
	assert_true(resolution_release(&w.r, is_healthy, &w));
	expect(&w, "c", "b");
}

static void
kept_addresses_outlive_one_more_answer(void **state)
{
	struct world w = {.healthy = {['a'] = true}};

	(void)state;
	(void)answer(&w, "a");
	(void)answer(&w, "b");
	assert_true(answer(&w, "c"));
	expect(&w, "c", "a");
	assert_true(answer(&w, "a"));
	expect(&w, "a", "");
}

static void
a_failure_changes_no_address(void **state)
{
	struct world w = {.healthy = {['a'] = true}};

	(void)state;
	(void)answer(&w, "a");
	(void)answer(&w, "b");
	resolution_fail(&w.r);
	resolution_fail(&w.r);
	assert_u64(w.r.failures, 2);
	expect(&w, "b", "a");
	assert_false(answer(&w, "b"));
	assert_u64(w.r.failures, 0);
}

static void
addresses_are_bounded(void **state)
{
	struct world w;
	struct addr list[CONF_DNS_ADDRESSES_MAX * 2];
	size_t n = sizeof(list) / sizeof(list[0]);

	(void)state;
	memset(&w, 0, sizeof(w));
	memset(w.healthy, true, 128);
	for (size_t i = 0; i < n; i++)
		list[i] = ip((unsigned)i);
	assert_true(resolution_answer(&w.r, list, n, is_healthy, &w));
	assert_u64(w.r.n_answer, CONF_DNS_ADDRESSES_MAX);
	/* All others, and not healthy: all of the former stay. */
	for (size_t i = 0; i < n; i++)
		list[i] = ip(128 + (unsigned)i);
	assert_true(resolution_answer(&w.r, list, n, is_healthy, &w));
	assert_u64(w.r.n_answer, CONF_DNS_ADDRESSES_MAX);
	assert_u64(w.r.n_kept, CONF_DNS_ADDRESSES_MAX);
	for (size_t i = 0; i < n; i++)
		list[i] = ip(192 + (unsigned)i);
	(void)resolution_answer(&w.r, list, n, is_healthy, &w);
	assert_u64(w.r.n_kept, CONF_DNS_ADDRESSES_MAX);
	assert_u64(w.r.kept[0].ip[3], 0);
}

static void
what_is_remembered_is_bounded_and_holds_until_the_answer(void **state)
{
	struct world w = {.healthy = {[2] = true, [9] = true}};
	struct addr a;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		a = ip(3 - i);
		resolution_remember(&w.r, &a, false);
		resolution_remember(&w.r, &a, false);
		resolution_remember(&w.r, &a, true);
	}
	a = ip(9);
	resolution_remember(&w.r, &a, true);
	expect(&w, "\1\2\3", "\x9");
	assert_true(answer(&w, "\4"));
	expect(&w, "\4", "\2\x9");
	for (unsigned i = 0; i < 2 * CONF_DNS_ADDRESSES_MAX; i++) {
		a = ip(100 + i);
		resolution_remember(&w.r, &a, i % 2 == 0);
	}
	assert_u64(w.r.n_answer, CONF_DNS_ADDRESSES_MAX);
	assert_u64(w.r.n_kept, CONF_DNS_ADDRESSES_MAX);
}

int
main(void)
{
	const struct CMUnitTest resolution[] = {
	    cmocka_unit_test(ttl_is_bounded_on_both_sides),
	    cmocka_unit_test(jitter_is_up_to_a_tenth),
	    cmocka_unit_test(failures_are_tried_again_less_and_less_often),
	    cmocka_unit_test(answers_are_sorted_and_each_address_counts_once),
	    cmocka_unit_test(
		addresses_that_vanish_are_gone_when_another_is_healthy),
	    cmocka_unit_test(
		healthy_addresses_are_kept_until_a_new_one_is_healthy),
	    cmocka_unit_test(kept_addresses_go_when_they_fail_themselves),
	    cmocka_unit_test(kept_addresses_outlive_one_more_answer),
	    cmocka_unit_test(a_failure_changes_no_address),
	    cmocka_unit_test(addresses_are_bounded),
	    cmocka_unit_test(
		what_is_remembered_is_bounded_and_holds_until_the_answer),
	};

	return cmocka_run_group_tests(resolution, NULL, NULL);
}
