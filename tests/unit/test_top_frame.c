/*
 * The numbers of nlbctl top.
 */
#include <stdio.h>

#include "nlbctl/top_frame.h"
#include "support/expect.h"

/* An answer, with what changes from one to the next. */
struct answer {
	const char *start_time;
	int uptime_ms, new_flows, bytes, drops, target_flows, cpu_ms, pid;
	int fast, slow; /* connects, and turns of the worker's loop */
};

static json_t *
answer(const struct answer *a)
{
	json_t *root = json_pack(
	    "{s:s, s:i, s:s, s:i, s:[s, s, s], s:[i, i, i],"
	    " s:[{s:i, s:i, s:i}, {s:i}],"
	    " s:[{s:s, s:s, s:i, s:s, s:i}],"
	    " s:[{s:i, s:s, s:i, s:[i, i, i]}]}",
	    "start_time", a->start_time, "uptime_ms", a->uptime_ms, "health",
	    "ok", "active_flows", 7, "latency_bounds", "0.001", "0.01", "+Inf",
	    "connects", a->fast, a->slow, 0, "listeners", "new_flows",
	    a->new_flows, "client_to_target_bytes", a->bytes, "filter_drops",
	    a->drops, "new_flows", 5, "targets", "target_group", "smtp",
	    "address", "10.0.0.1", "port", 25, "state", "healthy", "new_flows",
	    a->target_flows, "workers", "pid", a->pid, "state", "serving",
	    "cpu_ms", a->cpu_ms, "turns", a->fast, a->slow, 0);

	assert_non_null(root);
	return root;
}

static const struct answer first = {"a", 10000, 100, 5000, 3, 50, 400, 1, 9, 0};

static json_t *
frame_of(const struct answer *was, const struct answer *is)
{
	json_t *before = was == NULL ? NULL : answer(was), *now = answer(is);
	json_t *frame = top_frame(before, now, NULL);

	assert_non_null(frame);
	json_decref(before);
	json_decref(now);
	return frame;
}

/* In thousandths; -1 where there is none. */
static int64_t
milli(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	assert_non_null(value);
	return json_is_null(value)
		   ? -1
		   : (int64_t)(json_number_value(value) * 1000 + 0.5);
}

static json_t *
member(const json_t *frame, const char *list)
{
	return json_array_get(json_object_get(frame, list), 0);
}

static void
rates_are_what_came_by_the_daemons_clock(void **state)
{
	struct answer second = first;
	json_t *frame, *rates, *worker;

	(void)state;
	second.uptime_ms += 4000;
	second.new_flows += 10;
	second.bytes += 6000;
	second.drops += 1;
	second.target_flows += 2;
	second.cpu_ms += 1000;
	second.fast += 50;
	second.slow += 50;
	frame = frame_of(&first, &second);
	rates = json_object_get(frame, "rates_per_second");
	assert_i64(milli(frame, "interval_seconds"), 4000);
	assert_i64(milli(rates, "new_flows"), 2500);
	assert_i64(milli(rates, "client_to_target_bytes"), 1500000);
	assert_i64(milli(rates, "blocked"), 250);
	assert_i64(milli(rates, "elb_resets"), 0);
	assert_i64(
	    milli(member(frame, "targets"), "new_flows_per_second"), 500);
	worker = member(frame, "workers");
	assert_i64(milli(worker, "cpu_percent"), 25000);
	assert_i64(milli(worker, "loop_lag_p99_ms"), 9820);
	assert_null(json_object_get(worker, "turns"));
	assert_i64(
	    milli(json_object_get(frame, "connect"), "count"), 100 * 1000);
	assert_i64(milli(json_object_get(frame, "connect"), "p50_ms"), 1000);
	json_decref(frame);
}

static void
expect_no_rates(json_t *frame)
{
	assert_i64(milli(frame, "interval_seconds"), -1);
	assert_i64(
	    milli(json_object_get(frame, "rates_per_second"), "new_flows"), -1);
	assert_i64(milli(member(frame, "targets"), "new_flows_per_second"), -1);
	assert_i64(milli(json_object_get(frame, "connect"), "p99_ms"), -1);
	assert_i64(milli(frame, "active_flows"), 7000);
	json_decref(frame);
}

static void
one_answer_or_another_nlbds_gives_no_rates(void **state)
{
	struct answer second = first;

	(void)state;
	expect_no_rates(frame_of(NULL, &first));
	expect_no_rates(frame_of(&first, &first)); /* no time has passed */
	second.start_time = "b";
	second.uptime_ms += 1000;
	expect_no_rates(frame_of(&first, &second));
}

static void
what_is_new_has_no_past_and_nothing_goes_backwards(void **state)
{
	struct answer second = first;
	json_t *frame, *worker;

	(void)state;
	second.uptime_ms += 1000;
	second.new_flows = 0; /* the listener came anew */
	second.pid = 2;
	frame = frame_of(&first, &second);
	assert_i64(
	    milli(json_object_get(frame, "rates_per_second"), "new_flows"), 0);
	worker = member(frame, "workers");
	assert_i64(milli(worker, "cpu_percent"), -1);
	assert_i64(milli(worker, "loop_lag_p99_ms"), -1);
	json_decref(frame);
}

static void
quantiles_are_linear_within_a_bucket(void **state)
{
	static const struct {
		const char *counts;
		double q;
		int64_t us; /* -1: none */
	} rows[] = {
	    {"[10, 0, 0]", 0.5, 500},
	    {"[0, 10, 0]", 0.5, 5500},
	    {"[50, 50, 0]", 0.99, 9820},
	    {"[50, 50, 0]", 0.5, 1000},
	    {"[0, 0, 4]", 0.99, 10000}, /* at least */
	    {"[0, 0, 0]", 0.5, -1},
	    {"[]", 0.5, -1},
	};
	json_t *bounds = json_pack("[s, s, s]", "0.001", "0.01", "+Inf");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *counts = json_loads(rows[i].counts, 0, NULL);
		double ms = top_quantile_ms(counts, bounds, rows[i].q);

		assert_i64(
		    ms < 0 ? -1 : (int64_t)(ms * 1000 + 0.5), rows[i].us);
		json_decref(counts);
	}
	json_decref(bounds);
}

static void
an_odd_answer_is_no_harm(void **state)
{
	static const char *const answers[] = {"{}",
	    "{\"targets\": 3, \"workers\": {\"a\": 1}, \"listeners\": [4]}",
	    "{\"uptime_ms\": 5, \"targets\": [null], \"workers\": [{}]}",
	    "{\"start_time\": 1, \"workers\": [{\"turns\": \"x\"}]}"};
	json_t *now, *frame;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		now = json_loads(answers[i], 0, NULL);
		frame = top_frame(now, now, now);
		assert_true(json_is_object(frame));
		json_decref(frame);
		json_decref(now);
	}
}

int
main(void)
{
	const struct CMUnitTest top_frame_tests[] = {
	    cmocka_unit_test(rates_are_what_came_by_the_daemons_clock),
	    cmocka_unit_test(one_answer_or_another_nlbds_gives_no_rates),
	    cmocka_unit_test(
		what_is_new_has_no_past_and_nothing_goes_backwards),
	    cmocka_unit_test(quantiles_are_linear_within_a_bucket),
	    cmocka_unit_test(an_odd_answer_is_no_harm),
	};

	return cmocka_run_group_tests_name(
	    "top_frame", top_frame_tests, NULL, NULL);
}
