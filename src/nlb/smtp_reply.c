/* The reply reader of the SMTP health check; see smtp_reply.h. */
#include "nlb/smtp_reply.h"

#include <string.h>
#include <strings.h>

#define CODE_LEN 3
#define KEYWORD "STARTTLS"

void
smtp_reply_init(struct smtp_reply *r)
{
	memset(r, 0, sizeof(*r));
}

static bool
is_digit(char c, char from, char to)
{
	return c >= from && c <= to;
}

/* 0 when the line does not start with a code and a separator. */
static int
line_code(const struct smtp_reply *r)
{
	const char *s = r->line;

	if (r->line_len < CODE_LEN || !is_digit(s[0], '2', '5') ||
	    !is_digit(s[1], '0', '9') || !is_digit(s[2], '0', '9'))
		return 0;
	if (r->line_len > CODE_LEN && s[CODE_LEN] != ' ' && s[CODE_LEN] != '-')
		return 0;
	return (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
}

/* "250-STARTTLS", in any case, perhaps with parameters. */
static bool
is_starttls(const struct smtp_reply *r)
{
	size_t start = CODE_LEN + 1, end = start + strlen(KEYWORD);

	return r->line_len >= end &&
	       strncasecmp(r->line + start, KEYWORD, end - start) == 0 &&
	       (r->line_len == end || r->line[end] == ' ');
}

static void
take_line(struct smtp_reply *r)
{
	int code;

	if (r->line_len > 0 && r->line_len < sizeof(r->line) &&
	    r->line[r->line_len - 1] == '\r')
		r->line_len--;
	if (r->lines == 0) {
		memcpy(r->first, r->line, sizeof(r->first));
		r->first_len = r->line_len;
	}
	code = line_code(r);
	if (code == 0 || (r->lines > 0 && code != r->code)) {
		r->state = SMTP_REPLY_MALFORMED;
		return;
	}
	r->code = code;
	if (r->lines > 0 && is_starttls(r))
		r->starttls = true;
	r->lines++;
	if (r->line_len == CODE_LEN || r->line[CODE_LEN] == ' ')
		r->state = SMTP_REPLY_DONE;
	r->line_len = 0;
}

size_t
smtp_reply_feed(struct smtp_reply *r, const char *bytes, size_t n)
{
	size_t used = 0;

	while (used < n && r->state == SMTP_REPLY_MORE) {
		char c = bytes[used++];

		if (++r->bytes > SMTP_REPLY_BYTES_MAX)
			r->state = SMTP_REPLY_TOO_LONG;
		else if (c == '\n')
			take_line(r);
		else if (r->line_len < sizeof(r->line))
			r->line[r->line_len++] = c;
	}
	return used;
}

const char *
smtp_reply_text(const struct smtp_reply *r, size_t *len)
{
	if (r->lines > 0 || r->first_len > 0) {
		*len = r->first_len;
		return r->first;
	}
	*len = r->line_len;
	return r->line;
}
