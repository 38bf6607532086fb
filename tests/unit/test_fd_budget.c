/* worker/fd_budget: descriptors counted before they are taken. */
#include "nlb/conf.h"
#include "worker/fd_budget.h"

#include <sys/resource.h>

#include "support/expect.h"

static void
the_soft_limit_is_raised_and_read(void **state)
{
	struct rlimit before, low, after;
	struct fd_budget b;

	(void)state;
	assert_i64(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 64;
	assert_i64(setrlimit(RLIMIT_NOFILE, &low), 0);
	fd_budget_init(&b, 0);
	assert_i64(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_u64(after.rlim_cur, before.rlim_max);
	assert_u64(b.limit, before.rlim_max > UINT32_MAX / 2 ? UINT32_MAX / 2
							     : before.rlim_max);
	assert_i64(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void
listeners_and_the_base_are_taken_at_once(void **state)
{
	struct fd_budget b;

	(void)state;
	fd_budget_init(&b, 7);
	assert_u64(b.used, b.base + 7);
}

static void
a_limit_of_some_size_keeps_room_for_new_listeners(void **state)
{
	struct fd_budget b;

	(void)state;
	assert_u64(
	    fd_budget_base(FD_BUDGET_LISTENERS_FROM - 1), FD_BUDGET_BASE);
	assert_u64(fd_budget_base(FD_BUDGET_LISTENERS_FROM),
	    FD_BUDGET_BASE + 2 * CONF_LISTENERS_MAX);
	fd_budget_init(&b, 0);
	assert_u64(b.base, fd_budget_base(b.limit));
}

static void
max_flows_is_what_two_descriptors_each_allow(void **state)
{
	struct fd_budget b = {.limit = 101, .used = 30};

	(void)state;
	assert_u64(fd_budget_max_flows(&b), 35);
	b.used = 101;
	assert_u64(fd_budget_max_flows(&b), 0);
	b.used = 200; /* somebody lowered the limit */
	assert_u64(fd_budget_max_flows(&b), 0);
}

static void
the_limit_is_never_passed(void **state)
{
	struct fd_budget b = {.limit = 100, .used = 97};

	(void)state;
	assert_true(fd_budget_take(&b, 2));
	assert_false(fd_budget_take(&b, 2));
	assert_u64(b.used, 99);
	assert_true(fd_budget_take(&b, 1));
	assert_u64(b.used, 100);
	fd_budget_give(&b, 3);
	assert_u64(b.used, 97);
}

static void
spare_descriptors_leave_an_eighth_free(void **state)
{
	struct fd_budget b = {.limit = 800, .used = 696};

	(void)state;
	assert_true(fd_budget_take_spare(&b, 2));
	assert_true(fd_budget_take_spare(&b, 2));
	assert_u64(b.used, 700);
	assert_false(fd_budget_take_spare(&b, 2));
	assert_u64(b.used, 700);
	assert_true(fd_budget_take(&b, 2));
}

int
main(void)
{
	const struct CMUnitTest fd_budget[] = {
	    cmocka_unit_test(the_soft_limit_is_raised_and_read),
	    cmocka_unit_test(listeners_and_the_base_are_taken_at_once),
	    cmocka_unit_test(max_flows_is_what_two_descriptors_each_allow),
	    cmocka_unit_test(the_limit_is_never_passed),
	    cmocka_unit_test(spare_descriptors_leave_an_eighth_free),
	    cmocka_unit_test(a_limit_of_some_size_keeps_room_for_new_listeners),
	};

	return cmocka_run_group_tests(fd_budget, NULL, NULL);
}
