/*
 * The SMTP target's session: what it answers and which bytes it takes for the
 * message, whatever the split of the input.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pattern.h"
#include "smtp_session.h"

struct record {
	char replies[65536];
	size_t replies_len;
	char body[65536];
	size_t body_len;
	unsigned messages;
	unsigned over_limit;
	bool refuses; /* what message_end answers */
};

static struct record record;

static void
on_reply(void *arg, const char *text, size_t len)
{
	struct record *r = arg;

	assert_true(r->replies_len + len < sizeof(r->replies));
	memcpy(r->replies + r->replies_len, text, len);
	r->replies_len += len;
	r->replies[r->replies_len] = '\0';
}

static void
on_body(void *arg, const char *data, size_t len)
{
	struct record *r = arg;

	assert_true(r->body_len + len <= sizeof(r->body));
	memcpy(r->body + r->body_len, data, len);
	r->body_len += len;
}

static bool
on_message_end(void *arg, uint64_t bytes, bool fits)
{
	struct record *r = arg;

	if (fits)
		assert_true(bytes == r->body_len);
	r->messages++;
	r->over_limit += fits ? 0 : 1;
	return !r->refuses;
}

static const struct smtp_session_ops ops = {
    .reply = on_reply,
    .body = on_body,
    .message_end = on_message_end,
};

/* Runs input through a fresh session, piece bytes at a time. */
static void
run_split(const char *input, size_t len, size_t piece, uint64_t max_size)
{
	struct smtp_session s;

	memset(&record, 0, sizeof(record));
	smtp_session_init(&s, &ops, &record, "t", max_size);
	for (size_t i = 0; i < len; i += piece)
		smtp_session_input(
		    &s, input + i, len - i < piece ? len - i : piece);
}

static void
run(const char *input)
{
	run_split(input, strlen(input), strlen(input), 0);
}

#define ENVELOPE "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
#define EHLO_REPLY "250-t\r\n250-PIPELINING\r\n250-SIZE 0\r\n250 8BITMIME\r\n"
#define ENVELOPE_REPLY                                \
	EHLO_REPLY "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n" \
		   "354 End data with <CR><LF>.<CR><LF>\r\n"

static void
assert_body(const char *expected)
{
	assert_true(record.body_len == strlen(expected));
	assert_memory_equal(record.body, expected, record.body_len);
}

/* The replies, and the 221 of a session that received so many bytes. */
static const char *
with_bye(const char *replies, const char *input, size_t len)
{
	static char text[4096];
	struct stream_sum sum = {0};

	stream_sum_add(&sum, input, len);
	snprintf(text, sizeof(text),
	    "%s221 2.0.0 Bye, %zu bytes, sum %016llx\r\n", replies, len,
	    (unsigned long long)stream_sum_value(&sum));
	return text;
}

static void
pipelined_dialogue_is_the_same_in_every_split(void **state)
{
	static const char input[] = ENVELOPE
	    "Subject: x\r\n\r\n..dot\r\n.\rcr\r\n...\r\n.x\r\nlast\r\n.\r\n"
	    "NOOP\r\nQUIT\r\nNOOP\r\n";

	(void)state;
	for (size_t piece = 1; piece < sizeof(input); piece++) {
		run_split(input, sizeof(input) - 1, piece, 0);
		assert_string_equal(record.replies,
		    with_bye(ENVELOPE_REPLY
			"250 2.0.0 Ok: received\r\n250 2.0.0 Ok\r\n",
			input, sizeof(input) - 1 - strlen("NOOP\r\n")));
		assert_body(
		    "Subject: x\r\n\r\n.dot\r\n\rcr\r\n..\r\nx\r\nlast\r\n");
		assert_true(record.messages == 1);
	}
}

static void
bare_line_feeds_never_end_a_message(void **state)
{
	(void)state;
	run(ENVELOPE "a\n.\nb\n.\r\nc\r\n.\nd\r.\r\ne\r\n.\r\n");
	assert_true(record.messages == 1);
	assert_body("a\n.\nb\n.\r\nc\r\n\nd\r.\r\ne\r\n");
}

static void
empty_message_is_taken(void **state)
{
	(void)state;
	run(ENVELOPE ".\r\n");
	assert_true(record.messages == 1);
	assert_true(record.body_len == 0);
}

static void
second_message_needs_its_own_envelope(void **state)
{
	(void)state;
	run(ENVELOPE "x\r\n.\r\nDATA\r\n");
	assert_string_equal(record.replies, ENVELOPE_REPLY
	    "250 2.0.0 Ok: received\r\n503 5.5.1 RCPT first\r\n");
}

static void
message_over_the_limit_gets_552_and_the_session_goes_on(void **state)
{
	static const char input[] = ENVELOPE "12345678\r\n.\r\nQUIT\r\n";

	(void)state;
	run_split(input, sizeof(input) - 1, 3, 9);
	assert_true(record.over_limit == 1);
	assert_non_null(strstr(record.replies, "552 5.3.4"));
	assert_non_null(strstr(record.replies, "221 2.0.0"));
	run_split(input, sizeof(input) - 1, 3, 10);
	assert_true(record.over_limit == 0);
	assert_non_null(strstr(record.replies, "250 2.0.0 Ok: received"));
}

static void
announced_size_over_the_limit_is_refused_at_mail(void **state)
{
	static const char input[] =
	    "HELO c\r\nMAIL FROM:<a@b> SIZE=11\r\nMAIL FROM:<a@b> size=10\r\n";

	(void)state;
	run_split(input, sizeof(input) - 1, 1, 10);
	assert_string_equal(record.replies,
	    "250 t\r\n552 5.3.4 Message too big\r\n250 2.1.0 Ok\r\n");
}

static void
refused_message_gets_451(void **state)
{
	struct smtp_session s;
	static const char input[] = ENVELOPE "x\r\n.\r\n";

	(void)state;
	memset(&record, 0, sizeof(record));
	record.refuses = true;
	smtp_session_init(&s, &ops, &record, "t", 0);
	smtp_session_input(&s, input, sizeof(input) - 1);
	assert_non_null(strstr(record.replies, "451 4.3.0"));
}

static void
commands_out_of_order_get_503_and_bad_ones_501(void **state)
{
	(void)state;
	run("MAIL FROM:<a>\r\nEHLO\r\nHELO\r\nehlo x\r\nRCPT TO:<a>\r\nDATA\r\n"
	    "MAIL <a>\r\nmail from:<>\r\nMAIL FROM:<b>\r\nRCPT FROM:<b>\r\n"
	    "DATA now\r\nRSET\r\nRCPT TO:<a>\r\n");
	assert_string_equal(record.replies,
	    "503 5.5.1 EHLO or HELO first\r\n"
	    "501 5.5.4 EHLO needs a name\r\n501 5.5.4 HELO needs a "
	    "name\r\n" EHLO_REPLY
	    "503 5.5.1 MAIL first\r\n503 5.5.1 RCPT first\r\n"
	    "501 5.5.4 Syntax: MAIL FROM:<address>\r\n250 2.1.0 Ok\r\n"
	    "503 5.5.1 Nested MAIL\r\n501 5.5.4 Syntax: RCPT TO:<address>\r\n"
	    "501 5.5.4 DATA takes no argument\r\n250 2.0.0 Ok\r\n"
	    "503 5.5.1 MAIL first\r\n");
}

static void
unknown_empty_and_binary_commands_get_500(void **state)
{
	static const char input[] = "STARTTLS\r\n\r\nNO\0OP\r\n\xff\xfe\n";

	(void)state;
	run_split(input, sizeof(input) - 1, 1, 0);
	assert_string_equal(record.replies,
	    "500 5.5.2 Unknown command\r\n500 5.5.2 Unknown command\r\n"
	    "500 5.5.2 NUL in a command\r\n500 5.5.2 Unknown command\r\n");
}

static void
line_over_the_limit_gets_one_500_and_the_next_line_is_read(void **state)
{
	static char input[5 * SMTP_LINE_MAX];
	size_t lengths[] = {
	    SMTP_LINE_MAX - 1, SMTP_LINE_MAX, sizeof(input) - 8};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (size_t piece = 1; piece < 2000; piece += 333) {
			memset(input, 'N', lengths[i]);
			memcpy(input + lengths[i], "\nNOOP\r\n", 7);
			run_split(input, lengths[i] + 7, piece, 0);
			assert_string_equal(record.replies,
			    i == 0 ? "500 5.5.2 Unknown command\r\n250 2.0.0 "
				     "Ok\r\n"
				   : "500 5.5.2 Line too long\r\n250 2.0.0 "
				     "Ok\r\n");
		}
	}
}

static void
recipients_are_bounded(void **state)
{
	struct smtp_session s;
	static const char head[] = "HELO c\r\nMAIL FROM:<a>\r\n";

	(void)state;
	memset(&record, 0, sizeof(record));
	smtp_session_init(&s, &ops, &record, "t", 0);
	smtp_session_input(&s, head, sizeof(head) - 1);
	for (int i = 0; i < SMTP_RECIPIENTS_MAX; i++)
		smtp_session_input(&s, "RCPT TO:<b>\r\n", 13);
	assert_null(strstr(record.replies, "452"));
	smtp_session_input(&s, "RCPT TO:<b>\r\n", 13);
	assert_non_null(strstr(record.replies, "452 4.5.3"));
}

static void
random_bytes_only_get_replies_that_begin_with_a_known_code(void **state)
{
	/* Command words among random bytes, so that all states are met. */
	static const char *const words[] = {"EHLO x\r\n", "MAIL FROM:<a>\r\n",
	    "RCPT TO:<b>\r\n", "DATA\r\n", "\r\n.\r\n", ".", "\r", "\n",
	    "RSET\r\n"};
	struct smtp_session s;
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		memset(&record, 0, sizeof(record));
		smtp_session_init(&s, &ops, &record, "t", 64);
		for (int i = 0; i < 100; i++) {
			const char *word = words[(unsigned)rand_r(&seed) % 9];
			char junk = (char)rand_r(&seed);

			record.body_len = 0;
			smtp_session_input(&s, word, strlen(word));
			smtp_session_input(&s, &junk, 1);
		}
		for (char *line = record.replies; *line != '\0';
		     line = strchr(line, '\n') + 1)
			assert_true(*line == '2' || *line == '3' ||
				    *line == '4' || *line == '5');
	}
}

static void
echoed_bytes_are_no_commands(void **state)
{
	static const char input[] = "NOOP\r\nXECHO\r\nQUIT\r\n\0.\r\n";

	(void)state;
	for (size_t piece = 1; piece < sizeof(input); piece++) {
		static const char want[] = "250 2.0.0 Ok\r\n"
					   "250 2.0.0 Echo\r\nQUIT\r\n\0.\r\n";

		run_split(input, sizeof(input) - 1, piece, 0);
		assert_true(record.replies_len == sizeof(want) - 1);
		assert_memory_equal(record.replies, want, sizeof(want) - 1);
	}
}

#define SINK "XSINK 7 1000\r\n"

/* A thousand bytes of stream 7 and a NOOP behind it, with one byte wrong. */
static void
run_sink(size_t wrong_at, size_t piece)
{
	char input[sizeof(SINK) + 1000 + 16];
	size_t len = strlen(SINK);

	memcpy(input, SINK, len);
	memcpy(input + len, pattern_at(7, 0), 1000);
	if (wrong_at < 1000)
		input[len + wrong_at] ^= 1;
	memcpy(input + len + 1000, "NOOP\r\n", 6);
	run_split(input, len + 1006, piece, 0);
}

static void
sink_says_where_a_stream_went_wrong(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 1100; piece += 7) {
		run_sink(1000, piece);
		assert_string_equal(record.replies,
		    "250 2.0.0 Ok: 1000 bytes\r\n250 2.0.0 Ok\r\n");
		run_sink(999, piece);
		assert_string_equal(record.replies,
		    "554 5.6.0 Byte 999 differs\r\n250 2.0.0 Ok\r\n");
	}
}

static void
source_sends_its_stream_and_then_takes_commands(void **state)
{
	struct smtp_session s;
	const char *data;
	size_t len;
	uint64_t at = 0;

	(void)state;
	memset(&record, 0, sizeof(record));
	smtp_session_init(&s, &ops, &record, "t", 0);
	assert_null(smtp_session_stream(&s, &len));
	smtp_session_input(&s, "XSOURCE 3 200000\r\n", 18);
	assert_string_equal(record.replies, "250 2.0.0 The stream follows\r\n");
	while ((data = smtp_session_stream(&s, &len)) != NULL) {
		assert_true(pattern_match(3, at, data, len) == len);
		/* Only a part of it may have been taken. */
		len -= len / 3;
		smtp_session_sent(&s, len);
		at += len;
	}
	assert_true(at == 200000);
	smtp_session_input(&s, "NOOP\r\n", 6);
	assert_non_null(strstr(record.replies, "250 2.0.0 Ok\r\n"));
}

static void
input_during_a_source_is_answered_into_the_stream(void **state)
{
	(void)state;
	run("XSOURCE 3 200000\r\n\n");
	assert_string_equal(record.replies,
	    "250 2.0.0 The stream follows\r\n"
	    "503 5.5.1 A stream is under way\r\n");
}

static void
streams_without_seed_and_size_get_501(void **state)
{
	static const char *const commands[] = {"XSINK", "XSINK 1", "XSINK 1 0",
	    "XSINK -1 5", "XSINK 1 5x", "XSOURCE 1,5", "XSOURCE x 5",
	    "XSINK  1 5", "XSINK 1  5", "XSINK 1 5\r", "XECHO "};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s\r\n", commands[i]);
		run(line);
		assert_true(strncmp(record.replies, "501 5.5.4 ", 10) == 0);
	}
	/* A lost CR is a lost byte. */
	run("XECHO\n");
	assert_true(strncmp(record.replies, "501 5.5.4 ", 10) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pipelined_dialogue_is_the_same_in_every_split),
	    cmocka_unit_test(bare_line_feeds_never_end_a_message),
	    cmocka_unit_test(empty_message_is_taken),
	    cmocka_unit_test(second_message_needs_its_own_envelope),
	    cmocka_unit_test(
		message_over_the_limit_gets_552_and_the_session_goes_on),
	    cmocka_unit_test(announced_size_over_the_limit_is_refused_at_mail),
	    cmocka_unit_test(refused_message_gets_451),
	    cmocka_unit_test(commands_out_of_order_get_503_and_bad_ones_501),
	    cmocka_unit_test(unknown_empty_and_binary_commands_get_500),
	    cmocka_unit_test(
		line_over_the_limit_gets_one_500_and_the_next_line_is_read),
	    cmocka_unit_test(recipients_are_bounded),
	    cmocka_unit_test(
		random_bytes_only_get_replies_that_begin_with_a_known_code),
	    cmocka_unit_test(echoed_bytes_are_no_commands),
	    cmocka_unit_test(sink_says_where_a_stream_went_wrong),
	    cmocka_unit_test(source_sends_its_stream_and_then_takes_commands),
	    cmocka_unit_test(input_during_a_source_is_answered_into_the_stream),
	    cmocka_unit_test(streams_without_seed_and_size_get_501),
	};

	pattern_init();
	return cmocka_run_group_tests_name("smtp_session", tests, NULL, NULL);
}
