/* nlb/peak: the highest ten seconds of a minute. */
#include "nlb/peak.h"

#include "support/expect.h"

#define START_MS 5000

/* Adds n, n_seconds after the last look. */
static void
pass(struct peak *p, unsigned seconds, uint64_t n)
{
	peak_update(p, p->total + n, p->at_ms + seconds * 1000);
}

static void
a_rate_is_the_average_of_ten_seconds(void **state)
{
	struct peak p;

	(void)state;
	peak_start(&p, 1000, START_MS);
	assert_u64(peak_per_second(&p), 0);
	/* Calls in between change nothing: a burst is averaged. */
	peak_update(&p, 9000, START_MS + 500);
	peak_update(&p, 11000, START_MS + 9999);
	assert_u64(peak_per_second(&p), 0);
	peak_update(&p, 11000, START_MS + 10000);
	assert_u64(peak_per_second(&p), 1000);
}

static void
the_first_minute_shows_its_highest_so_far(void **state)
{
	struct peak p;

	(void)state;
	peak_start(&p, 0, START_MS);
	pass(&p, 10, 500);
	assert_u64(peak_per_second(&p), 50);
	pass(&p, 10, 2000);
	assert_u64(peak_per_second(&p), 200);
	pass(&p, 10, 0);
	assert_u64(peak_per_second(&p), 200);
}

static void
a_minutes_peak_stands_until_the_next_minute_is_whole(void **state)
{
	struct peak p;

	(void)state;
	peak_start(&p, 0, START_MS);
	for (int i = 0; i < 5; i++)
		pass(&p, 10, 100);
	pass(&p, 10, 700); /* the sixth closes the minute */
	assert_u64(peak_per_second(&p), 70);
	for (int i = 0; i < 5; i++) {
		pass(&p, 10, 9000);
		assert_u64(peak_per_second(&p), 70);
	}
	pass(&p, 10, 0);
	assert_u64(peak_per_second(&p), 900);
	for (int i = 0; i < 6; i++)
		pass(&p, 10, 0);
	assert_u64(peak_per_second(&p), 0);
}

static void
a_late_look_averages_over_the_time_that_has_passed(void **state)
{
	struct peak p;

	(void)state;
	peak_start(&p, 0, START_MS);
	pass(&p, 25, 5000);
	assert_u64(peak_per_second(&p), 200);
	pass(&p, 90, 9000); /* over the end of the minute */
	assert_u64(peak_per_second(&p), 200);
}

static void
a_counter_that_starts_anew_is_no_peak(void **state)
{
	struct peak p;

	(void)state;
	peak_start(&p, 1000000, START_MS);
	peak_update(&p, 300, START_MS + 10000);
	assert_u64(peak_per_second(&p), 30);
	/* nor is a clock that went back */
	peak_update(&p, 1000000, START_MS);
	assert_u64(peak_per_second(&p), 30);
}

static void
large_counters_do_not_overflow(void **state)
{
	struct peak p;

	(void)state;
	peak_start(&p, 0, START_MS);
	peak_update(&p, UINT64_MAX, START_MS + 10000);
	assert_u64(peak_per_second(&p), UINT64_MAX / 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_rate_is_the_average_of_ten_seconds),
	    cmocka_unit_test(the_first_minute_shows_its_highest_so_far),
	    cmocka_unit_test(
		a_minutes_peak_stands_until_the_next_minute_is_whole),
	    cmocka_unit_test(
		a_late_look_averages_over_the_time_that_has_passed),
	    cmocka_unit_test(a_counter_that_starts_anew_is_no_peak),
	    cmocka_unit_test(large_counters_do_not_overflow),
	};

	return cmocka_run_group_tests_name("peak", tests, NULL, NULL);
}
