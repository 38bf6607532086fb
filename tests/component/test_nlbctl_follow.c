/*
 * The verbs of nlbctl that follow nlbd: what they show, what they miss and
 * say so, and how they end.
 */
#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "nlbctl_fixture.h"
#include "support/expect.h"

/* In the server's process: what happens between two questions. */
static void (*ask_status)(void *, struct admin_status *);
static void (*happens)(struct admin_fake *, int n);

static void
status_between_questions(void *owner, struct admin_status *out)
{
	static int n;

	ask_status(owner, out);
	happens(owner, ++n);
}

static void
between_questions(
    struct admin_fake *fake, void (*what)(struct admin_fake *, int n))
{
	ask_status = fake->ops.status;
	happens = what;
	fake->ops.status = status_between_questions;
}

static void
add_events(struct admin_fake *fake, int n)
{
	char text[32];

	for (int i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "event %d",
		    (int)fake->events.last_id + 1);
		admin_fake_event(fake,
		    1785578400000 + fake->events.last_id * 1000,
		    fake->events.last_id % 2 == 0 ? EVENT_SERVING
						  : EVENT_FAIL_OPEN_BEGAN,
		    text);
	}
}

/* Ctrl-C for who asks: the test, which runs nlbctl in its own process. */
static void
interrupt(void)
{
	kill(getppid(), SIGINT);
}

/* ---- events ----------------------------------------------------------- */

static void
three_events(struct admin_fake *fake)
{
	add_events(fake, 2);
	admin_fake_event(
	    fake, 1785578402000, EVENT_RELOAD_REJECTED, "bad\033[2J");
}

static void
events_are_a_list_of_what_is_kept(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, three_events);
	assert_i64(nlbctl_run_words(f, "events"), EX_OK);
	assert_str(f->out,
	    "2026-08-01T10:00:00Z notice  serving: event 1\n"
	    "2026-08-01T10:00:01Z warning fail-open-began: event 2\n"
	    "2026-08-01T10:00:02Z error   reload-rejected: bad\\x1b[2J\n");
	assert_i64(
	    nlbctl_run_words(f, "events --since 2026-08-01T10:00:02Z -o json"),
	    EX_OK);
	assert_null(strstr(f->out, "event 2"));
	assert_contains(f->out, "\"id\": 3,\n");
	assert_i64(nlbctl_run_words(f, "events --since 2026-08-02"), EX_OK);
	assert_str(f->out, "No events.\n");
	assert_str(f->err, "");
	assert_i64(
	    nlbctl_run_words(f, "events --event fail-open-began"), EX_OK);
	assert_str(
	    f->out, "2026-08-01T10:00:01Z warning fail-open-began: event 2\n");
	assert_i64(nlbctl_run_words(f, "events --event servign"), EX_USAGE);
	assert_str(f->err,
	    "nlbctl: there is no event 'servign'; did you mean 'serving'?\n"
	    "nlbctl: `nlbctl explain` lists all codes\n");
	assert_i64(nlbctl_run_words(f, "events --since later"), EX_USAGE);
	assert_contains(f->err, "nlbctl: --since is a time in UTC");
}

static void
many_events(struct admin_fake *fake)
{
	add_events(fake, EVENTS_MAX + 5);
}

static void
events_that_are_no_longer_kept_are_missed_aloud(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, many_events);
	assert_i64(nlbctl_run_words(f, "events --since 2026-08-01"), EX_OK);
	assert_contains(
	    f->err, "events before 2026-08-01T10:00:05Z are not kept here");
	assert_i64(
	    nlbctl_run_words(f, "events --since 2026-08-01T10:01:00Z"), EX_OK);
	assert_str(f->err, "");
}

static void
one_by_one(struct admin_fake *fake, int n)
{
	if (n <= 3)
		add_events(fake, 1);
	else
		interrupt();
}

static void
follow_one_by_one(struct admin_fake *fake)
{
	add_events(fake, 20);
	between_questions(fake, one_by_one);
}

static void
following_goes_on_without_gaps_or_repeats(void **state)
{
	struct nlbctl_fixture *f = *state;
	char *line;

	nlbctl_start_server(f, follow_one_by_one);
	assert_i64(nlbctl_run_words(f, "events --follow"), EX_OK);
	assert_str(f->err, "");
	line = f->out;
	for (int i = 11; i <= 23; i++) {
		char want[32];

		snprintf(want, sizeof(want), " event %d\n", i);
		assert_contains(line, want);
		line = strchr(line, '\n') + 1;
		assert_i64(strncmp(line - strlen(want), want, strlen(want)), 0);
	}
	assert_str(line, "");
}

static void
a_flood(struct admin_fake *fake, int n)
{
	if (n == 1)
		add_events(fake, EVENTS_MAX + 7);
	else
		interrupt();
}

static void
follow_a_flood(struct admin_fake *fake)
{
	add_events(fake, 1);
	between_questions(fake, a_flood);
}

static void
following_says_what_it_lost(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, follow_a_flood);
	assert_i64(nlbctl_run_words(f, "events -f -o json"), EX_OK);
	assert_contains(f->err, "nlbctl: 7 records are lost, ");
	assert_contains(f->out, "\"message\":\"event 1\"}\n"
				"{\"notice\":\"lost\",\"count\":7}\n"
				"{\"id\":9,");
}

static void
a_restart(struct admin_fake *fake, int n)
{
	if (n == 1) {
		fake->status.start_ms++;
		fake->events.last_id = 0;
		add_events(fake, 2);
	} else if (n == 3) {
		interrupt();
	}
}

static void
follow_a_restart(struct admin_fake *fake)
{
	add_events(fake, 2);
	between_questions(fake, a_restart);
}

static void
following_knows_another_nlbd_by_its_start(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, follow_a_restart);
	assert_i64(nlbctl_run_words(f, "events -f -o json"), EX_OK);
	assert_contains(f->err, "nlbctl: nlbd was restarted: ");
	assert_contains(f->out, "\"message\":\"event 2\"}\n"
				"{\"notice\":\"restarted\"}\n{\"id\":1,");
}

static void
following_nobody_ends_at_once(void **state)
{
	struct nlbctl_fixture *f = *state;

	assert_i64(nlbctl_run_words(f, "events --follow"), EX_UNAVAILABLE);
	assert_contains(f->err, "nlbctl: cannot reach nlbd at ");
	assert_str(f->out, "");
}

/* ---- flows ------------------------------------------------------------ */

/* The first flow began, the second one ended; the last never had a target. */
static void
add_flows(struct admin_fake *fake)
{
	struct flow_record r[FAKE_FLOWS];

	memcpy(r, fake->flows, sizeof(r));
	r[1].state = r[2].state = FLOW_CLOSING;
	r[1].reason = FLOW_END_TARGET_FIN;
	r[2].reason = FLOW_END_CONNECT_REFUSED;
	r[2].duration_us = 1234;
	flow_ring_add(&fake->flow_ring, &r[0], "submission", "internal-smtp");
	flow_ring_add(&fake->flow_ring, &r[1], "inside", "internal-smtp");
	flow_ring_add(&fake->flow_ring, &r[2], "submission", NULL);
}

static void
flows_come_and_go(struct admin_fake *fake, int n)
{
	if (n == 1)
		add_flows(fake);
	else if (n == 3)
		interrupt();
}

static void
follow_flows_that_come_and_go(struct admin_fake *fake)
{
	add_flows(fake); /* before anybody asked: not new */
	between_questions(fake, flows_come_and_go);
}

static void
flows_show_as_they_begin_and_end(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, follow_flows_that_come_and_go);
	assert_i64(nlbctl_run_words(f, "flows --follow"), EX_OK);
	assert_str(f->err, "");
	assert_str(f->out,
	    "TIME      FLOW   CLIENT                 LISTENER      "
	    "TARGET                 TO TARGET  TO CLIENT    LASTED  END\n"
	    "10:03:12  began  203.0.113.10:40000     submission    "
	    "10.20.0.25:587         connected in 0.41 ms\n"
	    "10:01:36  ended  203.0.113.10:40001     inside        "
	    "10.20.0.26:587          188.0 kB       77 B     1m36s  "
	    "target-fin\n"
	    "10:00:00  ended  203.0.113.10:40002     submission    "
	    "-                          734 B        4 B   1.00 ms  "
	    "connect-refused\n");
}

static void
followed_flows_are_those_asked_for(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, follow_flows_that_come_and_go);
	assert_i64(
	    nlbctl_run_words(f, "flows -f -o json --listener inside --target "
				"10.20.0.26:587"),
	    EX_OK);
	assert_contains(f->out, "\"what\":\"ended\",\"end_reason\":"
				"\"target-fin\"}\n");
	assert_true(strchr(f->out, '\n') == strrchr(f->out, '\n'));
	assert_i64(nlbctl_run_words(f, "flows -f --limit 3"), EX_USAGE);
	assert_contains(f->err, "leave it out with --follow");
}

static void
lose_records(struct admin_fake *fake, int n)
{
	if (n == 1) {
		for (int i = 0; i < FLOW_RING_MAX / 3 + 1; i++)
			add_flows(fake);
		sb_add(&fake->scoreboard->blocks[0].dropped_records, 40);
	} else if (n == 2) {
		interrupt();
	}
}

static void
follow_more_flows_than_are_kept(struct admin_fake *fake)
{
	sb_add(&fake->scoreboard->blocks[0].dropped_records, 1000);
	between_questions(fake, lose_records);
}

static void
following_flows_says_what_was_lost_on_either_way(void **state)
{
	struct nlbctl_fixture *f = *state;
	char want[64];

	nlbctl_start_server(f, follow_more_flows_than_are_kept);
	assert_i64(nlbctl_run_words(f, "flows -f -o json"), EX_OK);
	snprintf(want, sizeof(want), "nlbctl: %d records are lost, ",
	    (FLOW_RING_MAX / 3 + 1) * 3 - FLOW_RING_MAX + 40);
	assert_contains(f->err, want);
	assert_contains(f->err, ": FlowLog in nlbd.ini has all that ended\n");
}

/* ---- top -------------------------------------------------------------- */

static void
a_second_passes(struct admin_fake *fake, int n)
{
	(void)n;
	fake->status.uptime_ms += 1000;
	sb_add(&fake->scoreboard->blocks[0].listeners[0].new_flows, 5);
}

static void
live(struct admin_fake *fake)
{
	add_events(fake, 1);
	between_questions(fake, a_second_passes);
}

static void
top_without_a_terminal_writes_frames(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, live);
	assert_i64(nlbctl_run_words(f, "top -n 1"), EX_OK);
	assert_contains(f->out, "smtp-submission is OK, zone healthy, up ");
	assert_contains(f->out, "\ninternal-smtp  10.20.0.25:587   healthy");
	assert_contains(f->out, "\n10:00:00 notice serving: event 1\n");
	assert_contains(f->out, "\nflows: 3 active, 5.0/s new, 0.0/s rejected");
	assert_null(strchr(f->out, '\033'));
	assert_i64(nlbctl_run_words(f, "top -n 2 -i 1 -o json"), EX_OK);
	assert_contains(f->out, "\"load_balancer\":\"smtp-submission\"");
	assert_contains(strchr(f->out, '\n'), "\"new_flows\":5.0,");
	assert_str(f->err, "");
	nlbctl_stop_server(f);
	assert_i64(nlbctl_run_words(f, "top -n 1"), EX_UNAVAILABLE);
	assert_contains(f->err, "nlbctl: cannot reach nlbd");
	assert_str(f->out, "");
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, nlbctl_setup, nlbctl_teardown)

int
main(void)
{
	const struct CMUnitTest nlbctl_follow[] = {
	    TEST(events_are_a_list_of_what_is_kept),
	    TEST(events_that_are_no_longer_kept_are_missed_aloud),
	    TEST(following_goes_on_without_gaps_or_repeats),
	    TEST(following_says_what_it_lost),
	    TEST(following_knows_another_nlbd_by_its_start),
	    TEST(following_nobody_ends_at_once),
	    TEST(top_without_a_terminal_writes_frames),
	    TEST(flows_show_as_they_begin_and_end),
	    TEST(followed_flows_are_those_asked_for),
	    TEST(following_flows_says_what_was_lost_on_either_way),
	};

	return cmocka_run_group_tests(nlbctl_follow, NULL, NULL);
}
