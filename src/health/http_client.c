/* libcurl on the loop; see http_client.h. */
#include "health/http_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

/* Steps of one advance: a flood does not hold the loop. */
#define STEPS_MAX 16

struct http_client {
	CURLM *multi;       /* NULL = destroyed */
	uv_timer_t timeout; /* curl's; set by nobody else */
	uv_timer_t deliver; /* ended transfers wait to be told */
	int open_handles;
	TAILQ_HEAD(, http_transfer) ended;
};

/* ---- what curl asks for ----------------------------------------------- */

static struct http_transfer *
transfer_of(CURL *easy)
{
	char *transfer = NULL;

	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
	return (struct http_transfer *)(void *)transfer;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http_transfer *t = transfer_of(easy);

	(void)arg;
	(void)socket_arg;
	if (t == NULL || fd != t->socket->fd)
		return 0;
	t->events = 0;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		t->events |= UV_READABLE;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		t->events |= UV_WRITABLE;
	t->watch_error = probe_socket_watch(t->socket, t->events);
	return 0;
}

static void on_timeout(uv_timer_t *timer);

static int
on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_client *c = arg;

	(void)multi;
	if (uv_is_closing((uv_handle_t *)&c->timeout))
		return 0;
	if (timeout_ms < 0)
		uv_timer_stop(&c->timeout);
	else
		uv_timer_start(
		    &c->timeout, on_timeout, (uint64_t)timeout_ms, 0);
	return 0;
}

static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_transfer *t = arg;

	(void)purpose;
	(void)address;
	if (t->socket_taken)
		return CURL_SOCKET_BAD;
	t->socket_taken = true;
	return t->socket->fd;
}

static int
on_options(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	(void)arg;
	(void)fd;
	(void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static int
on_close(void *arg, curl_socket_t fd)
{
	(void)arg;
	(void)fd;
	return 0; /* probe_socket closes it */
}

/* ---- progress --------------------------------------------------------- */

/* Marks what has ended. Nobody is told yet: curl may be asked for more. */
static void
collect(struct http_client *c)
{
	struct CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(c->multi, &left)) != NULL) {
		struct http_transfer *t;

		if (message->msg != CURLMSG_DONE)
			continue;
		t = transfer_of(message->easy_handle);
		if (t == NULL || t->ended)
			continue;
		t->ended = true;
		t->result = message->data.result;
		TAILQ_INSERT_TAIL(&c->ended, t, entry);
	}
}

static void
deliver(struct http_client *c)
{
	struct http_transfer *t;

	while (c->multi != NULL && (t = TAILQ_FIRST(&c->ended)) != NULL) {
		TAILQ_REMOVE(&c->ended, t, entry);
		t->ended = false; /* out of the list; on_end removes it */
		t->on_end(t);
	}
}

static void
on_deliver(uv_timer_t *timer)
{
	deliver(timer->data);
}

static void
on_timeout(uv_timer_t *timer)
{
	struct http_client *c = timer->data;
	int running;

	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(c);
	deliver(c);
}

void
http_client_on_event(
    struct http_client *c, struct http_transfer *t, int status, int events)
{
	int mask = 0, running;

	if ((events & UV_READABLE) != 0)
		mask |= CURL_CSELECT_IN;
	if ((events & UV_WRITABLE) != 0)
		mask |= CURL_CSELECT_OUT;
	if (status != 0) {
		/* libuv watches no more after an error, and curl may want to
		 * read what came before it first. */
		mask = CURL_CSELECT_IN | CURL_CSELECT_ERR;
		t->watch_error = probe_socket_watch(t->socket, t->events);
	}
	curl_multi_socket_action(c->multi, t->socket->fd, mask, &running);
	collect(c);
	deliver(c);
}

void
http_client_advance(struct http_client *c, struct http_transfer *t)
{
	int running;

	for (int i = 0; i < STEPS_MAX && !t->ended; i++) {
		struct pollfd now = {
		    .fd = t->socket->fd, .events = POLLIN | POLLOUT};
		int mask = CURL_CSELECT_OUT;

		if (poll(&now, 1, 0) != 1)
			break;
		if ((now.revents & POLLIN) != 0)
			mask |= CURL_CSELECT_IN;
		if ((now.revents & (POLLERR | POLLHUP)) != 0)
			mask |= CURL_CSELECT_ERR | CURL_CSELECT_IN;
		curl_multi_socket_action(
		    c->multi, t->socket->fd, mask, &running);
		collect(c);
	}
	if (!TAILQ_EMPTY(&c->ended))
		uv_timer_start(&c->deliver, on_deliver, 0, 0);
}

/* ---- life ------------------------------------------------------------- */

#define SET(easy, option, value)                                             \
	do {                                                                 \
		if (curl_easy_setopt((easy), (option), (value)) != CURLE_OK) \
			return -ENOMEM;                                      \
	} while (0)

int
http_client_add(struct http_client *c, struct http_transfer *t)
{
	SET(t->easy, CURLOPT_PRIVATE, t);
	SET(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(t->easy, CURLOPT_OPENSOCKETDATA, t);
	SET(t->easy, CURLOPT_SOCKOPTFUNCTION, on_options);
	SET(t->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	SET(t->easy, CURLOPT_FRESH_CONNECT, 1L);
	SET(t->easy, CURLOPT_FORBID_REUSE, 1L);
	return curl_multi_add_handle(c->multi, t->easy) == CURLM_OK ? 0
								    : -ENOMEM;
}

void
http_client_remove(struct http_client *c, struct http_transfer *t)
{
	if (t->ended)
		TAILQ_REMOVE(&c->ended, t, entry);
	t->ended = false;
	curl_multi_remove_handle(c->multi, t->easy);
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
}

int
http_client_create(uv_loop_t *loop, struct http_client **out)
{
	struct http_client *c;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	c = calloc(1, sizeof(*c));
	if (c != NULL)
		c->multi = curl_multi_init();
	if (c == NULL || c->multi == NULL) {
		free(c);
		curl_global_cleanup();
		return -ENOMEM;
	}
	TAILQ_INIT(&c->ended);
	uv_timer_init(loop, &c->timeout);
	uv_timer_init(loop, &c->deliver);
	c->timeout.data = c->deliver.data = c;
	c->open_handles = 2;
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	*out = c;
	return 0;
}

static void
on_handle_closed(uv_handle_t *handle)
{
	struct http_client *c = handle->data;

	if (--c->open_handles == 0)
		free(c);
}

void
http_client_destroy(struct http_client *c)
{
	CURLM *multi;

	if (c == NULL)
		return;
	multi = c->multi;
	c->multi = NULL;
	uv_close((uv_handle_t *)&c->timeout, on_handle_closed);
	uv_close((uv_handle_t *)&c->deliver, on_handle_closed);
	curl_multi_cleanup(multi);
	curl_global_cleanup();
}
