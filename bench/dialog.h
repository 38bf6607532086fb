/*
 * What a load client says and what has to come back, byte for byte: the
 * conversations of nlbbench's profiles with nlbd-smtp-target.  The expected
 * replies are those of an smtp_session that is asked when a dialog is built.
 * With another SMTP server only the reply codes are known.
 */
#ifndef DIALOG_H
#define DIALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream_sum.h"

#define DIALOG_STEPS_MAX 32
#define DIALOG_REPLIES_MAX 4096
#define DIALOG_MESSAGE_MAX (64u << 20)

enum step_send {
	SEND_NOTHING,
	SEND_TEXT,
	SEND_HELLO,   /* EHLO with the number of the session in the name */
	SEND_COMMAND, /* text, number of the flow, bytes: starts a stream */
	SEND_PATTERN,
};

enum step_expect {
	EXPECT_NOTHING,
	EXPECT_TEXT,
	EXPECT_BYE,  /* 221 with the sum of what this session sent */
	EXPECT_CODE, /* a reply, of any lines, with this code */
	EXPECT_PATTERN,
};

/* Sending and receiving of a step go on at once; both ended, the next one
 * begins. */
struct step {
	const char *name; /* for messages */
	enum step_send send;
	const char *text;
	size_t text_len;
	uint64_t bytes; /* of SEND_COMMAND, SEND_PATTERN and EXPECT_PATTERN */
	enum step_expect expect;
	const char *reply;
	size_t reply_len;
	unsigned code;
};

struct dialog {
	const char *name; /* of the unit: "session", "exchange", ... */
	struct step steps[DIALOG_STEPS_MAX];
	unsigned step_count;
	/* A kept connection repeats the steps from here on, each time a unit.
	 * 0: a unit is a connection. */
	unsigned unit_begin;
	/* A held connection stops here until it is told to end; else equal to
	 * step_count. */
	unsigned hold_before;
	/* Of all text after the HELLO, QUIT included. */
	struct stream_sum after_hello;
	char *message; /* owned */
	char replies[DIALOG_REPLIES_MAX];
	size_t replies_len;
};

enum dialog_direction { DIALOG_UP, DIALOG_DOWN, DIALOG_BOTH };

/* How an SMTP server is spoken to. */
struct dialog_server {
	const char *name; /* the target's --name */
	bool is_foreign;  /* not nlbd-smtp-target: only codes are checked */
	bool pipelines;   /* MAIL, RCPT and DATA in one write */
};

/* All of them return 0 or a negative errno; dialog_fini() in any case. */
int dialog_init_smtp(
    struct dialog *d, const struct dialog_server *server, size_t size);
int dialog_init_churn(struct dialog *d, const struct dialog_server *server);
int dialog_init_idle(struct dialog *d, const struct dialog_server *server);
int dialog_init_bulk(struct dialog *d, const struct dialog_server *server,
    enum dialog_direction direction, uint64_t bytes);

/* Echoed messages of so many bytes. exchanges 0: a kept connection, a unit is
 * one exchange; else a connection of so many exchanges is. */
int dialog_init_pingpong(struct dialog *d, const struct dialog_server *server,
    uint64_t bytes, unsigned exchanges);

void dialog_fini(struct dialog *d);

#endif
