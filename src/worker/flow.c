/*
 * The life of a flow after its connection stands: pumps, FIN, reset, idle
 * timeout, end. Connecting is in flow_connect.c. See flow.h for the states.
 */
#include "worker/flow.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/socket.h"
#include "base/tcp_counts.h"

static void drive(struct flow *f);

/* The only writer of state. */
static void
flow_set_state(struct flow *f, enum flow_state state)
{
	f->state = (uint8_t)state;
}

static struct sb_target_counters *
target_counters(const struct flow *f)
{
	return &flow_worker(f)->block->targets[f->target_slot];
}

void
flow_fill_record(const struct flow *f, struct flow_record *r)
{
	*r = (struct flow_record){
	    .id = f->id,
	    .start_us = f->start_us,
	    .duration_us = (uv_hrtime() - f->start_ns) / 1000,
	    .connect_us = f->connect_us,
	    .listener_slot = f->listener->slot,
	    .target_slot = f->target_slot,
	    .client = f->client_addr,
	    .target = f->target_addr,
	    .client_to_target_bytes = f->client_to_target.bytes,
	    .target_to_client_bytes = f->target_to_client.bytes,
	    .client_to_target_packets = f->packets_from_client,
	    .target_to_client_packets = f->packets_to_client,
	    .state = f->state,
	    .reason = f->reason,
	    .retries = f->n_tried > 0 ? (uint8_t)(f->n_tried - 1) : 0,
	    .worker =
		(uint8_t)atomic_load(&flow_worker(f)->block->worker_index),
	};
	flow_local_addr(f, &r->listener);
}

static void
log_flow(const struct flow *f)
{
	struct flow_record r;

	flow_fill_record(f, &r);
	worker_log_flow(flow_worker(f), &r);
}

void
flow_log_rejected(struct listener *l, int fd, const struct addr *client,
    enum flow_end_reason reason)
{
	struct flow f = {
	    .listener = l,
	    .client = {.fd = fd},
	    .client_addr = *client,
	    .target_slot = SB_SLOT_NONE,
	    .state = FLOW_CLOSING,
	    .reason = (uint8_t)reason,
	    .id = l->worker->next_flow_id++,
	    .start_ns = uv_hrtime(),
	};
	struct timespec now;
	uint32_t in, out;

	flow_count_end(&f);
	if (!l->worker->flow_log && !l->worker->watched)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	f.start_us =
	    (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	if (tcp_segments(fd, &in, &out) == 0) {
		f.packets_from_client = in;
		f.packets_to_client = out + 2; /* the SYN-ACK, the reset */
	}
	log_flow(&f);
}

/* ---- the end ---------------------------------------------------------- */

/* A plain close of a socket whose input was read to its end sends what is
 * queued and FIN; with_reset throws both away and says so to the peer. */
static void
close_side(struct side *s, bool with_reset)
{
	if (s->fd == -1)
		return;
	/* What the peer has reset itself needs no reset from us. Any other
	 * error may be one call's alone, and the socket alive: without the
	 * reset a cut stream would end in FIN. */
	if (with_reset && s->error != ECONNRESET)
		socket_reset_on_close(s->fd);
	close(s->fd);
	s->fd = -1;
	/* Later events of this batch find nobody. */
	s->item.on_event = NULL;
}

static void
enqueue(struct flow *f, struct flow_queue *queue, bool *flag)
{
	if (f->in_busy || f->in_flushing)
		return; /* is looked at soon anyway */
	*flag = true;
	STAILQ_INSERT_TAIL(queue, f, queued);
}

void
flow_end(struct flow *f, enum flow_end_reason reason)
{
	struct worker *w = flow_worker(f);
	bool with_reset = flow_end_reason_class(reason) != FLOW_END_NORMAL;

	if (f->state == FLOW_CLOSING)
		return;
	flow_set_state(f, FLOW_CLOSING);
	f->reason = (uint8_t)reason;
	flow_count_last_packets(f);
	flow_count_end(f);
	if (w->flow_log || w->watched)
		log_flow(f);
	close_side(&f->client, with_reset);
	close_side(&f->target, with_reset);
	fd_budget_give(&w->budget, FD_BUDGET_PER_FLOW);
	pump_release(&f->client_to_target, &w->pump_resources);
	pump_release(&f->target_to_client, &w->pump_resources);
	wheel_remove(&w->wheel, &f->timer);
	TAILQ_REMOVE(&w->flows, f, entry);
	w->n_flows--;
	sb_sub(&w->block->active_flows, 1);
	sb_sub(&f->listener->counters->active_flows, 1);
	if (f->target_slot != SB_SLOT_NONE)
		sb_sub(&target_counters(f)->active_flows, 1);
	if (f->source != NULL)
		source_table_leave(&w->sources, f->source);
	/* A flow in another queue is met there and handed on. */
	if (!f->in_busy && !f->in_flushing)
		STAILQ_INSERT_TAIL(&w->ended, f, queued);
}

void
flow_reap(struct worker *w)
{
	struct flow *f;

	while ((f = STAILQ_FIRST(&w->ended)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->ended, queued);
		listener_unref(f->listener);
		free(f);
	}
}

/* ---- resets ----------------------------------------------------------- */

static struct side *
dead_side(struct flow *f)
{
	return f->reset_by_client ? &f->client : &f->target;
}

static struct side *
live_side(struct flow *f)
{
	return f->reset_by_client ? &f->target : &f->client;
}

static enum flow_end_reason
reset_reason(const struct flow *f)
{
	return f->reset_by_client ? FLOW_END_CLIENT_RST : FLOW_END_TARGET_RST;
}

static bool
all_acknowledged(const struct side *s)
{
	int unacked = 0;

	return ioctl(s->fd, SIOCOUTQ, &unacked) == -1 || unacked == 0;
}

/*
 * FLUSHING: delivers what the dead side had sent, then resets the live one.
 * The reset must wait for the ACKs: it would overtake and destroy what is
 * still on its way.
 */
static void
flush(struct flow *f)
{
	struct worker *w = flow_worker(f);
	struct side *dead = dead_side(f), *live = live_side(f);
	struct pump *p =
	    f->reset_by_client ? &f->client_to_target : &f->target_to_client;
	enum pump_result result = PUMP_SRC_RESET;

	if (live->error != 0) {
		flow_end(f, reset_reason(f));
		return;
	}
	if (p->state == PUMP_OPEN) {
		uint64_t before = p->bytes;

		result = pump_run(p, dead, live, &w->pump_resources);
		flow_count_bytes(f, p, before);
	}
	switch (result) {
	case PUMP_DST_RESET:
		flow_end(f, reset_reason(f));
		return;
	case PUMP_NO_MEMORY:
		flow_end(f, FLOW_END_NO_RESOURCES);
		return;
	case PUMP_SRC_RESET:
	case PUMP_FIN: /* not with an error set; the same if it were */
		if (all_acknowledged(live)) {
			flow_end(f, reset_reason(f));
			return;
		}
		break;
	case PUMP_BLOCKED:
	case PUMP_BUSY:
		break;
	}
	enqueue(f, &w->flushing, &f->in_flushing);
}

static void
begin_flush(struct flow *f, bool by_client)
{
	struct worker *w = flow_worker(f);

	f->reset_by_client = by_client;
	flow_set_state(f, FLOW_FLUSHING);
	f->deadline_ms = w->poller.now_ms + FLOW_FLUSH_DEADLINE_MS;
	flow_rearm(f, f->deadline_ms);
	/* What was on its way to the dead side has nobody to go to. */
	pump_release(by_client ? &f->target_to_client : &f->client_to_target,
	    &w->pump_resources);
	flush(f);
}

void
flow_poll_flushing(struct worker *w)
{
	struct flow_queue queue = STAILQ_HEAD_INITIALIZER(queue);
	struct flow *f;

	STAILQ_CONCAT(&queue, &w->flushing);
	while ((f = STAILQ_FIRST(&queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&queue, queued);
		f->in_flushing = false;
		if (f->state == FLOW_CLOSING)
			STAILQ_INSERT_TAIL(&w->ended, f, queued);
		else
			flush(f);
	}
}

/* ---- established ------------------------------------------------------ */

/* FIN was read and all bytes are written: pass it on. The last FIN of a flow
 * goes out with the close. False: the flow ended. */
static bool
pass_fin(struct flow *f, struct pump *p)
{
	bool from_client = p == &f->client_to_target;
	struct pump *other =
	    from_client ? &f->target_to_client : &f->client_to_target;
	struct side *dst = from_client ? &f->target : &f->client;

	p->state = PUMP_FINISHED;
	pump_release(p, &flow_worker(f)->pump_resources);
	if (!f->fin_seen) {
		f->fin_seen = true;
		f->client_ended_first = from_client;
	}
	if (other->state == PUMP_FINISHED) {
		flow_end(f, f->client_ended_first ? FLOW_END_CLIENT_FIN
						  : FLOW_END_TARGET_FIN);
		return false;
	}
	if (shutdown(dst->fd, SHUT_WR) == -1)
		side_set_error(dst, errno);
	f->activity_ms = flow_worker(f)->poller.now_ms;
	return true;
}

/*
 * Each segment that arrives is an event, though nothing is read while the other
 * side does not take what is held: a fast sender would wake the worker again
 * and again until its window is full. So the first wake-up for nothing mutes
 * the input, and it is heard again when all that has come was read; whatever
 * came between these two is told at once then. 0 or -errno.
 */
static int
mute_or_hear(
    struct flow *f, struct side *src, const struct side *dst, bool has_moved)
{
	struct poller *poller = &flow_worker(f)->poller;
	int rc;

	if (src->muted ? src->readable || !dst->writable
		       : !src->readable || dst->writable || has_moved)
		return 0;
	rc = poller_modify(poller, src->fd,
	    src->muted ? POLLER_FLOW_EVENTS : POLLER_MUTED_EVENTS, &src->item);
	if (rc == 0)
		src->muted = !src->muted;
	return src->muted ? rc : 0; /* too many events do no harm */
}

/* Runs one direction. False: the flow left ESTABLISHED. */
static bool
drive_pump(struct flow *f, struct pump *p, struct side *src, struct side *dst)
{
	struct worker *w = flow_worker(f);
	uint64_t before = p->bytes;
	enum pump_result result;

	if (p->state == PUMP_FINISHED)
		return true;
	result = pump_run(p, src, dst, &w->pump_resources);
	flow_count_bytes(f, p, before);
	switch (result) {
	case PUMP_FIN:
		return pass_fin(f, p);
	case PUMP_NO_MEMORY:
		flow_end(f, FLOW_END_NO_RESOURCES);
		return false;
	case PUMP_BUSY:
		enqueue(f, &w->busy, &f->in_busy);
		break;
	case PUMP_BLOCKED:
		if (mute_or_hear(f, src, dst, p->bytes != before) == 0)
			break;
		flow_end(f, FLOW_END_NO_RESOURCES);
		return false;
	case PUMP_SRC_RESET:
	case PUMP_DST_RESET: /* drive() sees the side's error */
		break;
	}
	return true;
}

static void
drive(struct flow *f)
{
	if (f->state == FLOW_FLUSHING) {
		flush(f);
		return;
	}
	/* An error noticed before the pumps run must not wait for a slow
	 * reader: the flush has a deadline. */
	if (f->client.error == 0 && f->target.error == 0) {
		if (!drive_pump(
			f, &f->client_to_target, &f->client, &f->target) ||
		    !drive_pump(
			f, &f->target_to_client, &f->target, &f->client))
			return;
	}
	if (f->client.error != 0)
		begin_flush(f, true);
	else if (f->target.error != 0)
		begin_flush(f, false);
}

/* First of all flows what came, then all writes; see pump_read_ahead. */
static void
read_ahead(struct worker *w, struct flow_queue *queue)
{
	struct flow *f;

	STAILQ_FOREACH (f, queue, queued) {
		if (f->state != FLOW_ESTABLISHED || f->client.error != 0 ||
		    f->target.error != 0)
			continue;
		pump_read_ahead(&f->client_to_target, &f->client, &f->target,
		    &w->pump_resources);
		pump_read_ahead(&f->target_to_client, &f->target, &f->client,
		    &w->pump_resources);
	}
}

void
flow_run_busy(struct worker *w)
{
	struct flow_queue queue = STAILQ_HEAD_INITIALIZER(queue);
	struct flow *f = STAILQ_FIRST(&w->busy);

	STAILQ_CONCAT(&queue, &w->busy);
	if (f != NULL && STAILQ_NEXT(f, queued) != NULL)
		read_ahead(w, &queue);
	while ((f = STAILQ_FIRST(&queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&queue, queued);
		f->in_busy = false;
		if (f->state == FLOW_CLOSING)
			STAILQ_INSERT_TAIL(&w->ended, f, queued);
		else
			drive(f);
	}
	pump_batch_end(&w->pump_resources);
}

static void
on_client_event(struct poll_item *item, uint32_t events)
{
	struct flow *f = FLOW_OF(item, client.item);

	int input = 0;

	side_note_events(&f->client, events);
	if (f->state != FLOW_CONNECTING) {
		enqueue(f, &flow_worker(f)->busy, &f->in_busy);
		return;
	}
	/* The client is gone. With bytes left behind, the target shall still
	 * have them, and the reset after them. */
	if (f->client.error != 0 &&
	    (ioctl(f->client.fd, FIONREAD, &input) == -1 || input == 0))
		flow_end(f, FLOW_END_CLIENT_RST);
}

static void
on_target_event(struct poll_item *item, uint32_t events)
{
	struct flow *f = FLOW_OF(item, target.item);

	if (f->state == FLOW_CONNECTING) {
		flow_connect_event(f, events);
		return;
	}
	side_note_events(&f->target, events);
	enqueue(f, &flow_worker(f)->busy, &f->in_busy);
}

/* ---- the beginning ---------------------------------------------------- */

void
flow_established(struct flow *f)
{
	struct worker *w = flow_worker(f);

	flow_set_state(f, FLOW_ESTABLISHED);
	f->connect_us = (uint32_t)((uv_hrtime() - f->connect_start_ns) / 1000);
	if (f->connect_us == 0)
		f->connect_us = 1; /* 0 means none */
	sb_latency_add(&w->block->connects[f->listener->slot], f->connect_us);
	sb_add(&target_counters(f)->new_flows, 1);
	if (w->watched)
		log_flow(f);
	f->activity_ms = w->poller.now_ms;
	flow_rearm(f, f->activity_ms + f->listener->idle_timeout_ms);
	enqueue(f, &w->busy, &f->in_busy);
}

static struct flow *
flow_create(struct listener *l, int fd, const struct addr *client)
{
	struct worker *w = l->worker;
	struct flow *f = calloc(1, sizeof(*f));
	struct timespec now;

	if (f == NULL)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	f->start_us =
	    (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	f->start_ns = uv_hrtime();
	f->id = w->next_flow_id++;
	f->client.fd = fd;
	f->client.writable = true;
	f->client.item.on_event = on_client_event;
	f->target.fd = -1;
	f->target.item.on_event = on_target_event;
	f->client_addr = *client;
	f->target_slot = SB_SLOT_NONE;
	f->reason = FLOW_END_NO_TARGET;
	f->listener = l;
	flow_set_state(f, FLOW_CONNECTING);
	return f;
}

void
flow_accept(struct listener *l, int fd, const struct addr *client,
    struct source *source)
{
	struct worker *w = l->worker;
	struct flow *f = flow_create(l, fd, client);

	if (f == NULL || poller_add(&w->poller, fd, POLLER_FLOW_EVENTS,
			     &f->client.item) < 0) {
		struct side s = {.fd = fd};

		flow_log_rejected(l, fd, client, FLOW_END_NO_RESOURCES);
		close_side(&s, true);
		fd_budget_give(&w->budget, FD_BUDGET_PER_FLOW);
		source_table_leave(&w->sources, source);
		free(f);
		return;
	}
	f->source = source;
	f->packets_ms = w->poller.now_ms;
	listener_ref(l);
	TAILQ_INSERT_TAIL(&w->flows, f, entry);
	flow_arm(f, w->poller.now_ms + FLOW_FIRST_LOOK_MS);
	w->n_flows++;
	sb_add(&w->block->active_flows, 1);
	sb_add(&l->counters->active_flows, 1);
	sb_add(&l->counters->new_flows, 1);
	flow_connect_next(f);
}
