/*
 * Component tests of supervisor/workers: real processes on a loop, which are
 * this program again (fake_worker.h). Not under valgrind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_worker.h"
#include "supervisor/workers.h"
#include "supervisor_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

#define N 2

struct fixture {
	uv_loop_t loop;
	struct workers workers;
	struct scoreboard *sb;
	int sb_fd, lock_fd, conf_fd;
	struct sockets sockets;
	struct channel_config head;
	size_t n_ready, n_gone, n_all_gone;
	uint32_t wanted_restarts;
	int32_t pids[N]; /* of those before */
};

static const uint16_t no_targets[1];

static void
on_spawned(void *owner, struct worker_process *w)
{
	struct fixture *f = owner;

	(void)workers_send_config(
	    w, &f->head, no_targets, &f->sockets, f->conf_fd);
}

static void
on_ready(void *owner, struct worker_process *w, uint64_t generation)
{
	struct fixture *f = owner;

	(void)w;
	f->n_ready += generation == f->head.generation;
}

static void
on_message(void *owner, struct worker_process *w, struct channel_message *m)
{
	(void)owner;
	(void)w;
	(void)m;
}

static void
on_gone(void *owner, struct worker_process *w, bool all_gone)
{
	struct fixture *f = owner;

	(void)w;
	f->n_gone++;
	f->n_all_gone += all_gone;
}

/* One listener whose "sockets" are any descriptors. */
static int
make_sockets(struct fixture *f)
{
	f->sockets.sets = calloc(1, sizeof(*f->sockets.sets));
	if (f->sockets.sets == NULL)
		return -1;
	f->sockets.n = 1;
	f->sockets.n_workers = N;
	f->sockets.sets[0].slot = 5;
	for (int i = 0; i < N; i++)
		f->sockets.sets[0].fds[i] =
		    socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return 0;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct workers_owner owner = {.owner = f,
	    .on_spawned = on_spawned,
	    .on_ready = on_ready,
	    .on_message = on_message,
	    .on_gone = on_gone};

	if (f == NULL || uv_loop_init(&f->loop) != 0 ||
	    scoreboard_create(&f->sb, &f->sb_fd) != 0 || make_sockets(f) != 0)
		return -1;
	f->lock_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	f->conf_fd = memfd_create("conf", MFD_CLOEXEC);
	f->head = (struct channel_config){.generation = 1, .n_listeners = 1};
	capture_log();
	*state = f;
	return workers_init(
	    &f->workers, &f->loop, f->sb, f->sb_fd, f->lock_fd, N, &owner);
}

static bool
none_is_alive(void *arg)
{
	const struct fixture *f = arg;

	return workers_alive(&f->workers) == 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	bool clean;

	workers_drain(&f->workers);
	workers_kill(&f->workers);
	clean = loop_run_until(&f->loop, none_is_alive, f, LOOP_DEADLINE_MS);
	workers_fini(&f->workers);
	clean = loop_finish(&f->loop) && clean;
	free(f->workers.list);
	sockets_close(&f->sockets);
	scoreboard_detach(f->sb);
	close(f->sb_fd);
	close(f->lock_fd);
	close(f->conf_fd);
	free(f);
	return clean ? 0 : -1;
}

static bool
all_serve(void *arg)
{
	const struct fixture *f = arg;

	return workers_all_serve(&f->workers, f->head.generation) &&
	       f->workers.restarts >= f->wanted_restarts;
}

static void
start(struct fixture *f, const char *mode)
{
	setenv(FAKE_WORKER_ENV, mode, 1);
	assert_errno(workers_start(&f->workers), 0);
}

static void
start_and_serve(struct fixture *f, const char *mode)
{
	start(f, mode);
	assert_true(loop_run_until(&f->loop, all_serve, f, LOOP_DEADLINE_MS));
	for (int i = 0; i < N; i++)
		f->pids[i] = f->workers.list[i].process->pid;
}

static void
wait_restarts(struct fixture *f, uint32_t n)
{
	f->wanted_restarts = n;
	assert_true(loop_run_until(&f->loop, all_serve, f, LOOP_DEADLINE_MS));
}

/* ---- serving and replacement ------------------------------------------ */

static void
worker_serves_once_it_has_said_so(void **state)
{
	struct fixture *f = *state;

	start(f, "good");
	assert_i64(f->workers.list[0].state, WORKER_STARTING);
	assert_str(worker_state_name(WORKER_STARTING), "starting");
	assert_u64(workers_alive(&f->workers), N);
	assert_false(workers_all_serve(&f->workers, 1));
	assert_true(loop_run_until(&f->loop, all_serve, f, LOOP_DEADLINE_MS));
	assert_u64(f->n_ready, N);
	assert_false(workers_all_serve(&f->workers, 2));
	for (uint32_t i = 0; i < N; i++) {
		struct worker_process *w = &f->workers.list[i];

		assert_i64(atomic_load(&w->block->pid), w->process->pid);
		assert_u64(atomic_load(&w->block->worker_index), i);
	}
}

static bool
second_config_is_in_force(void *arg)
{
	struct fixture *f = arg;

	return workers_all_serve(&f->workers, 2);
}

static void
listening_sockets_go_to_a_worker_once(void **state)
{
	struct fixture *f = *state;

	start_and_serve(f, "good");
	assert_u64(sb_get(&f->workers.list[0].block->pipes), 2);
	f->head.generation = 2;
	for (int i = 0; i < N; i++)
		on_spawned(f, &f->workers.list[i]);
	assert_true(loop_run_until(
	    &f->loop, second_config_is_in_force, f, LOOP_DEADLINE_MS));
	assert_u64(sb_get(&f->workers.list[0].block->pipes), 1);
	/* Its successor has none. */
	kill(f->pids[0], SIGKILL);
	wait_restarts(f, 1);
	assert_u64(sb_get(&f->workers.list[0].block->pipes), 2);
	assert_u64(sb_get(&f->workers.list[1].block->pipes), 1);
}

static void
killed_worker_is_replaced_at_once_and_named(void **state)
{
	struct fixture *f = *state;

	start_and_serve(f, "good");
	sb_add(&f->workers.list[0].block->ends[FLOW_END_CLIENT_FIN], 7);
	kill(f->pids[0], SIGKILL);
	wait_restarts(f, 1);
	assert_true(f->workers.list[0].process->pid != f->pids[0]);
	assert_i64(f->workers.list[1].process->pid, f->pids[1]);
	assert_u64(sb_get(&f->sb->retired.ends[FLOW_END_CLIENT_FIN]), 7);
	assert_u64(f->n_gone, 1);
	assert_u64(f->n_all_gone, 0);
	assert_true(log_has("was killed by signal 9 (Killed)"));
	assert_false(log_has("next try"));
}

static void
config_for_a_worker_without_a_channel_is_an_error(void **state)
{
	struct fixture *f = *state;

	assert_errno(workers_send_config(&f->workers.list[0], &f->head,
			 no_targets, &f->sockets, f->conf_fd),
	    -EPIPE);
	/* And a broadcast passes it by. */
	workers_broadcast(&f->workers, CHANNEL_DRAIN, NULL, 0);
}

/* ---- the crash loop --------------------------------------------------- */

static bool
waits_400_ms(void *arg)
{
	(void)arg;
	return log_lines_with("next try in 400 ms") == N;
}

static void
crash_loop_is_slowed_down_and_recovers(void **state)
{
	struct fixture *f = *state;
	uint64_t begin = uv_hrtime();

	start(f, "crash");
	assert_true(
	    loop_run_until(&f->loop, waits_400_ms, f, LOOP_DEADLINE_MS));
	/* Three at once, then after 100 and 200 ms. */
	assert_true((uv_hrtime() - begin) / 1000000 >= 300);
	assert_u64(f->workers.restarts, 6 * N);
	assert_u64(log_lines_with("next try in 100 ms"), N);
	assert_u64(log_lines_with("next try in 200 ms"), N);
	assert_u64(log_lines_with("exited with code 3"), 6 * N);
	setenv(FAKE_WORKER_ENV, "good", 1);
	assert_true(loop_run_until(&f->loop, all_serve, f, LOOP_DEADLINE_MS));
}

static bool
waits_long(void *arg)
{
	(void)arg;
	return log_lines_with("next try in 5000 ms") == 2;
}

static void
pause_has_an_upper_bound(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < N; i++)
		f->workers.list[i].quick_deaths = i == 0 ? 16 : 9;
	start(f, "crash");
	assert_true(loop_run_until(&f->loop, waits_long, f, LOOP_DEADLINE_MS));
	assert_u64(f->workers.list[0].quick_deaths, 16);
}

static void
worker_that_lived_long_is_not_held_back(void **state)
{
	struct fixture *f = *state;

	start_and_serve(f, "good");
	f->workers.list[0].quick_deaths = 10;
	f->workers.list[0].spawned_ms -= WORKERS_QUICK_DEATH_MS;
	kill(f->pids[0], SIGKILL);
	wait_restarts(f, 1);
	assert_u64(f->workers.list[0].quick_deaths, 0);
	assert_false(log_has("next try"));
}

static void
start_without_a_free_block_fails_and_keeps_nothing(void **state)
{
	struct fixture *f = *state;
	int before = count_descriptors();

	while (scoreboard_take(f->sb, 9, 0) != NULL)
		;
	assert_errno(workers_start(&f->workers), -ENOSPC);
	assert_true(log_has("cannot start worker 0: No space left"));
	assert_i64(count_descriptors(), before);
	assert_u64(workers_alive(&f->workers), 0);
}

/* ---- the watch -------------------------------------------------------- */

static void
silent_worker_is_killed_and_replaced(void **state)
{
	struct fixture *f = *state;
	uint64_t begin = uv_hrtime();

	start_and_serve(f, "silent");
	setenv(FAKE_WORKER_ENV, "good", 1);
	wait_restarts(f, N);
	assert_true(
	    (uv_hrtime() - begin) / 1000000 > WORKERS_HEARTBEAT_LIMIT_MS);
	assert_u64(log_lines_with("did not respond for 3000 ms"), N);
	/* Said once, not as a signal as well. */
	assert_false(log_has("was killed by signal"));
}

static void
worker_that_beats_without_a_channel_is_replaced(void **state)
{
	struct fixture *f = *state;

	start(f, "deaf");
	f->wanted_restarts = N;
	setenv(FAKE_WORKER_ENV, "good", 1);
	assert_true(loop_run_until(&f->loop, all_serve, f, LOOP_DEADLINE_MS));
	assert_u64(f->workers.restarts, N);
	assert_u64(f->workers.list[0].deaf_since_ms, 0);
}

static bool
somebody_is_gone(void *arg)
{
	const struct fixture *f = arg;

	return f->n_gone > 0;
}

static void
after_a_stall_of_ours_workers_get_time_to_beat(void **state)
{
	struct fixture *f = *state;
	uint64_t begin;

	start_and_serve(f, "silent");
	/* As if the whole machine had stood still. */
	for (int i = 0; i < N; i++)
		atomic_store(&f->workers.list[i].block->heartbeat_ms, 0);
	f->workers.last_watch_ms -= 2000;
	begin = uv_hrtime();
	assert_true(
	    loop_run_until(&f->loop, somebody_is_gone, f, LOOP_DEADLINE_MS));
	assert_true((uv_hrtime() - begin) / 1000000 >=
		    WORKERS_HEARTBEAT_LIMIT_MS - WORKERS_WATCH_INTERVAL_MS);
}

static bool
all_are_gone(void *arg)
{
	const struct fixture *f = arg;

	return f->n_all_gone > 0;
}

static void
worker_responds_while_it_serves_and_beats(void **state)
{
	struct fixture *f = *state;

	start(f, "silent");
	assert_false(workers_any_responds(&f->workers)); /* still starting */
	assert_true(loop_run_until(&f->loop, all_serve, f, LOOP_DEADLINE_MS));
	for (int i = 0; i < N; i++)
		atomic_store(&f->workers.list[i].block->heartbeat_ms, 0);
	assert_false(workers_any_responds(&f->workers));
	/* One is enough, and one that drains has flows to carry. */
	atomic_store(
	    &f->workers.list[1].block->heartbeat_ms, uv_hrtime() / 1000000);
	assert_true(workers_any_responds(&f->workers));
	workers_drain(&f->workers);
	assert_true(workers_any_responds(&f->workers));
	assert_true(
	    loop_run_until(&f->loop, all_are_gone, f, LOOP_DEADLINE_MS));
	assert_false(workers_any_responds(&f->workers));
}

/* ---- stopping --------------------------------------------------------- */

static void
drained_workers_have_no_successor(void **state)
{
	struct fixture *f = *state;

	start_and_serve(f, "good");
	workers_drain(&f->workers);
	assert_i64(f->workers.list[0].state, WORKER_DRAINING);
	assert_true(
	    loop_run_until(&f->loop, all_are_gone, f, LOOP_DEADLINE_MS));
	assert_u64(f->n_gone, N);
	assert_u64(f->n_all_gone, 1);
	assert_u64(f->workers.restarts, 0);
	assert_false(log_has("exited")); /* as they were told to */
}

static void
drain_right_after_the_start_ends_all(void **state)
{
	struct fixture *f = *state;

	start(f, "good");
	workers_drain(&f->workers);
	assert_true(
	    loop_run_until(&f->loop, all_are_gone, f, LOOP_DEADLINE_MS));
	assert_u64(f->n_gone, N);
}

static void
drain_while_a_worker_waits_for_its_next_try_starts_none(void **state)
{
	struct fixture *f = *state;

	start(f, "crash");
	assert_true(
	    loop_run_until(&f->loop, waits_400_ms, f, LOOP_DEADLINE_MS));
	setenv(FAKE_WORKER_ENV, "good", 1);
	assert_u64(workers_alive(&f->workers), 0);
	assert_i64(f->workers.list[0].state, WORKER_GONE);
	workers_drain(&f->workers);
	loop_run_for(&f->loop, 600); /* past the next try */
	assert_u64(workers_alive(&f->workers), 0);
}

static void
worker_that_does_not_go_can_be_killed(void **state)
{
	struct fixture *f = *state;

	start_and_serve(f, "stubborn");
	workers_drain(&f->workers);
	workers_stop(&f->workers);
	loop_run_for(&f->loop, 200);
	assert_u64(workers_alive(&f->workers), N);
	workers_kill(&f->workers);
	assert_true(
	    loop_run_until(&f->loop, all_are_gone, f, LOOP_DEADLINE_MS));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest workers[] = {
	    TEST(worker_serves_once_it_has_said_so),
	    TEST(listening_sockets_go_to_a_worker_once),
	    TEST(killed_worker_is_replaced_at_once_and_named),
	    TEST(config_for_a_worker_without_a_channel_is_an_error),
	    TEST(crash_loop_is_slowed_down_and_recovers),
	    TEST(pause_has_an_upper_bound),
	    TEST(worker_that_lived_long_is_not_held_back),
	    TEST(start_without_a_free_block_fails_and_keeps_nothing),
	    TEST(silent_worker_is_killed_and_replaced),
	    TEST(worker_that_beats_without_a_channel_is_replaced),
	    TEST(after_a_stall_of_ours_workers_get_time_to_beat),
	    TEST(worker_responds_while_it_serves_and_beats),
	    TEST(drained_workers_have_no_successor),
	    TEST(drain_right_after_the_start_ends_all),
	    TEST(drain_while_a_worker_waits_for_its_next_try_starts_none),
	    TEST(worker_that_does_not_go_can_be_killed),
	};

	fake_worker_run_if_asked(argc, argv);
	if (runs_under_valgrind()) {
		puts("1..0 # SKIP workers are exec'd from /proc/self/exe");
		return 0;
	}
	return cmocka_run_group_tests(workers, NULL, NULL);
}
