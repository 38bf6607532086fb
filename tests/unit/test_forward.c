/* Weighted target groups: shares as the weights say, the same on every node,
 * and moved by nothing but the weights. */
#include "support/expect.h"

#include "base/hash.h"
#include "nlb/forward.h"

#define FLOWS 200000

static uint64_t
flow_hash(unsigned i)
{
	return hash_mix(i + 1);
}

static void
count_picks(const uint32_t *weights, size_t n, uint32_t excluded,
    unsigned count[FORWARD_GROUPS_MAX])
{
	for (size_t i = 0; i < FORWARD_GROUPS_MAX; i++)
		count[i] = 0;
	for (unsigned i = 0; i < FLOWS; i++) {
		int pick = forward_pick(weights, n, excluded, flow_hash(i));

		assert_true(pick >= 0 && (size_t)pick < n);
		count[pick]++;
	}
}

/* The standard deviation of a share is at most 224 of 200,000 flows: half a
 * percent of all flows is 4.5 of it (and the flows are fixed). */
static void
shares_are_weight_of_sum_within_half_a_percent(void **state)
{
	static const struct {
		size_t n;
		uint32_t weights[FORWARD_GROUPS_MAX];
	} rows[] = {
	    {1, {7}},
	    {2, {90, 10}},
	    {2, {1, 1}},
	    {2, {999, 1}},
	    {3, {1, 2, 3}},
	    {5, {100, 0, 300, 1, 99}},
	    {5, {999, 999, 999, 999, 999}},
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		unsigned count[FORWARD_GROUPS_MAX];
		uint64_t sum = 0;

		count_picks(rows[r].weights, rows[r].n, 0, count);
		for (size_t i = 0; i < rows[r].n; i++)
			sum += rows[r].weights[i];
		for (size_t i = 0; i < rows[r].n; i++) {
			int64_t due =
			    (int64_t)(FLOWS * rows[r].weights[i] / sum);

			assert_true((int64_t)count[i] >= due - FLOWS / 200);
			assert_true((int64_t)count[i] <= due + FLOWS / 200);
		}
	}
}

static void
weight_zero_gets_nothing(void **state)
{
	static const uint32_t weights[] = {0, 1, 0, 999, 0};
	unsigned count[FORWARD_GROUPS_MAX];

	(void)state;
	count_picks(weights, 5, 0, count);
	assert_u64(count[0] + count[2] + count[4], 0);
	assert_u64(count[1] > 0, 1);
}

static void
nobody_is_chosen_where_no_weight_is_left(void **state)
{
	static const uint32_t none[] = {0, 0};
	static const uint32_t two[] = {5, 6};

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		assert_i64(
		    forward_pick(none, 2, 0, flow_hash(i)), FORWARD_NONE);
		assert_i64(forward_pick(two, 0, 0, flow_hash(i)), FORWARD_NONE);
		assert_i64(
		    forward_pick(two, 2, 0x3, flow_hash(i)), FORWARD_NONE);
	}
}

static void
excluded_groups_leave_their_share_to_the_others_by_weight(void **state)
{
	static const uint32_t weights[] = {50, 10, 30};
	unsigned count[FORWARD_GROUPS_MAX];

	(void)state;
	count_picks(weights, 3, 1u << 0, count);
	assert_u64(count[0], 0);
	assert_u64_between(count[1], FLOWS / 4 - 1000, FLOWS / 4 + 1000);
	assert_u64_between(
	    count[2], FLOWS / 4 * 3 - 1000, FLOWS / 4 * 3 + 1000);
}

/* Numbers written down once: another node, compiler or version must come to
 * the same choice. */
static void
choices_are_the_same_on_every_node(void **state)
{
	static const uint32_t weights[] = {70, 20, 10};
	static const int picks[] = {2, 1, 0, 1, 1, 2, 1, 0, 0, 0, 0, 1, 0, 0, 0,
	    0, 0, 0, 0, 0, 0, 1, 1, 0};

	(void)state;
	for (unsigned i = 0; i < sizeof(picks) / sizeof(picks[0]); i++)
		assert_i64(forward_pick(weights, 3, 0, flow_hash(i)), picks[i]);
}

/* 10 % more for one group: no flow moves between the others' front parts, and
 * far fewer flows than all move. */
static void
a_small_shift_moves_few_flows(void **state)
{
	static const uint32_t before[] = {90, 10}, after[] = {80, 20};
	unsigned moved = 0;

	(void)state;
	for (unsigned i = 0; i < FLOWS; i++)
		moved += forward_pick(before, 2, 0, flow_hash(i)) !=
			 forward_pick(after, 2, 0, flow_hash(i));
	assert_u64_between(moved, FLOWS / 10 - 1000, FLOWS / 10 + 1000);
}

/* The choice of the group says nothing about hash % slots inside it. */
static void
choice_is_independent_of_the_hash_that_picks_the_target(void **state)
{
	static const uint32_t weights[] = {1, 1};
	unsigned count[2][4] = {{0}};

	(void)state;
	for (unsigned i = 0; i < FLOWS; i++) {
		uint64_t h = flow_hash(i);

		count[forward_pick(weights, 2, 0, h)][h % 4]++;
		count[forward_pick(weights, 2, 0, h)][h >> 62]++;
	}
	for (size_t g = 0; g < 2; g++)
		for (size_t t = 0; t < 4; t++)
			assert_u64_between(
			    count[g][t], FLOWS / 4 - 1500, FLOWS / 4 + 1500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(shares_are_weight_of_sum_within_half_a_percent),
	    cmocka_unit_test(weight_zero_gets_nothing),
	    cmocka_unit_test(nobody_is_chosen_where_no_weight_is_left),
	    cmocka_unit_test(
		excluded_groups_leave_their_share_to_the_others_by_weight),
	    cmocka_unit_test(choices_are_the_same_on_every_node),
	    cmocka_unit_test(a_small_shift_moves_few_flows),
	    cmocka_unit_test(
		choice_is_independent_of_the_hash_that_picks_the_target),
	};

	return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
