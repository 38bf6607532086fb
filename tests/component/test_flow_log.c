/*
 * Component tests of supervisor/flow_log: where lines go, rotation, and what a
 * path that cannot be used leaves behind.
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
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bsd/string.h>
#include <cmocka.h>

#include "supervisor/flow_log.h"
#include "supervisor_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

static struct temp_dir dir;
static struct flow_log flow_log;

static int
setup(void **state)
{
	(void)state;
	flow_log = (struct flow_log){.fd = -1};
	return temp_dir_make(&dir);
}

static int
teardown(void **state)
{
	(void)state;
	flow_log_close(&flow_log);
	temp_dir_remove(&dir);
	return 0;
}

static int
configure_format(
    uint32_t kind, const char *path, enum conf_flow_log_format format)
{
	struct conf conf = {.node = {.flow_log = kind}};

	conf.node.flow_log_format = format;
	strlcpy(conf.lb.name, "edge", sizeof(conf.lb.name));
	strlcpy(conf.node.flow_log_path, path, sizeof(conf.node.flow_log_path));
	return flow_log_configure(&flow_log, &conf);
}

static int
configure(uint32_t kind, const char *path)
{
	return configure_format(kind, path, CONF_FLOW_LOG_JSON);
}

static void
write_flow(const char *listener)
{
	const struct flow_record r = {
	    .state = FLOW_CLOSING, .reason = FLOW_END_CLIENT_FIN};

	flow_log_add(&flow_log, &r, listener, "group");
	flow_log_flush(&flow_log);
}

static void
assert_file(const char *path, const char *part, size_t n_lines)
{
	char *text = read_file(path);
	size_t n = 0;

	assert_non_null(text);
	for (const char *p = text; *p != '\0'; p++)
		n += *p == '\n';
	if (part[0] != '\0')
		assert_contains(text, part);
	assert_u64(n, n_lines);
	free(text);
}

static void
flows_are_appended_to_the_file_one_line_each(void **state)
{
	const char *path = temp_path(&dir, "flows");

	(void)state;
	write_file(path, "before\n");
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	write_flow("one");
	write_flow("two");
	assert_file(path, "before\n{", 3);
	assert_file(path, "\"two\"", 3);
	assert_u64(flow_log.written, 2);
}

static void
format_changes_with_the_next_line_of_the_same_file(void **state)
{
	const char *path = temp_path(&dir, "flows");

	(void)state;
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	write_flow("one");
	assert_file(path, "{\"time\"", 1);
	assert_errno(configure_format(
			 CONF_FLOW_LOG_FILE, path, CONF_FLOW_LOG_VPC_FLOW_V2),
	    0);
	write_flow("two");
	assert_file(path, "}\n2 - edge ", 3);
	assert_errno(
	    configure_format(CONF_FLOW_LOG_FILE, path, CONF_FLOW_LOG_NLB), 0);
	write_flow("three");
	assert_file(path, "OK\ntcp 2.0 1970-01-01T00:00:00 edge three ", 4);
	assert_u64(flow_log.written, 3); /* flows, not lines */
}

static void
new_file_is_not_for_everyone(void **state)
{
	const char *path = temp_path(&dir, "flows");
	mode_t mask = umask(0);
	struct stat st;

	(void)state;
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	umask(mask);
	assert_i64(stat(path, &st), 0);
	assert_u64(st.st_mode & 0777, 0640);
	assert_i64(fcntl(flow_log.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void
off_writes_nothing_and_closes_the_file(void **state)
{
	const char *path = temp_path(&dir, "flows");
	int before = count_descriptors();

	(void)state;
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	assert_i64(count_descriptors(), before + 1);
	assert_errno(configure(CONF_FLOW_LOG_OFF, ""), 0);
	assert_i64(count_descriptors(), before);
	write_flow("one");
	assert_file(path, "", 0);
	assert_u64(flow_log.written + flow_log.dropped, 0);
}

static void
same_path_keeps_the_open_file(void **state)
{
	const char *path = temp_path(&dir, "flows");
	int fd;

	(void)state;
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	fd = flow_log.fd;
	assert_i64(unlink(path), 0);
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	assert_i64(flow_log.fd, fd);
	assert_i64(access(path, F_OK), -1);
}

static void
other_path_takes_over_and_the_old_file_is_closed(void **state)
{
	const char *old = temp_path(&dir, "old"),
		   *path = temp_path(&dir, "new");
	int before = count_descriptors();

	(void)state;
	assert_errno(configure(CONF_FLOW_LOG_FILE, old), 0);
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	assert_i64(count_descriptors(), before + 1);
	write_flow("one");
	assert_file(old, "", 0);
	assert_file(path, "one", 1);
}

static void
path_that_cannot_be_written_changes_nothing(void **state)
{
	const char *path = temp_path(&dir, "flows");
	const char *fifo = temp_path(&dir, "fifo");
	int before;

	(void)state;
	assert_i64(mkfifo(fifo, 0600), 0);
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	before = count_descriptors();
	assert_errno(configure(CONF_FLOW_LOG_FILE, temp_path(&dir, "no/flows")),
	    -ENOENT);
	assert_errno(configure(CONF_FLOW_LOG_FILE, dir.path), -EISDIR);
	/* A FIFO that nobody reads must not hold us up. */
	assert_errno(configure(CONF_FLOW_LOG_FILE, fifo), -ENXIO);
	assert_i64(count_descriptors(), before);
	write_flow("one");
	assert_file(path, "one", 1);
}

static void
reopen_writes_to_a_new_file_after_rotation(void **state)
{
	const char *path = temp_path(&dir, "flows");
	const char *rotated = temp_path(&dir, "flows.1");
	int before = count_descriptors();

	(void)state;
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	write_flow("one");
	assert_i64(rename(path, rotated), 0);
	write_flow("two");
	assert_errno(flow_log_reopen(&flow_log), 0);
	write_flow("three");
	assert_i64(count_descriptors(), before + 1);
	assert_file(rotated, "two", 2);
	assert_file(path, "three", 1);
	assert_str(flow_log.path, path);
}

static void
failed_reopen_writes_on_to_the_old_file(void **state)
{
	const char *path = temp_path(&dir, "flows");
	const char *rotated = temp_path(&dir, "flows.1");

	(void)state;
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	assert_i64(rename(path, rotated), 0);
	assert_i64(mkdir(path, 0700), 0);
	assert_errno(flow_log_reopen(&flow_log), -EISDIR);
	write_flow("one");
	assert_file(rotated, "one", 1);
	assert_str(flow_log.path, path); /* for the next SIGUSR1 */
}

static void
reopen_without_a_file_is_nothing(void **state)
{
	(void)state;
	assert_errno(flow_log_reopen(&flow_log), 0);
	assert_i64(flow_log.fd, -1);
}

static void
slow_reader_costs_lines_and_never_a_wait(void **state)
{
	const char *fifo = temp_path(&dir, "fifo");
	int reader;

	(void)state;
	assert_i64(mkfifo(fifo, 0600), 0);
	reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader != -1);
	assert_errno(configure(CONF_FLOW_LOG_FILE, fifo), 0);
	for (int i = 0; i < 10000 && flow_log.dropped == 0; i++)
		write_flow("one");
	assert_true(flow_log.written > 0);
	assert_u64(flow_log.dropped, 1);
	close(reader);
	/* Without a reader: no SIGPIPE, counted. */
	write_flow("one");
	assert_u64(flow_log.dropped, 2);
}

static void
add_flows(size_t n)
{
	const struct flow_record r = {
	    .state = FLOW_CLOSING, .reason = FLOW_END_CLIENT_FIN};

	for (size_t i = 0; i < n; i++)
		flow_log_add(&flow_log, &r, "one", "group");
	flow_log_flush(&flow_log);
}

static void
what_comes_together_is_one_line_each_however_much(void **state)
{
	const char *path = temp_path(&dir, "flows");
	const size_t n = 3 * FLOW_LOG_TOGETHER + 1;

	(void)state;
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	add_flows(n);
	assert_file(path, "}\n{\"time\"", n);
	assert_u64(flow_log.written, n);
	assert_u64(flow_log.dropped, 0);
}

static void
full_disk_costs_the_lines_that_did_not_fit_and_no_other(void **state)
{
	const char *path = temp_path(&dir, "flows");
	struct rlimit whole, part;
	struct stat st;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	uint64_t n_fit;

	(void)state;
	assert_errno(configure(CONF_FLOW_LOG_FILE, path), 0);
	write_flow("one");
	assert_i64(stat(path, &st), 0);
	/* Room for ten more lines and a half. */
	assert_i64(getrlimit(RLIMIT_FSIZE, &whole), 0);
	part = whole;
	part.rlim_cur = (rlim_t)st.st_size * 23 / 2;
	assert_i64(setrlimit(RLIMIT_FSIZE, &part), 0);
	add_flows(30);
	assert_i64(setrlimit(RLIMIT_FSIZE, &whole), 0);
	signal(SIGXFSZ, handler);
	n_fit = flow_log.written;
	assert_u64(n_fit, 11);
	assert_u64(flow_log.dropped, 31 - n_fit);
	/* The half line ends where the next one begins. */
	write_flow("two");
	assert_file(path, "\n{\"time\"", n_fit + 2);
	assert_file(path, "\"two\"", n_fit + 2);
}

static void
stderr_is_written_and_never_closed(void **state)
{
	const char *path = temp_path(&dir, "stderr");
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int saved = dup(STDERR_FILENO);

	(void)state;
	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	assert_errno(configure(CONF_FLOW_LOG_STDERR, ""), 0);
	write_flow("one");
	assert_errno(configure(CONF_FLOW_LOG_OFF, ""), 0);
	write_flow("two");
	assert_true(fcntl(STDERR_FILENO, F_GETFD) != -1);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	assert_file(path, "one", 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest flow_log_tests[] = {
	    TEST(flows_are_appended_to_the_file_one_line_each),
	    TEST(format_changes_with_the_next_line_of_the_same_file),
	    TEST(new_file_is_not_for_everyone),
	    TEST(off_writes_nothing_and_closes_the_file),
	    TEST(same_path_keeps_the_open_file),
	    TEST(other_path_takes_over_and_the_old_file_is_closed),
	    TEST(path_that_cannot_be_written_changes_nothing),
	    TEST(reopen_writes_to_a_new_file_after_rotation),
	    TEST(failed_reopen_writes_on_to_the_old_file),
	    TEST(reopen_without_a_file_is_nothing),
	    TEST(slow_reader_costs_lines_and_never_a_wait),
	    TEST(what_comes_together_is_one_line_each_however_much),
	    TEST(full_disk_costs_the_lines_that_did_not_fit_and_no_other),
	    TEST(stderr_is_written_and_never_closed),
	};

	return cmocka_run_group_tests_name(
	    "flow_log", flow_log_tests, NULL, NULL);
}
