/* Sets of HTTP status codes; see http_codes.h. */
#include "nlb/http_codes.h"

#include <stdio.h>
#include <string.h>

static void
add(struct http_codes *codes, uint32_t code)
{
	uint32_t i = code - HTTP_CODE_MIN;

	codes->bits[i / 64] |= UINT64_C(1) << i % 64;
}

enum conf_value_error
http_codes_parse(
    struct conf_span text, struct http_codes *out, struct conf_span *where)
{
	struct http_codes codes = {0};
	struct conf_span rest = text;

	while (rest.text != NULL) {
		struct conf_span part = conf_span_split(&rest, ',');
		enum conf_value_error error;
		uint32_t from, to;

		error = conf_value_range(
		    part, HTTP_CODE_MIN, HTTP_CODE_MAX, &from, &to);
		if (error != CONF_VALUE_OK) {
			*where = part;
			return error;
		}
		while (from <= to)
			add(&codes, from++);
	}
	*out = codes;
	return CONF_VALUE_OK;
}

bool
http_codes_match(const struct http_codes *codes, long code)
{
	uint32_t i;

	if (code < HTTP_CODE_MIN || code > HTTP_CODE_MAX)
		return false;
	i = (uint32_t)code - HTTP_CODE_MIN;
	return (codes->bits[i / 64] >> i % 64 & 1) != 0;
}

bool
http_codes_equal(const struct http_codes *a, const struct http_codes *b)
{
	return memcmp(a->bits, b->bits, sizeof(a->bits)) == 0;
}

const char *
http_codes_format(const struct http_codes *codes, char *buf, size_t size)
{
	const char *comma = "";
	size_t used = 0;

	buf[0] = '\0';
	for (long from = HTTP_CODE_MIN; from <= HTTP_CODE_MAX; from++) {
		long to = from;
		char part[16];
		int n;

		if (!http_codes_match(codes, from))
			continue;
		while (http_codes_match(codes, to + 1))
			to++;
		n = snprintf(part, sizeof(part),
		    from == to ? "%s%ld" : "%s%ld-%ld", comma, from, to);
		if (n < 0 || (size_t)n >= size - used)
			break;
		memcpy(buf + used, part, (size_t)n + 1);
		used += (size_t)n;
		comma = ",";
		from = to;
	}
	return buf;
}
