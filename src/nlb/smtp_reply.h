/*
 * Reads one SMTP reply (RFC 5321, 4.2), of one line or of many, from pieces
 * of any size. Pure; keeps the first line's text and nothing else, whatever a
 * server sends.
 */
#ifndef NLB_SMTP_REPLY_H
#define NLB_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

/* RFC 5321, 4.5.3.1.5: the longest reply line. Longer ones are read all the
 * same; no more than this is kept. */
#define SMTP_REPLY_KEPT_MAX 512
/* A whole reply. A server that sends more has no end. */
#define SMTP_REPLY_BYTES_MAX 65536

/*
 * Reply states
 *
 *        whole line "250-"                       whole line "250 "
 *   .---.                                      .-------------> DONE
 *   '-> MORE ----------------------------------'
 *        |   no code, another code than before
 *        |-------------------------------------------------> MALFORMED
 *        |   more than SMTP_REPLY_BYTES_MAX
 *        '-------------------------------------------------> TOO_LONG
 */
enum smtp_reply_state {
	SMTP_REPLY_MORE,
	SMTP_REPLY_DONE,
	SMTP_REPLY_MALFORMED,
	SMTP_REPLY_TOO_LONG,
};

struct smtp_reply {
	enum smtp_reply_state state;
	int code;        /* of the first line, 0 = not known yet */
	bool starttls;   /* a line after the first is "STARTTLS" */
	size_t bytes;    /* read so far */
	size_t lines;    /* whole ones */
	size_t line_len; /* of the line under way */
	/* The line under way, without its end; longer ones are cut. */
	char line[SMTP_REPLY_KEPT_MAX];
	/* The first line: raw bytes, not terminated. */
	char first[SMTP_REPLY_KEPT_MAX];
	size_t first_len;
};

void smtp_reply_init(struct smtp_reply *r);
/* Takes bytes up to the reply's end; returns how many. Once state is not MORE
 * it takes none. */
size_t smtp_reply_feed(struct smtp_reply *r, const char *bytes, size_t n);
/* What of the reply can be shown: its first line, or as much of it as came. */
const char *smtp_reply_text(const struct smtp_reply *r, size_t *len);

#endif
