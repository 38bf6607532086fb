/*
 * Component tests of supervisor/notify: the datagrams a service manager gets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/notify.h"
#include "supervisor_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

static struct temp_dir dir;
static int manager = -1;

/* name as in NOTIFY_SOCKET: "/path" or "@name". */
static void
listen_at(const char *name)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t n = strlen(name);

	memcpy(sun.sun_path, name, n);
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_i64(bind(manager, (struct sockaddr *)&sun,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
	    0);
	setenv("NOTIFY_SOCKET", name, 1);
}

static int
setup(void **state)
{
	(void)state;
	capture_log();
	unsetenv("NOTIFY_SOCKET");
	return temp_dir_make(&dir);
}

static int
teardown(void **state)
{
	(void)state;
	if (manager != -1)
		close(manager);
	manager = -1;
	temp_dir_remove(&dir);
	return 0;
}

/* A datagram is there as soon as it was sent. */
static const char *
received(void)
{
	static char text[1024];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	if (n == -1)
		return NULL;
	text[n] = '\0';
	return text;
}

static void
without_a_service_manager_nothing_happens(void **state)
{
	int before = count_descriptors();

	(void)state;
	notify_ready("serving");
	setenv("NOTIFY_SOCKET", "", 1);
	notify_reloading();
	notify_stopping("draining");
	assert_i64(count_descriptors(), before);
	assert_false(log_has(""));
}

static void
ready_reaches_a_socket_in_the_file_system(void **state)
{
	int before;

	(void)state;
	listen_at(temp_path(&dir, "notify"));
	before = count_descriptors();
	notify_ready("serving 2 listeners");
	assert_str(received(), "READY=1\nSTATUS=serving 2 listeners");
	assert_null(received());
	assert_i64(count_descriptors(), before);
}

static void
ready_reaches_an_abstract_socket(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "@nlbd-test-notify-%d", (int)getpid());
	listen_at(name);
	notify_ready("serving");
	assert_str(received(), "READY=1\nSTATUS=serving");
}

static uint64_t
monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
reloading_carries_the_monotonic_time(void **state)
{
	uint64_t before, told;
	const char *text;

	(void)state;
	listen_at(temp_path(&dir, "notify"));
	before = monotonic_us();
	notify_reloading();
	text = received();
	assert_contains(text, "RELOADING=1\nMONOTONIC_USEC=");
	told = strtoull(strrchr(text, '=') + 1, NULL, 10);
	assert_u64_between(told, before, monotonic_us());
}

static void
stopping_is_told_with_a_status(void **state)
{
	(void)state;
	listen_at(temp_path(&dir, "notify"));
	notify_stopping("draining");
	assert_str(received(), "STOPPING=1\nSTATUS=draining");
}

static void
status_cannot_smuggle_a_field_of_its_own(void **state)
{
	(void)state;
	listen_at(temp_path(&dir, "notify"));
	notify_ready("bad.ini\nMAINPID=1");
	assert_str(received(), "READY=1\nSTATUS=bad.ini\\x0aMAINPID=1");
}

static void
long_status_is_cut_and_sent(void **state)
{
	char status[2048];

	(void)state;
	memset(status, 'x', sizeof(status) - 1);
	status[sizeof(status) - 1] = '\0';
	listen_at(temp_path(&dir, "notify"));
	notify_ready(status);
	assert_contains(received(), "READY=1\nSTATUS=xxxx");
}

static void
address_that_does_not_work_is_a_warning(void **state)
{
	char name[256];

	(void)state;
	setenv("NOTIFY_SOCKET", temp_path(&dir, "nobody"), 1);
	notify_ready("serving");
	assert_true(log_has("No such file"));
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	notify_ready("serving");
	assert_true(log_has("Address family not supported"));
	memset(name, '/', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	notify_ready("serving");
	assert_true(log_has("File name too long"));
}

static void
manager_that_does_not_read_is_not_waited_for(void **state)
{
	(void)state;
	listen_at(temp_path(&dir, "notify"));
	for (int i = 0; i < 10000 && !log_has("cannot notify"); i++)
		notify_reloading();
	assert_true(log_has("Resource temporarily unavailable"));
}

static void
watchdog_is_told_that_we_are_alive(void **state)
{
	(void)state;
	listen_at(temp_path(&dir, "notify"));
	notify_watchdog();
	assert_str(received(), "WATCHDOG=1");
}

static void
watchdog_hears_us_four_times_in_its_span(void **state)
{
	(void)state;
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	assert_u64(notify_watchdog_interval_ms(), 0);
	setenv("WATCHDOG_USEC", "20000000", 1);
	assert_u64(notify_watchdog_interval_ms(), 5000);
	setenv("WATCHDOG_USEC", "1", 1);
	assert_u64(notify_watchdog_interval_ms(), 1);
	setenv("WATCHDOG_USEC", "", 1);
	assert_u64(notify_watchdog_interval_ms(), 0);
	assert_false(log_has("WATCHDOG"));
	unsetenv("WATCHDOG_USEC");
}

static void
watchdog_of_another_process_is_not_ours(void **state)
{
	char pid[16];

	(void)state;
	setenv("WATCHDOG_USEC", "20000000", 1);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_u64(notify_watchdog_interval_ms(), 5000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_u64(notify_watchdog_interval_ms(), 0);
	setenv("WATCHDOG_PID", "me", 1);
	assert_u64(notify_watchdog_interval_ms(), 0);
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
}

static void
watchdog_span_that_is_no_number_is_a_warning(void **state)
{
	static const char *const bad[] = {
	    "0", "-1", "20s", "99999999999999999999"};

	(void)state;
	unsetenv("WATCHDOG_PID");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[64];

		setenv("WATCHDOG_USEC", bad[i], 1);
		assert_u64(notify_watchdog_interval_ms(), 0);
		snprintf(text, sizeof(text), "WATCHDOG_USEC = %s is ", bad[i]);
		assert_true(log_has(text));
	}
	unsetenv("WATCHDOG_USEC");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest notify[] = {
	    TEST(without_a_service_manager_nothing_happens),
	    TEST(ready_reaches_a_socket_in_the_file_system),
	    TEST(ready_reaches_an_abstract_socket),
	    TEST(reloading_carries_the_monotonic_time),
	    TEST(stopping_is_told_with_a_status),
	    TEST(status_cannot_smuggle_a_field_of_its_own),
	    TEST(long_status_is_cut_and_sent),
	    TEST(address_that_does_not_work_is_a_warning),
	    TEST(manager_that_does_not_read_is_not_waited_for),
	    TEST(watchdog_is_told_that_we_are_alive),
	    TEST(watchdog_hears_us_four_times_in_its_span),
	    TEST(watchdog_of_another_process_is_not_ours),
	    TEST(watchdog_span_that_is_no_number_is_a_warning),
	};

	return cmocka_run_group_tests(notify, NULL, NULL);
}
