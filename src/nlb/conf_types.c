/*
 * The types of the attribute table: each takes a value into its struct and
 * gives back its canonical text.
 */
#include "nlb/conf_internal.h"

#include <stdio.h>
#include <string.h>
#include <bsd/string.h>

static void *
field(const struct conf_attribute *a, void *base)
{
	return (char *)base + a->offset;
}

static const void *
const_field(const struct conf_attribute *a, const void *base)
{
	return (const char *)base + a->offset;
}

static uint32_t
get_u32(const struct conf_attribute *a, const void *base)
{
	uint32_t value;

	memcpy(&value, const_field(a, base), sizeof(value));
	return value;
}

static void
put_u32(const struct conf_attribute *a, void *base, uint32_t value)
{
	memcpy(field(a, base), &value, sizeof(value));
}

/* One sentence per kind of mistake in a number. */
void
conf_report_number(struct conf_parser *p, struct conf_span value,
    enum conf_value_error error, const char *what, const char *range)
{
	struct conf_span digits = value;
	struct conf_diag *d;

	switch (error) {
	case CONF_VALUE_LEADING_ZERO:
		while (digits.len > 1 && digits.text[0] == '0')
			digits = conf_span_sub(digits, 1, digits.len - 1);
		d = conf_error(
		    p, value, "`%.*s' starts with a zero", CONF_SPAN(value));
		conf_hint(d, "write %.*s", CONF_SPAN(digits));
		break;
	case CONF_VALUE_RANGE:
		conf_error(p, value, "%s = %.*s is out of range; it takes %s",
		    what, CONF_SPAN(value), range);
		break;
	case CONF_VALUE_TOO_FINE:
		conf_error(p, value,
		    "%s takes at most three decimals, not "
		    "`%.*s'",
		    what, CONF_SPAN(value));
		break;
	case CONF_VALUE_BACKWARDS:
		conf_error(p, value,
		    "the range `%.*s' runs backwards; write "
		    "the lower number first",
		    CONF_SPAN(value));
		break;
	default:
		conf_error(p, value, "`%.*s' is not a number; %s takes %s",
		    CONF_SPAN(value), what, range);
		break;
	}
}

bool
conf_parse_name(struct conf_parser *p, struct conf_span value, const char *what)
{
	struct conf_diag *d;

	if (conf_value_is_name(value, false))
		return true;
	d = conf_error(p, value, "`%.*s' cannot be the name of a %s",
	    CONF_SPAN(value), what);
	conf_hint(d, "a name has 1 to %d characters of a-z, 0-9 and -",
	    CONF_NAME_MAX);
	return false;
}

static void
report_choice(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value)
{
	struct conf_suggestion s = conf_suggestion_start(p, value);
	char range[160];
	struct conf_diag *d;

	d = conf_error(p, value, "`%.*s' is no value of %s; it takes %s",
	    CONF_SPAN(value), a->key,
	    conf_attribute_range(a, range, sizeof(range)));
	for (size_t i = 0; a->words != NULL && a->words[i] != NULL; i++)
		conf_suggestion_try(&s, a->words[i]);
	conf_suggestion_hint(&s, d);
}

static bool
set_name(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	bool or_none = a->type == CONF_TYPE_NAME_OR_NONE;

	if (or_none && conf_span_is(value, "none"))
		value.len = 0;
	else if (!conf_value_is_name(value, or_none)) {
		report_choice(p, a, value);
		return false;
	}
	return conf_span_copy(value, field(a, base), a->size);
}

static void
format_name(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	const char *text = const_field(a, base);

	(void)conf;
	strlcpy(buf, text[0] == '\0' ? "none" : text, size);
}

static bool
set_bool(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	bool is_true = conf_span_is(value, "true");

	if (!is_true && !conf_span_is(value, "false")) {
		report_choice(p, a, value);
		return false;
	}
	memcpy(field(a, base), &is_true, sizeof(is_true));
	return true;
}

static void
format_bool(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	bool value;

	(void)conf;
	memcpy(&value, const_field(a, base), sizeof(value));
	strlcpy(buf, value ? "true" : "false", size);
}

static bool
set_word(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	for (uint32_t i = 0; a->words[i] != NULL; i++) {
		if (a->words[i][0] == '\0' || !conf_span_is(value, a->words[i]))
			continue;
		if (a->offset != CONF_NOT_STORED)
			put_u32(a, base, a->min + i);
		return true;
	}
	report_choice(p, a, value);
	return false;
}

static void
format_word(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	(void)conf;
	if (a->offset == CONF_NOT_STORED)
		strlcpy(buf, a->words[0], size);
	else
		strlcpy(buf, a->words[get_u32(a, base) - a->min], size);
}

static bool
take_number(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, uint32_t *out)
{
	enum conf_value_error error;
	char range[80];

	if (a->type == CONF_TYPE_SECONDS)
		error = conf_value_seconds(value, a->min, a->max, out);
	else
		error = conf_value_number(value, a->min, a->max, out);
	if (error == CONF_VALUE_OK)
		return true;
	conf_report_number(p, value, error, a->key,
	    conf_attribute_range(a, range, sizeof(range)));
	return false;
}

static bool
set_port(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	uint32_t number;
	uint16_t port;

	if (!take_number(p, a, value, &number))
		return false;
	port = (uint16_t)number;
	memcpy(field(a, base), &port, sizeof(port));
	return true;
}

static void
format_port(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	uint16_t port;

	(void)conf;
	memcpy(&port, const_field(a, base), sizeof(port));
	snprintf(buf, size, "%u", port);
}

static bool
set_number(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	char range[80];
	uint32_t number;

	if ((a->flags & CONF_WORD_OFF) != 0 && conf_span_is(value, "off"))
		number = CONF_OFF;
	else if ((a->flags & CONF_WORD_AUTO) != 0 &&
		 conf_span_is(value, "auto"))
		number = CONF_AUTO;
	else if (!take_number(p, a, value, &number))
		return false;
	if (a->aws_max != 0 && (number < a->aws_min || number > a->aws_max))
		conf_aws(p, value, "%s = %.*s works here, but an NLB takes %s",
		    a->key, CONF_SPAN(value),
		    conf_attribute_aws_range(a, range, sizeof(range)));
	put_u32(a, base, number);
	return true;
}

static void
format_number(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	uint32_t value = get_u32(a, base);

	(void)conf;
	if ((a->flags & CONF_WORD_OFF) != 0 && value == CONF_OFF)
		strlcpy(buf, "off", size);
	else if ((a->flags & CONF_WORD_AUTO) != 0 && value == CONF_AUTO)
		strlcpy(buf, "auto", size);
	else if (a->type == CONF_TYPE_SECONDS)
		conf_value_format_ms(value, buf, size);
	else
		snprintf(buf, size, "%u", value);
}

static bool
set_check_port(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	uint32_t number = 0;

	if (!conf_span_is(value, "traffic-port") &&
	    !take_number(p, a, value, &number))
		return false;
	put_u32(a, base, number);
	return true;
}

static void
format_check_port(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	if (get_u32(a, base) == 0)
		strlcpy(buf, "traffic-port", size);
	else
		format_number(conf, a, base, buf, size);
}

/* A path that can be printed back whatever it holds: no quotes, blanks or
 * bytes outside ASCII. */
static bool
take_path(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, char *out, size_t size)
{
	if (value.text[0] != '/') {
		report_choice(p, a, value);
		return false;
	}
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.text[i];

		if (c > 0x20 && c < 0x7f && strchr("\"'\\", c) == NULL)
			continue;
		conf_error(p, conf_span_sub(value, i, 1),
		    "a path takes printable ASCII without blanks, quotes and "
		    "backslashes; choose another one");
		return false;
	}
	if (!conf_span_copy(value, out, size)) {
		conf_error(p, value,
		    "a path of %zu characters; %s takes at "
		    "most %zu",
		    value.len, a->key, size - 1);
		return false;
	}
	return true;
}

static bool
set_path(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	return take_path(p, a, value, field(a, base), a->size);
}

static bool
set_path_or_none(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	if (conf_span_is(value, "none")) {
		((char *)field(a, base))[0] = '\0';
		return true;
	}
	return set_path(p, a, value, base);
}

static void
format_text(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	(void)conf;
	strlcpy(buf, const_field(a, base), size);
}

static bool
set_http_codes(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	struct conf_span wrong;
	enum conf_value_error error;
	struct http_codes codes;

	error = http_codes_parse(value, &codes, &wrong);
	if (error != CONF_VALUE_OK) {
		conf_report_number(
		    p, wrong, error, a->key, "codes of 200 to 599");
		return false;
	}
	memcpy(field(a, base), &codes, sizeof(codes));
	return true;
}

static void
format_http_codes(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	(void)conf;
	http_codes_format(const_field(a, base), buf, size);
}

static bool
set_listen_address(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	struct addr address = {0};

	if (!conf_span_is(value, "all") && !conf_parse_ip(p, value, &address))
		return false;
	if (addr_is_multicast(&address)) {
		conf_error(p, value,
		    "nobody connects to the multicast address "
		    "%.*s; write an address of this machine, "
		    "or all",
		    CONF_SPAN(value));
		return false;
	}
	memcpy(field(a, base), &address, sizeof(address));
	return true;
}

static void
format_listen_address(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	const struct addr *address = const_field(a, base);

	(void)conf;
	if (address->family == ADDR_NONE)
		strlcpy(buf, "all", size);
	else
		addr_format_ip(address, buf, size);
}

static bool
set_address_port(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	struct addr address = {0};
	char text[ADDR_STRLEN];

	if (!conf_span_is(value, "off") &&
	    (!conf_span_copy(value, text, sizeof(text)) ||
		addr_parse(text, &address) != 0)) {
		conf_hint(conf_error(p, value, "`%.*s' is not ADDRESS:PORT",
			      CONF_SPAN(value)),
		    "write for example 127.0.0.1:9587, [::1]:9587 or off");
		return false;
	}
	memcpy(field(a, base), &address, sizeof(address));
	return true;
}

static void
format_address_port(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	const struct addr *address = const_field(a, base);

	(void)conf;
	if (address->family == ADDR_NONE)
		strlcpy(buf, "off", size);
	else
		addr_format(address, buf, size);
}

static bool
set_flow_log(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	struct conf_node *node = base;

	node->flow_log_path[0] = '\0';
	if (conf_span_is(value, "off")) {
		node->flow_log = CONF_FLOW_LOG_OFF;
		return true;
	}
	if (conf_span_is(value, "stderr")) {
		node->flow_log = CONF_FLOW_LOG_STDERR;
		return true;
	}
	node->flow_log = CONF_FLOW_LOG_FILE;
	return take_path(
	    p, a, value, node->flow_log_path, sizeof(node->flow_log_path));
}

static void
format_flow_log(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	const struct conf_node *node = base;

	(void)conf;
	(void)a;
	if (node->flow_log == CONF_FLOW_LOG_FILE)
		strlcpy(buf, node->flow_log_path, size);
	else
		strlcpy(buf,
		    node->flow_log == CONF_FLOW_LOG_STDERR ? "stderr" : "off",
		    size);
}

static bool
set_actions(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	return conf_actions_set(p, a, value, base);
}

static void
format_actions(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	const struct conf_listener *listener = base;

	(void)a;
	buf[0] = '\0';
	for (uint32_t i = 0; i < listener->n_forwards; i++) {
		const struct conf_forward *f = &listener->forwards[i];
		size_t used = strlcat(buf, i == 0 ? "" : ", ", size);

		snprintf(buf + used, size - used, "forward:%s",
		    conf->target_groups[f->group].name);
		used = strlen(buf);
		if (f->weight != 1)
			snprintf(buf + used, size - used, "=%u", f->weight);
	}
}

static bool
set_security_groups(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	return conf_security_groups_set(p, a, value, base);
}

static void
format_security_groups(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	const struct conf_listener *listener = base;

	(void)a;
	strlcpy(buf, listener->security_groups_none ? "none" : "", size);
	for (uint32_t i = 0; i < listener->n_security_groups; i++) {
		strlcat(buf, i == 0 ? "" : ", ", size);
		strlcat(buf,
		    conf->security_groups[listener->security_groups[i]].name,
		    size);
	}
}

static const struct {
	bool (*set)(struct conf_parser *p, const struct conf_attribute *a,
	    struct conf_span value, void *base);
	void (*format)(const struct conf *conf, const struct conf_attribute *a,
	    const void *base, char *buf, size_t size);
} types[CONF_TYPES] = {
    [CONF_TYPE_NAME] = {set_name, format_name},
    [CONF_TYPE_NAME_OR_NONE] = {set_name, format_name},
    [CONF_TYPE_BOOL] = {set_bool, format_bool},
    [CONF_TYPE_WORD] = {set_word, format_word},
    [CONF_TYPE_PORT] = {set_port, format_port},
    [CONF_TYPE_NUMBER] = {set_number, format_number},
    [CONF_TYPE_SECONDS] = {set_number, format_number},
    [CONF_TYPE_CHECK_PORT] = {set_check_port, format_check_port},
    [CONF_TYPE_PATH] = {set_path, format_text},
    [CONF_TYPE_PATH_OR_NONE] = {set_path_or_none, format_name},
    [CONF_TYPE_NOTIFY_URL] = {conf_notify_url_set, format_text},
    [CONF_TYPE_HTTP_CODES] = {set_http_codes, format_http_codes},
    [CONF_TYPE_LISTEN_ADDRESS] = {set_listen_address, format_listen_address},
    [CONF_TYPE_ADDRESS_PORT] = {set_address_port, format_address_port},
    [CONF_TYPE_FLOW_LOG] = {set_flow_log, format_flow_log},
    [CONF_TYPE_ACTIONS] = {set_actions, format_actions},
    [CONF_TYPE_SECURITY_GROUPS] = {set_security_groups, format_security_groups},
    [CONF_TYPE_SOURCES] = {conf_sources_set, conf_sources_format},
    [CONF_TYPE_WORDS] = {conf_words_set, conf_words_format},
    [CONF_TYPE_RESOLVERS] = {conf_resolvers_set, conf_resolvers_format},
};

void
conf_type_format(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	types[a->type].format(conf, a, base, buf, size);
}

bool
conf_type_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	return types[a->type].set(p, a, value, base);
}
