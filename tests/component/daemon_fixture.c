/*
 * A daemon in a process of its own; see the header.
 */
#include "daemon_fixture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/log.h"
#include "fake_worker.h"
#include "nlbctl/client.h"
#include "supervisor/daemon.h"
#include "support/expect.h"
#include "support/loop_support.h"

#define POLL_MS 10

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
daemon_fixture_run_if_asked(int argc, char **argv)
{
	struct daemon_options options = {0};

	fake_worker_run_if_asked(argc, argv);
	if (argc != 3 || strcmp(argv[1], "--daemon") != 0)
		return;
	log_init("nlbd");
	options.config_path = argv[2];
	exit(daemon_main(&options));
}

int
daemon_fixture_setup(void **state)
{
	struct daemon_fixture *f = calloc(1, sizeof(*f));
	struct addr target;

	if (f == NULL || temp_dir_make(&f->dir) != 0)
		return -1;
	/* Workers of a killed daemon become our children. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	snprintf(f->config, sizeof(f->config), "%s/nlbd.ini", f->dir.path);
	snprintf(f->socket, sizeof(f->socket), "%s/nlbd.sock", f->dir.path);
	snprintf(f->flow_log, sizeof(f->flow_log), "%s/flows", f->dir.path);
	f->target_fd = listen_on("127.0.0.1", 64, &target);
	f->target_port = target.port;
	f->port = free_port();
	do
		f->port2 = free_port();
	while (f->port2 == f->port);
	f->log_fd = -1;
	unsetenv(FAKE_WORKER_ENV);
	unsetenv("NOTIFY_SOCKET");
	*state = f;
	return 0;
}

/* The second SIGTERM has to find the first one handled. */
static int
stop(struct daemon_fixture *f)
{
	uint64_t deadline = now_ms() + DAEMON_DEADLINE_MS;

	daemon_signal(f, SIGTERM);
	while (!daemon_logged(f, "draining: ") &&
	       !daemon_logged(f, "stopped") && f->log_fd != -1 &&
	       now_ms() < deadline)
		(void)poll(NULL, 0, 1);
	daemon_signal(f, SIGTERM);
	return daemon_wait_exit(f);
}

/* Orphaned workers that a test, failed perhaps, leaves behind. */
static void
kill_children(void)
{
	FILE *children = fopen("/proc/thread-self/children", "re");
	int pid;

	while (children != NULL && fscanf(children, "%d", &pid) == 1) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	if (children != NULL)
		fclose(children);
}

int
daemon_fixture_teardown(void **state)
{
	struct daemon_fixture *f = *state;
	int rc = 0;

	if (f->pid > 0)
		rc = stop(f);
	if (f->log != NULL && (strstr(f->log, "runtime error:") != NULL ||
				  strstr(f->log, "Sanitizer") != NULL))
		rc = -1;
	if (rc != 0)
		fprintf(stderr, "daemon: %d\n%s\n", rc,
		    f->log == NULL ? "" : f->log);
	kill_children();
	close(f->target_fd);
	temp_dir_remove(&f->dir);
	free(f->log);
	free(f);
	return rc == 0 ? 0 : -1;
}

void
daemon_write_config(const struct daemon_fixture *f, const char *more)
{
	char text[4096], next[128];

	snprintf(text, sizeof(text),
	    "[listener one]\nAddress = 127.0.0.1\nPort = %u\n"
	    "SecurityGroups = none\nDefaultActions = forward:g\n\n"
	    "[target-group g]\nPort = %u\nTarget.t = Id=127.0.0.1\n"
	    "HealthCheckIntervalSeconds = 5\n"
	    "HealthCheckTimeoutSeconds = 5\n"
	    "deregistration_delay.timeout_seconds = 300\n\n"
	    "[node]\nAdminSocket = %s\nWorkers = 1\n"
	    "FlowLog = %s\n%s",
	    f->port, f->target_port, f->socket, f->flow_log, more);
	/* As editors do: never half a file. */
	snprintf(next, sizeof(next), "%s.next", f->config);
	write_file(next, text);
	assert_i64(rename(next, f->config), 0);
}

/* ---- the process ------------------------------------------------------ */

void
daemon_run(struct daemon_fixture *f)
{
	char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int fds[2];

	assert_true(n > 0);
	self[n] = '\0';
	assert_i64(pipe(fds), 0);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		dup2(fds[1], STDERR_FILENO);
		for (int fd = 3; fd < 256; fd++)
			close(fd);
		execl(self, "test_daemon", "--daemon", f->config, (char *)NULL);
		_exit(99);
	}
	close(fds[1]);
	if (f->log_fd != -1)
		close(f->log_fd);
	f->log_fd = fds[0];
}

/* Reads what is there, waits at most ms for it. False: end of file. */
static bool
read_log(struct daemon_fixture *f, int ms)
{
	struct pollfd p = {.fd = f->log_fd, .events = POLLIN};
	char buf[8192];
	ssize_t n;

	if (f->log_fd == -1)
		return false;
	if (poll(&p, 1, ms) != 1)
		return true;
	n = read(f->log_fd, buf, sizeof(buf));
	if (n <= 0) {
		close(f->log_fd);
		f->log_fd = -1;
		return false;
	}
	f->log = realloc(f->log, f->n_log + (size_t)n + 1);
	assert_non_null(f->log);
	memcpy(f->log + f->n_log, buf, (size_t)n);
	f->n_log += (size_t)n;
	f->log[f->n_log] = '\0';
	return true;
}

void
daemon_wait_log(struct daemon_fixture *f, const char *text)
{
	uint64_t deadline = now_ms() + DAEMON_DEADLINE_MS;
	bool open = true;

	for (;;) {
		const char *found =
		    f->log == NULL ? NULL : strstr(f->log + f->seen, text);

		if (found != NULL) {
			f->seen = (size_t)(found - f->log) + strlen(text);
			return;
		}
		if (!open || now_ms() > deadline)
			fail_msg("the log lacks \"%s\":\n%s", text,
			    f->log == NULL ? "" : f->log + f->seen);
		open = read_log(f, POLL_MS);
	}
}

bool
daemon_logged(struct daemon_fixture *f, const char *text)
{
	(void)read_log(f, 0);
	return f->log != NULL && strstr(f->log, text) != NULL;
}

void
daemon_start(struct daemon_fixture *f)
{
	daemon_run(f);
	daemon_wait_log(f, "serving ");
}

void
daemon_signal(const struct daemon_fixture *f, int number)
{
	if (f->pid > 0)
		(void)kill(f->pid, number);
}

bool
wait_gone(pid_t pid)
{
	uint64_t deadline = now_ms() + DAEMON_DEADLINE_MS;

	while (waitpid(pid, NULL, WNOHANG) == 0 && now_ms() < deadline)
		(void)poll(NULL, 0, POLL_MS);
	return waitpid(pid, NULL, WNOHANG) == -1;
}

int
daemon_wait_exit(struct daemon_fixture *f)
{
	uint64_t deadline = now_ms() + DAEMON_DEADLINE_MS;
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(f->pid, &status, WNOHANG)) == 0 &&
	       now_ms() < deadline)
		if (!read_log(f, POLL_MS))
			(void)poll(NULL, 0, POLL_MS);
	if (pid == 0) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, &status, 0);
	}
	f->pid = 0;
	while (read_log(f, 0) && f->log_fd != -1 && now_ms() < deadline) {
		struct pollfd p = {.fd = f->log_fd, .events = POLLIN};

		if (poll(&p, 1, 0) == 0)
			break;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- talking to it ---------------------------------------------------- */

static long
send_request(const struct daemon_fixture *f, const char *method,
    const char *path, const char *json, char **body)
{
	struct client_response response = {0};
	char error[CLIENT_ERROR_MAX];

	if (client_request(f->socket, method, path, json, &response, error) !=
	    0)
		return 0;
	if (body != NULL)
		*body = response.body;
	else
		free(response.body);
	return response.http_status;
}

long
daemon_request(const struct daemon_fixture *f, const char *method,
    const char *path, char **body)
{
	return send_request(f, method, path, NULL, body);
}

long
daemon_post(const struct daemon_fixture *f, const char *path, const char *json,
    char **body)
{
	return send_request(f, "POST", path, json, body);
}

void
daemon_expect(const struct daemon_fixture *f, const char *method,
    const char *path, long status, const char *text)
{
	char *body = NULL;

	assert_i64(daemon_request(f, method, path, &body), status);
	assert_contains(body, text);
	free(body);
}

void
daemon_wait_answer(
    const struct daemon_fixture *f, const char *path, const char *text)
{
	uint64_t deadline = now_ms() + DAEMON_DEADLINE_MS;
	char *body = NULL;

	for (;;) {
		free(body);
		body = NULL;
		(void)daemon_request(f, "GET", path, &body);
		if (body != NULL && strstr(body, text) != NULL)
			break;
		if (now_ms() > deadline)
			fail_msg("%s lacks %s: %s", path, text,
			    body == NULL ? "(no answer)" : body);
		(void)poll(NULL, 0, POLL_MS);
	}
	free(body);
}

pid_t
daemon_worker_pid(const struct daemon_fixture *f, unsigned index)
{
	char *body = NULL, *at;
	char key[48];
	long pid = 0;

	assert_i64(daemon_request(f, "GET", "/v1/status", &body), 200);
	snprintf(key, sizeof(key), "{\"index\":%u,\"pid\":", index);
	at = strstr(body, key);
	if (at != NULL)
		pid = strtol(at + strlen(key), NULL, 10);
	free(body);
	assert_true(pid > 0);
	return (pid_t)pid;
}

void
daemon_connect(struct daemon_fixture *f, int *client, int *target)
{
	struct pollfd p = {.fd = f->target_fd, .events = POLLIN};
	uint64_t deadline = now_ms() + DAEMON_DEADLINE_MS;
	char byte = 0;

	/* Health checks connect too: it is ours when our byte comes. */
	*client = connect_to(f->port);
	assert_true(*client != -1);
	assert_i64(send(*client, "x", 1, 0), 1);
	do {
		assert_i64(poll(&p, 1, DAEMON_DEADLINE_MS), 1);
		*target = accept(f->target_fd, NULL, NULL);
		assert_true(*target != -1);
		if (recv(*target, &byte, 1, 0) == 1)
			return;
		close(*target);
	} while (now_ms() < deadline);
	fail_msg("no flow reached the target");
}

void
wait_file(const char *path, const char *text)
{
	uint64_t deadline = now_ms() + DAEMON_DEADLINE_MS;
	char *got = NULL;

	for (;;) {
		free(got);
		got = read_file(path);
		if (got != NULL && strstr(got, text) != NULL)
			break;
		if (now_ms() > deadline)
			fail_msg("%s lacks %s: %s", path, text,
			    got == NULL ? "(none)" : got);
		(void)poll(NULL, 0, POLL_MS);
	}
	free(got);
}
