/* The verdict on a zone: thresholds as counts and shares, over groups. */
#include "support/expect.h"

#include "nlb/zone_health.h"

static void
group_is_healthy_from_its_thresholds_on(void **state)
{
	static const struct {
		struct zone_group group; /* carries, healthy, of, count, % */
		bool healthy;
	} rows[] = {
	    /* the default: one healthy target */
	    {{true, 0, 3, 1, 0}, false},
	    {{true, 1, 3, 1, 0}, true},
	    /* a count */
	    {{true, 1, 3, 2, 0}, false},
	    {{true, 2, 3, 2, 0}, true},
	    {{true, 3, 3, 4, 0}, false},
	    /* a percentage, not rounded in anybody's favour */
	    {{true, 1, 3, 0, 33}, true},
	    {{true, 1, 3, 0, 34}, false},
	    {{true, 49, 100, 0, 50}, false},
	    {{true, 50, 100, 0, 50}, true},
	    {{true, 2, 3, 0, 100}, false},
	    {{true, 3, 3, 0, 100}, true},
	    /* both: either one that is missed is enough */
	    {{true, 2, 10, 2, 50}, false},
	    {{true, 5, 10, 6, 50}, false},
	    {{true, 6, 10, 6, 50}, true},
	    /* off */
	    {{true, 0, 3, 0, 0}, true},
	    /* nobody is registered here */
	    {{true, 0, 0, 1, 0}, false},
	    {{true, 0, 0, 0, 1}, false},
	    {{true, 0, 0, 0, 0}, true},
	    /* no flow depends on it */
	    {{false, 0, 3, 1, 100}, true},
	    /* no overflow */
	    {{true, UINT32_MAX, UINT32_MAX, 1, 100}, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (zone_group_is_healthy(&rows[i].group) != rows[i].healthy)
			fail_msg("row %zu", i);
	}
}

static void
one_unhealthy_group_makes_the_zone_unhealthy(void **state)
{
	struct zone_group groups[] = {
	    {true, 1, 1, 1, 0},
	    {true, 2, 2, 1, 0},
	    {false, 0, 1, 1, 0},
	};

	(void)state;
	assert_true(zone_is_healthy(groups, 0));
	assert_true(zone_is_healthy(groups, 3));
	groups[1].healthy = 0;
	assert_false(zone_is_healthy(groups, 3));
	assert_true(zone_is_healthy(groups, 1));
}

static void
dns_threshold_is_at_least_the_routing_threshold(void **state)
{
	(void)state;
	assert_true(zone_thresholds_agree(1, 1));
	assert_true(zone_thresholds_agree(3, 2));
	assert_false(zone_thresholds_agree(1, 2));
	assert_true(zone_thresholds_agree(0, 2));
	assert_true(zone_thresholds_agree(2, 0));
	assert_true(zone_thresholds_agree(0, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(group_is_healthy_from_its_thresholds_on),
	    cmocka_unit_test(one_unhealthy_group_makes_the_zone_unhealthy),
	    cmocka_unit_test(dns_threshold_is_at_least_the_routing_threshold),
	};

	return cmocka_run_group_tests_name("zone_health", tests, NULL, NULL);
}
