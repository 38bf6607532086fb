/*
 * Component tests of supervisor/daemon under a service manager with a watchdog:
 * when it is told that nlbd is alive, and when not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon_fixture.h"
#include "fake_worker.h"
#include "support/expect.h"
#include "support/loop_support.h"

static int manager = -1;

static int
setup(void **state)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct daemon_fixture *f;

	if (daemon_fixture_setup(state) != 0)
		return -1;
	f = *state;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s",
	    temp_path(&f->dir, "notify"));
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_i64(
	    bind(manager, (struct sockaddr *)&sun, (socklen_t)sizeof(sun)), 0);
	setenv("NOTIFY_SOCKET", sun.sun_path, 1);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "80000", 1);
	return 0;
}

static int
teardown(void **state)
{
	close(manager);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	return daemon_fixture_teardown(state);
}

/* How many of the datagrams that are there begin with text. */
static unsigned
received(const char *text)
{
	char got[1024];
	unsigned n = 0;
	ssize_t len;

	while ((len = recv(manager, got, sizeof(got) - 1, 0)) > 0) {
		got[len] = '\0';
		n += strncmp(got, text, strlen(text)) == 0;
	}
	return n;
}

static void
watchdog_hears_of_a_daemon_that_serves(void **state)
{
	struct daemon_fixture *f = *state;
	struct pollfd ready = {.fd = manager, .events = POLLIN};
	unsigned n = 0;

	setenv(FAKE_WORKER_ENV, "good", 1);
	daemon_write_config(f, "");
	daemon_start(f);
	(void)received("");
	while (n < 3) {
		assert_i64(poll(&ready, 1, DAEMON_DEADLINE_MS), 1);
		n += received("WATCHDOG=1");
	}
}

static void
watchdog_hears_nothing_while_no_worker_serves(void **state)
{
	struct daemon_fixture *f = *state;

	setenv(FAKE_WORKER_ENV, "crash", 1);
	daemon_write_config(f, "");
	daemon_run(f);
	/* Long after a watchdog of 80 ms would have heard of it. */
	daemon_wait_log(f, "next try in 400 ms");
	assert_u64(received("WATCHDOG=1"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest watchdog[] = {
	    TEST(watchdog_hears_of_a_daemon_that_serves),
	    TEST(watchdog_hears_nothing_while_no_worker_serves),
	};

	daemon_fixture_run_if_asked(argc, argv);
	(void)use_private_network();
	return cmocka_run_group_tests(watchdog, NULL, NULL);
}
