/*
 * One try to deliver one notification: an HTTP request or a datagram. Neither
 * waits for anything but on the loop.
 */
#ifndef SUPERVISOR_NOTIFICATION_TRY_H
#define SUPERVISOR_NOTIFICATION_TRY_H

#include <uv.h>

#include "health/http_client.h"
#include "nlb/conf.h"

enum notification_result {
	NOTIFICATION_SENT,
	NOTIFICATION_FAILED,  /* it may succeed later */
	NOTIFICATION_REFUSED, /* no use to try it again */
};

struct notification_env {
	uv_loop_t *loop;
	struct http_client *http;
	const struct addr *resolvers; /* none: those of /etc/resolv.conf */
	size_t n_resolvers;
	const struct conf_notify *to; /* all of it outlives the try */
	const char *body;
	/* Once, perhaps from inside of the start; the try is not to be closed
	 * from in there. detail is a sentence's end. */
	void (*done)(
	    void *arg, enum notification_result result, const char *detail);
	void *arg;
};

struct notification_try;

/* 0, or -ENOMEM and done is not called. */
int notification_try_start(
    const struct notification_env *env, struct notification_try **out);
/* No call comes any more. */
void notification_try_close(struct notification_try *t);

#endif
