/*
 * The server side of one SMTP session (RFC 5321) as a pure state machine:
 * bytes in, replies and message bytes out through callbacks.  It knows neither
 * sockets nor clocks, and no input, however hostile, makes it do more than
 * answer 5xx.  Three verbs beyond SMTP turn a session into a stream whose
 * bytes are checked, for load tests, and the 221 says what the session sent.
 */
#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream_sum.h"

#define SMTP_LINE_MAX 1024 /* a longer command line is answered with 500 */
#define SMTP_RECIPIENTS_MAX 1000

struct smtp_session_ops {
	/* Whole reply lines, CRLF included, in the order to be sent. */
	void (*reply)(void *arg, const char *text, size_t len);
	/* Message bytes with the dot stuffing undone; any split. */
	void (*body)(void *arg, const char *data, size_t len);
	/*
	 * The message of so many bytes has ended; fits is false when it was
	 * over the limit. Returns whether the target took it: 250, or a 4xx.
	 */
	bool (*message_end)(void *arg, uint64_t bytes, bool fits);
};

/*
 * Session states
 *
 *            DATA with recipients
 *   COMMAND ----------------------> DATA
 *    |   ^                           |
 *    |   '------- CRLF . CRLF -------'
 *    |
 *    |<-- XSINK SEED BYTES ----> SINK    so many bytes of the pattern come,
 *    |                                   then a reply says if they were right
 *    |<-- XSOURCE SEED BYTES --> SOURCE  so many are sent; input gets 503
 *    |
 *    |--- XECHO ---------------> ECHO    every byte comes back, to the end
 *    | QUIT
 *    v
 *   QUIT      input is ignored from here on
 */
enum smtp_state {
	SMTP_COMMAND,
	SMTP_DATA,
	SMTP_SINK,
	SMTP_SOURCE,
	SMTP_ECHO,
	SMTP_QUIT,
};

/*
 * Where in a message the next byte stands.  The end is CR LF . CR LF and
 * nothing else: a bare LF never ends a line (no smuggling).
 *
 *   BOL --'.'--> DOT --CR--> DOT_CR --LF--> end of the message
 *    ^ |          |             |
 *    | '----------+--> TEXT     '--> CR     (the dot was stuffing)
 *    |                  | CR
 *    '------- LF ------ CR
 */
enum smtp_dot_state {
	SMTP_DOT_BOL,
	SMTP_DOT_TEXT,
	SMTP_DOT_CR,
	SMTP_DOT_DOT,
	SMTP_DOT_DOT_CR,
};

struct smtp_session {
	const struct smtp_session_ops *ops;
	void *arg;
	const char *name;  /* for the greeting; outlives the session */
	uint64_t max_size; /* bytes of a message; 0: no limit */
	enum smtp_state state;
	enum smtp_dot_state dot;
	bool has_greeted; /* HELO or EHLO came */
	bool has_sender;
	unsigned recipients;
	uint64_t body_bytes; /* of the current message */
	struct {
		uint64_t seed;
		uint64_t bytes; /* of the whole stream */
		uint64_t done;
		uint64_t wrong_at; /* UINT64_MAX: no byte so far */
	} stream;                  /* of SINK and SOURCE */
	struct stream_sum sum; /* of all commands and messages, for the 221 */
	size_t line_len;
	bool line_too_long; /* the rest of the line is skipped */
	bool line_has_cr;   /* before its LF, as it should */
	char line[SMTP_LINE_MAX];
};

/* ops, arg and name must outlive the session.  Nothing is sent yet. */
void smtp_session_init(struct smtp_session *s,
    const struct smtp_session_ops *ops, void *arg, const char *name,
    uint64_t max_size);

/* Sends the 220 line. */
void smtp_session_greet(struct smtp_session *s);

/* Takes the next bytes of the client, in any split. */
void smtp_session_input(struct smtp_session *s, const char *data, size_t len);

/*
 * What a SOURCE sends next, in one piece of at most *len bytes; NULL when
 * there is nothing (more).  smtp_session_sent() moves on.
 */
const char *smtp_session_stream(const struct smtp_session *s, size_t *len);

void smtp_session_sent(struct smtp_session *s, size_t len);

bool smtp_session_has_quit(const struct smtp_session *s);

#endif
