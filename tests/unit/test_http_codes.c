/* Matcher.HttpCode: what it takes, what it matches, how it is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "nlb/http_codes.h"
#include "support/expect.h"

static struct conf_span
span(const char *text)
{
	return (struct conf_span){
	    .text = text, .len = strlen(text), .line = 1, .col = 1};
}

static struct http_codes
codes_of(const char *text)
{
	struct http_codes codes;
	struct conf_span wrong;

	if (http_codes_parse(span(text), &codes, &wrong) != CONF_VALUE_OK)
		fail_msg("`%s' is refused", text);
	return codes;
}

static void
lists_and_ranges_match_their_codes_and_no_others(void **state)
{
	static const struct {
		const char *text;
		long yes[4], no[4];
	} rows[] = {
	    {"200-399", {200, 201, 301, 399}, {199, 400, 503, 100}},
	    {"200", {200, 200, 200, 200}, {199, 201, 0, 599}},
	    {"200,202,300-302", {200, 202, 300, 302}, {201, 203, 299, 303}},
	    {"599", {599, 599, 599, 599}, {598, 600, 200, 663}},
	    {"200-599", {200, 263, 264, 599}, {199, 600, -1, 1000}},
	    {"302-302, 204", {302, 204, 302, 204}, {301, 303, 205, 203}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_codes codes = codes_of(rows[i].text);

		for (size_t j = 0; j < 4; j++) {
			if (!http_codes_match(&codes, rows[i].yes[j]))
				fail_msg("%s: not %ld", rows[i].text,
				    rows[i].yes[j]);
			if (http_codes_match(&codes, rows[i].no[j]))
				fail_msg(
				    "%s: %ld too", rows[i].text, rows[i].no[j]);
		}
	}
}

static void
mistakes_are_told_with_their_place(void **state)
{
	static const struct {
		const char *text;
		enum conf_value_error error;
		unsigned col;
		size_t len;
	} rows[] = {
	    {"", CONF_VALUE_NOT_NUMBER, 1, 0},
	    {"199", CONF_VALUE_RANGE, 1, 3},
	    {"200-600", CONF_VALUE_RANGE, 1, 7},
	    {"200,600", CONF_VALUE_RANGE, 5, 3},
	    {"200, 302-301", CONF_VALUE_BACKWARDS, 6, 7},
	    {"200,,201", CONF_VALUE_NOT_NUMBER, 5, 0},
	    {"200,", CONF_VALUE_NOT_NUMBER, 5, 0},
	    {"200 201", CONF_VALUE_NOT_NUMBER, 1, 7},
	    {"2xx", CONF_VALUE_NOT_NUMBER, 1, 3},
	    {"200-", CONF_VALUE_NOT_NUMBER, 1, 4},
	    {"-200", CONF_VALUE_NOT_NUMBER, 1, 4},
	    {"200,0404", CONF_VALUE_LEADING_ZERO, 5, 4},
	    {"+200", CONF_VALUE_NOT_NUMBER, 1, 4},
	    {"4294967496", CONF_VALUE_RANGE, 1, 10},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_codes codes = codes_of("204");
		struct http_codes before = codes;
		struct conf_span wrong = {0};
		enum conf_value_error error =
		    http_codes_parse(span(rows[i].text), &codes, &wrong);

		if (error != rows[i].error || wrong.col != rows[i].col ||
		    wrong.len != rows[i].len)
			fail_msg("`%s': error %d at %u+%zu", rows[i].text,
			    error, wrong.col, wrong.len);
		assert_true(http_codes_equal(&codes, &before));
	}
}

static void
text_is_canonical_and_parses_back(void **state)
{
	static const struct {
		const char *text, *canonical;
	} rows[] = {
	    {"200-399", "200-399"},
	    {"302, 200,201 ,202", "200-202,302"},
	    {"200-250,240-299,300", "200-300"},
	    {"200-599", "200-599"},
	    {"599,200", "200,599"},
	    {"263,264", "263-264"},
	};
	char buf[HTTP_CODES_STRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_codes codes = codes_of(rows[i].text), again;

		assert_string_equal(http_codes_format(&codes, buf, sizeof(buf)),
		    rows[i].canonical);
		again = codes_of(buf);
		assert_true(http_codes_equal(&codes, &again));
	}
}

static void
longest_text_fits_and_a_short_buffer_cuts_at_a_whole_part(void **state)
{
	char text[HTTP_CODES_STRLEN] = "200", buf[HTTP_CODES_STRLEN];
	struct http_codes codes;
	size_t used = 3;

	(void)state;
	for (int code = 202; code <= HTTP_CODE_MAX; code += 2)
		used += (size_t)snprintf(
		    text + used, sizeof(text) - used, ",%d", code);
	codes = codes_of(text);
	assert_string_equal(http_codes_format(&codes, buf, sizeof(buf)), text);
	assert_string_equal(http_codes_format(&codes, buf, 10), "200,202");
	assert_string_equal(http_codes_format(&codes, buf, 1), "");
}

int
main(void)
{
	const struct CMUnitTest http_codes[] = {
	    cmocka_unit_test(lists_and_ranges_match_their_codes_and_no_others),
	    cmocka_unit_test(mistakes_are_told_with_their_place),
	    cmocka_unit_test(text_is_canonical_and_parses_back),
	    cmocka_unit_test(
		longest_text_fits_and_a_short_buffer_cuts_at_a_whole_part),
	};

	return cmocka_run_group_tests(http_codes, NULL, NULL);
}
