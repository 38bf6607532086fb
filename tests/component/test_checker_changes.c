/*
 * Component tests of health/checker: slots that change or go, from outside
 * and from its own callbacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "checker_fixture.h"
#include "nlb/proxy_v2.h"
#include "support/expect.h"

static void
unchanged_spec_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;

	assert_true(black_hole_open(&hole));
	add(f, 0, &hole.addr, 60000, 400);
	assert_true(wait_for_started(f, 1));
	add(f, 0, &hole.addr, 60000, 400);
	assert_true(wait_for_results(f, 1));
	assert_u64(f->n_started, 1);
	assert_string_equal(last_event(f)->detail, "connection timed out");
	black_hole_close(&hole);
}

static void
changed_address_cancels_the_check_under_way(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;
	struct addr target;
	int fd = listen_on("127.0.0.1", 8, &target);

	assert_true(black_hole_open(&hole));
	add(f, 0, &hole.addr, 60000, 60000);
	assert_true(wait_for_started(f, 1));
	add(f, 0, &target, 60000, 60000);
	assert_true(wait_for_results(f, 1));
	assert_u64(f->n_started, 2);
	assert_u64(f->n_results, 1);
	assert_i64(last_event(f)->result, PROBE_SUCCESS);
	black_hole_close(&hole);
	close(fd);
}

static void
changed_proxy_v2_checks_again_with_the_header(void **state)
{
	struct fixture *f = *state;
	struct check_spec spec = {
	    .protocol = CHECK_TCP, .interval_ms = 60000, .timeout_ms = 60000};
	char bytes[2 * PROXY_V2_SIZE];
	int fd = listen_on("127.0.0.1", 8, &spec.addr);
	int without, with;

	assert_i64(checker_set(f->checker, 0, &spec), 0);
	assert_true(wait_for_results(f, 1));
	spec.proxy_v2 = true;
	assert_i64(checker_set(f->checker, 0, &spec), 0);
	assert_true(wait_for_results(f, 2));
	without = accept(fd, NULL, NULL);
	with = accept(fd, NULL, NULL);
	assert_i64(recv(without, bytes, sizeof(bytes), MSG_WAITALL), 0);
	assert_i64(
	    recv(with, bytes, sizeof(bytes), MSG_WAITALL), PROXY_V2_SIZE);
	close(without);
	close(with);
	close(fd);
}

static void
changed_interval_and_timeout_count_from_the_next_check_on(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;
	struct addr target;
	int fd = listen_on("127.0.0.1", 64, &target);

	/* Shorter: nobody waits for the rest of the old interval. */
	add(f, 0, &target, 300000, 10000);
	assert_true(wait_for_results(f, 1));
	add(f, 0, &target, 100, 10000);
	assert_true(wait_for_results(f, 4));
	/* Longer: at most the one that is due already. */
	add(f, 0, &target, 300000, 10000);
	loop_run_for(&f->loop, 400);
	assert_true(f->n_results <= 5);
	checker_remove(f->checker, 0);

	/* The check under way keeps its timeout. */
	assert_true(black_hole_open(&hole));
	f->n_started = f->n_results = 0;
	f->wanted_results = 0;
	add(f, 1, &hole.addr, 300000, 400);
	assert_true(wait_for_started(f, 1));
	add(f, 1, &hole.addr, 300000, 200000);
	assert_true(wait_for_results(f, 1));
	assert_true(last_event(f)->elapsed_us >= 399000);
	black_hole_close(&hole);
	close(fd);
}

static void
removed_slot_gives_no_result(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;
	int descriptors;

	assert_true(black_hole_open(&hole));
	uv_run(&f->loop, UV_RUN_NOWAIT);
	descriptors = count_descriptors();
	add(f, 0, &hole.addr, 1000, 200);
	assert_true(wait_for_started(f, 1));
	checker_remove(f->checker, 0);
	assert_i64(count_descriptors(), descriptors);
	loop_run_for(&f->loop, 300);
	assert_u64(f->n_results, 0);
	black_hole_close(&hole);
}

static void
remove_slot(struct fixture *f, uint32_t slot)
{
	checker_remove(f->checker, slot);
}

static void
remove_all(struct fixture *f, uint32_t slot)
{
	uint32_t i;

	(void)slot;
	for (i = 0; i < 50; i++)
		checker_remove(f->checker, i);
}

static void
replace_slot(struct fixture *f, uint32_t slot)
{
	/* Likely at the same address in memory: H12's stale event. */
	checker_remove(f->checker, slot);
	checker_set(f->checker, slot, &f->spec);
}

static void
change_slot(struct fixture *f, uint32_t slot)
{
	checker_set(f->checker, slot, &f->spec);
}

static void
destroy_checker(struct fixture *f, uint32_t slot)
{
	(void)slot;
	checker_destroy(f->checker);
	f->checker = NULL;
}

static void
started_callback_may_remove_and_replace_its_slot(void **state)
{
	struct fixture *f = *state;
	struct addr target;
	int refused = reserve_port(&target);
	int fd = listen_on("127.0.0.1", 8, &f->spec.addr);

	f->spec.interval_ms = f->spec.timeout_ms = 60000;
	f->on_started = remove_slot;
	add(f, 1, &target, 60000, 60000);
	assert_true(wait_for_started(f, 1));
	loop_run_for(&f->loop, 50);
	assert_u64(f->n_results, 0);

	f->on_started = replace_slot;
	add(f, 1, &target, 60000, 60000);
	assert_true(wait_for_results(f, 1));
	assert_u64(f->n_started, 3);
	assert_i64(last_event(f)->result, PROBE_SUCCESS);

	f->on_started = change_slot;
	add(f, 2, &target, 60000, 60000);
	assert_true(wait_for_results(f, 2));
	assert_u64(f->n_started, 5);
	assert_i64(last_event(f)->result, PROBE_SUCCESS);
	close(refused);
	close(fd);
}

static void
result_callback_may_remove_and_replace_any_slot(void **state)
{
	struct fixture *f = *state;
	struct addr target;
	uint32_t slot;
	int refused = reserve_port(&target);
	int fd = listen_on("127.0.0.1", 8, &f->spec.addr);

	f->spec.interval_ms = f->spec.timeout_ms = 60000;
	f->on_result = replace_slot;
	add(f, 1, &target, 60000, 60000);
	assert_true(wait_for_results(f, 2));
	assert_i64(f->events[1].result, PROBE_FAILURE);
	assert_i64(last_event(f)->result, PROBE_SUCCESS);

	f->on_result = remove_all;
	for (slot = 0; slot < 50; slot++)
		add(f, slot, &target, 1, 60000);
	assert_true(wait_for_results(f, 3));
	loop_run_for(&f->loop, 50);
	assert_u64(f->n_results, 3);
	assert_false(uv_loop_alive(&f->loop));
	close(refused);
	close(fd);
}

static void
callbacks_may_destroy_the_checker(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;
	struct addr target;
	int i, refused = reserve_port(&target);

	assert_true(black_hole_open(&hole));
	/* From: the start, an immediate result, a late one, a timeout. */
	for (i = 0; i < 4; i++) {
		f->spec.addr = i == 3 ? hole.addr : target;
		f->spec.interval_ms = 60000;
		f->spec.timeout_ms = 100;
		f->spec.blocked = i == 1;
		f->n_results = f->n_started = f->wanted_results = 0;
		if (f->checker == NULL)
			assert_i64(checker_create(&f->loop, f, on_started,
				       on_result, &f->checker),
			    0);
		if (i == 0)
			f->on_started = destroy_checker;
		else
			f->on_result = destroy_checker;
		assert_i64(checker_set(f->checker, 1, &f->spec), 0);
		assert_i64(checker_set(f->checker, 2, &f->spec), 0);
		assert_true(wait_for_started(f, 1));
		if (i != 0)
			assert_true(wait_for_results(f, 1));
		assert_null(f->checker);
	}
	close(refused);
	black_hole_close(&hole);
}

static void
destroyed_with_checks_under_way_leaks_nothing(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;
	uint32_t slot;
	int descriptors;

	assert_true(black_hole_open(&hole));
	uv_run(&f->loop, UV_RUN_NOWAIT);
	descriptors = count_descriptors();
	checker_set_max_inflight(f->checker, 10);
	for (slot = 0; slot < 30; slot++)
		add(f, slot * 1000003, &hole.addr, 100, 60000);
	assert_true(wait_for_started(f, 10));
	loop_run_for(&f->loop, 150); /* the other 20 wait */
	assert_u64(f->n_started, 10);
	checker_destroy(f->checker);
	f->checker = NULL;
	assert_i64(count_descriptors(), descriptors);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_u64(f->n_results, 0);
	black_hole_close(&hole);
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, checker_fixture_setup, checker_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest checker_changes[] = {
	    TEST(unchanged_spec_changes_nothing),
	    TEST(changed_address_cancels_the_check_under_way),
	    TEST(changed_proxy_v2_checks_again_with_the_header),
	    TEST(changed_interval_and_timeout_count_from_the_next_check_on),
	    TEST(removed_slot_gives_no_result),
	    TEST(started_callback_may_remove_and_replace_its_slot),
	    TEST(result_callback_may_remove_and_replace_any_slot),
	    TEST(callbacks_may_destroy_the_checker),
	    TEST(destroyed_with_checks_under_way_leaks_nothing),
	};

	return cmocka_run_group_tests(checker_changes, NULL, NULL);
}
