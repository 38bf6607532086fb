/*
 * The table views, given what nlbd says and what it never should.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nlbctl/show.h"
#include "support/expect.h"

/* Shows json (with ' for ") and returns the text; free it. */
static char *
show(int (*view)(const json_t *, const struct output *), const char *json,
    int want_rc)
{
	char *quoted = strdup(json), *text = NULL;
	struct output out = {0};
	json_t *root;
	size_t i, size;

	assert_non_null(quoted);
	for (i = 0; quoted[i] != '\0'; i++) {
		if (quoted[i] == '\'')
			quoted[i] = '"';
	}
	root = json_loads(quoted, 0, NULL);
	free(quoted);
	assert_non_null(root);
	out.file = open_memstream(&text, &size);
	assert_non_null(out.file);
	assert_errno(view(root, &out), want_rc);
	assert_i64(fclose(out.file), 0);
	json_decref(root);
	return text;
}

static void
wrong_shapes_are_no_answers(void **state)
{
	(void)state;
	free(show(show_status, "{}", -EPROTO));
	free(show(
	    show_status, "{'listeners': [], 'target_groups': 3}", -EPROTO));
	free(show(show_targets, "{'targets': {}}", -EPROTO));
	free(show(show_flows, "{'flows': 'x'}", -EPROTO));
	free(show(show_metrics, "{'Metrics': {}}", -EPROTO));
	free(show(show_verdict, "{'verdict': 'maybe'}", -EPROTO));
}

static void
a_metric_says_what_it_is_about(void **state)
{
	char *text;

	(void)state;
	text = show(show_metrics,
	    "{'Metrics': [{'MetricName': 'NewFlowCount', 'Unit': 'Count',"
	    " 'Kind': 'counter', 'Value': 1234, 'Dimensions': ["
	    "{'Name': 'LoadBalancer', 'Value': 'lab'},"
	    "{'Name': 'Listener', 'Value': 'submission'}]}]}",
	    0);
	/* A column that says nothing is left out. */
	assert_contains(text, "METRIC        LISTENER    VALUE  UNIT   KIND\n"
			      "NewFlowCount  submission  1,234  Count  "
			      "counter\n");
	free(text);
	text = show(show_metrics, "{'Metrics': [3, {'Dimensions': 'x'}]}", 0);
	assert_contains(text, "-           0  -     -\n");
	free(text);
}

static void
members_of_wrong_types_show_as_dashes_and_zeros(void **state)
{
	char *text;

	(void)state;
	text = show(show_flows,
	    "{'flows': [3, {'client': 4, 'duration_ms': -5,"
	    " 'connect_ms': 'x'}], 'matching_flows': 2}",
	    0);
	assert_contains(text, "-       -         -       -            0 B");
	assert_contains(text, "2 flows.\n");
	free(text);
	free(show(show_targets, "{'targets': [3, {'port': 'x'}]}", 0));
	free(show(show_status,
	    "{'listeners': [1], 'target_groups': ['x'], 'health': 'ok',"
	    " 'workers': [[]], 'problems': [7], 'flow_ends': {'a': 'b'},"
	    " 'targets': [null], 'config': 4}",
	    0));
}

static void
hostile_text_is_escaped_everywhere(void **state)
{
	char *text;

	(void)state;
	text = show(show_status,
	    "{'load_balancer': '\\u001b[2J', 'health': 'ok',"
	    " 'version': '\\u001b[2J', 'config': {'path': '\\u001b[2J',"
	    " 'last_reload': {'verdict': '\\u001b[2J'}},"
	    " 'listeners': [{'name': '\\u001b[2J', 'filter': '\\u001b[2J',"
	    "  'target_groups': ['\\u001b[2J']}],"
	    " 'target_groups': [{'name': '\\u001b[2J'}],"
	    " 'targets': [{'label': '\\u001b[2J', 'state': '\\u001b[2J',"
	    "  'last_check': '\\u001b[2J'}],"
	    " 'workers': [{'state': '\\u001b[2J'}],"
	    " 'flow_ends': {'\\u001b[2J': 1}, 'problems': ['\\u001b[2J']}",
	    0);
	assert_null(strchr(text, '\033'));
	assert_contains(text, "\\x1b[2J");
	free(text);
	text = show(show_verdict,
	    "{'verdict': 'accepted', 'message': '\\u001b[2J'}", 0);
	assert_str(text, "accepted: \\x1b[2J\n");
	free(text);
}

static void
status_begins_with_the_verdict_and_ends_with_the_problems(void **state)
{
	char *text;

	(void)state;
	text = show(show_status,
	    "{'load_balancer': 'lb', 'health': 'degraded', 'stopping': true,"
	    " 'listeners': [], 'target_groups': [], 'targets': [],"
	    " 'flow_ends': {'client-fin': 12, 'admin': 0,"
	    "  'idle-timeout': 1203},"
	    " 'worker_restarts': 1, 'problems': ['First.', 'Second.']}",
	    0);
	assert_memory_equal(
	    text, "lb is DEGRADED: 2 problems, see below (stopping)\n", 49);
	assert_contains(text, "Workers were replaced 1 time;");
	assert_contains(text,
	    "Flows ended: 1,203 idle-timeout, 12 client-fin\n\n"
	    "1. First.\n2. Second.\n");
	free(text);
}

/* Those of other zones do not make a group look half dead. */
static void
groups_count_the_targets_that_this_node_uses(void **state)
{
	char *text;

	(void)state;
	text = show(show_status,
	    "{'health': 'ok', 'listeners': [], 'targets': [],"
	    " 'target_groups': ["
	    "  {'name': 'near', 'healthy': 2, 'registered': 5, 'unused': 3,"
	    "   'in_use': true},"
	    "  {'name': 'far', 'healthy': 0, 'registered': 2, 'unused': 2,"
	    "   'in_use': true},"
	    "  {'name': 'spare', 'healthy': 0, 'registered': 1, 'unused': 1,"
	    "   'in_use': false}]}",
	    0);
	assert_contains(text, "2 of 2");
	assert_contains(text, "0 of 0");
	assert_contains(text, "nobody");
	assert_contains(text, "0 of 1");
	assert_contains(text, "no listener uses it");
	free(text);
}

static void
names_show_what_they_resolve_to_and_how_that_went(void **state)
{
	char *text;

	(void)state;
	text = show(show_status,
	    "{'health': 'ok', 'listeners': [], 'target_groups': [],"
	    " 'targets': [], 'names': ["
	    "  {'name': 'mx.example.com', 'port': 25, 'label': 'mx',"
	    "   'target_group': 'a', 'addresses': ['10.0.0.1', '10.0.0.2'],"
	    "   'kept_addresses': ['10.0.0.9'], 'next_seconds': 59,"
	    "   'last_answer_time': '2026-08-01T10:02:03Z'},"
	    "  {'name': 'no.example.com', 'port': 25, 'addresses': [],"
	    "   'error': 'Domain name not found'},"
	    "  {'name': 'new.example.com', 'port': 25, 'addresses': [4]}, 5]}",
	    0);
	assert_contains(text, "mx.example.com:25   mx     a      resolved");
	assert_contains(text, "10.0.0.1, 10.0.0.2 (and until one is healthy "
			      "10.0.0.9)\n");
	assert_contains(text, "Domain name not found");
	assert_contains(text, "not yet");
	free(text);
}

/* n targets, the last one unhealthy. */
static char *
show_status_of_targets(size_t n)
{
	char json[8192];
	size_t i, used;

	used = (size_t)snprintf(json, sizeof(json),
	    "{'health': 'ok', 'listeners': [], 'target_groups': [],"
	    " 'targets': [");
	for (i = 0; i < n; i++)
		used += (size_t)snprintf(json + used, sizeof(json) - used,
		    "%s{'address': '10.0.0.%zu', 'port': 587, 'state': '%s'}",
		    i == 0 ? "" : ", ", i,
		    i == n - 1 ? "unhealthy" : "healthy");
	snprintf(json + used, sizeof(json) - used, "]}");
	return show(show_status, json, 0);
}

static void
status_of_many_targets_shows_the_bad_ones(void **state)
{
	char *text = show_status_of_targets(10);

	(void)state;
	assert_contains(text, "10.0.0.0:587");
	assert_contains(text, "10.0.0.9:587");
	assert_null(strstr(text, "more targets"));
	free(text);
	text = show_status_of_targets(11);
	assert_null(strstr(text, "10.0.0.0:587"));
	assert_contains(text, "10.0.0.10:587");
	assert_contains(text, "10 more targets");
	free(text);
}

static void
targets_show_time_left_and_fail_open(void **state)
{
	char *text;

	(void)state;
	text = show(show_targets,
	    "{'targets': [{'address': 'fd00::1', 'port': 587,"
	    " 'state': 'draining', 'state_seconds': 180,"
	    " 'remaining_seconds': 120, 'last_check': '',"
	    " 'reason': 'Target.DeregistrationInProgress',"
	    " 'fail_open': true}]}",
	    0);
	assert_contains(text, "[fd00::1]:587");
	assert_contains(text, "3m00s, 2m00s left");
	assert_contains(text, "none yet");
	assert_contains(text, "A group fails open");
	free(text);
	text = show(show_targets,
	    "{'targets': [{'address': '10.0.0.1', 'port': 25,"
	    " 'dns_name': 'mx.example.com'}]}",
	    0);
	assert_contains(text, "10.0.0.1:25 (mx.example.com)");
	free(text);
	text = show(show_targets, "{'targets': []}", 0);
	assert_str(text, "No targets.\n");
	free(text);
}

static void
flows_say_what_is_missing(void **state)
{
	char *text;

	(void)state;
	text = show(show_flows,
	    "{'flows': [{'client': '192.0.2.1:40000', 'retries': 2}],"
	    " 'matching_flows': 1234, 'missing_workers': 1}",
	    0);
	assert_contains(text, "RETRIES");
	assert_contains(text, "1 of 1,234 flows, the newest ones.\n");
	assert_contains(text, "1 worker did not answer in time");
	free(text);
	text = show(show_flows, "{'flows': []}", 0);
	assert_str(text, "No flows.\n");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest nlbctl_show[] = {
	    cmocka_unit_test(wrong_shapes_are_no_answers),
	    cmocka_unit_test(a_metric_says_what_it_is_about),
	    cmocka_unit_test(members_of_wrong_types_show_as_dashes_and_zeros),
	    cmocka_unit_test(hostile_text_is_escaped_everywhere),
	    cmocka_unit_test(groups_count_the_targets_that_this_node_uses),
	    cmocka_unit_test(names_show_what_they_resolve_to_and_how_that_went),
	    cmocka_unit_test(
		status_begins_with_the_verdict_and_ends_with_the_problems),
	    cmocka_unit_test(status_of_many_targets_shows_the_bad_ones),
	    cmocka_unit_test(targets_show_time_left_and_fail_open),
	    cmocka_unit_test(flows_say_what_is_missing),
	};

	return cmocka_run_group_tests(nlbctl_show, NULL, NULL);
}
