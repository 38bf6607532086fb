/* The SMTP reply reader: whole replies, in any pieces, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "nlb/smtp_reply.h"
#include "support/expect.h"

/* Feeds in pieces; returns how many bytes were taken. */
static size_t
feed(struct smtp_reply *r, const char *bytes, size_t n, size_t piece)
{
	size_t used = 0;

	smtp_reply_init(r);
	while (used < n && r->state == SMTP_REPLY_MORE) {
		size_t size = n - used < piece ? n - used : piece;

		used += smtp_reply_feed(r, bytes + used, size);
	}
	return used;
}

static void
replies_are_read_whole_in_pieces_of_any_size(void **state)
{
	static const struct {
		const char *bytes;
		enum smtp_reply_state state;
		int code;
		size_t used, lines;
	} rows[] = {
	    {"220 mail.example ESMTP\r\n", SMTP_REPLY_DONE, 220, 24, 1},
	    {"220\r\n", SMTP_REPLY_DONE, 220, 5, 1},
	    {"220 \r\n", SMTP_REPLY_DONE, 220, 6, 1},
	    {"220 bare line feed\n", SMTP_REPLY_DONE, 220, 19, 1},
	    {"220-a\r\n220-b\r\n220 c\r\n", SMTP_REPLY_DONE, 220, 21, 3},
	    {"220-\r\n220\r\n", SMTP_REPLY_DONE, 220, 11, 2},
	    {"220 a\r\n250 b\r\n", SMTP_REPLY_DONE, 220, 7, 1},
	    {"554 no\r\n", SMTP_REPLY_DONE, 554, 8, 1},
	    {"220-a\r\n", SMTP_REPLY_MORE, 220, 7, 1},
	    {"220 no end", SMTP_REPLY_MORE, 0, 10, 0},
	    {"", SMTP_REPLY_MORE, 0, 0, 0},
	    {"220-a\r\n250 b\r\n", SMTP_REPLY_MALFORMED, 220, 14, 1},
	    {"SSH-2.0-OpenSSH_9.2\r\n", SMTP_REPLY_MALFORMED, 0, 21, 0},
	    {"220x\r\n", SMTP_REPLY_MALFORMED, 0, 6, 0},
	    {"22\r\n", SMTP_REPLY_MALFORMED, 0, 4, 0},
	    {"\r\n", SMTP_REPLY_MALFORMED, 0, 2, 0},
	    {"120 no such class\r\n", SMTP_REPLY_MALFORMED, 0, 19, 0},
	    {"620 no such class\r\n", SMTP_REPLY_MALFORMED, 0, 19, 0},
	    {"2200 too long a code\r\n", SMTP_REPLY_MALFORMED, 0, 22, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t piece = 1; piece < 30; piece++) {
			struct smtp_reply r;
			size_t used = feed(
			    &r, rows[i].bytes, strlen(rows[i].bytes), piece);

			if (r.state != rows[i].state ||
			    r.code != rows[i].code || used != rows[i].used ||
			    r.lines != rows[i].lines)
				fail_msg("`%s' by %zu: state %d, code %d, "
					 "used %zu, lines %zu",
				    rows[i].bytes, piece, r.state, r.code, used,
				    r.lines);
		}
	}
}

static void
starttls_is_a_keyword_of_a_later_line_in_any_case(void **state)
{
	static const struct {
		const char *bytes;
		bool offered;
	} rows[] = {
	    {"250-mail\r\n250-SIZE\r\n250-STARTTLS\r\n250 DSN\r\n", true},
	    {"250-mail\r\n250 StartTls\r\n", true},
	    {"250-mail\r\n250 STARTTLS REQUIRED\r\n", true},
	    {"250-STARTTLS\r\n250 SIZE\r\n", false}, /* its name */
	    {"250 STARTTLS\r\n", false},
	    {"250-mail\r\n250 STARTTLSX\r\n", false},
	    {"250-mail\r\n250 XSTARTTLS\r\n", false},
	    {"250-mail\r\n250 AUTH STARTTLS\r\n", false},
	    {"250-mail\r\n250 STARTTL\r\n", false},
	    {"250-mail\r\n250\r\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_reply r;

		feed(&r, rows[i].bytes, strlen(rows[i].bytes), 7);
		assert_i64(r.state, SMTP_REPLY_DONE);
		if (r.starttls != rows[i].offered)
			fail_msg("%s: %d", rows[i].bytes, r.starttls);
	}
}

static void
expect_text(const struct smtp_reply *r, const char *want, size_t want_len)
{
	size_t len;
	const char *text = smtp_reply_text(r, &len);

	assert_u64(len, want_len);
	assert_memory_equal(text, want, len);
}

static void
text_is_the_first_line_or_what_came_of_it(void **state)
{
	static const char nul[] = "421-a\0b\r\n421 c\r\n";
	struct smtp_reply r;

	(void)state;
	feed(&r, "421 4.3.2 try later\r\n", 21, 21);
	expect_text(&r, "421 4.3.2 try later", 19);
	feed(&r, nul, sizeof(nul) - 1, 3);
	assert_i64(r.state, SMTP_REPLY_DONE);
	expect_text(&r, "421-a\0b", 7);
	feed(&r, "220 with", 8, 8);
	expect_text(&r, "220 with", 8);
	feed(&r, "garbage\r\n", 9, 9);
	expect_text(&r, "garbage", 7);
	feed(&r, "", 0, 1);
	expect_text(&r, "", 0);
}

static void
line_longer_than_any_is_cut_and_still_understood(void **state)
{
	char bytes[3000] = "220 ";
	struct smtp_reply r;
	size_t len;

	(void)state;
	memset(bytes + 4, 'x', sizeof(bytes) - 4);
	memcpy(bytes + sizeof(bytes) - 2, "\r\n", 2);
	assert_u64(feed(&r, bytes, sizeof(bytes), 100), sizeof(bytes));
	assert_i64(r.state, SMTP_REPLY_DONE);
	assert_i64(r.code, 220);
	smtp_reply_text(&r, &len);
	assert_u64(len, SMTP_REPLY_KEPT_MAX);
}

static void
reply_without_an_end_is_cut(void **state)
{
	static const char line[] = "220-for ever\r\n";
	struct smtp_reply r;
	size_t used = 0;

	(void)state;
	smtp_reply_init(&r);
	while (r.state == SMTP_REPLY_MORE)
		used += smtp_reply_feed(&r, line, sizeof(line) - 1);
	assert_i64(r.state, SMTP_REPLY_TOO_LONG);
	assert_u64(used, SMTP_REPLY_BYTES_MAX + 1);
	assert_u64(smtp_reply_feed(&r, line, sizeof(line) - 1), 0);

	smtp_reply_init(&r);
	for (used = 0; r.state == SMTP_REPLY_MORE; used++)
		assert_u64(smtp_reply_feed(&r, "x", 1), 1);
	assert_u64(used, SMTP_REPLY_BYTES_MAX + 1);
}

int
main(void)
{
	const struct CMUnitTest smtp_reply[] = {
	    cmocka_unit_test(replies_are_read_whole_in_pieces_of_any_size),
	    cmocka_unit_test(starttls_is_a_keyword_of_a_later_line_in_any_case),
	    cmocka_unit_test(text_is_the_first_line_or_what_came_of_it),
	    cmocka_unit_test(line_longer_than_any_is_cut_and_still_understood),
	    cmocka_unit_test(reply_without_an_end_is_cut),
	};

	return cmocka_run_group_tests(smtp_reply, NULL, NULL);
}
