/*
 * Load thread: see load_thread.h.
 */
#include "load_thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* At a time while flows are opened first, so that no backlog overflows. */
#define CONNECTING_MAX 100
#define TICK_MS 50
/* A flow that failed is left alone so long, lest a refusing port makes a busy
 * loop. */
#define REST_NS 100000000ull
#define INTERRUPTED_DRAIN_NS 1000000000ull
#define SECONDS_MAX 86400 /* of the series, when units end the run */
#define NS_PER_S 1000000000ull

static void
arm_due_timer(struct load_thread *t, uint64_t due_ns)
{
	struct itimerspec spec = {
	    .it_value.tv_sec = (time_t)(due_ns / NS_PER_S),
	    .it_value.tv_nsec = (long)(due_ns % NS_PER_S),
	};

	timerfd_settime(t->due_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static bool
keeps_connections(const struct load_thread *t)
{
	return t->plan->kinds[0].unit_begin != 0;
}

static bool
holds_flows(const struct load_thread *t)
{
	return load_plan_holds(t->plan);
}

static void
open_flow(struct load_thread *t, struct load_flow *flow, unsigned kind,
    uint64_t id, uint64_t due_ns)
{
	t->connecting++;
	t->open++;
	load_flow_open(flow, kind, id, due_ns);
}

static uint64_t
flow_number(const struct load_thread *t, const struct load_flow *flow)
{
	return (uint64_t)(flow - t->flows) * t->plan->threads + t->number;
}

static void
begin_unit(struct load_thread *t, struct load_flow *flow, uint64_t due_ns)
{
	const struct load_plan *plan = t->plan;
	uint64_t unit =
	    load_schedule_take(&t->schedule) * plan->threads + t->number;

	TAILQ_REMOVE(&t->free_flows, flow, entry);
	if (flow->state == LOAD_FLOW_WAITING)
		load_flow_go_on(flow, due_ns);
	else
		open_flow(
		    t, flow, plan->mix[unit % plan->mix_size], unit, due_ns);
}

static void
count_lateness(struct load_thread *t, uint64_t due, uint64_t now, bool waited)
{
	if (!t->schedule.is_open || !load_schedule_counts(&t->schedule, due))
		return;
	if (waited)
		t->stats.waited++;
	else
		histogram_record(&t->stats.late, now - due);
}

static void drain(struct load_thread *t, uint64_t now, uint64_t patience_ns);

/* Begins what is due, as far as flows are free; waited tells that what is due
 * had none until now. */
static void
run_due(struct load_thread *t, bool waited)
{
	struct load_flow *flow;

	while (t->phase == PHASE_RUNNING &&
	       (flow = TAILQ_FIRST(&t->free_flows)) != NULL) {
		uint64_t now = uv_hrtime();
		uint64_t due = load_schedule_due(&t->schedule, now);

		if (due > now) {
			if (due != LOAD_NEVER)
				arm_due_timer(t, due);
			else if (t->schedule.units_left == 0)
				drain(t, now,
				    (uint64_t)(t->plan->timeout_s * 1e9));
			return;
		}
		count_lateness(t, due, now, waited);
		begin_unit(t, flow, due);
	}
}

static void
on_due(uv_poll_t *poll, int status, int events)
{
	struct load_thread *t = poll->data;
	uint64_t expirations;

	(void)status;
	(void)events;
	if (read(t->due_fd, &expirations, sizeof(expirations)) > 0)
		run_due(t, false);
}

/* A flow can take a unit: closed ones of profiles with a connection for each,
 * else waiting ones. */
static void
flow_is_free(struct load_thread *t, struct load_flow *flow)
{
	bool is_first;

	if (t->phase >= PHASE_DRAINING) {
		load_flow_close(flow);
		return;
	}
	if (flow->state == LOAD_FLOW_CLOSED &&
	    (holds_flows(t) || keeps_connections(t))) {
		open_flow(t, flow, 0, flow_number(t, flow), 0);
		return;
	}
	is_first = TAILQ_EMPTY(&t->free_flows);
	TAILQ_INSERT_TAIL(&t->free_flows, flow, entry);
	if (is_first)
		run_due(t, t->opened == t->flow_count);
}

static void
open_more(struct load_thread *t)
{
	while (t->phase < PHASE_DRAINING && t->opened < t->flow_count &&
	       t->connecting < CONNECTING_MAX)
		flow_is_free(t, &t->flows[t->opened++]);
}

static uint64_t
cpu_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Notes the thread's CPU time at both ends of the measured time. */
static void
mark_cpu(struct load_thread *t, uint64_t now, bool is_end)
{
	if (t->cpu_from_ns == 0 && now >= t->schedule.measure_from_ns) {
		t->cpu_from_ns = cpu_now_ns();
		t->cpu_wall_ns = now;
	} else if (is_end && t->cpu_from_ns != 0) {
		t->cpu_until_ns = cpu_now_ns();
		t->cpu_wall_ns = now - t->cpu_wall_ns;
	}
}

static void
drain(struct load_thread *t, uint64_t now, uint64_t patience_ns)
{
	if (t->phase >= PHASE_DRAINING)
		return;
	mark_cpu(t, now, true);
	t->phase = PHASE_DRAINING;
	t->drain_until_ns = now + patience_ns;
	load_schedule_end(&t->schedule, now);
	for (uint64_t i = 0; i < t->opened; i++) {
		struct load_flow *flow = &t->flows[i];

		if (flow->state != LOAD_FLOW_WAITING)
			continue;
		if (holds_flows(t))
			load_flow_go_on(flow, now);
		else
			load_flow_close(flow);
	}
}

static void
on_loop_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void
end_if_drained(struct load_thread *t)
{
	if (t->phase != PHASE_DRAINING || t->open > 0)
		return;
	t->phase = PHASE_ENDED;
	atomic_store(&t->seconds_published, t->second_count);
	uv_walk(&t->loop, on_loop_handle, NULL);
}

static void
end_stragglers(struct load_thread *t)
{
	for (uint64_t i = 0; i < t->opened; i++) {
		struct load_flow *flow = &t->flows[i];

		if (flow->state == LOAD_FLOW_CLOSED ||
		    flow->state == LOAD_FLOW_CLOSING)
			continue;
		if (atomic_load(&t->is_interrupted))
			load_flow_close(flow);
		else
			load_flow_fail(flow, LOAD_TIMED_OUT,
			    "not at its end when the run was");
	}
}

static void
check_timeouts(struct load_thread *t, uint64_t now)
{
	uint64_t patience = (uint64_t)(t->plan->timeout_s * 1e9);

	for (uint64_t i = 0; i < t->opened; i++) {
		struct load_flow *flow = &t->flows[i];
		char text[TALK_FAULT_MAX];

		if ((flow->state != LOAD_FLOW_CONNECTING &&
			flow->state != LOAD_FLOW_TALKING &&
			flow->state != LOAD_FLOW_AWAITING_FIN) ||
		    now - flow->moved_ns <= patience)
			continue;
		snprintf(text, sizeof(text), "%s %llu, step %u: no progress",
		    flow->talk.dialog->name, (unsigned long long)flow->talk.id,
		    flow->talk.step + 1);
		load_flow_fail(flow, LOAD_TIMED_OUT, text);
	}
}

static void
wake_resting(struct load_thread *t, uint64_t now)
{
	struct load_flow *flow;

	while ((flow = TAILQ_FIRST(&t->resting)) != NULL &&
	       flow->rest_until_ns <= now) {
		TAILQ_REMOVE(&t->resting, flow, entry);
		flow_is_free(t, flow);
	}
}

static void
on_tick(uv_timer_t *timer)
{
	struct load_thread *t = timer->data;
	uint64_t now = uv_hrtime();
	int64_t second = load_schedule_second(&t->schedule, now);

	mark_cpu(t, now, false);
	check_timeouts(t, now);
	if (second > 0 && t->phase == PHASE_RUNNING)
		atomic_store(&t->seconds_published,
		    (uint64_t)second < t->second_count ? (uint64_t)second
						       : t->second_count);
	wake_resting(t, now);
	if (t->phase == PHASE_RUNNING && now >= t->schedule.measure_until_ns)
		drain(t, now, (uint64_t)(t->plan->timeout_s * 1e9));
	if (t->phase == PHASE_DRAINING && now >= t->drain_until_ns)
		end_stragglers(t);
	end_if_drained(t);
}

static void
on_stop(uv_async_t *async)
{
	struct load_thread *t = async->data;

	drain(t, uv_hrtime(), INTERRUPTED_DRAIN_NS);
	end_if_drained(t);
}

static struct load_second *
current_second(struct load_thread *t, uint64_t now)
{
	int64_t number = load_schedule_second(&t->schedule, now);

	if (number < 0 || (uint64_t)number >= t->second_count ||
	    t->phase == PHASE_RAMPING)
		return NULL;
	if (t->seconds[number] == NULL) {
		t->seconds[number] = malloc(sizeof(struct load_second));
		if (t->seconds[number] != NULL)
			load_second_init(t->seconds[number]);
	}
	return t->seconds[number];
}

static bool
counts(const struct load_thread *t, uint64_t when_ns)
{
	return holds_flows(t) || load_schedule_counts(&t->schedule, when_ns);
}

void
load_thread_on_moved(
    struct load_thread *t, struct load_flow *flow, size_t out, size_t back)
{
	uint64_t now = uv_hrtime();
	struct load_second *second = current_second(t, now);

	flow->moved_ns = now;
	if (!counts(t, now))
		return;
	t->stats.bytes_out += out;
	t->stats.bytes_back += back;
	if (second != NULL)
		second->bytes += out + back;
}

void
load_thread_on_connected(struct load_thread *t, struct load_flow *flow)
{
	uint64_t now = uv_hrtime();

	t->connecting--;
	flow->moved_ns = now;
	if (counts(t, flow->connect_ns))
		histogram_record(&t->stats.kinds[flow->kind].connect,
		    now - flow->connect_ns);
	open_more(t);
}

void
load_thread_on_greeted(struct load_thread *t, struct load_flow *flow)
{
	if (counts(t, flow->connect_ns))
		histogram_record(&t->stats.kinds[flow->kind].greeting,
		    flow->moved_ns - flow->connect_ns);
}

static void
count_done(struct load_thread *t, struct load_flow *flow)
{
	struct load_kind_stats *kind = &t->stats.kinds[flow->kind];
	uint64_t now = uv_hrtime();
	uint64_t took = now - flow->due_ns;
	struct load_second *second = current_second(t, now);

	if (!counts(t, flow->due_ns))
		return;
	kind->done++;
	t->last_done_ns = now;
	if (!holds_flows(t))
		histogram_record(&kind->latency, took);
	if (second == NULL)
		return;
	second->done++;
	histogram_record(&second->latency, took);
}

/* Held flows: the time begins when the last one is there or known lost. */
static void
run_if_all_held(struct load_thread *t)
{
	const struct load_plan *plan = t->plan;

	if (t->phase != PHASE_RAMPING ||
	    atomic_load(&t->held) + t->lost < t->flow_count)
		return;
	t->phase = PHASE_RUNNING;
	t->cpu_from_ns = 0;
	t->schedule = load_schedule_make(
	    uv_hrtime(), 0, 0, 0, plan->duration_s, t->number, plan->threads);
}

void
load_thread_on_waiting(struct load_thread *t, struct load_flow *flow)
{
	if (talk_is_over(&flow->talk))
		count_done(t, flow);
	if (holds_flows(t) && !talk_is_over(&flow->talk)) {
		histogram_record(&t->stats.kinds[flow->kind].latency,
		    flow->moved_ns - flow->connect_ns);
		atomic_fetch_add(&t->held, 1);
		run_if_all_held(t);
	} else if (keeps_connections(t)) {
		flow_is_free(t, flow);
	} else if (talk_awaits_fin(&flow->talk)) {
		load_flow_await_fin(flow);
	} else {
		load_flow_close(flow);
	}
}

void
load_thread_on_failed(struct load_thread *t, struct load_flow *flow,
    enum load_failure failure, const char *text)
{
	uint64_t now = uv_hrtime();
	struct load_second *second = current_second(t, now);

	/* A waiting flow is in the list, except a held one. */
	if (flow->state == LOAD_FLOW_WAITING && !holds_flows(t))
		TAILQ_REMOVE(&t->free_flows, flow, entry);
	if (flow->state == LOAD_FLOW_WAITING && holds_flows(t))
		atomic_fetch_sub(&t->held, 1);
	if (flow->state == LOAD_FLOW_CLOSED ||
	    flow->state == LOAD_FLOW_CONNECTING)
		t->connecting--;
	if (holds_flows(t))
		t->lost++;
	flow->rest_until_ns = now + REST_NS;
	load_stats_fail(&t->stats, flow->kind, failure, text);
	if (second != NULL)
		second->failed++;
	run_if_all_held(t);
	open_more(t);
}

void
load_thread_on_closed(struct load_thread *t, struct load_flow *flow)
{
	t->open--;
	if (holds_flows(t) || t->phase >= PHASE_DRAINING)
		end_if_drained(t);
	else if (flow->rest_until_ns > uv_hrtime())
		TAILQ_INSERT_TAIL(&t->resting, flow, entry);
	else
		flow_is_free(t, flow);
}

static int
init_loop(struct load_thread *t)
{
	int error = uv_loop_init(&t->loop);

	if (error != 0)
		return error;
	t->due_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (t->due_fd == -1)
		return -errno;
	error = uv_poll_init(&t->loop, &t->due, t->due_fd);
	if (error == 0)
		error = uv_poll_start(&t->due, UV_READABLE, on_due);
	if (error == 0)
		error = uv_async_init(&t->loop, &t->stop, on_stop);
	if (error == 0)
		error = uv_timer_init(&t->loop, &t->tick);
	if (error == 0)
		error = uv_timer_start(&t->tick, on_tick, TICK_MS, TICK_MS);
	t->due.data = t->stop.data = t->tick.data = t;
	return error;
}

int
load_thread_init(struct load_thread *t, const struct load_plan *plan,
    unsigned number, uint64_t now_ns, uv_async_t *on_ended)
{
	uint64_t flows = plan->flows / plan->threads;

	memset(t, 0, sizeof(*t));
	t->plan = plan;
	t->number = number;
	t->on_ended = on_ended;
	t->phase = load_plan_holds(plan) ? PHASE_RAMPING : PHASE_RUNNING;
	t->flow_count = flows + (number < plan->flows % plan->threads ? 1 : 0);
	t->schedule = load_schedule_make(now_ns, plan->rate, plan->units,
	    plan->warm_up_s, plan->duration_s, number, plan->threads);
	t->second_count =
	    plan->units != 0 ? SECONDS_MAX : (uint64_t)plan->duration_s + 1;
	TAILQ_INIT(&t->free_flows);
	TAILQ_INIT(&t->resting);
	load_stats_init(&t->stats);
	t->flows = calloc(t->flow_count, sizeof(*t->flows));
	t->seconds = calloc(t->second_count, sizeof(struct load_second *));
	t->buffer = malloc(LOAD_BUFFER_SIZE);
	if (t->flows == NULL || t->seconds == NULL || t->buffer == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < t->flow_count; i++) {
		t->flows[i].thread = t;
		t->flows[i].source = (unsigned)flow_number(t, &t->flows[i]);
	}
	return init_loop(t);
}

static void
run_thread(void *arg)
{
	struct load_thread *t = arg;

	open_more(t);
	uv_run(&t->loop, UV_RUN_DEFAULT);
	atomic_store(&t->has_ended, true);
	uv_async_send(t->on_ended);
}

int
load_thread_start(struct load_thread *t)
{
	return uv_thread_create(&t->id, run_thread, t);
}

void
load_thread_interrupt(struct load_thread *t)
{
	atomic_store(&t->is_interrupted, true);
	uv_async_send(&t->stop);
}

void
load_thread_join(struct load_thread *t)
{
	uv_thread_join(&t->id);
}

void
load_thread_fini(struct load_thread *t)
{
	uv_loop_close(&t->loop);
	close(t->due_fd);
	for (uint64_t i = 0; i < t->second_count; i++)
		free(t->seconds[i]);
	free(t->seconds);
	free(t->flows);
	free(t->buffer);
}

double
load_thread_busy(const struct load_thread *t)
{
	if (t->cpu_until_ns == 0 || t->cpu_wall_ns == 0)
		return 0;
	return (double)(t->cpu_until_ns - t->cpu_from_ns) /
	       (double)t->cpu_wall_ns;
}
