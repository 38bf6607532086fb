/* base/latency: where a duration belongs. */
#include "base/latency.h"

#include <stdlib.h>
#include <string.h>

#include "support/expect.h"

static void
a_duration_lies_between_its_bounds(void **state)
{
	(void)state;
	for (uint64_t us = 0; us < 30000000; us += us / 7 + 1) {
		unsigned i = latency_bucket(us);
		double s = (double)us / 1e6;

		if (i < LATENCY_BUCKETS - 1)
			assert_true(s <= strtod(latency_bounds[i], NULL));
		if (i > 0)
			assert_true(s > strtod(latency_bounds[i - 1], NULL));
	}
	assert_u64(latency_bucket(500), 0);
	assert_u64(latency_bucket(501), 1);
	assert_u64(latency_bucket(10000000), LATENCY_BUCKETS - 2);
	assert_u64(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
}

static void
bounds_grow_and_the_last_has_none(void **state)
{
	(void)state;
	for (unsigned i = 1; i < LATENCY_BUCKETS - 1; i++)
		assert_true(strtod(latency_bounds[i], NULL) >
			    strtod(latency_bounds[i - 1], NULL));
	assert_str(latency_bounds[LATENCY_BUCKETS - 1], "+Inf");
	/* OpenMetrics wants a number with a point. */
	for (unsigned i = 0; i < LATENCY_BUCKETS - 1; i++)
		assert_non_null(strchr(latency_bounds[i], '.'));
}

static void
what_is_added_is_counted_and_summed(void **state)
{
	struct latency l = {0};

	(void)state;
	assert_u64(latency_count(&l), 0);
	latency_add(&l, 400);
	latency_add(&l, 400);
	latency_add(&l, 99000000);
	assert_u64(latency_count(&l), 3);
	assert_u64(l.buckets[0], 2);
	assert_u64(l.buckets[LATENCY_BUCKETS - 1], 1);
	assert_u64(l.sum_us, 99000800);
}

int
main(void)
{
	const struct CMUnitTest latency[] = {
	    cmocka_unit_test(a_duration_lies_between_its_bounds),
	    cmocka_unit_test(bounds_grow_and_the_last_has_none),
	    cmocka_unit_test(what_is_added_is_counted_and_summed),
	};

	return cmocka_run_group_tests(latency, NULL, NULL);
}
