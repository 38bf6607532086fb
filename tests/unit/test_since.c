/*
 * Moments on the command line.
 */
#include <errno.h>
#include <stddef.h>

#include "nlbctl/since.h"
#include "support/expect.h"

#define NOW INT64_C(1785578523) /* 2026-08-01T10:02:03Z */

static void
durations_reach_back_from_now(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {
	    {"0s", 0},
	    {"90s", 90},
	    {"15m", 900},
	    {"2h", 7200},
	    {"1h30m", 5400},
	    {"7d", 604800},
	    {"1d1h1m1s", 90061},
	};
	int64_t out;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_errno(since_parse(rows[i].text, NOW, &out), 0);
		assert_i64(out, NOW - rows[i].seconds);
	}
}

static void
times_are_utc_unless_they_say_another_zone(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} rows[] = {
	    {"2026-08-01T10:02:03Z", NOW},
	    {"2026-08-01T10:02:03", NOW},
	    {"2026-08-01 10:02:03", NOW},
	    {"2026-08-01T10:02:03.987654Z", NOW},
	    {"2026-08-01T19:02:03+09:00", NOW},
	    {"2026-08-01T05:32:03-04:30", NOW},
	    {"2026-08-01 10:02", NOW - 3},
	    {"2026-08-01", NOW - 36123},
	    {"10:02:03", NOW},
	    {"09:02", NOW - 3603},
	    {"1970-01-01T00:00:00Z", 0},
	};
	int64_t out;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_errno(since_parse(rows[i].text, NOW, &out), 0);
		assert_i64(out, rows[i].want);
	}
}

static void
what_is_neither_is_refused(void **state)
{
	static const char *const rows[] = {"", "5", "m", "5x", "-5m", "5m ",
	    "1.5h", "yesterday", "2026-13-01", "2026-08-01T10:02:03X",
	    "2026-08-01T10:02:03+9", "10:02:03Zx", "25:00", "99999999999999d",
	    "40000d", "2026-08-01T"};
	int64_t out = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_errno(since_parse(rows[i], NOW, &out), -EINVAL);
	assert_i64(out, 42);
}

int
main(void)
{
	const struct CMUnitTest since[] = {
	    cmocka_unit_test(durations_reach_back_from_now),
	    cmocka_unit_test(times_are_utc_unless_they_say_another_zone),
	    cmocka_unit_test(what_is_neither_is_refused),
	};

	return cmocka_run_group_tests(since, NULL, NULL);
}
