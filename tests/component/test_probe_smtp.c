/*
 * Component tests of health/probe_smtp against scripted servers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "nlb/proxy_v2.h"
#include "probe_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

#define GREETING "220 mail.example ESMTP\r\n"
#define EHLO "EHLO [127.0.0.1]\r\n"
#define HELLO "250-mail.example\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
#define QUIT "QUIT\r\n"
#define BYE "221 2.0.0 Bye\r\n"

#define LATE_MS 400 /* a test's deadline that is meant to pass */

static void
check(struct probe_fixture *f, const struct script *script)
{
	probe_script(f, probe_smtp_start, script, LOOP_DEADLINE_MS);
}

static void
whole_dialogue_succeeds_and_ends_in_fin(void **state)
{
	static const struct script script = {
	    {STEP(NULL, GREETING), STEP(EHLO, HELLO), STEP(QUIT, BYE)},
	    SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	check(f, &script);
	assert_probe(f, PROBE_SUCCESS, "220, EHLO 250, STARTTLS offered");
	assert_string_equal(f->server.received, EHLO QUIT);
	assert_true(f->server.ended);
	assert_i64(f->server.end_error, 0);
}

static void
ehlo_waits_for_the_last_line_of_the_greeting(void **state)
{
	static const struct script script = {
	    {STEP(NULL,
		 "220-mail.example\r\n220-no spam here\r\n220 please\r\n"),
		STEP(EHLO, "250 mail.example\r\n"), STEP(QUIT, BYE)},
	    SCRIPT_HOLD};
	/* Nothing may come before the whole greeting. */
	static const struct script half = {
	    {STEP(NULL, "220-mail.example\r\n")}, SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	check(f, &script);
	assert_probe(f, PROBE_SUCCESS, "220, EHLO 250");
	probe_script(f, probe_smtp_start, &half, LATE_MS);
	assert_true(f->gave_up);
	assert_u64(f->server.n_received, 0);
	assert_probe(f, PROBE_FAILURE,
	    "greeting not complete in time, 18 bytes of it came");
	assert_true(f->end.timed_out);
}

static void
refusing_greeting_fails_with_its_text_and_gets_a_quit(void **state)
{
	static const struct script busy = {
	    {STEP(NULL, "421 4.3.2 All server ports are busy\r\n")},
	    SCRIPT_FIN};
	static const struct script no = {
	    {STEP(NULL, "554-no\r\n554 SMTP service here\r\n"),
		STEP(QUIT, BYE)},
	    SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	check(f, &busy);
	assert_probe(f, PROBE_FAILURE,
	    "greeting was 421 4.3.2 All server ports are busy, wanted 220");
	assert_false(f->end.timed_out);
	check(f, &no);
	assert_probe(f, PROBE_FAILURE, "greeting was 554-no, wanted 220");
	assert_string_equal(f->server.received, QUIT);
	assert_i64(f->server.end_error, 0);
}

static void
refused_ehlo_fails_with_its_text(void **state)
{
	static const struct script script = {
	    {STEP(NULL, GREETING), STEP(EHLO, "502 5.5.2 what?\r\n"),
		STEP(QUIT, BYE)},
	    SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	check(f, &script);
	assert_probe(
	    f, PROBE_FAILURE, "answer to EHLO was 502 5.5.2 what?, wanted 250");
	assert_string_equal(f->server.received, EHLO QUIT);
}

static void
starttls_can_be_required(void **state)
{
	static const struct script with = {
	    {STEP(NULL, GREETING), STEP(EHLO, HELLO), STEP(QUIT, BYE)},
	    SCRIPT_HOLD};
	static const struct script without = {
	    {STEP(NULL, GREETING),
		STEP(EHLO, "250-STARTTLS\r\n250 XSTARTTLS\r\n"),
		STEP(QUIT, BYE)},
	    SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	f->spec.smtp_starttls = true;
	check(f, &with);
	assert_probe(f, PROBE_SUCCESS, "220, EHLO 250, STARTTLS offered");
	check(f, &without);
	assert_probe(f, PROBE_FAILURE, "STARTTLS is not offered");
	f->spec.smtp_starttls = false;
	check(f, &without);
	assert_probe(f, PROBE_SUCCESS, "220, EHLO 250");
}

static void
reset_after_the_answer_is_still_a_success(void **state)
{
	static const struct script script = {
	    {STEP(NULL, GREETING), STEP(EHLO, HELLO), STEP(QUIT, NULL)},
	    SCRIPT_RST};
	struct probe_fixture *f = *state;

	check(f, &script);
	assert_probe(f, PROBE_SUCCESS, "220, EHLO 250, STARTTLS offered");
}

static void
silence_after_quit_changes_no_verdict(void **state)
{
	static const struct script script = {
	    {STEP(NULL, GREETING), STEP(EHLO, HELLO)}, SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	probe_script(f, probe_smtp_start, &script, LATE_MS);
	assert_true(f->gave_up);
	assert_probe(f, PROBE_SUCCESS, "220, EHLO 250, STARTTLS offered");
	assert_false(f->end.timed_out);
}

static void
connection_that_ends_too_soon_fails(void **state)
{
	static const struct script no_word = {{STEP(NULL, "")}, SCRIPT_FIN};
	static const struct script half = {{STEP(NULL, "220 ma")}, SCRIPT_FIN};
	static const struct script reset = {
	    {STEP(NULL, GREETING), STEP(EHLO, NULL)}, SCRIPT_RST};
	struct probe_fixture *f = *state;

	check(f, &no_word);
	assert_probe(f, PROBE_FAILURE, "connection closed before the greeting");
	check(f, &half);
	assert_probe(f, PROBE_FAILURE, "connection closed before the greeting");
	check(f, &reset);
	assert_probe(
	    f, PROBE_FAILURE, "connection reset before the answer to EHLO");
}

static void
silent_server_times_out(void **state)
{
	static const struct script silent = {{STEP(NULL, "")}, SCRIPT_HOLD};
	static const struct script mute = {{STEP(NULL, GREETING)}, SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	probe_script(f, probe_smtp_start, &silent, LATE_MS);
	assert_probe(f, PROBE_FAILURE, "no greeting in time");
	assert_true(f->end.timed_out);
	probe_script(f, probe_smtp_start, &mute, LATE_MS);
	assert_probe(f, PROBE_FAILURE, "no answer to EHLO in time");
	assert_true(f->end.timed_out);
	assert_string_equal(f->server.received, EHLO QUIT);
	assert_i64(f->server.end_error, 0);
}

static void
dribbled_bytes_do_not_prolong_the_deadline(void **state)
{
	static const struct script slow = {
	    {{NULL,
		"220 a greeting that takes one second to arrive, as it "
		"comes byte by byte, with ten of a millisecond between\r\n",
		0, true}},
	    SCRIPT_HOLD};
	static const struct script in_time = {
	    {STEP_DRIBBLE(NULL, "220 a\r\n"), STEP_DRIBBLE(EHLO, "250 a\r\n"),
		STEP_DRIBBLE(QUIT, BYE)},
	    SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	probe_script(f, probe_smtp_start, &slow, LATE_MS);
	assert_true(f->gave_up);
	assert_probe_like(f, PROBE_FAILURE, "greeting not complete in time, ");
	check(f, &in_time);
	assert_probe(f, PROBE_SUCCESS, "220, EHLO 250");
	assert_i64(f->server.end_error, 0);
}

static void
what_is_no_smtp_fails_escaped(void **state)
{
	static const struct script ssh = {
	    {STEP(NULL, "SSH-2.0-OpenSSH_9.2\r\n")}, SCRIPT_HOLD};
	static const struct script bytes = {
	    {STEP_BYTES(NULL, "\0\x1b[31m\xff\r\n", 9)}, SCRIPT_HOLD};
	static const struct script nul = {
	    {STEP_BYTES(NULL, "421 \0\x1b no\r\n", 11)}, SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	check(f, &ssh);
	assert_probe(
	    f, PROBE_FAILURE, "greeting is not SMTP: SSH-2.0-OpenSSH_9.2");
	check(f, &bytes);
	assert_probe(
	    f, PROBE_FAILURE, "greeting is not SMTP: \\x00\\x1b[31m\\xff");
	probe_script(f, probe_smtp_start, &nul, LATE_MS);
	assert_probe(
	    f, PROBE_FAILURE, "greeting was 421 \\x00\\x1b no, wanted 220");
}

static void
endless_greeting_is_cut(void **state)
{
	static char block[65536];
	static const struct script script = {
	    {STEP_BYTES(NULL, block, sizeof(block))}, SCRIPT_FLOOD};
	static const struct script lines = {
	    {STEP(NULL, "220-for ever\r\n")}, SCRIPT_FLOOD};
	struct probe_fixture *f = *state;

	memset(block, 'x', sizeof(block));
	check(f, &script);
	assert_probe(f, PROBE_FAILURE, "greeting is longer than 65536 bytes");
	/* What it was sent is what the buffers hold, not 10 MB. */
	assert_true(f->server.n_sent < 16 * 1024 * 1024);
	check(f, &lines);
	assert_probe(f, PROBE_FAILURE, "greeting is longer than 65536 bytes");
}

static void
refused_connection_is_told_as_such(void **state)
{
	struct probe_fixture *f = *state;
	int fd = reserve_port(&f->spec.addr);

	probe_run(f, probe_smtp_start, LOOP_DEADLINE_MS);
	close(fd);
	assert_probe(f, PROBE_FAILURE, "connection refused");
}

static void
connection_that_is_never_made_times_out(void **state)
{
	struct probe_fixture *f = *state;
	struct black_hole hole;

	assert_true(black_hole_open(&hole));
	f->spec.addr = hole.addr;
	probe_run(f, probe_smtp_start, LATE_MS);
	black_hole_close(&hole);
	assert_probe(f, PROBE_FAILURE, "connection timed out");
	assert_true(f->end.timed_out);
}

static void
proxy_header_comes_before_everything_else(void **state)
{
	static const struct script script = {
	    {STEP(NULL, GREETING), STEP(EHLO, HELLO), STEP(QUIT, BYE)},
	    SCRIPT_HOLD};
	struct probe_fixture *f = *state;
	uint8_t header[PROXY_V2_SIZE];

	f->spec.proxy_v2 = true;
	check(f, &script);
	assert_probe(f, PROBE_SUCCESS, "220, EHLO 250, STARTTLS offered");
	proxy_v2_encode_local(header);
	assert_memory_equal(f->server.received, header, sizeof(header));
	assert_string_equal(f->server.received + sizeof(header), EHLO QUIT);
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, probe_fixture_setup, probe_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest probe_smtp[] = {
	    TEST(whole_dialogue_succeeds_and_ends_in_fin),
	    TEST(ehlo_waits_for_the_last_line_of_the_greeting),
	    TEST(refusing_greeting_fails_with_its_text_and_gets_a_quit),
	    TEST(refused_ehlo_fails_with_its_text),
	    TEST(starttls_can_be_required),
	    TEST(reset_after_the_answer_is_still_a_success),
	    TEST(silence_after_quit_changes_no_verdict),
	    TEST(connection_that_ends_too_soon_fails),
	    TEST(silent_server_times_out),
	    TEST(dribbled_bytes_do_not_prolong_the_deadline),
	    TEST(what_is_no_smtp_fails_escaped),
	    TEST(endless_greeting_is_cut),
	    TEST(refused_connection_is_told_as_such),
	    TEST(connection_that_is_never_made_times_out),
	    TEST(proxy_header_comes_before_everything_else),
	};

	return cmocka_run_group_tests(probe_smtp, NULL, NULL);
}
