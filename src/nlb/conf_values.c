/*
 * Spans of text and the strict scalar parsers.
 */
#include "nlb/conf_values.h"

#include <stdio.h>
#include <string.h>

#include "nlb/conf.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
conf_span_is(struct conf_span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.text, text, s.len) == 0;
}

struct conf_span
conf_span_trim(struct conf_span s)
{
	size_t from = 0, to = s.len;

	while (from < to && is_blank(s.text[from]))
		from++;
	while (to > from && is_blank(s.text[to - 1]))
		to--;
	return conf_span_sub(s, from, to - from);
}

struct conf_span
conf_span_split(struct conf_span *rest, char separator)
{
	const char *text = rest->text, *end = text + rest->len, *at = text;
	struct conf_span part;
	bool quoted = false;
	size_t i;

	while (at < end && (quoted || *at != separator)) {
		quoted ^= *at == '"';
		at++;
	}
	i = (size_t)(at - text);
	part = conf_span_sub(*rest, 0, i);
	if (i < rest->len)
		*rest = conf_span_sub(*rest, i + 1, rest->len - i - 1);
	else
		rest->text = NULL;
	return conf_span_trim(part);
}

bool
conf_span_copy(struct conf_span s, char *buf, size_t size)
{
	if (s.len >= size || memchr(s.text, '\0', s.len) != NULL)
		return false;
	memcpy(buf, s.text, s.len);
	buf[s.len] = '\0';
	return true;
}

/* All digits, no leading zero; a value past uint32_t comes out as UINT64_MAX
 * or at least as more than any bound. */
static enum conf_value_error
parse_digits(struct conf_span s, uint64_t *out)
{
	uint64_t value = 0;

	if (s.len == 0)
		return CONF_VALUE_NOT_NUMBER;
	for (size_t i = 0; i < s.len; i++) {
		if (!is_digit(s.text[i]))
			return CONF_VALUE_NOT_NUMBER;
		if (value <= UINT32_MAX)
			value = value * 10 + (uint64_t)(s.text[i] - '0');
	}
	if (s.len > 1 && s.text[0] == '0')
		return CONF_VALUE_LEADING_ZERO;
	*out = value;
	return CONF_VALUE_OK;
}

enum conf_value_error
conf_value_number(struct conf_span s, uint32_t min, uint32_t max, uint32_t *out)
{
	enum conf_value_error error;
	uint64_t value;

	error = parse_digits(s, &value);
	if (error != CONF_VALUE_OK)
		return error;
	if (value < min || value > max)
		return CONF_VALUE_RANGE;
	*out = (uint32_t)value;
	return CONF_VALUE_OK;
}

enum conf_value_error
conf_value_seconds(
    struct conf_span s, uint32_t min_ms, uint32_t max_ms, uint32_t *out_ms)
{
	const char *dot = s.len == 0 ? NULL : memchr(s.text, '.', s.len);
	size_t whole_len = dot == NULL ? s.len : (size_t)(dot - s.text);
	size_t decimals = dot == NULL ? 0 : s.len - whole_len - 1;
	enum conf_value_error error;
	uint64_t ms;
	uint32_t unit = 100;

	error = parse_digits(conf_span_sub(s, 0, whole_len), &ms);
	if (error != CONF_VALUE_OK)
		return error;
	if (dot != NULL && decimals == 0)
		return CONF_VALUE_NOT_NUMBER;
	ms *= 1000;
	for (size_t i = 0; i < decimals; i++) {
		if (!is_digit(dot[1 + i]))
			return CONF_VALUE_NOT_NUMBER;
		ms += unit * (uint64_t)(dot[1 + i] - '0');
		unit /= 10;
	}
	if (decimals > 3)
		return CONF_VALUE_TOO_FINE;
	if (ms < min_ms || ms > max_ms)
		return CONF_VALUE_RANGE;
	*out_ms = (uint32_t)ms;
	return CONF_VALUE_OK;
}

enum conf_value_error
conf_value_range(struct conf_span s, uint32_t min, uint32_t max, uint32_t *from,
    uint32_t *to)
{
	const char *dash = s.len == 0 ? NULL : memchr(s.text, '-', s.len);
	size_t first_len = dash == NULL ? s.len : (size_t)(dash - s.text);
	enum conf_value_error error;
	uint32_t low, high;

	error =
	    conf_value_number(conf_span_sub(s, 0, first_len), min, max, &low);
	if (error != CONF_VALUE_OK)
		return error;
	high = low;
	if (dash != NULL) {
		error = conf_value_number(
		    conf_span_sub(s, first_len + 1, s.len - first_len - 1), min,
		    max, &high);
		if (error != CONF_VALUE_OK)
			return error;
	}
	if (low > high)
		return CONF_VALUE_BACKWARDS;
	*from = low;
	*to = high;
	return CONF_VALUE_OK;
}

bool
conf_value_is_name(struct conf_span s, bool underscore)
{
	if (s.len == 0 || s.len > CONF_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.text[i];

		if (!(c >= 'a' && c <= 'z') && !is_digit(c) && c != '-' &&
		    !(c == '_' && underscore))
			return false;
	}
	return true;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_host_label(struct conf_span s)
{
	if (s.len == 0 || s.len > 63 || s.text[0] == '-' ||
	    s.text[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_letter(s.text[i]) && !is_digit(s.text[i]) &&
		    s.text[i] != '-')
			return false;
	return true;
}

bool
conf_value_is_host(struct conf_span s)
{
	size_t start = 0, labels = 0;

	if (s.len == 0 || s.len > CONF_HOST_MAX)
		return false;
	for (size_t i = 0; i <= s.len; i++) {
		if (i < s.len && s.text[i] != '.')
			continue;
		if (!is_host_label(conf_span_sub(s, start, i - start)))
			return false;
		labels++;
		if (i < s.len)
			start = i + 1;
	}
	return labels >= 2 && s.len - start >= 2 && is_letter(s.text[start]);
}

const char *
conf_value_format_ms(uint32_t ms, char *buf, size_t size)
{
	uint32_t fraction = ms % 1000;

	if (fraction == 0)
		snprintf(buf, size, "%u", ms / 1000);
	else if (fraction % 100 == 0)
		snprintf(buf, size, "%u.%u", ms / 1000, fraction / 100);
	else if (fraction % 10 == 0)
		snprintf(buf, size, "%u.%02u", ms / 1000, fraction / 10);
	else
		snprintf(buf, size, "%u.%03u", ms / 1000, fraction);
	return buf;
}
