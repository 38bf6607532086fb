/*
 * The admin interface asked over its socket: every route, every answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin_fixture.h"
#include "nlb/reason.h"
#include "support/expect.h"
#include "support/loop_support.h"

static const char *
text_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int64_t
int_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static const char *
error_code(const json_t *root)
{
	return text_at(json_object_get(root, "error"), "code");
}

static void
answers_carry_type_no_store_and_nosniff(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *client = client_ask(f, "GET /v1/status");

	assert_i64(client_answer(f, client, NULL), 200);
	assert_contains(client->text, "Content-Type: application/json\r\n");
	assert_contains(client->text, "Cache-Control: no-store\r\n");
	assert_contains(client->text, "X-Content-Type-Options: nosniff\r\n");
}

static void
status_has_every_listener_counter_and_every_end_code(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *ends, *listener;
	unsigned i;

	assert_i64(ask(f, "GET /v1/status", &root), 200);
	listener = json_array_get(json_object_get(root, "listeners"), 0);
#define X(field, help)   \
	int_at(listener, \
	    strcmp(#field, "paused") == 0 ? "paused_count" : #field);
	SB_LISTENER_COUNTERS(X)
#undef X
	assert_i64(int_at(listener, "new_flows"), 1234);
	assert_i64(int_at(listener, "paused_count"), 2);
	assert_true(json_is_false(json_object_get(listener, "paused")));
	ends = json_object_get(root, "flow_ends");
	for (i = 0; i < FLOW_END_REASON_COUNT; i++)
		int_at(ends, flow_end_reason_code((enum flow_end_reason)i));
	assert_u64(json_object_size(ends), FLOW_END_REASON_COUNT);
	assert_i64(int_at(ends, "client-fin"), 1203);
	assert_null(json_object_get(root, "targets"));
	json_decref(root);
}

static void
status_tells_config_workers_and_groups(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *config, *group, *worker;

	assert_i64(ask(f, "GET /v1/status?include=targets", &root), 200);
	assert_str(text_at(root, "health"), "ok");
	assert_u64(json_array_size(json_object_get(root, "problems")), 0);
	assert_str(text_at(root, "load_balancer"), "smtp-submission");
	assert_i64(int_at(root, "uptime_seconds"), 492);
	assert_i64(int_at(root, "active_flows"), 3);
	config = json_object_get(root, "config");
	assert_str(text_at(config, "hash"), "0000000000000abc");
	assert_str(text_at(config, "loaded_time"), "2026-08-01T10:00:00Z");
	assert_str(text_at(json_object_get(config, "last_reload"), "verdict"),
	    "accepted");
	worker = json_array_get(json_object_get(root, "workers"), 1);
	assert_i64(int_at(worker, "pid"), 813);
	group = json_array_get(json_object_get(root, "target_groups"), 0);
	assert_i64(int_at(group, "healthy"), 3);
	assert_i64(int_at(group, "registered"), 3);
	assert_u64(json_array_size(json_object_get(root, "targets")), 4);
	json_decref(root);
}

static void
a_status_with_latency_has_the_histograms(void **state)
{
	struct admin_fixture *f = *state;
	struct sb_block *block = &f->fake.scoreboard->blocks[0];
	json_t *root, *worker;

	sb_latency_add(&block->connects[0], 400);
	sb_latency_add(&block->turns, 700);
	assert_i64(ask(f, "GET /v1/status?include=latency", &root), 200);
	assert_i64(int_at(root, "uptime_ms"), 492000);
	assert_u64(json_array_size(json_object_get(root, "targets")), 4);
	assert_u64(json_array_size(json_object_get(root, "latency_bounds")),
	    LATENCY_BUCKETS);
	assert_i64(json_integer_value(
		       json_array_get(json_object_get(root, "connects"), 0)),
	    1);
	worker = json_array_get(json_object_get(root, "workers"), 0);
	assert_i64(json_integer_value(
		       json_array_get(json_object_get(worker, "turns"), 1)),
	    1);
	json_decref(root);
}

/* The problems joined, and the overall health. */
static void
expect_problem(
    struct admin_fixture *f, const char *health, const char *sentence)
{
	json_t *root, *problem;
	char all[4096] = "";
	size_t i, used = 0;

	assert_i64(ask(f, "GET /v1/status", &root), 200);
	json_array_foreach(json_object_get(root, "problems"), i, problem)
	    used += (size_t)snprintf(all + used, sizeof(all) - used, "%s\n",
		json_string_value(problem));
	assert_contains(all, sentence);
	assert_str(text_at(root, "health"), health);
	json_decref(root);
}

static void
set_health(struct admin_fixture *f, size_t from, size_t to,
    enum target_state state, enum target_reason reason)
{
	for (; from <= to; from++) {
		f->fake.health[from].state = state;
		f->fake.health[from].reason = reason;
	}
}

static void
too_few_healthy_targets_make_the_zone_unhealthy_for_dns(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *zone, *group;

	f->fake.groups[0].dns_failover_count = 3;
	assert_i64(ask(f, "GET /v1/status", &root), 200);
	zone = json_object_get(root, "zone");
	assert_true(json_is_true(json_object_get(zone, "healthy")));
	assert_true(json_is_null(json_object_get(zone, "name")));
	json_decref(root);

	set_health(
	    f, 1, 1, TARGET_UNHEALTHY, TARGET_REASON_FAILED_HEALTH_CHECKS);
	expect_problem(f, "degraded",
	    "This zone is unhealthy for DNS: group internal-smtp has 2 of 3");
	assert_i64(ask(f, "GET /v1/status", &root), 200);
	zone = json_object_get(root, "zone");
	assert_true(json_is_false(json_object_get(zone, "healthy")));
	group = json_array_get(json_object_get(root, "target_groups"), 0);
	assert_true(json_is_false(json_object_get(group, "dns_healthy")));
	/* "spare" carries no flows: nobody misses its targets. */
	group = json_array_get(json_object_get(root, "target_groups"), 1);
	assert_true(json_is_true(json_object_get(group, "dns_healthy")));
	json_decref(root);
}

static void
a_group_of_other_zones_is_failing(void **state)
{
	struct admin_fixture *f = *state;

	set_health(f, 0, 2, TARGET_UNUSED, TARGET_REASON_ZONE_NOT_ENABLED);
	expect_problem(f, "failing",
	    "All targets of group internal-smtp are in other zones");
}

static void
an_unhealthy_target_degrades_and_is_named(void **state)
{
	struct admin_fixture *f = *state;

	set_health(
	    f, 1, 1, TARGET_UNHEALTHY, TARGET_REASON_FAILED_HEALTH_CHECKS);
	f->fake.targets[1].last_check = "connection refused";
	expect_problem(f, "degraded",
	    "1 of 3 targets of group internal-smtp is unhealthy "
	    "(10.20.0.26:587: connection refused)");
}

static void
a_group_without_healthy_target_is_failing(void **state)
{
	struct admin_fixture *f = *state;

	set_health(
	    f, 0, 2, TARGET_UNHEALTHY, TARGET_REASON_FAILED_HEALTH_CHECKS);
	f->fake.targets[0].fail_open = true;
	expect_problem(f, "failing", "new connections go to all of them");
	f->fake.n_targets = 0;
	expect_problem(
	    f, "failing", "Target group internal-smtp has no target");
}

static void
initial_targets_degrade_until_the_first_check(void **state)
{
	struct admin_fixture *f = *state;

	set_health(
	    f, 0, 2, TARGET_INITIAL, TARGET_REASON_INITIAL_HEALTH_CHECKING);
	expect_problem(f, "degraded", "no healthy target yet");
}

static void
listener_and_worker_trouble_shows_as_problems(void **state)
{
	struct admin_fixture *f = *state;

	f->fake.shown_listeners[0].paused = true;
	expect_problem(f, "degraded", "Listener submission is paused");
	f->fake.shown_listeners[0].paused = false;
	f->fake.shown_listeners[0].kernel_filter = false;
	f->fake.shown_listeners[0].filter_text = "5000 instructions";
	expect_problem(f, "degraded", "in user space only (5000 instructions)");
	f->fake.shown_listeners[0].kernel_filter = true;
	f->fake.workers[0].state = "starting";
	expect_problem(
	    f, "degraded", "Worker 0 is starting and takes no connections");
	f->fake.workers[1].state = "draining";
	expect_problem(f, "failing", "No worker is serving");
}

static void
a_rejected_reload_and_stopping_show_as_problems(void **state)
{
	struct admin_fixture *f = *state;

	f->fake.status.last_reload = ADMIN_VERDICT_REJECTED;
	/* A byte that is not UTF-8 must not cost the whole answer. */
	f->fake.status.last_reload_text = "nlbd.ini:3:1: error: \xff";
	expect_problem(f, "degraded", "(nlbd.ini:3:1: error: ?)");
	f->fake.status.stopping = true;
	expect_problem(f, "degraded", "nlbd is stopping");
}

static void
target_health_has_exactly_the_aws_shape(void **state)
{
	static const char expected[] =
	    "{\"TargetHealthDescriptions\": ["
	    "{\"Target\": {\"Id\": \"10.20.0.25\", \"Port\": 587,"
	    "  \"AvailabilityZone\": \"all\"}, \"HealthCheckPort\": \"587\","
	    " \"TargetHealth\": {\"State\": \"healthy\"}},"
	    "{\"Target\": {\"Id\": \"10.20.0.26\", \"Port\": 587},"
	    " \"HealthCheckPort\": \"587\", \"TargetHealth\":"
	    "  {\"State\": \"unhealthy\","
	    "   \"Reason\": \"Target.FailedHealthChecks\","
	    "   \"Description\": \"Health checks failed\"}},"
	    "{\"Target\": {\"Id\": \"fd00::27\", \"Port\": 2587,"
	    "  \"AvailabilityZone\": \"all\"}, \"TargetHealth\":"
	    "  {\"State\": \"initial\","
	    "   \"Reason\": \"Elb.RegistrationInProgress\", \"Description\":"
	    "   \"Target registration is in progress\"}},"
	    "{\"Target\": {\"Id\": \"10.20.0.28\", \"Port\": 587,"
	    "  \"AvailabilityZone\": \"all\"}, \"TargetHealth\":"
	    "  {\"State\": \"unused\", \"Reason\": \"Target.NotInUse\","
	    "   \"Description\": \"Target group is not configured to receive"
	    " traffic from the load balancer\"}}]}";
	struct admin_fixture *f = *state;
	json_t *root, *want = json_loads(expected, 0, NULL);

	assert_non_null(want);
	set_health(
	    f, 1, 1, TARGET_UNHEALTHY, TARGET_REASON_FAILED_HEALTH_CHECKS);
	set_health(
	    f, 2, 2, TARGET_INITIAL, TARGET_REASON_REGISTRATION_IN_PROGRESS);
	assert_i64(ask(f, "GET /v1/target-health", &root), 200);
	assert_true(json_equal(root, want));
	json_decref(root);
	json_decref(want);
}

static void
target_health_of_one_group(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root;

	assert_i64(
	    ask(f, "GET /v1/target-health?target-group=spare", &root), 200);
	assert_u64(
	    json_array_size(json_object_get(root, "TargetHealthDescriptions")),
	    1);
	json_decref(root);
	assert_i64(
	    ask(f, "GET /v1/target-health?target-group=spar", &root), 404);
	assert_str(error_code(root), "TargetGroupNotFound");
	json_decref(root);
	assert_i64(ask(f, "GET /v1/targets?target-group=no%0a", &root), 404);
	json_decref(root);
}

static void
targets_tell_more_than_the_aws_shape(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *t;

	set_health(
	    f, 0, 0, TARGET_DRAINING, TARGET_REASON_DEREGISTRATION_IN_PROGRESS);
	f->fake.health[0].deadline_ms = uv_now(&f->loop) + 3600000;
	f->fake.targets[0].label = "";
	assert_i64(ask(f, "GET /v1/targets", &root), 200);
	t = json_array_get(json_object_get(root, "targets"), 0);
	assert_str(text_at(t, "reason"), "Target.DeregistrationInProgress");
	assert_u64_between(
	    (uint64_t)int_at(t, "remaining_seconds"), 3500, 3600);
	assert_i64(int_at(t, "new_flows"), 1203);
	t = json_array_get(json_object_get(root, "targets"), 1);
	assert_str(text_at(t, "label"), "mail-2");
	assert_str(text_at(t, "last_check"), "connected");
	assert_null(json_object_get(t, "remaining_seconds"));
	json_decref(root);
}

static void
metrics_have_the_shape_of_cloudwatch(void **state)
{
	static const char expected[] =
	    "{\"Metrics\": [{\"Namespace\": \"AWS/NetworkELB\","
	    " \"MetricName\": \"NewFlowCount\", \"Dimensions\": ["
	    " {\"Name\": \"LoadBalancer\", \"Value\": \"smtp-submission\"},"
	    " {\"Name\": \"TargetGroup\", \"Value\": \"spare\"},"
	    " {\"Name\": \"Target\", \"Value\": \"10.20.0.28:587\"}],"
	    " \"Unit\": \"Count\", \"Kind\": \"counter\", \"Value\": 9}]}";
	struct admin_fixture *f = *state;
	json_t *root, *want = json_loads(expected, 0, NULL);

	assert_non_null(want);
	f->fake.n_targets = 1;
	f->fake.targets[0] = f->fake.targets[3];
	sb_add(&f->fake.scoreboard->blocks[0].targets[3].new_flows, 9);
	assert_i64(
	    ask(f, "GET /v1/metrics?by=target&name=NewFlowCount_TCP", &root),
	    200);
	assert_true(json_equal(root, want));
	json_decref(root);
	json_decref(want);
	assert_i64(ask(f, "GET /v1/metrics?name=Latency", &root), 404);
	assert_str(error_code(root), "MetricNotFound");
	json_decref(root);
}

/* Asked for nothing special, every metric comes, of the load balancer if it is
 * kept for that. */
static void
metrics_come_by_what_says_most_shortly(void **state)
{
	struct admin_fixture *f = *state;
	size_t i, n_hosts = 0, n_new_flows = 0;
	json_t *root, *list, *m;

	assert_i64(ask(f, "GET /v1/metrics", &root), 200);
	list = json_object_get(root, "Metrics");
	json_array_foreach(list, i, m)
	{
		size_t n = json_array_size(json_object_get(m, "Dimensions"));
		const char *name = text_at(m, "MetricName");

		if (strcmp(name, "HealthyHostCount") == 0) {
			assert_u64(n, 2); /* and its group */
			n_hosts++;
		}
		if (strcmp(name, "NewFlowCount") == 0) {
			assert_u64(n, 1);
			n_new_flows++;
		}
	}
	assert_u64(n_hosts, 2);
	assert_u64(n_new_flows, 1);
	json_decref(root);
}

static void
flows_come_newest_first(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root, *flow;

	f->fake.missing_workers = 1;
	assert_i64(ask(f, "GET /v1/flows", &root), 200);
	assert_i64(int_at(root, "missing_workers"), 1);
	assert_i64(int_at(root, "matching_flows"), 3);
	flow = json_array_get(json_object_get(root, "flows"), 0);
	assert_i64(int_at(flow, "id"), 3);
	assert_str(text_at(flow, "state"), "connecting");
	assert_true(json_is_null(json_object_get(flow, "target")));
	assert_true(json_is_null(json_object_get(flow, "connect_ms")));
	flow = json_array_get(json_object_get(root, "flows"), 2);
	assert_str(text_at(flow, "client"), "203.0.113.10:40000");
	assert_str(text_at(flow, "target"), "10.20.0.25:587");
	assert_str(text_at(flow, "target_group"), "internal-smtp");
	assert_str(text_at(flow, "listener"), "submission");
	assert_i64(int_at(flow, "client_to_target_bytes"), 48123456);
	json_decref(root);
}

/* The ids of the flows that a query gives, as "3,1,". */
static void
expect_flows(struct admin_fixture *f, const char *query, const char *ids)
{
	char line[128], got[64] = "";
	json_t *root, *flow;
	size_t i, used = 0;

	snprintf(line, sizeof(line), "GET /v1/flows?%s", query);
	assert_i64(ask(f, line, &root), 200);
	json_array_foreach(json_object_get(root, "flows"), i, flow) used +=
	    (size_t)snprintf(
		got + used, sizeof(got) - used, "%d,", (int)int_at(flow, "id"));
	assert_str(got, ids);
	json_decref(root);
}

static void
flows_by_listener_target_and_limit(void **state)
{
	struct admin_fixture *f = *state;

	expect_flows(f, "limit=2", "3,2,");
	expect_flows(f, "listener=submission", "3,1,");
	expect_flows(f, "target=10.20.0.25", "1,");
	expect_flows(f, "target=10.20.0.26:587", "2,");
	expect_flows(f, "target=10.20.0.26:588", "");
	expect_flows(f, "limit=1&listener=submission", "3,");
}

static void
bad_parameters_are_named(void **state)
{
	static const char *const lines[] = {
	    "GET /v1/flows?limit=0",
	    "GET /v1/flows?limit=x",
	    "GET /v1/flows?limit=4294967297",
	    "GET /v1/flows?lim=1",
	    "GET /v1/flows?listener=abcdefghijklmnopqrstuvwxyz0123456789",
	    "GET /v1/status?include=all",
	    "GET /v1/metrics?by=zone,target",
	    "POST /v1/reload?now=1",
	};
	struct admin_fixture *f = *state;
	json_t *root;
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_i64(ask(f, lines[i], &root), 400);
		assert_str(error_code(root), "ValidationError");
		json_decref(root);
	}
	assert_u64(f->fake.n_reloads, 0);
}

static void
reload_and_check_give_the_verdict(void **state)
{
	struct admin_fixture *f = *state;
	json_t *root;

	assert_i64(ask(f, "POST /v1/reload", &root), 200);
	assert_str(text_at(root, "verdict"), "accepted");
	json_decref(root);
	f->fake.accept = false;
	f->fake.verdict_text = "nlbd.ini:3:1: error: x\nnlbd.ini:4:1: error: y";
	assert_i64(ask(f, "GET /v1/check", &root), 409);
	assert_str(text_at(root, "verdict"), "rejected");
	assert_str(text_at(root, "message"), f->fake.verdict_text);
	json_decref(root);
	assert_u64(f->fake.n_reloads, 1);
	assert_u64(f->fake.n_checks, 1);
	f->fake.op_error = -EBUSY;
	assert_i64(ask(f, "POST /v1/reload", &root), 503);
	assert_str(error_code(root), "Unavailable");
	json_decref(root);
}

static bool
fake_is_pending(void *fake)
{
	return admin_fake_is_pending(fake);
}

static void
an_answer_waits_for_its_operation(void **state)
{
	static const char *const lines[] = {
	    "POST /v1/reload", "GET /v1/check", "GET /v1/flows"};
	struct admin_fixture *f = *state;
	struct admin_client *client;
	size_t i;

	f->fake.defer = true;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		client = client_ask(f, lines[i]);
		assert_true(loop_run_until(
		    &f->loop, fake_is_pending, &f->fake, LOOP_DEADLINE_MS));
		/* Others are served meanwhile, and the wait has no timeout. */
		assert_i64(ask(f, "GET /v1/status", NULL), 200);
		if (i == 0)
			loop_run_for(&f->loop, 3500);
		assert_false(client->ended);
		assert_u64(client->n_text, 0);
		admin_fake_complete(&f->fake);
		assert_i64(client_answer(f, client, NULL), 200);
	}
}

static void
unknown_paths_and_wrong_methods_are_told_apart(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *client;
	json_t *root;

	assert_i64(ask(f, "GET /v1/nothing", &root), 404);
	assert_str(error_code(root), "NotFound");
	json_decref(root);
	client = client_ask(f, "GET /v1/reload");
	assert_i64(client_answer(f, client, &root), 405);
	assert_contains(client->text, "Allow: POST\r\n");
	json_decref(root);
	assert_i64(ask(f, "POST /v1/status", NULL), 405);
	assert_i64(ask(f, "BREW /v1/status", NULL), 405);
	assert_u64(f->fake.n_reloads, 0);
}

static void
head_gets_the_head_alone(void **state)
{
	struct admin_fixture *f = *state;
	struct admin_client *client = client_ask(f, "HEAD /v1/status");

	assert_i64(client_answer(f, client, NULL), 200);
	assert_str(strstr(client->text, "\r\n\r\n"), "\r\n\r\n");
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, admin_fixture_setup, admin_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest admin[] = {
	    TEST(answers_carry_type_no_store_and_nosniff),
	    TEST(status_has_every_listener_counter_and_every_end_code),
	    TEST(status_tells_config_workers_and_groups),
	    TEST(a_status_with_latency_has_the_histograms),
	    TEST(too_few_healthy_targets_make_the_zone_unhealthy_for_dns),
	    TEST(a_group_of_other_zones_is_failing),
	    TEST(an_unhealthy_target_degrades_and_is_named),
	    TEST(a_group_without_healthy_target_is_failing),
	    TEST(initial_targets_degrade_until_the_first_check),
	    TEST(listener_and_worker_trouble_shows_as_problems),
	    TEST(a_rejected_reload_and_stopping_show_as_problems),
	    TEST(target_health_has_exactly_the_aws_shape),
	    TEST(target_health_of_one_group),
	    TEST(targets_tell_more_than_the_aws_shape),
	    TEST(metrics_have_the_shape_of_cloudwatch),
	    TEST(metrics_come_by_what_says_most_shortly),
	    TEST(flows_come_newest_first),
	    TEST(flows_by_listener_target_and_limit),
	    TEST(bad_parameters_are_named),
	    TEST(reload_and_check_give_the_verdict),
	    TEST(an_answer_waits_for_its_operation),
	    TEST(unknown_paths_and_wrong_methods_are_told_apart),
	    TEST(head_gets_the_head_alone),
	};

	return cmocka_run_group_tests(admin, NULL, NULL);
}
