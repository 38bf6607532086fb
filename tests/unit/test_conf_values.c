/* The strict scalar parsers: what is a value, and what kind of mistake. */
#include "support/expect.h"

#include "nlb/conf_values.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct conf_span
span(const char *text)
{
	return (struct conf_span){
	    .text = text, .len = strlen(text), .line = 3, .col = 10};
}

static void
numbers_are_digits_without_leading_zero_in_range(void **state)
{
	static const struct {
		const char *text;
		enum conf_value_error error;
		uint32_t value;
	} rows[] = {
	    {"0", CONF_VALUE_OK, 0},
	    {"587", CONF_VALUE_OK, 587},
	    {"65535", CONF_VALUE_OK, 65535},
	    {"65536", CONF_VALUE_RANGE, 0},
	    {"4294967883", CONF_VALUE_RANGE, 0},
	    {"18446744073709551617", CONF_VALUE_RANGE, 0},
	    {"99999999999999999999999999999999999999", CONF_VALUE_RANGE, 0},
	    {"0587", CONF_VALUE_LEADING_ZERO, 0},
	    {"00", CONF_VALUE_LEADING_ZERO, 0},
	    {"", CONF_VALUE_NOT_NUMBER, 0},
	    {"587x", CONF_VALUE_NOT_NUMBER, 0},
	    {"0x1f", CONF_VALUE_NOT_NUMBER, 0},
	    {"-1", CONF_VALUE_NOT_NUMBER, 0},
	    {"+1", CONF_VALUE_NOT_NUMBER, 0},
	    {" 1", CONF_VALUE_NOT_NUMBER, 0},
	    {"1 ", CONF_VALUE_NOT_NUMBER, 0},
	    {"1.0", CONF_VALUE_NOT_NUMBER, 0},
	    {"1e3", CONF_VALUE_NOT_NUMBER, 0},
	    {"\xd9\xa3", CONF_VALUE_NOT_NUMBER, 0},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		uint32_t out = 77;
		int error =
		    conf_value_number(span(rows[i].text), 0, 65535, &out);

		if (error != (int)rows[i].error)
			fail_msg("\"%s\": %d", rows[i].text, error);
		assert_u64(out, error == 0 ? rows[i].value : 77);
	}
}

static void
bounds_of_a_number_belong_to_it(void **state)
{
	uint32_t out;

	(void)state;
	assert_i64(
	    conf_value_number(span("4"), 5, 300, &out), CONF_VALUE_RANGE);
	assert_i64(conf_value_number(span("5"), 5, 300, &out), CONF_VALUE_OK);
	assert_i64(conf_value_number(span("300"), 5, 300, &out), CONF_VALUE_OK);
	assert_i64(
	    conf_value_number(span("301"), 5, 300, &out), CONF_VALUE_RANGE);
	assert_i64(conf_value_number(span("4294967295"), 0, UINT32_MAX, &out),
	    CONF_VALUE_OK);
	assert_u64(out, UINT32_MAX);
}

static void
seconds_have_up_to_three_decimals(void **state)
{
	static const struct {
		const char *text;
		enum conf_value_error error;
		uint32_t ms;
	} rows[] = {
	    {"0.2", CONF_VALUE_OK, 200},
	    {"0.25", CONF_VALUE_OK, 250},
	    {"0.125", CONF_VALUE_OK, 125},
	    {"0.100", CONF_VALUE_OK, 100},
	    {"30", CONF_VALUE_OK, 30000},
	    {"30.0", CONF_VALUE_OK, 30000},
	    {"100", CONF_VALUE_OK, 100000},
	    {"100.001", CONF_VALUE_RANGE, 0},
	    {"0.099", CONF_VALUE_RANGE, 0},
	    {"4294967.396", CONF_VALUE_RANGE, 0}, /* 100 ms past 2^32 ms */
	    {"4294967296.2", CONF_VALUE_RANGE, 0},
	    {"0.1234", CONF_VALUE_TOO_FINE, 0},
	    {"0.12345678901234567890", CONF_VALUE_TOO_FINE, 0},
	    {".5", CONF_VALUE_NOT_NUMBER, 0},
	    {"5.", CONF_VALUE_NOT_NUMBER, 0},
	    {".", CONF_VALUE_NOT_NUMBER, 0},
	    {"1.2.3", CONF_VALUE_NOT_NUMBER, 0},
	    {"1.-5", CONF_VALUE_NOT_NUMBER, 0},
	    {"1,5", CONF_VALUE_NOT_NUMBER, 0},
	    {"5s", CONF_VALUE_NOT_NUMBER, 0},
	    {"", CONF_VALUE_NOT_NUMBER, 0},
	    {"00.5", CONF_VALUE_LEADING_ZERO, 0},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		uint32_t out = 77;
		int error =
		    conf_value_seconds(span(rows[i].text), 100, 100000, &out);

		if (error != (int)rows[i].error)
			fail_msg("\"%s\": %d", rows[i].text, error);
		assert_u64(out, error == 0 ? rows[i].ms : 77);
	}
}

static void
seconds_print_as_short_as_they_parse(void **state)
{
	static const struct {
		uint32_t ms;
		const char *text;
	} rows[] = {
	    {0, "0"},
	    {30000, "30"},
	    {200, "0.2"},
	    {250, "0.25"},
	    {50, "0.05"},
	    {1, "0.001"},
	    {2125, "2.125"},
	    {10010, "10.01"},
	    {UINT32_MAX, "4294967.295"},
	};
	char buf[24];

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		uint32_t back = 0;

		assert_str(conf_value_format_ms(rows[i].ms, buf, sizeof(buf)),
		    rows[i].text);
		assert_i64(
		    conf_value_seconds(span(buf), 0, UINT32_MAX, &back), 0);
		assert_u64(back, rows[i].ms);
	}
}

static void
ranges_are_one_number_or_two(void **state)
{
	static const struct {
		const char *text;
		enum conf_value_error error;
		uint32_t from, to;
	} rows[] = {
	    {"587", CONF_VALUE_OK, 587, 587},
	    {"587-588", CONF_VALUE_OK, 587, 588},
	    {"1-65535", CONF_VALUE_OK, 1, 65535},
	    {"587-587", CONF_VALUE_OK, 587, 587},
	    {"588-587", CONF_VALUE_BACKWARDS, 0, 0},
	    {"0-5", CONF_VALUE_RANGE, 0, 0},
	    {"5-65536", CONF_VALUE_RANGE, 0, 0},
	    {"05-6", CONF_VALUE_LEADING_ZERO, 0, 0},
	    {"5-06", CONF_VALUE_LEADING_ZERO, 0, 0},
	    {"5-", CONF_VALUE_NOT_NUMBER, 0, 0},
	    {"-5", CONF_VALUE_NOT_NUMBER, 0, 0},
	    {"5--6", CONF_VALUE_NOT_NUMBER, 0, 0},
	    {"5 - 6", CONF_VALUE_NOT_NUMBER, 0, 0},
	    {"", CONF_VALUE_NOT_NUMBER, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		uint32_t from = 0, to = 0;
		int error =
		    conf_value_range(span(rows[i].text), 1, 65535, &from, &to);

		if (error != (int)rows[i].error)
			fail_msg("\"%s\": %d", rows[i].text, error);
		assert_u64(from, rows[i].from);
		assert_u64(to, rows[i].to);
	}
}

static void
names_are_short_and_lower_case(void **state)
{
	(void)state;
	assert_true(conf_value_is_name(span("a"), false));
	assert_true(conf_value_is_name(span("smtp-2"), false));
	assert_true(conf_value_is_name(
	    span("abcdefghijklmnopqrstuvwxyz012345"), false));
	assert_false(conf_value_is_name(
	    span("abcdefghijklmnopqrstuvwxyz0123456"), false));
	assert_false(conf_value_is_name(span(""), false));
	assert_false(conf_value_is_name(span("Smtp"), false));
	assert_false(conf_value_is_name(span("a b"), false));
	assert_false(conf_value_is_name(span("a.b"), false));
	assert_false(conf_value_is_name(span("\xc3\xb6"), false));
	assert_false(conf_value_is_name(span("a_b"), false));
	assert_true(conf_value_is_name(span("a_b"), true));
}

static void
spans_keep_their_place_through_every_cut(void **state)
{
	struct conf_span rest = span(" a, \"b,c\" ,,d"), part;

	(void)state;
	part = conf_span_split(&rest, ',');
	assert_true(conf_span_is(part, "a"));
	assert_u64(part.col, 11);
	assert_u64(part.line, 3);
	part = conf_span_split(&rest, ',');
	assert_true(conf_span_is(part, "\"b,c\""));
	assert_u64(part.col, 14);
	part = conf_span_split(&rest, ',');
	assert_u64(part.len, 0);
	assert_u64(part.col, 21);
	part = conf_span_split(&rest, ',');
	assert_true(conf_span_is(part, "d"));
	assert_u64(part.col, 22);
	assert_null(rest.text);
}

static void
a_copy_is_whole_or_refused(void **state)
{
	static const char with_nul[] = {'a', '\0', 'b'};
	struct conf_span nul = {.text = with_nul, .len = 3};
	char buf[4] = "xyz";

	(void)state;
	assert_false(conf_span_copy(span("abcd"), buf, sizeof(buf)));
	assert_str(buf, "xyz");
	assert_false(conf_span_copy(nul, buf, sizeof(buf)));
	assert_true(conf_span_copy(span("abc"), buf, sizeof(buf)));
	assert_str(buf, "abc");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_are_digits_without_leading_zero_in_range),
	    cmocka_unit_test(bounds_of_a_number_belong_to_it),
	    cmocka_unit_test(seconds_have_up_to_three_decimals),
	    cmocka_unit_test(seconds_print_as_short_as_they_parse),
	    cmocka_unit_test(ranges_are_one_number_or_two),
	    cmocka_unit_test(names_are_short_and_lower_case),
	    cmocka_unit_test(spans_keep_their_place_through_every_cut),
	    cmocka_unit_test(a_copy_is_whole_or_refused),
	};

	return cmocka_run_group_tests_name("conf_values", tests, NULL, NULL);
}
