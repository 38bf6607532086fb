/*
 * Component tests of health/probe_http with TLS, against `openssl s_server'.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "probe_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

#define LATE_MS 400 /* a test's deadline that is meant to pass */

static char directory[] = "/tmp/nlbd-test-XXXXXX";
static char key_path[64], cert_path[64];

/* The child's stdout in *out. */
static pid_t
spawn(char *const argv[], int *out)
{
	int pipe_fds[2];
	pid_t pid;

	assert_i64(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(pipe_fds[1], STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(pipe_fds[1]);
	*out = pipe_fds[0];
	return pid;
}

/* A self-signed certificate of nobody in particular. */
static int
make_certificate(void **state)
{
	char *const argv[] = {(char[]){"openssl"}, (char[]){"req"},
	    (char[]){"-x509"}, (char[]){"-newkey"}, (char[]){"rsa:2048"},
	    (char[]){"-nodes"}, (char[]){"-days"}, (char[]){"1"},
	    (char[]){"-subj"}, (char[]){"/CN=else.example"},
	    (char[]){"-keyout"}, key_path, (char[]){"-out"}, cert_path, NULL};
	int out, status;
	pid_t pid;

	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(key_path, sizeof(key_path), "%s/key.pem", directory);
	snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", directory);
	pid = spawn(argv, &out);
	close(out);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
		       WEXITSTATUS(status) == 0
		   ? 0
		   : -1;
}

static int
remove_certificate(void **state)
{
	(void)state;
	unlink(key_path);
	unlink(cert_path);
	return rmdir(directory);
}

struct tls_server {
	pid_t pid;
	int out;
};

/* Reads the "ACCEPT 127.0.0.1:PORT" line. */
static bool
read_address(int out, struct addr *addr)
{
	struct pollfd ready = {.fd = out, .events = POLLIN};
	char text[512] = "", *at;
	size_t used = 0;

	while (
	    used < sizeof(text) - 1 && poll(&ready, 1, LOOP_DEADLINE_MS) == 1) {
		ssize_t n = read(out, text + used, sizeof(text) - 1 - used);

		if (n <= 0)
			return false;
		used += (size_t)n;
		text[used] = '\0';
		at = strstr(text, "ACCEPT ");
		if (at == NULL || strchr(at, '\n') == NULL)
			continue;
		*strchr(at, '\n') = '\0';
		return addr_parse(at + strlen("ACCEPT "), addr) == 0;
	}
	return false;
}

static void
start_server(struct tls_server *s, struct addr *addr, const char *version)
{
	char option[16];
	char *const argv[] = {(char[]){"openssl"}, (char[]){"s_server"},
	    (char[]){"-accept"}, (char[]){"127.0.0.1:0"}, (char[]){"-www"},
	    (char[]){"-key"}, key_path, (char[]){"-cert"}, cert_path, option,
	    NULL};

	snprintf(option, sizeof(option), "%s", version);
	s->pid = spawn(argv, &s->out);
	if (!read_address(s->out, addr))
		fail_msg("openssl s_server %s does not start", version);
}

static void
stop_server(struct tls_server *s)
{
	int status;

	kill(s->pid, SIGTERM);
	waitpid(s->pid, &status, 0);
	close(s->out);
}

static int
setup(void **state)
{
	struct probe_fixture *f;

	if (probe_fixture_setup(state) != 0)
		return -1;
	f = *state;
	f->spec.protocol = CHECK_HTTPS;
	return 0;
}

static void
expect_success(struct probe_fixture *f, const char *version)
{
	struct tls_server server;

	start_server(&server, &f->spec.addr, version);
	for (int i = 0; i < 3; i++) {
		probe_run(f, probe_http_start, LOOP_DEADLINE_MS);
		assert_probe(f, PROBE_SUCCESS, "HTTP 200");
	}
	stop_server(&server);
}

static void
unverified_certificate_is_good_enough_with_tls_1_2(void **state)
{
	expect_success(*state, "-tls1_2");
}

static void
target_that_speaks_tls_1_3_only_is_healthy(void **state)
{
	expect_success(*state, "-tls1_3");
}

static void
code_decides_behind_tls_too(void **state)
{
	struct probe_fixture *f = *state;
	struct conf_span text = {.text = "204,302", .len = 7}, wrong;
	struct tls_server server;

	assert_i64(
	    http_codes_parse(text, &f->spec.codes, &wrong), CONF_VALUE_OK);
	start_server(&server, &f->spec.addr, "-tls1_3");
	probe_run(f, probe_http_start, LOOP_DEADLINE_MS);
	assert_probe(f, PROBE_FAILURE, "HTTP 200, wanted 204,302");
	stop_server(&server);
}

static void
server_without_tls_fails_the_handshake(void **state)
{
	static const struct script plain = {
	    {STEP(NULL, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")},
	    SCRIPT_HOLD};
	static const struct script closed = {{STEP(NULL, "")}, SCRIPT_RST};
	struct probe_fixture *f = *state;

	probe_script(f, probe_http_start, &plain, LOOP_DEADLINE_MS);
	assert_probe_like(f, PROBE_FAILURE, "TLS handshake failed: ");
	probe_script(f, probe_http_start, &closed, LOOP_DEADLINE_MS);
	assert_probe_like(f, PROBE_FAILURE, "TLS handshake failed");
	assert_false(f->end.timed_out);
}

static void
silent_server_times_out_in_the_handshake(void **state)
{
	static const struct script silent = {{STEP(NULL, "")}, SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	probe_script(f, probe_http_start, &silent, LATE_MS);
	assert_true(f->gave_up);
	assert_probe(f, PROBE_FAILURE, "TLS handshake not complete in time");
	assert_true(f->end.timed_out);
	/* A client hello by address names no server. */
	assert_true(f->server.n_received > 0);
	assert_null(
	    memmem(f->server.received, f->server.n_received, "127.0.0.1", 9));
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, probe_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest probe_https[] = {
	    TEST(unverified_certificate_is_good_enough_with_tls_1_2),
	    TEST(target_that_speaks_tls_1_3_only_is_healthy),
	    TEST(code_decides_behind_tls_too),
	    TEST(server_without_tls_fails_the_handshake),
	    TEST(silent_server_times_out_in_the_handshake),
	};

	return cmocka_run_group_tests(
	    probe_https, make_certificate, remove_certificate);
}
