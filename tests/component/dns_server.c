/* A DNS server on loopback; see dns_server.h. */
#include "dns_server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/loop_support.h"

#define TYPE_A 1
#define TYPE_CNAME 5
#define TYPE_AAAA 28
#define HEADER 12
#define QUERY_MAX 512

/* One message under construction, or one question taken apart. */
struct message {
	uint8_t bytes[65536];
	size_t n;
};

struct question {
	const uint8_t *query;
	size_t size; /* header and question */
	uint16_t type;
	char label[64]; /* the first one */
	bool tcp;
};

static void
put(struct message *m, const void *bytes, size_t n)
{
	memcpy(m->bytes + m->n, bytes, n);
	m->n += n;
}

static void
put16(struct message *m, unsigned value)
{
	const uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value};

	put(m, bytes, sizeof(bytes));
}

static void
set16(struct message *m, size_t at, unsigned value)
{
	m->bytes[at] = (uint8_t)(value >> 8);
	m->bytes[at + 1] = (uint8_t)value;
}

static void
count_record(struct message *m)
{
	set16(m, 6, (unsigned)(m->bytes[6] << 8 | m->bytes[7]) + 1);
}

/* owner: where in the message the record's name stands. */
static void
put_record(struct message *m, size_t owner, uint16_t type, uint32_t ttl_s,
    const void *data, size_t size)
{
	put16(m, 0xc000 | (unsigned)owner);
	put16(m, type);
	put16(m, 1);
	put16(m, ttl_s >> 16);
	put16(m, ttl_s & 0xffff);
	put16(m, (unsigned)size);
	put(m, data, size);
	count_record(m);
}

static void
put_addresses(const struct dns_server *s, const struct question *q,
    struct message *m, size_t owner)
{
	for (size_t i = 0; i < s->n_addresses; i++) {
		const struct addr *a = &s->addresses[i];

		if (a->family == ADDR_IPV4 && q->type == TYPE_A)
			put_record(m, owner, TYPE_A, s->ttl_s, a->ip, 4);
		if (a->family == ADDR_IPV6 && q->type == TYPE_AAAA)
			put_record(m, owner, TYPE_AAAA, s->ttl_s, a->ip, 16);
	}
}

static void
put_huge(const struct dns_server *s, struct message *m)
{
	for (unsigned i = 0; i < DNS_SERVER_HUGE; i++) {
		const uint8_t ip[] = {11, 0, (uint8_t)(i >> 8), (uint8_t)i};

		put_record(m, HEADER, TYPE_A, s->ttl_s, ip, sizeof(ip));
	}
}

/* "x.example" stands behind the question from then on. */
static void
put_alias(const struct dns_server *s, const struct question *q,
    struct message *m, bool loop)
{
	static const uint8_t alias[] = "\x01x\x07"
				       "example";
	const uint8_t back[] = {0xc0, HEADER};
	size_t at = m->n + HEADER; /* of the data of the first record */

	put_record(m, HEADER, TYPE_CNAME, 7, alias, sizeof(alias));
	if (loop)
		put_record(m, at, TYPE_CNAME, 7, back, sizeof(back));
	else
		put_addresses(s, q, m, at);
}

static bool
is(const struct dns_server *s, const struct question *q, const char *behaviour)
{
	return strcmp(s->behave_as != NULL ? s->behave_as : q->label,
		   behaviour) == 0;
}

/* What is wrong with the message as such. */
static void
spoil(const struct dns_server *s, const struct question *q, struct message *m)
{
	static const uint8_t self[] = {0xc0, 0};

	if (is(s, q, "wrong-id"))
		m->bytes[0] ^= 0x55;
	else if (is(s, q, "other"))
		m->bytes[HEADER + 1] ^= 0x01;
	else if (is(s, q, "cut"))
		m->n -= 2;
	else if (is(s, q, "lie"))
		set16(m, 6, 1000);
	else if (is(s, q, "garbage"))
		memset(m->bytes + 2, 0xff, m->n - 2);
	else if (is(s, q, "loop")) {
		m->n = q->size;
		put(m, self, sizeof(self));
		set16(m, q->size, 0xc000 | (unsigned)q->size);
	} else if (is(s, q, "short")) {
		m->n = q->size;
		set16(m, 6, 0);
		put_record(m, HEADER, TYPE_A, s->ttl_s, "\x0a\x00\x00", 3);
	}
}

static unsigned
response_code(const struct dns_server *s, const struct question *q)
{
	return is(s, q, "nxdomain")   ? 3
	       : is(s, q, "servfail") ? 2
	       : is(s, q, "refused")  ? 5
				      : 0;
}

static void
build(const struct dns_server *s, const struct question *q, struct message *m)
{
	bool truncated = !q->tcp && (is(s, q, "tc") || is(s, q, "tc-cut") ||
					is(s, q, "huge"));

	m->n = 0;
	put(m, q->query, q->size);
	set16(m, 2, 0x8180 | response_code(s, q) | (truncated ? 0x0200 : 0));
	set16(m, 6, 0);
	set16(m, 8, 0);
	set16(m, 10, 0);
	if (truncated || response_code(s, q) != 0 || is(s, q, "empty"))
		return;
	if (is(s, q, "huge"))
		put_huge(s, m);
	else if (is(s, q, "alias") || is(s, q, "alias-loop"))
		put_alias(s, q, m, is(s, q, "alias-loop"));
	else
		put_addresses(s, q, m, HEADER);
	spoil(s, q, m);
}

/* False: no question that a resolver would ask. */
static bool
take_apart(const uint8_t *query, size_t n, struct question *q)
{
	size_t at = HEADER;

	if (n < HEADER + 5 || query[at] > 63 || at + 1 + query[at] >= n)
		return false;
	memset(q->label, 0, sizeof(q->label));
	memcpy(q->label, query + at + 1, query[at]);
	while (at < n && query[at] != 0)
		at += 1 + (size_t)query[at];
	if (at + 5 > n)
		return false;
	q->query = query;
	q->type = (uint16_t)(query[at + 1] << 8 | query[at + 2]);
	q->size = at + 5;
	return true;
}

static void
on_udp(uv_poll_t *poll, int status, int events)
{
	static struct message m;
	struct dns_server *s = poll->data;
	uint8_t query[QUERY_MAX];
	struct question q = {0};
	struct sockaddr_storage from;
	socklen_t from_size = sizeof(from);
	ssize_t n = recvfrom(s->udp_fd, query, sizeof(query), MSG_DONTWAIT,
	    (struct sockaddr *)&from, &from_size);

	(void)status;
	(void)events;
	if (n <= 0 || !take_apart(query, (size_t)n, &q))
		return;
	s->n_questions++;
	if (is(s, &q, "silent"))
		return;
	build(s, &q, &m);
	(void)sendto(
	    s->udp_fd, m.bytes, m.n, 0, (struct sockaddr *)&from, from_size);
}

/* One TCP connection, for one question. */
struct connection {
	uv_poll_t poll;
	struct dns_server *server;
	int fd;
};

static void
on_connection_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* It is on loopback: the question comes as one piece. */
static void
on_question(uv_poll_t *poll, int status, int events)
{
	static struct message m;
	struct connection *c = poll->data;
	struct dns_server *s = c->server;
	uint8_t query[QUERY_MAX], size[2];
	struct question q = {.tcp = true};
	ssize_t n = recv(c->fd, query, sizeof(query), MSG_DONTWAIT);

	(void)status;
	(void)events;
	if (n > 2 && take_apart(query + 2, (size_t)n - 2, &q)) {
		s->n_tcp++;
		build(s, &q, &m);
		size[0] = (uint8_t)(m.n >> 8);
		size[1] = (uint8_t)m.n;
		(void)send(c->fd, size, 2, MSG_NOSIGNAL);
		(void)send(c->fd, m.bytes, is(s, &q, "tc-cut") ? m.n / 2 : m.n,
		    MSG_NOSIGNAL);
	}
	uv_close((uv_handle_t *)poll, on_connection_closed);
	close(c->fd);
}

static void
on_tcp(uv_poll_t *poll, int status, int events)
{
	struct dns_server *s = poll->data;
	struct connection *c = calloc(1, sizeof(*c));

	(void)status;
	(void)events;
	assert_non_null(c);
	c->server = s;
	c->fd = accept(s->tcp_fd, NULL, NULL);
	assert_true(c->fd != -1);
	assert_i64(uv_poll_init(s->loop, &c->poll, c->fd), 0);
	c->poll.data = c;
	uv_poll_start(&c->poll, UV_READABLE, on_question);
}

static int
bound_socket(const struct addr *a, int type)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(a, &sa);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd != -1);
	assert_i64(bind(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

void
dns_server_open(struct dns_server *s, uv_loop_t *loop, uint16_t port)
{
	memset(s, 0, sizeof(*s));
	s->loop = loop;
	s->ttl_s = 60;
	if (port == 0) {
		s->tcp_fd = listen_on("127.0.0.1", 16, &s->addr);
		assert_true(s->tcp_fd != -1);
	} else {
		assert_errno(addr_parse_ip("127.0.0.1", &s->addr), 0);
		s->addr.port = port;
		s->tcp_fd = bound_socket(&s->addr, SOCK_STREAM);
		assert_i64(listen(s->tcp_fd, 16), 0);
	}
	s->udp_fd = bound_socket(&s->addr, SOCK_DGRAM);
	assert_i64(uv_poll_init(loop, &s->udp, s->udp_fd), 0);
	assert_i64(uv_poll_init(loop, &s->tcp, s->tcp_fd), 0);
	s->udp.data = s->tcp.data = s;
	uv_poll_start(&s->udp, UV_READABLE, on_udp);
	uv_poll_start(&s->tcp, UV_READABLE, on_tcp);
}

void
dns_server_close(struct dns_server *s)
{
	uv_close((uv_handle_t *)&s->udp, NULL);
	uv_close((uv_handle_t *)&s->tcp, NULL);
	uv_run(s->loop, UV_RUN_NOWAIT);
	close(s->udp_fd);
	close(s->tcp_fd);
}

void
dns_server_set(struct dns_server *s, const char *const *addresses)
{
	for (s->n_addresses = 0; addresses[s->n_addresses] != NULL;
	     s->n_addresses++)
		assert_errno(addr_parse_ip(addresses[s->n_addresses],
				 &s->addresses[s->n_addresses]),
		    0);
}
