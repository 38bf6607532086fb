/*
 * [notify NAME] sections: each receiver gets the events it is to be told of,
 * one at a time and in their order. Bounded in memory and tries, and never
 * waited for.
 */
#ifndef SUPERVISOR_NOTIFICATIONS_H
#define SUPERVISOR_NOTIFICATIONS_H

#include <uv.h>

#include "admin/admin.h"
#include "base/log.h"
#include "nlb/conf.h"

#define NOTIFICATIONS_QUEUE_MAX 64
#define NOTIFICATIONS_TRIES 4

struct notifications;

/* start_ms (wall clock) makes the ids of this life's events. 0 or a negative
 * errno. */
int notifications_create(
    uv_loop_t *loop, uint64_t start_ms, struct notifications **out);
/* What waits is lost. Memory goes from the loop. NULL is fine. */
void notifications_destroy(struct notifications *n);

/* The receivers are those of conf from now on, which outlives its use.
 * Receivers that stay keep what waits for them, and their counts. 0 or
 * -ENOMEM: some are missing. */
int notifications_follow(struct notifications *n, const struct conf *conf);

/* Something happened. */
void notifications_tell(struct notifications *n, const struct log_entry *entry);

void notifications_each(const struct notifications *n,
    void (*fn)(void *arg, const struct admin_receiver *r), void *arg);

#endif
