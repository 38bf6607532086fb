/*
 * worker/worker: the supervisor is gone, a successor comes. A child process
 * plays the successor: it holds the lock that says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bsd/unistd.h>

#include "faults.h"
#include "ipc/worker_fd.h"
#include "support/expect.h"
#include "worker/listener.h"
#include "worker_fixture.h"

/* The worker finds the lock file at a fixed number, as in its own process. */
static int
group_setup(void **state)
{
	int fd = memfd_create("lock", 0);

	(void)state;
	for (int i = 3; i <= WORKER_FD_LOCK; i++)
		if (i != fd && fcntl(i, F_GETFD) == -1)
			dup2(fd, i);
	return dup2(fd, WORKER_FD_LOCK) == WORKER_FD_LOCK ? 0 : -1;
}

/* A child that holds the lock byte from the moment this returns. */
static pid_t
hold_lock(enum lock_byte byte)
{
	struct flock lock = {.l_type = F_WRLCK,
	    .l_whence = SEEK_SET,
	    .l_start = byte,
	    .l_len = 1};
	int ready[2];
	char c;
	pid_t pid;

	assert_i64(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* The worker's sockets are not to stay open here. */
		dup2(ready[1], WORKER_FD_COUNT);
		closefrom(WORKER_FD_COUNT + 1);
		if (fcntl(WORKER_FD_LOCK, F_SETLK, &lock) == 0 &&
		    write(WORKER_FD_COUNT, "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	assert_i64(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void
end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_i64(waitpid(pid, NULL, 0), pid);
}

static int
setup(void **state)
{
	struct rig *r;

	rig_setup(state);
	r = *state;
	rig_add_target(r, 64);
	rig_apply_keys(r, "", "", "");
	return 0;
}

static void
lose_supervisor(struct rig *r)
{
	channel_close(r->channel);
	r->channel = NULL;
	RIG_WAIT(r, r->worker->channel == NULL);
}

static void
expect_service(struct rig *r)
{
	struct rig_flow f = rig_open(r);

	peer_send_all(f.client, "EHLO", 4);
	rig_expect(r, f.target, "EHLO");
	close(f.client);
	close(f.target);
	RIG_WAIT(r, r->worker->n_flows == 0);
}

static void
an_orphan_goes_on_serving(void **state)
{
	struct rig *r = *state;
	uint64_t beat, checks_end;

	lose_supervisor(r);
	expect_service(r);
	beat = sb_get(&r->block->heartbeat_ms);
	checks_end = peer_now_ms() + 300; /* three looks at the lock */
	RIG_WAIT(r, peer_now_ms() > checks_end);
	expect_service(r);
	assert_false(r->worker->draining);
	assert_u64_between(
	    sb_get(&r->block->heartbeat_ms), beat + 100, UINT64_MAX);
	/* Nobody takes the records. */
	assert_u64(sb_get(&r->block->dropped_records), 2);
}

static void
a_supervisor_that_only_starts_changes_nothing(void **state)
{
	struct rig *r = *state;
	pid_t child = hold_lock(LOCK_BYTE_RUNNING);
	uint64_t checks_end;

	lose_supervisor(r);
	checks_end = peer_now_ms() + 300;
	RIG_WAIT(r, peer_now_ms() > checks_end);
	expect_service(r);
	end_child(child);
}

static void
an_orphan_makes_way_for_a_successor_that_serves(void **state)
{
	struct rig *r = *state;
	struct rig_flow f = rig_open(r);
	pid_t child;
	int half_open;

	lose_supervisor(r);
	child = hold_lock(LOCK_BYTE_SERVING);
	RIG_WAIT(r, r->worker->drained_at_ms != 0);
	/* No new SYN comes in, and the listener is still there for what is
	 * half open. */
	assert_false(r->worker->draining);
	assert_non_null(listener_find(r->worker, 0));
	half_open = rig_connect(r);
	for (int i = 0; i < 20; i++)
		rig_turn(r);
	assert_u64(r->worker->n_flows, 1);
	close(half_open);
	RIG_WAIT(r, r->worker->draining);
	assert_null(listener_find(r->worker, 0));
	/* Its flow lives on, and the worker stops with it. */
	peer_send_all(f.client, "NOOP", 4);
	rig_expect(r, f.target, "NOOP");
	assert_false(r->worker->poller.stopped);
	close(f.client);
	close(f.target);
	RIG_WAIT(r, r->worker->poller.stopped);
	end_child(child);
}

/* Its listener takes no SYN any more: half shut for good, it would cost a part
 * of all connections as long as no third supervisor comes. */
static void
an_orphan_that_makes_way_does_not_stop_halfway(void **state)
{
	struct rig *r = *state;
	pid_t child;

	lose_supervisor(r);
	child = hold_lock(LOCK_BYTE_SERVING);
	RIG_WAIT(r, r->worker->drained_at_ms != 0);
	assert_non_null(listener_find(r->worker, 0));
	end_child(child);
	RIG_WAIT(r, r->worker->draining);
	assert_null(listener_find(r->worker, 0));
}

static void
a_supervised_worker_does_not_ask_for_the_lock(void **state)
{
	struct rig *r = *state;
	pid_t child = hold_lock(LOCK_BYTE_SERVING);
	uint64_t end = peer_now_ms() + 700; /* one heartbeat at least */

	RIG_WAIT(r, peer_now_ms() > end);
	assert_u64(r->worker->drained_at_ms, 0);
	expect_service(r);
	end_child(child);
}

static void
the_heart_beats(void **state)
{
	struct rig *r = *state;
	uint64_t beat = sb_get(&r->block->heartbeat_ms);

	RIG_WAIT(r, sb_get(&r->block->heartbeat_ms) >= beat + 400);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest worker_orphan[] = {
	    TEST(an_orphan_goes_on_serving),
	    TEST(a_supervisor_that_only_starts_changes_nothing),
	    TEST(an_orphan_makes_way_for_a_successor_that_serves),
	    TEST(an_orphan_that_makes_way_does_not_stop_halfway),
	    TEST(a_supervised_worker_does_not_ask_for_the_lock),
	    TEST(the_heart_beats),
	};

	return cmocka_run_group_tests(worker_orphan, group_setup, NULL);
}
