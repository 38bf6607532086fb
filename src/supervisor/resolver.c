/*
 * c-ares on a libuv loop; see resolver.h. Each question has a channel of its
 * own: it sees what /etc/resolv.conf says by then and asks from a port of its
 * own, and a server that fails for one name costs another name no try.
 */
#include "supervisor/resolver.h"

#include <bsd/sys/queue.h>

#include <ares.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "nlb/conf.h"

/* Per server and try; c-ares doubles it for the second try. */
#define TIMEOUT_MS 2000
#define TRIES 2
/* A UDP answer holds 29 A records at least; over TCP there may be thousands. */
#define ANSWERS_MAX 1024

/* One socket of c-ares on the loop. */
struct watch {
	TAILQ_ENTRY(watch) entry;
	uv_poll_t poll;
	struct question *question;
	ares_socket_t fd;
};

struct question {
	TAILQ_ENTRY(question) entry;
	struct resolver *resolver;
	ares_channel channel;
	TAILQ_HEAD(, watch) watches;
	resolver_cb cb; /* NULL: it was called, the question is at its end */
	void *arg;
};

struct resolver {
	uv_loop_t *loop;
	uv_timer_t timer; /* for the timeouts of all questions */
	TAILQ_HEAD(, question) questions;
	struct addr servers[CONF_RESOLVERS_MAX];
	size_t n_servers;
};

static void on_timer(uv_timer_t *timer);

/* ---- the loop --------------------------------------------------------- */

static void
on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* Until the first of the questions wants to look at its timeouts. */
static void
set_timer(struct resolver *r)
{
	uint64_t next_ms = UINT64_MAX;
	struct question *q;

	TAILQ_FOREACH (q, &r->questions, entry) {
		struct timeval tv, *next = ares_timeout(q->channel, NULL, &tv);
		uint64_t ms;

		if (next == NULL)
			continue;
		ms = (uint64_t)next->tv_sec * 1000 +
		     (uint64_t)next->tv_usec / 1000 + 1;
		next_ms = ms < next_ms ? ms : next_ms;
	}
	if (next_ms == UINT64_MAX)
		uv_timer_stop(&r->timer);
	else
		uv_timer_start(&r->timer, on_timer, next_ms, 0);
}

/* Never from inside of c-ares. What had no answer is answered now. */
static void
question_destroy(struct question *q)
{
	TAILQ_REMOVE(&q->resolver->questions, q, entry);
	if (q->channel != NULL) /* closes all watches */
		ares_destroy(q->channel);
	free(q);
}

static void
process(struct question *q, ares_socket_t readable, ares_socket_t writable)
{
	ares_process_fd(q->channel, readable, writable);
	if (q->cb == NULL)
		question_destroy(q);
}

static void
on_timer(uv_timer_t *timer)
{
	struct resolver *r = timer->data;
	struct question *q, *next;

	TAILQ_FOREACH_SAFE (q, &r->questions, entry, next)
		process(q, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(r);
}

static void
on_ready(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	struct resolver *r = w->question->resolver;

	/* An error is for c-ares to find. */
	if (status < 0)
		events = UV_READABLE | UV_WRITABLE;
	process(w->question,
	    (events & UV_READABLE) != 0 ? w->fd : ARES_SOCKET_BAD,
	    (events & UV_WRITABLE) != 0 ? w->fd : ARES_SOCKET_BAD);
	set_timer(r);
}

static struct watch *
watch_open(struct question *q, ares_socket_t fd)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->question = q;
	w->fd = fd;
	w->poll.data = w;
	if (uv_poll_init(q->resolver->loop, &w->poll, fd) < 0) {
		free(w);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&q->watches, w, entry);
	return w;
}

static void
watch_close(struct watch *w)
{
	TAILQ_REMOVE(&w->question->watches, w, entry);
	uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

/* c-ares wants to hear of fd, or (with neither) no longer. A socket that cannot
 * be watched costs its question the timeout. */
static void
on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct question *q = arg;
	struct watch *w;

	TAILQ_FOREACH (w, &q->watches, entry)
		if (w->fd == fd)
			break;
	if (!readable && !writable) {
		if (w != NULL)
			watch_close(w);
		return;
	}
	if (w == NULL)
		w = watch_open(q, fd);
	if (w != NULL)
		(void)uv_poll_start(&w->poll,
		    (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
		    on_ready);
}

/* ---- answers ---------------------------------------------------------- */

/* At the first call: cb may be long gone by the next one. */
static void
question_end(struct question *q, struct resolver_answer *answer)
{
	resolver_cb cb = q->cb;

	q->cb = NULL;
	if (cb != NULL)
		cb(q->arg, answer);
}

static void
question_fail(struct question *q, int status)
{
	struct resolver_answer answer = {
	    .error = ares_strerror(status),
	    .cancelled = status == ARES_EDESTRUCTION,
	};

	question_end(q, &answer);
}

static void
take_ttl(uint32_t *least, int ttl)
{
	if (ttl >= 0 && (uint32_t)ttl < *least)
		*least = (uint32_t)ttl;
}

static void
read_answer(const struct ares_addrinfo *info, struct resolver_answer *answer)
{
	const struct ares_addrinfo_node *node;
	const struct ares_addrinfo_cname *alias;

	answer->ttl_s = UINT32_MAX;
	for (alias = info->cnames; alias != NULL; alias = alias->next)
		take_ttl(&answer->ttl_s, alias->ttl);
	for (node = info->nodes; node != NULL; node = node->ai_next) {
		if (answer->n == ANSWERS_MAX)
			break;
		addr_from_sockaddr(node->ai_addr, &answer->list[answer->n]);
		answer->list[answer->n++].port = 0;
		take_ttl(&answer->ttl_s, node->ai_ttl);
	}
}

static void
on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct question *q = arg;
	struct resolver_answer answer = {0};

	(void)timeouts;
	if (status != ARES_SUCCESS || info == NULL || info->nodes == NULL) {
		question_fail(
		    q, status == ARES_SUCCESS ? ARES_ENODATA : status);
	} else {
		answer.list = calloc(ANSWERS_MAX, sizeof(answer.list[0]));
		if (answer.list == NULL) {
			question_fail(q, ARES_ENOMEM);
		} else {
			read_answer(info, &answer);
			question_end(q, &answer);
		}
		free(answer.list);
	}
	ares_freeaddrinfo(info);
}

/* ---- questions -------------------------------------------------------- */

static int
set_servers(struct question *q)
{
	const struct resolver *r = q->resolver;
	struct ares_addr_port_node nodes[CONF_RESOLVERS_MAX] = {0};

	for (size_t i = 0; i < r->n_servers; i++) {
		const struct addr *a = &r->servers[i];

		nodes[i].next = i + 1 < r->n_servers ? &nodes[i + 1] : NULL;
		nodes[i].family = a->family == ADDR_IPV6 ? AF_INET6 : AF_INET;
		memcpy(&nodes[i].addr, a->ip, a->family == ADDR_IPV6 ? 16 : 4);
		nodes[i].udp_port = nodes[i].tcp_port = a->port;
	}
	return ares_set_servers_ports(q->channel, nodes);
}

/* Returns an ARES_ status. */
static int
open_channel(struct question *q)
{
	char dns_only[] = "b", hosts_too[] = "fb";
	bool given = q->resolver->n_servers > 0;
	struct ares_options options = {
	    .timeout = TIMEOUT_MS,
	    .tries = TRIES,
	    .lookups = given ? dns_only : hosts_too,
	    .sock_state_cb = on_socket_state,
	    .sock_state_cb_data = q,
	};
	/* ARES_OPT_DOMAINS with none: no search list. */
	int status = ares_init_options(&q->channel, &options,
	    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
		ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS) {
		q->channel = NULL;
		return status;
	}
	return given ? set_servers(q) : ARES_SUCCESS;
}

void
resolver_ask(struct resolver *r, const char *host, uint8_t family,
    resolver_cb cb, void *arg)
{
	const struct ares_addrinfo_hints hints = {
	    .ai_family = family == ADDR_IPV6 ? AF_INET6 : AF_INET,
	    .ai_socktype = SOCK_STREAM,
	    .ai_flags = ARES_AI_NOSORT,
	};
	struct question *q = calloc(1, sizeof(*q));
	int status;

	if (q == NULL) {
		struct resolver_answer answer = {
		    .error = ares_strerror(ARES_ENOMEM)};

		cb(arg, &answer);
		return;
	}
	q->resolver = r;
	q->cb = cb;
	q->arg = arg;
	TAILQ_INIT(&q->watches);
	TAILQ_INSERT_TAIL(&r->questions, q, entry);
	status = open_channel(q);
	if (status == ARES_SUCCESS)
		ares_getaddrinfo(q->channel, host, NULL, &hints, on_answer, q);
	else
		question_fail(q, status);
	if (q->cb == NULL)
		question_destroy(q);
	set_timer(r);
}

bool
resolver_set_servers(struct resolver *r, const struct addr *servers, size_t n)
{
	struct question *q;

	if (n > CONF_RESOLVERS_MAX)
		n = CONF_RESOLVERS_MAX;
	if (n == r->n_servers && (n == 0 || memcmp(r->servers, servers,
						n * sizeof(servers[0])) == 0))
		return false;
	r->n_servers = n;
	if (n > 0)
		memcpy(r->servers, servers, n * sizeof(servers[0]));
	while ((q = TAILQ_FIRST(&r->questions)) != NULL)
		question_destroy(q);
	set_timer(r);
	return true;
}

/* ---- life ------------------------------------------------------------- */

int
resolver_create(uv_loop_t *loop, struct resolver **out)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (r == NULL || ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(r);
		return -ENOMEM;
	}
	r->loop = loop;
	TAILQ_INIT(&r->questions);
	uv_timer_init(loop, &r->timer);
	r->timer.data = r;
	*out = r;
	return 0;
}

static void
on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
resolver_destroy(struct resolver *r)
{
	struct question *q;

	if (r == NULL)
		return;
	while ((q = TAILQ_FIRST(&r->questions)) != NULL) {
		q->cb = NULL;
		question_destroy(q);
	}
	ares_library_cleanup();
	uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}
