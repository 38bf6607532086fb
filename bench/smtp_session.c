/*
 * SMTP server session: see smtp_session.h.
 */
#include "smtp_session.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pattern.h"

struct command {
	const char *verb;
	void (*run)(struct smtp_session *s, const char *argument);
};

static void
reply(struct smtp_session *s, const char *text)
{
	s->ops->reply(s->arg, text, strlen(text));
}

static void
reset_transaction(struct smtp_session *s)
{
	s->has_sender = false;
	s->recipients = 0;
	s->body_bytes = 0;
}

void
smtp_session_init(struct smtp_session *s, const struct smtp_session_ops *ops,
    void *arg, const char *name, uint64_t max_size)
{
	memset(s, 0, sizeof(*s));
	s->ops = ops;
	s->arg = arg;
	s->name = name;
	s->max_size = max_size;
	s->state = SMTP_COMMAND;
}

void
smtp_session_greet(struct smtp_session *s)
{
	char text[SMTP_LINE_MAX];

	snprintf(text, sizeof(text), "220 %.255s ESMTP nlbd test target\r\n",
	    s->name);
	reply(s, text);
}

bool
smtp_session_has_quit(const struct smtp_session *s)
{
	return s->state == SMTP_QUIT;
}

static void
run_ehlo(struct smtp_session *s, const char *argument)
{
	char text[SMTP_LINE_MAX];

	if (*argument == '\0') {
		reply(s, "501 5.5.4 EHLO needs a name\r\n");
		return;
	}
	reset_transaction(s);
	s->has_greeted = true;
	snprintf(text, sizeof(text),
	    "250-%.255s\r\n250-PIPELINING\r\n250-SIZE %" PRIu64
	    "\r\n250 8BITMIME\r\n",
	    s->name, s->max_size);
	reply(s, text);
}

static void
run_helo(struct smtp_session *s, const char *argument)
{
	char text[SMTP_LINE_MAX];

	if (*argument == '\0') {
		reply(s, "501 5.5.4 HELO needs a name\r\n");
		return;
	}
	reset_transaction(s);
	s->has_greeted = true;
	snprintf(text, sizeof(text), "250 %.255s\r\n", s->name);
	reply(s, text);
}

/* Whether "... SIZE=N ..." announces more than the target takes. */
static bool
announces_too_much(const struct smtp_session *s, const char *argument)
{
	const char *size = strcasestr(argument, " SIZE=");

	return s->max_size != 0 && size != NULL &&
	       strtoull(size + strlen(" SIZE="), NULL, 10) > s->max_size;
}

static void
run_mail(struct smtp_session *s, const char *argument)
{
	if (strncasecmp(argument, "FROM:", 5) != 0) {
		reply(s, "501 5.5.4 Syntax: MAIL FROM:<address>\r\n");
	} else if (!s->has_greeted) {
		reply(s, "503 5.5.1 EHLO or HELO first\r\n");
	} else if (s->has_sender) {
		reply(s, "503 5.5.1 Nested MAIL\r\n");
	} else if (announces_too_much(s, argument)) {
		reply(s, "552 5.3.4 Message too big\r\n");
	} else {
		s->has_sender = true;
		reply(s, "250 2.1.0 Ok\r\n");
	}
}

static void
run_rcpt(struct smtp_session *s, const char *argument)
{
	if (strncasecmp(argument, "TO:", 3) != 0) {
		reply(s, "501 5.5.4 Syntax: RCPT TO:<address>\r\n");
	} else if (!s->has_sender) {
		reply(s, "503 5.5.1 MAIL first\r\n");
	} else if (s->recipients >= SMTP_RECIPIENTS_MAX) {
		reply(s, "452 4.5.3 Too many recipients\r\n");
	} else {
		s->recipients++;
		reply(s, "250 2.1.5 Ok\r\n");
	}
}

static void
run_data(struct smtp_session *s, const char *argument)
{
	if (*argument != '\0') {
		reply(s, "501 5.5.4 DATA takes no argument\r\n");
	} else if (s->recipients == 0) {
		reply(s, "503 5.5.1 RCPT first\r\n");
	} else {
		s->state = SMTP_DATA;
		s->dot = SMTP_DOT_BOL;
		reply(s, "354 End data with <CR><LF>.<CR><LF>\r\n");
	}
}

static void
run_rset(struct smtp_session *s, const char *argument)
{
	(void)argument;
	reset_transaction(s);
	reply(s, "250 2.0.0 Ok\r\n");
}

static void
run_noop(struct smtp_session *s, const char *argument)
{
	(void)argument;
	reply(s, "250 2.0.0 Ok\r\n");
}

/* The sum of every byte up to the line end of this QUIT: it tells the client
 * that all it sent came, and in order. */
static void
run_quit(struct smtp_session *s, const char *argument)
{
	char text[SMTP_LINE_MAX];

	(void)argument;
	s->state = SMTP_QUIT;
	snprintf(text, sizeof(text),
	    "221 2.0.0 Bye, %" PRIu64 " bytes, sum %016" PRIx64 "\r\n",
	    s->sum.bytes, stream_sum_value(&s->sum));
	reply(s, text);
}

/* Only the one right spelling: a byte too many or too few must show. */
static bool
is_exact(const struct smtp_session *s, const char *argument)
{
	size_t verb_len = strcspn(s->line, " ");

	return s->line_has_cr &&
	       (*argument == '\0' ? s->line[verb_len] == '\0'
				  : argument == s->line + verb_len + 1);
}

static void
run_xecho(struct smtp_session *s, const char *argument)
{
	if (*argument != '\0' || !is_exact(s, argument)) {
		reply(s, "501 5.5.4 Syntax: XECHO\r\n");
		return;
	}
	s->state = SMTP_ECHO;
	reply(s, "250 2.0.0 Echo\r\n");
}

/* "SEED BYTES" */
static bool
start_stream(struct smtp_session *s, const char *argument)
{
	char *end;

	memset(&s->stream, 0, sizeof(s->stream));
	s->stream.wrong_at = UINT64_MAX;
	if (!is_exact(s, argument) || !isdigit((unsigned char)*argument))
		return false;
	s->stream.seed = strtoull(argument, &end, 10);
	if (*end++ != ' ' || !isdigit((unsigned char)*end))
		return false;
	s->stream.bytes = strtoull(end, &end, 10);
	return *end == '\0' && s->stream.bytes > 0;
}

static void
run_xsink(struct smtp_session *s, const char *argument)
{
	if (!start_stream(s, argument))
		reply(s, "501 5.5.4 Syntax: XSINK SEED BYTES\r\n");
	else
		s->state = SMTP_SINK;
}

static void
run_xsource(struct smtp_session *s, const char *argument)
{
	if (!start_stream(s, argument)) {
		reply(s, "501 5.5.4 Syntax: XSOURCE SEED BYTES\r\n");
		return;
	}
	s->state = SMTP_SOURCE;
	reply(s, "250 2.0.0 The stream follows\r\n");
}

static const struct command commands[] = {
    {"EHLO", run_ehlo},
    {"HELO", run_helo},
    {"MAIL", run_mail},
    {"RCPT", run_rcpt},
    {"DATA", run_data},
    {"RSET", run_rset},
    {"NOOP", run_noop},
    {"QUIT", run_quit},
    {"XECHO", run_xecho},
    {"XSINK", run_xsink},
    {"XSOURCE", run_xsource},
};

/* line has neither CR LF nor, up to its length, a NUL. */
static void
run_line(struct smtp_session *s, char *line)
{
	size_t verb_len = strcspn(line, " ");
	char *argument = line + verb_len;

	while (*argument == ' ')
		argument++;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strlen(commands[i].verb) == verb_len &&
		    strncasecmp(commands[i].verb, line, verb_len) == 0) {
			commands[i].run(s, argument);
			return;
		}
	}
	reply(s, "500 5.5.2 Unknown command\r\n");
}

static void
end_line(struct smtp_session *s)
{
	size_t len = s->line_len;
	bool too_long = s->line_too_long;

	s->line_len = 0;
	s->line_too_long = false;
	s->line_has_cr = len > 0 && s->line[len - 1] == '\r';
	if (s->line_has_cr)
		len--;
	if (too_long) {
		reply(s, "500 5.5.2 Line too long\r\n");
	} else if (memchr(s->line, '\0', len) != NULL) {
		reply(s, "500 5.5.2 NUL in a command\r\n");
	} else {
		s->line[len] = '\0';
		run_line(s, s->line);
	}
}

/* Returns how many bytes it took; at most one line. */
static size_t
consume_command(struct smtp_session *s, const char *data, size_t len)
{
	const char *lf = memchr(data, '\n', len);
	size_t part = lf != NULL ? (size_t)(lf - data) : len;

	stream_sum_add(&s->sum, data, lf != NULL ? part + 1 : part);
	/* One byte stays free for the NUL that ends the line. */
	if (part >= sizeof(s->line) - s->line_len) {
		s->line_too_long = true;
	} else {
		memcpy(s->line + s->line_len, data, part);
		s->line_len += part;
	}
	if (lf == NULL)
		return len;
	end_line(s);
	return part + 1;
}

static void
emit_body(struct smtp_session *s, const char *data, size_t len)
{
	if (len == 0)
		return;
	s->body_bytes += len;
	if (s->max_size == 0 || s->body_bytes <= s->max_size)
		s->ops->body(s->arg, data, len);
}

static void
end_message(struct smtp_session *s)
{
	bool fits = s->max_size == 0 || s->body_bytes <= s->max_size;
	bool taken = s->ops->message_end(s->arg, s->body_bytes, fits);

	s->state = SMTP_COMMAND;
	reset_transaction(s);
	if (!fits)
		reply(s, "552 5.3.4 Message too big\r\n");
	else if (!taken)
		reply(s, "451 4.3.0 Cannot store the message\r\n");
	else
		reply(s, "250 2.0.0 Ok: received\r\n");
}

/* Returns how many bytes it took: all, or up to the end of the message. */
static size_t
consume_message(struct smtp_session *s, const char *data, size_t len)
{
	size_t from = 0; /* what lies before it was passed on or dropped */
	size_t i = 0;

	while (i < len) {
		const char *cr;

		switch (s->dot) {
		case SMTP_DOT_TEXT:
			cr = memchr(data + i, '\r', len - i);
			i = cr != NULL ? (size_t)(cr - data) + 1 : len;
			if (cr != NULL)
				s->dot = SMTP_DOT_CR;
			break;
		case SMTP_DOT_CR:
			s->dot = data[i] == '\n'   ? SMTP_DOT_BOL
				 : data[i] == '\r' ? SMTP_DOT_CR
						   : SMTP_DOT_TEXT;
			i++;
			break;
		case SMTP_DOT_BOL:
			if (data[i] != '.') {
				s->dot = SMTP_DOT_TEXT;
				break;
			}
			emit_body(s, data + from, i - from);
			from = ++i;
			s->dot = SMTP_DOT_DOT;
			break;
		case SMTP_DOT_DOT:
			if (data[i] != '\r') {
				s->dot = SMTP_DOT_TEXT;
				break;
			}
			from = ++i;
			s->dot = SMTP_DOT_DOT_CR;
			break;
		case SMTP_DOT_DOT_CR:
			if (data[i] == '\n') {
				end_message(s);
				return i + 1;
			}
			emit_body(s, "\r", 1);
			s->dot = SMTP_DOT_CR;
			break;
		}
	}
	emit_body(s, data + from, len - from);
	return len;
}

static size_t
consume_data(struct smtp_session *s, const char *data, size_t len)
{
	size_t took = consume_message(s, data, len);

	stream_sum_add(&s->sum, data, took);
	return took;
}

static size_t
consume_sink(struct smtp_session *s, const char *data, size_t len)
{
	uint64_t left = s->stream.bytes - s->stream.done;
	char text[SMTP_LINE_MAX];
	size_t right;

	if (len > left)
		len = (size_t)left;
	right = pattern_match(s->stream.seed, s->stream.done, data, len);
	if (right < len && s->stream.wrong_at == UINT64_MAX)
		s->stream.wrong_at = s->stream.done + right;
	s->stream.done += len;
	if (s->stream.done < s->stream.bytes)
		return len;
	s->state = SMTP_COMMAND;
	if (s->stream.wrong_at == UINT64_MAX)
		snprintf(text, sizeof(text),
		    "250 2.0.0 Ok: %" PRIu64 " bytes\r\n", s->stream.bytes);
	else
		snprintf(text, sizeof(text),
		    "554 5.6.0 Byte %" PRIu64 " differs\r\n",
		    s->stream.wrong_at);
	reply(s, text);
	return len;
}

const char *
smtp_session_stream(const struct smtp_session *s, size_t *len)
{
	uint64_t left = s->stream.bytes - s->stream.done;

	if (s->state != SMTP_SOURCE)
		return NULL;
	*len = left < PATTERN_PERIOD ? (size_t)left : PATTERN_PERIOD;
	return pattern_at(s->stream.seed, s->stream.done);
}

void
smtp_session_sent(struct smtp_session *s, size_t len)
{
	s->stream.done += len;
	if (s->stream.done == s->stream.bytes)
		s->state = SMTP_COMMAND;
}

static size_t
consume(struct smtp_session *s, const char *data, size_t len)
{
	switch (s->state) {
	case SMTP_COMMAND:
		return consume_command(s, data, len);
	case SMTP_DATA:
		return consume_data(s, data, len);
	case SMTP_SINK:
		return consume_sink(s, data, len);
	case SMTP_ECHO:
		s->ops->reply(s->arg, data, len);
		return len;
	case SMTP_SOURCE:
		/* Among the stream, where it cannot be overlooked. */
		reply(s, "503 5.5.1 A stream is under way\r\n");
		break;
	case SMTP_QUIT:
		break;
	}
	return len;
}

void
smtp_session_input(struct smtp_session *s, const char *data, size_t len)
{
	while (len > 0 && s->state != SMTP_QUIT) {
		size_t took = consume(s, data, len);

		data += took;
		len -= took;
	}
}
