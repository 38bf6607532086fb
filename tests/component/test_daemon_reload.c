/*
 * Component tests of supervisor/reload and config: what is accepted, what is
 * rejected whole, and who is told what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bsd/string.h>
#include <cmocka.h>

#include "daemon_fixture.h"
#include "ipc/scoreboard.h"
#include "supervisor/daemon.h"
#include "fake_worker.h"
#include "support/expect.h"
#include "support/loop_support.h"

static const char *
second_listener(const struct daemon_fixture *f)
{
	static char text[256];

	snprintf(text, sizeof(text),
	    "[listener two]\nAddress = 127.0.0.1\nPort = %u\n"
	    "SecurityGroups = none\nDefaultActions = forward:g\n",
	    f->port2);
	return text;
}

static bool
is_taken(uint16_t port)
{
	int fd = connect_to(port);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

static void
start(struct daemon_fixture *f)
{
	daemon_write_config(f, "");
	daemon_start(f);
}

static void
assert_generation(const struct daemon_fixture *f, unsigned n)
{
	char text[32];

	snprintf(text, sizeof(text), "\"generation\":%u,\"hash\"", n);
	daemon_expect(f, "GET", "/v1/status", 200, text);
}

/* Rejected: said, and nothing changed. */
static void
assert_rejected(struct daemon_fixture *f, const char *why)
{
	char *body = NULL;

	daemon_expect(f, "POST", "/v1/reload", 409, why);
	assert_i64(daemon_request(f, "GET", "/v1/status", &body), 200);
	assert_contains(body, "\"verdict\":\"rejected\"");
	assert_contains(body, why);
	free(body);
	daemon_wait_log(
	    f, "error: reload rejected, the old config stays in force: ");
	daemon_wait_log(f, why);
	assert_generation(f, 1);
	assert_true(is_taken(f->port));
}

static void
assert_no_flows(const struct daemon_fixture *f)
{
	char *body = NULL;

	assert_i64(daemon_request(f, "GET", "/v1/status", &body), 200);
	assert_null(strstr(body, "\"new_flows\":1,"));
	assert_contains(body, "\"new_flows\":0,");
	free(body);
}

/* ---- accepted --------------------------------------------------------- */

static void
hangup_puts_a_changed_file_in_force(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	assert_false(is_taken(f->port2));
	daemon_write_config(f, second_listener(f));
	daemon_signal(f, SIGHUP);
	daemon_wait_log(f, "reload accepted, generation 2: 1 listener added");
	daemon_wait_answer(f, "/v1/status", "\"verdict\":\"accepted\"");
	daemon_wait_answer(f, "/v1/status", "\"generation\":2}],\"listeners\"");
	assert_true(is_taken(f->port2));
	assert_true(is_taken(f->port));
}

static void
answer_comes_when_the_workers_have_it_in_force(void **state)
{
	struct daemon_fixture *f = *state;
	char *body = NULL;

	start(f);
	daemon_write_config(f, second_listener(f));
	assert_i64(daemon_request(f, "POST", "/v1/reload", &body), 200);
	assert_contains(body, "1 listener added");
	assert_null(strstr(body, "not confirmed"));
	free(body);
	daemon_expect(
	    f, "GET", "/v1/status", 200, "\"generation\":2}],\"listeners\"");
}

static void
removed_listener_stops_answering(void **state)
{
	struct daemon_fixture *f = *state;

	daemon_write_config(f, second_listener(f));
	daemon_start(f);
	assert_true(is_taken(f->port2));
	daemon_write_config(f, "");
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	assert_false(is_taken(f->port2));
}

/* Each name takes a slot; there are SB_LISTENERS, and `one' keeps its own. */
static void
slot_that_comes_round_again_counts_from_zero(void **state)
{
	struct daemon_fixture *f = *state;
	uint16_t port = f->port;
	int client, target;
	char text[256];

	daemon_write_config(f, second_listener(f));
	daemon_start(f);
	daemon_wait_answer(f, "/v1/targets", "\"healthy\"");
	f->port = f->port2;
	daemon_connect(f, &client, &target);
	f->port = port;
	close(client);
	close(target);
	wait_file(f->flow_log, "\"listener\":\"two\"");
	daemon_wait_answer(f, "/v1/status", "\"new_flows\":1,");
	for (unsigned i = 2; i <= SB_LISTENERS; i++) {
		snprintf(text, sizeof(text), "[listener n%u]%s", i,
		    strchr(second_listener(f), ']') + 1);
		daemon_write_config(f, text);
		assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	}
	/* n128 has the slot that `two' had. */
	daemon_wait_answer(f, "/v1/status", "\"name\":\"n128\"");
	assert_no_flows(f);
}

static void
storm_of_hangups_is_a_few_reloads(void **state)
{
	struct daemon_fixture *f = *state;
	unsigned long generation;
	char *body = NULL, *at;

	start(f);
	for (int i = 0; i < 500; i++)
		daemon_signal(f, SIGHUP);
	daemon_wait_log(f, "reload accepted");
	daemon_write_config(f, second_listener(f));
	daemon_signal(f, SIGHUP);
	daemon_wait_log(f, "1 listener added");
	assert_i64(daemon_request(f, "GET", "/v1/status", &body), 200);
	at = strstr(body, "\"config\":");
	assert_non_null(at);
	at = strstr(at, "\"generation\":");
	generation = strtoul(at + strlen("\"generation\":"), NULL, 10);
	free(body);
	assert_u64_between(generation, 3, 50);
}

static void
warnings_of_an_accepted_file_are_counted_and_logged(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	daemon_expect(
	    f, "POST", "/v1/reload", 200, "nothing changed, 1 warnings");
	/* One event, without the line and the caret. */
	daemon_wait_log(f, ": info: warning: ");
	daemon_wait_log(f, "127.0.0.1 is this machine");
	daemon_wait_log(f, "reload accepted");
	assert_false(daemon_logged(f, ": info:    "));
}

static void
log_level_changes_with_the_reload(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	daemon_write_config(f, "LogLevel = error\n");
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	daemon_write_config(f, "LogLevel = info\n");
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	daemon_wait_log(f, "reload accepted, generation 4");
	assert_false(daemon_logged(f, "generation 3"));
}

static void
check_reads_the_file_and_changes_nothing(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	daemon_write_config(f, second_listener(f));
	daemon_expect(f, "GET", "/v1/check", 200, "1 listener added");
	assert_generation(f, 1);
	assert_false(is_taken(f->port2));
	daemon_write_config(f, "Potr = 1\n");
	daemon_expect(f, "GET", "/v1/check", 409, "Potr");
}

/* ---- rejected --------------------------------------------------------- */

static void
mistake_is_named_with_file_line_and_column(void **state)
{
	struct daemon_fixture *f = *state;
	char text[256], *body = NULL;

	start(f);
	daemon_write_config(f, "  Potr = 1\n");
	snprintf(text, sizeof(text),
	    "reload rejected, the old config stays in force: "
	    "%s:%d:3: `Potr' is not a key",
	    f->config, DAEMON_CONFIG_LINES + 1);
	daemon_signal(f, SIGHUP);
	daemon_wait_log(f, text);
	assert_i64(daemon_request(f, "GET", "/v1/status", &body), 200);
	snprintf(text, sizeof(text), "\"message\":\"%s:%d:3: `Potr'", f->config,
	    DAEMON_CONFIG_LINES + 1);
	assert_contains(body, text);
	free(body);
	assert_generation(f, 1);
	assert_true(is_taken(f->port));
}

static void
all_mistakes_are_answered_and_a_mended_file_is_accepted(void **state)
{
	struct daemon_fixture *f = *state;
	char *body = NULL;

	start(f);
	daemon_write_config(f, "Potr = 1\nWorkres = 2\n");
	assert_i64(daemon_request(f, "POST", "/v1/reload", &body), 409);
	assert_contains(body, "Potr");
	assert_contains(body, "did you mean `Workers'?");
	free(body);
	daemon_write_config(f, "");
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	daemon_wait_answer(f, "/v1/status", "\"verdict\":\"accepted\"");
}

static void
key_that_needs_a_restart_is_named(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	daemon_write_config(f, "MaxFlows = 100\n");
	assert_rejected(f, "[node] MaxFlows cannot change from auto to 100");
}

static void
missing_file_directory_and_fifo_are_rejected(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	assert_i64(unlink(f->config), 0);
	assert_rejected(f, "No such file or directory");
	assert_i64(mkdir(f->config, 0700), 0);
	assert_rejected(f, "is a directory");
	assert_i64(rmdir(f->config), 0);
	assert_i64(mkfifo(f->config, 0600), 0);
	assert_rejected(f, "is not a regular file");
}

static void
port_in_use_rejects_the_whole_reload(void **state)
{
	struct daemon_fixture *f = *state;
	struct addr where;
	int fd = listen_on("127.0.0.1", 8, &where);
	char text[256], group[] = "[target-group other]\nPort = 1\n"
				  "Target.x = Id=10.0.0.9\n";

	start(f);
	f->port2 = where.port;
	snprintf(text, sizeof(text), "%s%s", second_listener(f), group);
	daemon_write_config(f, text);
	assert_rejected(f, "is in use by ");
	daemon_wait_answer(f, "/v1/targets", "\"g\"");
	assert_i64(
	    daemon_request(f, "GET", "/v1/targets?target-group=other", NULL),
	    404);
	close(fd);
}

/* The flow log is the last thing that can fail: what came before it has to be
 * undone. */
static void
flow_log_that_cannot_be_opened_rejects_the_whole_reload(void **state)
{
	struct daemon_fixture *f = *state;
	char good[sizeof(f->flow_log)];

	start(f);
	strlcpy(good, f->flow_log, sizeof(good));
	snprintf(f->flow_log, sizeof(f->flow_log), "%s/no/flows", f->dir.path);
	daemon_write_config(f, second_listener(f));
	assert_rejected(f, "FlowLog = ");
	assert_false(is_taken(f->port2));
	strlcpy(f->flow_log, good, sizeof(good));
	daemon_write_config(f, second_listener(f));
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	assert_true(is_taken(f->port2));
}

static void
rejected_listener_leaves_the_flow_log_alone(void **state)
{
	struct daemon_fixture *f = *state;
	struct addr where;
	int fd = listen_on("127.0.0.1", 8, &where);

	start(f);
	f->port2 = where.port;
	snprintf(f->flow_log, sizeof(f->flow_log), "%s/other", f->dir.path);
	daemon_write_config(f, second_listener(f));
	assert_rejected(f, "is in use by ");
	assert_i64(access(f->flow_log, F_OK), -1);
	close(fd);
}

/* ---- workers and the end ---------------------------------------------- */

/* A request in a process of its own, which exits with its status / 10. */
static pid_t
request_elsewhere(const struct daemon_fixture *f)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit((int)daemon_request(f, "POST", "/v1/reload", NULL) / 10);
	return pid;
}

static void
worker_that_dies_meanwhile_is_waited_for(void **state)
{
	struct daemon_fixture *f = *state;
	int status = 0;
	pid_t pid;

	setenv(FAKE_WORKER_ENV, "mute", 1);
	daemon_write_config(f, "");
	daemon_run(f);
	daemon_wait_answer(f, "/v1/status", "\"state\":\"starting\"");
	pid = request_elsewhere(f);
	daemon_wait_log(f, "reload accepted, generation 2");
	kill(daemon_worker_pid(f, 0), SIGKILL);
	/* Its successor is as mute: the answer comes with the deadline. */
	assert_i64(waitpid(pid, &status, 0), pid);
	assert_i64(WEXITSTATUS(status), 20);
	daemon_expect(
	    f, "POST", "/v1/reload", 200, "a worker has not confirmed yet");
}

static void
reload_that_waits_does_not_hold_up_the_stop(void **state)
{
	struct daemon_fixture *f = *state;
	pid_t pid;

	setenv(FAKE_WORKER_ENV, "mute", 1);
	daemon_write_config(f, "");
	daemon_run(f);
	daemon_wait_answer(f, "/v1/status", "\"state\":\"starting\"");
	pid = request_elsewhere(f);
	daemon_wait_log(f, "reload accepted, generation 2");
	daemon_signal(f, SIGTERM);
	assert_i64(daemon_wait_exit(f), 0);
	assert_i64(waitpid(pid, NULL, 0), pid);
}

static unsigned n_verdicts, n_answers;

static void
on_verdict(void *arg, bool accepted, const char *text)
{
	n_verdicts += accepted && strcmp(arg, "request") == 0 &&
		      strstr(text, "not confirmed") != NULL;
}

static void
on_flows(
    void *arg, const struct flow_record *records, size_t n, uint32_t missing)
{
	(void)records;
	n_answers += strcmp(arg, "request") == 0 && n == 0 && missing == 2;
}

/* The admin interface frees a request only when its callback has come. */
static void
whoever_waits_at_the_end_is_called_back_once(void **state)
{
	static struct daemon d = {.state = DAEMON_STOPPING};
	static char request[] = "request";
	struct reload_waiter *rw = calloc(1, sizeof(*rw));
	struct flows_waiter *fw = calloc(1, sizeof(*fw));

	(void)state;
	assert_non_null(rw);
	assert_non_null(fw);
	rw->cb = on_verdict;
	fw->cb = on_flows;
	rw->arg = fw->arg = request;
	fw->missing = 1;
	fw->asked[3] = true;
	TAILQ_INIT(&d.reload_waiters);
	TAILQ_INIT(&d.flows_waiters);
	TAILQ_INSERT_TAIL(&d.reload_waiters, rw, entry);
	TAILQ_INSERT_TAIL(&d.flows_waiters, fw, entry);
	for (int i = 0; i < 2; i++) {
		daemon_finish_reloads(&d);
		daemon_finish_flows(&d);
		assert_u64(n_verdicts, 1);
		assert_u64(n_answers, 1);
	}
}

static void
reload_while_draining_is_refused_and_said(void **state)
{
	struct daemon_fixture *f = *state;

	setenv(FAKE_WORKER_ENV, "stubborn", 1);
	daemon_write_config(f, "");
	daemon_start(f);
	daemon_signal(f, SIGTERM);
	daemon_wait_log(f, "draining");
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 503);
	daemon_signal(f, SIGHUP);
	daemon_wait_log(f, "no reload: nlbd is stopping");
}

/* ---- the service manager ---------------------------------------------- */

static int
listen_for_notices(const struct daemon_fixture *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/notify", f->dir.path);
	assert_i64(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	setenv("NOTIFY_SOCKET", sun.sun_path, 1);
	return fd;
}

static void
assert_notice(int fd, const char *first, const char *part)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[1024];
	ssize_t n;

	assert_i64(poll(&p, 1, DAEMON_DEADLINE_MS), 1);
	n = recv(fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_i64(strncmp(text, first, strlen(first)), 0);
	assert_contains(text, part);
}

static void
service_manager_is_told_of_each_step(void **state)
{
	struct daemon_fixture *f = *state;
	int fd = listen_for_notices(f);

	start(f);
	assert_notice(fd, "READY=1\n",
	    "STATUS=serving 1 listener with 1 worker, config generation 1");
	daemon_write_config(f, second_listener(f));
	daemon_signal(f, SIGHUP);
	assert_notice(fd, "RELOADING=1\n", "MONOTONIC_USEC=");
	assert_notice(fd, "READY=1\n", "serving 2 listeners");
	daemon_write_config(f, "Potr = 1\n");
	daemon_signal(f, SIGHUP);
	assert_notice(fd, "RELOADING=1\n", "MONOTONIC_USEC=");
	assert_notice(
	    fd, "READY=1\n", "config generation 2; last reload rejected: ");
	daemon_signal(f, SIGTERM);
	assert_notice(fd, "STOPPING=1\n", "STATUS=draining");
	assert_i64(daemon_wait_exit(f), 0);
	close(fd);
}

static void
not_ready_before_all_workers_serve(void **state)
{
	struct daemon_fixture *f = *state;
	int fd = listen_for_notices(f);

	setenv(FAKE_WORKER_ENV, "mute", 1);
	daemon_write_config(f, "");
	daemon_run(f);
	daemon_wait_answer(f, "/v1/status", "\"state\":\"starting\"");
	/* A reload before that must not look like the start's READY. */
	assert_i64(daemon_request(f, "POST", "/v1/reload", NULL), 200);
	daemon_signal(f, SIGTERM);
	assert_notice(fd, "STOPPING=1\n", "STATUS=");
	assert_i64(daemon_wait_exit(f), 0);
	close(fd);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest reload[] = {
	    DAEMON_TEST(hangup_puts_a_changed_file_in_force),
	    DAEMON_TEST(answer_comes_when_the_workers_have_it_in_force),
	    DAEMON_TEST(removed_listener_stops_answering),
	    DAEMON_TEST(slot_that_comes_round_again_counts_from_zero),
	    DAEMON_TEST(storm_of_hangups_is_a_few_reloads),
	    DAEMON_TEST(warnings_of_an_accepted_file_are_counted_and_logged),
	    DAEMON_TEST(log_level_changes_with_the_reload),
	    DAEMON_TEST(check_reads_the_file_and_changes_nothing),
	    DAEMON_TEST(mistake_is_named_with_file_line_and_column),
	    DAEMON_TEST(
		all_mistakes_are_answered_and_a_mended_file_is_accepted),
	    DAEMON_TEST(key_that_needs_a_restart_is_named),
	    DAEMON_TEST(missing_file_directory_and_fifo_are_rejected),
	    DAEMON_TEST(port_in_use_rejects_the_whole_reload),
	    DAEMON_TEST(
		flow_log_that_cannot_be_opened_rejects_the_whole_reload),
	    DAEMON_TEST(rejected_listener_leaves_the_flow_log_alone),
	    DAEMON_TEST(worker_that_dies_meanwhile_is_waited_for),
	    DAEMON_TEST(reload_that_waits_does_not_hold_up_the_stop),
	    cmocka_unit_test(whoever_waits_at_the_end_is_called_back_once),
	    DAEMON_TEST(reload_while_draining_is_refused_and_said),
	    DAEMON_TEST(service_manager_is_told_of_each_step),
	    DAEMON_TEST(not_ready_before_all_workers_serve),
	};

	daemon_fixture_run_if_asked(argc, argv);
	(void)use_private_network();
	return cmocka_run_group_tests(reload, NULL, NULL);
}
