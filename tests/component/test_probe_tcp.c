/*
 * Component tests of health/probe_tcp against real sockets on loopback.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "health/probe.h"
#include "health/probe_socket.h"
#include "nlb/proxy_v2.h"
#include "support/expect.h"
#include "support/loop_support.h"

struct fixture {
	uv_loop_t loop;
	struct probe *probe;
	struct probe_end end;
	int calls;
	int descriptors;
};

static int
setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	if (uv_loop_init(&f.loop) != 0)
		return -1;
	/* libuv opens what it keeps with the first run. */
	uv_run(&f.loop, UV_RUN_NOWAIT);
	f.descriptors = count_descriptors();
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	return loop_finish(&f->loop) ? 0 : -1;
}

static void
on_done(void *owner, const struct probe_end *end)
{
	struct fixture *f = owner;

	f->calls++;
	f->end = *end;
}

static int
start_probe(struct fixture *f, const struct addr *target)
{
	struct check_spec spec = {.protocol = CHECK_TCP, .addr = *target};
	const struct probe_env env = {
	    .loop = &f->loop, .spec = &spec, .done = on_done, .owner = f};

	return probe_tcp_start(&env, &f->probe);
}

static bool
is_done(void *arg)
{
	const struct fixture *f = arg;

	return f->calls > 0;
}

/* Probes target to the end: "" for a success, else the detail. */
static const char *
probe(struct fixture *f, const struct addr *target)
{
	int error;

	f->calls = 0;
	error = start_probe(f, target);
	if (error != 0)
		return strerrorname_np(-error);
	assert_true(loop_run_until(&f->loop, is_done, f, LOOP_DEADLINE_MS));
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_i64(f->calls, 1);
	return f->end.result == PROBE_SUCCESS ? "" : f->end.detail;
}

/* Waits for what the prober's end brings: 0 = FIN, else the errno. */
static int
read_end(int listener)
{
	struct timeval limit = {.tv_sec = 10};
	char byte;
	ssize_t n;
	int fd;

	fd = accept(listener, NULL, NULL);
	assert_true(fd != -1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	n = recv(fd, &byte, 1, 0);
	close(fd);
	return n == -1 ? errno : (int)n;
}

static void
listening_target_succeeds_and_sees_a_fin(void **state)
{
	struct fixture *f = *state;
	struct addr target;
	int fd = listen_on("127.0.0.1", 8, &target);

	assert_string_equal(probe(f, &target), "");
	assert_i64(count_descriptors(), f->descriptors + 1);
	assert_i64(read_end(fd), 0);
	close(fd);
}

static void
proxy_v2_target_gets_the_whole_local_header_and_a_fin(void **state)
{
	struct fixture *f = *state;
	struct check_spec spec = {.protocol = CHECK_TCP, .proxy_v2 = true};
	const struct probe_env env = {
	    .loop = &f->loop, .spec = &spec, .done = on_done, .owner = f};
	uint8_t want[PROXY_V2_SIZE], got[PROXY_V2_SIZE + 1];
	int listener = listen_on("127.0.0.1", 8, &spec.addr);
	int fd;

	assert_i64(probe_tcp_start(&env, &f->probe), 0);
	assert_true(loop_run_until(&f->loop, is_done, f, LOOP_DEADLINE_MS));
	assert_i64(f->end.result, PROBE_SUCCESS);
	fd = accept(listener, NULL, NULL);
	proxy_v2_encode_local(want);
	assert_i64(
	    recv(fd, got, sizeof(got), MSG_WAITALL), (int64_t)sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
	assert_i64(recv(fd, got, sizeof(got), 0), 0);
	close(fd);
	close(listener);
}

/* The check is over before the loop has seen the target's answer: it timed
 * out in a stall, or its slot went away. */
static void
proxy_v2_target_gets_its_header_when_the_check_is_cancelled(void **state)
{
	struct fixture *f = *state;
	struct check_spec spec = {.protocol = CHECK_TCP, .proxy_v2 = true};
	const struct probe_env env = {
	    .loop = &f->loop, .spec = &spec, .done = on_done, .owner = f};
	uint8_t want[PROXY_V2_SIZE], got[PROXY_V2_SIZE + 1];
	int listener = listen_on("127.0.0.1", 8, &spec.addr);
	int fd;

	assert_i64(probe_tcp_start(&env, &f->probe), 0);
	f->probe->ops->close(f->probe);
	fd = accept(listener, NULL, NULL);
	proxy_v2_encode_local(want);
	assert_i64(
	    recv(fd, got, sizeof(got), MSG_WAITALL), (int64_t)sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
	assert_i64(f->calls, 0);
	close(fd);
	close(listener);
}

static void
ipv6_target_succeeds(void **state)
{
	struct fixture *f = *state;
	struct addr target;
	int fd = listen_on("::1", 8, &target);

	if (fd == -1)
		skip();
	assert_string_equal(probe(f, &target), "");
	close(fd);
}

static void
closed_port_is_refused(void **state)
{
	struct fixture *f = *state;
	struct addr target;
	int fd = reserve_port(&target);

	assert_string_equal(probe(f, &target), "connection refused");
	assert_i64(count_descriptors(), f->descriptors + 1);
	close(fd);
}

/* Connects, lets act happen to the accepted socket, then runs the loop. */
static int
probe_while(struct fixture *f, void (*act)(int fd))
{
	struct addr target;
	int listener = listen_on("127.0.0.1", 8, &target);
	int fd, ended;

	f->calls = 0;
	assert_i64(start_probe(f, &target), 0);
	fcntl(listener, F_SETFL, 0); /* wait for it */
	fd = accept(listener, NULL, NULL);
	assert_true(fd != -1);
	act(fd);
	assert_true(loop_run_until(&f->loop, is_done, f, LOOP_DEADLINE_MS));
	assert_i64(f->end.result, PROBE_SUCCESS);
	ended = errno = 0;
	if (fcntl(fd, F_GETFD) != -1) {
		char byte;
		ssize_t n = recv(fd, &byte, 1, 0);

		ended = n == -1 ? errno : (int)n;
		close(fd);
	}
	close(listener);
	return ended;
}

static void
send_greeting(int fd)
{
	assert_i64(send(fd, "220 ready\r\n", 11, 0), 11);
}

static void
greeting_is_read_so_that_the_target_sees_fin_not_reset(void **state)
{
	assert_i64(probe_while(*state, send_greeting), 0);
}

static void
flood(int fd)
{
	static const char block[65536];
	struct timeval limit = {.tv_usec = 1000};
	int i;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	for (i = 0; i < 64; i++)
		if (send(fd, block, sizeof(block), MSG_NOSIGNAL) <= 0)
			break;
}

static void
flooding_target_does_not_hold_the_probe(void **state)
{
	/* Too much to be polite: cut with a reset. */
	assert_i64(probe_while(*state, flood), ECONNRESET);
}

static void
reset_connection(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void
reset_after_the_answer_is_still_a_success(void **state)
{
	assert_i64(probe_while(*state, reset_connection), 0);
}

static void
close_at_once(int fd)
{
	close(fd);
}

static void
target_that_closes_at_once_is_a_success(void **state)
{
	assert_i64(probe_while(*state, close_at_once), 0);
}

static void
unanswered_probe_is_in_progress_and_closes_without_a_call(void **state)
{
	struct fixture *f = *state;
	struct probe_end end;
	struct black_hole hole;

	assert_true(black_hole_open(&hole));
	assert_i64(start_probe(f, &hole.addr), 0);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	f->probe->ops->give_up(f->probe, &end);
	assert_i64(end.result, PROBE_FAILURE);
	assert_true(end.timed_out);
	f->probe->ops->close(f->probe);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_i64(f->calls, 0);
	black_hole_close(&hole);
	assert_i64(count_descriptors(), f->descriptors);
}

static void
give_up_sees_the_answer_before_the_loop_does(void **state)
{
	struct fixture *f = *state;
	struct probe_end end;
	struct addr target;
	int fd = listen_on("127.0.0.1", 8, &target);

	assert_i64(start_probe(f, &target), 0);
	fcntl(fd, F_SETFL, 0);
	close(accept(fd, NULL, NULL));
	f->probe->ops->give_up(f->probe, &end);
	assert_i64(end.result, PROBE_SUCCESS);
	f->probe->ops->close(f->probe);
	close(fd);
}

static void
no_descriptor_left_is_void(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, none;
	struct probe_end end;
	struct addr target;
	int error, fd = listen_on("127.0.0.1", 8, &target);

	assert_i64(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_i64(setrlimit(RLIMIT_NOFILE, &none), 0);
	error = start_probe(f, &target);
	assert_i64(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_i64(error, -EMFILE);
	probe_socket_judge(error, &end);
	assert_i64(end.result, PROBE_VOID);
	close(fd);
}

static void
error_at_connect_comes_back_at_once(void **state)
{
	struct fixture *f = *state;
	struct addr broadcast;

	/* EACCES: a TCP connect to a broadcast address. */
	assert_i64(addr_parse("255.255.255.255:25", &broadcast), 0);
	assert_string_not_equal(probe(f, &broadcast), "");
	assert_i64(count_descriptors(), f->descriptors);
}

/*
 * In a network of its own where 40000 is the only source port there is, a
 * connect to port 40000 meets itself. Exit status: 0 refused, 77 not possible
 * here.
 */
static int
connect_to_itself(void)
{
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	struct fixture f = {0};
	struct addr target;
	int fd, range;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1 &&
	    unshare(CLONE_NEWNET) == -1)
		return 77;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	range = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);
	if (fd == -1 || range == -1 || ioctl(fd, SIOCSIFFLAGS, &up) == -1 ||
	    write(range, "40000 40000", 11) != 11)
		return 77;
	close(fd);
	close(range);
	if (uv_loop_init(&f.loop) != 0 ||
	    addr_parse("127.0.0.1:40000", &target) != 0 ||
	    start_probe(&f, &target) != 0 ||
	    !loop_run_until(&f.loop, is_done, &f, LOOP_DEADLINE_MS) ||
	    !loop_finish(&f.loop))
		return 1;
	return strcmp(f.end.detail, "connection refused") == 0 ? 0 : 2;
}

static void
socket_that_connects_to_itself_counts_as_refused(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0)
		_exit(connect_to_itself());
	assert_i64(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_i64(WEXITSTATUS(status), 0);
}

static void
every_error_is_judged_and_put_into_words(void **state)
{
	static const struct {
		int error;
		enum probe_result result;
		const char *detail;
	} cases[] = {
	    {0, PROBE_SUCCESS, "connected"},
	    {-ECONNREFUSED, PROBE_FAILURE, "connection refused"},
	    {-ETIMEDOUT, PROBE_FAILURE, "connection timed out"},
	    {-EHOSTUNREACH, PROBE_FAILURE, "host unreachable"},
	    {-ENETUNREACH, PROBE_FAILURE, "network unreachable"},
	    {-EPERM, PROBE_FAILURE,
		"forbidden by this node's firewall or routing rules"},
	    {-EACCES, PROBE_FAILURE,
		"forbidden by this node's firewall or routing rules"},
	    {-ENONET, PROBE_FAILURE, "Machine is not on the network"},
	    {-99999, PROBE_FAILURE, "connection failed"},
	    {-EMFILE, PROBE_VOID, "no free file descriptor for the check"},
	    {-ENFILE, PROBE_VOID, "no free file descriptor for the check"},
	    {-ENOBUFS, PROBE_VOID, "no memory for the check"},
	    {-ENOMEM, PROBE_VOID, "no memory for the check"},
	    {-EADDRNOTAVAIL, PROBE_VOID, "no free source port for the check"},
	    {-EAGAIN, PROBE_VOID, "no free source port for the check"},
	    {-EBADF, PROBE_VOID, "the check's socket could not be watched"},
	};
	struct probe_end end;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		probe_socket_judge(cases[i].error, &end);
		assert_i64(end.result, cases[i].result);
		assert_string_equal(end.detail, cases[i].detail);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest probe_tcp[] = {
	    TEST(listening_target_succeeds_and_sees_a_fin),
	    TEST(proxy_v2_target_gets_the_whole_local_header_and_a_fin),
	    TEST(proxy_v2_target_gets_its_header_when_the_check_is_cancelled),
	    TEST(ipv6_target_succeeds),
	    TEST(closed_port_is_refused),
	    TEST(greeting_is_read_so_that_the_target_sees_fin_not_reset),
	    TEST(flooding_target_does_not_hold_the_probe),
	    TEST(reset_after_the_answer_is_still_a_success),
	    TEST(target_that_closes_at_once_is_a_success),
	    TEST(unanswered_probe_is_in_progress_and_closes_without_a_call),
	    TEST(give_up_sees_the_answer_before_the_loop_does),
	    TEST(no_descriptor_left_is_void),
	    TEST(error_at_connect_comes_back_at_once),
	    cmocka_unit_test(socket_that_connects_to_itself_counts_as_refused),
	    cmocka_unit_test(every_error_is_judged_and_put_into_words),
	};

	return cmocka_run_group_tests(probe_tcp, NULL, NULL);
}
