/*
 * The load client's conversations against the target's own session: right in
 * any split, and wrong as soon as one byte is lost, doubled or swapped in
 * either direction.
 */
#include "expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "dialog.h"
#include "pattern.h"
#include "smtp_session.h"
#include "talk.h"

#define WIRE_MAX 200000
#define ROUNDS_MAX 100000

enum tampering { NO_TAMPERING, DROP, DOUBLE, SWAP };

/* One direction between talk and session, which a forwarder may spoil. */
struct wire {
	char bytes[WIRE_MAX];
	size_t len;
	uint64_t passed;
	enum tampering how;
	uint64_t at; /* the byte of the stream that is spoiled */
};

static struct wire to_target, to_client;
static struct dialog dialog;
static const struct dialog_server server = {.name = "target"};
static unsigned tampered; /* times a byte really was */

static void
wire_add(struct wire *w, const char *data, size_t len)
{
	assert_true(len <= WIRE_MAX - w->len);
	memcpy(w->bytes + w->len, data, len);
	w->len += len;
}

static void
spoil(struct wire *w)
{
	size_t i = (size_t)(w->at - w->passed);

	if (w->how == DROP) {
		memmove(w->bytes + i, w->bytes + i + 1, --w->len - i);
	} else if (w->how == DOUBLE) {
		memmove(w->bytes + i + 1, w->bytes + i, w->len++ - i);
	} else {
		char first = w->bytes[i];

		if (i + 1 == w->len || first == w->bytes[i + 1])
			return;
		w->bytes[i] = w->bytes[i + 1];
		w->bytes[i + 1] = first;
	}
	tampered++;
}

/* All that lies in the wire is about to pass. */
static void
wire_pass(struct wire *w)
{
	if (w->how != NO_TAMPERING && w->at >= w->passed &&
	    w->at < w->passed + w->len)
		spoil(w);
	w->passed += w->len;
}

static void
on_reply(void *arg, const char *text, size_t len)
{
	wire_add(arg, text, len);
}

static void
on_body(void *arg, const char *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
}

static bool
on_message_end(void *arg, uint64_t bytes, bool fits)
{
	(void)arg;
	(void)bytes;
	return fits;
}

static const struct smtp_session_ops ops = {
    .reply = on_reply,
    .body = on_body,
    .message_end = on_message_end,
};

static void
session_turn(struct smtp_session *s, size_t piece)
{
	const char *data;
	size_t len;

	wire_pass(&to_target);
	for (size_t i = 0; i < to_target.len; i += piece)
		smtp_session_input(s, to_target.bytes + i,
		    to_target.len - i < piece ? to_target.len - i : piece);
	to_target.len = 0;
	while ((data = smtp_session_stream(s, &len)) != NULL &&
	       to_client.len + len <= WIRE_MAX) {
		wire_add(&to_client, data, len);
		smtp_session_sent(s, len);
	}
}

static bool
talk_turn(struct talk *t, size_t piece)
{
	const char *data;
	size_t len;

	wire_pass(&to_client);
	for (size_t i = 0; i < to_client.len; i += piece) {
		if (!talk_input(t, to_client.bytes + i,
			to_client.len - i < piece ? to_client.len - i : piece))
			return false;
	}
	to_client.len = 0;
	while ((data = talk_output(t, 0, &len)) != NULL &&
	       to_target.len + len <= WIRE_MAX / 2) {
		wire_add(&to_target, data, len);
		talk_sent(t, len);
	}
	return true;
}

/* True: it went well up to the end. False: a wrong byte, or nothing moved. */
static bool
converse(struct talk *t, struct smtp_session *s, size_t piece)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		size_t moved;

		if (!talk_turn(t, piece))
			return false;
		if (talk_is_waiting(t))
			return true;
		moved = to_target.len;
		session_turn(s, piece);
		if (moved == 0 && to_client.len == 0)
			return false;
	}
	return false;
}

/* All units of a fresh connection; its held or kept end included. */
static bool
run(struct talk *t, size_t piece)
{
	struct smtp_session s;

	smtp_session_init(&s, &ops, &to_client, "target", 0);
	to_target.len = to_client.len = 0;
	to_target.passed = to_client.passed = 0;
	smtp_session_greet(&s);
	talk_start(t, &dialog, 12345);
	if (!converse(t, &s, piece))
		return false;
	for (int i = 0; i < 3 && (i == 0 || dialog.unit_begin != 0); i++) {
		if (talk_is_over(t) && dialog.unit_begin == 0)
			break;
		talk_go_on(t);
		if (!converse(t, &s, piece))
			return false;
	}
	return talk_is_over(t);
}

static void
no_tampering(void)
{
	to_target.how = to_client.how = NO_TAMPERING;
	tampered = 0;
}

/* The dialog goes well in several splits. */
static void
assert_right(void)
{
	struct talk t;

	no_tampering();
	for (size_t piece = 1; piece < 100000; piece = piece * 7 + 4) {
		if (!run(&t, piece))
			fail_msg("pieces of %zu: %s", piece, t.fault);
	}
}

/* And with one byte spoiled, wherever, it does not. */
static void
assert_tampering_shows(struct wire *w)
{
	struct talk t;
	uint64_t len;

	no_tampering();
	assert_true(run(&t, 1000));
	len = w->passed;
	for (uint64_t at = 0; at < len; at += 1 + len / 500) {
		for (int how = DROP; how <= SWAP; how++) {
			bool is_right;

			no_tampering();
			w->how = (enum tampering)how;
			w->at = at;
			is_right = run(&t, 1000);
			/* A byte doubled at the very end comes after it. */
			if (is_right && tampered > 0 && at + 1 < len)
				fail_msg("byte %llu, %d: nobody noticed",
				    (unsigned long long)at, how);
		}
	}
	no_tampering();
}

static void
check_dialog(int error)
{
	assert_errno(error, 0);
	assert_right();
	assert_tampering_shows(&to_client);
	assert_tampering_shows(&to_target);
	dialog_fini(&dialog);
}

static void
mail_session_is_checked_in_both_directions(void **state)
{
	(void)state;
	check_dialog(dialog_init_smtp(&dialog, &server, 3000));
}

static void
pipelined_mail_session_is_checked_in_both_directions(void **state)
{
	struct dialog_server pipelining = {.name = "target", .pipelines = true};

	(void)state;
	check_dialog(dialog_init_smtp(&dialog, &pipelining, 200));
}

static void
kept_flow_is_checked_in_both_directions(void **state)
{
	(void)state;
	check_dialog(dialog_init_pingpong(&dialog, &server, 64, 0));
	check_dialog(dialog_init_pingpong(&dialog, &server, 1, 20));
}

static void
held_flow_is_checked_at_its_end(void **state)
{
	(void)state;
	check_dialog(dialog_init_idle(&dialog, &server));
}

static void
streams_are_checked_in_both_directions(void **state)
{
	(void)state;
	check_dialog(dialog_init_bulk(&dialog, &server, DIALOG_UP, 50000));
	check_dialog(dialog_init_bulk(&dialog, &server, DIALOG_DOWN, 50000));
	check_dialog(dialog_init_bulk(&dialog, &server, DIALOG_BOTH, 50000));
}

static void
greeting_alone_is_checked(void **state)
{
	(void)state;
	assert_errno(dialog_init_churn(&dialog, &server), 0);
	assert_right();
	assert_tampering_shows(&to_client);
	dialog_fini(&dialog);
}

static bool
ends_with_the_servers_fin(int error)
{
	struct talk t;
	bool awaits;

	assert_errno(error, 0);
	no_tampering();
	assert_true(run(&t, 1000));
	awaits = talk_awaits_fin(&t);
	dialog_fini(&dialog);
	return awaits;
}

static void
server_has_to_close_after_quit_only(void **state)
{
	(void)state;
	assert_true(
	    ends_with_the_servers_fin(dialog_init_smtp(&dialog, &server, 10)));
	assert_true(
	    ends_with_the_servers_fin(dialog_init_idle(&dialog, &server)));
	assert_false(
	    ends_with_the_servers_fin(dialog_init_churn(&dialog, &server)));
}

static void
message_has_the_size_that_was_asked_for(void **state)
{
	static const size_t sizes[] = {1, 20, 72, 2048, 100000};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct step *step;

		assert_errno(dialog_init_smtp(&dialog, &server, sizes[i]), 0);
		step = &dialog.steps[dialog.step_count - 2];
		/* Header and CRLF are there whatever the size; ".\r\n" is not
		 * part of the message. */
		assert_u64_between(step->text_len - 3, sizes[i],
		    sizes[i] > 32 ? sizes[i] : 32);
		dialog_fini(&dialog);
	}
}

/* A reply of several lines, another host's words. */
static bool
foreign_replies(const char *ehlo, struct talk *t)
{
	struct dialog_server other = {.name = "t", .is_foreign = true};
	size_t len;

	assert_errno(dialog_init_smtp(&dialog, &other, 100), 0);
	talk_start(t, &dialog, 1);
	assert_true(talk_input(t, "220-mail.example\r\n220 ", 22));
	assert_null(talk_output(t, 0, &len));
	assert_true(talk_input(t, "welcome\r\n", 9));
	assert_non_null(talk_output(t, 0, &len));
	talk_sent(t, len);
	return talk_input(t, ehlo, strlen(ehlo));
}

static void
another_servers_replies_are_known_by_their_codes(void **state)
{
	struct talk t;

	(void)state;
	assert_true(foreign_replies("250-mail\r\n250 SIZE\r\n", &t));
	assert_u64(t.step, 2);
	dialog_fini(&dialog);
	assert_false(foreign_replies("250-mail\r\n550 no\r\n", &t));
	assert_contains(t.fault, "550 no");
	dialog_fini(&dialog);
}

static void
fault_says_where_and_what(void **state)
{
	struct talk t;

	(void)state;
	assert_errno(dialog_init_churn(&dialog, &server), 0);
	talk_start(&t, &dialog, 42);
	assert_false(talk_input(&t, "220 tarXet\r\n", 12));
	assert_str(t.fault, "connection 42, the greeting, byte 7: not what was "
			    "expected: \"Xet\\x0d\\x0a\"");
	dialog_fini(&dialog);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mail_session_is_checked_in_both_directions),
	    cmocka_unit_test(
		pipelined_mail_session_is_checked_in_both_directions),
	    cmocka_unit_test(kept_flow_is_checked_in_both_directions),
	    cmocka_unit_test(held_flow_is_checked_at_its_end),
	    cmocka_unit_test(streams_are_checked_in_both_directions),
	    cmocka_unit_test(greeting_alone_is_checked),
	    cmocka_unit_test(server_has_to_close_after_quit_only),
	    cmocka_unit_test(message_has_the_size_that_was_asked_for),
	    cmocka_unit_test(another_servers_replies_are_known_by_their_codes),
	    cmocka_unit_test(fault_says_where_and_what),
	};

	pattern_init();
	return cmocka_run_group_tests_name("talk", tests, NULL, NULL);
}
