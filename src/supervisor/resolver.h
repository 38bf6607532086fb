/*
 * Asks DNS servers for the addresses of a name, on the loop and without
 * threads (c-ares). Knows nothing of targets.
 */
#ifndef SUPERVISOR_RESOLVER_H
#define SUPERVISOR_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/addr.h"

struct resolver_answer {
	const char *error; /* NULL: there are addresses */
	bool cancelled;    /* the servers changed meanwhile: ask again */
	struct addr *list; /* without port, as received; may be changed */
	size_t n;
	uint32_t ttl_s; /* the least of all records; 0 from /etc/hosts */
};

/* The answer lives during the call. It comes from inside of resolver_ask when
 * the answer is at hand. */
typedef void (*resolver_cb)(void *arg, struct resolver_answer *answer);

struct resolver;

/* 0 or -ENOMEM. */
int resolver_create(uv_loop_t *loop, struct resolver **out);
/* No callback comes any more; what is under way is dropped. Memory goes from
 * the loop. NULL is fine. */
void resolver_destroy(struct resolver *r);

/* Whom to ask from the next question on; what is under way is cancelled, now.
 * n == 0: /etc/hosts and the servers of /etc/resolv.conf, read again for each
 * question. Returns whether that is a change. */
bool resolver_set_servers(
    struct resolver *r, const struct addr *servers, size_t n);
/* Calls cb exactly once, in some 20 s at the latest. family is ADDR_IPV4 or
 * ADDR_IPV6; host is complete, search lists do not count. */
void resolver_ask(struct resolver *r, const char *host, uint8_t family,
    resolver_cb cb, void *arg);

#endif
