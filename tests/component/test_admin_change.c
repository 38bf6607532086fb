/*
 * Requests that change something: what reaches the daemon, what is answered,
 * and what is refused before it gets there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

#define GROUP "\"TargetGroup\":\"smtp\""

static int
post(struct admin_fixture *f, const char *path, const char *body, json_t **out)
{
	struct admin_client *client = client_open(f);
	char head[256];
	int n = snprintf(head, sizeof(head),
	    "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    path, strlen(body));

	client_send(client, head, (size_t)n);
	client_send(client, body, strlen(body));
	return client_answer(f, client, out);
}

/* The message of an error answer; the test frees root. */
static const char *
message(const json_t *root, const char *code)
{
	const json_t *error = json_object_get(root, "error");

	assert_str(json_string_value(json_object_get(error, "code")), code);
	return json_string_value(json_object_get(error, "message"));
}

static void
bodies_become_changes(void **state)
{
	static const struct {
		const char *path, *body, *change;
	} rows[] = {
	    {"/v1/register-targets",
		"{" GROUP ",\"Targets\":[{\"Id\":\"10.0.0.1\",\"Port\":25},"
		"{\"Id\":\"10.0.0.2\",\"Standby\":true}]}",
		"register-targets smtp Id=10.0.0.1,Port=25 "
		"Id=10.0.0.2,Standby=true"},
	    {"/v1/deregister-targets",
		"{\"Runtime\":true," GROUP ",\"Targets\":[{\"Id\":\"a\"}]}",
		"deregister-targets smtp Id=a runtime"},
	    {"/v1/modify-target-group",
		"{" GROUP ",\"HealthCheckIntervalSeconds\":0.5,\"Matcher\":"
		"{\"HttpCode\":\"200,202\"},\"Runtime\":false}",
		"modify-target-group smtp HealthCheckIntervalSeconds=0.5 "
		"Matcher.HttpCode=200,202"},
	    {"/v1/modify-target-group-attributes",
		"{" GROUP ",\"Attributes\":[{\"Key\":\"a.b\",\"Value\":\"1\"},"
		"{\"Value\":false,\"Key\":\"c\"}]}",
		"modify-target-group-attributes smtp a.b=1 c=false"},
	    {"/v1/modify-listener-attributes",
		"{\"Listener\":\"in\",\"Attributes\":[{\"Key\":\"a\","
		"\"Value\":60}]}",
		"modify-listener-attributes in a=60"},
	};
	struct admin_fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_i64(post(f, rows[i].path, rows[i].body, NULL), 200);
		assert_str(f->fake.changed, rows[i].change);
	}
}

static void
registering_answers_with_nothing_but_notes(void **state)
{
	static const char body[] =
	    "{" GROUP ",\"Targets\":[{\"Id\":\"10.0.0.1\"}]}";
	struct admin_fixture *f = *state;
	json_t *root, *notes;

	f->fake.verdict_text = "";
	assert_i64(post(f, "/v1/register-targets", body, &root), 200);
	assert_u64(json_object_size(root), 0);
	json_decref(root);
	f->fake.change_text = "one\ntwo\n";
	f->fake.verdict_text = "a worker is late";
	assert_i64(post(f, "/v1/register-targets", body, &root), 200);
	notes = json_object_get(root, "Notes");
	assert_u64(json_array_size(notes), 3);
	assert_str(json_string_value(json_array_get(notes, 1)), "two");
	assert_str(
	    json_string_value(json_array_get(notes, 2)), "a worker is late");
	json_decref(root);
}

static void
modifying_answers_with_what_is_in_force(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *entry;

	f->fake.groups[0].deregistration_delay_s = 60;
	assert_i64(
	    post(f, "/v1/modify-target-group-attributes",
		"{\"TargetGroup\":\"internal-smtp\",\"Attributes\":[{\"Key\":"
		"\"deregistration_delay.timeout_seconds\",\"Value\":\"60\"}]}",
		&root),
	    200);
	entry = json_array_get(json_object_get(root, "Attributes"), 1);
	assert_str(json_string_value(json_object_get(entry, "Key")),
	    "deregistration_delay.timeout_seconds");
	assert_str(json_string_value(json_object_get(entry, "Value")), "60");
	json_decref(root);

	f->fake.groups[0].check_protocol = CONF_CHECK_HTTP;
	f->fake.groups[0].check_interval_ms = 500;
	f->fake.groups[0].check_timeout_ms = 6000;
	assert_i64(post(f, "/v1/modify-target-group",
		       "{\"TargetGroup\":\"internal-smtp\","
		       "\"HealthCheckIntervalSeconds\":\"0.5\"}",
		       &root),
	    200);
	entry = json_array_get(json_object_get(root, "TargetGroups"), 0);
	assert_str(json_string_value(json_object_get(entry, "TargetGroupName")),
	    "internal-smtp");
	assert_true(json_is_integer(
	    json_object_get(entry, "HealthCheckTimeoutSeconds")));
	assert_true(json_real_value(json_object_get(
			entry, "HealthCheckIntervalSeconds")) == 0.5);
	assert_non_null(json_object_get(entry, "Matcher"));
	json_decref(root);
}

static void
describing_shows_what_modifying_answers(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *list, *entry;
	bool found = false;
	size_t i;

	f->fake.listeners[0].idle_timeout_s = 61;
	assert_i64(ask(f, "GET /v1/target-groups", &root), 200);
	list = json_object_get(root, "TargetGroups");
	assert_u64(json_array_size(list), 2);
	json_decref(root);
	assert_i64(
	    ask(f, "GET /v1/target-groups?target-group=spare", &root), 200);
	list = json_object_get(root, "TargetGroups");
	assert_u64(json_array_size(list), 1);
	entry = json_object_get(json_array_get(list, 0), "TargetGroupName");
	assert_str(json_string_value(entry), "spare");
	json_decref(root);
	assert_i64(
	    ask(f, "GET /v1/target-group-attributes?target-group=spare", &root),
	    200);
	list = json_object_get(root, "Attributes");
	assert_true(json_array_size(list) > 12);
	json_decref(root);
	assert_i64(
	    ask(f, "GET /v1/listener-attributes?listener=submission", &root),
	    200);
	json_array_foreach(json_object_get(root, "Attributes"), i, entry)
	{
		const char *key =
		    json_string_value(json_object_get(entry, "Key"));

		if (strcmp(key, "tcp.idle_timeout.seconds") != 0)
			continue;
		assert_str(
		    json_string_value(json_object_get(entry, "Value")), "61");
		found = true;
	}
	assert_true(found);
	json_decref(root);
}

static void
describing_what_is_not_there_is_not_found(void **state)
{
	static const struct {
		const char *line, *code;
		int status;
	} rows[] = {
	    {"GET /v1/target-groups?target-group=x", "TargetGroupNotFound",
		404},
	    {"GET /v1/target-group-attributes?target-group=x",
		"TargetGroupNotFound", 404},
	    {"GET /v1/listener-attributes?listener=x", "ListenerNotFound", 404},
	    {"GET /v1/target-group-attributes", "ValidationError", 400},
	    {"GET /v1/listener-attributes", "ValidationError", 400},
	};
	struct admin_fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *root;

		assert_i64(ask(f, rows[i].line, &root), rows[i].status);
		(void)message(root, rows[i].code);
		json_decref(root);
	}
}

static void
wrong_bodies_never_reach_the_daemon(void **state)
{
	static const char targets[] = "/v1/register-targets";
	static const char attributes[] = "/v1/modify-listener-attributes";
	static const struct {
		const char *path, *body, *what;
	} rows[] = {
	    {targets, "", "no JSON object: line 1"},
	    {targets, "[]", "not an object"},
	    {targets, "{\"a\":1,\"a\":2}", "duplicate"},
	    {targets, "{}", "TargetGroup is the name of one"},
	    {targets, "{\"TargetGroup\":1}", "TargetGroup is the name"},
	    {targets, "{" GROUP "}", "Targets is a list"},
	    {targets, "{" GROUP ",\"Targets\":[]}", "Targets is a list"},
	    {targets, "{" GROUP ",\"Targets\":[1]}", "target 1: an object"},
	    {targets, "{" GROUP ",\"Targets\":[{\"Id\":\"a\"},{}]}",
		"target 2: an object"},
	    {targets, "{" GROUP ",\"Targets\":[{\"Id\":\"a,Port=1\"}]}",
		"without commas"},
	    {targets, "{" GROUP ",\"Targets\":[{\"Id=a,Port\":1}]}",
		"without commas"},
	    {targets, "{" GROUP ",\"Targets\":[{\"Id\":null}]}", "target 1"},
	    {targets, "{" GROUP ",\"Targets\":[{\"Id\":\"a\"}],\"x\":1}",
		"unknown member"},
	    {targets, "{" GROUP ",\"Targets\":[{\"Id\":\"a\"}],\"Runtime\":1}",
		"Runtime is true or false"},
	    {attributes, "{" GROUP "}", "Listener is the name of one"},
	    {attributes, "{\"Listener\":\"l\",\"Attributes\":[{\"Key\":1}]}",
		"attribute 1: an object with a Key and a Value"},
	    {attributes,
		"{\"Listener\":\"l\",\"Attributes\":[{\"Key\":\"a\","
		"\"Value\":null}]}",
		"a has no value"},
	    {"/v1/modify-target-group", "{" GROUP "}", "nothing to change"},
	    {"/v1/modify-target-group", "{" GROUP ",\"x\":[]}",
		"x has no value"},
	    {"/v1/modify-target-group", "{" GROUP ",\"x\":{\"y\":null}}",
		"x.y has no value"},
	};
	struct admin_fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *root;

		assert_i64(post(f, rows[i].path, rows[i].body, &root), 400);
		assert_contains(message(root, "ValidationError"), rows[i].what);
		json_decref(root);
	}
	assert_str(f->fake.changed, "");
}

static void
refusals_of_the_daemon_have_the_status_of_their_kind(void **state)
{
	static const struct {
		int error, status;
		const char *group_code, *listener_code;
	} rows[] = {
	    {-ENOENT, 404, "TargetGroupNotFound", "ListenerNotFound"},
	    {-EINVAL, 400, "ValidationError", "ValidationError"},
	    {-EBUSY, 409, "OperationNotPermitted", "OperationNotPermitted"},
	    {-EACCES, 409, "OperationNotPermitted", "OperationNotPermitted"},
	    {-ESHUTDOWN, 503, "Unavailable", "Unavailable"},
	    {-ENOMEM, 500, "InternalError", "InternalError"},
	};
	struct admin_fixture *f = *state;
	json_t *root;

	f->fake.change_text = "why not";
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f->fake.change_error = rows[i].error;
		assert_i64(
		    post(f, "/v1/register-targets",
			"{" GROUP ",\"Targets\":[{\"Id\":\"a\"}]}", &root),
		    rows[i].status);
		if (rows[i].status < 500)
			assert_str(
			    message(root, rows[i].group_code), "why not");
		json_decref(root);
		assert_i64(post(f, "/v1/modify-listener-attributes",
			       "{\"Listener\":\"l\",\"Attributes\":[{\"Key\":"
			       "\"a\",\"Value\":\"1\"}]}",
			       &root),
		    rows[i].status);
		message(root, rows[i].listener_code);
		json_decref(root);
	}
}

static void
long_body_comes_in_pieces(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *client = client_open(f);
	static char body[100000];
	char head[256];
	size_t n = 0;

	n += (size_t)snprintf(
	    body, sizeof(body), "{" GROUP ",\"Targets\":[{\"Id\":\"10.0.0.1\"");
	memset(body + n, ' ', sizeof(body) - n - 4);
	memcpy(body + sizeof(body) - 4, "}]}", 4);
	n = strlen(body);
	snprintf(head, sizeof(head),
	    "POST /v1/register-targets HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\nContent-Length: %zu\r\n\r\n",
	    n);
	client_send(client, head, strlen(head));
	client_send(client, body, 1);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	client_send(client, body + 1, 40000);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	client_send(client, body + 40001, n - 40001);
	assert_i64(client_answer(f, client, NULL), 200);
	assert_str(f->fake.changed, "register-targets smtp Id=10.0.0.1");
}

static void
too_long_and_endless_bodies_are_refused_unread(void **state)
{
	static const char *const headers[] = {"Content-Length: 1048577",
	    "Content-Length: 99999999999", "Transfer-Encoding: chunked"};
	struct admin_fixture *f = *state;

	for (size_t i = 0; i < 3; i++) {
		struct admin_client *client = client_open(f);
		char head[256];

		snprintf(head, sizeof(head),
		    "POST /v1/register-targets HTTP/1.1\r\nHost: localhost\r\n"
		    "Connection: close\r\n%s\r\n\r\n",
		    headers[i]);
		client_send(client, head, strlen(head));
		assert_i64(client_answer(f, client, NULL), 413);
	}
	assert_str(f->fake.changed, "");
}

static void
nobody_changes_anything_over_tcp(void **state)
{
	struct admin_fixture *f = *state;

	assert_i64(post(f, "/v1/register-targets", "", NULL), 405);
	assert_str(f->fake.changed, "");
}

int
main(void)
{
#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, admin_fixture_setup, admin_fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(bodies_become_changes),
	    TEST(registering_answers_with_nothing_but_notes),
	    TEST(modifying_answers_with_what_is_in_force),
	    TEST(describing_shows_what_modifying_answers),
	    TEST(describing_what_is_not_there_is_not_found),
	    TEST(wrong_bodies_never_reach_the_daemon),
	    TEST(refusals_of_the_daemon_have_the_status_of_their_kind),
	    TEST(long_body_comes_in_pieces),
	    TEST(too_long_and_endless_bodies_are_refused_unread),
	    cmocka_unit_test_setup_teardown(nobody_changes_anything_over_tcp,
		admin_fixture_setup_http, admin_fixture_teardown),
	};
#undef TEST

	return cmocka_run_group_tests_name("admin_change", tests, NULL, NULL);
}
