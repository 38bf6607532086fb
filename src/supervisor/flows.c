/*
 * Listing flows: ask every worker, collect the answers, give up on those that
 * are silent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/daemon.h"

#define FLOWS_WAIT_MS 1000
#define FLOWS_LIMIT 20000 /* per worker */

int
daemon_list_flows(void *owner, admin_flows_cb cb, void *arg)
{
	struct daemon *d = owner;
	struct flows_waiter *fw = calloc(1, sizeof(*fw));
	struct channel_list_flows ask;

	if (fw == NULL)
		return -ENOMEM;
	fw->request = ++d->last_flows_request;
	fw->deadline_ms = daemon_now_ms(d) + FLOWS_WAIT_MS;
	fw->cb = cb;
	fw->arg = arg;
	ask = (struct channel_list_flows){
	    .request = fw->request, .limit = FLOWS_LIMIT};
	for (uint32_t i = 0; i < d->workers.n; i++) {
		struct worker_process *w = &d->workers.list[i];

		if (w->channel == NULL)
			continue;
		fw->asked[i] = channel_send(w->channel, CHANNEL_LIST_FLOWS,
				   &ask, sizeof(ask), NULL, 0) == 0;
		fw->missing += !fw->asked[i];
	}
	TAILQ_INSERT_TAIL(&d->flows_waiters, fw, entry);
	daemon_settle_flows(d);
	return 0;
}

static struct flows_waiter *
find_waiter(struct daemon *d, uint32_t request)
{
	struct flows_waiter *fw;

	TAILQ_FOREACH (fw, &d->flows_waiters, entry)
		if (fw->request == request)
			return fw;
	return NULL;
}

static int
append(struct flows_waiter *fw, const void *records, size_t n)
{
	if (fw->n + n > fw->capacity) {
		size_t capacity = (fw->n + n) * 2;
		struct flow_record *grown =
		    reallocarray(fw->records, capacity, sizeof(*fw->records));

		if (grown == NULL)
			return -ENOMEM;
		fw->records = grown;
		fw->capacity = capacity;
	}
	memcpy(fw->records + fw->n, records, n * sizeof(*fw->records));
	fw->n += n;
	return 0;
}

void
daemon_take_flows(
    struct daemon *d, struct worker_process *w, struct channel_message *m)
{
	struct channel_flows head;
	struct flows_waiter *fw;

	if (m->size < sizeof(head))
		return;
	memcpy(&head, m->payload, sizeof(head));
	if (m->size != sizeof(head) + head.n * sizeof(struct flow_record))
		return;
	fw = find_waiter(d, head.request);
	if (fw == NULL || !fw->asked[w->index])
		return; /* too late */
	if (head.n > 0 &&
	    append(fw, (const char *)m->payload + sizeof(head), head.n) < 0) {
		fw->missing++;
		fw->asked[w->index] = false;
	}
	if (head.last)
		fw->asked[w->index] = false;
	daemon_settle_flows(d);
}

void
daemon_worker_lost(struct daemon *d, struct worker_process *w)
{
	struct flows_waiter *fw;

	TAILQ_FOREACH (fw, &d->flows_waiters, entry) {
		fw->missing += fw->asked[w->index];
		fw->asked[w->index] = false;
	}
	daemon_settle_flows(d);
}

static uint32_t
count_asked(const struct flows_waiter *fw)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SOCKETS_WORKERS_MAX; i++)
		n += fw->asked[i];
	return n;
}

static void
answer(struct daemon *d, struct flows_waiter *fw)
{
	TAILQ_REMOVE(&d->flows_waiters, fw, entry);
	fw->cb(fw->arg, fw->records, fw->n, fw->missing + count_asked(fw));
	free(fw->records);
	free(fw);
}

void
daemon_settle_flows(struct daemon *d)
{
	struct flows_waiter *fw, *next;

	TAILQ_FOREACH_SAFE (fw, &d->flows_waiters, entry, next)
		if (count_asked(fw) == 0 || daemon_now_ms(d) >= fw->deadline_ms)
			answer(d, fw);
}

void
daemon_finish_flows(struct daemon *d)
{
	struct flows_waiter *fw, *next;

	TAILQ_FOREACH_SAFE (fw, &d->flows_waiters, entry, next)
		answer(d, fw);
}
