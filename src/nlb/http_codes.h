/*
 * Matcher.HttpCode: the HTTP status codes that mean healthy, "200-399" or
 * "200,202,300-302". Pure.
 */
#ifndef NLB_HTTP_CODES_H
#define NLB_HTTP_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nlb/conf_values.h"

#define HTTP_CODE_MIN 200
#define HTTP_CODE_MAX 599
/* The longest text: every other code alone. */
#define HTTP_CODES_STRLEN 801

struct http_codes {
	uint64_t bits[(HTTP_CODE_MAX - HTTP_CODE_MIN) / 64 + 1];
};

/* Codes and ranges with commas between, blanks around them allowed. On a
 * mistake *out is untouched and *where is the part that is wrong. */
enum conf_value_error http_codes_parse(
    struct conf_span text, struct http_codes *out, struct conf_span *where);
/* False for what no matcher can name: 1xx and 600 on. */
bool http_codes_match(const struct http_codes *codes, long code);
bool http_codes_equal(const struct http_codes *a, const struct http_codes *b);
/* The shortest text, in ascending order; two adjacent codes are a range.
 * Returns buf, cut at a whole part when it does not fit. */
const char *http_codes_format(
    const struct http_codes *codes, char *buf, size_t size);

#endif
