/*
 * The health check schedule. Owns one struct check per slot, one timer for
 * all of them, and the probes under way.
 *
 * Every check waits for exactly one moment at a time: the next check is due,
 * or the one under way times out. One tree sorted by that moment feeds the
 * one timer, so that nothing wakes up without something to do.
 */
#include "health/checker.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "health/http_client.h"
#include "health/probe.h"
#include "health/probe_socket.h"

#define MAX_INFLIGHT_DEFAULT 256
/* New slots, and checks missed in a stall, are spread over this much. */
#define SPREAD_MS_MAX 1000
/* A tick this late means that the whole process stood still. */
#define STALL_MS_MIN 500
/* 2^32 divided by the golden ratio: multiples of it, modulo 2^32, are spread
 * evenly however many there are. */
#define GOLDEN_STEP UINT32_C(2654435769)

/*
 * Check states
 *
 *       due            free descriptor              result
 * IDLE -----> WAITING ----------------> RUNNING --------------> IDLE
 *   ^            |  blocked, or no socket: result at once         |
 *   '------------'------------------------------------------------'
 *
 * IDLE and RUNNING checks are in by_time, WAITING ones in the queue.
 */
enum check_state {
	CHECK_IDLE,
	CHECK_WAITING,
	CHECK_RUNNING,
};

struct check {
	struct checker *checker;
	uint32_t slot;
	struct check_spec spec;
	enum check_state state;
	uint32_t phase;      /* of the interval, in 1/2^32 */
	uint64_t at_ms;      /* IDLE: due, RUNNING: deadline */
	uint64_t started_ms; /* of the latest check */
	uint64_t started_ns; /* the same, for the time it took */
	uint64_t generation; /* tells this start from all others */
	uint32_t timeout_ms; /* of the check under way */
	struct probe *probe; /* RUNNING only, NULL until connecting */
	RB_ENTRY(check) slot_entry;
	RB_ENTRY(check) time_entry;
	TAILQ_ENTRY(check) waiting_entry;
};

RB_HEAD(check_slots, check);
RB_HEAD(check_times, check);
TAILQ_HEAD(check_queue, check);

struct checker {
	uv_loop_t *loop;
	uv_timer_t timer;
	void *owner;
	checker_started_cb started;
	checker_result_cb result;
	struct check_slots by_slot;
	struct check_times by_time;
	struct check_queue waiting; /* oldest first */
	uint32_t inflight, max_inflight;
	uint64_t timer_ms; /* what the timer is set to, 0 = stopped */
	uint64_t stall_end_ms, stall_ms; /* the latest stall, 0 = none */
	uint64_t batch_ms;               /* slots added since then ... */
	uint32_t batch_spread;           /* ... are spread from here on */
	uint32_t next_phase;
	uint64_t generations;
	struct http_client *http; /* NULL until the first HTTP check */
	struct source_addresses source_addresses;
	bool destroyed;
};

static int
compare_slots(const struct check *a, const struct check *b)
{
	return (a->slot > b->slot) - (a->slot < b->slot);
}

static int
compare_times(const struct check *a, const struct check *b)
{
	if (a->at_ms != b->at_ms)
		return a->at_ms < b->at_ms ? -1 : 1;
	return compare_slots(a, b);
}

/* RB_GENERATE_STATIC of libbsd wants its own cdefs, which clash with libc's. */
#define TREE static __attribute__((unused))
RB_GENERATE_INTERNAL(check_slots, check, slot_entry, compare_slots, TREE)
RB_GENERATE_INTERNAL(check_times, check, time_entry, compare_times, TREE)
#undef TREE

static void set_timer(struct checker *c);
static void start_waiting(struct checker *c);

static uint64_t
scale(uint32_t fraction, uint32_t span)
{
	return (uint64_t)fraction * span >> 32;
}

static uint32_t
spread_ms(const struct check *check)
{
	return check->spec.interval_ms < SPREAD_MS_MAX ? check->spec.interval_ms
						       : SPREAD_MS_MAX;
}

/* The first moment of the check's phase at or after from_ms. */
static uint64_t
phase_at_or_after(const struct check *check, uint64_t from_ms)
{
	uint64_t interval_ms = check->spec.interval_ms;
	uint64_t offset_ms = scale(check->phase, check->spec.interval_ms);
	uint64_t past_ms;

	past_ms =
	    (from_ms % interval_ms + interval_ms - offset_ms) % interval_ms;
	return past_ms == 0 ? from_ms : from_ms + interval_ms - past_ms;
}

/*
 * Keeps the phase whatever delayed the last check, and drops the checks that
 * were missed meanwhile. Half an interval at least lies between two checks:
 * the first one comes off phase.
 */
static uint64_t
next_due_ms(const struct check *check, uint64_t now_ms)
{
	uint64_t from_ms = check->started_ms + check->spec.interval_ms / 2;

	return phase_at_or_after(
	    check, from_ms > now_ms ? from_ms : now_ms + 1);
}

static void
schedule(struct check *check, enum check_state state, uint64_t at_ms)
{
	check->state = state;
	check->at_ms = at_ms;
	RB_INSERT(check_times, &check->checker->by_time, check);
}

/* Takes the check out of whatever it is in; a probe ends without a word. */
static void
unschedule(struct check *check)
{
	struct checker *c = check->checker;

	if (check->state == CHECK_WAITING) {
		TAILQ_REMOVE(&c->waiting, check, waiting_entry);
		return;
	}
	RB_REMOVE(check_times, &c->by_time, check);
	if (check->state == CHECK_IDLE)
		return;
	c->inflight--;
	if (check->probe != NULL)
		check->probe->ops->close(check->probe);
	check->probe = NULL;
}

static struct check *
find_check(struct checker *c, uint32_t slot)
{
	struct check key = {.slot = slot};

	return RB_FIND(check_slots, &c->by_slot, &key);
}

/*
 * Ends the check under way. The callback may remove this check or destroy the
 * checker: nobody touches the check afterwards.
 */
static void
end_check(struct check *check, enum probe_result result, const char *detail)
{
	struct checker *c = check->checker;
	uint64_t elapsed_us = (uv_hrtime() - check->started_ns) / 1000;

	unschedule(check);
	schedule(check, CHECK_IDLE, next_due_ms(check, uv_now(c->loop)));
	c->result(c->owner, check->slot, result, detail, elapsed_us);
}

static void
on_probe_done(void *owner, const struct probe_end *end)
{
	struct check *check = owner;
	struct checker *c = check->checker;

	check->probe = NULL; /* it has closed itself */
	end_check(check, end->result, end->detail);
	if (c->destroyed)
		return;
	start_waiting(c);
	set_timer(c);
}

/* Did the process stand still for much of the check's time? The answer to a
 * timeout is then unknown, not bad. */
static bool
stalled_during(const struct check *check)
{
	const struct checker *c = check->checker;

	return c->stall_end_ms > check->started_ms &&
	       c->stall_ms > STALL_MS_MIN &&
	       c->stall_ms > check->timeout_ms / 2;
}

static void
time_out(struct check *check)
{
	struct probe_end end;

	/* Timers run before I/O: the answer may be there, unseen. */
	check->probe->ops->give_up(check->probe, &end);
	if (end.timed_out && stalled_during(check))
		end_check(check, PROBE_VOID,
		    "timed out while nlbd itself was stalled");
	else
		end_check(check, end.result, end.detail);
}

static int
start_probe(struct check *check)
{
	static int (*const starts[CHECK_PROTOCOLS])(
	    const struct probe_env *env, struct probe **out) = {
	    [CHECK_TCP] = probe_tcp_start,
	    [CHECK_HTTP] = probe_http_start,
	    [CHECK_HTTPS] = probe_http_start,
	    [CHECK_SMTP] = probe_smtp_start,
	};
	const struct probe_env env = {
	    .loop = check->checker->loop,
	    .http = &check->checker->http,
	    .spec = &check->spec,
	    .source_addresses = &check->checker->source_addresses,
	    .done = on_probe_done,
	    .owner = check,
	};

	return starts[check->spec.protocol](&env, &check->probe);
}

static void
start_check(struct check *check)
{
	struct checker *c = check->checker;
	uint64_t generation = ++c->generations;
	uint64_t now_ms = uv_now(c->loop);
	uint32_t slot = check->slot;
	struct probe_end end;
	int error;

	TAILQ_REMOVE(&c->waiting, check, waiting_entry);
	check->generation = generation;
	check->started_ms = now_ms;
	check->started_ns = uv_hrtime();
	check->timeout_ms = check->spec.timeout_ms;
	c->inflight++;
	schedule(check, CHECK_RUNNING, now_ms + check->timeout_ms);

	c->started(c->owner, slot);
	/* The callback may have removed, changed or re-added the slot. */
	if (c->destroyed)
		return;
	check = find_check(c, slot);
	if (check == NULL || check->generation != generation)
		return;
	if (check->spec.blocked) {
		end_check(check, PROBE_FAILURE,
		    "blocked by the security group's outbound rules");
		return;
	}
	error = start_probe(check);
	if (error != 0) {
		probe_socket_judge(error, &end);
		end_check(check, end.result, end.detail);
	}
}

static void
start_waiting(struct checker *c)
{
	while (!c->destroyed && c->inflight < c->max_inflight &&
	       !TAILQ_EMPTY(&c->waiting))
		start_check(TAILQ_FIRST(&c->waiting));
}

/* One check whose moment has come. */
static void
run_due(struct check *check, bool stalled)
{
	struct checker *c = check->checker;

	if (check->state == CHECK_RUNNING) {
		time_out(check);
		return;
	}
	RB_REMOVE(check_times, &c->by_time, check);
	if (stalled) {
		/* Everything is due at once now; do not herd. */
		schedule(check, CHECK_IDLE,
		    uv_now(c->loop) + 1 +
			scale(check->phase, spread_ms(check)));
		return;
	}
	check->state = CHECK_WAITING;
	TAILQ_INSERT_TAIL(&c->waiting, check, waiting_entry);
}

static void
on_timer(uv_timer_t *timer)
{
	struct checker *c = timer->data;
	uint64_t now_ms = uv_now(c->loop);
	uint64_t late_ms = now_ms - c->timer_ms;
	bool stalled = late_ms > STALL_MS_MIN;
	struct check *check;

	c->timer_ms = 0;
	if (stalled) {
		c->stall_end_ms = now_ms;
		c->stall_ms = late_ms;
	}
	while ((check = RB_MIN(check_times, &c->by_time)) != NULL &&
	       check->at_ms <= now_ms) {
		run_due(check, stalled);
		if (c->destroyed)
			return;
	}
	start_waiting(c);
	if (!c->destroyed)
		set_timer(c);
}

static void
set_timer(struct checker *c)
{
	const struct check *first = RB_MIN(check_times, &c->by_time);
	uint64_t now_ms = uv_now(c->loop);
	uint64_t at_ms = UINT64_MAX;

	if (first != NULL)
		at_ms = first->at_ms;
	/* Room was made from outside the loop's callbacks. */
	if (!TAILQ_EMPTY(&c->waiting) && c->inflight < c->max_inflight)
		at_ms = now_ms;
	if (at_ms == UINT64_MAX) {
		c->timer_ms = 0;
		uv_timer_stop(&c->timer);
		return;
	}
	if (at_ms < now_ms)
		at_ms = now_ms; /* lateness counts from here */
	if (at_ms == c->timer_ms)
		return;
	c->timer_ms = at_ms;
	uv_timer_start(&c->timer, on_timer, at_ms - now_ms, 0);
}

int
checker_create(uv_loop_t *loop, void *owner, checker_started_cb started,
    checker_result_cb result, struct checker **out)
{
	struct checker *c;
	int error;

	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	error = uv_timer_init(loop, &c->timer);
	if (error != 0) {
		free(c);
		return error;
	}
	c->timer.data = c;
	c->loop = loop;
	c->owner = owner;
	c->started = started;
	c->result = result;
	c->max_inflight = MAX_INFLIGHT_DEFAULT;
	RB_INIT(&c->by_slot);
	RB_INIT(&c->by_time);
	TAILQ_INIT(&c->waiting);
	/* Nodes of a fleet that start together differ in phase. */
	c->next_phase =
	    (uint32_t)hash_mix(uv_hrtime() ^ ((uint64_t)getpid() << 40));
	*out = c;
	return 0;
}

/* The first check: at once for a slot that comes alone. */
static uint64_t
first_due_ms(struct checker *c, const struct check *check, uint64_t now_ms)
{
	if (c->batch_ms == 0 || now_ms - c->batch_ms > SPREAD_MS_MAX) {
		c->batch_ms = now_ms;
		c->batch_spread = 0;
	}
	now_ms += 1 + scale(c->batch_spread, spread_ms(check));
	c->batch_spread += GOLDEN_STEP;
	return now_ms;
}

static int
add_check(struct checker *c, uint32_t slot, const struct check_spec *spec)
{
	struct check *check;

	check = calloc(1, sizeof(*check));
	if (check == NULL)
		return -ENOMEM;
	check->checker = c;
	check->slot = slot;
	check->spec = *spec;
	check->phase = c->next_phase;
	c->next_phase += GOLDEN_STEP;
	RB_INSERT(check_slots, &c->by_slot, check);
	schedule(check, CHECK_IDLE, first_due_ms(c, check, uv_now(c->loop)));
	return 0;
}

static void
change_check(struct check *check, const struct check_spec *spec)
{
	struct checker *c = check->checker;
	uint32_t old_interval_ms = check->spec.interval_ms;
	uint64_t now_ms = uv_now(c->loop);
	uint64_t due_ms;

	if (!check_spec_asks_same(spec, &check->spec)) {
		unschedule(check);
		check->spec = *spec;
		check->generation = 0;
		schedule(check, CHECK_IDLE, first_due_ms(c, check, now_ms));
		return;
	}
	check->spec = *spec;
	if (spec->interval_ms == old_interval_ms || check->state != CHECK_IDLE)
		return;
	/* From 300 s down to 5 s: nobody waits for the old 300. */
	due_ms = phase_at_or_after(check, now_ms + 1);
	if (due_ms < check->at_ms) {
		unschedule(check);
		schedule(check, CHECK_IDLE, due_ms);
	}
}

int
checker_set(struct checker *c, uint32_t slot, const struct check_spec *spec)
{
	struct check *check;
	int error = 0;

	if (!check_spec_is_sound(spec))
		return -EINVAL;
	/* Outside uv_run the loop's time may be old, and what is measured
	 * from it would look like a stall. */
	uv_update_time(c->loop);
	check = find_check(c, slot);
	if (check == NULL)
		error = add_check(c, slot, spec);
	else
		change_check(check, spec);
	set_timer(c);
	return error;
}

static void
free_check(struct check *check)
{
	unschedule(check);
	RB_REMOVE(check_slots, &check->checker->by_slot, check);
	free(check);
}

void
checker_remove(struct checker *c, uint32_t slot)
{
	struct check *check = find_check(c, slot);

	if (check == NULL)
		return;
	free_check(check);
	set_timer(c);
}

void
checker_set_max_inflight(struct checker *c, uint32_t max)
{
	c->max_inflight = max == 0 ? MAX_INFLIGHT_DEFAULT : max;
	set_timer(c);
}

void
checker_set_source_addresses(
    struct checker *c, const struct conf_load_balancer *lb)
{
	source_addresses_set(&c->source_addresses, lb);
}

static void
on_checker_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
checker_destroy(struct checker *c)
{
	struct check *check;

	if (c == NULL)
		return;
	while ((check = RB_ROOT(&c->by_slot)) != NULL)
		free_check(check);
	http_client_destroy(c->http);
	c->destroyed = true;
	uv_close((uv_handle_t *)&c->timer, on_checker_closed);
}
