/* The event log: one event is one line, and nobody waits for a reader. */
#include "support/expect.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* stderr turned into a pipe for the length of one call. */
static int saved_stderr;
static int stderr_pipe[2];

static void
capture_begin(void)
{
	assert_i64(pipe2(stderr_pipe, O_CLOEXEC | O_NONBLOCK), 0);
	/* nlbd's own stderr blocks: the log must not rely on O_NONBLOCK */
	assert_i64(fcntl(stderr_pipe[1], F_SETFL, 0), 0);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(saved_stderr >= 0);
	assert_i64(dup2(stderr_pipe[1], STDERR_FILENO), STDERR_FILENO);
}

static const char *
capture_end(void)
{
	static char text[8192];
	ssize_t n = read(stderr_pipe[0], text, sizeof(text) - 1);

	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	(void)close(stderr_pipe[0]);
	(void)close(stderr_pipe[1]);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
assert_matches(const char *text, const char *pattern)
{
	regex_t re;
	int r;

	assert_i64(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	r = regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	if (r != 0)
		fail_msg("\"%s\" does not match %s", text, pattern);
}

/* A sink that keeps the last event and counts. */
struct kept {
	char text[LOG_LINE_MAX];
	enum log_level level;
	unsigned count;
};

static void
keep(void *arg, const struct log_entry *entry)
{
	struct kept *k = arg;

	(void)snprintf(k->text, sizeof(k->text), "%s", entry->text);
	k->level = entry->kind.level;
	k->count++;
	errno = ENOTTY;
}

/* Every test begins with the log as a program finds it. */
static int
reset_log(void **state)
{
	(void)state;
	(void)unsetenv("JOURNAL_STREAM");
	/* One that takes no fields: lines with priorities it is. */
	log_set_journal("/nonexistent");
	log_init("nlbd");
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static void
line_has_utc_time_ident_and_level(void **state)
{
	const char *text;

	(void)state;
	capture_begin();
	log_init("nlbd");
	log_warning("target %s is %s", "10.0.0.1:587", "unhealthy");
	text = capture_end();
	assert_matches(text,
	    "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
	    "\\.[0-9]{6}Z nlbd: warning: target 10\\.0\\.0\\.1:587 is "
	    "unhealthy\n$");
}

static void
journal_gets_priorities_instead_of_a_time(void **state)
{
	struct stat st;
	char stream[64];
	const char *text;

	(void)state;
	capture_begin();
	(void)fstat(STDERR_FILENO, &st);
	(void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	(void)setenv("JOURNAL_STREAM", stream, 1);
	log_init("nlbd");
	log_error("one");
	log_warning("two");
	log_notice("three");
	log_info("four");
	text = capture_end();
	assert_str(text, "<3>one\n<4>two\n<5>three\n<6>four\n");
}

static void
journal_stream_of_another_stderr_is_ignored(void **state)
{
	static const char *const streams[] = {"", "1:2", ":", "junk", "8:1x"};

	(void)state;
	for (size_t i = 0; i < LENGTH(streams); i++) {
		const char *text;

		capture_begin();
		(void)setenv("JOURNAL_STREAM", streams[i], 1);
		log_init("nlbd");
		log_error("x");
		text = capture_end();
		assert_matches(text, "^20.*Z nlbd: error: x\n$");
	}
}

static void
sink_gets_the_bare_text(void **state)
{
	struct kept k = {.count = 0};

	(void)state;
	log_set_sink(keep, &k);
	log_notice("listener %s up", "submission");
	assert_str(k.text, "listener submission up");
	assert_i64(k.level, LOG_LEVEL_NOTICE);
	log_error("%d", 7);
	assert_str(k.text, "7");
	assert_i64(k.level, LOG_LEVEL_ERROR);
	log_set_sink(NULL, NULL);
	capture_begin();
	log_error("back");
	assert_contains(capture_end(), "nlbd: error: back\n");
	assert_u64(k.count, 2);
}

static void
level_decides_what_is_logged(void **state)
{
	static const enum log_level levels[] = {LOG_LEVEL_ERROR,
	    LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO,
	    LOG_LEVEL_DEBUG};

	(void)state;
	for (unsigned i = 0; i < LENGTH(levels); i++) {
		struct kept k = {.count = 0};

		log_set_sink(keep, &k);
		log_set_level(levels[i]);
		log_error("e");
		log_warning("w");
		log_notice("n");
		log_info("i");
		log_debug("d");
		assert_u64(k.count, i + 1);
		assert_i64(k.level, levels[i]);
	}
}

static void
level_names_go_both_ways(void **state)
{
	static const char *const wrong[] = {
	    "", "Error", "warn", "info ", "7", "unknown"};
	enum log_level level;

	(void)state;
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		const char *name = log_level_name((enum log_level)i);

		assert_errno(log_level_parse(name, &level), 0);
		assert_i64(level, i);
	}
	level = LOG_LEVEL_NOTICE;
	for (size_t i = 0; i < LENGTH(wrong); i++)
		assert_errno(log_level_parse(wrong[i], &level), -EINVAL);
	assert_i64(level, LOG_LEVEL_NOTICE);
	assert_str(log_level_name((enum log_level)99), "unknown");
}

static void
one_event_is_one_printable_line_whatever_its_bytes(void **state)
{
	char all[256];
	const char *text;
	size_t newlines = 0;

	(void)state;
	for (unsigned i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	capture_begin();
	log_error("%s", all);
	text = capture_end();
	for (const char *p = text; *p != '\0'; p++) {
		newlines += *p == '\n';
		if (*p != '\n' && (*p < 0x20 || *p > 0x7e))
			fail_msg("byte 0x%02x", (unsigned)*p & 0xff);
	}
	assert_u64(newlines, 1);
	assert_contains(text, "\\x0a");
	assert_contains(text, "\\x1b");
	assert_contains(text, "\\x7f\\x80");
	assert_i64(text[strlen(text) - 1], '\n');
}

static void
escaped_argument_is_not_escaped_twice(void **state)
{
	struct kept k = {.count = 0};
	char banner[64];

	(void)state;
	log_set_sink(keep, &k);
	log_info(
	    "banner \"%s\"", log_escape(banner, sizeof(banner), "a\\b\n", 4));
	assert_str(k.text, "banner \"a\\\\b\\x0a\"");
}

static void
long_event_is_cut_and_says_so(void **state)
{
	struct kept k = {.count = 0};
	char text[2 * LOG_LINE_MAX];

	(void)state;
	log_set_sink(keep, &k);
	memset(text, 'x', sizeof(text));
	/* the longest that fits, and one more */
	log_info("%.*s", LOG_LINE_MAX - 1, text);
	assert_u64(strlen(k.text), LOG_LINE_MAX - 1);
	assert_str(k.text + LOG_LINE_MAX - 4, "xxx");
	log_info("%.*s", LOG_LINE_MAX, text);
	assert_u64(strlen(k.text), LOG_LINE_MAX - 1);
	assert_str(k.text + LOG_LINE_MAX - 5, "x...");
	/* too long only once escaped */
	memset(text, '\n', sizeof(text));
	log_info("%.*s", 300, text);
	assert_u64_between(strlen(k.text), LOG_LINE_MAX - 5, LOG_LINE_MAX - 1);
	assert_str(k.text + strlen(k.text) - 3, "...");
}

static void
errno_survives_logging(void **state)
{
	struct kept k = {.count = 0};

	(void)state;
	log_set_sink(keep, &k);
	errno = ECONNRESET;
	log_error("x");
	assert_i64(errno, ECONNRESET);
	assert_u64(k.count, 1);
}

static void
unformattable_event_is_logged_as_its_format(void **state)
{
	static const wchar_t invalid[] = {(wchar_t)0x7fffffff, 0};
	struct kept k = {.count = 0};

	(void)state;
	log_set_sink(keep, &k);
	log_error("weird %ls", invalid);
	assert_str(k.text, "weird %ls");
}

static void
escape_keeps_text_unambiguous_and_cuts_whole_escapes(void **state)
{
	static const struct {
		const char *src;
		size_t src_len, dst_size;
		const char *want;
	} rows[] = {
	    {"", 0, 8, ""},
	    {"plain ~", 7, 8, "plain ~"},
	    {"plain ~", 7, 7, "plain "},
	    {"\\x0a", 4, 16, "\\\\x0a"},
	    {"\n", 1, 16, "\\x0a"},
	    {"a\0b", 3, 16, "a\\x00b"},
	    {"\x7f\x80\xff", 3, 16, "\\x7f\\x80\\xff"},
	    {"ab\n", 3, 7, "ab\\x0a"},
	    {"ab\n", 3, 6, "ab"},
	    {"ab\nc", 4, 6, "ab"},
	    {"a\\", 2, 3, "a"},
	    {"abc", 3, 1, ""},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char dst[16];

		memset(dst, '!', sizeof(dst));
		assert_ptr_equal(log_escape(dst, rows[i].dst_size, rows[i].src,
				     rows[i].src_len),
		    dst);
		assert_str(dst, rows[i].want);
		if (rows[i].dst_size < sizeof(dst))
			assert_i64(dst[rows[i].dst_size], '!');
	}
	assert_ptr_equal(log_escape(NULL, 0, "x", 1), NULL);
}

/* Writes lines until one is refused; returns how many went through. */
static unsigned
fill(int fd, const char *line, int want)
{
	unsigned n = 0;
	int r;

	while ((r = log_write_line(fd, line, strlen(line))) == 0 && n < 100000)
		n++;
	assert_errno(r, want);
	return n;
}

/* Reads fd (non-blocking) to the end of what is there; counts lines. */
static unsigned
count_whole_lines(int fd, const char *line)
{
	size_t len = strlen(line);
	char buf[64];
	unsigned n = 0;
	ssize_t got;

	assert_true(len <= sizeof(buf));
	while ((got = read(fd, buf, len)) > 0) {
		assert_i64(got, (int64_t)len);
		assert_bytes(buf, line, len);
		n++;
	}
	return n;
}

static void
full_pipe_is_eagain_at_once_and_loses_only_whole_lines(void **state)
{
	const char *line = "0123456789012345678901234567890\n";
	int fds[2];
	unsigned n;

	(void)state;
	assert_i64(pipe(fds), 0);
	assert_i64(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	n = fill(fds[1], line, -EAGAIN);
	assert_u64_between(n, 1000, 10000);
	assert_u64(count_whole_lines(fds[0], line), n);
	assert_errno(log_write_line(fds[1], line, strlen(line)), 0);
	assert_u64(count_whole_lines(fds[0], line), 1);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
full_socket_is_eagain_at_once_and_loses_only_whole_lines(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	const char *line = "0123456789012345678901234567890\n";

	(void)state;
	for (size_t i = 0; i < LENGTH(types); i++) {
		int fds[2];
		unsigned n;

		assert_i64(socketpair(AF_UNIX, types[i], 0, fds), 0);
		assert_i64(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
		n = fill(fds[1], line, -EAGAIN);
		assert_u64_between(n, 5, 10000);
		assert_u64(count_whole_lines(fds[0], line), n);
		assert_errno(log_write_line(fds[1], line, strlen(line)), 0);
		assert_u64(count_whole_lines(fds[0], line), 1);
		(void)close(fds[0]);
		(void)close(fds[1]);
	}
}

static void
line_after_a_torn_one_starts_on_its_own(void **state)
{
	const size_t big = 4 * 1024 * 1024;
	char *line = malloc(big);
	char *back = malloc(big + 64);
	size_t got = 0;
	ssize_t n;
	int fds[2];

	(void)state;
	assert_non_null(line);
	assert_non_null(back);
	memset(line, 'x', big);
	assert_i64(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_i64(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_errno(log_write_line(fds[1], line, big), -EAGAIN);
	while ((n = read(fds[0], back + got, big - got)) > 0)
		got += (size_t)n;
	/* a part, or there is nothing to see here */
	assert_u64_between(got, 1, big - 1);
	assert_i64(back[got - 1], 'x');
	assert_errno(log_write_line(fds[1], "next\n", 5), 0);
	assert_errno(log_write_line(fds[1], "more\n", 5), 0);
	n = read(fds[0], back, 64);
	assert_i64(n, 11);
	assert_bytes(back, "\nnext\nmore\n", 11);
	(void)close(fds[0]);
	(void)close(fds[1]);
	free(back);
	free(line);
}

static void
stopped_terminal_is_not_waited_for(void **state)
{
	const char *line = "0123456789012345678901234567890\n";
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	int slave;

	(void)state;
	if (master == -1)
		skip();
	assert_i64(grantpt(master), 0);
	assert_i64(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	assert_errno(log_write_line(slave, line, strlen(line)), 0);
	assert_u64_between(fill(slave, line, -EAGAIN), 10, 100000);
	assert_i64(tcflush(slave, TCOFLUSH), 0);
	assert_i64(tcflow(slave, TCOOFF), 0);
	assert_errno(log_write_line(slave, line, strlen(line)), -EAGAIN);
	(void)close(slave);
	(void)close(master);
}

static void
broken_sinks_give_their_errno_and_no_signal(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int fds[2];

	(void)state;
	/* SIGPIPE at its default would end this program. */
	assert_ptr_equal(signal(SIGPIPE, SIG_DFL), SIG_DFL);
	assert_true(full >= 0);
	assert_errno(log_write_line(full, "x\n", 2), -ENOSPC);
	(void)close(full);
	assert_errno(log_write_line(full, "x\n", 2), -EBADF);
	assert_errno(log_write_line(-1, "x\n", 2), -EBADF);
	assert_i64(pipe(fds), 0);
	(void)close(fds[0]);
	assert_errno(log_write_line(fds[1], "x\n", 2), -EPIPE);
	(void)close(fds[1]);
	assert_i64(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	(void)close(fds[0]);
	assert_errno(log_write_line(fds[1], "x\n", 2), -EPIPE);
	(void)close(fds[1]);
}

static void
regular_file_gets_the_line(void **state)
{
	FILE *f = tmpfile();
	char back[16] = "";

	(void)state;
	assert_non_null(f);
	assert_errno(log_write_line(fileno(f), "one\n", 4), 0);
	assert_errno(log_write_line(fileno(f), "two\n", 4), 0);
	assert_i64(pread(fileno(f), back, sizeof(back) - 1, 0), 8);
	assert_str(back, "one\ntwo\n");
	(void)fclose(f);
}

static void
events_nobody_reads_are_dropped_and_counted(void **state)
{
	uint64_t before = log_dropped();
	struct kept k = {.count = 0};
	unsigned written = 0;

	(void)state;
	capture_begin();
	while (log_dropped() == before && written < 100000) {
		log_info("event %u", written);
		written++;
	}
	log_info("one more");
	(void)capture_end();
	assert_u64(log_dropped(), before + 2);
	assert_u64_between(written, 100, 99999);
	log_set_sink(keep, &k); /* which counts its own */
	log_info("x");
	assert_u64(log_dropped(), before + 2);
}

static void
burst_is_limited_and_the_rest_reported_later(void **state)
{
	struct log_limit limit = LOG_LIMIT(3);
	const uint64_t start = 50000;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_i64(log_allowed(&limit, start + i), i < 3);
	assert_u64(limit.reported, 0);
	/* the last moment of the window, and the first after it */
	assert_false(log_allowed(&limit, start + 9999));
	assert_true(log_allowed(&limit, start + 10000));
	assert_u64(limit.reported, 8);
	assert_true(log_allowed(&limit, start + 10001));
	assert_u64(limit.reported, 0);
}

static void
limit_works_from_time_zero_and_over_a_step_back(void **state)
{
	struct log_limit limit = LOG_LIMIT(1);

	(void)state;
	assert_true(log_allowed(&limit, 0));
	assert_false(log_allowed(&limit, 9999));
	assert_true(log_allowed(&limit, 1000000));
	assert_u64(limit.reported, 1);
	assert_true(log_allowed(&limit, 999999));
	assert_false(log_allowed(&limit, 999999));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, reset_log, reset_log)
	    TEST(line_has_utc_time_ident_and_level),
	    TEST(journal_gets_priorities_instead_of_a_time),
	    TEST(journal_stream_of_another_stderr_is_ignored),
	    TEST(sink_gets_the_bare_text),
	    TEST(level_decides_what_is_logged),
	    TEST(level_names_go_both_ways),
	    TEST(one_event_is_one_printable_line_whatever_its_bytes),
	    TEST(escaped_argument_is_not_escaped_twice),
	    TEST(long_event_is_cut_and_says_so),
	    TEST(errno_survives_logging),
	    TEST(unformattable_event_is_logged_as_its_format),
	    TEST(escape_keeps_text_unambiguous_and_cuts_whole_escapes),
	    TEST(full_pipe_is_eagain_at_once_and_loses_only_whole_lines),
	    TEST(full_socket_is_eagain_at_once_and_loses_only_whole_lines),
	    TEST(line_after_a_torn_one_starts_on_its_own),
	    TEST(stopped_terminal_is_not_waited_for),
	    TEST(broken_sinks_give_their_errno_and_no_signal),
	    TEST(regular_file_gets_the_line),
	    TEST(events_nobody_reads_are_dropped_and_counted),
	    TEST(burst_is_limited_and_the_rest_reported_later),
	    TEST(limit_works_from_time_zero_and_over_a_step_back),
	};

	/* A log that waits is the defect looked for: it ends here. */
	(void)alarm(20);
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
