/* Worker processes; see workers.h. */
#include "supervisor/workers.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nlb/event.h"
#include "ipc/worker_fd.h"

static int spawn(struct worker_process *w);

static uint64_t
now_ms(const struct workers *ws)
{
	(void)ws;
	return uv_hrtime() / 1000000;
}

const char *
worker_state_name(enum worker_state state)
{
	static const char *const names[] = {
	    [WORKER_GONE] = "restarting",
	    [WORKER_STARTING] = "starting",
	    [WORKER_SERVING] = "serving",
	    [WORKER_DRAINING] = "draining",
	};

	return names[state];
}

/* The only writer of state. */
static void
worker_set_state(struct worker_process *w, enum worker_state state)
{
	w->state = state;
}

uint32_t
workers_alive(const struct workers *ws)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ws->n; i++)
		n += ws->list[i].process != NULL;
	return n;
}

bool
workers_all_serve(const struct workers *ws, uint64_t generation)
{
	for (uint32_t i = 0; i < ws->n; i++)
		if (ws->list[i].state != WORKER_SERVING ||
		    sb_get(&ws->list[i].block->generation) < generation)
			return false;
	return true;
}

/* ---- the channel ------------------------------------------------------ */

static void
on_message(void *arg, struct channel_message *m)
{
	struct worker_process *w = arg;
	struct workers *ws = w->workers;
	uint64_t generation;

	if (m->type == CHANNEL_READY && m->size == sizeof(generation)) {
		memcpy(&generation, m->payload, sizeof(generation));
		if (w->state == WORKER_STARTING)
			worker_set_state(w, WORKER_SERVING);
		ws->owner.on_ready(ws->owner.owner, w, generation);
		return;
	}
	ws->owner.on_message(ws->owner.owner, w, m);
}

/* The worker closed its end: it is exiting, or stuck on the way out. The exit
 * callback does the rest; the watch sees to it if that never comes. */
static void
on_channel_closed(void *arg)
{
	struct worker_process *w = arg;

	channel_close(w->channel);
	w->channel = NULL;
	w->deaf_since_ms = now_ms(w->workers);
}

/* ---- death and replacement -------------------------------------------- */

static void
free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void
log_death(const struct worker_process *w, int64_t status, int signal)
{
	unsigned long long lived_ms =
	    (unsigned long long)(now_ms(w->workers) - w->spawned_ms);

	if (w->killed_for_silence)
		event_log(EVENT_WORKER_STUCK,
		    "worker %u (pid %d) did not respond for %d ms and "
		    "was killed; its flows are lost",
		    w->index, w->process->pid, WORKERS_HEARTBEAT_LIMIT_MS);
	else if (signal != 0)
		event_log(EVENT_WORKER_KILLED,
		    "worker %u (pid %d) was killed by signal %d (%s) "
		    "after %llu ms; its flows are lost",
		    w->index, w->process->pid, signal, strsignal(signal),
		    lived_ms);
	else if (!w->workers->stopping)
		event_log(EVENT_WORKER_EXITED,
		    "worker %u (pid %d) exited with code %lld after "
		    "%llu ms; its flows are lost",
		    w->index, w->process->pid, (long long)status, lived_ms);
}

static void
on_respawn_timer(uv_timer_t *timer)
{
	struct worker_process *w = timer->data;

	if (!w->workers->stopping && spawn(w) < 0)
		uv_timer_start(
		    timer, on_respawn_timer, WORKERS_BACKOFF_MAX_MS, 0);
}

/* At once, unless it dies again and again: then 100 ms, 200 ms, ... 5 s, so
 * that a crash loop costs neither the CPU nor the log. */
static void
respawn(struct worker_process *w)
{
	struct workers *ws = w->workers;
	uint64_t delay_ms = 0;

	ws->restarts++;
	if (now_ms(ws) - w->spawned_ms >= WORKERS_QUICK_DEATH_MS)
		w->quick_deaths = 0;
	else if (w->quick_deaths < 16)
		w->quick_deaths++;
	if (w->quick_deaths > 3) {
		delay_ms = 100ULL << (w->quick_deaths - 4);
		if (delay_ms > WORKERS_BACKOFF_MAX_MS)
			delay_ms = WORKERS_BACKOFF_MAX_MS;
		event_log(EVENT_WORKER_CRASH_LOOP,
		    "worker %u dies again and again; next try in %llu "
		    "ms, until then its share of new connections waits",
		    w->index, (unsigned long long)delay_ms);
	}
	if (delay_ms == 0 && spawn(w) == 0)
		return;
	uv_timer_start(
	    &w->respawn, on_respawn_timer, delay_ms > 0 ? delay_ms : 100, 0);
}

static void
on_worker_exit(uv_process_t *process, int64_t status, int signal)
{
	struct worker_process *w = process->data;
	struct workers *ws = w->workers;

	/* Its last flow records, perhaps thousands, are still under way. */
	if (w->channel != NULL)
		channel_receive_rest(w->channel);
	log_death(w, status, signal);
	if (w->channel != NULL)
		channel_close(w->channel);
	w->channel = NULL;
	scoreboard_retire(ws->sb, w->block);
	w->block = NULL;
	w->process = NULL;
	w->killed_for_silence = false;
	w->deaf_since_ms = 0;
	worker_set_state(w, WORKER_GONE);
	uv_close((uv_handle_t *)process, free_handle);
	if (!ws->stopping)
		respawn(w);
	ws->owner.on_gone(
	    ws->owner.owner, w, ws->stopping && workers_alive(ws) == 0);
}

/* ---- spawning --------------------------------------------------------- */

static int
spawn_process(struct worker_process *w, int channel_fd)
{
	struct workers *ws = w->workers;
	char block[16];
	char name[] = "nlbd", flag[] = "--worker";
	char *args[] = {name, flag, block, NULL};
	uv_stdio_container_t stdio[WORKER_FD_COUNT] = {
	    [0] = {.flags = UV_IGNORE},
	    [1] = {.flags = UV_INHERIT_FD, .data.fd = 2},
	    [2] = {.flags = UV_INHERIT_FD, .data.fd = 2},
	    [WORKER_FD_CHANNEL] = {.flags = UV_INHERIT_FD,
		.data.fd = channel_fd},
	    [WORKER_FD_SCOREBOARD] = {.flags = UV_INHERIT_FD,
		.data.fd = ws->scoreboard_fd},
	    [WORKER_FD_LOCK] = {.flags = UV_INHERIT_FD, .data.fd = ws->lock_fd},
	};
	uv_process_options_t options = {
	    .exit_cb = on_worker_exit,
	    .file = "/proc/self/exe",
	    .args = args,
	    .stdio = stdio,
	    .stdio_count = WORKER_FD_COUNT,
	};
	int rc;

	snprintf(block, sizeof(block), "%zu",
	    scoreboard_block_index(ws->sb, w->block));
	w->process = calloc(1, sizeof(*w->process));
	if (w->process == NULL)
		return -ENOMEM;
	w->process->data = w;
	rc = uv_spawn(ws->loop, w->process, &options);
	if (rc < 0) {
		uv_close((uv_handle_t *)w->process, free_handle);
		w->process = NULL;
	}
	return rc;
}

static int
spawn(struct worker_process *w)
{
	struct workers *ws = w->workers;
	int fds[2], rc;

	rc = channel_pair(fds);
	if (rc < 0)
		goto fail;
	w->spawned_ms = now_ms(ws);
	w->block = scoreboard_take(ws->sb, w->index, w->spawned_ms);
	rc = -ENOSPC;
	if (w->block == NULL)
		goto fail_pair;
	rc = spawn_process(w, fds[1]);
	if (rc < 0)
		goto fail_block;
	atomic_store(&w->block->pid, w->process->pid);
	close(fds[1]);
	memset(w->sent_slots, 0, sizeof(w->sent_slots));
	worker_set_state(w, WORKER_STARTING);
	rc = channel_open(
	    ws->loop, fds[0], on_message, on_channel_closed, w, &w->channel);
	if (rc < 0) {
		close(fds[0]);
		/* It cannot be told anything: on_worker_exit takes over. */
		uv_process_kill(w->process, SIGKILL);
		return 0;
	}
	ws->owner.on_spawned(ws->owner.owner, w);
	return 0;
fail_block:
	scoreboard_retire(ws->sb, w->block);
	w->block = NULL;
fail_pair:
	close(fds[0]);
	close(fds[1]);
fail:
	event_log(EVENT_WORKER_START_FAILED, "cannot start worker %u: %s",
	    w->index, strerror(-rc));
	return rc;
}

/* ---- the watch -------------------------------------------------------- */

/* It does not beat; or nothing can be told to it any more, and it lives on. */
static bool
is_stuck(const struct worker_process *w, uint64_t now)
{
	uint64_t beat = sb_get(&w->block->heartbeat_ms);

	return now > beat + WORKERS_HEARTBEAT_LIMIT_MS ||
	       (w->deaf_since_ms != 0 &&
		   now > w->deaf_since_ms + WORKERS_HEARTBEAT_LIMIT_MS);
}

bool
workers_any_responds(const struct workers *ws)
{
	uint64_t now = now_ms(ws);

	for (uint32_t i = 0; i < ws->n; i++) {
		const struct worker_process *w = &ws->list[i];

		if ((w->state == WORKER_SERVING ||
			w->state == WORKER_DRAINING) &&
		    w->process != NULL && !is_stuck(w, now))
			return true;
	}
	return false;
}

/*
 * A stuck member of a reuseport group swallows its share of new connections.
 * If it was we who stalled (SIGSTOP, a paused machine), the workers get time
 * to beat again first.
 */
static void
on_watch(uv_timer_t *timer)
{
	struct workers *ws = timer->data;
	uint64_t now = now_ms(ws);

	if (now - ws->last_watch_ms > 3 * WORKERS_WATCH_INTERVAL_MS)
		ws->grace_until_ms = now + WORKERS_HEARTBEAT_LIMIT_MS;
	ws->last_watch_ms = now;
	if (now < ws->grace_until_ms)
		return;
	for (uint32_t i = 0; i < ws->n; i++) {
		struct worker_process *w = &ws->list[i];

		if (w->process == NULL || w->killed_for_silence ||
		    !is_stuck(w, now))
			continue;
		w->killed_for_silence = true;
		uv_process_kill(w->process, SIGKILL);
	}
}

/* ---- life ------------------------------------------------------------- */

int
workers_init(struct workers *ws, uv_loop_t *loop, struct scoreboard *sb,
    int scoreboard_fd, int lock_fd, uint32_t n,
    const struct workers_owner *owner)
{
	*ws = (struct workers){
	    .loop = loop,
	    .sb = sb,
	    .scoreboard_fd = scoreboard_fd,
	    .lock_fd = lock_fd,
	    .n = n,
	    .owner = *owner,
	};
	ws->list = calloc(n, sizeof(*ws->list));
	if (ws->list == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct worker_process *w = &ws->list[i];

		w->workers = ws;
		w->index = i;
		uv_timer_init(loop, &w->respawn);
		w->respawn.data = w;
	}
	uv_timer_init(loop, &ws->watch);
	ws->watch.data = ws;
	return 0;
}

int
workers_start(struct workers *ws)
{
	for (uint32_t i = 0; i < ws->n; i++) {
		int rc = spawn(&ws->list[i]);

		if (rc < 0)
			return rc;
	}
	ws->last_watch_ms = now_ms(ws);
	return uv_timer_start(&ws->watch, on_watch, WORKERS_WATCH_INTERVAL_MS,
	    WORKERS_WATCH_INTERVAL_MS);
}

void
workers_fini(struct workers *ws)
{
	for (uint32_t i = 0; i < ws->n; i++)
		uv_close((uv_handle_t *)&ws->list[i].respawn, NULL);
	uv_close((uv_handle_t *)&ws->watch, NULL);
}

/* ---- messages --------------------------------------------------------- */

int
workers_send_config(struct worker_process *w, const struct channel_config *head,
    const uint16_t *target_slots, const struct sockets *sockets, int conf_fd)
{
	static char message[CHANNEL_MESSAGE_MAX];
	uint64_t now_sent[SB_LISTENERS / 64] = {0};
	int fds[CHANNEL_FDS_MAX];
	size_t n_fds = 0, size = sizeof(*head);
	int rc;

	if (w->channel == NULL)
		return -EPIPE;
	memcpy(message, head, sizeof(*head));
	memcpy(message + size, target_slots,
	    head->n_targets * sizeof(target_slots[0]));
	size += head->n_targets * sizeof(target_slots[0]);
	fds[n_fds++] = conf_fd;
	for (size_t i = 0; i < sockets->n; i++) {
		uint16_t slot = sockets->sets[i].slot;
		uint64_t bit = UINT64_C(1) << (slot % 64);
		struct channel_listener l = {
		    .slot = slot,
		    .has_fd = (w->sent_slots[slot / 64] & bit) == 0,
		    .is_passed = sockets->sets[i].passed,
		};

		if (l.has_fd)
			fds[n_fds++] = sockets->sets[i].fds[w->index];
		now_sent[slot / 64] |= bit;
		memcpy(message + size, &l, sizeof(l));
		size += sizeof(l);
	}
	rc =
	    channel_send(w->channel, CHANNEL_CONFIG, message, size, fds, n_fds);
	if (rc == 0) {
		memcpy(w->sent_slots, now_sent, sizeof(now_sent));
		w->source_limit = head->max_flows_per_source;
	}
	return rc;
}

static void
send_message(struct worker_process *w, enum channel_type type,
    const void *payload, size_t size)
{
	if (w->channel == NULL)
		return;
	if (channel_send(w->channel, type, payload, size, NULL, 0) < 0)
		event_log(EVENT_WORKER_MESSAGE_LOST,
		    "worker %u: a message of type %u is lost", w->index,
		    (unsigned)type);
}

void
workers_send_source_limit(struct workers *ws, uint32_t limit)
{
	for (uint32_t i = 0; i < ws->n; i++) {
		struct worker_process *w = &ws->list[i];

		if (w->source_limit == limit)
			continue;
		send_message(w, CHANNEL_SOURCE_LIMIT, &limit, sizeof(limit));
		w->source_limit = limit;
	}
}

void
workers_broadcast(struct workers *ws, enum channel_type type,
    const void *payload, size_t size)
{
	for (uint32_t i = 0; i < ws->n; i++)
		send_message(&ws->list[i], type, payload, size);
}

void
workers_drain(struct workers *ws)
{
	ws->stopping = true;
	for (uint32_t i = 0; i < ws->n; i++) {
		uv_timer_stop(&ws->list[i].respawn);
		if (ws->list[i].state != WORKER_GONE)
			worker_set_state(&ws->list[i], WORKER_DRAINING);
	}
	workers_broadcast(ws, CHANNEL_DRAIN, NULL, 0);
}

void
workers_stop(struct workers *ws)
{
	workers_broadcast(ws, CHANNEL_STOP, NULL, 0);
}

void
workers_kill(struct workers *ws)
{
	for (uint32_t i = 0; i < ws->n; i++)
		if (ws->list[i].process != NULL)
			uv_process_kill(ws->list[i].process, SIGKILL);
}
