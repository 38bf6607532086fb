/*
 * Component tests of health/checker: herds, stalls of the loop and a node
 * without resources.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "checker_fixture.h"
#include "support/expect.h"

/* The process stands still: the stimulus of the stall tests. */
static void
stall_ms(unsigned ms)
{
	struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};

	while (nanosleep(&left, &left) == -1 && errno == EINTR)
		;
}

static void
on_stall_timer(uv_timer_t *timer)
{
	(void)timer;
	stall_ms(1200);
}

/* After the poll, so that the timers come first afterwards. */
static void
on_stall_with_answer(uv_check_t *check)
{
	const struct black_hole *hole = check->data;

	listen(
	    hole->listener, 64); /* takes the next SYN, 1 s after the first */
	stall_ms(1600);
	uv_check_stop(check);
}

static void
ignore_close(uv_handle_t *handle)
{
	(void)handle;
}

/* The most and fewest checks started in a window of width_ms. */
static void
count_buckets(const struct fixture *f, uint64_t from_ms, uint64_t width_ms,
    size_t *buckets, size_t n)
{
	size_t i;

	memset(buckets, 0, n * sizeof(*buckets));
	for (i = 0; i < f->n_events; i++) {
		uint64_t bucket;

		if (!f->events[i].started || f->events[i].at_ms < from_ms)
			continue;
		bucket = (f->events[i].at_ms - from_ms) / width_ms;
		if (bucket < n)
			buckets[bucket]++;
	}
}

static void
targets_added_together_are_spread_over_time(void **state)
{
	enum { TARGETS = 200, INTERVAL_MS = 2000, WIDTH_MS = 200 };
	struct fixture *f = *state;
	uint64_t begin_ms = uv_hrtime() / 1000000;
	size_t first[5], later[10], seen[TARGETS] = {0}, i, total;
	struct addr target;
	int fd = listen_on("127.0.0.1", 4096, &target);

	for (i = 0; i < TARGETS; i++)
		add(f, (uint32_t)i, &target, INTERVAL_MS, 10000);
	/* Two whole rounds in phase, after the first one. */
	loop_run_for(&f->loop, 3 * INTERVAL_MS + 200);

	/* First round: all of them within 1 s, 40 in each 200 ms. */
	count_buckets(f, begin_ms, WIDTH_MS, first, 5);
	for (i = total = 0; i < 5; i++) {
		assert_true(first[i] <= 80);
		total += first[i];
	}
	assert_true(total >= TARGETS * 9 / 10);
	for (i = 0; i < f->n_events; i++)
		if (f->events[i].started &&
		    f->events[i].at_ms < begin_ms + 1900)
			seen[f->events[i].slot]++;
	for (i = 0; i < TARGETS; i++)
		assert_true(seen[i] >= 1);

	/* A later round: over the whole interval, 20 in each 200 ms. */
	count_buckets(f, begin_ms + 2 * INTERVAL_MS, WIDTH_MS, later, 10);
	for (i = total = 0; i < 10; i++) {
		assert_true(later[i] <= 40);
		total += later[i];
	}
	assert_true(total >= TARGETS * 95 / 100);
	assert_true(total <= TARGETS * 105 / 100);
	close(fd);
}

static void
answer_that_came_in_a_stall_is_a_success(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;
	static uv_check_t stall; /* outlives a failed assertion */

	assert_true(black_hole_open(&hole));
	add(f, 1, &hole.addr, 60000, 300);
	assert_true(wait_for_started(f, 1));
	uv_check_init(&f->loop, &stall);
	stall.data = &hole;
	uv_check_start(&stall, on_stall_with_answer);
	assert_true(wait_for_results(f, 1));
	uv_close((uv_handle_t *)&stall, ignore_close);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_i64(last_event(f)->result, PROBE_SUCCESS);
	assert_true(last_event(f)->elapsed_us >= 1600000);
	black_hole_close(&hole);
}

static void
timeout_in_a_stall_of_our_own_is_void(void **state)
{
	struct fixture *f = *state;
	struct black_hole hole;
	struct addr target;
	static uv_timer_t timer; /* outlives a failed assertion */
	int fd = listen_on("127.0.0.1", 8, &target);
	size_t i, answered = 0, voids = 0;

	assert_true(black_hole_open(&hole));
	add(f, 1, &hole.addr, 60000, 300);
	assert_true(wait_for_started(f, 1));
	uv_timer_init(&f->loop, &timer);
	uv_timer_start(&timer, on_stall_timer, 0, 0);
	assert_true(wait_for_results(f, 1));
	assert_i64(last_event(f)->result, PROBE_VOID);
	assert_string_equal(
	    last_event(f)->detail, "timed out while nlbd itself was stalled");
	assert_true(last_event(f)->elapsed_us >= 1200000);

	/* The next one, without a stall, is a failure; checks that came due
	 * in the stall are made up for. */
	checker_remove(f->checker, 1);
	f->n_events = f->n_results = f->n_started = 0;
	add(f, 2, &hole.addr, 300, 300);
	add(f, 3, &target, 300, 300);
	assert_true(wait_for_results(f, 2));
	f->n_events = f->n_results = 0;
	uv_timer_start(&timer, on_stall_timer, 0, 0);
	assert_true(wait_for_results(f, 6));
	for (i = 0; i < f->n_events; i++) {
		if (f->events[i].started)
			continue;
		voids += f->events[i].result == PROBE_VOID;
		if (f->events[i].slot == 3) {
			assert_i64(f->events[i].result, PROBE_SUCCESS);
			answered++;
		}
	}
	assert_true(answered >= 2);
	assert_true(voids <= 1); /* the one under way, no other */
	uv_close((uv_handle_t *)&timer, ignore_close);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	black_hole_close(&hole);
	close(fd);
}

static void
checks_missed_in_a_stall_do_not_come_in_a_burst(void **state)
{
	struct fixture *f = *state;
	struct addr target;
	uint64_t end_ms;
	size_t buckets[5], i, total = 0;
	uint32_t slot;
	int fd = listen_on("127.0.0.1", 4096, &target);

	for (slot = 0; slot < 100; slot++)
		add(f, slot, &target, 1000, 10000);
	assert_true(wait_for_results(f, 150));
	stall_ms(1500);
	end_ms = uv_hrtime() / 1000000;
	f->n_events = 0;
	loop_run_for(&f->loop, 1100);
	/* 20 in each 200 ms. */
	count_buckets(f, end_ms, 200, buckets, 5);
	for (i = 0; i < 5; i++) {
		assert_true(buckets[i] <= 50);
		total += buckets[i];
	}
	assert_true(total >= 80); /* every check once, not twice */
	assert_true(total <= 160);
	close(fd);
}

static void
no_free_descriptor_makes_the_check_void(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, none;
	struct addr target;
	bool done;
	int fd = listen_on("127.0.0.1", 8, &target);

	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_i64(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	add(f, 0, &target, 100, 10000);
	assert_i64(setrlimit(RLIMIT_NOFILE, &none), 0);
	done = wait_for_results(f, 2);
	assert_i64(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(done);
	assert_i64(f->events[1].result, PROBE_VOID);
	assert_i64(f->events[3].result, PROBE_VOID);
	assert_true(wait_for_results(f, 3));
	assert_i64(last_event(f)->result, PROBE_SUCCESS);
	close(fd);
}

static void
add_protocol(struct fixture *f, enum check_protocol protocol,
    const struct addr *target, uint32_t interval_ms, uint32_t timeout_ms)
{
	struct check_spec spec = {.protocol = protocol,
	    .addr = *target,
	    .interval_ms = interval_ms,
	    .timeout_ms = timeout_ms,
	    .path = "/"};

	assert_i64(checker_set(f->checker, 0, &spec), 0);
}

static void
answer_missed_in_a_stall_is_void_for_every_protocol(void **state)
{
	struct fixture *f = *state;
	struct addr target;
	static uv_timer_t timer; /* outlives a failed assertion */
	int fd = listen_on("127.0.0.1", 8, &target); /* takes, and is silent */

	uv_timer_init(&f->loop, &timer);
	for (int p = CHECK_HTTP; p <= CHECK_SMTP; p++) {
		size_t n = f->n_results;

		add_protocol(f, (enum check_protocol)p, &target, 60000, 700);
		assert_true(wait_for_started(f, f->n_started + 1));
		/* Until then the connection is made and the request sent; the
		 * timeout falls into the stall, on a slow machine as well. */
		uv_timer_start(&timer, on_stall_timer, 100, 0);
		assert_true(wait_for_results(f, n + 1));
		assert_string_equal(last_event(f)->detail,
		    "timed out while nlbd itself was stalled");
		assert_i64(last_event(f)->result, PROBE_VOID);
		/* The same without a stall. */
		checker_remove(f->checker, 0);
		add_protocol(f, (enum check_protocol)p, &target, 60000, 300);
		assert_true(wait_for_results(f, n + 2));
		assert_i64(last_event(f)->result, PROBE_FAILURE);
		checker_remove(f->checker, 0);
	}
	uv_close((uv_handle_t *)&timer, ignore_close);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	close(fd);
}

static void
no_free_descriptor_is_void_for_every_protocol(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, none;
	struct addr target;
	bool done = true;
	int fd = listen_on("127.0.0.1", 8, &target);

	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_i64(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_i64(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int p = CHECK_HTTP; p <= CHECK_SMTP && done; p++) {
		add_protocol(f, (enum check_protocol)p, &target, 100, 10000);
		done = wait_for_results(f, f->n_results + 1) &&
		       last_event(f)->result == PROBE_VOID;
	}
	assert_i64(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(done);
	assert_string_equal(
	    last_event(f)->detail, "no free file descriptor for the check");
	close(fd);
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, checker_fixture_setup, checker_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest checker_void[] = {
	    TEST(targets_added_together_are_spread_over_time),
	    TEST(answer_that_came_in_a_stall_is_a_success),
	    TEST(timeout_in_a_stall_of_our_own_is_void),
	    TEST(checks_missed_in_a_stall_do_not_come_in_a_burst),
	    TEST(no_free_descriptor_makes_the_check_void),
	    TEST(answer_missed_in_a_stall_is_void_for_every_protocol),
	    TEST(no_free_descriptor_is_void_for_every_protocol),
	};

	return cmocka_run_group_tests(checker_void, NULL, NULL);
}
