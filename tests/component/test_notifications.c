/*
 * Component tests of supervisor/notifications: what receivers on loopback are
 * told, and that what they do costs nothing but their own events.
 */
#include "support/expect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "dns_server.h"
#include "nlb/event.h"
#include "script_server.h"
#include "supervisor/notifications.h"
#include "supervisor_fixture.h"
#include "support/loop_support.h"

#define CONFS_MAX 4
#define START_MS 0x1234
#define OK_ANSWER "HTTP/1.1 204 No Content\r\n\r\n"

static const struct script accepts = {
    .steps = {STEP("}", OK_ANSWER)}, .end = SCRIPT_FIN};

struct fixture {
	uv_loop_t loop;
	struct notifications *n;
	struct temp_dir dir;
	struct conf *confs[CONFS_MAX];
	size_t n_confs;
	struct script_server server;
	struct dns_server dns;
	int socket;                 /* datagrams; -1 = none */
	struct admin_receiver seen; /* what each_receiver told last */
	char error[320];
	const char *wanted; /* in error, for has_wanted_error */
};

static void
on_entry(void *arg, const struct log_entry *entry)
{
	struct fixture *f = arg;

	notifications_tell(f->n, entry);
}

static int
setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.socket = -1;
	if (uv_loop_init(&f.loop) != 0 || temp_dir_make(&f.dir) != 0)
		return -1;
	capture_log();
	log_set_watcher(on_entry, &f);
	*state = &f;
	return notifications_create(&f.loop, START_MS, &f.n);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	bool clean;

	log_set_watcher(NULL, NULL);
	notifications_destroy(f->n);
	if (f->server.script != NULL)
		script_server_close(&f->server);
	if (f->dns.loop != NULL)
		dns_server_close(&f->dns);
	if (f->socket != -1)
		close(f->socket);
	for (size_t i = 0; i < f->n_confs; i++)
		conf_destroy(f->confs[i]);
	clean = loop_finish(&f->loop);
	temp_dir_remove(&f->dir);
	return clean ? 0 : -1;
}

/* The sections that follow [node]; node may have keys. */
static void
follow(struct fixture *f, const char *node_and_sections)
{
	char text[4096];

	snprintf(text, sizeof(text),
	    "[load-balancer]\nName = lab\nAvailabilityZone = zone-a\n"
	    "[listener a]\nPort = 5870\nSecurityGroups = none\n"
	    "DefaultActions = forward:a\n"
	    "[target-group a]\nPort = 25\nTarget.a = Id=10.0.0.1\n"
	    "[node]\n%s\n",
	    node_and_sections);
	f->confs[f->n_confs] = conf_from_text(text);
	assert_i64(notifications_follow(f->n, f->confs[f->n_confs++]), 0);
}

/* One receiver at the script server. */
static void
follow_server(struct fixture *f, const struct script *script, const char *more)
{
	char text[1024], at[ADDR_STRLEN];

	assert_true(script_server_open(&f->server, &f->loop, script));
	snprintf(text, sizeof(text), "[notify web]\nUrl = http://%s/hook\n%s",
	    addr_format(&f->server.addr, at, sizeof(at)), more);
	follow(f, text);
}

static void
open_socket(struct fixture *f, const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	memcpy(at.sun_path, path, strlen(path));
	f->socket =
	    socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_i64(bind(f->socket, (struct sockaddr *)&at, sizeof(at)), 0);
}

static void
follow_socket(struct fixture *f, const char *path, const char *more)
{
	char text[512];

	snprintf(text, sizeof(text), "[notify local]\nUrl = unix:%s\n%s", path,
	    more);
	follow(f, text);
}

static void
keep_seen(void *arg, const struct admin_receiver *r)
{
	struct fixture *f = arg;

	f->seen = *r;
	snprintf(f->error, sizeof(f->error), "%s", r->error);
}

static const struct admin_receiver *
look(struct fixture *f)
{
	notifications_each(f->n, keep_seen, f);
	return &f->seen;
}

/* Nothing waits any more. */
static bool
is_settled(void *arg)
{
	return look(arg)->n_waiting == 0;
}

static bool
has_failed_once(void *arg)
{
	(void)look(arg);
	return ((struct fixture *)arg)->error[0] != '\0';
}

static bool
has_wanted_error(void *arg)
{
	struct fixture *f = arg;

	(void)look(f);
	return strstr(f->error, f->wanted) != NULL;
}

static bool
has_sent_one(void *arg)
{
	return look(arg)->n_sent == 1;
}

static void
expect_until(struct fixture *f, bool (*condition)(void *arg))
{
	assert_true(loop_run_until(&f->loop, condition, f, LOOP_DEADLINE_MS));
}

static void
expect_counts(
    struct fixture *f, uint64_t sent, uint64_t failed, uint64_t dropped)
{
	const struct admin_receiver *r = look(f);

	assert_u64(r->n_sent, sent);
	assert_u64(r->n_failed, failed);
	assert_u64(r->n_dropped, dropped);
}

static const char *
text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

/* One datagram as JSON; NULL: none is there. */
static json_t *
receive(struct fixture *f)
{
	char bytes[4096];
	ssize_t n = recv(f->socket, bytes, sizeof(bytes), 0);

	return n < 0 ? NULL : json_loadb(bytes, (size_t)n, 0, NULL);
}

static bool
has_datagram(void *arg)
{
	const struct fixture *f = arg;
	char byte;

	return recv(f->socket, &byte, 1, MSG_PEEK) > 0;
}

static json_t *
next_event(struct fixture *f)
{
	expect_until(f, has_datagram);
	return receive(f);
}

/* ---- HTTP ------------------------------------------------------------- */

static void
an_event_is_posted_as_json(void **state)
{
	const struct log_field about[] = {{EVENT_TARGET, "10.0.0.1:25"},
	    {EVENT_TARGET_GROUP, "a"}, {EVENT_STATE, "unhealthy"}, {0}};
	struct fixture *f = *state;
	const char *body;
	json_t *event;

	follow_server(f, &accepts, "");
	event_log_about(EVENT_TARGET_UNHEALTHY, about, "it is down");
	assert_u64(look(f)->n_waiting, 1);
	expect_until(f, is_settled);
	expect_counts(f, 1, 0, 0);
	f->server.received[f->server.n_received] = '\0';
	assert_bytes(f->server.received, "POST /hook HTTP/1.1\r\n", 21);
	assert_contains(
	    f->server.received, "\r\nContent-Type: application/json\r\n");
	assert_contains(f->server.received, "\r\nUser-Agent: nlbd/");
	body = strstr(f->server.received, "\r\n\r\n");
	assert_non_null(body);
	event = json_loads(body, 0, NULL);
	assert_str(text_at(event, "id"), "1234-1");
	assert_u64(strlen(text_at(event, "time")), 24);
	assert_str(text_at(event, "load_balancer"), "lab");
	assert_str(text_at(event, "availability_zone"), "zone-a");
	assert_true(text_at(event, "node")[0] != '\0');
	assert_str(text_at(event, "event"), "target-unhealthy");
	assert_str(text_at(event, "priority"), "warning");
	assert_str(text_at(event, "message"), "it is down");
	assert_str(text_at(event, "target"), "10.0.0.1:25");
	assert_str(text_at(event, "target_group"), "a");
	assert_str(text_at(event, "state"), "unhealthy");
	json_decref(event);
	/* Nothing else was to be told. */
	assert_u64(f->server.n_connections, 1);
}

static void
an_answer_with_a_final_code_is_not_tried_again(void **state)
{
	static const struct script moved = {
	    .steps = {STEP("}", "HTTP/1.1 302 Found\r\n"
				"Location: http://127.0.0.1:1/\r\n\r\n")},
	    .end = SCRIPT_FIN};
	struct fixture *f = *state;

	follow_server(f, &moved, "");
	event_log(EVENT_RELOAD_ACCEPTED, "once");
	expect_until(f, is_settled);
	expect_counts(f, 0, 1, 0);
	assert_str(f->error, "HTTP 302, a redirect");
	assert_u64(f->server.n_connections, 1);
	assert_u64(
	    log_lines_with("notify web cannot be told of events: HTTP 302"), 1);
	f->server.script = &accepts;
	event_log(EVENT_RELOAD_ACCEPTED, "twice");
	expect_until(f, is_settled);
	expect_counts(f, 1, 1, 0);
	assert_str(f->error, "");
	assert_true(log_has("notify web takes events again"));
}

static void
a_receiver_in_trouble_is_tried_again_with_the_same_event(void **state)
{
	static const struct script busy = {
	    .steps = {STEP("}", "HTTP/1.1 503 Busy\r\n\r\n")},
	    .end = SCRIPT_FIN};
	struct fixture *f = *state;

	follow_server(f, &busy, "");
	event_log(EVENT_RELOAD_REJECTED, "first");
	event_log(EVENT_RELOAD_ACCEPTED, "second");
	expect_until(f, has_failed_once);
	assert_str(f->error, "HTTP 503");
	assert_u64(look(f)->n_waiting, 2);
	f->server.script = &accepts;
	expect_until(f, is_settled);
	expect_counts(f, 2, 0, 0);
	assert_u64(f->server.n_connections, 3);
	f->server.received[f->server.n_received] = '\0';
	assert_contains(f->server.received, "\"message\":\"second\"");
	assert_contains(f->server.received, "\"id\":\"1234-2\"");
}

static void
a_receiver_that_hangs_has_its_time(void **state)
{
	static const struct script silent = {.end = SCRIPT_HOLD};
	struct fixture *f = *state;

	follow_server(f, &silent, "TimeoutSeconds = 0.1\n");
	event_log(EVENT_RELOAD_REJECTED, "hello?");
	expect_until(f, has_failed_once);
	assert_str(f->error, "no answer in time");
	assert_u64(look(f)->n_waiting, 1);
}

static void
an_endless_answer_is_cut_and_its_code_counts(void **state)
{
	static const struct script flood = {
	    .steps = {STEP("}", "HTTP/1.1 200 OK\r\n\r\n"),
		STEP(NULL, "0123456789abcdef0123456789abcdef")},
	    .end = SCRIPT_FLOOD};
	struct fixture *f = *state;

	follow_server(f, &flood, "");
	event_log(EVENT_RELOAD_REJECTED, "x");
	expect_until(f, is_settled);
	expect_counts(f, 1, 0, 0);
}

static void
headers_come_from_their_file(void **state)
{
	struct fixture *f = *state;
	char more[200];

	write_file(temp_path(&f->dir, "headers"),
	    "Authorization: Bearer s3cret\r\n\nX-Node: 1\n");
	snprintf(more, sizeof(more), "HeaderFile = %s\n",
	    temp_path(&f->dir, "headers"));
	follow_server(f, &accepts, more);
	event_log(EVENT_RELOAD_REJECTED, "x");
	expect_until(f, is_settled);
	expect_counts(f, 1, 0, 0);
	f->server.received[f->server.n_received] = '\0';
	assert_contains(
	    f->server.received, "\r\nAuthorization: Bearer s3cret\r\n");
	assert_contains(f->server.received, "\r\nX-Node: 1\r\n");
}

static void
without_its_headers_nothing_is_sent(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
	    {NULL, " cannot be read: No such file or directory"},
	    {"no header s3cret\n", "line 1 of HeaderFile"},
	    {"Good: 1\nBad: \x01s3cret\n", "line 2 of HeaderFile"},
	    {"A: 1\nA: 1\nA: 1\nA: 1\nA: 1\nA: 1\nA: 1\nA: 1\nA: 1\nA: 1\n"
	     "A: 1\nA: 1\nA: 1\nA: 1\nA: 1\nA: 1\nA: 17\n",
		" is one too many"},
	};
	struct fixture *f = *state;
	char more[200];

	snprintf(more, sizeof(more), "HeaderFile = %s\n",
	    temp_path(&f->dir, "headers"));
	follow_server(f, &accepts, more);
	event_log(EVENT_RELOAD_REJECTED, "x");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].text != NULL)
			write_file(
			    temp_path(&f->dir, "headers"), cases[i].text);
		/* The next try, without its pause: the config is another. */
		snprintf(more, sizeof(more),
		    "[notify web]\nUrl = http://127.0.0.1:%u/%zu\n"
		    "HeaderFile = %s\n",
		    f->server.addr.port, i, temp_path(&f->dir, "headers"));
		f->error[0] = '\0';
		if (i > 0)
			conf_destroy(f->confs[--f->n_confs]);
		follow(f, more);
		f->wanted = cases[i].error;
		expect_until(f, has_wanted_error);
		assert_null(strstr(f->error, "s3cret"));
	}
	f->server.received[f->server.n_received] = '\0';
	assert_str(f->server.received, "");
}

static void
a_name_is_resolved_by_resolvers(void **state)
{
	static const char *const nowhere[] = {NULL};
	static const char *const here[] = {"127.0.0.1", NULL};
	struct fixture *f = *state;
	char text[512];

	dns_server_open(&f->dns, &f->loop, 0);
	dns_server_set(&f->dns, nowhere);
	assert_true(script_server_open(&f->server, &f->loop, &accepts));
	snprintf(text, sizeof(text),
	    "Resolvers = 127.0.0.1:%u\n"
	    "[notify web]\nUrl = http://alerts.example.com:%u/\n",
	    f->dns.addr.port, f->server.addr.port);
	follow(f, text);
	event_log(EVENT_RELOAD_REJECTED, "x");
	expect_until(f, has_failed_once);
	assert_contains(f->error, "alerts.example.com cannot be resolved: ");
	dns_server_set(&f->dns, here);
	expect_until(f, is_settled);
	expect_counts(f, 1, 0, 0);
	f->server.received[f->server.n_received] = '\0';
	assert_contains(f->server.received, "\r\nHost: alerts.example.com:");
}

/* ---- datagrams, and the queue ----------------------------------------- */

static void
datagrams_come_in_their_order(void **state)
{
	struct fixture *f = *state;
	const char *path = temp_path(&f->dir, "socket");
	char message[16];

	open_socket(f, path);
	follow_socket(f, path, "Events = target-health, node\n");
	for (int i = 0; i < 5; i++) {
		event_log(EVENT_TARGET_HEALTHY, "%d", i);
		event_log(EVENT_RELOAD_ACCEPTED, "not for this one");
	}
	expect_until(f, is_settled);
	expect_counts(f, 5, 0, 0);
	for (int i = 0; i < 5; i++) {
		json_t *event = receive(f);

		snprintf(message, sizeof(message), "%d", i);
		assert_str(text_at(event, "message"), message);
		json_decref(event);
	}
	assert_null(receive(f));
}

static void
the_oldest_events_are_dropped_and_counted(void **state)
{
	struct fixture *f = *state;
	const char *path = temp_path(&f->dir, "socket");
	json_t *event;

	follow_socket(f, path, "");
	event_log(EVENT_RELOAD_ACCEPTED, "in hand");
	expect_until(f, has_failed_once); /* nobody is there yet */
	for (int i = 0; i < NOTIFICATIONS_QUEUE_MAX + 3; i++)
		event_log(EVENT_RELOAD_ACCEPTED, "%d", i);
	assert_u64(look(f)->n_waiting, NOTIFICATIONS_QUEUE_MAX + 1);
	expect_counts(f, 0, 0, 3);
	assert_u64(log_lines_with("the oldest are dropped"), 1);
	open_socket(f, path);
	event = next_event(f);
	assert_str(text_at(event, "message"), "in hand");
	json_decref(event);
	event = next_event(f);
	assert_str(text_at(event, "message"), "3");
	json_decref(event);
}

static void
an_event_is_given_up_after_its_tries(void **state)
{
	struct fixture *f = *state;

	follow_socket(f, temp_path(&f->dir, "nobody"), "");
	event_log(EVENT_RELOAD_ACCEPTED, "lost");
	expect_until(f, is_settled); /* 1 + 2 + 4 s */
	expect_counts(f, 0, 1, 0);
	assert_str(f->error, "No such file or directory");
	assert_u64(log_lines_with("cannot be told of events"), 1);
}

/* ---- the config ------------------------------------------------------- */

static void
what_waits_follows_a_changed_url(void **state)
{
	struct fixture *f = *state;
	json_t *event;

	follow_socket(f, temp_path(&f->dir, "nobody"), "");
	event_log(EVENT_RELOAD_REJECTED, "first");
	expect_until(f, has_failed_once);
	open_socket(f, temp_path(&f->dir, "socket"));
	follow_socket(f, temp_path(&f->dir, "socket"), "");
	expect_until(f, is_settled);
	expect_counts(f, 1, 0, 0);
	event = receive(f);
	assert_str(text_at(event, "message"), "first");
	json_decref(event);
}

static void
a_removed_section_forgets_and_others_go_on(void **state)
{
	static const struct script silent = {.end = SCRIPT_HOLD};
	struct fixture *f = *state;
	const char *path = temp_path(&f->dir, "socket");
	char text[512];

	open_socket(f, path);
	assert_true(script_server_open(&f->server, &f->loop, &silent));
	snprintf(text, sizeof(text),
	    "[notify web]\nUrl = http://127.0.0.1:%u/\n"
	    "[notify local]\nUrl = unix:%s\n",
	    f->server.addr.port, path);
	follow(f, text);
	event_log(EVENT_RELOAD_ACCEPTED, "one");
	/* The other's request is under way. */
	expect_until(f, has_sent_one);
	follow_socket(f, path, "");
	event_log(EVENT_RELOAD_ACCEPTED, "two");
	expect_until(f, is_settled);
	expect_counts(f, 2, 0, 0);
	follow(f, "");
	event_log(EVENT_RELOAD_ACCEPTED, "three");
	(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	json_decref(receive(f));
	json_decref(receive(f));
	assert_null(receive(f));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(an_event_is_posted_as_json),
	    TEST(an_answer_with_a_final_code_is_not_tried_again),
	    TEST(a_receiver_in_trouble_is_tried_again_with_the_same_event),
	    TEST(a_receiver_that_hangs_has_its_time),
	    TEST(an_endless_answer_is_cut_and_its_code_counts),
	    TEST(headers_come_from_their_file),
	    TEST(without_its_headers_nothing_is_sent),
	    TEST(a_name_is_resolved_by_resolvers),
	    TEST(datagrams_come_in_their_order),
	    TEST(the_oldest_events_are_dropped_and_counted),
	    TEST(an_event_is_given_up_after_its_tries),
	    TEST(what_waits_follows_a_changed_url),
	    TEST(a_removed_section_forgets_and_others_go_on),
	};

	return cmocka_run_group_tests_name("notifications", tests, NULL, NULL);
}
