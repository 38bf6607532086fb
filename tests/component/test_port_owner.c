/*
 * Component tests of supervisor/port_owner: strangers are named, our own
 * orphaned workers are known by the lock file they hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/addr.h"
#include "ipc/worker_fd.h"
#include "supervisor/sockets.h"
#include "supervisor_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

static struct temp_dir dir;
static const char *lock_path;
static pid_t holder;
static const char *holder_name;

static int
setup(void **state)
{
	(void)state;
	holder = 0;
	holder_name = "squatter";
	if (temp_dir_make(&dir) != 0)
		return -1;
	lock_path = temp_path(&dir, "nlbd.sock.lock");
	write_file(lock_path, "");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (holder > 0) {
		kill(holder, SIGKILL);
		waitpid(holder, NULL, 0);
	}
	temp_dir_remove(&dir);
	return 0;
}

/* Another process that listens there, with path open as WORKER_FD_LOCK, and
 * nothing else of ours. */
static void
hold_elsewhere(const char *ip, const char *path, struct addr *where)
{
	int ready[2];

	assert_i64(pipe(ready), 0);
	holder = fork();
	assert_true(holder >= 0);
	if (holder == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, holder_name);
		close(WORKER_FD_LOCK);
		if (path != NULL)
			dup2(open(path, O_RDWR), WORKER_FD_LOCK);
		listen_on(ip, 8, where);
		if (write(ready[1], where, sizeof(*where)) == -1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_i64(read(ready[0], where, sizeof(*where)), sizeof(*where));
	close(ready[0]);
}

static void
assert_named(const char *who, const char *name, pid_t pid)
{
	char text[64];

	snprintf(text, sizeof(text), "%s (pid %d)", name, (int)pid);
	assert_str(who, text);
}

static void
stranger_is_named(void **state)
{
	struct addr where;
	char who[256];

	(void)state;
	hold_elsewhere("127.0.0.1", NULL, &where);
	assert_true(
	    port_owner_is_stranger(&where, lock_path, who, sizeof(who)));
	assert_named(who, "squatter", holder);
}

static void
stranger_on_all_addresses_is_found(void **state)
{
	struct addr where, wanted;
	char who[256];

	(void)state;
	hold_elsewhere("::", NULL, &where);
	assert_i64(addr_parse_ip("127.0.0.1", &wanted), 0);
	wanted.port = where.port;
	assert_true(
	    port_owner_is_stranger(&wanted, lock_path, who, sizeof(who)));
	assert_named(who, "squatter", holder);
}

static void
name_with_control_bytes_is_escaped(void **state)
{
	struct addr where;
	char who[256];

	(void)state;
	holder_name = "a\033[2Jb";
	hold_elsewhere("127.0.0.1", NULL, &where);
	assert_true(
	    port_owner_is_stranger(&where, lock_path, who, sizeof(who)));
	assert_named(who, "a\\x1b[2Jb", holder);
}

static void
orphaned_worker_is_no_stranger(void **state)
{
	struct addr where;
	char who[256];

	(void)state;
	hold_elsewhere("127.0.0.1", lock_path, &where);
	assert_false(
	    port_owner_is_stranger(&where, lock_path, who, sizeof(who)));
}

static void
worker_of_an_nlbd_with_another_lock_is_a_stranger(void **state)
{
	const char *other = temp_path(&dir, "other.lock");
	struct addr where;
	char who[256];

	(void)state;
	write_file(other, "");
	hold_elsewhere("127.0.0.1", other, &where);
	assert_true(
	    port_owner_is_stranger(&where, lock_path, who, sizeof(who)));
	assert_named(who, "squatter", holder);
}

static void
our_own_socket_is_no_stranger(void **state)
{
	struct addr where;
	char who[256];
	int fd = listen_on("127.0.0.1", 8, &where);

	(void)state;
	assert_false(
	    port_owner_is_stranger(&where, lock_path, who, sizeof(who)));
	assert_str(who, "nlbd itself");
	close(fd);
}

static void
socket_that_only_is_bound_is_another_process(void **state)
{
	struct addr where;
	char who[256];
	int fd = reserve_port(&where);

	(void)state;
	assert_true(
	    port_owner_is_stranger(&where, lock_path, who, sizeof(who)));
	assert_str(who, "another process");
	close(fd);
}

static void
other_port_and_other_address_do_not_count(void **state)
{
	struct addr where, other;
	char who[256];

	(void)state;
	hold_elsewhere("127.0.0.1", NULL, &where);
	other = where;
	other.port = (uint16_t)(where.port ^ 1);
	(void)port_owner_is_stranger(&other, lock_path, who, sizeof(who));
	assert_str(who, "another process");
	assert_i64(addr_parse_ip("127.0.0.2", &other), 0);
	other.port = where.port;
	(void)port_owner_is_stranger(&other, lock_path, who, sizeof(who));
	assert_str(who, "another process");
}

/* All that this process has read so far; 0 where the kernel does not count. */
static unsigned long long
bytes_read(void)
{
	unsigned long long n = 0;
	FILE *f = fopen("/proc/self/io", "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "rchar: %llu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

/* A supervisor that comes back finds the connections of the one before it, and
 * the kernel takes the longer for each read of them the more there are. */
static void
connections_are_not_read(void **state)
{
	enum { CONNECTIONS = 500, LINE = 150 };
	struct addr where, own;
	struct sockaddr_storage to;
	int fds[CONNECTIONS], listener;
	unsigned long long before = bytes_read();
	socklen_t len;
	char who[256];

	(void)state;
	if (before == 0)
		skip();
	hold_elsewhere("127.0.0.1", NULL, &where);
	listener = listen_on("127.0.0.1", 4096, &own);
	len = addr_to_sockaddr(&own, &to);
	for (int i = 0; i < CONNECTIONS; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_i64(connect(fds[i], (struct sockaddr *)&to, len), 0);
	}
	before = bytes_read();
	assert_true(
	    port_owner_is_stranger(&where, lock_path, who, sizeof(who)));
	assert_named(who, "squatter", holder);
	/* Each has two ends. */
	assert_u64_between(bytes_read() - before, 1, CONNECTIONS * LINE);
	for (int i = 0; i < CONNECTIONS; i++)
		close(fds[i]);
	close(listener);
}

/* Without the right to look into the process, its user has to do. */
static void
process_we_may_not_look_into_is_named_by_its_user(void **state)
{
	struct addr where;
	int status = -1;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	hold_elsewhere("127.0.0.1", NULL, &where);
	pid = fork();
	if (pid == 0) {
		char who[256] = "";

		if (setuid(65534) == -1)
			_exit(1);
		if (!port_owner_is_stranger(
			&where, lock_path, who, sizeof(who)))
			_exit(2);
		_exit(strcmp(who, "a process of user id 0") == 0 ? 0 : 3);
	}
	assert_i64(waitpid(pid, &status, 0), pid);
	assert_i64(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest port_owner[] = {
	    TEST(stranger_is_named),
	    TEST(stranger_on_all_addresses_is_found),
	    TEST(name_with_control_bytes_is_escaped),
	    TEST(orphaned_worker_is_no_stranger),
	    TEST(worker_of_an_nlbd_with_another_lock_is_a_stranger),
	    TEST(our_own_socket_is_no_stranger),
	    TEST(socket_that_only_is_bound_is_another_process),
	    TEST(other_port_and_other_address_do_not_count),
	    TEST(connections_are_not_read),
	    TEST(process_we_may_not_look_into_is_named_by_its_user),
	};

	(void)use_private_network();
	return cmocka_run_group_tests(port_owner, NULL, NULL);
}
