/*
 * SMTP target connection: see smtp_conn.h.
 *
 * Reading is stopped while replies wait for their delay or for the client to
 * take them, so that what is kept per session is bounded by one read.
 */
#include "smtp_conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "smtp_receipt.h"
#include "smtp_session.h"

/* How long a client may take for its FIN after the 221. */
#define QUIT_LINGER_MS 5000

struct smtp_conn {
	LIST_ENTRY(smtp_conn) entry;
	struct smtp_target *target;
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_write_t write;
	int open_handles; /* the last close callback frees */
	bool is_closing;
	bool is_reading;
	bool is_out_of_memory;
	char *out; /* replies not yet sent */
	size_t out_len;
	size_t out_size;
	size_t streamed; /* bytes of a SOURCE that are being written */
	struct smtp_session session;
	struct smtp_receipt receipt;
};

/* Every read is consumed in its callback: one buffer serves all. */
static char read_buffer[65536];

static void on_timer(uv_timer_t *timer);

static void
on_closed(uv_handle_t *handle)
{
	struct smtp_conn *c = handle->data;
	struct smtp_target *target = c->target;

	if (--c->open_handles > 0)
		return;
	free(c->out);
	free(c);
	target->open_sessions--;
	target->on_session_closed(target);
}

static void
conn_close(struct smtp_conn *c)
{
	if (c->is_closing)
		return;
	c->is_closing = true;
	LIST_REMOVE(c, entry);
	if (!smtp_session_has_quit(&c->session))
		c->target->unfinished++;
	smtp_receipt_discard(&c->receipt);
	uv_close((uv_handle_t *)&c->timer, on_closed);
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void
on_reply(void *arg, const char *text, size_t len)
{
	struct smtp_conn *c = arg;

	if (c->out_size - c->out_len < len) {
		size_t size = (c->out_len + len) * 2;
		char *out = realloc(c->out, size);

		if (out == NULL) {
			c->is_out_of_memory = true;
			return;
		}
		c->out = out;
		c->out_size = size;
	}
	memcpy(c->out + c->out_len, text, len);
	c->out_len += len;
}

static void
on_body(void *arg, const char *data, size_t len)
{
	struct smtp_conn *c = arg;

	if (c->target->prints_receipts || c->target->store_dir != NULL)
		smtp_receipt_add(&c->receipt, data, len);
}

static void
print_receipt(const struct smtp_conn *c, uint64_t bytes, const char *sha256)
{
	struct sockaddr_storage peer;
	int len = sizeof(peer);
	char text[ADDR_STRLEN];
	struct addr addr = {0};

	if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &len) == 0)
		addr_from_sockaddr((struct sockaddr *)&peer, &addr);
	printf("%s received message=%llu bytes=%llu sha256=%s peer=%s\n",
	    c->target->name, (unsigned long long)c->target->messages + 1,
	    (unsigned long long)bytes, sha256,
	    addr_format(&addr, text, sizeof(text)));
}

static bool
on_message_end(void *arg, uint64_t bytes, bool fits)
{
	struct smtp_conn *c = arg;
	struct smtp_target *target = c->target;
	char sha256[SHA256_DIGEST_STRING_LENGTH];
	int error = 0;

	if (!fits) {
		smtp_receipt_discard(&c->receipt);
	} else if (target->prints_receipts || target->store_dir != NULL) {
		error = smtp_receipt_finish(&c->receipt, sha256);
		if (error == 0 && target->prints_receipts)
			print_receipt(c, bytes, sha256);
		if (error != 0)
			fprintf(stderr, "%s: cannot store a message: %s\n",
			    target->name, strerror(-error));
	}
	if (!fits || error != 0) {
		target->rejected++;
		return false;
	}
	target->messages++;
	target->body_bytes += bytes;
	return true;
}

static const struct smtp_session_ops session_ops = {
    .reply = on_reply,
    .body = on_body,
    .message_end = on_message_end,
};

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(read_buffer, sizeof(read_buffer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

/* Stopping and starting are two system calls each: a session whose replies go
 * out at once does neither. */
static int
start_reading(struct smtp_conn *c)
{
	if (c->is_reading)
		return 0;
	c->is_reading = true;
	return uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void
stop_reading(struct smtp_conn *c)
{
	c->is_reading = false;
	uv_read_stop((uv_stream_t *)&c->tcp);
}

static void send_replies_after(struct smtp_conn *c, uint64_t delay_ms);

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct smtp_conn *c = stream->data;

	if (n < 0) {
		conn_close(c);
		return;
	}
	smtp_session_input(&c->session, buf->base, (size_t)n);
	if (c->is_out_of_memory)
		conn_close(c);
	else if (c->out_len > 0)
		send_replies_after(c, c->target->reply_delay_ms);
}

static void on_streamed(uv_write_t *write, int status);

/* Returns whether a SOURCE has (more) to send. The pattern lies in memory for
 * ever, so that nothing is copied. */
static bool
send_stream(struct smtp_conn *c)
{
	const char *data = smtp_session_stream(&c->session, &c->streamed);
	uv_buf_t buf;

	if (data == NULL)
		return false;
	stop_reading(c);
	buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)c->streamed);
	if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_streamed) !=
	    0)
		conn_close(c);
	return true;
}

/* A server closes after its 221 (RFC 5321, 4.1.1.10). What the client may
 * still send is read, so that no RST destroys the 221. */
static void
end_replies(struct smtp_conn *c)
{
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0 ||
	    shutdown(fd, SHUT_WR) != 0) {
		conn_close(c);
		return;
	}
	uv_timer_start(&c->timer, on_timer, QUIT_LINGER_MS, 0);
}

static void
resume_reading(struct smtp_conn *c)
{
	if (send_stream(c))
		return;
	if (c->out_size > SMTP_LINE_MAX) {
		free(c->out);
		c->out = NULL;
		c->out_size = 0;
	}
	c->out_len = 0;
	if (start_reading(c) != 0)
		conn_close(c);
	else if (smtp_session_has_quit(&c->session))
		end_replies(c);
}

static void
on_streamed(uv_write_t *write, int status)
{
	struct smtp_conn *c = write->data;

	if (c->is_closing)
		return;
	smtp_session_sent(&c->session, c->streamed);
	if (status != 0)
		conn_close(c);
	else
		resume_reading(c);
}

static void
on_written(uv_write_t *write, int status)
{
	struct smtp_conn *c = write->data;

	if (c->is_closing)
		return;
	if (status != 0)
		conn_close(c);
	else
		resume_reading(c);
}

static void
send_replies(struct smtp_conn *c)
{
	uv_stream_t *stream = (uv_stream_t *)&c->tcp;
	uv_buf_t buf = uv_buf_init(c->out, (unsigned)c->out_len);
	int n = uv_try_write(stream, &buf, 1);

	if (n < 0 && n != UV_EAGAIN) {
		conn_close(c);
		return;
	}
	if (n > 0) {
		buf.base += n;
		buf.len -= (size_t)n;
	}
	if (buf.len == 0) {
		resume_reading(c);
		return;
	}
	stop_reading(c);
	if (uv_write(&c->write, stream, &buf, 1, on_written) != 0)
		conn_close(c);
}

static void
on_timer(uv_timer_t *timer)
{
	struct smtp_conn *c = timer->data;

	if (c->out_len > 0)
		send_replies(c);
	else
		conn_close(c); /* 221 was sent and the FIN did not come */
}

static void
send_replies_after(struct smtp_conn *c, uint64_t delay_ms)
{
	if (delay_ms == 0) {
		send_replies(c);
		return;
	}
	stop_reading(c);
	uv_timer_start(&c->timer, on_timer, delay_ms, 0);
}

int
smtp_conn_accept(struct smtp_target *target, uv_stream_t *listener)
{
	struct smtp_conn *c = calloc(1, sizeof(*c));
	int error;

	if (c == NULL)
		return UV_ENOMEM;
	c->target = target;
	c->write.data = c;
	smtp_session_init(
	    &c->session, &session_ops, c, target->name, target->max_size);
	smtp_receipt_init(&c->receipt, target->store_dir);
	uv_timer_init(target->loop, &c->timer);
	uv_tcp_init(target->loop, &c->tcp);
	c->timer.data = c;
	c->tcp.data = c;
	c->open_handles = 2;
	LIST_INSERT_HEAD(&target->conns, c, entry);
	target->open_sessions++;
	target->sessions++;
	error = uv_accept(listener, (uv_stream_t *)&c->tcp);
	if (error != 0) {
		conn_close(c);
		return error;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	smtp_session_greet(&c->session);
	if (c->is_out_of_memory)
		conn_close(c);
	else
		send_replies_after(c, target->banner_delay_ms);
	return 0;
}

void
smtp_conn_close_all(struct smtp_target *target)
{
	struct smtp_conn *c, *next;

	LIST_FOREACH_SAFE (c, &target->conns, entry, next)
		conn_close(c);
}
