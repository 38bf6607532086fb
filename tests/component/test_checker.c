/*
 * Component tests of health/checker: results, intervals and the cap on what
 * is under way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "checker_fixture.h"
#include "support/expect.h"

static void
lone_target_is_checked_at_once_and_succeeds(void **state)
{
	struct fixture *f = *state;
	struct addr target;
	int fd = listen_on("127.0.0.1", 8, &target);
	uint64_t begin_ms = uv_hrtime() / 1000000;

	add(f, 7, &target, 60000, 10000);
	assert_true(wait_for_results(f, 1));
	assert_u64(f->n_events, 2);
	assert_true(f->events[0].started);
	assert_u64(f->events[0].slot, 7);
	assert_u64(f->events[1].slot, 7);
	assert_i64(f->events[1].result, PROBE_SUCCESS);
	assert_string_equal(f->events[1].detail, "connected");
	/* Far below the 60 s interval, however slow the machine. */
	assert_true(f->events[1].at_ms - begin_ms < 5000);
	assert_true(f->events[1].elapsed_us < 5000000);
	close(fd);
}

static void
refused_target_fails_with_the_reason(void **state)
{
	struct fixture *f = *state;
	struct addr target;
	int fd = reserve_port(&target);

	add(f, 0, &target, 60000, 10000);
	assert_true(wait_for_results(f, 1));
	assert_i64(last_event(f)->result, PROBE_FAILURE);
	assert_string_equal(last_event(f)->detail, "connection refused");
	close(fd);
}

static void
black_holed_target_fails_at_the_timeout(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;

	assert_true(black_hole_open(&hole));
	add(f, 0, &hole.addr, 60000, 300);
	assert_true(wait_for_results(f, 1));
	assert_i64(last_event(f)->result, PROBE_FAILURE);
	assert_string_equal(last_event(f)->detail, "connection timed out");
	assert_true(last_event(f)->elapsed_us >= 280000);
	black_hole_close(&hole);
}

static void
timeout_longer_than_the_interval_never_runs_two_checks_at_once(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;

	assert_true(black_hole_open(&hole));
	add(f, 0, &hole.addr, 100, 350);
	assert_true(wait_for_results(f, 2));
	assert_u64(f->most_running, 1);
	black_hole_close(&hole);
}

static void
checks_keep_their_interval_without_drift(void **state)
{
	struct fixture *f = *state;
	const uint64_t interval_ms = 100;
	uint64_t first_ms, phase_ms;
	struct addr target;
	size_t i, late = 0;
	int fd = listen_on("127.0.0.1", 64, &target);

	add(f, 0, &target, (uint32_t)interval_ms, 10000);
	assert_true(wait_for_results(f, 12));
	/* The second check is the first in phase; drift would add up. */
	first_ms = f->events[2].at_ms;
	for (i = 4; i < f->n_events; i += 2) {
		assert_true(f->events[i].started);
		phase_ms = (f->events[i].at_ms - first_ms) % interval_ms;
		late += phase_ms > 30 && phase_ms < interval_ms - 30;
	}
	assert_true(late <= 2); /* a busy machine is late now and then */
	close(fd);
}

static void
blocked_target_fails_at_each_interval_and_nothing_is_sent(void **state)
{
	struct fixture *f = *state;
	struct check_spec spec = {
	    .interval_ms = 50, .timeout_ms = 10000, .blocked = true};
	int fd = listen_on("127.0.0.1", 8, &spec.addr);

	assert_i64(checker_set(f->checker, 0, &spec), 0);
	assert_true(wait_for_results(f, 3));
	assert_i64(last_event(f)->result, PROBE_FAILURE);
	assert_string_equal(last_event(f)->detail,
	    "blocked by the security group's outbound rules");
	assert_i64(accept(fd, NULL, NULL), -1);
	assert_i64(errno, EAGAIN);

	/* The rule changes: checked for real, without waiting long. */
	spec.blocked = false;
	assert_i64(checker_set(f->checker, 0, &spec), 0);
	assert_true(wait_for_results(f, f->n_results + 1));
	assert_i64(last_event(f)->result, PROBE_SUCCESS);
	close(fd);
}

static void
spec_that_cannot_be_checked_is_refused(void **state)
{
	struct fixture *f = *state;
	struct check_spec good = {.interval_ms = 1000, .timeout_ms = 1000};
	struct check_spec bad;

	assert_i64(addr_parse("127.0.0.1:9", &good.addr), 0);
	bad = good;
	bad.interval_ms = 0;
	assert_i64(checker_set(f->checker, 0, &bad), -EINVAL);
	bad = good;
	bad.timeout_ms = 0;
	assert_i64(checker_set(f->checker, 0, &bad), -EINVAL);
	bad = good;
	bad.addr.port = 0;
	assert_i64(checker_set(f->checker, 0, &bad), -EINVAL);
	bad = good;
	memset(&bad.addr, 0, sizeof(bad.addr));
	bad.addr.port = 9;
	assert_i64(checker_set(f->checker, 0, &bad), -EINVAL);
	bad = good;
	bad.protocol = (enum check_protocol)99;
	assert_i64(checker_set(f->checker, 0, &bad), -EINVAL);
	checker_remove(f->checker, 0); /* not there */
	checker_remove(f->checker, UINT32_MAX);
	assert_false(uv_loop_alive(&f->loop)); /* nothing to wake up for */
}

static void
checks_over_the_cap_wait_and_are_not_void(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;
	uint32_t slot;
	size_t i;

	assert_true(black_hole_open(&hole));
	checker_set_max_inflight(f->checker, 2);
	for (slot = 0; slot < 5; slot++)
		add(f, slot, &hole.addr, 60000, 1200);
	assert_true(wait_for_results(f, 5));
	assert_u64(f->most_running, 2);
	for (i = 0; i < f->n_events; i++) {
		if (f->events[i].started)
			continue;
		/* Each had its whole timeout from its own start. */
		assert_i64(f->events[i].result, PROBE_FAILURE);
		assert_true(f->events[i].elapsed_us >= 1150000);
	}
	black_hole_close(&hole);
}

static void
waiting_checks_start_when_room_is_made(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;

	assert_true(black_hole_open(&hole));
	checker_set_max_inflight(f->checker, 1);
	add(f, 1, &hole.addr, 60000, 60000);
	add(f, 2, &hole.addr, 60000, 60000);
	add(f, 3, &hole.addr, 60000, 60000);
	loop_run_for(&f->loop, 1100);
	assert_u64(f->n_started, 1);
	checker_remove(f->checker, 1);
	f->running--;
	assert_true(wait_for_started(f, 2));
	assert_u64(f->most_running, 1);
	checker_set_max_inflight(f->checker, 0); /* the default */
	assert_true(wait_for_started(f, 3));
	assert_u64(f->n_results, 0);
	black_hole_close(&hole);
}

static void
removing_a_waiting_check_leaves_the_others(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;

	assert_true(black_hole_open(&hole));
	checker_set_max_inflight(f->checker, 1);
	add(f, 1, &hole.addr, 60000, 1500);
	add(f, 2, &hole.addr, 60000, 60000);
	add(f, 3, &hole.addr, 60000, 60000);
	loop_run_for(&f->loop, 1100);
	checker_remove(f->checker, 2); /* waits: never started */
	assert_true(wait_for_started(f, 2));
	assert_u64(last_event(f)->slot, 3);
	black_hole_close(&hole);
}

static void
sleeping_checker_does_not_wake_the_loop(void **state)
{
	struct fixture *f = *state;
	struct addr target;
	int fd = listen_on("127.0.0.1", 64, &target);
	uint32_t slot;

	for (slot = 0; slot < 20; slot++)
		add(f, slot, &target, 300000, 10000);
	assert_true(wait_for_results(f, 20));
	for (slot = 0; slot < f->n_events; slot++)
		assert_i64(f->events[slot].result, PROBE_SUCCESS);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	/* The phases of 20 targets over 300 s lie about 15 s apart; the first
	 * is half an interval away at least. */
	assert_true(uv_backend_timeout(&f->loop) > 100000);
	close(fd);
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, checker_fixture_setup, checker_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest checker[] = {
	    TEST(lone_target_is_checked_at_once_and_succeeds),
	    TEST(refused_target_fails_with_the_reason),
	    TEST(black_holed_target_fails_at_the_timeout),
	    TEST(
		timeout_longer_than_the_interval_never_runs_two_checks_at_once),
	    TEST(checks_keep_their_interval_without_drift),
	    TEST(blocked_target_fails_at_each_interval_and_nothing_is_sent),
	    TEST(spec_that_cannot_be_checked_is_refused),
	    TEST(checks_over_the_cap_wait_and_are_not_void),
	    TEST(waiting_checks_start_when_room_is_made),
	    TEST(removing_a_waiting_check_leaves_the_others),
	    TEST(sleeping_checker_does_not_wake_the_loop),
	};

	return cmocka_run_group_tests(checker, NULL, NULL);
}
