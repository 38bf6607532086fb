/*
 * The admin interface on TCP and where its connections come from: a pace for
 * all together and for each source, and places for each.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

#define PLACES 32 /* connections at once */
#define PLACES_OF_ONE 8
#define ROW 64 /* in a row, of one source as well as of all */

/* Each of the n in turn: 127.0.1.0, 127.0.1.1 and so on. */
static void
come_from(struct admin_fixture *f, size_t n)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "127.0.1.%zu", n % 250);
	f->source = text;
}

static size_t
count_ended(const struct admin_fixture *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_clients; i++)
		n += f->clients[i].ended;
	return n;
}

static bool
all_have_ended(void *arg)
{
	const struct admin_fixture *f = arg;

	return count_ended(f) == f->n_clients;
}

/* ---- places ------------------------------------------------------------ */

static void
silent_clients_make_room_for_those_who_ask(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *asking;
	size_t i;

	for (i = 0; i < PLACES + 10; i++) {
		come_from(f, i);
		client_send(client_open(f), "GET /v1", 7);
	}
	come_from(f, i);
	asking = client_ask(f, "GET /v1/status");
	assert_i64(client_answer(f, asking, NULL), 200);
	/* The oldest went, and no more of them than there was need for. */
	for (i = 0; i < 11; i++)
		assert_true(f->clients[i].ended);
	assert_u64(count_ended(f), 11 + 1);
}

static void
one_source_has_eight_places_and_takes_nobody_elses(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *other, *asking;

	f->source = "127.0.0.2";
	other = client_open(f);
	f->source = "127.0.0.3";
	for (size_t i = 0; i < PLACES_OF_ONE; i++)
		client_send(client_open(f), "GET /v1", 7);
	loop_run_for(&f->loop, 50);
	assert_u64(count_ended(f), 0);
	client_open(f);
	assert_true(loop_run_until(
	    &f->loop, client_has_ended, &f->clients[1], LOOP_DEADLINE_MS));
	asking = client_ask(f, "GET /v1/status");
	assert_i64(client_answer(f, asking, NULL), 200);
	assert_true(f->clients[2].ended);
	assert_u64(count_ended(f), 2 + 1);
	assert_false(other->ended);
}

static void
count_turn(uv_prepare_t *turns)
{
	++*(unsigned *)turns->data;
}

/* In a process of its own: what it does must not turn our loop. */
static pid_t
drip_for_a_second(int fd)
{
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid > 0)
		return pid;
	for (int i = 0; i < 500; i++) {
		(void)send(fd, "a", 1, MSG_NOSIGNAL);
		(void)usleep(2000);
	}
	_exit(0);
}

static void
bytes_that_drip_in_are_looked_at_ten_times_a_second(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *drips = client_open(f);
	unsigned n_turns = 0;
	uv_prepare_t turns;
	pid_t pid;

	client_send(drips, "GET /v1/status?", 15);
	assert_i64(uv_prepare_init(&f->loop, &turns), 0);
	turns.data = &n_turns;
	assert_i64(uv_prepare_start(&turns, count_turn), 0);
	pid = drip_for_a_second(drips->fd);
	loop_run_for(&f->loop, 1000);
	/* 32 in a row, then ten and what follows from them. */
	assert_true(n_turns < 150);
	/* Nobody else waits for it. */
	assert_i64(ask(f, "GET /healthz", NULL), 200);
	assert_i64(waitpid(pid, NULL, 0), pid);
	uv_close((uv_handle_t *)&turns, NULL);
	loop_run_for(&f->loop, 0);
}

/* ---- pace -------------------------------------------------------------- */

/* Whoever can reach the port has no more of the processor than that: 64 in a
 * row, then one in 5 ms, however long each of them takes. */
static void
a_crowd_is_let_in_at_200_a_second(void **state)
{
	enum { LATER = 60, ROUNDING_MS = 5 };
	struct admin_fixture *f = *state;
	uint64_t start = uv_hrtime();

	for (size_t i = 0; i < ROW + LATER; i++) {
		come_from(f, i);
		assert_i64(ask(f, "GET /healthz", NULL), 200);
	}
	assert_true((uv_hrtime() - start) / 1000000 >= LATER * 5 - ROUNDING_MS);
}

/* Shuts 127.0.0.2 out: so many are answered, the rest are ended without. */
static size_t
ask_in_a_row(struct admin_fixture *f, size_t n)
{
	size_t n_answered = 0;

	f->source = "127.0.0.2";
	for (size_t i = 0; i < n; i++)
		client_ask(f, "GET /healthz");
	assert_true(
	    loop_run_until(&f->loop, all_have_ended, f, LOOP_DEADLINE_MS));
	for (size_t i = 0; i < n; i++)
		n_answered += f->clients[i].n_text > 0;
	return n_answered;
}

/* Begins to connect; the fd, not blocking. */
static int
connect_begin(const struct admin_fixture *f)
{
	int fd = client_socket(f, SOCK_NONBLOCK);

	if (connect(fd, (const struct sockaddr *)&f->addr, f->addr_len) == -1)
		assert_i64(errno, EINPROGRESS);
	return fd;
}

static bool
is_connected(void *fd)
{
	struct pollfd p = {.fd = *(int *)fd, .events = POLLOUT};

	return poll(&p, 1, 0) == 1;
}

static void
a_source_that_comes_too_often_is_not_heard_for_a_second(void **state)
{
	struct admin_fixture *f = *state;
	uint64_t start;
	int fd;

	/* What comes while they are served is a few more. */
	assert_u64_between(ask_in_a_row(f, 100), ROW, 99);
	start = uv_hrtime();
	fd = connect_begin(f);
	assert_false(is_connected(&fd)); /* dropped, where others are not */
	f->source = "127.0.0.3";
	assert_i64(ask(f, "GET /healthz", NULL), 200);
	assert_false(is_connected(&fd));
	/* Its SYN comes again when it is let in again. */
	assert_true(
	    loop_run_until(&f->loop, is_connected, &fd, LOOP_DEADLINE_MS));
	assert_true((uv_hrtime() - start) / 1000000 >= 500);
	close(fd);
	f->source = "127.0.0.2";
	assert_i64(ask(f, "GET /healthz", NULL), 200);
}

static void
where_the_kernel_does_not_drop_them_they_are_reset(void **state)
{
	struct admin_fixture *f = *state;
	int on = 1;

	assert_i64(setsockopt(f->listen_fd, SOL_SOCKET, SO_LOCK_FILTER, &on,
		       sizeof(on)),
	    0);
	assert_u64_between(ask_in_a_row(f, 100), ROW, 99);
	f->source = "127.0.0.2";
	client_ask(f, "GET /healthz");
	assert_true(
	    loop_run_until(&f->loop, all_have_ended, f, LOOP_DEADLINE_MS));
	assert_u64(f->clients[f->n_clients - 1].n_text, 0);
	f->source = "127.0.0.3";
	assert_i64(ask(f, "GET /healthz", NULL), 200);
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, admin_fixture_setup_http, admin_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest admin_sources[] = {
	    TEST(silent_clients_make_room_for_those_who_ask),
	    TEST(one_source_has_eight_places_and_takes_nobody_elses),
	    TEST(bytes_that_drip_in_are_looked_at_ten_times_a_second),
	    TEST(a_crowd_is_let_in_at_200_a_second),
	    TEST(a_source_that_comes_too_often_is_not_heard_for_a_second),
	    TEST(where_the_kernel_does_not_drop_them_they_are_reset),
	};

	return cmocka_run_group_tests(admin_sources, NULL, NULL);
}
