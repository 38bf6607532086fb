/*
 * Component tests of supervisor/daemon: starting, flows and their records,
 * workers that misbehave, signals, stopping, exit codes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon_fixture.h"
#include "fake_worker.h"
#include "support/expect.h"
#include "support/loop_support.h"

/* ---- exit codes ------------------------------------------------------- */

static void
assert_start_fails(struct daemon_fixture *f, int code, const char *text)
{
	daemon_run(f);
	assert_i64(daemon_wait_exit(f), code);
	assert_contains(f->log, text);
}

static void
missing_config_is_66_and_named(void **state)
{
	struct daemon_fixture *f = *state;

	assert_start_fails(f, 66, f->config);
}

static void
config_with_mistakes_is_78_and_each_is_named(void **state)
{
	struct daemon_fixture *f = *state;
	char text[256];

	daemon_write_config(f, "Potr = 1\nWorkres = 2\n");
	snprintf(text, sizeof(text), "%s:%d:1: error: ", f->config,
	    DAEMON_CONFIG_LINES + 1);
	assert_start_fails(f, 78, text);
	snprintf(text, sizeof(text), "%s:%d:1: error: ", f->config,
	    DAEMON_CONFIG_LINES + 2);
	assert_contains(f->log, text);
	assert_i64(access(f->socket, F_OK), -1);
}

static void
port_in_use_is_73_and_leaves_no_admin_socket(void **state)
{
	struct daemon_fixture *f = *state;
	struct addr where;
	int fd = listen_on("127.0.0.1", 8, &where);

	f->port = where.port;
	daemon_write_config(f, "");
	assert_start_fails(f, 73, "is in use by ");
	assert_i64(access(f->socket, F_OK), -1);
	close(fd);
}

static void
admin_socket_path_of_a_file_is_73_and_the_file_stays(void **state)
{
	struct daemon_fixture *f = *state;
	char *text;

	write_file(f->socket, "precious");
	daemon_write_config(f, "");
	assert_start_fails(f, 73, "remove it or choose another path");
	text = read_file(f->socket);
	assert_str(text, "precious");
	free(text);
}

static void
second_nlbd_is_73_and_the_first_goes_on(void **state)
{
	struct daemon_fixture *f = *state;
	struct daemon_fixture second = *f;

	daemon_write_config(f, "");
	daemon_start(f);
	second.log_fd = -1;
	daemon_run(&second);
	assert_i64(daemon_wait_exit(&second), 73);
	assert_contains(second.log, "another nlbd (pid ");
	free(second.log);
	assert_i64(daemon_request(f, "GET", "/v1/status", NULL), 200);
}

static void
flow_log_that_cannot_be_written_is_73(void **state)
{
	struct daemon_fixture *f = *state;

	snprintf(f->flow_log, sizeof(f->flow_log), "%s", f->dir.path);
	daemon_write_config(f, "");
	assert_start_fails(f, 73, "FlowLog = ");
}

static void
unknown_user_is_71(void **state)
{
	struct daemon_fixture *f = *state;

	if (geteuid() != 0)
		skip();
	daemon_write_config(f, "User = no-such-user\n");
	assert_start_fails(f, 71, "User = no-such-user: no such user");
}

/* ---- privileges ------------------------------------------------------- */

static uid_t
uid_of(pid_t pid)
{
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	assert_i64(stat(path, &st), 0);
	return st.st_uid;
}

static void
user_is_taken_and_workers_and_reload_work_as_that_user(void **state)
{
	struct daemon_fixture *f = *state;

	if (geteuid() != 0)
		skip();
	assert_i64(chmod(f->dir.path, 0777), 0);
	daemon_write_config(f, "User = nobody\n");
	daemon_start(f);
	assert_u64(uid_of(daemon_worker_pid(f, 0)), 65534);
	kill(daemon_worker_pid(f, 0), SIGKILL);
	daemon_wait_answer(f, "/v1/status", "\"state\":\"serving\"");
	daemon_wait_answer(f, "/v1/status", "\"worker_restarts\":1");
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	daemon_signal(f, SIGUSR1);
	assert_i64(daemon_request(f, "GET", "/v1/status", NULL), 200);
	assert_false(daemon_logged(f, "cannot reopen"));
}

static void
config_the_user_cannot_read_is_a_warning_and_a_rejected_reload(void **state)
{
	struct daemon_fixture *f = *state;

	if (geteuid() != 0)
		skip();
	assert_i64(chmod(f->dir.path, 0777), 0);
	daemon_write_config(f, "User = nobody\n");
	assert_i64(chmod(f->config, 0600), 0);
	daemon_run(f);
	daemon_wait_log(f, "User = nobody cannot read ");
	daemon_wait_log(f, "serving ");
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 409);
}

static void
descriptor_limit_is_raised_to_the_hard_one(void **state)
{
	struct daemon_fixture *f = *state;
	struct rlimit rl, low, theirs;

	assert_i64(getrlimit(RLIMIT_NOFILE, &rl), 0);
	low = rl;
	low.rlim_cur = 300;
	assert_i64(setrlimit(RLIMIT_NOFILE, &low), 0);
	daemon_write_config(f, "");
	daemon_start(f);
	assert_i64(setrlimit(RLIMIT_NOFILE, &rl), 0);
	assert_i64(prlimit(f->pid, RLIMIT_NOFILE, NULL, &theirs), 0);
	assert_u64(theirs.rlim_cur, theirs.rlim_max);
	assert_true(theirs.rlim_cur > low.rlim_cur);
}

/* ---- flows and their records ------------------------------------------ */

static void
start_healthy(struct daemon_fixture *f, const char *more)
{
	daemon_write_config(f, more);
	daemon_start(f);
	daemon_wait_answer(f, "/v1/targets", "\"healthy\"");
}

static void
close_both(int client, int target)
{
	close(client);
	close(target);
}

static void
finished_flow_is_logged_and_a_live_one_is_listed(void **state)
{
	struct daemon_fixture *f = *state;
	int client, target;
	char *body = NULL;

	start_healthy(f, "");
	daemon_connect(f, &client, &target);
	assert_i64(daemon_request(f, "GET", "/v1/flows", &body), 200);
	assert_contains(body, "\"listener\":\"one\"");
	assert_contains(body, "\"target_group\":\"g\"");
	free(body);
	close_both(client, target);
	wait_file(f->flow_log, "\"listener\":\"one\"");
	wait_file(f->flow_log, "\"target_group\":\"g\"");
}

static void
flow_that_ends_while_draining_is_logged_with_its_listener(void **state)
{
	struct daemon_fixture *f = *state;
	int client, target;

	start_healthy(f, "");
	daemon_connect(f, &client, &target);
	daemon_signal(f, SIGTERM);
	daemon_wait_log(f, "draining: no new flows, 1 flows");
	close_both(client, target);
	assert_i64(daemon_wait_exit(f), 0);
	wait_file(f->flow_log, "\"listener\":\"one\"");
	assert_i64(access(f->socket, F_OK), -1);
}

static void
flow_of_a_removed_listener_is_logged_with_its_name(void **state)
{
	struct daemon_fixture *f = *state;
	int client, target;
	char more[256];

	start_healthy(f, "");
	daemon_connect(f, &client, &target);
	snprintf(more, sizeof(more),
	    "[listener two]\nAddress = 127.0.0.1\nPort = %u\n"
	    "SecurityGroups = none\nDefaultActions = forward:g\n",
	    f->port2);
	f->port = free_port(); /* one moves, its old place is gone */
	daemon_write_config(f, more);
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	close_both(client, target);
	wait_file(f->flow_log, "\"listener\":\"one\"");
}

static void
flow_log_is_opened_again_on_sigusr1(void **state)
{
	struct daemon_fixture *f = *state;
	char rotated[128];
	int client, target;

	start_healthy(f, "");
	snprintf(rotated, sizeof(rotated), "%s.1", f->flow_log);
	assert_i64(rename(f->flow_log, rotated), 0);
	daemon_signal(f, SIGUSR1);
	wait_file(f->flow_log, "");
	daemon_connect(f, &client, &target);
	close_both(client, target);
	wait_file(f->flow_log, "\"listener\":\"one\"");
	/* And one that cannot be opened is said. */
	assert_i64(unlink(f->flow_log), 0);
	assert_i64(mkdir(f->flow_log, 0700), 0);
	daemon_signal(f, SIGUSR1);
	daemon_wait_log(f, "cannot reopen the flow log");
}

/* ---- workers ---------------------------------------------------------- */

static void
killed_worker_is_replaced_and_counted(void **state)
{
	struct daemon_fixture *f = *state;
	pid_t old;
	int client, target;

	start_healthy(f, "");
	old = daemon_worker_pid(f, 0);
	kill(old, SIGKILL);
	daemon_wait_log(f, "was killed by signal 9");
	daemon_wait_answer(f, "/v1/status", "\"worker_restarts\":1");
	daemon_wait_answer(f, "/v1/status", "\"state\":\"serving\"");
	assert_true(daemon_worker_pid(f, 0) != old);
	daemon_connect(f, &client, &target);
	close_both(client, target);
}

/* "active_flows" of a fake worker is the limit it was sent. */
static void
source_limit_is_half_of_what_the_workers_hold_also_after_a_crash(void **state)
{
	struct daemon_fixture *f = *state;

	setenv(FAKE_WORKER_ENV, "good", 1);
	daemon_write_config(f, "");
	daemon_start(f);
	daemon_wait_answer(
	    f, "/v1/status", "\"active_flows\":500,\"max_flows\":1000");
	kill(daemon_worker_pid(f, 0), SIGKILL);
	daemon_wait_answer(f, "/v1/status", "\"worker_restarts\":1");
	daemon_wait_answer(
	    f, "/v1/status", "\"active_flows\":500,\"max_flows\":1000");
	daemon_write_config(f, "MaxFlowsPerSource = 7\n");
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	daemon_wait_answer(f, "/v1/status", "\"active_flows\":7,");
	daemon_write_config(f, "");
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	daemon_wait_answer(f, "/v1/status", "\"active_flows\":500,");
}

/* A worker says hello for each. */
static void
workers_get_a_config_once(void **state)
{
	struct daemon_fixture *f = *state;

	setenv(FAKE_WORKER_ENV, "chatty", 1);
	daemon_write_config(f, "");
	daemon_start(f);
	for (int i = 0; i < 3; i++) {
		assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
		daemon_wait_log(f, "reload accepted");
		daemon_wait_log(f, "hello");
	}
	daemon_wait_answer(
	    f, "/v1/status", "\"active_flows\":500,\"max_flows\":1000");
	assert_true(daemon_logged(f, "hello"));
	assert_null(strstr(f->log + f->seen, "hello"));
}

static void
source_limit_follows_max_flows_when_that_is_given(void **state)
{
	struct daemon_fixture *f = *state;

	setenv(FAKE_WORKER_ENV, "good", 1);
	daemon_write_config(f, "MaxFlows = 60\n");
	daemon_start(f);
	daemon_wait_answer(f, "/v1/status", "\"active_flows\":30,");
}

static void
worker_that_refuses_its_config_is_replaced(void **state)
{
	struct daemon_fixture *f = *state;

	setenv(FAKE_WORKER_ENV, "refuse", 1);
	daemon_write_config(f, "");
	daemon_run(f);
	daemon_wait_log(f, "worker 0 cannot apply the config: no room");
	daemon_wait_log(f, "worker 0 cannot apply the config: no room");
}

static void
what_a_worker_says_is_logged_and_nonsense_is_survived(void **state)
{
	struct daemon_fixture *f = *state;

	setenv(FAKE_WORKER_ENV, "chatty", 1);
	daemon_write_config(f, "");
	daemon_run(f);
	daemon_wait_log(f, "warning: worker 0: hello");
	daemon_wait_log(f, "info: worker 0: with a level of its own");
	daemon_wait_log(f, "worker 0 sent an unknown message type 99");
	daemon_wait_log(f, "serving ");
}

static void
worker_that_lists_no_flows_is_counted_as_missing(void **state)
{
	struct daemon_fixture *f = *state;

	setenv(FAKE_WORKER_ENV, "good", 1);
	daemon_write_config(f, "");
	daemon_start(f);
	daemon_expect(f, "GET", "/v1/flows", 200, "\"missing_workers\":1");
}

/* ---- signals and stopping --------------------------------------------- */

static void
sigterm_without_flows_stops_at_once(void **state)
{
	struct daemon_fixture *f = *state;

	daemon_write_config(f, "");
	daemon_start(f);
	daemon_signal(f, SIGTERM);
	assert_i64(daemon_wait_exit(f), 0);
	assert_contains(f->log, "stopped");
	assert_i64(access(f->socket, F_OK), -1);
	assert_i64(connect_to(f->port), -1);
}

/* However late it comes: the end is a clean one. */
static void
signals_during_the_end_do_not_kill(void **state)
{
	struct daemon_fixture *f = *state;
	uint64_t deadline_ns = uv_hrtime() + DAEMON_DEADLINE_MS * 1000000ULL;

	daemon_write_config(f, "");
	daemon_start(f);
	/* Without the pauses the daemon may do nothing but take signals: they
	 * can be sent faster than a handler returns. */
	do {
		for (int i = 0; i < 20; i++)
			daemon_signal(f, SIGTERM);
		(void)poll(NULL, 0, 1);
	} while (!daemon_logged(f, "stopped") && uv_hrtime() < deadline_ns);
	assert_true(daemon_logged(f, "stopped"));
	for (int i = 0; i < 100; i++)
		daemon_signal(f, SIGTERM);
	assert_i64(daemon_wait_exit(f), 0);
}

static void
sigterm_before_the_workers_serve_stops(void **state)
{
	struct daemon_fixture *f = *state;

	setenv(FAKE_WORKER_ENV, "mute", 1);
	daemon_write_config(f, "");
	daemon_run(f);
	daemon_wait_answer(f, "/v1/status", "\"state\":\"starting\"");
	daemon_signal(f, SIGTERM);
	assert_i64(daemon_wait_exit(f), 0);
	assert_false(daemon_logged(f, "serving "));
}

static void
sigterm_while_a_worker_waits_for_its_next_try_stops(void **state)
{
	struct daemon_fixture *f = *state;

	setenv(FAKE_WORKER_ENV, "crash", 1);
	daemon_write_config(f, "");
	daemon_run(f);
	daemon_wait_log(f, "next try in 1600 ms");
	daemon_signal(f, SIGTERM);
	assert_i64(daemon_wait_exit(f), 0);
}

static void
drain_timeout_resets_the_flows_left(void **state)
{
	struct daemon_fixture *f = *state;
	int client, target;
	char byte;

	start_healthy(f, "DrainTimeoutSeconds = 300\n");
	daemon_write_config(f, "DrainTimeoutSeconds = 1\n");
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	daemon_connect(f, &client, &target);
	daemon_signal(f, SIGTERM);
	daemon_wait_log(f, "draining: no new flows, 1 flows have 1 s");
	assert_i64(daemon_wait_exit(f), 0);
	assert_contains(f->log, "DrainTimeoutSeconds is over; 1 flows");
	assert_i64(recv(client, &byte, 1, 0), -1);
	assert_i64(errno, ECONNRESET);
	wait_file(f->flow_log, "\"shutdown\"");
	close_both(client, target);
}

static void
second_signal_stops_at_once(void **state)
{
	struct daemon_fixture *f = *state;
	int client, target;
	char byte;

	start_healthy(f, "");
	daemon_connect(f, &client, &target);
	daemon_signal(f, SIGTERM);
	daemon_wait_log(f, "draining: no new flows, 1 flows have 300 s");
	daemon_signal(f, SIGINT);
	assert_i64(daemon_wait_exit(f), 0);
	assert_contains(f->log, "stopping now: asked twice; 1 flows are reset");
	assert_i64(recv(client, &byte, 1, 0), -1);
	assert_i64(errno, ECONNRESET);
	wait_file(f->flow_log, "\"shutdown\"");
	close_both(client, target);
}

static void
worker_that_does_not_stop_is_killed_after_a_grace_time(void **state)
{
	struct daemon_fixture *f = *state;

	setenv(FAKE_WORKER_ENV, "stubborn", 1);
	daemon_write_config(f, "");
	daemon_start(f);
	daemon_signal(f, SIGTERM);
	daemon_wait_log(f, "draining");
	daemon_signal(f, SIGTERM);
	daemon_wait_log(f, "stopping now: asked twice");
	daemon_wait_log(f, "1 workers did not stop in time: killed");
	assert_i64(daemon_wait_exit(f), 0);
}

/* The supervisor is gone: its worker serves on; the next one takes over. */
static void
killed_supervisor_is_followed_by_one_on_the_same_port(void **state)
{
	struct daemon_fixture *f = *state;
	int client, target;
	pid_t orphan;

	start_healthy(f, "");
	daemon_connect(f, &client, &target);
	orphan = daemon_worker_pid(f, 0);
	daemon_signal(f, SIGKILL);
	assert_i64(daemon_wait_exit(f), -SIGKILL);
	assert_i64(kill(orphan, 0), 0);
	f->seen = f->n_log;
	daemon_start(f);
	assert_true(daemon_worker_pid(f, 0) != orphan);
	assert_i64(send(client, "y", 1, 0), 1);
	assert_i64(recv(target, &(char){0}, 1, 0), 1);
	close_both(client, target);
	/* With its last flow it goes. */
	assert_true(wait_gone(orphan));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest daemon_tests[] = {
	    DAEMON_TEST(missing_config_is_66_and_named),
	    DAEMON_TEST(config_with_mistakes_is_78_and_each_is_named),
	    DAEMON_TEST(port_in_use_is_73_and_leaves_no_admin_socket),
	    DAEMON_TEST(admin_socket_path_of_a_file_is_73_and_the_file_stays),
	    DAEMON_TEST(second_nlbd_is_73_and_the_first_goes_on),
	    DAEMON_TEST(flow_log_that_cannot_be_written_is_73),
	    DAEMON_TEST(unknown_user_is_71),
	    DAEMON_TEST(user_is_taken_and_workers_and_reload_work_as_that_user),
	    DAEMON_TEST(
		config_the_user_cannot_read_is_a_warning_and_a_rejected_reload),
	    DAEMON_TEST(descriptor_limit_is_raised_to_the_hard_one),
	    DAEMON_TEST(finished_flow_is_logged_and_a_live_one_is_listed),
	    DAEMON_TEST(
		flow_that_ends_while_draining_is_logged_with_its_listener),
	    DAEMON_TEST(flow_of_a_removed_listener_is_logged_with_its_name),
	    DAEMON_TEST(flow_log_is_opened_again_on_sigusr1),
	    DAEMON_TEST(killed_worker_is_replaced_and_counted),
	    DAEMON_TEST(
		source_limit_is_half_of_what_the_workers_hold_also_after_a_crash),
	    DAEMON_TEST(workers_get_a_config_once),
	    DAEMON_TEST(source_limit_follows_max_flows_when_that_is_given),
	    DAEMON_TEST(worker_that_refuses_its_config_is_replaced),
	    DAEMON_TEST(what_a_worker_says_is_logged_and_nonsense_is_survived),
	    DAEMON_TEST(worker_that_lists_no_flows_is_counted_as_missing),
	    DAEMON_TEST(sigterm_without_flows_stops_at_once),
	    DAEMON_TEST(signals_during_the_end_do_not_kill),
	    DAEMON_TEST(sigterm_before_the_workers_serve_stops),
	    DAEMON_TEST(sigterm_while_a_worker_waits_for_its_next_try_stops),
	    DAEMON_TEST(drain_timeout_resets_the_flows_left),
	    DAEMON_TEST(second_signal_stops_at_once),
	    DAEMON_TEST(worker_that_does_not_stop_is_killed_after_a_grace_time),
	    DAEMON_TEST(killed_supervisor_is_followed_by_one_on_the_same_port),
	};

	daemon_fixture_run_if_asked(argc, argv);
	(void)use_private_network();
	return cmocka_run_group_tests_name("daemon", daemon_tests, NULL, NULL);
}
