/*
 * Talk: see talk.h.
 */
#include "talk.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pattern.h"

#define SHOWN_MAX 60

static const struct step *
current(const struct talk *t)
{
	return &t->dialog->steps[t->step];
}

static void
set_own_text(struct talk *t, const struct step *step)
{
	int len = 0;

	if (step->send == SEND_HELLO)
		len = snprintf(t->own_text, sizeof(t->own_text),
		    "EHLO n%012" PRIu64 ".bench.example\r\n", t->id);
	if (step->send == SEND_COMMAND)
		len = snprintf(t->own_text, sizeof(t->own_text),
		    "%s %" PRIu64 " %" PRIu64 "\r\n", step->text, t->id,
		    step->bytes);
	t->own_text_len = (size_t)len;
}

static void
set_own_reply(struct talk *t)
{
	struct stream_sum sum = {0};

	stream_sum_add(&sum, t->own_text, t->own_text_len);
	stream_sum_append(&sum, &t->dialog->after_hello);
	t->own_reply_len = (size_t)snprintf(t->own_reply, sizeof(t->own_reply),
	    "221 2.0.0 Bye, %" PRIu64 " bytes, sum %016" PRIx64 "\r\n",
	    sum.bytes, stream_sum_value(&sum));
}

static void
enter_step(struct talk *t, unsigned number)
{
	t->step = number;
	t->sent = 0;
	t->received = 0;
	t->line_chars = 0;
	if (number >= t->limit)
		return;
	if (current(t)->send == SEND_HELLO || current(t)->send == SEND_COMMAND)
		set_own_text(t, current(t));
	if (current(t)->send == SEND_COMMAND)
		t->out_at = t->in_at = 0;
	if (current(t)->send == SEND_HELLO)
		set_own_reply(t);
}

void
talk_start(struct talk *t, const struct dialog *dialog, uint64_t id)
{
	t->dialog = dialog;
	t->id = id;
	t->limit =
	    dialog->unit_begin != 0 ? dialog->unit_begin : dialog->hold_before;
	t->out_at = t->in_at = 0;
	enter_step(t, 0);
}

void
talk_go_on(struct talk *t)
{
	t->limit = t->dialog->step_count;
	enter_step(t, t->dialog->unit_begin != 0 ? t->dialog->unit_begin
						 : t->dialog->hold_before);
}

bool
talk_is_waiting(const struct talk *t)
{
	return t->step == t->limit;
}

bool
talk_is_over(const struct talk *t)
{
	return t->step == t->dialog->step_count;
}

bool
talk_awaits_fin(const struct talk *t)
{
	const struct dialog *d = t->dialog;

	return talk_is_over(t) && d->steps[d->step_count - 1].code == 221;
}

static uint64_t
bytes_to_send(const struct talk *t)
{
	switch (current(t)->send) {
	case SEND_TEXT:
		return current(t)->text_len;
	case SEND_HELLO:
	case SEND_COMMAND:
		return t->own_text_len;
	case SEND_PATTERN:
		return current(t)->bytes;
	case SEND_NOTHING:
		break;
	}
	return 0;
}

/* UINT64_MAX: unknown, until the last line of a reply has come. */
static uint64_t
bytes_to_expect(const struct talk *t)
{
	switch (current(t)->expect) {
	case EXPECT_TEXT:
		return current(t)->reply_len;
	case EXPECT_BYE:
		return t->own_reply_len;
	case EXPECT_PATTERN:
		return current(t)->bytes;
	case EXPECT_CODE:
		return UINT64_MAX;
	case EXPECT_NOTHING:
		break;
	}
	return 0;
}

/* Steps that have ended, the last line of a reply apart. */
static void
leave_ended_steps(struct talk *t)
{
	while (!talk_is_waiting(t) && t->sent == bytes_to_send(t) &&
	       t->received == bytes_to_expect(t))
		enter_step(t, t->step + 1);
}

const char *
talk_output(const struct talk *t, uint64_t ahead, size_t *len)
{
	uint64_t at = t->sent + ahead;
	uint64_t left;

	if (talk_is_waiting(t) || at == bytes_to_send(t))
		return NULL;
	left = bytes_to_send(t) - at;
	*len = (size_t)left;
	switch (current(t)->send) {
	case SEND_PATTERN:
		if (left > PATTERN_PERIOD)
			*len = PATTERN_PERIOD;
		return pattern_at(t->id, t->out_at + ahead);
	case SEND_TEXT:
		return current(t)->text + at;
	default:
		return t->own_text + at;
	}
}

void
talk_sent(struct talk *t, size_t len)
{
	t->sent += len;
	if (current(t)->send == SEND_PATTERN)
		t->out_at += len;
	leave_ended_steps(t);
}

/* What came, for a person to read. */
static void
show(char *out, size_t size, const char *data, size_t len)
{
	size_t at = 0;

	while (len-- > 0 && at + 5 < size && at < SHOWN_MAX) {
		unsigned char c = (unsigned char)*data++;

		if (isprint(c))
			out[at++] = (char)c;
		else
			at +=
			    (size_t)snprintf(out + at, size - at, "\\x%02x", c);
	}
	out[at] = '\0';
}

static bool
fault(struct talk *t, const char *what, const char *data, size_t len)
{
	char shown[SHOWN_MAX + 8];

	show(shown, sizeof(shown), data, len);
	snprintf(t->fault, sizeof(t->fault),
	    "%s %" PRIu64 ", %s, byte %" PRIu64 ": %s: \"%s\"", t->dialog->name,
	    t->id, t->step < t->limit ? current(t)->name : "after the end",
	    t->received, what, shown);
	return false;
}

static bool
take_text(struct talk *t, const char *want, const char *data, size_t len,
    size_t *took)
{
	size_t same = 0;

	while (same < len && data[same] == want[t->received + same])
		same++;
	t->received += same;
	*took = same;
	if (same < len)
		return fault(
		    t, "not what was expected", data + same, len - same);
	return true;
}

static bool
take_pattern(struct talk *t, const char *data, size_t len, size_t *took)
{
	size_t same = pattern_match(t->id, t->in_at, data, len);

	t->received += same;
	t->in_at += same;
	*took = same;
	if (same < len)
		return fault(
		    t, "not the byte that was sent", data + same, len - same);
	return true;
}

/* Up to the end of one line; the last line of a reply ends the step. */
static bool
take_line(struct talk *t, const char *data, size_t len, size_t *took)
{
	const char *lf = memchr(data, '\n', len);
	size_t part = lf != NULL ? (size_t)(lf - data) + 1 : len;
	char code[4];

	for (size_t i = 0; i < part && t->line_chars < 4; i++)
		t->line_head[t->line_chars++] = data[i];
	*took = part;
	t->received += part;
	if (lf == NULL)
		return true;
	snprintf(code, sizeof(code), "%03u", current(t)->code);
	if (t->line_chars < 4 || memcmp(t->line_head, code, 3) != 0)
		return fault(t, "not the reply that was expected", data, part);
	if (t->line_head[3] != '-' && t->sent != bytes_to_send(t))
		return fault(t, "a reply before its time", data, part);
	t->line_chars = 0;
	if (t->line_head[3] != '-')
		enter_step(t, t->step + 1);
	return true;
}

static bool
take(struct talk *t, const char *data, size_t len, size_t *took)
{
	uint64_t left;

	if (current(t)->expect == EXPECT_CODE)
		return take_line(t, data, len, took);
	left = bytes_to_expect(t) - t->received;
	if (left == 0)
		return fault(t, "more than was expected", data, len);
	if (len > left)
		len = (size_t)left;
	if (current(t)->expect == EXPECT_PATTERN)
		return take_pattern(t, data, len, took);
	return take_text(t,
	    current(t)->expect == EXPECT_BYE ? t->own_reply : current(t)->reply,
	    data, len, took);
}

bool
talk_input(struct talk *t, const char *data, size_t len)
{
	while (len > 0) {
		size_t took = 0;

		if (talk_is_waiting(t))
			return fault(t, "more than was expected", data, len);
		if (!take(t, data, len, &took))
			return false;
		data += took;
		len -= took;
		leave_ended_steps(t);
	}
	return true;
}
