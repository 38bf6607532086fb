/*
 * The admin interface before clients that are slow, wrong, too many, not
 * allowed or gone, and when it ends itself.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

#define PLACES 16 /* connections at once */
#define NOBODY 65534

static void
expect_still_serving(struct admin_fixture *f)
{
	assert_i64(ask(f, "GET /v1/status", NULL), 200);
}

/* Sends bytes as they are; the status of the answer, 0 = closed without. */
static int
send_raw(struct admin_fixture *f, const char *bytes, size_t n)
{
	struct admin_client *client = client_open(f);
	int status = 0;

	client_send(client, bytes, n);
	assert_true(loop_run_until(
	    &f->loop, client_has_ended, client, LOOP_DEADLINE_MS));
	(void)sscanf(client->text, "HTTP/1.1 %d ", &status);
	client_close(client);
	return status;
}

static void
a_half_request_is_dropped_after_two_seconds(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *silent = client_open(f);
	struct admin_client *half = client_open(f);
	uint64_t start = uv_hrtime(), ms;

	client_send(half, "GET /v1/sta", 11);
	assert_true(
	    loop_run_until(&f->loop, client_has_ended, half, LOOP_DEADLINE_MS));
	assert_true(loop_run_until(
	    &f->loop, client_has_ended, silent, LOOP_DEADLINE_MS));
	ms = (uv_hrtime() - start) / 1000000;
	assert_u64_between(ms, 1500, 6000);
	expect_still_serving(f);
}

static void
a_long_head_gets_431_as_json(void **state)
{
	struct admin_fixture *f = *state;
	char head[12000];
	size_t used;
	json_t *root;
	struct admin_client *client;

	used = (size_t)snprintf(
	    head, sizeof(head), "GET /v1/status HTTP/1.1\r\nX-Long: ");
	memset(head + used, 'a', 9000);
	used += 9000;
	used += (size_t)snprintf(
	    head + used, sizeof(head) - used, "\r\nConnection: close\r\n\r\n");
	client = client_open(f);
	client_send(client, head, used);
	assert_i64(client_answer(f, client, &root), 431);
	assert_str(json_string_value(
		       json_object_get(json_object_get(root, "error"), "code")),
	    "RequestTooLarge");
	json_decref(root);
}

static void
an_endless_line_is_cut_off(void **state)
{
	static char line[40000];
	struct admin_fixture *f = *state;
	int status;

	memset(line, 'a', sizeof(line));
	memcpy(line, "GET /", 5);
	status = send_raw(f, line, sizeof(line));
	assert_true(status == 0 || status == 414 || status == 431);
	expect_still_serving(f);
}

static void
a_body_is_refused_unread(void **state)
{
	static const char *const heads[] = {
	    "GET /v1/status HTTP/1.1\r\nHost: n\r\nConnection: close\r\n"
	    "Content-Length: 1000000000\r\n\r\nabc",
	    "POST /v1/reload HTTP/1.1\r\nHost: n\r\nConnection: close\r\n"
	    "Content-Length: 3\r\n\r\nabc",
	    "POST /v1/reload HTTP/1.1\r\nHost: n\r\nConnection: close\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	};
	struct admin_fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		assert_i64(send_raw(f, heads[i], strlen(heads[i])), 413);
	assert_u64(f->fake.n_reloads, 0);
	expect_still_serving(f);
}

static void
garbage_harms_nothing(void **state)
{
	static const char *const texts[] = {
	    "\x16\x03\x01\x02\x01\xfc\x03\x03 \xff\r\n\r\n",
	    "GET\r\n\r\n",
	    "GET  HTTP/1.1\r\n\r\n",
	    "GET /v1/status\r\n\r\n",
	    "GET /v1/status HTTP/9.9\r\n\r\n",
	    "GET /%00%ff%zz?%=%&&=&a HTTP/1.1\r\nConnection: close\r\n\r\n",
	    "GET /v1/flows?limit HTTP/1.1\r\nHost: n\r\n"
	    "Connection: close\r\n\r\n",
	    "POST /v1/reload HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
	    "POST /v1/reload HTTP/1.1\r\nContent-Length: 99999999999999999999"
	    "\r\n\r\n",
	};
	struct admin_fixture *f = *state;
	size_t i;
	int status;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		status = send_raw(f, texts[i], strlen(texts[i]));
		/* "?limit" has no value to be wrong. */
		assert_true(status == 0 || status >= 400 ||
			    strstr(texts[i], "?limit") != NULL);
	}
	assert_u64(f->fake.n_reloads, 0);
	expect_still_serving(f);
}

static void
the_seventeenth_waits_for_a_place(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *waiting;
	size_t i;

	/* Silent ones take every place... */
	for (i = 0; i < PLACES; i++)
		client_send(client_open(f), "GET", 3);
	waiting = client_ask(f, "GET /v1/status");
	loop_run_for(&f->loop, 300);
	assert_u64(waiting->n_text, 0);
	assert_false(waiting->ended);
	/* ...one leaves, and the next in line is served at once. */
	client_close(&f->clients[3]);
	assert_i64(client_answer(f, waiting, NULL), 200);
	assert_false(f->clients[0].ended);
}

static void
silent_clients_cannot_hold_the_places(void **state)
{
	struct admin_fixture *f = *state;
	size_t i;

	for (i = 0; i < PLACES; i++)
		client_open(f);
	expect_still_serving(f); /* after 2 s */
}

/* valgrind accepts and closes what is over the limit, as no kernel does. */
static bool
under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

static void
a_lack_of_descriptors_passes(void **state)
{
	struct admin_fixture *f = *state;
	struct rlimit old, low;
	struct admin_client *client;
	struct rusage before, after;
	int64_t cpu_us;

	if (under_valgrind())
		skip();
	client = client_ask(f, "GET /v1/status");
	assert_i64(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)client->fd + 1; /* every lower one is taken */
	assert_i64(setrlimit(RLIMIT_NOFILE, &low), 0);
	getrusage(RUSAGE_SELF, &before);
	loop_run_for(&f->loop, 500);
	getrusage(RUSAGE_SELF, &after);
	assert_i64(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_u64(client->n_text, 0);
	cpu_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
		 after.ru_utime.tv_usec - before.ru_utime.tv_usec;
	assert_true(cpu_us < 400000); /* it does not spin */
	assert_i64(client_answer(f, client, NULL), 200);
}

/* As another user: 0 = every request was refused with 403. */
static int
ask_as_nobody(const struct sockaddr_storage *addr, socklen_t len)
{
	static const char head[] = "GET /v1/status HTTP/1.1\r\nHost: n\r\n"
				   "Connection: close\r\n\r\n";
	char text[256];
	ssize_t n;
	int fd;

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd == -1 || connect(fd, (const struct sockaddr *)addr, len) != 0)
		return 3;
	(void)send(fd, head, sizeof(head) - 1, MSG_NOSIGNAL);
	n = recv(fd, text, sizeof(text) - 1, MSG_WAITALL);
	close(fd);
	if (n <= 0)
		return 4;
	text[n] = '\0';
	return strncmp(text, "HTTP/1.1 403", 12) == 0 ? 0 : 1;
}

struct child {
	pid_t pid;
	int status;
};

static bool
child_has_ended(void *arg)
{
	struct child *child = arg;

	return waitpid(child->pid, &child->status, WNOHANG) == child->pid;
}

/* Wakes the loop, so that it looks at its child. */
static void
on_child_signal(uv_signal_t *signal, int number)
{
	(void)signal;
	(void)number;
}

/* At most 16 every 100 ms: it could ask as often as it likes, beside the
 * workers. At once it would be a few ms. */
static void
another_user_is_refused_at_a_pace(void **state)
{
	enum { ASKED = 40 };
	struct admin_fixture *f = *state;
	struct child child = {0};
	uv_signal_t child_signal;
	uint64_t start = uv_hrtime();

	if (getuid() != 0)
		skip(); /* only root can become somebody else */
	assert_i64(uv_signal_init(&f->loop, &child_signal), 0);
	assert_i64(uv_signal_start(&child_signal, on_child_signal, SIGCHLD), 0);
	child.pid = fork();
	assert_true(child.pid != -1);
	if (child.pid == 0) {
		int rc = setuid(NOBODY) == 0 ? 0 : 2;

		for (int i = 0; i < ASKED && rc == 0; i++)
			rc = ask_as_nobody(&f->addr, f->addr_len);
		_exit(rc);
	}
	assert_true(loop_run_until(
	    &f->loop, child_has_ended, &child, LOOP_DEADLINE_MS));
	uv_close((uv_handle_t *)&child_signal, NULL);
	loop_run_for(&f->loop, 0);
	assert_true(WIFEXITED(child.status));
	assert_i64(WEXITSTATUS(child.status), 0);
	assert_true((uv_hrtime() - start) / 1000000 >= 180);
	expect_still_serving(f);
}

static bool
fake_is_pending(void *fake)
{
	return admin_fake_is_pending(fake);
}

static struct admin_client *
ask_and_wait_pending(struct admin_fixture *f, const char *line)
{
	struct admin_client *client;

	f->fake.defer = true;
	client = client_ask(f, line);
	assert_true(loop_run_until(
	    &f->loop, fake_is_pending, &f->fake, LOOP_DEADLINE_MS));
	return client;
}

static void
a_client_that_left_costs_nothing(void **state)
{
	struct admin_fixture *f = *state;

	client_close(ask_and_wait_pending(f, "POST /v1/reload"));
	loop_run_for(&f->loop, 50);
	admin_fake_complete(&f->fake);
	expect_still_serving(f);
	client_close(ask_and_wait_pending(f, "GET /v1/flows"));
	admin_fake_complete(&f->fake);
	expect_still_serving(f);
}

static void
destroyed_with_an_operation_under_way(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *client =
	    ask_and_wait_pending(f, "POST /v1/reload");

	client_send(client_open(f), "GET /v1", 7);
	loop_run_for(&f->loop, 20);
	admin_destroy(f->admin);
	f->admin = NULL;
	assert_true(loop_run_until(
	    &f->loop, client_has_ended, client, LOOP_DEADLINE_MS));
	/* The daemon's answer comes late, to nobody. */
	admin_fake_complete(&f->fake);
}

static void
destroyed_before_the_loop_runs(void **state)
{
	struct admin_fixture *f = *state;

	client_ask(f, "GET /v1/status");
	admin_destroy(f->admin);
	f->admin = NULL;
	admin_destroy(NULL);
}

static void
many_requests_on_one_connection(void **state)
{
	static const char head[] = "GET /v1/check HTTP/1.1\r\nHost: n\r\n\r\n";
	struct admin_fixture *f = *state;
	struct admin_client *client = client_open(f);
	size_t i;

	for (i = 0; i < 20; i++) {
		client->n_text = 0;
		client_send(client, head, sizeof(head) - 1);
		assert_true(loop_run_until(
		    &f->loop, client_has_text, client, LOOP_DEADLINE_MS));
		assert_memory_equal(client->text, "HTTP/1.1 200", 12);
	}
	assert_u64(f->fake.n_checks, 20);
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, admin_fixture_setup, admin_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest admin_limits[] = {
	    TEST(a_half_request_is_dropped_after_two_seconds),
	    TEST(a_long_head_gets_431_as_json),
	    TEST(an_endless_line_is_cut_off),
	    TEST(a_body_is_refused_unread),
	    TEST(garbage_harms_nothing),
	    TEST(the_seventeenth_waits_for_a_place),
	    TEST(silent_clients_cannot_hold_the_places),
	    TEST(a_lack_of_descriptors_passes),
	    TEST(another_user_is_refused_at_a_pace),
	    TEST(a_client_that_left_costs_nothing),
	    TEST(destroyed_with_an_operation_under_way),
	    TEST(destroyed_before_the_loop_runs),
	    TEST(many_requests_on_one_connection),
	};

	return cmocka_run_group_tests(admin_limits, NULL, NULL);
}
