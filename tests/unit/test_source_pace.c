/* The pace of each source: a row, then one by one; who goes beyond is shut out
 * alone and for a second; what it takes of memory is bounded. */
#include "support/rules.h"

#include <stdio.h>

#include "nlb/source_pace.h"

#define NOW_MS 100000

static struct source_pace pace;

static int
setup(void **state)
{
	(void)state;
	pace = (struct source_pace){0};
	return 0;
}

static enum source_verdict
take(const char *client, uint64_t now_ms)
{
	struct addr a = ip(client);

	return source_pace_take(&pace, &a, now_ms);
}

/* How many of n are admitted at once. */
static unsigned
admitted(const char *client, unsigned n, uint64_t now_ms)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		count += take(client, now_ms) == SOURCE_ADMITTED;
	return count;
}

static bool
allows(const char *client, uint64_t now_ms)
{
	struct addr a = ip(client);
	struct sg_set set;
	bool allowed;

	assert_errno(source_pace_allowed(&pace, now_ms, &set), 0);
	allowed = sg_set_allows(&set, &a);
	sg_set_fini(&set);
	return allowed;
}

static void
a_row_is_admitted_and_the_next_is_shut_out(void **state)
{
	(void)state;
	assert_u64(admitted("192.0.2.1", 64, NOW_MS), 64);
	assert_i64(take("192.0.2.1", NOW_MS), SOURCE_SHUT);
	assert_i64(take("192.0.2.1", NOW_MS + 899), SOURCE_IS_SHUT);
	/* What was still waiting does not make it any longer. */
	assert_i64(take("192.0.2.1", NOW_MS + 900), SOURCE_ADMITTED);
}

static void
ten_a_second_are_admitted_for_good(void **state)
{
	(void)state;
	assert_u64(admitted("192.0.2.1", 64, NOW_MS), 64);
	for (uint64_t t_ms = NOW_MS + 100; t_ms < NOW_MS + 60000; t_ms += 100)
		assert_i64(take("192.0.2.1", t_ms), SOURCE_ADMITTED);
}

static void
more_than_that_get_ten_a_second_on_average(void **state)
{
	unsigned n = 0;

	(void)state;
	for (uint64_t t_ms = NOW_MS; t_ms < NOW_MS + 100000; t_ms += 2)
		n += take("192.0.2.1", t_ms) == SOURCE_ADMITTED;
	assert_u64_between(n, 64 + 900, 64 + 1000);
}

static void
a_source_that_rests_has_its_row_again(void **state)
{
	(void)state;
	assert_u64(admitted("192.0.2.1", 100, NOW_MS), 64);
	assert_u64(admitted("192.0.2.1", 100, NOW_MS + 6400), 64);
	/* And no more than that, however long it rests. */
	assert_u64(admitted("192.0.2.1", 100, NOW_MS + 6400000), 64);
}

static void
only_the_first_time_in_a_minute_is_told(void **state)
{
	unsigned first = 0, again = 0;

	(void)state;
	for (uint64_t t_ms = 0; t_ms < 50000; t_ms += 10) {
		enum source_verdict v = take("192.0.2.1", NOW_MS + t_ms);

		first += v == SOURCE_SHUT;
		again += v == SOURCE_SHUT_AGAIN;
	}
	assert_u64(first, 1);
	assert_u64_between(again, 40, 55);
	assert_u64(admitted("192.0.2.1", 64, NOW_MS + 111000), 64);
	assert_i64(take("192.0.2.1", NOW_MS + 111000), SOURCE_SHUT);
}

static void
nobody_else_is_shut_out_with_it(void **state)
{
	(void)state;
	assert_u64(admitted("192.0.2.1", 100, NOW_MS), 64);
	assert_i64(take("192.0.2.2", NOW_MS), SOURCE_ADMITTED);
	assert_false(allows("192.0.2.1", NOW_MS));
	assert_true(allows("192.0.2.0", NOW_MS));
	assert_true(allows("192.0.2.2", NOW_MS));
	assert_true(allows("::c000:201", NOW_MS));
	assert_true(allows("192.0.2.1", NOW_MS + 900));
}

static void
an_ipv6_network_is_one_source(void **state)
{
	(void)state;
	assert_u64(admitted("2001:db8::1", 32, NOW_MS), 32);
	assert_u64(admitted("2001:db8::2:3", 100, NOW_MS), 32);
	assert_false(allows("2001:db8::ffff:1", NOW_MS));
	assert_true(allows("2001:db8:0:1::1", NOW_MS));
	assert_u64(admitted("2001:db8:0:1::1", 100, NOW_MS), 64);
}

static void
the_next_to_be_let_in_is_known(void **state)
{
	(void)state;
	assert_u64(source_pace_next_open_ms(&pace, NOW_MS), UINT64_MAX);
	(void)admitted("192.0.2.1", 65, NOW_MS);
	(void)admitted("192.0.2.2", 65, NOW_MS + 300);
	assert_u64(source_pace_next_open_ms(&pace, NOW_MS + 300), NOW_MS + 900);
	assert_u64(
	    source_pace_next_open_ms(&pace, NOW_MS + 900), NOW_MS + 1200);
	assert_u64(source_pace_next_open_ms(&pace, NOW_MS + 1200), UINT64_MAX);
}

static void
more_sources_than_are_counted_are_admitted(void **state)
{
	char client[32];

	(void)state;
	for (int i = 0; i < SOURCE_PACE_SOURCES_MAX; i++) {
		(void)snprintf(client, sizeof(client), "192.0.2.%d", i);
		assert_u64(admitted(client, 65, NOW_MS), 64);
	}
	assert_u64(admitted("198.51.100.1", 1000, NOW_MS), 1000);
	assert_u64(pace.n, SOURCE_PACE_SOURCES_MAX);
	assert_true(allows("198.51.100.1", NOW_MS));
	for (int i = 0; i < SOURCE_PACE_SOURCES_MAX; i++) {
		(void)snprintf(client, sizeof(client), "192.0.2.%d", i);
		assert_false(allows(client, NOW_MS));
	}
	/* Those that have rested make room. */
	assert_u64(admitted("198.51.100.1", 1000, NOW_MS + 6400), 64);
	assert_u64(pace.n, SOURCE_PACE_SOURCES_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(
		a_row_is_admitted_and_the_next_is_shut_out, setup),
	    cmocka_unit_test_setup(ten_a_second_are_admitted_for_good, setup),
	    cmocka_unit_test_setup(
		more_than_that_get_ten_a_second_on_average, setup),
	    cmocka_unit_test_setup(
		a_source_that_rests_has_its_row_again, setup),
	    cmocka_unit_test_setup(
		only_the_first_time_in_a_minute_is_told, setup),
	    cmocka_unit_test_setup(nobody_else_is_shut_out_with_it, setup),
	    cmocka_unit_test_setup(an_ipv6_network_is_one_source, setup),
	    cmocka_unit_test_setup(the_next_to_be_let_in_is_known, setup),
	    cmocka_unit_test_setup(
		more_sources_than_are_counted_are_admitted, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
