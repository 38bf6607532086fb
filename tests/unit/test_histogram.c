/*
 * The load client's histogram: no value is further off than its buckets are
 * wide, quantiles are those of the sorted values, threads add up.
 */
#include "expect.h"
#include "histogram.h"

#include <stdlib.h>

#define VALUES 5000

static struct histogram h;

static void
every_value_is_within_a_64th_of_its_bucket_end(void **state)
{
	(void)state;
	for (uint64_t v = 1; v < 1ull << 39; v += 1 + v / 97) {
		uint64_t end;

		histogram_init(&h);
		histogram_record(&h, v);
		histogram_record(&h, UINT64_C(1) << 39); /* not the greatest */
		end = histogram_quantile_ns(&h, 0.5);
		assert_u64_between(end, v, v + v / 64);
	}
}

static void
bucket_ends_rise_without_gap(void **state)
{
	(void)state;
	for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t before = histogram_bucket_end_ns(i - 1);

		histogram_init(&h);
		histogram_record(&h, before);
		histogram_record(&h, before + 1);
		assert_u64(h.buckets[i - 1], 1);
		assert_u64(h.buckets[i], 1);
	}
}

static void
what_is_too_long_is_counted_and_its_maximum_is_exact(void **state)
{
	(void)state;
	histogram_init(&h);
	histogram_record(&h, UINT64_C(1) << 50);
	histogram_record(&h, (UINT64_C(1) << 50) + 12345);
	assert_u64(h.count, 2);
	assert_u64(histogram_quantile_ns(&h, 0.5), (UINT64_C(1) << 50) + 12345);
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
quantiles_are_those_of_the_sorted_values(void **state)
{
	static const double shares[] = {0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
	static uint64_t values[VALUES];
	unsigned seed = 5;

	(void)state;
	histogram_init(&h);
	for (size_t i = 0; i < VALUES; i++) {
		/* From microseconds to minutes. */
		values[i] = (uint64_t)(rand_r(&seed) % 1000 + 1)
			    << (rand_r(&seed) % 30);
		histogram_record(&h, values[i]);
	}
	qsort(values, VALUES, sizeof(values[0]), by_value);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		uint64_t want = values[(size_t)(shares[i] * VALUES + 0.5) - 1];

		assert_u64_between(histogram_quantile_ns(&h, shares[i]), want,
		    want + want / 64);
	}
	assert_u64(h.min_ns, values[0]);
	assert_u64(histogram_quantile_ns(&h, 1), values[VALUES - 1]);
}

static void
merged_histograms_are_as_if_one_had_seen_all(void **state)
{
	static struct histogram parts[2];
	static struct histogram merged;

	(void)state;
	histogram_init(&h);
	histogram_init(&merged);
	histogram_init(&parts[0]);
	histogram_init(&parts[1]);
	for (uint64_t i = 0; i < 2000; i++) {
		histogram_record(&h, i * i);
		histogram_record(&parts[i % 3 == 0], i * i);
	}
	histogram_merge(&merged, &parts[0]);
	histogram_merge(&merged, &parts[1]);
	assert_bytes(&merged, &h, sizeof(h));
	assert_true(histogram_mean_ns(&merged) == histogram_mean_ns(&h));
}

static void
empty_histogram_has_no_quantiles(void **state)
{
	(void)state;
	histogram_init(&h);
	assert_u64(histogram_quantile_ns(&h, 0.5), 0);
	assert_u64(histogram_quantile_ns(&h, 1), 0);
	assert_true(histogram_mean_ns(&h) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_value_is_within_a_64th_of_its_bucket_end),
	    cmocka_unit_test(bucket_ends_rise_without_gap),
	    cmocka_unit_test(
		what_is_too_long_is_counted_and_its_maximum_is_exact),
	    cmocka_unit_test(quantiles_are_those_of_the_sorted_values),
	    cmocka_unit_test(merged_histograms_are_as_if_one_had_seen_all),
	    cmocka_unit_test(empty_histogram_has_no_quantiles),
	};

	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
