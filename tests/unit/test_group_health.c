/* Who gets the flows of a group: active, standby, or all of them. */
#include "support/expect.h"

#include "nlb/group_health.h"

static void
mode_follows_from_counts_and_thresholds(void **state)
{
	static const struct {
		struct group_counts counts; /* active h, of, standby h, of */
		uint32_t count, percentage;
		enum group_mode mode;
	} rows[] = {
	    /* no standby: the NLB's rules */
	    {{1, 3, 0, 0}, 1, 0, GROUP_ACTIVE},
	    {{0, 3, 0, 0}, 1, 0, GROUP_OPEN_ACTIVE},
	    {{0, 3, 0, 0}, 0, 0, GROUP_ACTIVE}, /* off: nobody */
	    {{1, 3, 0, 0}, 2, 0, GROUP_OPEN_ACTIVE},
	    {{1, 3, 0, 0}, 0, 50, GROUP_OPEN_ACTIVE},
	    {{0, 0, 0, 0}, 1, 0, GROUP_ACTIVE},
	    /* one healthy active target is enough to keep standbys out */
	    {{1, 3, 2, 2}, 1, 0, GROUP_ACTIVE},
	    {{1, 3, 2, 2}, 2, 0, GROUP_OPEN_ACTIVE},
	    /* none: standbys, before failing open, even below the minimum */
	    {{0, 3, 1, 2}, 1, 0, GROUP_STANDBY},
	    {{0, 3, 1, 2}, 2, 100, GROUP_STANDBY},
	    {{0, 3, 1, 2}, 0, 0, GROUP_STANDBY},
	    {{0, 0, 2, 2}, 1, 0, GROUP_STANDBY},
	    /* nobody is healthy at all: the active ones first */
	    {{0, 3, 0, 2}, 1, 0, GROUP_OPEN_ACTIVE},
	    {{0, 0, 0, 2}, 1, 0, GROUP_OPEN_STANDBY},
	    {{0, 0, 0, 2}, 0, 0, GROUP_ACTIVE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum group_mode mode = group_mode_choose(
		    &rows[i].counts, rows[i].count, rows[i].percentage);

		if (mode != rows[i].mode)
			fail_msg("row %zu: mode %d", i, (int)mode);
	}
}

/* For each mode: which of active and standby, in which states. */
static void
modes_route_to_whom_they_name(void **state)
{
	static const struct {
		enum group_mode mode;
		bool active_healthy, active_bad, standby_healthy, standby_bad;
		bool open;
	} rows[] = {
	    {GROUP_ACTIVE, true, false, false, false, false},
	    {GROUP_STANDBY, false, false, true, false, false},
	    {GROUP_OPEN_ACTIVE, true, true, false, false, true},
	    {GROUP_OPEN_STANDBY, false, false, true, true, true},
	};
	const struct target healthy = {.state = TARGET_HEALTHY};
	const struct target gone = {.state = TARGET_DRAINING};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static const enum target_state bad[] = {TARGET_INITIAL,
		    TARGET_UNHEALTHY, TARGET_UNHEALTHY_DRAINING};
		enum group_mode mode = rows[i].mode;

		assert_i64(group_mode_is_open(mode), rows[i].open);
		assert_i64(group_mode_routes(mode, false, &healthy),
		    rows[i].active_healthy);
		assert_i64(group_mode_routes(mode, true, &healthy),
		    rows[i].standby_healthy);
		assert_i64(group_mode_holds_back(mode, true, &healthy),
		    !rows[i].standby_healthy);
		assert_false(group_mode_holds_back(mode, false, &healthy));
		assert_false(group_mode_holds_back(mode, true, &gone));
		for (size_t b = 0; b < 3; b++) {
			const struct target t = {.state = bad[b]};

			assert_i64(group_mode_routes(mode, false, &t),
			    rows[i].active_bad);
			assert_i64(group_mode_routes(mode, true, &t),
			    rows[i].standby_bad);
		}
		assert_false(group_mode_routes(mode, false, &gone));
		assert_false(group_mode_routes(mode, true, &gone));
	}
}

static void
counts_leave_out_who_is_not_registered(void **state)
{
	static const enum target_state states[] = {TARGET_HEALTHY,
	    TARGET_INITIAL, TARGET_UNHEALTHY, TARGET_DRAINING, TARGET_UNUSED};
	struct group_counts counts = {0};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		const struct target t = {.state = states[i]};

		group_counts_add(&counts, false, &t);
		if (i > 0)
			group_counts_add(&counts, true, &t);
	}
	assert_u64(counts.active_healthy, 1);
	assert_u64(counts.active_registered, 3);
	assert_u64(counts.standby_healthy, 0);
	assert_u64(counts.standby_registered, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mode_follows_from_counts_and_thresholds),
	    cmocka_unit_test(modes_route_to_whom_they_name),
	    cmocka_unit_test(counts_leave_out_who_is_not_registered),
	};

	return cmocka_run_group_tests_name("group_health", tests, NULL, NULL);
}
