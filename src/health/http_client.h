/*
 * libcurl's multi interface on a libuv loop, for transfers over connections
 * that somebody else has made. Knows no HTTP.
 */
#ifndef HEALTH_HTTP_CLIENT_H
#define HEALTH_HTTP_CLIENT_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <curl/curl.h>
#include <uv.h>

#include "health/probe_socket.h"

struct http_client;

struct http_transfer {
	CURL *easy; /* NULL = not begun */
	struct probe_socket *socket;
	/* From the loop, outside curl; may remove the transfer, add others or
	 * destroy the client. result says how it ended. */
	void (*on_end)(struct http_transfer *t);
	CURLcode result;
	bool ended;
	/* http_client.c's own: */
	bool socket_taken; /* by curl: it opens it once */
	int events, watch_error;
	TAILQ_ENTRY(http_transfer) entry; /* ended only */
};

/* 0 or -ENOMEM. */
int http_client_create(uv_loop_t *loop, struct http_client **out);
/* All transfers are removed by now. The memory goes from the loop. NULL is
 * fine. */
void http_client_destroy(struct http_client *c);

/* t->easy has its options but those of sockets; t->socket is connected. 0 or
 * -ENOMEM with t->easy still the caller's. */
int http_client_add(struct http_client *c, struct http_transfer *t);
/* Frees t->easy; the socket stays the caller's. */
void http_client_remove(struct http_client *c, struct http_transfer *t);

/* Something happened on t's socket (uv_poll_cb's arguments). */
void http_client_on_event(
    struct http_client *c, struct http_transfer *t, int status, int events);
/* Goes as far as the kernel allows without waiting. Afterwards t may have
 * ended; nobody's on_end is called. */
void http_client_advance(struct http_client *c, struct http_transfer *t);

#endif
