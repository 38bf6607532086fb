/*
 * The worker process: its turn, its timers, the supervisor's messages, and
 * what happens when the supervisor is gone.
 */
#include "worker/worker.h"

#include <bsd/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ipc/capabilities.h"
#include "nlb/event.h"
#include "worker/ending.h"
#include "worker/flow.h"
#include "worker/listener.h"

#define HEARTBEAT_MS 500
/* An orphan that makes way keeps accepting what is half open for this long:
 * a client's handshake takes a round trip, and a SYN that was dropped comes
 * again after a second, when only the successor's socket is left. */
#define ORPHAN_LINGER_MS 500
#define ORPHAN_CHECK_MS 100

/* ---- the log ---------------------------------------------------------- */

static void
log_to_supervisor(void *arg, const struct log_entry *entry)
{
	struct worker *w = arg;
	char message[CHANNEL_LOG_MAX];
	int len = snprintf(message, sizeof(message), "%c%s%c%s",
	    (int)entry->kind.level,
	    entry->kind.code != NULL ? entry->kind.code : "", '\0',
	    entry->text);

	if (len > 0 && w->channel != NULL)
		(void)channel_try_send(w->channel, CHANNEL_LOG, message,
		    (size_t)len < sizeof(message) ? (size_t)len
						  : sizeof(message) - 1);
}

/* Few flows are told of at once. Many are gathered for a moment: a message for
 * each would wake the supervisor as often, beside the flows. */
#define RECORDS_GATHER_MS 50

static void
send_records(struct worker *w)
{
	if (w->n_records == 0)
		return;
	w->records_due_ms = w->poller.now_ms + RECORDS_GATHER_MS;
	if (w->channel == NULL ||
	    channel_try_send(w->channel, CHANNEL_FLOW_RECORDS, w->records,
		w->n_records * sizeof(w->records[0])) < 0)
		sb_add(&w->block->dropped_records, w->n_records);
	w->n_records = 0;
}

void
worker_log_flow(struct worker *w, const struct flow_record *r)
{
	w->records[w->n_records++] = *r;
	/* A deregistered target is forgotten soon after its last flow: its
	 * records must not wait for others. */
	if (r->target_slot < SB_TARGETS &&
	    (atomic_load(&w->sb->targets[r->target_slot].flags) &
		SB_ROUTABLE) == 0)
		w->records_due_ms = 0;
	if (w->n_records == WORKER_RECORDS)
		send_records(w);
}

/* In how many ms must they go? 0: now. */
static uint64_t
records_wait_ms(const struct worker *w)
{
	uint64_t now_ms = w->poller.now_ms;

	return w->records_due_ms > now_ms ? w->records_due_ms - now_ms : 0;
}

/* ---- the turn --------------------------------------------------------- */

static void
fire_flow_timer(void *arg, struct wheel_entry *e)
{
	flow_on_timer(arg, e);
}

/* After every batch of events. True: there is work that must not wait. */
static bool
after_batch(void *arg)
{
	struct worker *w = arg;
	bool more = ending_run(w);
	uint64_t began_ns;

	flow_run_busy(w);
	flow_poll_flushing(w);
	wheel_advance(&w->wheel, w->poller.now_ms, fire_flow_timer, w);
	flow_reap(w);
	atomic_store_explicit(&w->block->pipes,
	    w->pipes.n_idle + w->pipes.n_lent, memory_order_relaxed);
	if (w->draining && w->n_flows == 0 && TAILQ_EMPTY(&w->listeners))
		poller_stop(&w->poller);
	if (w->poller.stopped || records_wait_ms(w) == 0)
		send_records(w);
	began_ns = w->poller.now_ns;
	poller_read_clock(&w->poller);
	sb_latency_add(&w->block->turns, (w->poller.now_ns - began_ns) / 1000);
	return more || !STAILQ_EMPTY(&w->busy);
}

/* How long the next turn may wait for events. */
static int
max_wait_ms(struct worker *w)
{
	int ms = wheel_next_ms(&w->wheel, w->poller.now_ms);

	if (!STAILQ_EMPTY(&w->flushing) &&
	    (ms == -1 || ms > FLOW_FLUSH_POLL_MS))
		ms = FLOW_FLUSH_POLL_MS;
	if (w->n_records > 0 && (ms == -1 || ms > (int)records_wait_ms(w)))
		ms = (int)records_wait_ms(w);
	return ms;
}

/* ---- draining --------------------------------------------------------- */

void
worker_drain(struct worker *w)
{
	struct listener *l, *next;

	w->draining = true;
	atomic_store(&w->block->state, SB_BLOCK_DRAINING);
	TAILQ_FOREACH_SAFE (l, &w->listeners, entry, next)
		listener_close(l);
}

static void
end_all(struct worker *w, enum flow_end_reason reason)
{
	struct flow *f, *next;

	TAILQ_FOREACH_SAFE (f, &w->flows, entry, next)
		flow_end(f, reason);
}

/* Has another supervisor come up, with workers that serve? */
static bool
successor_serves(void)
{
	struct flock lock = {
	    .l_type = F_WRLCK,
	    .l_whence = SEEK_SET,
	    .l_start = LOCK_BYTE_SERVING,
	    .l_len = 1,
	};

	return fcntl(WORKER_FD_LOCK, F_GETLK, &lock) == 0 &&
	       lock.l_type != F_UNLCK;
}

/*
 * Orphaned: go on serving with the last known states, until a successor
 * serves the same ports. Then first keep new SYNs out (the client's next try
 * reaches the successor's socket), take what is half open, and close. Also
 * when the successor is gone meanwhile: its workers serve on as we did, and a
 * listener without SYNs would go on costing a part of all connections.
 */
static void
orphan_check(struct worker *w)
{
	struct listener *l;
	uint64_t now_ms = w->poller.now_ms;

	if (w->draining || (w->drained_at_ms == 0 && !successor_serves()))
		return;
	if (w->drained_at_ms == 0) {
		event_log(EVENT_WORKER_SUCCEEDED,
		    "a new supervisor serves: taking no new flows, %u "
		    "flows left",
		    w->n_flows);
		/* A filter on a passed socket would be the successor's too;
		 * what waits there is taken by it. */
		TAILQ_FOREACH (l, &w->listeners, entry)
			if (!l->is_passed)
				listener_refuse_new(l);
		w->drained_at_ms = now_ms + ORPHAN_LINGER_MS;
	}
	if (now_ms >= w->drained_at_ms)
		worker_drain(w);
}

static void
on_heartbeat(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	atomic_store_explicit(
	    &w->block->heartbeat_ms, w->poller.now_ms, memory_order_relaxed);
	if (w->channel == NULL)
		orphan_check(w);
}

/* ---- the channel ------------------------------------------------------ */

static void
send_flow_list(struct worker *w, const struct channel_list_flows *ask)
{
	struct {
		struct channel_flows head;
		struct flow_record records[CHANNEL_RECORDS_MAX];
	} *m = malloc(sizeof(*m));
	struct flow *f;
	uint32_t n = 0;

	if (m == NULL)
		return; /* the supervisor counts us as missing */
	m->head = (struct channel_flows){.request = ask->request};
	TAILQ_FOREACH (f, &w->flows, entry) {
		if (n++ == ask->limit)
			break;
		flow_fill_record(f, &m->records[m->head.n++]);
		if (m->head.n < CHANNEL_RECORDS_MAX)
			continue;
		(void)channel_send(w->channel, CHANNEL_FLOWS, m,
		    sizeof(m->head) + m->head.n * sizeof(m->records[0]), NULL,
		    0);
		m->head.n = 0;
	}
	m->head.last = 1;
	(void)channel_send(w->channel, CHANNEL_FLOWS, m,
	    sizeof(m->head) + m->head.n * sizeof(m->records[0]), NULL, 0);
	free(m);
}

static void
end_flows_of_target(struct worker *w, const struct channel_end_flows *m)
{
	if (m->reason < FLOW_END_REASON_COUNT)
		ending_mark(w, m->target_slot, m->reason);
}

static void
take_config(struct worker *w, struct channel_message *m)
{
	struct channel_config head = {0};
	char text[256];
	int rc = worker_apply_config(w, m);
	uint64_t generation;

	if (m->size >= sizeof(head))
		memcpy(&head, m->payload, sizeof(head));
	generation = head.generation;
	if (rc == 0) {
		atomic_store(&w->block->generation, generation);
		if (!w->draining)
			atomic_store(&w->block->state, SB_BLOCK_SERVING);
		(void)channel_send(w->channel, CHANNEL_READY, &generation,
		    sizeof(generation), NULL, 0);
		return;
	}
	memcpy(text, &generation, sizeof(generation));
	strncpy(text + sizeof(generation), strerror(-rc),
	    sizeof(text) - sizeof(generation) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)channel_send(w->channel, CHANNEL_CONFIG_ERROR, text,
	    sizeof(generation) + strlen(text + sizeof(generation)), NULL, 0);
}

static void
on_message(void *arg, struct channel_message *m)
{
	struct worker *w = arg;

	switch (m->type) {
	case CHANNEL_CONFIG:
		take_config(w, m);
		break;
	case CHANNEL_SOURCE_LIMIT:
		if (m->size == sizeof(w->max_flows_per_source))
			memcpy(&w->max_flows_per_source, m->payload, m->size);
		break;
	case CHANNEL_END_FLOWS:
		if (m->size == sizeof(struct channel_end_flows))
			end_flows_of_target(w, m->payload);
		break;
	case CHANNEL_LIST_FLOWS:
		if (m->size == sizeof(struct channel_list_flows))
			send_flow_list(w, m->payload);
		break;
	case CHANNEL_WATCH_FLOWS:
		if (m->size == sizeof(uint8_t))
			w->watched = *(const uint8_t *)m->payload != 0;
		break;
	case CHANNEL_DRAIN:
		worker_drain(w);
		break;
	case CHANNEL_STOP:
		worker_drain(w);
		end_all(w, FLOW_END_SHUTDOWN);
		break;
	default:
		event_log(EVENT_WORKER_PROTOCOL,
		    "unknown message type %u from the supervisor",
		    (unsigned)m->type);
		break;
	}
}

static void
on_channel_closed(void *arg)
{
	struct worker *w = arg;

	channel_close(w->channel);
	w->channel = NULL;
	uv_timer_start(
	    &w->heartbeat, on_heartbeat, ORPHAN_CHECK_MS, ORPHAN_CHECK_MS);
	/* Nobody reads the channel any more: back to stderr. */
	log_set_sink(NULL, NULL);
	event_log(EVENT_WORKER_ORPHANED,
	    "worker %u: the supervisor is gone; serving on with the "
	    "last known target states",
	    atomic_load(&w->block->worker_index));
}

/* ---- start and end ---------------------------------------------------- */

int
worker_init(struct worker *w, struct scoreboard *sb, uint32_t block_index,
    int channel_fd)
{
	int rc;

	memset(w, 0, sizeof(*w));
	w->sb = sb;
	w->block = &sb->blocks[block_index];
	TAILQ_INIT(&w->listeners);
	TAILQ_INIT(&w->flows);
	STAILQ_INIT(&w->busy);
	STAILQ_INIT(&w->flushing);
	STAILQ_INIT(&w->ended);
	rc = uv_loop_init(&w->loop);
	if (rc < 0)
		return rc;
	rc = poller_init(&w->poller, &w->loop, after_batch, w);
	if (rc < 0)
		goto fail_loop;
	wheel_init(&w->wheel, w->poller.now_ms);
	fd_budget_init(&w->budget, 0);
	pipe_pool_init(&w->pipes, &w->budget);
	w->pump_resources.pipes = &w->pipes;
	w->pump_resources.buffer = malloc(PUMP_BUFFER_SIZE);
	w->pump_resources.batch = calloc(1, sizeof(struct pump_batch));
	rc = -ENOMEM;
	if (w->pump_resources.buffer == NULL || w->pump_resources.batch == NULL)
		goto fail_buffer;
	source_table_init(&w->sources, sb, w->block);
	rc = channel_open(&w->loop, channel_fd, on_message, on_channel_closed,
	    w, &w->channel);
	if (rc < 0)
		goto fail_buffer;
	/* Unique in the supervisor's life: each worker counts in a range of
	 * its own. */
	w->next_flow_id =
	    ((uint64_t)atomic_fetch_add(&sb->last_worker_id, 1) << 40) + 1;
	uv_timer_init(&w->loop, &w->heartbeat);
	uv_timer_init(&w->loop, &w->resume);
	w->heartbeat.data = w->resume.data = w;
	uv_timer_start(&w->heartbeat, on_heartbeat, 0, HEARTBEAT_MS);
	return 0;
fail_buffer:
	free(w->pump_resources.batch);
	free(w->pump_resources.buffer);
	poller_fini(&w->poller);
fail_loop:
	uv_loop_close(&w->loop);
	return rc;
}

void
worker_fini(struct worker *w)
{
	worker_drain(w);
	end_all(w, FLOW_END_SHUTDOWN);
	flow_run_busy(w);
	flow_poll_flushing(w);
	flow_reap(w);
	send_records(w);
	if (w->channel != NULL)
		channel_close(w->channel);
	w->channel = NULL;
	uv_close((uv_handle_t *)&w->heartbeat, NULL);
	uv_close((uv_handle_t *)&w->resume, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	uv_loop_close(&w->loop);
	poller_fini(&w->poller);
	pipe_pool_fini(&w->pipes);
	source_table_fini(&w->sources);
	free(w->pump_resources.batch);
	free(w->pump_resources.buffer);
}

/* The supervisor's signals are not ours: Ctrl-C reaches the whole process
 * group, and it is the supervisor that drains us. */
static void
ignore_signals(void)
{
	static const int ignored[] = {
	    SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

int
worker_main(uint32_t block_index)
{
	static struct worker w;
	struct scoreboard *sb;
	int rc;

	log_init("nlbd");
	ignore_signals();
	/* Capabilities of the binary reach us whatever the supervisor does. */
	if (geteuid() != 0)
		(void)capabilities_limit(capabilities_transparent());
	if (block_index >= SB_BLOCKS) {
		event_log(EVENT_WORKER_START_FAILED,
		    "--worker is for the supervisor's use");
		return 64;
	}
	rc = scoreboard_attach(WORKER_FD_SCOREBOARD, &sb);
	if (rc == 0)
		rc = worker_init(&w, sb, block_index, WORKER_FD_CHANNEL);
	if (rc < 0) {
		event_log(EVENT_WORKER_START_FAILED, "worker cannot start: %s",
		    strerror(-rc));
		return 71;
	}
	log_set_sink(log_to_supervisor, &w);
	/* exec of /proc/self/exe left us the name "exe". */
	(void)prctl(PR_SET_NAME, "nlbd-worker", 0, 0, 0);
	setproctitle("worker %u", atomic_load(&w.block->worker_index));
	while (!w.poller.stopped)
		poller_turn(&w.poller, max_wait_ms(&w));
	worker_fini(&w);
	scoreboard_detach(sb);
	return 0;
}
