/*
 * Unit tests of nlb/flow_record: the JSON line, read back by jansson, and
 * the lines of fields.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "nlb/flow_record.h"
#include "support/expect.h"

#define LINE_MAX_BYTES 2048

static const struct flow_names names = {"edge", "submission", "internal-smtp"};

static struct flow_record
make_record(void)
{
	struct flow_record r = {
	    .id = 4711,
	    .start_us = UINT64_C(1700000000123456),
	    .duration_us = 1234567,
	    .connect_us = 809,
	    .client_to_target_bytes = 52428800,
	    .target_to_client_bytes = 312,
	    .client_to_target_packets = 36209,
	    .target_to_client_packets = 18111,
	    .state = FLOW_CLOSING,
	    .reason = FLOW_END_TARGET_FIN,
	    .retries = 1,
	    .worker = 3,
	};

	assert_i64(addr_parse("203.0.113.10:50001", &r.client), 0);
	assert_i64(addr_parse("[fd00::587]:587", &r.listener), 0);
	assert_i64(addr_parse("10.20.0.25:587", &r.target), 0);
	return r;
}

/* Formats with a buffer of exactly the right size and parses the line. */
static json_t *
format(const struct flow_record *r, const char *listener, const char *group)
{
	const struct flow_names some = {"edge", listener, group};
	char line[LINE_MAX_BYTES];
	json_error_t error;
	json_t *json;
	int len;

	len = flow_record_format_json(r, &some, line, sizeof(line));
	assert_true(len > 0);
	assert_u64(strlen(line), (size_t)len);
	assert_true(line[len - 1] == '\n');
	assert_null(memchr(line, '\n', (size_t)len - 1));
	json = json_loads(line, JSON_REJECT_DUPLICATES, &error);
	if (json == NULL)
		fail_msg("%s in %s", error.text, line);
	return json;
}

static void
assert_text(const json_t *json, const char *key, const char *expected)
{
	const char *text = json_string_value(json_object_get(json, key));

	if (text == NULL)
		fail_msg("no text at %s", key);
	else
		assert_string_equal(text, expected);
}

static void
assert_number(const json_t *json, const char *key, json_int_t expected)
{
	assert_true(json_is_integer(json_object_get(json, key)));
	assert_i64(json_integer_value(json_object_get(json, key)), expected);
}

static void
ended_flow_is_one_line_of_json_with_every_field(void **state)
{
	struct flow_record r = make_record();
	json_t *json = format(&r, "submission", "internal-smtp");

	(void)state;
	assert_text(json, "time", "2023-11-14T22:13:20.123Z");
	assert_number(json, "id", 4711);
	assert_text(json, "client", "203.0.113.10:50001");
	assert_text(json, "listener", "submission");
	assert_text(json, "listener_address", "[fd00::587]:587");
	assert_text(json, "target_group", "internal-smtp");
	assert_text(json, "target", "10.20.0.25:587");
	assert_number(json, "client_to_target_bytes", 52428800);
	assert_number(json, "target_to_client_bytes", 312);
	assert_number(json, "client_to_target_packets", 36209);
	assert_number(json, "target_to_client_packets", 18111);
	assert_true(
	    json_real_value(json_object_get(json, "duration_ms")) == 1234.567);
	assert_true(
	    json_real_value(json_object_get(json, "connect_ms")) == 0.809);
	assert_number(json, "retries", 1);
	assert_number(json, "worker", 3);
	assert_text(json, "end_reason", "target-fin");
	assert_null(json_object_get(json, "state"));
	json_decref(json);
}

static void
line_has_the_exact_documented_form(void **state)
{
	struct flow_record r = make_record();
	char line[LINE_MAX_BYTES];

	(void)state;
	assert_true(
	    flow_record_format_json(&r, &names, line, sizeof(line)) > 0);
	assert_string_equal(line,
	    "{\"time\":\"2023-11-14T22:13:20.123Z\",\"id\":4711,"
	    "\"client\":\"203.0.113.10:50001\",\"listener\":\"submission\","
	    "\"listener_address\":\"[fd00::587]:587\","
	    "\"target_group\":\"internal-smtp\","
	    "\"target\":\"10.20.0.25:587\","
	    "\"client_to_target_bytes\":52428800,"
	    "\"target_to_client_bytes\":312,"
	    "\"client_to_target_packets\":36209,"
	    "\"target_to_client_packets\":18111,\"duration_ms\":1234.567,"
	    "\"connect_ms\":0.809,\"retries\":1,\"worker\":3,"
	    "\"end_reason\":\"target-fin\"}\n");
}

static void
flow_without_a_target_has_nulls(void **state)
{
	struct flow_record r = make_record();
	json_t *json;

	(void)state;
	memset(&r.target, 0, sizeof(r.target));
	r.connect_us = 0;
	r.reason = FLOW_END_SECURITY_GROUP;
	json = format(&r, NULL, NULL);
	assert_true(json_is_null(json_object_get(json, "target")));
	assert_true(json_is_null(json_object_get(json, "target_group")));
	assert_true(json_is_null(json_object_get(json, "listener")));
	assert_true(json_is_null(json_object_get(json, "connect_ms")));
	assert_text(json, "end_reason", "security-group");
	json_decref(json);
}

static void
flow_under_way_shows_its_state_instead_of_a_reason(void **state)
{
	static const char *const state_names[] = {
	    [FLOW_CONNECTING] = "connecting",
	    [FLOW_ESTABLISHED] = "established",
	    [FLOW_FLUSHING] = "flushing",
	};
	struct flow_record r = make_record();
	json_t *json;
	uint8_t i;

	(void)state;
	for (i = FLOW_CONNECTING; i <= FLOW_FLUSHING; i++) {
		r.state = i;
		json = format(&r, "a", "b");
		assert_text(json, "state", state_names[i]);
		assert_null(json_object_get(json, "end_reason"));
		json_decref(json);
	}
	assert_string_equal(flow_state_name(FLOW_CLOSING), "closing");
	assert_string_equal(flow_state_name((enum flow_state)99), "unknown");
}

static void
hostile_bytes_in_names_stay_valid_json(void **state)
{
	struct flow_record r = make_record();
	json_t *json;

	(void)state;
	json = format(&r, "a\"b\\c\n\x01\x7f\xff", "\xc3\xa9");
	/* Bytes beyond ASCII come as the code point of the same number. */
	assert_text(json, "listener", "a\"b\\c\n\x01\x7f\xc3\xbf");
	assert_text(json, "target_group", "\xc3\x83\xc2\xa9");
	json_decref(json);
}

static void
greatest_values_are_written_in_full(void **state)
{
	struct flow_record r;
	char line[LINE_MAX_BYTES];

	(void)state;
	memset(&r, 0xff, sizeof(r));
	memset(&r.client, 0, sizeof(r.client));
	memset(&r.listener, 0, sizeof(r.listener));
	memset(&r.target, 0, sizeof(r.target));
	r.state = FLOW_CLOSING;
	assert_true(
	    flow_record_format_json(&r, &names, line, sizeof(line)) > 0);
	assert_non_null(strstr(line, "\"9999-12-31T23:59:59."));
	assert_non_null(strstr(line, "\"id\":18446744073709551615,"));
	assert_non_null(strstr(line, "\"duration_ms\":18446744073709551.615,"));
	assert_non_null(strstr(line, "\"connect_ms\":4294967.295,"));
	assert_non_null(strstr(line, "\"retries\":255,\"worker\":255,"));
	assert_non_null(strstr(line, "\"end_reason\":\"unknown\""));

	memset(&r, 0, sizeof(r));
	assert_true(
	    flow_record_format_json(&r, &names, line, sizeof(line)) > 0);
	assert_non_null(strstr(line, "\"1970-01-01T00:00:00.000Z\""));
	assert_non_null(strstr(line, "\"duration_ms\":0.000,"));
}

static void
assert_line(int (*format_line)(const struct flow_record *,
		const struct flow_names *, char *, size_t),
    const struct flow_record *r, const struct flow_names *some,
    const char *wanted)
{
	char line[LINE_MAX_BYTES];
	int len = format_line(r, some, line, sizeof(line));

	assert_string_equal(line, wanted);
	assert_i64(len, (int)strlen(wanted));
}

static void
vpc_flow_log_has_a_line_of_14_fields_for_each_direction(void **state)
{
	struct flow_record r = make_record();

	(void)state;
	assert_i64(addr_parse("198.51.100.7:587", &r.listener), 0);
	assert_line(flow_record_format_vpc, &r, &names,
	    "2 - edge 203.0.113.10 198.51.100.7 50001 587 6 36209 52428800 "
	    "1700000000 1700000001 ACCEPT OK\n"
	    "2 - edge 198.51.100.7 203.0.113.10 587 50001 6 18111 312 "
	    "1700000000 1700000001 ACCEPT OK\n");
}

static void
vpc_flow_log_has_ipv6_without_brackets(void **state)
{
	struct flow_record r = make_record();

	(void)state;
	assert_i64(addr_parse("[2001:db8::1]:40000", &r.client), 0);
	r.duration_us = UINT64_C(3600000000);
	assert_line(flow_record_format_vpc, &r, &names,
	    "2 - edge 2001:db8::1 fd00::587 40000 587 6 36209 52428800 "
	    "1700000000 1700003600 ACCEPT OK\n"
	    "2 - edge fd00::587 2001:db8::1 587 40000 6 18111 312 "
	    "1700000000 1700003600 ACCEPT OK\n");
}

static void
what_a_rule_refused_is_one_line_with_reject(void **state)
{
	static const enum flow_end_reason refused[] = {FLOW_END_SECURITY_GROUP,
	    FLOW_END_SECURITY_GROUP_OUTBOUND, FLOW_END_NETWORK_ACL};
	struct flow_record r = make_record();

	(void)state;
	r.client_to_target_bytes = r.target_to_client_bytes = 0;
	r.client_to_target_packets = 1;
	memset(&r.target, 0, sizeof(r.target));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		r.reason = (uint8_t)refused[i];
		assert_line(flow_record_format_vpc, &r, &names,
		    "2 - edge 203.0.113.10 fd00::587 50001 587 6 1 0 "
		    "1700000000 1700000001 REJECT OK\n");
	}
}

/* A limit, a dead target, a reset: rules had let it in. */
static void
every_other_end_is_accept_in_both_directions(void **state)
{
	struct flow_record r = make_record();
	char line[LINE_MAX_BYTES];
	const char *second;

	(void)state;
	for (uint8_t i = 0; i < FLOW_END_REASON_COUNT; i++) {
		if (flow_end_reason_class(i) == FLOW_END_BLOCKED)
			continue;
		r.reason = i;
		assert_true(
		    flow_record_format_vpc(&r, &names, line, sizeof(line)) > 0);
		assert_null(strstr(line, "REJECT"));
		second = strchr(line, '\n') + 1;
		assert_non_null(strstr(second, " ACCEPT OK\n"));
	}
}

static void
access_log_line_has_the_22_fields_of_an_nlb(void **state)
{
	struct flow_record r = make_record();

	(void)state;
	assert_line(flow_record_format_nlb, &r, &names,
	    "tcp 2.0 2023-11-14T22:13:21 edge submission 203.0.113.10:50001 "
	    "[fd00::587]:587 1234 - 52428800 312 - - - - - - - - - - "
	    "2023-11-14T22:13:20\n");
}

static void
what_is_not_known_is_a_dash_and_names_stay_one_field(void **state)
{
	const struct flow_names none = {NULL, NULL, NULL};
	const struct flow_names hostile = {"a b\n", "\x7f\xff\x1f", ""};
	struct flow_record r = {.state = FLOW_CLOSING};

	(void)state;
	assert_line(flow_record_format_vpc, &r, &none,
	    "2 - - - - - - 6 0 0 0 0 ACCEPT OK\n"
	    "2 - - - - - - 6 0 0 0 0 ACCEPT OK\n");
	assert_line(flow_record_format_nlb, &r, &none,
	    "tcp 2.0 1970-01-01T00:00:00 - - - - 0 - 0 0 "
	    "- - - - - - - - - - 1970-01-01T00:00:00\n");
	assert_line(flow_record_format_nlb, &r, &hostile,
	    "tcp 2.0 1970-01-01T00:00:00 a?b? ??? - - 0 - 0 0 "
	    "- - - - - - - - - - 1970-01-01T00:00:00\n");
}

static void
greatest_values_do_not_wrap(void **state)
{
	struct flow_record r = {
	    .start_us = UINT64_MAX - 1,
	    .duration_us = UINT64_MAX,
	    .client_to_target_bytes = UINT64_MAX,
	    .client_to_target_packets = UINT64_MAX,
	    .state = FLOW_CLOSING,
	};

	(void)state;
	assert_line(flow_record_format_vpc, &r, &names,
	    "2 - edge - - - - 6 18446744073709551615 18446744073709551615 "
	    "18446744073709 18446744073709 ACCEPT OK\n"
	    "2 - edge - - - - 6 0 0 "
	    "18446744073709 18446744073709 ACCEPT OK\n");
	assert_line(flow_record_format_nlb, &r, &names,
	    "tcp 2.0 9999-12-31T23:59:59 edge submission - - "
	    "18446744073709551 - 18446744073709551615 0 "
	    "- - - - - - - - - - 9999-12-31T23:59:59\n");
}

static void
buffer_of_any_smaller_size_gives_enospc_and_no_overrun(void **state)
{
	int (*const formats[])(const struct flow_record *,
	    const struct flow_names *, char *, size_t) = {
	    flow_record_format_json,
	    flow_record_format_vpc,
	    flow_record_format_nlb,
	};
	const struct flow_names odd = {"edge", "a\n", "b"};
	struct flow_record r = make_record();
	char line[LINE_MAX_BYTES], small[LINE_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		int len = formats[i](&r, &odd, line, sizeof(line));

		assert_true(len > 0);
		for (size_t size = 0; size <= (size_t)len; size++) {
			memset(small, '#', sizeof(small));
			assert_i64(formats[i](&r, &odd, small, size), -ENOSPC);
			assert_true(small[size] == '#');
			if (size > 0)
				assert_true(small[0] == '\0');
		}
		assert_i64(formats[i](&r, &odd, small, (size_t)len + 1), len);
		assert_string_equal(small, line);
	}
}

int
main(void)
{
	const struct CMUnitTest flow_record[] = {
	    cmocka_unit_test(ended_flow_is_one_line_of_json_with_every_field),
	    cmocka_unit_test(line_has_the_exact_documented_form),
	    cmocka_unit_test(flow_without_a_target_has_nulls),
	    cmocka_unit_test(
		flow_under_way_shows_its_state_instead_of_a_reason),
	    cmocka_unit_test(hostile_bytes_in_names_stay_valid_json),
	    cmocka_unit_test(greatest_values_are_written_in_full),
	    cmocka_unit_test(
		vpc_flow_log_has_a_line_of_14_fields_for_each_direction),
	    cmocka_unit_test(vpc_flow_log_has_ipv6_without_brackets),
	    cmocka_unit_test(what_a_rule_refused_is_one_line_with_reject),
	    cmocka_unit_test(every_other_end_is_accept_in_both_directions),
	    cmocka_unit_test(access_log_line_has_the_22_fields_of_an_nlb),
	    cmocka_unit_test(
		what_is_not_known_is_a_dash_and_names_stay_one_field),
	    cmocka_unit_test(greatest_values_do_not_wrap),
	    cmocka_unit_test(
		buffer_of_any_smaller_size_gives_enospc_and_no_overrun),
	};

	return cmocka_run_group_tests(flow_record, NULL, NULL);
}
