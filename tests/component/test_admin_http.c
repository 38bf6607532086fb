/*
 * The admin interface on TCP: what everybody may see, what nobody may do, and
 * how much of it one client can hold up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

#define PLACES 32 /* connections at once */
#define LIFETIME_MS 5000

static const char *
text_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void
everybody_may_look(void **state)
{
	static const char *const lines[] = {
	    "GET /v1/status?include=targets",
	    "GET /v1/target-health?target-group=internal-smtp",
	    "GET /v1/targets",
	    "GET /v1/flows?limit=2",
	    "GET /healthz",
	    "GET /readyz",
	    "GET /zone-health",
	};
	struct admin_fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		json_t *root;

		assert_i64(ask(f, lines[i], &root), 200);
		json_decref(root);
	}
	assert_i64(ask(f, "HEAD /v1/status", NULL), 200);
	assert_i64(ask(f, "GET /v1/nothing", NULL), 404);
}

static void
metrics_come_in_the_format_that_was_asked_for(void **state)
{
	static const char open_metrics[] =
	    "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
	    "Accept: application/openmetrics-text; version=1.0.0\r\n\r\n";
	struct admin_fixture *f = *state;
	struct admin_client *client = client_ask(f, "GET /metrics");

	assert_i64(client_answer(f, client, NULL), 200);
	assert_contains(
	    client->text, "Content-Type: text/plain; version=0.0.4;");
	assert_contains(client->text, "\nnlbd_new_flows_total 1234\n");
	client = client_open(f);
	client_send(client, open_metrics, sizeof(open_metrics) - 1);
	assert_i64(client_answer(f, client, NULL), 200);
	assert_contains(
	    client->text, "Content-Type: application/openmetrics-text;");
	assert_contains(client->text, "# EOF\n");
}

static void
answers_forbid_what_a_browser_could_do_with_them(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *client = client_ask(f, "GET /v1/status");

	assert_i64(client_answer(f, client, NULL), 200);
	assert_contains(
	    client->text, "Content-Security-Policy: default-src 'none'");
	assert_contains(client->text, "X-Content-Type-Options: nosniff\r\n");
	assert_contains(client->text, "Cache-Control: no-store\r\n");
	assert_contains(
	    client->text, "Cross-Origin-Resource-Policy: same-origin\r\n");
	assert_null(strcasestr(client->text, "Access-Control-"));
}

static void
every_other_method_is_405(void **state)
{
	static const char *const lines[] = {
	    "POST /v1/reload",
	    "POST /v1/status",
	    "PUT /v1/status",
	    "DELETE /v1/flows",
	    "OPTIONS /v1/status",
	    "POST /nothing",
	};
	struct admin_fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct admin_client *client = client_ask(f, lines[i]);

		assert_i64(client_answer(f, client, NULL), 405);
		assert_contains(client->text, "Allow: GET, HEAD\r\n");
	}
	assert_u64(f->fake.n_reloads, 0);
}

static void
what_reads_or_changes_files_is_for_the_unix_socket(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root;

	assert_i64(ask(f, "GET /v1/flows/watch", NULL), 403);
	assert_i64(ask(f, "GET /v1/check", &root), 403);
	assert_contains(
	    text_at(json_object_get(root, "error"), "message"), "use nlbctl");
	json_decref(root);
	assert_i64(ask(f, "GET /v1/reload", NULL), 403);
	assert_u64(f->fake.n_checks + f->fake.n_reloads, 0);
}

static int
ask_host(struct admin_fixture *f, const char *host)
{
	struct admin_client *client = client_open(f);
	char head[512];
	int n, status;

	n = snprintf(head, sizeof(head),
	    "GET /v1/status HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	client_send(client, head, (size_t)n);
	status = client_answer(f, client, NULL);
	client_close(client);
	return status;
}

static void
names_of_others_are_not_answered(void **state)
{
	static const char *const ours[] = {"127.0.0.1", "127.0.0.1:9587",
	    "10.1.2.3", "[::1]", "[::1]:9587", "localhost", "LocalHost:9587"};
	static const char *const others[] = {"evil.example",
	    "evil.example:9587", "localhost.evil.example", "127.0.0.1.evil",
	    "127.0.0.1:9587.evil", "127.1", "[::1", "[::1]evil",
	    "localhost:80x", "[localhost", ":9587", "nlbd,localhost"};
	struct admin_fixture *f = *state;
	char machine[256];
	size_t i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		assert_i64(ask_host(f, ours[i]), 200);
	assert_i64(gethostname(machine, sizeof(machine)), 0);
	assert_i64(ask_host(f, machine), 200);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_i64(ask_host(f, others[i]), 421);
}

static void
one_connection_asks_once(void **state)
{
	static const char twice[] =
	    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
	    "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct admin_fixture *f = *state;
	struct admin_client *client = client_open(f);

	client_send(client, twice, sizeof(twice) - 1);
	assert_i64(client_answer(f, client, NULL), 200);
	assert_contains(client->text, "Connection: close\r\n");
	assert_null(strstr(client->text, "\"workers\""));
}

static void
alive_is_not_ready(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root;

	f->fake.workers[0].state = "starting";
	assert_i64(ask(f, "GET /readyz", NULL), 200); /* one of two serves */
	f->fake.workers[1].state = "starting";
	assert_i64(ask(f, "GET /healthz", NULL), 200);
	assert_i64(ask(f, "GET /readyz", &root), 503);
	assert_contains(text_at(root, "reason"), "no worker serves");
	json_decref(root);
	f->fake.workers[0].state = "serving";
	f->fake.status.stopping = true;
	assert_i64(ask(f, "GET /healthz", NULL), 200);
	assert_i64(ask(f, "GET /readyz", &root), 503);
	assert_contains(text_at(root, "reason"), "stopping");
	json_decref(root);
}

static void
a_zone_without_enough_targets_or_flows_leaves_dns(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *group;

	f->fake.groups[0].dns_failover_count = 3;
	snprintf(f->fake.conf.lb.availability_zone,
	    sizeof(f->fake.conf.lb.availability_zone), "zone-a");
	assert_i64(ask(f, "GET /zone-health", &root), 200);
	assert_str(text_at(root, "zone"), "zone-a");
	json_decref(root);
	f->fake.health[1].state = TARGET_UNHEALTHY;
	assert_i64(ask(f, "GET /zone-health", &root), 503);
	assert_true(json_is_false(json_object_get(root, "healthy")));
	group = json_array_get(json_object_get(root, "target_groups"), 0);
	assert_str(text_at(group, "name"), "internal-smtp");
	assert_true(json_is_false(json_object_get(group, "healthy")));
	assert_i64(
	    json_integer_value(json_object_get(group, "healthy_targets")), 2);
	json_decref(root);
	f->fake.health[1].state = TARGET_HEALTHY;
	assert_i64(ask(f, "GET /zone-health", NULL), 200);
	f->fake.status.stopping = true; /* its flows go elsewhere */
	assert_i64(ask(f, "GET /zone-health", NULL), 503);
}

/* ---- too slow, too many ----------------------------------------------- */

struct drip {
	struct admin_client *client;
	uv_timer_t timer;
};

static void
on_drip(uv_timer_t *timer)
{
	struct drip *d = timer->data;

	/* The end may come while we send. */
	if (!d->client->ended)
		(void)send(d->client->fd, "a", 1, MSG_NOSIGNAL);
}

static void
a_head_that_drips_in_is_cut_after_its_time(void **state)
{
	struct admin_fixture *f = *state;
	struct drip d = {.client = client_open(f)};
	uint64_t start = uv_hrtime(), ms;

	client_send(d.client, "GET /v1/status?", 15);
	assert_i64(uv_timer_init(&f->loop, &d.timer), 0);
	d.timer.data = &d;
	/* Often enough to never look idle. */
	assert_i64(uv_timer_start(&d.timer, on_drip, 300, 300), 0);
	assert_true(loop_run_until(
	    &f->loop, client_has_ended, d.client, LOOP_DEADLINE_MS));
	ms = (uv_hrtime() - start) / 1000000;
	assert_u64_between(ms, LIFETIME_MS - 100, LIFETIME_MS + 5000);
	assert_u64(d.client->n_text, 0);
	uv_close((uv_handle_t *)&d.timer, NULL);
	loop_run_for(&f->loop, 0);
	assert_i64(ask(f, "GET /healthz", NULL), 200);
}

static void
a_client_that_does_not_read_is_cut(void **state)
{
	const size_t size = 32u << 20; /* more than sockets hold */
	struct admin_fixture *f = *state;
	struct admin_client *client;
	char *text = malloc(size);

	assert_non_null(text);
	memset(text, 'a', size - 1);
	text[size - 1] = '\0';
	f->fake.status.last_reload_text = text;
	client = client_ask(f, "GET /v1/status");
	client_stop_reading(client);
	assert_true(loop_run_until(
	    &f->loop, client_has_ended, client, LOOP_DEADLINE_MS));
	f->fake.status.last_reload_text = "";
	free(text);
	assert_i64(ask(f, "GET /healthz", NULL), 200);
}

static void
one_who_waits_for_an_answer_keeps_the_place(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *waiting;
	size_t i;

	f->fake.defer = true;
	waiting = client_ask(f, "GET /v1/flows");
	for (i = 0; i < PLACES + 5; i++)
		client_send(client_open(f), "GET /v1", 7);
	loop_run_for(&f->loop, 100);
	assert_false(waiting->ended);
	admin_fake_complete(&f->fake);
	assert_i64(client_answer(f, waiting, NULL), 200);
}

/* More than a head may have, and no end of it: nothing more is read. */
static void
a_head_without_end_gets_431_as_json(void **state)
{
	static char head[65536];
	struct admin_fixture *f = *state;
	struct admin_client *client = client_open(f);
	json_t *root;

	memset(head, 'a', sizeof(head));
	memcpy(head, "GET /", 5);
	client_send(client, head, sizeof(head));
	assert_i64(client_answer(f, client, &root), 431);
	assert_str(
	    text_at(json_object_get(root, "error"), "code"), "RequestTooLarge");
	json_decref(root);
	assert_true(loop_run_until(
	    &f->loop, client_has_ended, client, LOOP_DEADLINE_MS));
}

static void
the_oldest_of_many_long_heads_is_refused_as_well(void **state)
{
	static char head[20000];
	struct admin_fixture *f = *state;
	struct admin_client *clients[8];
	size_t i, n = sizeof(clients) / sizeof(clients[0]);

	memset(head, 'a', sizeof(head));
	memcpy(head, "GET /", 5);
	for (i = 0; i < n; i++)
		clients[i] = client_open(f);
	loop_run_for(&f->loop, 50);
	for (i = 0; i < n; i++)
		client_send(clients[i], head, sizeof(head));
	for (i = 0; i < n; i++)
		assert_i64(client_answer(f, clients[i], NULL), 431);
}

static void
an_endless_line_is_cut_off(void **state)
{
	static char block[65536];
	struct admin_fixture *f = *state;
	struct admin_client *client = client_open(f);
	size_t sent = 0;

	memset(block, 'a', sizeof(block));
	client_send(client, "GET /", 5);
	while (!client->ended && sent < 1u << 30) {
		ssize_t n = send(client->fd, block, sizeof(block),
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			sent += (size_t)n;
		loop_run_for(&f->loop, 1);
	}
	assert_true(client->ended);
	assert_true(sent < 64u << 20);
	assert_i64(ask(f, "GET /healthz", NULL), 200);
}

static void
bodies_are_refused_unread(void **state)
{
	static const char head[] =
	    "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n"
	    "Content-Length: 1000000000\r\n\r\nabc";
	struct admin_fixture *f = *state;
	struct admin_client *client = client_open(f);

	client_send(client, head, sizeof(head) - 1);
	assert_i64(client_answer(f, client, NULL), 413);
}

static void
destroyed_with_clients_of_every_kind(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *waiting;

	f->fake.defer = true;
	client_open(f);
	client_send(client_open(f), "GET /", 5);
	waiting = client_ask(f, "GET /v1/flows");
	loop_run_for(&f->loop, 50);
	admin_destroy(f->admin);
	f->admin = NULL;
	assert_true(loop_run_until(
	    &f->loop, client_has_ended, waiting, LOOP_DEADLINE_MS));
	admin_fake_complete(&f->fake);
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, admin_fixture_setup_http, admin_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest admin_http[] = {
	    TEST(everybody_may_look),
	    TEST(metrics_come_in_the_format_that_was_asked_for),
	    TEST(answers_forbid_what_a_browser_could_do_with_them),
	    TEST(every_other_method_is_405),
	    TEST(what_reads_or_changes_files_is_for_the_unix_socket),
	    TEST(names_of_others_are_not_answered),
	    TEST(one_connection_asks_once),
	    TEST(alive_is_not_ready),
	    TEST(a_zone_without_enough_targets_or_flows_leaves_dns),
	    TEST(a_head_that_drips_in_is_cut_after_its_time),
	    TEST(a_client_that_does_not_read_is_cut),
	    TEST(one_who_waits_for_an_answer_keeps_the_place),
	    TEST(a_head_without_end_gets_431_as_json),
	    TEST(the_oldest_of_many_long_heads_is_refused_as_well),
	    TEST(an_endless_line_is_cut_off),
	    TEST(bodies_are_refused_unread),
	    TEST(destroyed_with_clients_of_every_kind),
	};

	return cmocka_run_group_tests(admin_http, NULL, NULL);
}
