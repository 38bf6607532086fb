/*
 * The SMTP health check: reads the greeting, says EHLO and QUIT as a client
 * should, and waits for the server's goodbye, so that no server has a reason
 * to log a warning.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "health/probe_socket.h"
#include "nlb/smtp_reply.h"

/* Reads of one event, so that a flood does not hold the loop. */
#define READS_MAX 16
#define SHOWN_MAX 100 /* of the server's words in a detail, escaped */

/*
 * SMTP check states
 *
 *            connected          220           250            221, or the end
 * CONNECTING ---------> GREETING --> EHLO ----------> QUIT -----------------.
 *     |                    |          |  the verdict   ^  of any kind       |
 *     |                    |          |  stands        |                    v
 *     |                    '----------'----------------'                 (done)
 *     |                      another reply: failure                         ^
 *     '---------------------------------------------------------------------'
 *       refused, lost, no SMTP: failure at once, from GREETING and EHLO too
 *
 * From QUIT on the verdict is known; a server that is slow or rude at the
 * goodbye changes nothing.
 */
enum smtp_state {
	SMTP_CONNECTING,
	SMTP_GREETING,
	SMTP_EHLO,
	SMTP_QUIT,
};

struct probe_smtp {
	struct probe probe;
	struct probe_socket *socket;
	enum smtp_state state;
	bool want_starttls;
	struct smtp_reply reply;
	struct probe_end end; /* QUIT only */
	char out[ADDR_IP_STRLEN + 32];
	size_t out_len, out_sent;
};

static void
close_probe(struct probe *probe)
{
	struct probe_smtp *p = (struct probe_smtp *)probe;
	static const char quit[] = "QUIT\r\n";

	/* Out of time or cancelled: a server that reads it need not log a lost
	 * connection. Before the greeting nobody may speak. */
	if (p->state == SMTP_EHLO && p->out_sent == p->out_len)
		(void)send(p->socket->fd, quit, strlen(quit), MSG_NOSIGNAL);
	probe_socket_close(p->socket);
	free(p);
}

/* The only writer of state. */
static void
set_state(struct probe_smtp *p, enum smtp_state state)
{
	p->state = state;
	smtp_reply_init(&p->reply);
}

static const char *
awaited(const struct probe_smtp *p)
{
	return p->state == SMTP_GREETING ? "greeting" : "answer to EHLO";
}

/* The server's words, escaped and cut. */
static const char *
shown(const struct probe_smtp *p, char buf[SHOWN_MAX])
{
	size_t len;
	const char *text = smtp_reply_text(&p->reply, &len);

	return log_escape(buf, SHOWN_MAX, text, len);
}

/* ---- sending ---------------------------------------------------------- */

/* 0, also with something left over for later, or a negative errno. */
static int
flush(struct probe_smtp *p)
{
	while (p->out_sent < p->out_len) {
		ssize_t n = send(p->socket->fd, p->out + p->out_sent,
		    p->out_len - p->out_sent, MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno != EAGAIN)
			return -errno;
		if (n == -1)
			break;
		p->out_sent += (size_t)n;
	}
	return probe_socket_watch(p->socket,
	    UV_READABLE | (p->out_sent < p->out_len ? UV_WRITABLE : 0));
}

static int
say(struct probe_smtp *p, const char *words)
{
	p->out_sent = 0;
	p->out_len = strlen(words);
	memcpy(p->out, words, p->out_len);
	return flush(p);
}

/* An address literal of ours is always right (RFC 5321, 4.1.3); this machine
 * need not have a name that the server could look up. */
static int
say_ehlo(struct probe_smtp *p)
{
	char line[sizeof(p->out)], ip[ADDR_IP_STRLEN];
	struct addr local;

	probe_socket_local(p->socket, &local);
	if (local.family == ADDR_NONE)
		return -ENOTCONN;
	snprintf(line, sizeof(line), "EHLO [%s%s]\r\n",
	    local.family == ADDR_IPV6 ? "IPv6:" : "",
	    addr_format_ip(&local, ip, sizeof(ip)));
	return say(p, line);
}

/* ---- receiving -------------------------------------------------------- */

/* The verdict is in p->end: goes on to QUIT. */
static int
conclude(struct probe_smtp *p, enum probe_result result)
{
	p->end.result = result;
	p->end.timed_out = false;
	set_state(p, SMTP_QUIT);
	return say(p, "QUIT\r\n");
}

/* A whole reply. 0 to go on, or an error that ends the check. */
static int
take_reply(struct probe_smtp *p)
{
	int wanted = p->state == SMTP_GREETING ? 220 : 250;
	char text[SHOWN_MAX];

	if (p->state == SMTP_QUIT)
		return -EPIPE; /* the goodbye: nothing is left to do */
	if (p->reply.code != wanted) {
		snprintf(p->end.detail, sizeof(p->end.detail),
		    "%s was %s, wanted %d", awaited(p), shown(p, text), wanted);
		return conclude(p, PROBE_FAILURE);
	}
	if (p->state == SMTP_GREETING) {
		set_state(p, SMTP_EHLO);
		return say_ehlo(p);
	}
	if (p->want_starttls && !p->reply.starttls) {
		snprintf(p->end.detail, sizeof(p->end.detail),
		    "STARTTLS is not offered");
		return conclude(p, PROBE_FAILURE);
	}
	snprintf(p->end.detail, sizeof(p->end.detail),
	    p->reply.starttls ? "220, EHLO 250, STARTTLS offered"
			      : "220, EHLO 250");
	return conclude(p, PROBE_SUCCESS);
}

/* 0 to go on, or what ends the check: -EPROTO for what is no SMTP. */
static int
take_bytes(struct probe_smtp *p, const char *bytes, size_t n)
{
	while (n > 0) {
		size_t used = smtp_reply_feed(&p->reply, bytes, n);
		int error;

		bytes += used;
		n -= used;
		if (p->reply.state == SMTP_REPLY_MORE)
			return 0;
		if (p->reply.state != SMTP_REPLY_DONE)
			return -EPROTO;
		error = take_reply(p);
		if (error != 0)
			return error;
	}
	return 0;
}

/* Goes on as far as the kernel allows without waiting. 0, or the end. */
static int
progress(struct probe_smtp *p)
{
	char buf[4096];
	int error;

	if (p->state == SMTP_CONNECTING) {
		error = probe_socket_look(p->socket);
		if (error == 0)
			error = probe_socket_introduce(p->socket);
		if (error != 0)
			return error == -EINPROGRESS ? 0 : error;
		set_state(p, SMTP_GREETING);
	}
	error = flush(p);
	for (int i = 0; i < READS_MAX && error == 0; i++) {
		ssize_t n = recv(p->socket->fd, buf, sizeof(buf), 0);

		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n == -1)
			return -errno;
		error = n == 0 ? -EPIPE : take_bytes(p, buf, (size_t)n);
	}
	return error;
}

/* ---- the end ---------------------------------------------------------- */

static void
describe_bad_reply(const struct probe_smtp *p, struct probe_end *end)
{
	char text[SHOWN_MAX];

	if (p->reply.state == SMTP_REPLY_TOO_LONG)
		snprintf(end->detail, sizeof(end->detail),
		    "%s is longer than %d bytes", awaited(p),
		    SMTP_REPLY_BYTES_MAX);
	else
		snprintf(end->detail, sizeof(end->detail), "%s is not SMTP: %s",
		    awaited(p), shown(p, text));
}

/* What ended the check, in words. */
static void
judge(const struct probe_smtp *p, int error, struct probe_end *end)
{
	if (p->state == SMTP_QUIT) {
		*end = p->end;
		return;
	}
	probe_socket_judge(error, end);
	if (p->state == SMTP_CONNECTING || end->result == PROBE_VOID)
		return;
	if (error == -EPROTO)
		describe_bad_reply(p, end);
	else if (error == -ETIMEDOUT && p->reply.bytes == 0)
		snprintf(end->detail, sizeof(end->detail), "no %s in time",
		    awaited(p));
	else if (error == -ETIMEDOUT)
		snprintf(end->detail, sizeof(end->detail),
		    "%s not complete in time, %zu bytes of it came", awaited(p),
		    p->reply.bytes);
	else if (error == -EPIPE)
		snprintf(end->detail, sizeof(end->detail),
		    "connection closed before the %s", awaited(p));
	else if (error == -ECONNRESET)
		snprintf(end->detail, sizeof(end->detail),
		    "connection reset before the %s", awaited(p));
}

static void
give_up(struct probe *probe, struct probe_end *end)
{
	struct probe_smtp *p = (struct probe_smtp *)probe;
	int error = progress(p);

	judge(p, error == 0 ? -ETIMEDOUT : error, end);
}

static const struct probe_ops ops = {.give_up = give_up, .close = close_probe};

static void
on_event(uv_poll_t *handle, int status, int events)
{
	const struct probe_socket *s = handle->data;
	struct probe_smtp *p = s->owner;
	struct probe_end end;
	int error;

	(void)events;
	error = progress(p);
	/* libuv reports an error condition as UV_EBADF and watches no more;
	 * later the socket is watched again, and tells the error when all that
	 * came before it has been read. */
	if (error == 0 && status != 0 && p->state == SMTP_CONNECTING)
		error = status;
	if (error == 0)
		return;
	judge(p, error, &end);
	probe_finish(&p->probe, &end);
}

int
probe_smtp_start(const struct probe_env *env, struct probe **out)
{
	struct probe_smtp *p;
	int error;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->probe = probe_begin(&ops, env);
	p->want_starttls = env->spec->smtp_starttls;
	error = probe_socket_open(env, on_event, p, &p->socket);
	if (error != 0) {
		free(p);
		return error;
	}
	*out = &p->probe;
	return 0;
}
