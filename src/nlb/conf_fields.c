/*
 * The small grammar inside a value: `Name=value,Name=value', as in the AWS
 * CLI's shorthand. A value in double quotes may hold commas.
 */
#include "nlb/conf_internal.h"

#include <string.h>
#include <bsd/string.h>

static void
report_name(struct conf_parser *p, struct conf_span name,
    const struct conf_field *names, size_t n)
{
	struct conf_suggestion s = conf_suggestion_start(p, name);
	struct conf_diag *d;
	char known[160] = "";

	for (size_t i = 0; i < n; i++) {
		conf_suggestion_try(&s, names[i].name);
		if (i > 0)
			strlcat(known, ", ", sizeof(known));
		strlcat(known, names[i].name, sizeof(known));
	}
	d = conf_error(p, name,
	    "`%.*s' has no place here; the fields of this "
	    "value are %s",
	    CONF_SPAN(name), known);
	conf_suggestion_hint(&s, d);
}

static bool
unquote(struct conf_parser *p, struct conf_span *value)
{
	const char *quote;

	if (value->text[0] == '"' && value->len >= 2 &&
	    value->text[value->len - 1] == '"')
		*value = conf_span_sub(*value, 1, value->len - 2);
	quote = memchr(value->text, '"', value->len);
	if (quote == NULL)
		return true;
	conf_error(p, conf_span_sub(*value, (size_t)(quote - value->text), 1),
	    "a double quote inside of a field; quote the whole field or take "
	    "the quote away");
	return false;
}

static bool
take_field(struct conf_parser *p, struct conf_span part,
    const struct conf_field *names, size_t n, struct conf_span *values)
{
	struct conf_span rest = part, name;

	name = conf_span_split(&rest, '=');
	if (rest.text == NULL || name.len == 0) {
		conf_error(p, part,
		    "`%.*s' is no field; write Name=value, and "
		    "put a value with commas in double quotes",
		    CONF_SPAN(part));
		return false;
	}
	rest = conf_span_trim(rest);
	for (size_t i = 0; i < n; i++) {
		if (!conf_span_is(name, names[i].name))
			continue;
		if (values[i].text != NULL) {
			conf_error(p, name,
			    "%s is given twice; keep one of "
			    "the two",
			    names[i].name);
			return false;
		}
		if (rest.len == 0) {
			conf_error(p, name,
			    "%s has no value; add it or take "
			    "the field away",
			    names[i].name);
			return false;
		}
		if (!unquote(p, &rest))
			return false;
		values[i] = rest;
		return true;
	}
	report_name(p, name, names, n);
	return false;
}

bool
conf_fields_parse(struct conf_parser *p, struct conf_span value,
    const struct conf_field *names, size_t n, struct conf_span *values)
{
	struct conf_span rest = value;
	bool sound = true;

	for (size_t i = 0; i < n; i++)
		values[i].text = NULL;
	while (rest.text != NULL)
		sound &= take_field(
		    p, conf_span_split(&rest, ','), names, n, values);
	for (size_t i = 0; i < n && sound; i++) {
		if (!names[i].required || values[i].text != NULL)
			continue;
		conf_error(
		    p, value, "the field %s is missing; add it", names[i].name);
		sound = false;
	}
	return sound;
}
