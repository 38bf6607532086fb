/* admin/metric_samples: every metric's values, from a daemon that is not
 * there. */
#include "admin/metric_samples.h"

#include <string.h>

#include <bsd/string.h>

#include "admin_fake.h"
#include "support/expect.h"

#define SAMPLES_MAX 512

struct taken {
	struct metric_sample list[SAMPLES_MAX];
	char groups[SAMPLES_MAX][CONF_NAME_MAX + 1];
	size_t n;
};

static int
setup(void **state)
{
	static struct admin_fake fake;

	admin_fake_init(&fake, 1000000);
	strlcpy(fake.conf.lb.availability_zone, "ap-northeast-1a",
	    sizeof(fake.conf.lb.availability_zone));
	*state = &fake;
	return 0;
}

static int
teardown(void **state)
{
	admin_fake_fini(*state);
	return 0;
}

static void
take_one(void *arg, const struct metric_sample *s)
{
	struct taken *t = arg;

	assert_true(t->n < SAMPLES_MAX);
	t->list[t->n] = *s;
	if (s->target_group != NULL) {
		strlcpy(t->groups[t->n], s->target_group, CONF_NAME_MAX + 1);
		t->list[t->n].target_group = t->groups[t->n];
	}
	t->n++;
}

static const struct taken *
take(struct admin_fake *fake, unsigned by)
{
	static struct taken t;

	t.n = 0;
	assert_i64(metric_samples_each(&fake->ops, by, take_one, &t), 0);
	return &t;
}

/* The only value of the metric by that dimension whose name (of a listener, a
 * group, or a target's label) is name; NULL: any. */
static uint64_t
value(struct admin_fake *fake, enum metric_id id, enum metric_dimension by,
    const char *name)
{
	const struct taken *t = take(fake, by);
	const struct metric_sample *found = NULL;

	for (size_t i = 0; i < t->n; i++) {
		const struct metric_sample *s = &t->list[i];
		const char *of = s->listener != NULL       ? s->listener
				 : s->target_label != NULL ? s->target_label
							   : s->target_group;

		if (s->metric != &metrics[id] ||
		    (name != NULL && strcmp(of, name) != 0))
			continue;
		assert_null(found);
		found = s;
	}
	assert_non_null(found);
	return found != NULL ? found->value : 0;
}

static void
every_metric_comes_by_all_it_is_kept_by_in_one_row(void **state)
{
	const struct taken *t = take(*state, METRIC_BY_ALL);
	unsigned seen[METRIC_COUNT] = {0};

	for (size_t i = 0; i < t->n; i++) {
		size_t id = (size_t)(t->list[i].metric - metrics);

		if (i > 0 && t->list[i].metric != t->list[i - 1].metric)
			assert_ptr_equal(
			    t->list[i].metric, t->list[i - 1].metric + 1);
		seen[id] |= (unsigned)t->list[i].by;
	}
	for (size_t i = 0; i < METRIC_COUNT; i++)
		assert_u64(seen[i], metrics[i].dimensions);
}

static void
a_value_says_what_it_is_about(void **state)
{
	const struct taken *t = take(*state, METRIC_BY_ALL);

	for (size_t i = 0; i < t->n; i++) {
		const struct metric_sample *s = &t->list[i];

		assert_i64(s->listener != NULL, s->by == METRIC_BY_LISTENER);
		assert_i64(s->target != NULL, s->by == METRIC_BY_TARGET);
		assert_i64(s->target_label != NULL, s->target != NULL);
		if (s->by == METRIC_BY_ZONE)
			assert_string_equal(s->zone, "ap-northeast-1a");
		else
			assert_null(s->zone);
		if (s->target != NULL || s->by == METRIC_BY_TARGET_GROUP)
			assert_non_null(s->target_group);
	}
}

static void
values_are_the_scoreboards(void **state)
{
	struct admin_fake *fake = *state;
	struct sb_block *block = &fake->scoreboard->blocks[0];

	sb_add(&block->listeners[1].new_flows, 6);
	sb_add(&block->targets[1].new_flows, 7);
	sb_add(&block->targets[1].client_to_target_bytes, 100);
	sb_add(&block->targets[1].target_to_client_bytes, 11);
	assert_u64(
	    value(fake, METRIC_NEW_FLOWS, METRIC_BY_LISTENER, "submission"),
	    1234);
	assert_u64(
	    value(fake, METRIC_NEW_FLOWS, METRIC_BY_LISTENER, "inside"), 6);
	assert_u64(
	    value(fake, METRIC_NEW_FLOWS, METRIC_BY_LOAD_BALANCER, NULL), 1240);
	assert_u64(value(fake, METRIC_NEW_FLOWS, METRIC_BY_ZONE, NULL), 1240);
	assert_u64(
	    value(fake, METRIC_NEW_FLOWS, METRIC_BY_TARGET, "mail-2"), 7);
	assert_u64(value(fake, METRIC_NEW_FLOWS, METRIC_BY_TARGET_GROUP,
		       "internal-smtp"),
	    1210);
	assert_u64(
	    value(fake, METRIC_NEW_FLOWS, METRIC_BY_TARGET_GROUP, "spare"), 0);
	assert_u64(value(fake, METRIC_PROCESSED_BYTES, METRIC_BY_LISTENER,
		       "submission"),
	    48123456 + 1234);
	assert_u64(
	    value(fake, METRIC_PROCESSED_BYTES, METRIC_BY_TARGET, "mail-2"),
	    111);
	/* What the kernel dropped, and what user space refused. */
	sb_add(&block->listeners[0].security_group_blocked, 3);
	assert_u64(value(fake, METRIC_SECURITY_GROUP_BLOCKED_INBOUND,
		       METRIC_BY_LISTENER, "submission"),
	    17 + 3);
}

static void
hosts_are_counted_by_state(void **state)
{
	struct admin_fake *fake = *state;

	fake->health[1].state = TARGET_UNHEALTHY_DRAINING;
	assert_u64(value(fake, METRIC_HEALTHY_HOSTS, METRIC_BY_TARGET_GROUP,
		       "internal-smtp"),
	    2);
	assert_u64(value(fake, METRIC_UNHEALTHY_HOSTS, METRIC_BY_TARGET_GROUP,
		       "internal-smtp"),
	    1);
	assert_u64(
	    value(fake, METRIC_UNHEALTHY_HOSTS, METRIC_BY_ZONE, "spare"), 0);
	assert_u64(
	    value(fake, METRIC_ZONE_HEALTHY, METRIC_BY_LOAD_BALANCER, NULL), 1);
	fake->groups[0].dns_failover_count = 3;
	assert_u64(
	    value(fake, METRIC_ZONE_HEALTHY, METRIC_BY_LOAD_BALANCER, NULL), 0);
}

static void
without_a_zone_nothing_is_told_by_zone(void **state)
{
	struct admin_fake *fake = *state;

	fake->conf.lb.availability_zone[0] = '\0';
	assert_u64(take(fake, METRIC_BY_ZONE)->n, 0);
	assert_true(take(fake, METRIC_BY_LOAD_BALANCER)->n > 10);
}

static void
a_group_keeps_what_its_removed_targets_had(void **state)
{
	struct admin_fake *fake = *state;

	sb_add(&fake->scoreboard->blocks[0].targets[3].new_flows, 2);
	fake->former_spare.new_flows = 40;
	assert_u64(
	    value(fake, METRIC_NEW_FLOWS, METRIC_BY_TARGET_GROUP, "spare"), 42);
	assert_u64(
	    value(fake, METRIC_NEW_FLOWS, METRIC_BY_TARGET, "spare-1"), 2);
}

static void
peaks_are_the_nodes_and_each_listeners(void **state)
{
	struct admin_fake *fake = *state;

	fake->peaks[0] = (struct admin_peaks){1000, 10};
	fake->peaks[1] = (struct admin_peaks){700, 7};
	fake->peaks[2] = (struct admin_peaks){1600, 16};
	assert_u64(
	    value(fake, METRIC_PEAK_BYTES, METRIC_BY_LISTENER, "inside"), 700);
	assert_u64(
	    value(fake, METRIC_PEAK_PACKETS, METRIC_BY_LISTENER, "submission"),
	    10);
	assert_u64(
	    value(fake, METRIC_PEAK_BYTES, METRIC_BY_LOAD_BALANCER, NULL),
	    1600);
	assert_u64(value(fake, METRIC_PEAK_PACKETS, METRIC_BY_ZONE, NULL), 16);
}

/* The slot of a removed listener is used again, and the node's counters do not
 * go back; nor do they when a worker goes. */
static void
the_nodes_counters_outlive_listeners_and_workers(void **state)
{
	struct admin_fake *fake = *state;
	struct scoreboard *sb = fake->scoreboard;

	sb_add(&sb->blocks[0].listeners[1].new_flows, 6);
	scoreboard_retire(sb, &sb->blocks[0]);
	assert_u64(
	    value(fake, METRIC_NEW_FLOWS, METRIC_BY_LOAD_BALANCER, NULL), 1240);
	assert_u64(
	    value(fake, METRIC_ACTIVE_FLOWS, METRIC_BY_LOAD_BALANCER, NULL), 0);
	sb_add(&scoreboard_take(sb, 0, 0)->listeners[1].new_flows, 1);
	scoreboard_reset_listener(sb, 1);
	assert_u64(
	    value(fake, METRIC_NEW_FLOWS, METRIC_BY_LISTENER, "inside"), 0);
	assert_u64(
	    value(fake, METRIC_NEW_FLOWS, METRIC_BY_LOAD_BALANCER, NULL), 1241);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		every_metric_comes_by_all_it_is_kept_by_in_one_row, setup,
		teardown),
	    cmocka_unit_test_setup_teardown(
		a_value_says_what_it_is_about, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		values_are_the_scoreboards, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		hosts_are_counted_by_state, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		without_a_zone_nothing_is_told_by_zone, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_group_keeps_what_its_removed_targets_had, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		peaks_are_the_nodes_and_each_listeners, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		the_nodes_counters_outlive_listeners_and_workers, setup,
		teardown),
	};

	return cmocka_run_group_tests_name("metric_samples", tests, NULL, NULL);
}
