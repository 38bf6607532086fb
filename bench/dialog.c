/*
 * Dialogs of the load client: see dialog.h.
 */
#include "dialog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"
#include "smtp_session.h"

#define LINE_CHARS 72

/* While a dialog is built: the server that answers. */
struct builder {
	struct dialog *dialog;
	const struct dialog_server *server;
	struct smtp_session session;
	bool is_full;
};

static void
on_reply(void *arg, const char *text, size_t len)
{
	struct builder *b = arg;
	struct dialog *d = b->dialog;

	if (len > sizeof(d->replies) - d->replies_len) {
		b->is_full = true;
		return;
	}
	memcpy(d->replies + d->replies_len, text, len);
	d->replies_len += len;
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

static const struct smtp_session_ops reference_ops = {
    .reply = on_reply,
    .body = on_body,
    .message_end = on_message_end,
};

static void
builder_init(struct builder *b, struct dialog *d,
    const struct dialog_server *server, const char *name)
{
	memset(d, 0, sizeof(*d));
	d->name = name;
	memset(b, 0, sizeof(*b));
	b->dialog = d;
	b->server = server;
	smtp_session_init(&b->session, &reference_ops, b, server->name, 0);
}

static int
builder_finish(struct builder *b)
{
	struct dialog *d = b->dialog;

	if (d->hold_before == 0)
		d->hold_before = d->step_count;
	return b->is_full ? -ENOBUFS : 0;
}

static struct step *
add_step(struct builder *b, const char *name)
{
	struct dialog *d = b->dialog;
	struct step *step = &d->steps[d->step_count];

	if (d->step_count + 1 < DIALOG_STEPS_MAX)
		d->step_count++;
	else
		b->is_full = true;
	step->name = name;
	return step;
}

/* What the reference session says from here on is what the step expects. */
static void
expect_reply(struct builder *b, struct step *step, unsigned code)
{
	struct dialog *d = b->dialog;

	step->expect = b->server->is_foreign ? EXPECT_CODE : EXPECT_TEXT;
	step->code = code;
	step->reply = d->replies + d->replies_len;
}

static void
end_reply(struct builder *b, struct step *step)
{
	const char *end = b->dialog->replies + b->dialog->replies_len;

	step->reply_len = (size_t)(end - step->reply);
}

static void
add_banner(struct builder *b)
{
	struct step *step = add_step(b, "the greeting");

	step->send = SEND_NOTHING;
	expect_reply(b, step, 220);
	smtp_session_greet(&b->session);
	end_reply(b, step);
}

static struct step *
add_text(struct builder *b, const char *name, const char *text, size_t len,
    unsigned code)
{
	struct step *step = add_step(b, name);

	step->send = SEND_TEXT;
	step->text = text;
	step->text_len = len;
	expect_reply(b, step, code);
	smtp_session_input(&b->session, text, len);
	end_reply(b, step);
	stream_sum_add(&b->dialog->after_hello, text, len);
	return step;
}

static struct step *
add_line(struct builder *b, const char *name, const char *line, unsigned code)
{
	return add_text(b, name, line, strlen(line), code);
}

static void
add_envelope(struct builder *b)
{
	static const char mail[] = "MAIL FROM:<load@bench.example>\r\n";
	static const char rcpt[] = "RCPT TO:<load@bench.example>\r\n";
	static const char data[] = "DATA\r\n";
	static const char all[] = "MAIL FROM:<load@bench.example>\r\n"
				  "RCPT TO:<load@bench.example>\r\nDATA\r\n";

	struct step *first = add_line(b, "MAIL", mail, 250);
	struct step *second = add_line(b, "RCPT", rcpt, 250);
	struct step *third = add_line(b, "DATA", data, 354);

	if (!b->server->pipelines)
		return;
	first->text = all;
	first->text_len = sizeof(all) - 1;
	second->send = SEND_NOTHING;
	third->send = SEND_NOTHING;
}

/* Header, lines of text that never begin with a dot, and the end: size bytes
 * without the last line "." */
static char *
make_message(size_t size, size_t *len)
{
	static const char header[] = "Subject: load\r\n\r\n";
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char end[] = "\r\n.\r\n";
	size_t at = sizeof(header) - 1;
	char *text = malloc(size + sizeof(header) + sizeof(end));

	if (text == NULL)
		return NULL;
	memcpy(text, header, at);
	for (size_t column = 0; at + 2 < size; at++) {
		/* Neighbours and neighbouring lines differ. */
		text[at] = letters[(at * 37 + at / LINE_CHARS * 11) % 64];
		if (++column < LINE_CHARS || at + 4 >= size)
			continue;
		memcpy(text + at + 1, "\r\n", 2);
		at += 2;
		column = 0;
	}
	memcpy(text + at, end, sizeof(end) - 1);
	*len = at + sizeof(end) - 1;
	return text;
}

int
dialog_init_smtp(
    struct dialog *d, const struct dialog_server *server, size_t size)
{
	static const char hello[] = "EHLO reference\r\n";
	struct builder b;
	struct step *step;
	size_t len;

	builder_init(&b, d, server, "session");
	d->message = make_message(size, &len);
	if (d->message == NULL)
		return -ENOMEM;
	add_banner(&b);
	step = add_line(&b, "EHLO", hello, 250);
	step->send = SEND_HELLO;
	memset(&d->after_hello, 0, sizeof(d->after_hello));
	add_envelope(&b);
	add_text(&b, "the message", d->message, len, 250);
	step = add_line(&b, "QUIT", "QUIT\r\n", 221);
	if (!server->is_foreign)
		step->expect = EXPECT_BYE;
	return builder_finish(&b);
}

int
dialog_init_churn(struct dialog *d, const struct dialog_server *server)
{
	struct builder b;

	builder_init(&b, d, server, "connection");
	add_banner(&b);
	return builder_finish(&b);
}

int
dialog_init_idle(struct dialog *d, const struct dialog_server *server)
{
	struct builder b;

	builder_init(&b, d, server, "flow");
	add_banner(&b);
	d->hold_before = d->step_count;
	add_line(&b, "QUIT", "QUIT\r\n", 221);
	return builder_finish(&b);
}

static void
add_stream(struct builder *b, const char *command, uint64_t bytes)
{
	struct step *step = add_step(b, command);

	step->send = SEND_COMMAND;
	step->text = command;
	step->bytes = bytes;
	step->expect = EXPECT_NOTHING;
}

/* The target's verdict on a stream that would take the reference too long:
 * it is sent the last byte only. */
static void
expect_verdict(struct builder *b, struct step *step, uint64_t bytes)
{
	char command[64];

	expect_reply(b, step, 250);
	snprintf(command, sizeof(command), "XSINK 0 %" PRIu64 "\r\n", bytes);
	smtp_session_input(&b->session, command, strlen(command));
	b->session.stream.done = bytes - 1;
	smtp_session_input(&b->session, pattern_at(0, bytes - 1), 1);
	end_reply(b, step);
}

static void
add_up(struct builder *b, uint64_t bytes)
{
	struct step *step;

	add_stream(b, "XSINK", bytes);
	step = add_step(b, "the stream to the target");
	step->send = SEND_PATTERN;
	step->bytes = bytes;
	expect_verdict(b, step, bytes);
}

static void
add_down(struct builder *b, uint64_t bytes)
{
	struct step *step;

	add_stream(b, "XSOURCE", bytes);
	step = &b->dialog->steps[b->dialog->step_count - 1];
	expect_reply(b, step, 250);
	smtp_session_input(&b->session, "XSOURCE 0 1\r\n", 13);
	smtp_session_sent(&b->session, 1);
	end_reply(b, step);
	step = add_step(b, "the stream from the target");
	step->bytes = bytes;
	step->expect = EXPECT_PATTERN;
}

static void
add_exchange(struct builder *b, uint64_t bytes)
{
	struct step *step = add_step(b, "the echo");

	step->send = SEND_PATTERN;
	step->bytes = bytes;
	step->expect = EXPECT_PATTERN;
}

int
dialog_init_bulk(struct dialog *d, const struct dialog_server *server,
    enum dialog_direction direction, uint64_t bytes)
{
	struct builder b;

	builder_init(&b, d, server, "transfer");
	add_banner(&b);
	if (direction == DIALOG_BOTH)
		add_line(&b, "XECHO", "XECHO\r\n", 250);
	d->unit_begin = d->step_count;
	if (direction == DIALOG_UP)
		add_up(&b, bytes);
	else if (direction == DIALOG_DOWN)
		add_down(&b, bytes);
	else
		add_exchange(&b, bytes);
	return builder_finish(&b);
}

int
dialog_init_pingpong(struct dialog *d, const struct dialog_server *server,
    uint64_t bytes, unsigned exchanges)
{
	struct builder b;

	builder_init(
	    &b, d, server, exchanges == 0 ? "exchange" : "conversation");
	add_banner(&b);
	add_line(&b, "XECHO", "XECHO\r\n", 250);
	if (exchanges == 0)
		d->unit_begin = d->step_count;
	for (unsigned i = 0; i < exchanges || i == 0; i++)
		add_exchange(&b, bytes);
	return builder_finish(&b);
}

void
dialog_fini(struct dialog *d)
{
	free(d->message);
	d->message = NULL;
}
