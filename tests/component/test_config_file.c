/* Replacing the config file: what stays of the old one, and what can happen. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/config_file.h"
#include "supervisor_fixture.h"
#include "support/expect.h"

#define NOBODY 65534
#define OLD "[node]\nWorkers = 1\n"
#define NEW "[node]\nWorkers = 2\n"

struct fixture {
	struct temp_dir dir;
	char path[128], new_path[160];
	struct config_file file;
	char why[1024];
};

static void
expect_content(const char *path, const char *text)
{
	char *content = read_file(path);

	assert_str(content, text);
	free(content);
}

static void
expect_gone(const char *path)
{
	struct stat st;

	assert_i64(lstat(path, &st), -1);
	assert_i64(errno, ENOENT);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (temp_dir_make(&f->dir) != 0)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/nlbd.ini", f->dir.path);
	snprintf(f->new_path, sizeof(f->new_path), "%s/.nlbd.ini.nlbd-new",
	    f->dir.path);
	write_file(f->path, OLD);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	temp_dir_remove(&f->dir);
	free(f);
	return 0;
}

static int
prepare(struct fixture *f)
{
	return config_file_prepare(&f->file, f->path, OLD, strlen(OLD), NEW,
	    strlen(NEW), f->why, sizeof(f->why));
}

static int
commit(struct fixture *f)
{
	return config_file_commit(&f->file, f->why, sizeof(f->why));
}

static void
file_is_replaced_at_commit_and_not_before(void **state)
{
	struct fixture *f = *state;

	assert_errno(prepare(f), 0);
	expect_content(f->path, OLD);
	expect_content(f->new_path, NEW);
	assert_errno(commit(f), 0);
	expect_content(f->path, NEW);
	expect_gone(f->new_path);
	config_file_drop(&f->file);
	expect_content(f->path, NEW);
}

static void
dropped_replacement_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	assert_errno(prepare(f), 0);
	config_file_drop(&f->file);
	expect_content(f->path, OLD);
	expect_gone(f->new_path);
}

static void
mode_and_owner_stay(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	bool root = geteuid() == 0;

	assert_i64(chmod(f->path, 0460), 0);
	if (root)
		assert_i64(chown(f->path, NOBODY, NOBODY), 0);
	assert_errno(prepare(f), root ? 0 : -EACCES);
	if (!root)
		return;
	assert_errno(commit(f), 0);
	assert_i64(stat(f->path, &st), 0);
	assert_u64(st.st_mode & 07777, 0460);
	assert_u64(st.st_uid, NOBODY);
	assert_u64(st.st_gid, NOBODY);
}

static void
symbolic_link_stays_and_its_file_is_replaced(void **state)
{
	struct fixture *f = *state;
	char link[160];
	struct stat st;

	snprintf(link, sizeof(link), "%s/link.ini", f->dir.path);
	assert_i64(symlink("nlbd.ini", link), 0);
	assert_errno(config_file_prepare(&f->file, link, OLD, strlen(OLD), NEW,
			 strlen(NEW), f->why, sizeof(f->why)),
	    0);
	assert_errno(commit(f), 0);
	expect_content(f->path, NEW);
	assert_i64(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	unlink(link);
}

static void
file_changed_since_it_was_loaded_is_left_alone(void **state)
{
	struct fixture *f = *state;

	write_file(f->path, OLD "; mine\n");
	assert_errno(prepare(f), -EBUSY);
	assert_contains(f->why, "was changed after nlbd loaded it");
	assert_contains(f->why, "nlbctl reload");
	expect_content(f->path, OLD "; mine\n");
	expect_gone(f->new_path);
}

static void
file_changed_at_the_last_moment_is_left_alone(void **state)
{
	struct fixture *f = *state;

	assert_errno(prepare(f), 0);
	write_file(f->path, "; all new\n");
	assert_errno(commit(f), -EBUSY);
	config_file_drop(&f->file);
	expect_content(f->path, "; all new\n");
	expect_gone(f->new_path);
}

static void
removed_file_and_directory_in_its_place_are_named(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	assert_errno(prepare(f), -ENOENT);
	assert_contains(f->why, "nlbd.ini");
	assert_contains(f->why, "--runtime");
	assert_i64(mkdir(f->path, 0755), 0);
	assert_errno(prepare(f), -EISDIR);
	rmdir(f->path);
}

/* What a crash has left behind; even a link to somewhere else. */
static void
leftover_of_a_crash_is_replaced(void **state)
{
	struct fixture *f = *state;
	char other[160];

	write_file(f->new_path, "[half of");
	assert_errno(prepare(f), 0);
	assert_errno(commit(f), 0);
	expect_content(f->path, NEW);
	expect_gone(f->new_path);

	write_file(f->path, OLD);
	snprintf(other, sizeof(other), "%s/other", f->dir.path);
	write_file(other, "precious");
	assert_i64(symlink(other, f->new_path), 0);
	assert_errno(prepare(f), 0);
	assert_errno(commit(f), 0);
	expect_content(other, "precious");
	expect_content(f->path, NEW);
	unlink(other);
}

static void
what_cannot_be_replaced_is_an_error(void **state)
{
	struct fixture *f = *state;

	assert_i64(mkdir(f->new_path, 0755), 0);
	assert_true(prepare(f) < 0);
	assert_contains(f->why, "cannot remove");
	expect_content(f->path, OLD);
	rmdir(f->new_path);
}

static void
full_disk_leaves_the_old_file(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, small;
	int rc;

	signal(SIGXFSZ, SIG_IGN);
	assert_i64(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){.rlim_cur = 4, .rlim_max = old.rlim_max};
	assert_i64(setrlimit(RLIMIT_FSIZE, &small), 0);
	rc = prepare(f);
	assert_i64(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_errno(rc, -EFBIG);
	assert_contains(f->why, "cannot write");
	expect_content(f->path, OLD);
	expect_gone(f->new_path);
}

static void
expect_refused_as_nobody(struct fixture *f, const char *what)
{
	int rc;

	assert_i64(seteuid(NOBODY), 0);
	rc = prepare(f);
	assert_i64(seteuid(0), 0);
	assert_true(rc == -EACCES || rc == -EPERM);
	assert_contains(f->why, what);
	assert_contains(f->why, "nlbd's user has to be allowed");
	assert_contains(f->why, "--runtime");
	expect_content(f->path, OLD);
	expect_gone(f->new_path);
}

static void
missing_rights_are_named_with_the_way_out(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	assert_i64(chmod(f->dir.path, 0755), 0);
	expect_refused_as_nobody(f, "cannot write");
	assert_i64(chown(f->path, NOBODY, NOBODY), 0);
	expect_refused_as_nobody(f, "cannot create");
	/* The directory would do, but root's file would become nobody's. */
	assert_i64(chown(f->path, 0, 0), 0);
	assert_i64(chmod(f->path, 0666), 0);
	assert_i64(chmod(f->dir.path, 0777), 0);
	expect_refused_as_nobody(f, "cannot keep the owner");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(file_is_replaced_at_commit_and_not_before),
	    TEST(dropped_replacement_leaves_nothing),
	    TEST(mode_and_owner_stay),
	    TEST(symbolic_link_stays_and_its_file_is_replaced),
	    TEST(file_changed_since_it_was_loaded_is_left_alone),
	    TEST(file_changed_at_the_last_moment_is_left_alone),
	    TEST(removed_file_and_directory_in_its_place_are_named),
	    TEST(leftover_of_a_crash_is_replaced),
	    TEST(what_cannot_be_replaced_is_an_error),
	    TEST(full_disk_leaves_the_old_file),
	    TEST(missing_rights_are_named_with_the_way_out),
	};
#undef TEST

	return cmocka_run_group_tests_name("config_file", tests, NULL, NULL);
}
