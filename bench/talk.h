/*
 * One connection's way through a dialog: which bytes go out next, and whether
 * those that come in are the right ones.  No sockets, no clocks.
 */
#ifndef TALK_H
#define TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dialog.h"

#define TALK_FAULT_MAX 256

/*
 * It goes from step to step by itself, up to the limit:
 *
 *   talk_start()   limit: where a kept or held connection waits, or the end
 *   talk_go_on()   from there to the end; a kept one goes back first
 */
struct talk {
	const struct dialog *dialog;
	uint64_t id;
	unsigned step;
	unsigned limit;
	uint64_t sent; /* of this step */
	uint64_t received;
	uint64_t out_at; /* where in the pattern the next byte stands */
	uint64_t in_at;
	/* Of EXPECT_CODE: the line that is coming in. */
	char line_head[4];
	unsigned line_chars;
	/* What is this connection's alone. */
	char own_text[64];
	size_t own_text_len;
	char own_reply[64];
	size_t own_reply_len;
	char fault[TALK_FAULT_MAX]; /* after talk_input() returned false */
};

/* dialog outlives the talk; id is the number that the session tells. */
void talk_start(struct talk *t, const struct dialog *dialog, uint64_t id);

/* A new unit on a kept connection, or the last steps of a held one. */
void talk_go_on(struct talk *t);

/* At its limit: nothing to send, and nothing may come. */
bool talk_is_waiting(const struct talk *t);

/* At the end of the dialog. */
bool talk_is_over(const struct talk *t);

/* Over with a 221, after which the server has to close (RFC 5321, 4.1.1.10):
 * its FIN belongs to what has to come back. */
bool talk_awaits_fin(const struct talk *t);

/*
 * What this step has to send after the next `ahead` bytes: *len bytes in one
 * piece, which stays as it is until talk_sent() was told of all of it; NULL
 * for nothing (more).
 */
const char *talk_output(const struct talk *t, uint64_t ahead, size_t *len);

void talk_sent(struct talk *t, size_t len);

/* Takes what came; false: it was not what it should be, see fault. */
bool talk_input(struct talk *t, const char *data, size_t len);

#endif
