/* worker/worker: the process around it, run in a child. */
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

#include "base/log.h"
#include "support/expect.h"
#include "tcp_peers.h"
#include "worker/worker.h"

struct process {
	uv_loop_t loop;
	struct channel *channel;
	struct scoreboard *sb;
	int sb_fd;
	pid_t pid;
	bool lost;
	char log[256];
	uint8_t log_level;
};

static void
on_message(void *arg, struct channel_message *m)
{
	struct process *p = arg;

	if (m->type != CHANNEL_LOG || m->size < 1)
		return;
	p->log_level = *(const uint8_t *)m->payload;
	/* The code's NUL stands between. */
	for (size_t i = 1; i < m->size && i < sizeof(p->log); i++) {
		char c = ((const char *)m->payload)[i];

		p->log[i - 1] = c == '\0' ? '|' : c;
	}
}

static void
on_closed(void *arg)
{
	struct process *p = arg;

	p->lost = true;
	channel_close(p->channel);
	p->channel = NULL;
}

/* Starts a worker with these as its scoreboard and block. */
static void
start(struct process *p, int scoreboard_fd, uint32_t block)
{
	int fds[2];

	assert_i64(channel_pair(fds), 0);
	p->pid = fork();
	if (p->pid == 0) {
		int lock = memfd_create("lock", 0);
		int high[3];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		high[0] = fcntl(fds[1], F_DUPFD, 10);
		high[1] = fcntl(scoreboard_fd, F_DUPFD, 10);
		high[2] = fcntl(lock, F_DUPFD, 10);
		for (int i = 0; i < 3; i++)
			dup2(high[i], WORKER_FD_CHANNEL + i);
		closefrom(WORKER_FD_COUNT);
		exit(worker_main(block));
	}
	close(fds[1]);
	assert_i64(channel_open(
		       &p->loop, fds[0], on_message, on_closed, p, &p->channel),
	    0);
}

static int
exit_code(struct process *p)
{
	int status = 0;
	pid_t pid = 0;

	WAIT_UNTIL((pid = waitpid(p->pid, &status, WNOHANG)) != 0,
	    uv_run(&p->loop, UV_RUN_NOWAIT));
	assert_i64(pid, p->pid);
	p->pid = 0;
	if (!WIFEXITED(status))
		fail_msg("killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int
setup(void **state)
{
	static struct process p;

	memset(&p, 0, sizeof(p));
	uv_loop_init(&p.loop);
	assert_i64(scoreboard_create(&p.sb, &p.sb_fd), 0);
	*state = &p;
	return 0;
}

static int
teardown(void **state)
{
	struct process *p = *state;

	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	if (p->channel != NULL)
		channel_close(p->channel);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	assert_i64(uv_loop_close(&p->loop), 0);
	scoreboard_detach(p->sb);
	close(p->sb_fd);
	return 0;
}

static void
a_worker_beats_logs_ignores_signals_and_stops(void **state)
{
	static const int ignored[] = {
	    SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
	struct process *p = *state;
	struct sb_block *block = scoreboard_take(p->sb, 3, 0);
	uint64_t beat;

	start(p, p->sb_fd, 0);
	WAIT_UNTIL(
	    sb_get(&block->heartbeat_ms) > 0, uv_run(&p->loop, UV_RUN_NOWAIT));
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		kill(p->pid, ignored[i]);
	beat = sb_get(&block->heartbeat_ms);
	WAIT_UNTIL(sb_get(&block->heartbeat_ms) > beat,
	    uv_run(&p->loop, UV_RUN_NOWAIT));
	/* Its log lines come to us. */
	assert_i64(
	    channel_send(p->channel, (enum channel_type)99, NULL, 0, NULL, 0),
	    0);
	WAIT_UNTIL(p->log[0] != '\0', uv_run(&p->loop, UV_RUN_NOWAIT));
	assert_str(p->log,
	    "worker-protocol|unknown message type 99 from the supervisor");
	assert_i64(p->log_level, LOG_LEVEL_WARNING);
	assert_i64(channel_send(p->channel, CHANNEL_STOP, NULL, 0, NULL, 0), 0);
	assert_i64(exit_code(p), 0);
	assert_i64(atomic_load(&block->state), SB_BLOCK_DRAINING);
	WAIT_UNTIL(p->lost, uv_run(&p->loop, UV_RUN_NOWAIT));
}

static void
a_drained_worker_without_flows_exits(void **state)
{
	struct process *p = *state;

	scoreboard_take(p->sb, 0, 0);
	start(p, p->sb_fd, 0);
	assert_i64(
	    channel_send(p->channel, CHANNEL_DRAIN, NULL, 0, NULL, 0), 0);
	assert_i64(exit_code(p), 0);
}

static void
a_block_that_does_not_exist_is_a_usage_error(void **state)
{
	struct process *p = *state;

	start(p, p->sb_fd, SB_BLOCKS);
	assert_i64(exit_code(p), 64);
}

static void
without_a_scoreboard_it_does_not_start(void **state)
{
	struct process *p = *state;
	int fd = memfd_create("no scoreboard", MFD_CLOEXEC);

	start(p, fd, 0);
	close(fd);
	assert_i64(exit_code(p), 71);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest worker_main_tests[] = {
	    TEST(a_worker_beats_logs_ignores_signals_and_stops),
	    TEST(a_drained_worker_without_flows_exits),
	    TEST(a_block_that_does_not_exist_is_a_usage_error),
	    TEST(without_a_scoreboard_it_does_not_start),
	};

	return cmocka_run_group_tests_name(
	    "worker_main", worker_main_tests, NULL, NULL);
}
