/*
 * The admin interface: targets by DNS name, and receivers of events.
 */
#include <stdio.h>

#include "admin_fixture.h"
#include "support/expect.h"

/* One that is resolved, to the first target and to one that is kept. */
static void
add_name(struct admin_fixture *f)
{
	static struct addr addresses[2];
	struct admin_name *name = &f->fake.names[0];

	addr_parse_ip("10.20.0.25", &addresses[0]);
	addr_parse_ip("10.20.0.29", &addresses[1]);
	*name = (struct admin_name){.group = "internal-smtp",
	    .label = "mx",
	    .host = "mx.example.com",
	    .port = 587,
	    .addresses = addresses,
	    .n_addresses = 1,
	    .kept = &addresses[1],
	    .n_kept = 1,
	    .refused = "",
	    .error = "",
	    .last_answer_ms = 1785578400000,
	    .next_ms = 59999};
	f->fake.n_names = 1;
	f->fake.targets[0].dns_name = "mx.example.com";
}

static void
names_are_shown_in_status_and_target_health(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *want, *target;

	add_name(f);
	assert_i64(ask(f, "GET /v1/status", &root), 200);
	assert_str(json_string_value(json_object_get(root, "health")), "ok");
	want = json_pack(
	    "{s:s, s:s, s:s, s:i, s:[s], s:[s], s:n, s:n, s:i, s:s, s:i}",
	    "target_group", "internal-smtp", "label", "mx", "name",
	    "mx.example.com", "port", 587, "addresses", "10.20.0.25",
	    "kept_addresses", "10.20.0.29", "refused", "error", "failures", 0,
	    "last_answer_time", "2026-08-01T10:00:00Z", "next_seconds", 59);
	assert_true(json_equal(
	    json_array_get(json_object_get(root, "names"), 0), want));
	json_decref(want);
	json_decref(root);
	assert_i64(ask(f, "GET /v1/target-health", &root), 200);
	target = json_object_get(
	    json_array_get(
		json_object_get(root, "TargetHealthDescriptions"), 0),
	    "Target");
	assert_str(json_string_value(json_object_get(target, "DNSName")),
	    "mx.example.com");
	json_decref(root);
}

static void
expect_problem(
    struct admin_fixture *f, const char *health, const char *sentence)
{
	json_t *root;

	assert_i64(ask(f, "GET /v1/status", &root), 200);
	assert_contains(json_string_value(json_array_get(
			    json_object_get(root, "problems"), 0)),
	    sentence);
	assert_str(json_string_value(json_object_get(root, "health")), health);
	json_decref(root);
}

static void
troubles_of_names_are_problems(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_name *name = &f->fake.names[0];

	add_name(f);
	name->error = "Domain name not found";
	expect_problem(f, "degraded",
	    "Name mx.example.com of group internal-smtp cannot be resolved "
	    "(Domain name not found): the addresses known before stay, 1 of");
	name->error = "";
	name->refused = "127.0.0.1:587 is this machine itself";
	expect_problem(f, "degraded", "127.0.0.1:587 is this machine itself");
}

static void
a_group_whose_names_are_not_resolved_is_failing(void **state)
{
	struct admin_fixture *f = *state;

	f->fake.groups[0].n_dns_targets = 1;
	f->fake.n_targets = 0;
	expect_problem(
	    f, "failing", "its DNS names are not resolved, every connection");
	f->fake.groups[0].n_dns_targets = 0;
	expect_problem(f, "failing", "Add a Target line");
}

static void
a_receiver_that_cannot_be_told_is_a_problem(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *want;

	assert_i64(ask(f, "GET /v1/status", &root), 200);
	want = json_pack("{s:s, s:n, s:i, s:i, s:i, s:i}", "name", "alerts",
	    "error", "waiting", 0, "sent", 5, "failed", 2, "dropped", 1);
	assert_true(json_equal(
	    json_array_get(json_object_get(root, "receivers"), 0), want));
	json_decref(want);
	json_decref(root);
	f->fake.receiver.error = "HTTP 500";
	expect_problem(f, "degraded",
	    "Notify alerts cannot be told of events: HTTP 500. ");
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, admin_fixture_setup, admin_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest admin_names[] = {
	    TEST(names_are_shown_in_status_and_target_health),
	    TEST(troubles_of_names_are_problems),
	    TEST(a_group_whose_names_are_not_resolved_is_failing),
	    TEST(a_receiver_that_cannot_be_told_is_a_problem),
	};

	return cmocka_run_group_tests(admin_names, NULL, NULL);
}
