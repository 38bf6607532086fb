/* admin/metrics: the page that Prometheus reads, of a daemon that is not
 * there. */
#include "admin/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "admin/exposition.h"
#include "admin_fake.h"
#include "nlb/metric.h"
#include "nlb/reason.h"
#include "support/expect.h"

struct rig {
	struct admin_fake fake;
	char *page;
};

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -1;
	admin_fake_init(&r->fake, 1000000);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	admin_fake_fini(&r->fake);
	free(r->page);
	free(r);
	return 0;
}

static const char *
page(struct rig *r, bool open_metrics)
{
	size_t n = 0;

	free(r->page);
	r->page = metrics_page(&r->fake.ops, open_metrics, &n);
	assert_non_null(r->page);
	assert_u64(n, strlen(r->page));
	return r->page;
}

/* A whole line of the page. */
static void
expect_line(const char *page, const char *line)
{
	char text[512];

	snprintf(text, sizeof(text), "\n%s\n", line);
	assert_contains(page, text);
}

static void
every_metric_of_the_table_has_a_family_of_its_own(void **state)
{
	const char *text = page(*state, false);
	char line[256];

	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const struct metric *m = &metrics[i];
		const char *type =
		    m->kind == METRIC_COUNTER ? "counter" : "gauge";

		if ((m->dimensions & METRIC_BY_LOAD_BALANCER) != 0) {
			snprintf(line, sizeof(line), "# TYPE nlbd_%s %s",
			    m->name, type);
			expect_line(text, line);
			snprintf(line, sizeof(line), "\nnlbd_%s ", m->name);
			assert_contains(text, line);
		}
		if ((m->dimensions & METRIC_BY_LISTENER) != 0) {
			snprintf(line, sizeof(line),
			    "\nnlbd_listener_%s{listener=\"inside\"} ",
			    m->name);
			assert_contains(text, line);
		}
		if ((m->dimensions & METRIC_BY_TARGET_GROUP) != 0) {
			snprintf(line, sizeof(line),
			    "\nnlbd_target_group_%s"
			    "{target_group=\"internal-smtp\"} ",
			    m->name);
			assert_contains(text, line);
		}
		if ((m->dimensions & METRIC_BY_TARGET) != 0) {
			snprintf(line, sizeof(line),
			    "\nnlbd_target_%s{target_group=\"internal-smtp\","
			    "target=\"[fd00::27]:2587\"} ",
			    m->name);
			assert_contains(text, line);
		}
		if (*m->cloudwatch != '\0') {
			snprintf(line, sizeof(line), " (CloudWatch: %s).\n",
			    m->cloudwatch);
			assert_contains(text, line);
		}
	}
	expect_line(text,
	    "nlbd_target_group_healthy_hosts{target_group=\"internal-smtp\"} "
	    "3");
}

static void
values_are_the_scoreboards(void **state)
{
	const char *text = page(*state, false);

	expect_line(text, "nlbd_new_flows_total 1234");
	expect_line(text,
	    "nlbd_listener_new_flows_total{listener=\"submission\"} 1234");
	expect_line(text,
	    "nlbd_target_new_flows_total{target_group=\"internal-smtp\","
	    "target=\"10.20.0.25:587\"} 1203");
	expect_line(text, "nlbd_flow_ends_total{reason=\"client-fin\"} 1203");
}

static void
every_series_is_there_from_the_start(void **state)
{
	static const char *const lines[] = {
	    "nlbd_config_reloads_total{verdict=\"accepted\"} 0",
	    "nlbd_config_reloads_total{verdict=\"rejected\"} 0",
	    "nlbd_config_last_reload_successful 1",
	    "nlbd_worker_restarts_total 0",
	    "nlbd_flow_log_lost_records_total 0",
	    "nlbd_event_log_lost_lines_total 0",
	    "nlbd_listener_connect_duration_seconds_count{listener=\"inside\"}"
	    " 0",
	    "nlbd_listener_connect_duration_seconds_bucket{listener=\"inside\""
	    ",le=\"+Inf\"} 0",
	    "nlbd_worker_loop_lag_seconds_bucket{worker=\"1\",le=\"0.0005\"} 0",
	    "nlbd_target_health_checks_total{target_group=\"spare\","
	    "target=\"10.20.0.28:587\",result=\"void\"} 0",
	};
	const char *text = page(*state, false);
	char line[128];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_line(text, lines[i]);
	for (int i = 0; i < FLOW_END_REASON_COUNT; i++) {
		snprintf(line, sizeof(line),
		    "\nnlbd_flow_ends_total{reason=\"%s\"} ",
		    flow_end_reason_code((enum flow_end_reason)i));
		assert_contains(text, line);
	}
}

static void
histograms_count_upwards(void **state)
{
	struct rig *r = *state;
	struct sb_block *block = &r->fake.scoreboard->blocks[0];
	const char *text;

	sb_latency_add(&block->connects[0], 400);
	sb_latency_add(&block->connects[0], 700);
	sb_latency_add(&block->connects[0], 3000000);
	sb_latency_add(&block->turns, 60000);
	latency_add(&r->fake.check_latency[1], 1500);
	r->fake.check_results[1][PROBE_FAILURE] = 7;
	text = page(r, false);
#define CONNECT(what) "nlbd_listener_connect_duration_seconds" what
	expect_line(
	    text, CONNECT("_bucket{listener=\"submission\",le=\"0.0005\"} 1"));
	expect_line(
	    text, CONNECT("_bucket{listener=\"submission\",le=\"0.001\"} 2"));
	expect_line(
	    text, CONNECT("_bucket{listener=\"submission\",le=\"2.5\"} 2"));
	expect_line(
	    text, CONNECT("_bucket{listener=\"submission\",le=\"+Inf\"} 3"));
	expect_line(text, CONNECT("_sum{listener=\"submission\"} 3.001100"));
	expect_line(text, CONNECT("_count{listener=\"submission\"} 3"));
	expect_line(text,
	    "nlbd_worker_loop_lag_seconds_bucket{worker=\"0\",le=\"0.05\"} 0");
	expect_line(text,
	    "nlbd_worker_loop_lag_seconds_bucket{worker=\"0\",le=\"0.1\"} 1");
	expect_line(text,
	    "nlbd_target_health_check_duration_seconds_sum{target_group="
	    "\"internal-smtp\",target=\"10.20.0.26:587\"} 0.001500");
	expect_line(text,
	    "nlbd_target_health_checks_total{target_group=\"internal-smtp\","
	    "target=\"10.20.0.26:587\",result=\"failure\"} 7");
}

static void
the_config_and_its_reloads_show(void **state)
{
	struct rig *r = *state;
	const char *text;

	r->fake.status.last_reload = ADMIN_VERDICT_REJECTED;
	r->fake.status.reloads_accepted = 3;
	r->fake.status.reloads_rejected = 2;
	r->fake.status.worker_restarts = 5;
	r->fake.status.flow_records_lost = 7;
	r->fake.status.log_lines_lost = 9;
	text = page(r, false);
	expect_line(text, "nlbd_config_info{hash=\"0000000000000abc\"} 1");
	expect_line(text, "nlbd_config_last_reload_successful 0");
	expect_line(text, "nlbd_config_reloads_total{verdict=\"accepted\"} 3");
	expect_line(text, "nlbd_config_reloads_total{verdict=\"rejected\"} 2");
	expect_line(
	    text, "nlbd_config_last_reload_timestamp_seconds 1785578400.000");
	expect_line(text, "nlbd_worker_restarts_total 5");
	expect_line(text, "nlbd_flow_log_lost_records_total 7");
	expect_line(text, "nlbd_event_log_lost_lines_total 9");
	expect_line(text, "nlbd_build_info{version=\"" NLBD_VERSION "\"} 1");
	expect_line(text, "nlbd_load_balancer_info{load_balancer="
			  "\"smtp-submission\",zone=\"\"} 1");
}

static void
open_metrics_differs_where_it_must(void **state)
{
	struct rig *r = *state;
	const char *text = page(r, true);
	size_t len = strlen(text);

	expect_line(text, "# TYPE nlbd_new_flows counter");
	expect_line(text, "nlbd_new_flows_total 1234");
	expect_line(text, "# TYPE nlbd_build info");
	assert_str(text + len - 7, "\n# EOF\n");
	text = page(r, false);
	expect_line(text, "# TYPE nlbd_new_flows_total counter");
	expect_line(text, "# TYPE nlbd_build_info gauge");
	assert_null(strstr(text, "# EOF"));
}

/* name{labels} of each sample, and the family before it. */
static void
no_series_stands_twice_and_families_are_whole(void **state)
{
	static char series[4096][256];
	const char *line = page(*state, false);
	size_t n = 0, families = 0;

	for (; *line != '\0'; line = strchr(line, '\n') + 1) {
		size_t len = strcspn(line, "\n");

		assert_true(n < 4096);
		if (strncmp(line, "# HELP ", 7) == 0)
			continue;
		if (strncmp(line, "# TYPE ", 7) == 0) {
			len = 7 + strcspn(line + 7, " ");
			families++;
		} else if (*line != '#') {
			while (len > 0 && line[len - 1] != ' ')
				len--;
		}
		assert_true(len < sizeof(series[0]));
		memcpy(series[n], line, len);
		series[n][len] = '\0';
		for (size_t i = 0; i < n; i++)
			assert_string_not_equal(series[n], series[i]);
		n++;
	}
	assert_true(families > 40 && n > 300);
}

static void
labels_are_escaped(void **state)
{
	struct exposition e = {.open_metrics = false};
	struct exposition_label labels[] = {
	    {"a", "x\"y\\z\n"}, {"b", ""}, {NULL, NULL}};
	char *text = NULL;
	size_t n;

	(void)state;
	e.out = open_memstream(&text, &n);
	exposition_family(&e, EXPOSITION_GAUGE, "g", "help", "");
	exposition_uint(&e, labels, UINT64_MAX);
	exposition_seconds(&e, NULL, 1005);
	fclose(e.out);
	assert_str(text, "# HELP g help.\n# TYPE g gauge\n"
			 "g{a=\"x\\\"y\\\\z\\n\",b=\"\"} 18446744073709551615\n"
			 "g 1.005\n");
	free(text);
}

static void
the_format_is_what_was_asked_for(void **state)
{
	(void)state;
	assert_false(metrics_wants_open_metrics(NULL));
	assert_false(metrics_wants_open_metrics("text/plain, */*"));
	assert_true(metrics_wants_open_metrics(
	    "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"));
	assert_contains(metrics_content_type(false), "version=0.0.4");
	assert_contains(
	    metrics_content_type(true), "application/openmetrics-text");
}

static void
what_became_of_notifications_shows_for_each_receiver(void **state)
{
	const char *text = page(*state, false);

	expect_line(text,
	    "nlbd_notifications_total{notify=\"alerts\",result=\"sent\"} 5");
	expect_line(text,
	    "nlbd_notifications_total{notify=\"alerts\",result=\"failed\"} 2");
	expect_line(text,
	    "nlbd_notifications_total{notify=\"alerts\",result=\"dropped\"} "
	    "1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest metrics_tests[] = {
	    TEST(every_metric_of_the_table_has_a_family_of_its_own),
	    TEST(values_are_the_scoreboards),
	    TEST(every_series_is_there_from_the_start),
	    TEST(histograms_count_upwards),
	    TEST(the_config_and_its_reloads_show),
	    TEST(what_became_of_notifications_shows_for_each_receiver),
	    TEST(open_metrics_differs_where_it_must),
	    TEST(no_series_stands_twice_and_families_are_whole),
	    cmocka_unit_test(labels_are_escaped),
	    cmocka_unit_test(the_format_is_what_was_asked_for),
	};

	return cmocka_run_group_tests(metrics_tests, NULL, NULL);
}
