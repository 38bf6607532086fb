/*
 * The receivers; see notifications.h.
 *
 * Receiver phases; the timer means another thing in each:
 *
 *          an event     the timer       an end, or the deadline
 *   IDLE ----------> DUE --------> TRYING --------------> ENDED
 *    ^                ^  (a pause)        (the timer)        | the timer, at
 *    |                '--- again, or the next event ---------| once
 *    '---------------------- nothing waits -----------------'
 */
#include "supervisor/notifications.h"

#include <bsd/string.h>
#include <bsd/sys/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nlb/event.h"
#include "supervisor/notification_text.h"
#include "supervisor/notification_try.h"

#define FIRST_PAUSE_MS 1000 /* before the second try; then twice as long */

enum phase { PHASE_IDLE, PHASE_DUE, PHASE_TRYING, PHASE_ENDED };

struct receiver {
	TAILQ_ENTRY(receiver) entry;
	struct notifications *all;
	struct conf_notify conf;
	bool followed; /* by the config that is being taken */
	enum phase phase;
	uv_timer_t timer;
	char *queue[NOTIFICATIONS_QUEUE_MAX];
	size_t first, n;
	char *text; /* in hand; NULL = none */
	unsigned tries;
	struct notification_try *try;
	enum notification_result result; /* ENDED only */
	char detail[320];
	bool failing;  /* the last try was no success: detail says why */
	bool dropping; /* since the last success */
	uint64_t n_sent, n_failed, n_dropped;
};

struct notifications {
	uv_loop_t *loop;
	struct http_client *http;
	const struct conf *conf;
	uint64_t start_ms, last_id;
	TAILQ_HEAD(, receiver) receivers; /* in the config's order */
};

static void on_timer(uv_timer_t *timer);

/* The only writer of phase. */
static void
set_phase(struct receiver *r, enum phase phase, uint64_t ms)
{
	r->phase = phase;
	if (phase == PHASE_IDLE)
		uv_timer_stop(&r->timer);
	else
		uv_timer_start(&r->timer, on_timer, ms, 0);
}

/* ---- the queue -------------------------------------------------------- */

static char *
take_first(struct receiver *r)
{
	char *text = r->queue[r->first];

	r->first = (r->first + 1) % NOTIFICATIONS_QUEUE_MAX;
	r->n--;
	return text;
}

static void
drop_oldest(struct receiver *r)
{
	free(take_first(r));
	r->n_dropped++;
	if (r->dropping)
		return;
	r->dropping = true;
	event_log(EVENT_NOTIFY_DROPPED,
	    "notify %s: %d events wait, the oldest are dropped", r->conf.name,
	    NOTIFICATIONS_QUEUE_MAX);
}

static void
put_last(struct receiver *r, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL) {
		r->n_dropped++;
		return;
	}
	if (r->n == NOTIFICATIONS_QUEUE_MAX)
		drop_oldest(r);
	r->queue[(r->first + r->n++) % NOTIFICATIONS_QUEUE_MAX] = copy;
	/* From the loop: whoever logs is in the middle of something. */
	if (r->phase == PHASE_IDLE)
		set_phase(r, PHASE_DUE, 0);
}

/* ---- trying ----------------------------------------------------------- */

static void
on_done(void *arg, enum notification_result result, const char *detail)
{
	struct receiver *r = arg;

	r->result = result;
	strlcpy(r->detail, detail, sizeof(r->detail));
	set_phase(r, PHASE_ENDED, 0);
}

static void
begin_try(struct receiver *r)
{
	const struct conf_node *node = &r->all->conf->node;
	struct notification_env env = {
	    .loop = r->all->loop,
	    .http = r->all->http,
	    .resolvers = node->resolvers,
	    .n_resolvers = node->n_resolvers,
	    .to = &r->conf,
	    .done = on_done,
	    .arg = r,
	};

	if (r->text == NULL) {
		r->text = take_first(r);
		r->tries = 0;
	}
	r->tries++;
	env.body = r->text;
	set_phase(r, PHASE_TRYING, r->conf.timeout_ms);
	if (notification_try_start(&env, &r->try) < 0) {
		r->try = NULL;
		on_done(r, NOTIFICATION_FAILED, "out of memory");
	}
}

static void
close_try(struct receiver *r)
{
	if (r->try != NULL)
		notification_try_close(r->try);
	r->try = NULL;
}

static void
take_success(struct receiver *r)
{
	r->n_sent++;
	if (r->failing)
		event_log(EVENT_NOTIFY_RECOVERED,
		    "notify %s takes events again", r->conf.name);
	r->failing = r->dropping = false;
}

static void
take_failure(struct receiver *r)
{
	if (!r->failing)
		event_log(EVENT_NOTIFY_FAILED,
		    "notify %s cannot be told of events: %s", r->conf.name,
		    r->detail);
	r->failing = true;
}

/* The try is over: what comes next. */
static void
settle(struct receiver *r)
{
	close_try(r);
	if (r->result == NOTIFICATION_SENT)
		take_success(r);
	else
		take_failure(r);
	if (r->result == NOTIFICATION_FAILED &&
	    r->tries < NOTIFICATIONS_TRIES) {
		set_phase(
		    r, PHASE_DUE, (uint64_t)FIRST_PAUSE_MS << (r->tries - 1));
		return;
	}
	r->n_failed += r->result != NOTIFICATION_SENT;
	free(r->text);
	r->text = NULL;
	set_phase(r, r->n > 0 ? PHASE_DUE : PHASE_IDLE, 0);
}

static void
on_timer(uv_timer_t *timer)
{
	struct receiver *r = timer->data;

	switch (r->phase) {
	case PHASE_IDLE:
		break;
	case PHASE_DUE:
		begin_try(r);
		break;
	case PHASE_TRYING:
		r->result = NOTIFICATION_FAILED;
		strlcpy(r->detail, "no answer in time", sizeof(r->detail));
		settle(r);
		break;
	case PHASE_ENDED:
		settle(r);
		break;
	}
}

/* ---- the config ------------------------------------------------------- */

static struct receiver *
find(struct notifications *n, const char *name)
{
	struct receiver *r;

	TAILQ_FOREACH (r, &n->receivers, entry)
		if (strcmp(r->conf.name, name) == 0)
			return r;
	return NULL;
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void
remove_receiver(struct receiver *r)
{
	TAILQ_REMOVE(&r->all->receivers, r, entry);
	close_try(r);
	while (r->n > 0)
		free(take_first(r));
	free(r->text);
	uv_close((uv_handle_t *)&r->timer, on_closed);
}

static struct receiver *
add_receiver(struct notifications *n, const struct conf_notify *conf)
{
	struct receiver *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->all = n;
	r->conf = *conf;
	uv_timer_init(n->loop, &r->timer);
	r->timer.data = r;
	TAILQ_INSERT_TAIL(&n->receivers, r, entry);
	return r;
}

static int
follow_one(struct notifications *n, const struct conf_notify *conf)
{
	struct receiver *r = find(n, conf->name);

	if (r == NULL)
		r = add_receiver(n, conf);
	if (r == NULL)
		return -ENOMEM;
	r->followed = true;
	TAILQ_REMOVE(&n->receivers, r, entry);
	TAILQ_INSERT_TAIL(&n->receivers, r, entry);
	if (memcmp(&r->conf, conf, sizeof(*conf)) == 0)
		return 0;
	/* What is under way may go to the wrong place: it begins anew. */
	close_try(r);
	r->conf = *conf;
	r->tries = 0;
	if (r->phase != PHASE_IDLE)
		set_phase(r, PHASE_DUE, 0);
	return 0;
}

int
notifications_follow(struct notifications *n, const struct conf *conf)
{
	struct receiver *r, *next;
	int rc = 0;

	n->conf = conf;
	TAILQ_FOREACH (r, &n->receivers, entry)
		r->followed = false;
	for (size_t i = 0; i < conf->n_notify; i++)
		if (follow_one(n, &conf->notify[i]) < 0)
			rc = -ENOMEM;
	TAILQ_FOREACH_SAFE (r, &n->receivers, entry, next)
		if (!r->followed)
			remove_receiver(r);
	return rc;
}

/* ---- the events ------------------------------------------------------- */

static uint64_t
wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
notifications_tell(struct notifications *n, const struct log_entry *entry)
{
	uint32_t class =
	    entry->kind.code != NULL ? event_class(entry->kind.code) : 0;
	struct receiver *r;
	char *text = NULL;
	char id[48];

	if (class == 0 || TAILQ_EMPTY(&n->receivers))
		return;
	snprintf(id, sizeof(id), "%llx-%llu", (unsigned long long)n->start_ms,
	    (unsigned long long)++n->last_id);
	text = notification_text(entry, id, wall_ms(), &n->conf->lb);
	TAILQ_FOREACH (r, &n->receivers, entry) {
		if ((r->conf.events & class) == 0)
			continue;
		if (text != NULL)
			put_last(r, text);
		else
			r->n_dropped++;
	}
	free(text);
}

void
notifications_each(const struct notifications *n,
    void (*fn)(void *arg, const struct admin_receiver *r), void *arg)
{
	const struct receiver *r;

	TAILQ_FOREACH (r, &n->receivers, entry) {
		const struct admin_receiver shown = {
		    .name = r->conf.name,
		    .error = r->failing ? r->detail : "",
		    .n_waiting = r->n + (r->text != NULL),
		    .n_sent = r->n_sent,
		    .n_failed = r->n_failed,
		    .n_dropped = r->n_dropped,
		};

		fn(arg, &shown);
	}
}

/* ---- life ------------------------------------------------------------- */

int
notifications_create(
    uv_loop_t *loop, uint64_t start_ms, struct notifications **out)
{
	struct notifications *n = calloc(1, sizeof(*n));
	int rc;

	if (n == NULL)
		return -ENOMEM;
	rc = http_client_create(loop, &n->http);
	if (rc < 0) {
		free(n);
		return rc;
	}
	n->loop = loop;
	n->start_ms = start_ms;
	TAILQ_INIT(&n->receivers);
	*out = n;
	return 0;
}

void
notifications_destroy(struct notifications *n)
{
	struct receiver *r, *next;

	if (n == NULL)
		return;
	TAILQ_FOREACH_SAFE (r, &n->receivers, entry, next)
		remove_receiver(r);
	http_client_destroy(n->http);
	free(n);
}
