/* worker/pipe_pool: pipes on loan, and the budget they are taken from. */
#include "worker/pipe_pool.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "support/loop_support.h"

static int
setup(void **state)
{
	(void)state;
	fault_reset();
	return 0;
}

static void
a_pipe_that_came_back_is_lent_again(void **state)
{
	struct fd_budget b = {.limit = 1000, .used = 10};
	struct pipe_pool pool;
	struct pipe *first, *second;
	int before = count_descriptors();

	(void)state;
	pipe_pool_init(&pool, &b);
	first = pipe_pool_take(&pool);
	assert_non_null(first);
	assert_u64(b.used, 12);
	assert_u64(pool.n_lent, 1);
	assert_u64_between(first->size, 4096, PIPE_SIZE_WANTED);
	pipe_pool_give(&pool, first);
	assert_u64(pool.n_lent, 0);
	assert_u64(pool.n_idle, 1);
	second = pipe_pool_take(&pool);
	assert_ptr_equal(second, first);
	assert_u64(fault_calls(FAULT_PIPE2), 1);
	pipe_pool_discard(&pool, second);
	assert_u64(b.used, 10);
	pipe_pool_fini(&pool);
	assert_i64(count_descriptors(), before);
}

static void
the_pool_keeps_a_few_and_closes_the_rest(void **state)
{
	struct fd_budget b = {.limit = 10000, .used = 10};
	struct pipe_pool pool;
	struct pipe *pipes[PIPE_POOL_IDLE_MAX + 5];
	const size_t n = sizeof(pipes) / sizeof(pipes[0]);
	int before = count_descriptors();

	(void)state;
	pipe_pool_init(&pool, &b);
	for (size_t i = 0; i < n; i++)
		pipes[i] = pipe_pool_take(&pool);
	assert_u64(pool.n_lent, n);
	for (size_t i = 0; i < n; i++)
		pipe_pool_give(&pool, pipes[i]);
	assert_u64(pool.n_lent, 0);
	assert_u64(pool.n_idle, PIPE_POOL_IDLE_MAX);
	assert_u64(b.used, 10 + 2 * PIPE_POOL_IDLE_MAX);
	assert_i64(count_descriptors(), before + 2 * PIPE_POOL_IDLE_MAX);
	pipe_pool_fini(&pool);
	assert_u64(b.used, 10);
	assert_i64(count_descriptors(), before);
}

static void
pipes_leave_an_eighth_of_the_budget_to_flows(void **state)
{
	struct fd_budget b = {.limit = 80, .used = 66};
	struct pipe_pool pool;
	struct pipe *p, *q;

	(void)state;
	pipe_pool_init(&pool, &b);
	p = pipe_pool_take(&pool);
	q = pipe_pool_take(&pool);
	assert_non_null(p);
	assert_non_null(q);
	assert_null(pipe_pool_take(&pool));
	assert_u64(b.used, 70);
	assert_u64(pool.n_lent, 2);
	pipe_pool_give(&pool, p);
	pipe_pool_give(&pool, q);
	pipe_pool_fini(&pool);
}

static void
a_pipe_that_cannot_be_made_costs_nothing(void **state)
{
	static const enum fault_call calls[] = {FAULT_PIPE2, FAULT_MALLOC};
	struct fd_budget b = {.limit = 1000, .used = 10};
	struct pipe_pool pool;

	(void)state;
	pipe_pool_init(&pool, &b);
	for (size_t i = 0; i < 2; i++) {
		fault_set(calls[i], 0, 1, ENOMEM);
		assert_null(pipe_pool_take(&pool));
		assert_u64(fault_hits(calls[i]), 1);
		assert_u64(b.used, 10);
		assert_u64(pool.n_lent, 0);
	}
	pipe_pool_fini(&pool);
}

int
main(void)
{
	const struct CMUnitTest pipe_pool[] = {
	    cmocka_unit_test_setup(a_pipe_that_came_back_is_lent_again, setup),
	    cmocka_unit_test_setup(
		the_pool_keeps_a_few_and_closes_the_rest, setup),
	    cmocka_unit_test_setup(
		pipes_leave_an_eighth_of_the_budget_to_flows, setup),
	    cmocka_unit_test_setup(
		a_pipe_that_cannot_be_made_costs_nothing, setup),
	};

	return cmocka_run_group_tests(pipe_pool, NULL, NULL);
}
