/* ipc/channel: messages and descriptors between two processes' loops. */
#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "support/loop_support.h"
#include "tcp_peers.h"

/* One side. */
struct end {
	struct channel *channel;
	unsigned n_messages, n_fds, lost;
	enum channel_type type;
	size_t size, total;
	uint32_t next; /* the number the next message shall carry */
	bool in_order;
	int kept; /* the first descriptor, taken */
	bool take, close_it;
	bool aligned;
	char payload[CHANNEL_MESSAGE_MAX];
};

struct pair {
	uv_loop_t loop;
	struct end a, b;
	int raw; /* the other side, when the test speaks it itself; or -1 */
	int descriptors;
};

static void
on_message(void *arg, struct channel_message *m)
{
	struct end *e = arg;
	uint32_t number = 0;

	e->n_messages++;
	e->type = m->type;
	e->size = m->size;
	e->total += m->size;
	e->n_fds += (unsigned)m->n_fds;
	e->aligned = (uintptr_t)m->payload % 8 == 0;
	memcpy(e->payload, m->payload, m->size);
	memcpy(&number, m->payload,
	    m->size < sizeof(number) ? m->size : sizeof(number));
	e->in_order = e->in_order && number == e->next++;
	if (e->take && m->n_fds > 0) {
		e->kept = m->fds[0];
		m->fds[0] = -1;
	}
	if (e->close_it) {
		channel_close(e->channel);
		e->channel = NULL;
	}
}

static void
on_closed(void *arg)
{
	struct end *e = arg;

	e->lost++;
	channel_close(e->channel);
	e->channel = NULL;
}

static int
setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	uv_loop_t first;
	int fds[2];

	fault_reset();
	uv_loop_init(&first);
	uv_loop_close(&first);
	p->descriptors = count_descriptors();
	p->a.kept = p->b.kept = p->raw = -1;
	p->a.in_order = p->b.in_order = true;
	uv_loop_init(&p->loop);
	assert_i64(channel_pair(fds), 0);
	assert_i64(channel_open(&p->loop, fds[0], on_message, on_closed, &p->a,
		       &p->a.channel),
	    0);
	assert_i64(channel_open(&p->loop, fds[1], on_message, on_closed, &p->b,
		       &p->b.channel),
	    0);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct pair *p = *state;

	fault_reset();
	if (p->a.channel != NULL)
		channel_close(p->a.channel);
	if (p->b.channel != NULL)
		channel_close(p->b.channel);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	assert_i64(uv_loop_close(&p->loop), 0);
	if (p->a.kept != -1)
		close(p->a.kept);
	if (p->b.kept != -1)
		close(p->b.kept);
	if (p->raw != -1)
		close(p->raw);
	assert_i64(count_descriptors(), p->descriptors);
	free(p);
	return 0;
}

#define UNTIL(p, condition) \
	WAIT_UNTIL(condition, uv_run(&(p)->loop, UV_RUN_NOWAIT))

static void
a_message_arrives_as_it_was_sent(void **state)
{
	struct pair *p = *state;

	assert_i64(
	    channel_send(p->a.channel, CHANNEL_LOG, "hello", 5, NULL, 0), 0);
	UNTIL(p, p->b.n_messages == 1);
	assert_i64(p->b.type, CHANNEL_LOG);
	assert_u64(p->b.size, 5);
	assert_bytes(p->b.payload, "hello", 5);
	assert_true(p->b.aligned);
	assert_i64(channel_try_send(p->b.channel, CHANNEL_READY, NULL, 0), 0);
	UNTIL(p, p->a.n_messages == 1);
	assert_i64(p->a.type, CHANNEL_READY);
	assert_u64(p->a.size, 0);
}

static void
the_largest_message_passes_and_one_byte_more_does_not(void **state)
{
	struct pair *p = *state;
	const char *bytes = pattern();

	assert_i64(channel_send(p->a.channel, CHANNEL_LOG, bytes,
		       CHANNEL_MESSAGE_MAX, NULL, 0),
	    0);
	UNTIL(p, p->b.n_messages == 1);
	assert_u64(p->b.size, CHANNEL_MESSAGE_MAX);
	assert_memory_equal(p->b.payload, bytes, CHANNEL_MESSAGE_MAX);
	assert_errno(channel_send(p->a.channel, CHANNEL_LOG, bytes,
			 CHANNEL_MESSAGE_MAX + 1, NULL, 0),
	    -EMSGSIZE);
	assert_errno(channel_try_send(p->a.channel, CHANNEL_LOG, bytes,
			 CHANNEL_MESSAGE_MAX + 1),
	    -EMSGSIZE);
}

static void
descriptors_are_taken_or_closed(void **state)
{
	struct pair *p = *state;
	int fds[3], before;

	for (int i = 0; i < 3; i++)
		fds[i] = dup(0);
	before = count_descriptors();
	p->b.take = true;
	assert_i64(
	    channel_send(p->a.channel, CHANNEL_CONFIG, "x", 1, fds, 3), 0);
	UNTIL(p, p->b.n_messages == 1);
	assert_u64(p->b.n_fds, 3);
	assert_true(p->b.kept >= 0);
	assert_i64(fcntl(p->b.kept, F_GETFD), FD_CLOEXEC);
	assert_i64(count_descriptors(), before + 1);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void
the_most_descriptors_pass_and_one_more_does_not(void **state)
{
	struct pair *p = *state;
	int fds[CHANNEL_FDS_MAX + 1];

	for (size_t i = 0; i <= CHANNEL_FDS_MAX; i++)
		fds[i] = 0;
	assert_i64(channel_send(p->a.channel, CHANNEL_CONFIG, NULL, 0, fds,
		       CHANNEL_FDS_MAX),
	    0);
	UNTIL(p, p->b.n_messages == 1);
	assert_u64(p->b.n_fds, CHANNEL_FDS_MAX);
	assert_errno(channel_send(p->a.channel, CHANNEL_CONFIG, NULL, 0, fds,
			 CHANNEL_FDS_MAX + 1),
	    -EMSGSIZE);
}

/* Fills the socket while the other side does not read. */
static uint32_t
fill(struct pair *p)
{
	static char message[8192];
	uint32_t n = 0;

	for (;;) {
		memcpy(message, &n, sizeof(n));
		if (channel_try_send(p->a.channel, CHANNEL_LOG, message,
			sizeof(message)) != 0)
			return n;
		n++;
	}
}

static void
what_must_arrive_is_queued_and_keeps_order(void **state)
{
	static char message[8192];
	struct pair *p = *state;
	uint32_t n = fill(p), total = n + 50;
	int fd = dup(0);

	assert_u64_between(n, 4, 10000);
	assert_errno(
	    channel_try_send(p->a.channel, CHANNEL_LOG, "x", 1), -EAGAIN);
	for (; n < total; n++) {
		memcpy(message, &n, sizeof(n));
		assert_i64(channel_send(p->a.channel, CHANNEL_LOG, message,
			       sizeof(message), &fd, 1),
		    0);
	}
	close(fd); /* the queue has its own */
	assert_u64(channel_queued(p->a.channel), 50);
	assert_errno(
	    channel_try_send(p->a.channel, CHANNEL_LOG, "x", 1), -EAGAIN);
	UNTIL(p, p->b.n_messages == total);
	assert_true(p->b.in_order);
	assert_u64(p->b.n_fds, 50);
	assert_u64(channel_queued(p->a.channel), 0);
}

/* There is room in the socket again, and still nothing overtakes. */
static void
a_message_waits_behind_the_queue(void **state)
{
	static char packet[CHANNEL_MESSAGE_MAX];
	struct pair *p = *state;
	int fds[2];

	channel_close(p->a.channel);
	p->a.channel = NULL;
	assert_i64(channel_pair(fds), 0);
	p->raw = fds[1];
	assert_i64(channel_open(&p->loop, fds[0], on_message, on_closed, &p->a,
		       &p->a.channel),
	    0);
	fill(p);
	assert_i64(
	    channel_send(p->a.channel, CHANNEL_LOG, "first", 5, NULL, 0), 0);
	while (recv(p->raw, packet, sizeof(packet), MSG_DONTWAIT) > 0)
		;
	assert_i64(
	    channel_send(p->a.channel, CHANNEL_LOG, "second", 6, NULL, 0), 0);
	assert_errno(
	    channel_try_send(p->a.channel, CHANNEL_LOG, "third", 5), -EAGAIN);
	assert_u64(channel_queued(p->a.channel), 2);
	UNTIL(p, recv(p->raw, packet, sizeof(packet), MSG_DONTWAIT) == 13);
	assert_bytes(packet + 8, "first", 5);
	UNTIL(p, recv(p->raw, packet, sizeof(packet), MSG_DONTWAIT) == 14);
	assert_bytes(packet + 8, "second", 6);
}

static void
closing_drops_the_queue(void **state)
{
	struct pair *p = *state;
	int fd = dup(0);

	fill(p);
	assert_i64(channel_send(p->a.channel, CHANNEL_LOG, "x", 1, &fd, 1), 0);
	close(fd);
	channel_close(p->a.channel);
	p->a.channel = NULL;
	UNTIL(p, p->b.lost == 1);
	assert_u64(p->a.lost, 0);
	/* All that was in the socket came first. */
	assert_true(p->b.in_order);
}

static void
no_memory_or_descriptor_for_the_queue_is_said(void **state)
{
	struct pair *p = *state;
	int bad[2] = {0, -1};

	fill(p);
	fault_set(FAULT_MALLOC, 0, 1, ENOMEM);
	assert_errno(
	    channel_send(p->a.channel, CHANNEL_LOG, "x", 1, NULL, 0), -ENOMEM);
	assert_errno(
	    channel_send(p->a.channel, CHANNEL_LOG, "x", 1, bad, 2), -EBADF);
	assert_u64(channel_queued(p->a.channel), 0);
}

static void
a_queued_message_that_fails_loses_the_channel(void **state)
{
	struct pair *p = *state;

	fill(p);
	assert_i64(channel_send(p->a.channel, CHANNEL_LOG, "x", 1, NULL, 0), 0);
	fault_set(FAULT_SENDMSG, 0, 1, ECONNRESET);
	UNTIL(p, p->a.lost == 1);
	assert_null(p->a.channel);
}

static void
an_interrupted_send_is_repeated(void **state)
{
	struct pair *p = *state;

	fault_set(FAULT_SENDMSG, 0, 3, EINTR);
	assert_i64(channel_send(p->a.channel, CHANNEL_LOG, "x", 1, NULL, 0), 0);
	fault_set(FAULT_SENDMSG, 0, 1, ENOBUFS);
	assert_errno(
	    channel_try_send(p->a.channel, CHANNEL_LOG, "x", 1), -EAGAIN);
	UNTIL(p, p->b.n_messages == 1);
}

static void
a_channel_may_be_closed_by_its_handler(void **state)
{
	struct pair *p = *state;

	p->b.close_it = true;
	for (int i = 0; i < 3; i++)
		channel_send(p->a.channel, CHANNEL_LOG, "x", 1, NULL, 0);
	UNTIL(p, p->a.lost == 1);
	assert_u64(p->b.n_messages, 1);
	assert_u64(p->b.lost, 0);
}

/* Another process may be gone while we still hold the channel. */
static void
sending_on_a_lost_channel_is_epipe(void **state)
{
	struct pair *p = *state;

	channel_close(p->b.channel);
	p->b.channel = NULL;
	UNTIL(p, p->a.lost == 1);
	assert_null(p->a.channel);
}

/* ---- nonsense from the other side ------------------------------------- */

static void
speak_raw(struct pair *p, const void *packet, size_t size)
{
	int fds[2];

	channel_close(p->a.channel);
	channel_close(p->b.channel);
	p->b.channel = NULL;
	assert_i64(channel_pair(fds), 0);
	assert_i64(channel_open(&p->loop, fds[0], on_message, on_closed, &p->a,
		       &p->a.channel),
	    0);
	p->raw = fds[1];
	assert_i64(send(p->raw, packet, size, 0), (int64_t)size);
	UNTIL(p, p->a.lost == 1);
	assert_u64(p->a.n_messages, 0);
	assert_null(p->a.channel);
}

static void
a_short_packet_loses_the_channel(void **state)
{
	speak_raw(*state, "abc", 3);
}

static void
a_size_that_is_not_the_packets_loses_the_channel(void **state)
{
	uint32_t packet[3] = {CHANNEL_LOG, 5, 0};

	speak_raw(*state, packet, sizeof(packet));
}

static void
a_packet_longer_than_any_message_loses_the_channel(void **state)
{
	static uint32_t packet[(CHANNEL_MESSAGE_MAX + 4096) / 4];

	packet[0] = CHANNEL_LOG;
	packet[1] = sizeof(packet) - 8;
	speak_raw(*state, packet, sizeof(packet));
}

static void
an_empty_packet_is_the_end(void **state)
{
	speak_raw(*state, "", 0);
}

/* More than one turn of the loop would read, and no turn comes. */
static void
what_was_sent_before_the_end_is_read_whole(void **state)
{
	struct pair *p = *state;
	const uint32_t n = 200;

	for (uint32_t i = 0; i < n; i++)
		assert_i64(channel_send(p->a.channel, CHANNEL_FLOW_RECORDS, &i,
			       sizeof(i), NULL, 0),
		    0);
	assert_u64(channel_queued(p->a.channel), 0);
	channel_close(p->a.channel);
	p->a.channel = NULL;
	uv_poll_stop((uv_poll_t *)p->b.channel); /* its first member */
	uv_run(&p->loop, UV_RUN_NOWAIT);         /* a's end is closed now */
	assert_u64(p->b.n_messages, 0);
	channel_receive_rest(p->b.channel);
	assert_u64(p->b.n_messages, n);
	assert_true(p->b.in_order);
	assert_u64(p->b.lost, 1);
	assert_null(p->b.channel);
}

/* ---- opening ---------------------------------------------------------- */

static void
a_descriptor_that_cannot_be_watched_stays_the_callers(void **state)
{
	struct pair *p = *state;
	struct channel *c;

	assert_true(
	    channel_open(&p->loop, -1, on_message, on_closed, &p->a, &c) < 0);
	fault_set(FAULT_CALLOC, 0, 1, ENOMEM);
	assert_errno(
	    channel_open(&p->loop, 0, on_message, on_closed, &p->a, &c),
	    -ENOMEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest channel[] = {
	    TEST(a_message_arrives_as_it_was_sent),
	    TEST(the_largest_message_passes_and_one_byte_more_does_not),
	    TEST(descriptors_are_taken_or_closed),
	    TEST(the_most_descriptors_pass_and_one_more_does_not),
	    TEST(what_must_arrive_is_queued_and_keeps_order),
	    TEST(a_message_waits_behind_the_queue),
	    TEST(closing_drops_the_queue),
	    TEST(no_memory_or_descriptor_for_the_queue_is_said),
	    TEST(a_queued_message_that_fails_loses_the_channel),
	    TEST(what_was_sent_before_the_end_is_read_whole),
	    TEST(an_interrupted_send_is_repeated),
	    TEST(a_channel_may_be_closed_by_its_handler),
	    TEST(sending_on_a_lost_channel_is_epipe),
	    TEST(a_short_packet_loses_the_channel),
	    TEST(a_size_that_is_not_the_packets_loses_the_channel),
	    TEST(a_packet_longer_than_any_message_loses_the_channel),
	    TEST(an_empty_packet_is_the_end),
	    TEST(a_descriptor_that_cannot_be_watched_stays_the_callers),
	};

	return cmocka_run_group_tests(channel, NULL, NULL);
}
