/*
 * SourceAddresses: the addresses that targets are reached from.
 */
#include "nlb/conf_internal.h"

#include <string.h>
#include <bsd/string.h>

/* Why no connection can come from an address; NULL when one can. */
static const char *
why_refused(const struct addr *a)
{
	static const uint8_t broadcast[4] = {255, 255, 255, 255};

	if (addr_is_unspecified(a))
		return "the unspecified address";
	if (addr_is_multicast(a))
		return "a multicast address";
	if (addr_is_link_local(a))
		return "a link-local address, which reaches no target";
	if (a->family == ADDR_IPV4 && memcmp(a->ip, broadcast, 4) == 0)
		return "the broadcast address";
	return NULL;
}

static bool
add_source(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, struct conf_load_balancer *lb)
{
	struct addr source = {0};
	const char *refused;

	if (!conf_parse_ip(p, value, &source))
		return false;
	refused = why_refused(&source);
	if (refused != NULL) {
		conf_error(p, value,
		    "%.*s is %s; write addresses of this machine, or none",
		    CONF_SPAN(value), refused);
		return false;
	}
	for (uint32_t i = 0; i < lb->n_source_addresses; i++) {
		if (!addr_equal(&lb->source_addresses[i], &source))
			continue;
		conf_report_twice(p, value);
		return false;
	}
	if (lb->n_source_addresses == CONF_SOURCE_ADDRESSES_MAX) {
		conf_error(p, value,
		    "more than %d addresses in %s, as an NLB node; take some "
		    "away",
		    CONF_SOURCE_ADDRESSES_MAX, a->key);
		return false;
	}
	lb->source_addresses[lb->n_source_addresses++] = source;
	return true;
}

bool
conf_sources_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	struct conf_load_balancer *lb = base;
	struct conf_span rest = value;
	bool sound = true;

	lb->n_source_addresses = 0;
	if (conf_span_is(value, "none"))
		return true;
	while (rest.text != NULL)
		sound &= add_source(p, a, conf_span_split(&rest, ','), lb);
	return sound;
}

void
conf_sources_format(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	const struct conf_load_balancer *lb = base;
	char text[ADDR_IP_STRLEN];

	(void)conf;
	(void)a;
	strlcpy(buf, lb->n_source_addresses == 0 ? "none" : "", size);
	for (uint32_t i = 0; i < lb->n_source_addresses; i++) {
		strlcat(buf, i == 0 ? "" : ", ", size);
		addr_format_ip(&lb->source_addresses[i], text, sizeof(text));
		strlcat(buf, text, size);
	}
}

static bool
has_group_of(const struct conf *conf, uint8_t family)
{
	for (size_t i = 0; i < conf->n_target_groups; i++)
		if ((conf->target_groups[i].ip_address_type == CONF_IPV6) ==
		    (family == ADDR_IPV6))
			return true;
	return false;
}

/* Once per family that no target group has. */
void
conf_check_sources(struct conf_parser *p)
{
	static const uint8_t families[] = {ADDR_IPV4, ADDR_IPV6};
	const struct conf_load_balancer *lb = &p->conf->lb;

	for (size_t f = 0; f < 2; f++) {
		for (uint32_t i = 0; i < lb->n_source_addresses; i++) {
			const struct addr *a = &lb->source_addresses[i];
			char text[ADDR_IP_STRLEN];

			if (a->family != families[f] ||
			    has_group_of(p->conf, families[f]))
				continue;
			conf_warning(p,
			    conf_value_of(
				p, CONF_LOAD_BALANCER, 0, "SourceAddresses"),
			    "%s is never used: no target group has IPv%u "
			    "targets; take it away, or name an address of the "
			    "targets' family",
			    addr_format_ip(a, text, sizeof(text)), families[f]);
			break;
		}
	}
}
