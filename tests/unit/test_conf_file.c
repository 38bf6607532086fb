/* Reading a config file: regular, bounded, to its end; nothing ever blocks. */
#include "support/conf_case.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
	char path[64];
};

static void
folder_create(struct folder *f)
{
	snprintf(f->path, sizeof(f->path), "/tmp/test_conf.XXXXXX");
	if (mkdtemp(f->path) == NULL)
		fail_msg("mkdtemp: %s", strerror(errno));
}

static const char *
folder_file(const struct folder *f, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	return path;
}

static void
folder_destroy(const struct folder *f, const char *const *names)
{
	for (size_t i = 0; names[i] != NULL; i++)
		unlink(folder_file(f, names[i]));
	rmdir(f->path);
}

static void
write_file(const char *path, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd == -1 || ftruncate(fd, (off_t)len) != 0 || fchmod(fd, mode) != 0)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static void
expect_read(const char *path, int result, const char *part)
{
	struct conf_diags diags = {0};
	char *bytes = NULL, *text;
	size_t len = 0;

	assert_errno(conf_read_file(path, &bytes, &len, &diags), result);
	text = conf_case_print_diags(&diags, "FILE");
	if (part == NULL)
		assert_str(text, "");
	else
		assert_contains(text, part);
	free(text);
	free(bytes);
	conf_diags_fini(&diags);
}

static void
only_regular_files_of_bounded_size_are_read(void **state)
{
	static const char *const names[] = {
	    "full", "over", "fifo", "open", "link", "loop", "empty", NULL};
	struct folder f;

	(void)state;
	folder_create(&f);
	write_file(folder_file(&f, "full"), CONF_FILE_MAX, 0600);
	write_file(folder_file(&f, "over"), CONF_FILE_MAX + 1, 0600);
	write_file(folder_file(&f, "open"), 5, 0606);
	write_file(folder_file(&f, "empty"), 0, 0600);
	assert_i64(mkfifo(folder_file(&f, "fifo"), 0600), 0);
	assert_i64(symlink("full", folder_file(&f, "link")), 0);
	assert_i64(symlink("loop", folder_file(&f, "loop")), 0);
	expect_read(folder_file(&f, "full"), 0, NULL);
	expect_read(folder_file(&f, "link"), 0, NULL);
	expect_read(folder_file(&f, "empty"), 0, NULL);
	expect_read(folder_file(&f, "open"), 0,
	    "FILE: warning: may be changed by everybody");
	expect_read(folder_file(&f, "over"), -EFBIG, "has 1048577 bytes");
	expect_read(folder_file(&f, "fifo"), -EINVAL, "not a regular file");
	expect_read(folder_file(&f, "loop"), -ELOOP, "cannot be opened");
	expect_read(folder_file(&f, "none"), -ENOENT, "No such file");
	expect_read(f.path, -EISDIR, "is a directory");
	expect_read("/dev/zero", -EINVAL, "not a regular file");
	folder_destroy(&f, names);
}

/* A size of 0 that is not one: files under /proc claim it. */
static void
a_file_is_read_to_its_end_whatever_its_size_says(void **state)
{
	struct conf_diags diags = {0};
	char *bytes = NULL;
	size_t len = 0;

	(void)state;
	assert_errno(
	    conf_read_file("/proc/self/status", &bytes, &len, &diags), 0);
	assert_u64_between(len, 100, CONF_FILE_MAX);
	assert_errno(
	    conf_read_file("/proc/self/mem", &bytes, &len, &diags), -EIO);
	assert_contains(
	    diags.list[0].message, "cannot be read: Input/output error");
	free(bytes);
	conf_diags_fini(&diags);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_regular_files_of_bounded_size_are_read),
	    cmocka_unit_test(a_file_is_read_to_its_end_whatever_its_size_says),
	};

	return cmocka_run_group_tests_name("conf_file", tests, NULL, NULL);
}
