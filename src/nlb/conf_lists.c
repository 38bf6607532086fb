/*
 * Values that name things: DefaultActions, SecurityGroups, addresses and CIDR
 * blocks.
 */
#include "nlb/conf_internal.h"

#include <string.h>

#include "nlb/forward.h"

bool
conf_parse_ip(struct conf_parser *p, struct conf_span value, struct addr *out)
{
	char text[ADDR_IP_STRLEN];

	if (conf_span_copy(value, text, sizeof(text)) &&
	    addr_parse_ip(text, out) == 0)
		return true;
	conf_hint(conf_error(p, value, "`%.*s' is not an IP address",
		      CONF_SPAN(value)),
	    "write IPv4 as four numbers without leading zeros, or IPv6; host "
	    "names, zones and ports cannot stand here");
	return false;
}

bool
conf_parse_cidr(struct conf_parser *p, struct conf_span value, struct cidr *out)
{
	char text[CIDR_STRLEN], meant[CIDR_STRLEN];
	enum cidr_error error = CIDR_BAD_ADDRESS;
	bool has_slash = memchr(value.text, '/', value.len) != NULL;
	struct conf_diag *d;

	if (conf_span_copy(value, text, sizeof(text)) &&
	    cidr_parse(text, out, &error) == 0)
		return true;
	d = conf_error(
	    p, value, "`%.*s' is not a CIDR block", CONF_SPAN(value));
	switch (error) {
	case CIDR_HOST_BITS:
		conf_hint(d,
		    "there are address bits behind the prefix; did "
		    "you mean `%s'?",
		    cidr_format(out, meant, sizeof(meant)));
		break;
	case CIDR_BAD_PREFIX:
		if (has_slash)
			conf_hint(d, "the prefix length is 0 to 32 for IPv4 "
				     "and 0 to 128 for IPv6, without leading "
				     "zeros");
		else
			conf_hint(d, "for one address write %.*s/%s",
			    CONF_SPAN(value),
			    memchr(value.text, ':', value.len) == NULL ? "32"
								       : "128");
		break;
	default:
		conf_hint(d, "write for example 203.0.113.10/32 or "
			     "2001:db8::/32, without leading zeros");
		break;
	}
	return false;
}

void
conf_report_twice(struct conf_parser *p, struct conf_span name)
{
	conf_error(p, name, "`%.*s' is named twice; keep one of the two",
	    CONF_SPAN(name));
}

static bool
set_weight(
    struct conf_parser *p, struct conf_span weight, struct conf_forward *f)
{
	enum conf_value_error error;

	error = conf_value_number(weight, 0, FORWARD_WEIGHT_MAX, &f->weight);
	if (error != CONF_VALUE_OK)
		conf_report_number(p, weight, error, "weight", "0 to 999");
	return error == CONF_VALUE_OK;
}

static bool
set_forward(struct conf_parser *p, struct conf_span action,
    struct conf_listener *listener)
{
	static const char prefix[] = "forward:";
	size_t prefix_len = sizeof(prefix) - 1;
	struct conf_forward f = {.weight = 1};
	struct conf_span name;

	if (action.len < prefix_len ||
	    memcmp(action.text, prefix, prefix_len) != 0) {
		conf_error(p, action,
		    "`%.*s' is not an action; write "
		    "forward:GROUP or forward:GROUP=WEIGHT",
		    CONF_SPAN(action));
		return false;
	}
	action = conf_span_sub(action, prefix_len, action.len - prefix_len);
	name = conf_span_split(&action, '=');
	if (action.text != NULL && !set_weight(p, conf_span_trim(action), &f))
		return false;
	if (!conf_name_resolve(p, CONF_TARGET_GROUP, name, &f.group))
		return false;
	for (uint32_t i = 0; i < listener->n_forwards; i++) {
		if (listener->forwards[i].group != f.group)
			continue;
		conf_report_twice(p, name);
		return false;
	}
	if (listener->n_forwards == CONF_FORWARDS_MAX) {
		conf_error(p, name,
		    "more than %d target groups; take some "
		    "away",
		    CONF_FORWARDS_MAX);
		return false;
	}
	listener->forwards[listener->n_forwards++] = f;
	return true;
}

bool
conf_actions_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, struct conf_listener *listener)
{
	struct conf_span rest = value;

	while (rest.text != NULL) {
		if (!set_forward(p, conf_span_split(&rest, ','), listener))
			return false;
	}
	for (uint32_t i = 0; i < listener->n_forwards; i++) {
		if (listener->forwards[i].weight > 0)
			return true;
	}
	conf_warning(p, value,
	    "every weight in %s is 0: all flows are refused; give one group a "
	    "weight of 1 to %d",
	    a->key, FORWARD_WEIGHT_MAX);
	return true;
}

static bool
add_security_group(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span name, struct conf_listener *listener)
{
	uint32_t index;

	if (conf_span_is(name, "none")) {
		conf_error(p, name,
		    "`none' cannot stand beside names; write either none or "
		    "the groups");
		return false;
	}
	if (!conf_name_resolve(p, CONF_SECURITY_GROUP, name, &index))
		return false;
	for (uint32_t i = 0; i < listener->n_security_groups; i++) {
		if (listener->security_groups[i] != index)
			continue;
		conf_report_twice(p, name);
		return false;
	}
	if (listener->n_security_groups == CONF_LISTENER_GROUPS_MAX) {
		conf_error(p, name,
		    "more than %d groups in %s, as an NLB; put "
		    "the rules into fewer groups",
		    CONF_LISTENER_GROUPS_MAX, a->key);
		return false;
	}
	listener->security_groups[listener->n_security_groups++] = index;
	return true;
}

bool
conf_security_groups_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, struct conf_listener *listener)
{
	struct conf_span rest = value;
	bool sound = true;

	listener->security_groups_none = conf_span_is(value, "none");
	if (listener->security_groups_none)
		return true;
	while (rest.text != NULL)
		sound &= add_security_group(
		    p, a, conf_span_split(&rest, ','), listener);
	return sound;
}
