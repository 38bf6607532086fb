/* worker/poller: edges, and libuv as a member of the set. */
#include "worker/poller.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "tcp_peers.h"

struct item {
	struct poll_item item; /* first */
	unsigned calls;
	uint32_t events;
	struct item *removes; /* the other one of the batch */
};

struct set {
	uv_loop_t loop;
	struct poller poller;
	unsigned batches, more; /* batches that want another turn */
};

static bool
after_batch(void *arg)
{
	struct set *s = arg;

	s->batches++;
	if (s->more == 0)
		return false;
	s->more--;
	return true;
}

static void
on_event(struct poll_item *p, uint32_t events)
{
	struct item *i = (struct item *)p;

	i->calls++;
	i->events |= events;
	if (i->removes != NULL)
		i->removes->item.on_event = NULL;
}

static int
setup(void **state)
{
	struct set *s = calloc(1, sizeof(*s));

	fault_reset();
	uv_loop_init(&s->loop);
	assert_i64(poller_init(&s->poller, &s->loop, after_batch, s), 0);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct set *s = *state;

	fault_reset();
	poller_fini(&s->poller);
	assert_i64(uv_loop_close(&s->loop), 0);
	free(s);
	return 0;
}

static void
watch(struct set *s, int fd, struct item *item)
{
	*item = (struct item){.item.on_event = on_event};
	assert_i64(
	    poller_add(&s->poller, fd, POLLER_FLOW_EVENTS, &item->item), 0);
}

static void
an_edge_is_told_once_and_the_next_one_again(void **state)
{
	struct set *s = *state;
	struct item item;
	int a, b;

	peer_pair(&a, &b);
	watch(s, a, &item);
	WAIT_UNTIL((item.events & EPOLLOUT) != 0, poller_turn(&s->poller, 1));
	peer_send_all(b, "x", 1);
	item.calls = 0;
	WAIT_UNTIL(item.calls > 0, poller_turn(&s->poller, 1));
	assert_true((item.events & EPOLLIN) != 0);
	item.calls = 0;
	for (int i = 0; i < 20; i++)
		poller_turn(&s->poller, 1);
	assert_u64(item.calls, 0);
	/* Unread as it is, more bytes and FIN are edges. */
	peer_send_all(b, "y", 1);
	WAIT_UNTIL(item.calls == 1, poller_turn(&s->poller, 1));
	peer_fin(b);
	WAIT_UNTIL((item.events & EPOLLRDHUP) != 0, poller_turn(&s->poller, 1));
	close(a);
	close(b);
}

static void
a_removed_item_hears_nothing_more_of_its_batch(void **state)
{
	struct set *s = *state;
	struct item one, two;
	int a, b;

	peer_pair(&a, &b);
	watch(s, a, &one);
	watch(s, b, &two);
	/* Both are writable: one batch, and whoever is first ends both. */
	one.removes = &two;
	two.removes = &one;
	poller_turn(&s->poller, 1);
	assert_u64(one.calls + two.calls, 1);
	close(a);
	close(b);
}

/* Level-triggered: an event in every turn. */
static void
watch_written_pipe(struct set *s, struct item *item, int fds[2])
{
	*item = (struct item){.item.on_event = on_event};
	assert_i64(pipe(fds), 0);
	assert_i64(poller_add(&s->poller, fds[0], EPOLLIN, &item->item), 0);
	assert_i64(write(fds[1], "x", 1), 1);
}

static void
a_descriptor_taken_out_is_silent_and_modify_changes_interest(void **state)
{
	struct set *s = *state;
	struct item item;
	int fds[2];

	watch_written_pipe(s, &item, fds);
	poller_turn(&s->poller, 5);
	poller_turn(&s->poller, 5);
	assert_u64(item.calls, 2); /* level-triggered */
	assert_i64(poller_modify(&s->poller, fds[0], 0, &item.item), 0);
	poller_turn(&s->poller, 1);
	assert_u64(item.calls, 2);
	assert_i64(poller_modify(&s->poller, fds[0], EPOLLIN, &item.item), 0);
	poller_turn(&s->poller, 5);
	assert_u64(item.calls, 3);
	poller_remove(&s->poller, fds[0]);
	poller_turn(&s->poller, 1);
	assert_u64(item.calls, 3);
	assert_errno(
	    poller_modify(&s->poller, fds[0], EPOLLIN, &item.item), -ENOENT);
	close(fds[0]);
	close(fds[1]);
}

static void
on_timer(uv_timer_t *timer)
{
	++*(unsigned *)timer->data;
}

/* With nothing else to wake it, a libuv timer bounds the wait. */
static void
timers_of_libuv_fire_in_time(void **state)
{
	struct set *s = *state;
	unsigned fired = 0;
	uv_timer_t timer;
	uint64_t start = peer_now_ms();

	uv_timer_init(&s->loop, &timer);
	timer.data = &fired;
	uv_timer_start(&timer, on_timer, 50, 0);
	WAIT_UNTIL(fired == 1, poller_turn(&s->poller, -1));
	assert_u64_between(peer_now_ms() - start, 45, PEER_DEADLINE_MS);
	/* Two turns at most: it waited in the kernel. */
	assert_u64_between(s->batches, 1, 4);
	uv_close((uv_handle_t *)&timer, NULL);
	poller_turn(&s->poller, 0);
}

static void
on_timer_never(uv_timer_t *timer)
{
	(void)timer;
	fail_msg("an hour is over");
}

/* A loop without a handle would not wait at all. */
static void
keep_alive(struct set *s, uv_timer_t *timer)
{
	uv_timer_init(&s->loop, timer);
	uv_timer_start(timer, on_timer_never, 3600000, 0);
	poller_turn(&s->poller, 0);
}

static void
let_go(struct set *s, uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, NULL);
	poller_turn(&s->poller, 0);
}

static uint64_t
waited_ms(struct set *s, int max_wait_ms)
{
	uint64_t start = peer_now_ms();

	poller_turn(&s->poller, max_wait_ms);
	return peer_now_ms() - start;
}

static void
a_wait_ends_in_time_whatever_the_waits_before_it_were(void **state)
{
	struct set *s = *state;
	uv_timer_t timer;

	keep_alive(s, &timer);
	for (int i = 0; i < 3; i++) {
		assert_u64_between(waited_ms(s, 20), 19, PEER_DEADLINE_MS / 2);
		assert_u64_between(waited_ms(s, 40), 39, PEER_DEADLINE_MS / 2);
	}
	/* An alarm far away, left over by a wait that an event ended. */
	for (int i = 0; i < 2; i++) {
		struct item item;
		int a, b;

		peer_pair(&a, &b);
		watch(s, a, &item); /* writable: an event at once */
		assert_u64_between(
		    waited_ms(s, 3600000), 0, PEER_DEADLINE_MS / 2);
		assert_u64(item.calls, 1);
		close(a);
		close(b);
		assert_u64_between(waited_ms(s, 20), 19, PEER_DEADLINE_MS / 2);
	}
	let_go(s, &timer);
}

/* One alarm serves all waits until it is due: that is what it is for. */
static void
a_wait_that_an_event_ends_sets_no_new_alarm(void **state)
{
	struct set *s = *state;
	struct item item;
	uv_timer_t timer;
	int a, b;

	keep_alive(s, &timer);
	peer_pair(&a, &b);
	watch(s, a, &item);
	poller_turn(&s->poller, 60000);
	for (int i = 0; i < 100; i++) {
		item.calls = 0;
		peer_send_all(b, "x", 1);
		WAIT_UNTIL(item.calls > 0, poller_turn(&s->poller, 60000));
	}
	assert_u64(fault_calls(FAULT_TIMERFD_SETTIME), 1);
	close(a);
	close(b);
	let_go(s, &timer);
}

static void
an_alarm_that_cannot_be_set_is_a_timeout(void **state)
{
	struct set *s = *state;
	uv_timer_t timer;

	keep_alive(s, &timer);
	fault_set(FAULT_TIMERFD_SETTIME, 0, 1, ENOMEM);
	assert_u64_between(waited_ms(s, 20), 19, PEER_DEADLINE_MS / 2);
	assert_u64(fault_hits(FAULT_TIMERFD_SETTIME), 1);
	let_go(s, &timer);
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	char c;

	(void)status;
	(void)events;
	*(unsigned *)poll->data += (unsigned)read(0, &c, 0) + 1;
	uv_poll_stop(poll);
}

/* libuv registers a watcher when it runs next: it must run though nothing
 * happened yet. */
static void
a_watcher_of_libuv_started_between_turns_is_heard(void **state)
{
	struct set *s = *state;
	unsigned seen = 0;
	uv_poll_t poll;
	int a, b;

	peer_pair(&a, &b);
	for (int i = 0; i < 5; i++)
		poller_turn(&s->poller, 1);
	uv_poll_init(&s->loop, &poll, a);
	poll.data = &seen;
	uv_poll_start(&poll, UV_READABLE, on_readable);
	poller_turn(&s->poller, 1);
	peer_send_all(b, "x", 1);
	s->batches = 0;
	WAIT_UNTIL(seen == 1, poller_turn(&s->poller, 1000));
	assert_u64_between(s->batches, 1, 3);
	uv_close((uv_handle_t *)&poll, NULL);
	poller_turn(&s->poller, 0);
	close(a);
	close(b);
}

static void
work_left_over_does_not_wait(void **state)
{
	struct set *s = *state;
	uint64_t start = peer_now_ms();

	s->more = 10;
	poller_turn(&s->poller, 0);
	while (s->more > 0)
		poller_turn(&s->poller, 60000);
	assert_u64_between(peer_now_ms() - start, 0, 10000);
	assert_u64(s->batches, 10);
}

/* As many turns, so long after each other, as make any average of theirs; then
 * how often one more, with an event waiting, reads the clock. */
static uint64_t
readings_after_waits(struct set *s, uint64_t wait_ms)
{
	uint64_t before;

	for (int i = 0; i < 100; i++) {
		fault_skip_clock(wait_ms);
		poller_turn(&s->poller, 1000);
	}
	before = fault_clock_readings();
	poller_turn(&s->poller, 1000);
	return fault_clock_readings() - before;
}

/* An event is always waiting, and only the test lets time pass: a us with each
 * reading, so that who reads it again and again is awake. */
struct ready {
	struct item item;
	uv_timer_t timer;
	int fds[2];
};

static void
always_ready(struct set *s, struct ready *r)
{
	keep_alive(s, &r->timer);
	watch_written_pipe(s, &r->item, r->fds);
	fault_stop_clock();
	fault_step_clock(1000);
}

static void
end_ready(struct set *s, struct ready *r)
{
	let_go(s, &r->timer);
	close(r->fds[0]);
	close(r->fds[1]);
}

static void
long_waits_keep_a_poller_awake_for_3_us_and_short_ones_do_not(void **state)
{
	struct set *s = *state;
	struct ready r;

	if (!s->poller.has_company)
		skip(); /* a single processor */
	always_ready(s, &r);
	assert_u64_between(readings_after_waits(s, 0), 1, 2);
	assert_u64_between(readings_after_waits(s, 1), 1 + 3, 2 + 4);
	/* And it finds back to its work. */
	assert_u64_between(readings_after_waits(s, 0), 1, 2);
	assert_u64(r.item.calls, 303);
	end_ready(s, &r);
}

static void
a_poller_does_not_stay_awake_for_work_that_is_left_over(void **state)
{
	struct set *s = *state;
	struct ready r;

	always_ready(s, &r);
	s->more = 1000;
	assert_u64_between(readings_after_waits(s, 1), 1, 2);
	s->more = 0;
	end_ready(s, &r);
}

static void
a_poller_on_a_single_processor_never_stays_awake(void **state)
{
	struct set *s = *state;
	cpu_set_t all, one;
	struct ready r;

	assert_i64(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET((unsigned)sched_getcpu(), &one);
	assert_i64(sched_setaffinity(0, sizeof(one), &one), 0);
	poller_fini(&s->poller);
	assert_i64(poller_init(&s->poller, &s->loop, after_batch, s), 0);
	assert_i64(sched_setaffinity(0, sizeof(all), &all), 0);
	always_ready(s, &r);
	assert_u64_between(readings_after_waits(s, 1), 1, 2);
	end_ready(s, &r);
}

static void
an_item_that_cannot_be_watched_is_said(void **state)
{
	struct set *s = *state;
	struct item item = {.item.on_event = on_event};

	assert_errno(poller_add(&s->poller, -1, EPOLLIN, &item.item), -EBADF);
}

static void
a_set_that_cannot_be_made_leaves_nothing_open(void **state)
{
	struct set *s = *state;
	struct poller p;

	fault_set(FAULT_EPOLL_CTL, 0, 1, ENOMEM);
	assert_errno(poller_init(&p, &s->loop, after_batch, s), -ENOMEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest poller[] = {
	    TEST(an_edge_is_told_once_and_the_next_one_again),
	    TEST(a_removed_item_hears_nothing_more_of_its_batch),
	    TEST(a_descriptor_taken_out_is_silent_and_modify_changes_interest),
	    TEST(timers_of_libuv_fire_in_time),
	    TEST(a_wait_ends_in_time_whatever_the_waits_before_it_were),
	    TEST(a_wait_that_an_event_ends_sets_no_new_alarm),
	    TEST(an_alarm_that_cannot_be_set_is_a_timeout),
	    TEST(a_watcher_of_libuv_started_between_turns_is_heard),
	    TEST(work_left_over_does_not_wait),
	    TEST(long_waits_keep_a_poller_awake_for_3_us_and_short_ones_do_not),
	    TEST(a_poller_does_not_stay_awake_for_work_that_is_left_over),
	    TEST(a_poller_on_a_single_processor_never_stays_awake),
	    TEST(an_item_that_cannot_be_watched_is_said),
	    TEST(a_set_that_cannot_be_made_leaves_nothing_open),
	};

	return cmocka_run_group_tests(poller, NULL, NULL);
}
