/*
 * Component tests of base/journal: what arrives at a socket that stands in for
 * the journal's, and that nobody waits for it.
 */
#include "support/expect.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/journal.h"
#include "nlb/event.h"
#include "supervisor_fixture.h"

static struct temp_dir dir;
static char path[256];
static int journal;

static int
setup(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	(void)state;
	if (temp_dir_make(&dir) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/socket", dir.path);
	memcpy(at.sun_path, path, strlen(path));
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return bind(journal, (struct sockaddr *)&at, sizeof(at));
}

static int
teardown(void **state)
{
	(void)state;
	close(journal);
	log_set_journal(JOURNAL_SOCKET);
	(void)unsetenv("JOURNAL_STREAM");
	log_init("nlbd");
	temp_dir_remove(&dir);
	return 0;
}

/* One datagram; its NULs stay. */
static size_t
receive(char *bytes, size_t size)
{
	ssize_t n = recv(journal, bytes, size - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	bytes[n] = '\0';
	return (size_t)n;
}

static const struct log_entry *
entry_about(const struct log_field *about)
{
	static struct log_entry entry;

	entry = (struct log_entry){.kind = *event_kind(EVENT_TARGET_UNHEALTHY),
	    .text = "it is down",
	    .about = about};
	return &entry;
}

static void
an_event_has_its_code_id_priority_and_fields(void **state)
{
	const struct log_field about[] = {
	    {EVENT_TARGET, "10.0.0.1:587"}, {EVENT_TARGET_GROUP, "smtp"}, {0}};
	char bytes[4096], want[1024];

	(void)state;
	assert_i64(journal_send(path, "nlbd", entry_about(about)), 0);
	receive(bytes, sizeof(bytes));
	snprintf(want, sizeof(want),
	    "MESSAGE=it is down\n"
	    "PRIORITY=4\n"
	    "SYSLOG_IDENTIFIER=nlbd\n"
	    "MESSAGE_ID=%s\n"
	    "NLBD_EVENT=target-unhealthy\n"
	    "NLBD_TARGET=10.0.0.1:587\n"
	    "NLBD_TARGET_GROUP=smtp\n",
	    event_kind(EVENT_TARGET_UNHEALTHY)->message_id);
	assert_str(bytes, want);
}

static void
a_newline_in_a_value_begins_no_field(void **state)
{
	const struct log_field about[] = {{EVENT_NAME, "a\nPRIORITY=0"}, {0}};
	const uint64_t len_le = htole64(strlen(about[0].value));
	char bytes[4096], want[64] = "NLBD_NAME\n";
	size_t n, at = strlen(want);

	(void)state;
	assert_i64(journal_send(path, "nlbd", entry_about(about)), 0);
	n = receive(bytes, sizeof(bytes));
	memcpy(want + at, &len_le, sizeof(len_le));
	at += sizeof(len_le);
	at += (size_t)snprintf(want + at, sizeof(want) - at, "a\nPRIORITY=0\n");
	assert_true(n > at);
	assert_bytes(bytes + n - at, want, at);
}

static void
a_journal_that_is_full_or_gone_is_not_waited_for(void **state)
{
	const struct log_entry *entry = entry_about(NULL);
	char long_path[300];
	int rc;

	(void)state;
	while ((rc = journal_send(path, "nlbd", entry)) == 0)
		;
	assert_errno(rc, -EAGAIN);
	close(journal);
	assert_errno(journal_send(path, "nlbd", entry), -ECONNREFUSED);
	unlink(path);
	assert_errno(journal_send(path, "nlbd", entry), -ENOENT);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	assert_errno(journal_send(long_path, "nlbd", entry), -ENAMETOOLONG);
}

static void
what_is_too_long_goes_out_another_way(void **state)
{
	static char value[3 * LOG_LINE_MAX];
	const struct log_field about[] = {{EVENT_NAME, value}, {0}};

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	assert_errno(journal_send(path, "nlbd", entry_about(about)), -EMSGSIZE);
}

/* stderr is a pipe that JOURNAL_STREAM names, for one call of fn. */
static void
with_stderr_as_journal(void (*fn)(void), char *text, size_t size)
{
	int fds[2], saved = dup(STDERR_FILENO);
	struct stat st;
	char stream[64];
	ssize_t n;

	assert_i64(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_i64(fstat(fds[1], &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	assert_i64(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init("nlbd");
	log_set_journal(path);
	fn();
	n = read(fds[0], text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

static void
log_two(void)
{
	event_log(EVENT_RELOAD_REJECTED, "no: %s", "a\nb");
	log_warning("of no kind");
}

static void
log_after_the_journal_went(void)
{
	close(journal);
	event_log(EVENT_RELOAD_REJECTED, "no");
}

static void
the_log_speaks_to_the_journal_or_else_to_stderr(void **state)
{
	char bytes[4096], text[256];

	(void)state;
	with_stderr_as_journal(log_two, text, sizeof(text));
	assert_str(text, "");
	receive(bytes, sizeof(bytes));
	assert_contains(bytes, "MESSAGE=no: a\\x0ab\nPRIORITY=3\n");
	assert_contains(bytes, "NLBD_EVENT=reload-rejected\n");
	receive(bytes, sizeof(bytes));
	assert_str(
	    bytes, "MESSAGE=of no kind\nPRIORITY=4\nSYSLOG_IDENTIFIER=nlbd\n");
	with_stderr_as_journal(log_after_the_journal_went, text, sizeof(text));
	assert_str(text, "<3>no\n");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(an_event_has_its_code_id_priority_and_fields),
	    TEST(a_newline_in_a_value_begins_no_field),
	    TEST(a_journal_that_is_full_or_gone_is_not_waited_for),
	    TEST(what_is_too_long_goes_out_another_way),
	    TEST(the_log_speaks_to_the_journal_or_else_to_stderr),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
