/*
 * What the dashboard is made of: its files, the ring of events and the ring of
 * samples.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/assets.h"
#include "admin_fixture.h"
#include "nlb/event.h"
#include "support/expect.h"

static int64_t
int_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

/* ---- files ------------------------------------------------------------ */

static void
every_file_is_served_with_its_type(void **state)
{
	struct admin_fixture *f = *state;
	char line[64], type[96];

	assert_true(assets_count >= 6);
	for (size_t i = 0; i < assets_count; i++) {
		struct admin_client *client;

		snprintf(line, sizeof(line), "HEAD %s", assets[i].path);
		client = client_ask(f, line);
		assert_i64(client_answer(f, client, NULL), 200);
		snprintf(type, sizeof(type), "Content-Type: %s\r\n",
		    assets[i].content_type);
		assert_contains(client->text, type);
		assert_contains(client->text, "script-src 'self';");
		assert_null(strstr(client->text, "unsafe"));
		snprintf(
		    type, sizeof(type), "Content-Length: %zu\r\n", assets[i].n);
		assert_contains(client->text, type);
	}
}

static void
the_page_is_at_the_root_and_names_only_files_of_its_own(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *client = client_ask(f, "GET /");

	assert_i64(client_answer(f, client, NULL), 200);
	assert_contains(client->text, "<!DOCTYPE html>");
	assert_contains(client->text, "</html>");
	assert_null(strstr(client->text, "//"));
	assert_null(strstr(client->text, " style="));
	assert_null(strstr(client->text, " on"
					 "click="));
	assert_i64(ask(f, "GET /index.html", NULL), 404);
}

/* ---- events ----------------------------------------------------------- */

static json_t *
events(struct admin_fixture *f, uint64_t since)
{
	char line[64];
	json_t *root;

	snprintf(line, sizeof(line), "GET /v1/events?since=%" PRIu64, since);
	assert_i64(ask(f, line, &root), 200);
	return root;
}

static size_t
count_events(struct admin_fixture *f, uint64_t since)
{
	json_t *root = events(f, since);
	size_t n = json_array_size(json_object_get(root, "events"));

	json_decref(root);
	return n;
}

static void
events_are_given_once_in_their_order(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *event;

	assert_u64(count_events(f, 0), 0);
	admin_fake_event(&f->fake, 1785578400000, EVENT_SERVING, "first");
	admin_fake_event(
	    &f->fake, 1785578401000, EVENT_TARGET_UNHEALTHY, "<b>\xff second");
	root = events(f, 1);
	assert_i64(int_at(root, "last_id"), 2);
	assert_i64(int_at(root, "lost"), 0);
	assert_i64(int_at(root, "start_time_ms"), 1785578100000);
	assert_u64(json_array_size(json_object_get(root, "events")), 1);
	event = json_array_get(json_object_get(root, "events"), 0);
	assert_i64(int_at(event, "id"), 2);
	assert_str(json_string_value(json_object_get(event, "time")),
	    "2026-08-01T10:00:01Z");
	assert_str(
	    json_string_value(json_object_get(event, "priority")), "warning");
	assert_str(json_string_value(json_object_get(event, "code")),
	    "target-unhealthy");
	assert_str(json_string_value(json_object_get(event, "message")),
	    "<b>? second");
	json_decref(root);
	assert_u64(count_events(f, 2), 0);
	/* Whoever asks with the number of an nlbd before this one. */
	assert_u64(count_events(f, 99), 2);
}

static void
the_oldest_events_make_room(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *first;
	char text[32];

	for (int i = 1; i <= EVENTS_MAX + 10; i++) {
		snprintf(text, sizeof(text), "event %d", i);
		admin_fake_event(&f->fake, 1, EVENT_CHANGE_ASKED, text);
	}
	assert_u64(count_events(f, 0), EVENTS_MAX);
	assert_u64(count_events(f, EVENTS_MAX + 5), 5);
	root = events(f, 3);
	first = json_array_get(json_object_get(root, "events"), 0);
	assert_str(
	    json_string_value(json_object_get(first, "message")), "event 11");
	assert_i64(int_at(root, "lost"), 7);
	json_decref(root);
}

/* ---- history ---------------------------------------------------------- */

static json_t *
history(struct admin_fixture *f, const char *query)
{
	char line[64];
	json_t *root;

	snprintf(line, sizeof(line), "GET /v1/history%s", query);
	assert_i64(ask(f, line, &root), 200);
	return root;
}

static void
a_sample_is_taken_every_five_seconds(void **state)
{
	struct admin_fixture *f = *state;
	struct sb_block *block = &f->fake.scoreboard->blocks[0];
	json_t *root, *samples, *last;

	sb_latency_add(&block->connects[0], 400);
	for (uint64_t ms = 0; ms <= 10000; ms += 250) {
		if (ms == 10000)
			sb_add(&block->listeners[0].new_flows, 6);
		history_tick(
		    &f->fake.history, &f->fake.ops, 77000 + ms, 500000 + ms);
	}
	root = history(f, "");
	assert_i64(int_at(root, "interval_seconds"), 5);
	samples = json_object_get(root, "samples");
	assert_u64(json_array_size(samples), 3);
	last = json_array_get(samples, 2);
	assert_i64(int_at(last, "time_ms"), 510000);
	assert_i64(int_at(last, "new_flows"), 1240);
	assert_i64(int_at(json_array_get(samples, 1), "new_flows"), 1234);
	assert_i64(json_integer_value(
		       json_array_get(json_object_get(last, "connects"), 0)),
	    1);
	assert_u64(json_array_size(json_object_get(root, "reasons")),
	    json_array_size(json_object_get(last, "flow_ends")));
	assert_u64(json_array_size(json_object_get(root, "connect_bounds")),
	    json_array_size(json_object_get(last, "connects")));
	json_decref(root);
	root = history(f, "?since=505000");
	assert_u64(json_array_size(json_object_get(root, "samples")), 1);
	json_decref(root);
}

static void
a_quarter_of_an_hour_is_kept(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *samples;

	for (uint64_t s = 0; s <= 3600; s += 5)
		history_tick(
		    &f->fake.history, &f->fake.ops, s * 1000, s * 1000);
	root = history_view(&f->fake.history, 2700000);
	samples = json_object_get(root, "samples");
	assert_u64(json_array_size(samples), 900 / HISTORY_INTERVAL_S);
	json_decref(root);
	root = history_view(&f->fake.history, 0);
	samples = json_object_get(root, "samples");
	assert_u64(json_array_size(samples), HISTORY_SAMPLES);
	assert_i64(int_at(json_array_get(samples, 0), "time_ms"), 2700000);
	json_decref(root);
}

static void
since_is_a_number(void **state)
{
	struct admin_fixture *f = *state;

	assert_i64(ask(f, "GET /v1/history?since=x", NULL), 400);
	assert_i64(ask(f, "GET /v1/events?since=-1", NULL), 400);
	assert_i64(ask(f, "GET /v1/events?until=1", NULL), 400);
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, admin_fixture_setup_http, admin_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest dashboard[] = {
	    TEST(every_file_is_served_with_its_type),
	    TEST(the_page_is_at_the_root_and_names_only_files_of_its_own),
	    TEST(events_are_given_once_in_their_order),
	    TEST(the_oldest_events_make_room),
	    TEST(a_sample_is_taken_every_five_seconds),
	    TEST(a_quarter_of_an_hour_is_kept),
	    TEST(since_is_a_number),
	};

	return cmocka_run_group_tests(dashboard, NULL, NULL);
}
