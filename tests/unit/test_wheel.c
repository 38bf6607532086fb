/* worker/wheel: deadlines that fire late by a tick at most, never early. */
#include "worker/wheel.h"

#include "support/expect.h"

struct timer {
	struct wheel_entry entry;
	uint64_t at_ms;
	unsigned fired;
	uint64_t fired_at_ms;
	bool again; /* puts itself back */
};

struct clock {
	struct wheel wheel;
	uint64_t now_ms;
	unsigned fired;
};

static void
fire(void *arg, struct wheel_entry *e)
{
	struct clock *c = arg;
	struct timer *t = (struct timer *)e;

	c->fired++;
	/* As flows do: too early is put back. */
	if (t->at_ms > c->now_ms) {
		wheel_add(&c->wheel, e, t->at_ms);
		return;
	}
	t->fired++;
	t->fired_at_ms = c->now_ms;
	if (t->again) {
		t->at_ms = c->now_ms + 1000;
		wheel_add(&c->wheel, e, t->at_ms);
	}
}

static void
advance(struct clock *c, uint64_t now_ms)
{
	c->now_ms = now_ms;
	wheel_advance(&c->wheel, now_ms, fire, c);
}

static void
start(struct clock *c, uint64_t now_ms)
{
	c->now_ms = now_ms;
	c->fired = 0;
	wheel_init(&c->wheel, now_ms);
}

static void
add(struct clock *c, struct timer *t, uint64_t at_ms)
{
	*t = (struct timer){.at_ms = at_ms};
	wheel_add(&c->wheel, &t->entry, at_ms);
}

static void
no_deadline_fires_early_or_more_than_a_tick_late(void **state)
{
	static struct clock c;
	static struct timer timers[1000];

	(void)state;
	start(&c, 1000003);
	for (size_t i = 0; i < 1000; i++)
		add(&c, &timers[i], c.now_ms + i * 37);
	for (uint64_t ms = 1; ms < 40000; ms++)
		advance(&c, 1000003 + ms);
	for (size_t i = 0; i < 1000; i++) {
		assert_u64(timers[i].fired, 1);
		assert_u64_between(timers[i].fired_at_ms, timers[i].at_ms,
		    timers[i].at_ms + WHEEL_TICK_MS);
	}
	assert_u64(c.wheel.n_entries, 0);
}

static void
a_deadline_in_the_past_fires_at_the_next_tick(void **state)
{
	static struct clock c;
	struct timer t;

	(void)state;
	start(&c, WHEEL_TICK_MS * 10);
	add(&c, &t, 5);
	advance(&c, WHEEL_TICK_MS * 11 - 1);
	assert_u64(t.fired, 0);
	advance(&c, WHEEL_TICK_MS * 11);
	assert_u64(t.fired, 1);
}

static void
a_deadline_beyond_one_round_fires_once_at_its_time(void **state)
{
	static struct clock c;
	struct timer t;
	const uint64_t round = (uint64_t)WHEEL_SLOTS * WHEEL_TICK_MS;
	uint64_t ms;

	(void)state;
	start(&c, 0);
	add(&c, &t, 3 * round + 500);
	for (ms = 0; t.fired == 0 && ms < 5 * round; ms += 100)
		advance(&c, ms);
	assert_u64_between(t.fired_at_ms, 3 * round + 500,
	    3 * round + 500 + WHEEL_TICK_MS + 100);
	/* Asked once a round, not once a tick. */
	assert_u64_between(c.fired, 2, 5);
}

static void
after_a_long_stall_every_entry_fires_once(void **state)
{
	static struct clock c;
	static struct timer timers[100];

	(void)state;
	start(&c, 0);
	for (size_t i = 0; i < 100; i++)
		add(&c, &timers[i], i * 5000);
	advance(&c, UINT64_C(100) * WHEEL_SLOTS * WHEEL_TICK_MS);
	for (size_t i = 0; i < 100; i++)
		assert_u64(timers[i].fired, 1);
}

static void
an_entry_may_put_itself_back_while_it_fires(void **state)
{
	static struct clock c;
	struct timer t;

	(void)state;
	start(&c, 0);
	add(&c, &t, 1000);
	t.again = true;
	for (uint64_t ms = 0; ms <= 10000; ms += 10)
		advance(&c, ms);
	assert_u64_between(t.fired, 8, 10);
	assert_u64(c.wheel.n_entries, 1);
	wheel_remove(&c.wheel, &t.entry);
}

static void
a_removed_entry_does_not_fire(void **state)
{
	static struct clock c;
	struct timer a, b, d;

	(void)state;
	start(&c, 0);
	add(&c, &a, 1000);
	add(&c, &b, 1000);
	add(&c, &d, 1000);
	wheel_remove(&c.wheel, &b.entry);
	assert_u64(c.wheel.n_entries, 2);
	advance(&c, 2000);
	assert_u64(a.fired, 1);
	assert_u64(b.fired, 0);
	assert_u64(d.fired, 1);
}

static void
an_empty_wheel_keeps_up_with_the_clock(void **state)
{
	static struct clock c;
	struct timer t;

	(void)state;
	start(&c, 0);
	advance(&c, 1000000000);
	assert_i64(wheel_next_ms(&c.wheel, c.now_ms), -1);
	add(&c, &t, c.now_ms + 300);
	assert_i64(
	    (wheel_next_ms(&c.wheel, c.now_ms) - 300) / WHEEL_TICK_MS, 0);
	advance(&c, c.now_ms + 299);
	assert_u64(t.fired, 0);
}

/* The naive answer, for all states the wheel passes through. */
static void
next_ms_is_the_first_entry_through_adds_and_removes(void **state)
{
	static struct clock c;
	static struct timer timers[64];
	bool in[64] = {false};
	uint32_t x = 12345;

	(void)state;
	start(&c, 777);
	for (int step = 0; step < 20000; step++) {
		uint64_t first = UINT64_MAX;
		size_t i;
		int next;

		x = x * 1664525 + 1013904223;
		i = (x >> 10) % 64;
		in[i] = !(in[i] && timers[i].fired == 0);
		if (in[i])
			add(&c, &timers[i], c.now_ms + (x >> 16) % 400000);
		else
			wheel_remove(&c.wheel, &timers[i].entry);
		for (size_t k = 0; k < 64; k++)
			if (in[k] && timers[k].fired == 0 &&
			    timers[k].at_ms < first)
				first = timers[k].at_ms;
		next = wheel_next_ms(&c.wheel, c.now_ms);
		if (first == UINT64_MAX) {
			assert_i64(next, -1);
		} else {
			uint64_t wait = first > c.now_ms ? first - c.now_ms : 0;

			assert_u64_between((uint64_t)next,
			    wait > WHEEL_TICK_MS ? wait : 0,
			    wait + WHEEL_TICK_MS);
		}
		advance(&c, c.now_ms + (x >> 8) % 300);
	}
}

int
main(void)
{
	const struct CMUnitTest wheel[] = {
	    cmocka_unit_test(no_deadline_fires_early_or_more_than_a_tick_late),
	    cmocka_unit_test(a_deadline_in_the_past_fires_at_the_next_tick),
	    cmocka_unit_test(
		a_deadline_beyond_one_round_fires_once_at_its_time),
	    cmocka_unit_test(after_a_long_stall_every_entry_fires_once),
	    cmocka_unit_test(an_entry_may_put_itself_back_while_it_fires),
	    cmocka_unit_test(a_removed_entry_does_not_fire),
	    cmocka_unit_test(an_empty_wheel_keeps_up_with_the_clock),
	    cmocka_unit_test(
		next_ms_is_the_first_entry_through_adds_and_removes),
	};

	return cmocka_run_group_tests(wheel, NULL, NULL);
}
