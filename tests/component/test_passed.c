/*
 * Component tests of supervisor/passed and of how supervisor/sockets adopts
 * what the service manager passed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/passed.h"
#include "supervisor/sockets.h"
#include "supervisor_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

#define FIRST 200 /* where these tests pass descriptors */
#define WORKERS 2

struct fixture {
	struct temp_dir dir;
	struct scoreboard *sb;
	int sb_fd;
	struct passed_sockets passed;
	struct sockets current;
	struct conf *conf;
	char why[512];
	int n; /* passed */
	int descriptors;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL || temp_dir_make(&f->dir) != 0 ||
	    scoreboard_create(&f->sb, &f->sb_fd) != 0)
		return -1;
	f->current.passed = &f->passed;
	f->descriptors = count_descriptors();
	capture_log();
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	int left;

	sockets_close(&f->current);
	passed_close_rest(&f->passed);
	conf_destroy(f->conf);
	left = count_descriptors() - f->descriptors;
	scoreboard_detach(f->sb);
	close(f->sb_fd);
	temp_dir_remove(&f->dir);
	free(f);
	return left == 0 ? 0 : -1; /* every descriptor was closed, and once */
}

/* fd is the next one that is passed; the caller's own is closed. */
static void
pass(struct fixture *f, int fd)
{
	assert_i64(dup2(fd, FIRST + f->n), FIRST + f->n);
	close(fd);
	f->n++;
}

static void
collect(struct fixture *f, const char *names)
{
	char text[32];

	passed_close_rest(&f->passed);
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%d", f->n);
	setenv("LISTEN_FDS", text, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	assert_errno(passed_collect(&f->passed, FIRST), 0);
	assert_null(getenv("LISTEN_FDS"));
	f->n = 0;
}

/* As systemd opens them. */
static int
listening_at(const char *ip, uint16_t port, int v6only)
{
	struct sockaddr_storage ss;
	struct addr a;
	socklen_t len;
	int fd, on = 1;

	assert_i64(addr_parse_ip(ip, &a), 0);
	a.port = port;
	len = addr_to_sockaddr(&a, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM, 0);
	assert_true(fd != -1);
	if (a.family == ADDR_IPV6)
		setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	assert_i64(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_i64(listen(fd, 64), 0);
	return fd;
}

static int
listening_unix(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_i64(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_i64(listen(fd, 8), 0);
	return fd;
}

static int
prepare(struct fixture *f, const char *name, const char *address, uint16_t port,
    struct sockets *out)
{
	char text[512];

	snprintf(text, sizeof(text),
	    "[load-balancer]\nIpAddressType = dualstack\n"
	    "[listener %s]\nAddress = %s\nPort = %u\nSecurityGroups = none\n"
	    "DefaultActions = forward:g\n"
	    "[target-group g]\nPort = 25\nTarget.t = Id=10.0.0.1\n",
	    name, address, port);
	conf_destroy(f->conf);
	f->conf = conf_from_text(text);
	return sockets_prepare(f->conf, WORKERS, &f->current, f->sb,
	    temp_path(&f->dir, "nlbd.sock.lock"), out, f->why, sizeof(f->why));
}

static void
apply(struct fixture *f, const char *name, const char *address, uint16_t port)
{
	struct sockets prepared;

	assert_errno(prepare(f, name, address, port, &prepared), 0);
	sockets_commit(&f->current, &prepared);
	sockets_attach_filters(&f->current, f->conf);
}

static int
option(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	assert_i64(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static bool
is_taken(uint16_t port)
{
	int fd = connect_to(port);

	if (fd == -1)
		return false;
	close(fd);
	return true;
}

/* ---- what is passed --------------------------------------------------- */

static void
sockets_of_another_process_are_left_alone(void **state)
{
	struct fixture *f = *state;

	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "1", 1);
	assert_errno(passed_collect(&f->passed, FIRST), 0);
	assert_u64(f->passed.n, 0);
	assert_null(getenv("LISTEN_PID"));
	assert_null(getenv("LISTEN_FDS"));
}

static void
nonsense_is_said_and_not_taken(void **state)
{
	static const char *const counts[] = {"", "-1", "3x", "100000"};
	struct fixture *f = *state;
	char pid[32];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		forget_log();
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", counts[i], 1);
		assert_errno(passed_collect(&f->passed, FIRST), 0);
		assert_u64(f->passed.n, 0);
		assert_true(log_has("sockets of the service manager are not"));
	}
	forget_log();
	f->n = 2; /* that are not there */
	collect(f, "");
	passed_close_rest(&f->passed);
	assert_u64(log_lines_with("passed a socket"), 0);
}

static void
each_is_found_by_its_own_address(void **state)
{
	struct fixture *f = *state;
	const char *path = temp_path(&f->dir, "nlbd.sock");
	uint16_t port = free_port();
	struct addr a;
	int fds[4];
	bool own = true;

	assert_i64(addr_parse_ip("127.0.0.1", &a), 0);
	a.port = port;
	pass(f, listening_at("127.0.0.2", port, 0));
	pass(f, listening_at("127.0.0.1", port, 0));
	pass(f, listening_unix(path));
	pass(f, socket(AF_INET, SOCK_DGRAM, 0));
	collect(f, "a:b\n:c:");
	assert_true(passed_has(&f->passed, &a));
	assert_u64(passed_take(&f->passed, &a, fds, 4), 1);
	assert_i64(fds[0], FIRST + 1);
	assert_true((fcntl(fds[0], F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(fds[0], F_GETFL) & O_NONBLOCK) != 0);
	assert_false(passed_has(&f->passed, &a));
	assert_i64(passed_take_unix(&f->passed, "/nowhere", &own), -1);
	fds[1] = passed_take_unix(&f->passed, path, &own);
	assert_i64(fds[1], FIRST + 2);
	close(fds[0]);
	close(fds[1]);
	passed_close_rest(&f->passed);
	assert_u64(log_lines_with("passed a socket"), 2);
	assert_true(log_has("(a) for which the config has no listener: 127.0."
			    "0.2:"));
	assert_true(log_has("(without a name)"));
	assert_true(log_has("neither TCP nor the AdminSocket"));
}

static void
connection_is_no_listener_though_it_has_its_address(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();
	struct addr a;
	int listening = listening_at("127.0.0.1", port, 0);
	int client = connect_to(port);

	assert_i64(addr_parse_ip("127.0.0.1", &a), 0);
	a.port = port;
	pass(f, accept(listening, NULL, NULL));
	collect(f, "");
	assert_false(passed_has(&f->passed, &a));
	close(listening);
	close(client);
}

/* ---- adopted ---------------------------------------------------------- */

static void
one_socket_is_shared_by_all_workers(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();
	int held = listening_at("127.0.0.1", port, 0), client, fd;
	const struct socket_set *set;

	client = connect_to(port); /* before there was any nlbd */
	assert_true(client != -1);
	pass(f, dup(held));
	collect(f, "");
	apply(f, "a", "127.0.0.1", port);
	set = &f->current.sets[0];
	assert_u64(set->n_distinct, 1);
	assert_true(option(set->fds[1], IPPROTO_TCP, TCP_NODELAY) != 0);
	assert_true(option(set->fds[1], SOL_SOCKET, SO_OOBINLINE) != 0);
	fd = accept(set->fds[1], NULL, NULL);
	assert_true(fd != -1);
	close(fd);
	close(client);
	assert_u64(sockets_dropped(set), 0);
	sockets_close(&f->current);
	assert_true(is_taken(port)); /* waits for the next nlbd */
	close(held);
}

static void
a_socket_for_each_worker_is_the_workers_own(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();

	pass(f, listening_at("127.0.0.1", port, 0));
	pass(f, listening_at("127.0.0.1", port, 0));
	collect(f, "");
	apply(f, "a", "127.0.0.1", port);
	assert_u64(f->current.sets[0].n_distinct, 2);
	assert_i64(f->current.sets[0].fds[0], FIRST);
	assert_i64(f->current.sets[0].fds[1], FIRST + 1);
}

static void
socket_that_nobody_would_serve_is_an_error(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();
	struct sockets prepared;

	for (int i = 0; i < WORKERS + 1; i++)
		pass(f, listening_at("127.0.0.1", port, 0));
	collect(f, "");
	assert_errno(prepare(f, "a", "127.0.0.1", port, &prepared), -E2BIG);
	assert_contains(f->why, "more sockets for 127.0.0.1:");
	assert_contains(f->why, "raise Workers");
}

static void
dualstack_listener_wants_ipv4_of_its_socket(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();
	struct sockets prepared;

	pass(f, listening_at("::", port, 1));
	collect(f, "");
	assert_errno(prepare(f, "a", "all", port, &prepared), -EPROTOTYPE);
	assert_contains(f->why, "BindIPv6Only=both");
	pass(f, listening_at("::", port, 0));
	collect(f, "");
	apply(f, "a", "all", port);
	assert_true(f->current.sets[0].passed);
	assert_true(is_taken(port));
}

/* The service manager holds it as well: nobody may be left to wait there. */
static void
removed_listener_refuses_and_comes_back(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port(), other = free_port();
	int held = listening_at("127.0.0.1", port, 0);

	pass(f, dup(held));
	collect(f, "");
	apply(f, "a", "127.0.0.1", port);
	apply(f, "renamed", "127.0.0.1", port);
	assert_true(f->current.sets[0].passed);
	assert_true(is_taken(port));
	apply(f, "renamed", "127.0.0.1", other);
	assert_false(is_taken(port));
	assert_true(is_taken(other));
	/* The next nlbd is passed it again. */
	sockets_close(&f->current);
	pass(f, held);
	collect(f, "");
	apply(f, "a", "127.0.0.1", port);
	assert_true(f->current.sets[0].passed);
	assert_true(is_taken(port));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest passed[] = {
	    TEST(sockets_of_another_process_are_left_alone),
	    TEST(nonsense_is_said_and_not_taken),
	    TEST(each_is_found_by_its_own_address),
	    TEST(connection_is_no_listener_though_it_has_its_address),
	    TEST(one_socket_is_shared_by_all_workers),
	    TEST(a_socket_for_each_worker_is_the_workers_own),
	    TEST(socket_that_nobody_would_serve_is_an_error),
	    TEST(dualstack_listener_wants_ipv4_of_its_socket),
	    TEST(removed_listener_refuses_and_comes_back),
	};

	(void)use_private_network();
	return cmocka_run_group_tests(passed, NULL, NULL);
}
