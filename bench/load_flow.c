/*
 * Connection of the load client: see load_flow.h.
 */
#include "load_flow.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "load_thread.h"

/* A step of the pattern is sent in so many pieces at once. */
#define PIECES_MAX 8
/* A peer that takes all at once must not keep the others waiting. */
#define WRITES_IN_A_ROW 4

static void advance(struct load_flow *flow);

static void
on_closed(uv_handle_t *handle)
{
	struct load_flow *flow = handle->data;

	flow->state = LOAD_FLOW_CLOSED;
	load_thread_on_closed(flow->thread, flow);
}

void
load_flow_close(struct load_flow *flow)
{
	if (flow->state == LOAD_FLOW_CLOSED || flow->state == LOAD_FLOW_CLOSING)
		return;
	flow->state = LOAD_FLOW_CLOSING;
	uv_close((uv_handle_t *)&flow->tcp, on_closed);
}

void
load_flow_await_fin(struct load_flow *flow)
{
	flow->state = LOAD_FLOW_AWAITING_FIN;
}

void
load_flow_fail(
    struct load_flow *flow, enum load_failure failure, const char *text)
{
	load_thread_on_failed(flow->thread, flow, failure, text);
	load_flow_close(flow);
}

static void
fail_by_error(struct load_flow *flow, const char *doing, int error)
{
	const struct talk *talk = &flow->talk;
	char text[TALK_FAULT_MAX];

	snprintf(text, sizeof(text), "%s %llu, step %u, %s: %s",
	    talk->dialog->name, (unsigned long long)talk->id, talk->step + 1,
	    doing, uv_strerror(error));
	load_flow_fail(flow, load_failure_of(error), text);
}

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct load_flow *flow = handle->data;

	(void)suggested;
	*buf = uv_buf_init(flow->thread->buffer, LOAD_BUFFER_SIZE);
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct load_flow *flow = stream->data;
	bool was_greeted;

	if (n == 0 || flow->state == LOAD_FLOW_CLOSING)
		return;
	if (n == UV_EOF && flow->state == LOAD_FLOW_AWAITING_FIN) {
		load_flow_close(flow);
		return;
	}
	if (n < 0) {
		fail_by_error(flow, "reading", (int)n);
		return;
	}
	load_thread_on_moved(flow->thread, flow, 0, (size_t)n);
	was_greeted = flow->talk.step > 0;
	if (!talk_input(&flow->talk, buf->base, (size_t)n)) {
		load_flow_fail(flow, LOAD_WRONG_BYTES, flow->talk.fault);
		return;
	}
	if (!was_greeted && flow->talk.step > 0)
		load_thread_on_greeted(flow->thread, flow);
	advance(flow);
}

static void
on_written(uv_write_t *write, int status)
{
	struct load_flow *flow = write->data;

	flow->is_writing = false;
	if (flow->state == LOAD_FLOW_CLOSING)
		return;
	if (status != 0) {
		fail_by_error(flow, "writing", status);
		return;
	}
	load_thread_on_moved(flow->thread, flow, flow->writing, 0);
	talk_sent(&flow->talk, flow->writing);
	advance(flow);
}

/* What goes out next, in as many pieces as fit. */
static unsigned
collect(const struct talk *talk, uv_buf_t *bufs)
{
	unsigned count = 0;
	uint64_t ahead = 0;
	const char *data;
	size_t len;

	while (count < PIECES_MAX &&
	       (data = talk_output(talk, ahead, &len)) != NULL) {
		bufs[count++] =
		    uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
		ahead += len;
	}
	return count;
}

static void
write_later(struct load_flow *flow, uv_buf_t *bufs, unsigned count)
{
	int error;

	flow->writing = 0;
	for (unsigned i = 0; i < count; i++)
		flow->writing += bufs[i].len;
	flow->is_writing = true;
	flow->write.data = flow;
	error = uv_write(
	    &flow->write, (uv_stream_t *)&flow->tcp, bufs, count, on_written);
	if (error != 0) {
		flow->is_writing = false;
		fail_by_error(flow, "writing", error);
	}
}

static void
send_now(struct load_flow *flow)
{
	uv_buf_t bufs[PIECES_MAX];

	for (int i = 0; !flow->is_writing; i++) {
		unsigned count = collect(&flow->talk, bufs);
		int n;

		if (count == 0)
			return;
		n = i < WRITES_IN_A_ROW
			? uv_try_write((uv_stream_t *)&flow->tcp, bufs, count)
			: UV_EAGAIN;
		if (n > 0) {
			load_thread_on_moved(flow->thread, flow, (size_t)n, 0);
			talk_sent(&flow->talk, (size_t)n);
		} else if (n == 0 || n == UV_EAGAIN) {
			write_later(flow, bufs, count);
			return;
		} else {
			fail_by_error(flow, "writing", n);
			return;
		}
	}
}

/* After anything that may have brought the talk further. */
static void
advance(struct load_flow *flow)
{
	send_now(flow);
	if (flow->state != LOAD_FLOW_TALKING || flow->is_writing ||
	    !talk_is_waiting(&flow->talk))
		return;
	flow->state = LOAD_FLOW_WAITING;
	load_thread_on_waiting(flow->thread, flow);
}

static void
on_connected(uv_connect_t *connect, int status)
{
	struct load_flow *flow = connect->data;

	if (flow->state == LOAD_FLOW_CLOSING)
		return;
	if (status == 0)
		status =
		    uv_read_start((uv_stream_t *)&flow->tcp, on_alloc, on_read);
	if (status != 0) {
		fail_by_error(flow, "connecting", status);
		return;
	}
	flow->state = LOAD_FLOW_TALKING;
	load_thread_on_connected(flow->thread, flow);
	advance(flow);
}

/* Without IP_BIND_ADDRESS_NO_PORT a port would be taken for all
 * destinations. */
static int
bind_source(struct load_flow *flow, const struct sockaddr *source)
{
	uv_os_fd_t fd;
	int one = 1;
	int error = uv_fileno((uv_handle_t *)&flow->tcp, &fd);

	if (error == 0 && setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT,
			      &one, sizeof(one)) != 0)
		error = uv_translate_sys_error(errno);
	return error != 0 ? error : uv_tcp_bind(&flow->tcp, source, 0);
}

void
load_flow_open(
    struct load_flow *flow, unsigned kind, uint64_t id, uint64_t due_ns)
{
	struct load_thread *thread = flow->thread;
	const struct load_plan *plan = thread->plan;
	const struct sockaddr *to = (const struct sockaddr *)&plan->to;
	int error;

	talk_start(&flow->talk, &plan->kinds[kind], id);
	flow->kind = kind;
	flow->is_writing = false;
	flow->due_ns = due_ns;
	flow->connect_ns = flow->moved_ns = uv_hrtime();
	error = uv_tcp_init_ex(&thread->loop, &flow->tcp, to->sa_family);
	if (error != 0) {
		/* No handle, nothing to close. */
		load_thread_on_failed(
		    thread, flow, load_failure_of(error), uv_strerror(error));
		load_thread_on_closed(thread, flow);
		return;
	}
	flow->tcp.data = flow;
	flow->connect.data = flow;
	flow->state = LOAD_FLOW_CONNECTING;
	if (plan->source_count > 0) {
		unsigned source = flow->source++ % plan->source_count;

		error = bind_source(
		    flow, (const struct sockaddr *)&plan->sources[source]);
	}
	if (error == 0)
		error = uv_tcp_connect(
		    &flow->connect, &flow->tcp, to, on_connected);
	if (error != 0)
		fail_by_error(flow, "connecting", error);
}

void
load_flow_go_on(struct load_flow *flow, uint64_t due_ns)
{
	flow->state = LOAD_FLOW_TALKING;
	flow->due_ns = due_ns;
	flow->moved_ns = uv_hrtime();
	talk_go_on(&flow->talk);
	advance(flow);
}
