/* supervisor/traffic: peaks of the counters, sums of removed targets. */
#include "supervisor/traffic.h"

#include <string.h>
#include <unistd.h>

#include "support/expect.h"

struct fixture {
	struct scoreboard *sb;
	int fd;
	struct sb_block *block;
	struct traffic traffic;
};

static int
setup(void **state)
{
	static struct fixture f;

	assert_i64(scoreboard_create(&f.sb, &f.fd), 0);
	f.block = scoreboard_take(f.sb, 0, 0);
	assert_non_null(f.block);
	traffic_init(&f.traffic, f.sb, 1000);
	traffic_start_listener(&f.traffic, 3);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	traffic_fini(&f->traffic);
	scoreboard_detach(f->sb);
	close(f->fd);
	return 0;
}

static void
peaks_are_those_of_all_listeners_and_of_each(void **state)
{
	struct fixture *f = *state;

	sb_add(&f->block->listeners[3].client_to_target_bytes, 50000);
	sb_add(&f->block->listeners[3].target_to_client_bytes, 10000);
	sb_add(&f->block->listeners[3].client_to_target_packets, 70);
	sb_add(&f->block->listeners[3].target_to_client_packets, 30);
	sb_add(&f->block->listeners[4].target_to_client_bytes, 20000);
	traffic_tick(&f->traffic, 10999);
	assert_u64(peak_per_second(&f->traffic.node.bytes), 0);
	traffic_tick(&f->traffic, 11000);
	assert_u64(peak_per_second(&f->traffic.listeners[3].bytes), 6000);
	assert_u64(peak_per_second(&f->traffic.listeners[3].packets), 10);
	assert_u64(peak_per_second(&f->traffic.node.bytes), 8000);
	assert_u64(peak_per_second(&f->traffic.node.packets), 10);
}

/* It shares the ten seconds that have begun. */
static void
a_listener_that_comes_later_has_its_peak_with_the_others(void **state)
{
	struct fixture *f = *state;

	traffic_tick(&f->traffic, 5000);
	traffic_start_listener(&f->traffic, 5);
	sb_add(&f->block->listeners[5].client_to_target_bytes, 1000);
	traffic_tick(&f->traffic, 11000);
	assert_u64(peak_per_second(&f->traffic.listeners[5].bytes), 100);
}

/* Its counters move from the worker's block into the sums. */
static void
a_worker_that_goes_makes_no_peak(void **state)
{
	struct fixture *f = *state;

	sb_add(&f->block->listeners[3].client_to_target_bytes, 50000);
	traffic_tick(&f->traffic, 11000);
	scoreboard_retire(f->sb, f->block);
	traffic_tick(&f->traffic, 21000);
	for (uint64_t s = 31; s <= 61; s += 10)
		traffic_tick(&f->traffic, s * 1000);
	assert_u64(peak_per_second(&f->traffic.listeners[3].bytes), 5000);
	for (uint64_t s = 71; s <= 121; s += 10)
		traffic_tick(&f->traffic, s * 1000);
	assert_u64(peak_per_second(&f->traffic.listeners[3].bytes), 0);
}

static void
a_removed_targets_counters_stay_with_its_group(void **state)
{
	struct fixture *f = *state;
	struct sb_target_sum sum;

	sb_add(&f->block->targets[7].new_flows, 5);
	sb_add(&f->block->targets[7].elb_resets, 2);
	sb_add(&f->block->targets[8].new_flows, 30);
	traffic_keep_target(&f->traffic, "smtp", 7);
	traffic_keep_target(&f->traffic, "smtp", 8);
	traffic_keep_target(&f->traffic, "pop", 9);
	sum = traffic_former_targets(&f->traffic, "smtp");
	assert_u64(sum.new_flows, 35);
	assert_u64(sum.elb_resets, 2);
	assert_u64(traffic_former_targets(&f->traffic, "pop").new_flows, 0);
	assert_u64(traffic_former_targets(&f->traffic, "imap").new_flows, 0);
}

/* A flow that is counted still is no flow of the group's any more. */
static void
a_removed_target_leaves_no_active_flows(void **state)
{
	struct fixture *f = *state;

	sb_add(&f->block->targets[7].active_flows, 1);
	traffic_keep_target(&f->traffic, "smtp", 7);
	assert_u64(traffic_former_targets(&f->traffic, "smtp").active_flows, 0);
}

static bool
is_smtp(const void *arg, const char *group)
{
	(void)arg;
	return strcmp(group, "smtp") == 0;
}

static void
groups_that_are_gone_are_forgotten(void **state)
{
	struct fixture *f = *state;

	sb_add(&f->block->targets[7].new_flows, 5);
	traffic_keep_target(&f->traffic, "smtp", 7);
	traffic_keep_target(&f->traffic, "pop", 7);
	traffic_forget_groups(&f->traffic, is_smtp, NULL);
	assert_u64(traffic_former_targets(&f->traffic, "smtp").new_flows, 5);
	assert_u64(traffic_former_targets(&f->traffic, "pop").new_flows, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		peaks_are_those_of_all_listeners_and_of_each, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_listener_that_comes_later_has_its_peak_with_the_others, setup,
		teardown),
	    cmocka_unit_test_setup_teardown(
		a_worker_that_goes_makes_no_peak, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_removed_targets_counters_stay_with_its_group, setup,
		teardown),
	    cmocka_unit_test_setup_teardown(
		a_removed_target_leaves_no_active_flows, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		groups_that_are_gone_are_forgotten, setup, teardown),
	};

	return cmocka_run_group_tests_name("traffic", tests, NULL, NULL);
}
