/*
 * Component tests of supervisor/lock: one nlbd per admin socket, and nothing
 * of anybody else's is removed for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
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

#include "supervisor/lock.h"
#include "supervisor_fixture.h"
#include "support/expect.h"

static struct temp_dir dir;

static int
setup(void **state)
{
	(void)state;
	return temp_dir_make(&dir);
}

static int
teardown(void **state)
{
	(void)state;
	temp_dir_remove(&dir);
	return 0;
}

/* Record locks are between processes: asks in another one. The exit code is
 * what fn returned. */
static int
in_child(int (*fn)(const char *path), const char *path)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(path));
	assert_true(pid > 0);
	assert_i64(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- the lock --------------------------------------------------------- */

static int
acquire_and_look(const char *path)
{
	char why[256] = "", expected[32];
	int rc = lock_acquire(path, why, sizeof(why));

	snprintf(expected, sizeof(expected), "(pid %d)", (int)getppid());
	if (rc >= 0)
		return 1;
	if (rc != -EBUSY)
		return 2;
	return strstr(why, expected) != NULL ? 0 : 3;
}

static void
second_nlbd_is_told_who_runs(void **state)
{
	const char *path = temp_path(&dir, "nlbd.sock.lock");
	char why[256] = "";
	int fd = lock_acquire(path, why, sizeof(why));

	(void)state;
	assert_true(fd >= 0);
	assert_i64(in_child(acquire_and_look, path), 0);
	close(fd);
	assert_i64(in_child(acquire_and_look, path), 1);
}

static void
lock_file_is_for_its_owner_alone_and_not_inherited(void **state)
{
	const char *path = temp_path(&dir, "nlbd.sock.lock");
	char why[256];
	struct stat st;
	int fd = lock_acquire(path, why, sizeof(why));

	(void)state;
	assert_true(fd >= 0);
	assert_i64(fstat(fd, &st), 0);
	assert_u64(st.st_mode & 0777, 0600);
	assert_i64(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
}

static void
missing_directory_is_made(void **state)
{
	char why[256];
	int fd = lock_acquire(
	    temp_path(&dir, "run/nlbd.sock.lock"), why, sizeof(why));

	(void)state;
	assert_true(fd >= 0);
	close(fd);
}

static void
directory_that_cannot_be_made_is_named_with_what_to_do(void **state)
{
	char why[256] = "";
	int rc = lock_acquire(
	    temp_path(&dir, "no/such/nlbd.sock.lock"), why, sizeof(why));

	(void)state;
	assert_errno(rc, -ENOENT);
	assert_contains(why, "no/such/nlbd.sock.lock");
	assert_contains(why, "AdminSocket");
}

static int
acquire_as_nobody(const char *path)
{
	char why[256] = "";
	int rc;

	if (setuid(65534) == -1)
		return 1;
	rc = lock_acquire(path, why, sizeof(why));
	if (rc != -EACCES)
		return 2;
	return strstr(why, "make its directory writable") != NULL ? 0 : 3;
}

static void
read_only_directory_is_an_error_with_what_to_do(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* needs another user */
	assert_i64(chmod(dir.path, 0755), 0);
	assert_i64(
	    in_child(acquire_as_nobody, temp_path(&dir, "nlbd.sock.lock")), 0);
}

static void
lock_path_that_is_a_link_is_not_followed(void **state)
{
	const char *path = temp_path(&dir, "nlbd.sock.lock");
	const char *victim = temp_path(&dir, "victim");
	char why[256];

	(void)state;
	assert_i64(symlink(victim, path), 0);
	assert_errno(lock_acquire(path, why, sizeof(why)), -ELOOP);
	assert_i64(access(victim, F_OK), -1);
}

/* Which bytes another process finds locked: 1 RUNNING, 2 SERVING. */
static int
look_at_bytes(const char *path)
{
	int fd = open(path, O_RDWR), found = 0;

	for (int byte = LOCK_BYTE_RUNNING; byte <= LOCK_BYTE_SERVING; byte++) {
		struct flock lock = {.l_type = F_WRLCK,
		    .l_whence = SEEK_SET,
		    .l_start = byte,
		    .l_len = 1};

		if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
			found |= 1 << byte;
	}
	return found;
}

static void
orphans_see_a_successor_only_once_it_serves(void **state)
{
	const char *path = temp_path(&dir, "nlbd.sock.lock");
	char why[256];
	int fd = lock_acquire(path, why, sizeof(why));

	(void)state;
	assert_true(fd >= 0);
	assert_i64(in_child(look_at_bytes, path), 1);
	assert_errno(lock_set_serving(fd), 0);
	assert_i64(in_child(look_at_bytes, path), 3);
	close(fd);
	assert_i64(in_child(look_at_bytes, path), 0);
}

/* ---- the admin socket ------------------------------------------------- */

static int
connect_unix(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	rc = connect(fd, (struct sockaddr *)&sun, sizeof(sun));
	close(fd);
	return rc;
}

static void
socket_listens_and_is_for_its_owner_alone(void **state)
{
	const char *path = temp_path(&dir, "nlbd.sock");
	mode_t mask = umask(0);
	int fd = admin_socket_open(path);
	struct stat st;

	(void)state;
	assert_i64(umask(mask), 0); /* put back as it was */
	assert_true(fd >= 0);
	assert_i64(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_u64(st.st_mode & 0777, 0600);
	assert_i64(connect_unix(path), 0);
	close(fd);
}

static void
stale_socket_is_replaced(void **state)
{
	const char *path = temp_path(&dir, "nlbd.sock");
	int fd;

	(void)state;
	close(admin_socket_open(path));
	assert_i64(connect_unix(path), -1);
	fd = admin_socket_open(path);
	assert_true(fd >= 0);
	assert_i64(connect_unix(path), 0);
	close(fd);
}

static void
file_in_the_way_is_left_alone(void **state)
{
	const char *path = temp_path(&dir, "precious");
	char *text;

	(void)state;
	write_file(path, "ten years of mail");
	assert_errno(admin_socket_open(path), -EEXIST);
	text = read_file(path);
	assert_str(text, "ten years of mail");
	free(text);
}

static void
link_directory_and_fifo_in_the_way_are_left_alone(void **state)
{
	const char *link = temp_path(&dir, "link");
	const char *fifo = temp_path(&dir, "fifo");
	const char *subdir = temp_path(&dir, "directory");
	struct stat st;

	(void)state;
	assert_i64(symlink("/nowhere", link), 0);
	assert_i64(mkfifo(fifo, 0600), 0);
	assert_i64(mkdir(subdir, 0700), 0);
	assert_errno(admin_socket_open(link), -EEXIST);
	assert_errno(admin_socket_open(fifo), -EEXIST);
	assert_errno(admin_socket_open(subdir), -EEXIST);
	assert_i64(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_i64(lstat(fifo, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_i64(lstat(subdir, &st), 0);
}

static void
path_beyond_what_a_socket_takes_is_refused(void **state)
{
	char path[256];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_errno(admin_socket_open(path), -ENAMETOOLONG);
}

static void
missing_directory_of_the_socket_is_an_error(void **state)
{
	(void)state;
	assert_errno(admin_socket_open(temp_path(&dir, "no/s")), -ENOENT);
	assert_errno(admin_socket_open("/dev/null/nlbd.sock"), -ENOTDIR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest lock[] = {
	    TEST(second_nlbd_is_told_who_runs),
	    TEST(lock_file_is_for_its_owner_alone_and_not_inherited),
	    TEST(missing_directory_is_made),
	    TEST(directory_that_cannot_be_made_is_named_with_what_to_do),
	    TEST(read_only_directory_is_an_error_with_what_to_do),
	    TEST(lock_path_that_is_a_link_is_not_followed),
	    TEST(orphans_see_a_successor_only_once_it_serves),
	    TEST(socket_listens_and_is_for_its_owner_alone),
	    TEST(stale_socket_is_replaced),
	    TEST(file_in_the_way_is_left_alone),
	    TEST(link_directory_and_fifo_in_the_way_are_left_alone),
	    TEST(path_beyond_what_a_socket_takes_is_refused),
	    TEST(missing_directory_of_the_socket_is_an_error),
	};

	return cmocka_run_group_tests(lock, NULL, NULL);
}
