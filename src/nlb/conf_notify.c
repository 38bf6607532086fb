/*
 * [notify NAME] sections: who is told of events, and how.
 */
#include "nlb/conf_internal.h"

#include <string.h>

#include <bsd/string.h>

static const struct {
	const char *prefix;
	enum conf_scheme scheme;
	uint16_t port;
} schemes[] = {
    {"http://", CONF_SCHEME_HTTP, 80},
    {"https://", CONF_SCHEME_HTTPS, 443},
    {"unix:", CONF_SCHEME_UNIX, 0},
};
#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

static bool
report_url(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span where, const char *why)
{
	char range[160];

	conf_error(p, where, "%s; %s takes %s", why, a->key,
	    conf_attribute_range(a, range, sizeof(range)));
	return false;
}

/* The first byte that no URL has, or that the file's own rules forbid. */
static bool
check_bytes(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.text[i];

		if (c <= 0x20 || c >= 0x7f || strchr("\"'\\<>#", c) != NULL)
			return report_url(p, a, conf_span_sub(value, i, 1),
			    "this has no place in a URL");
	}
	return true;
}

/* Where the host ends: at a colon behind it, or at its end. */
static size_t
host_length(struct conf_span authority)
{
	const char *end = memchr(authority.text,
	    authority.text[0] == '[' ? ']' : ':', authority.len);

	if (end == NULL)
		return authority.len;
	return (size_t)(end - authority.text) + (*end == ']');
}

static bool
take_host(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span host, struct conf_notify *n)
{
	struct addr address;
	bool is_v6 = host.len > 2 && host.text[0] == '[' &&
		     host.text[host.len - 1] == ']';

	if (is_v6)
		host = conf_span_sub(host, 1, host.len - 2);
	(void)conf_span_copy(host, n->host, sizeof(n->host));
	if (host.len < sizeof(n->host) &&
	    addr_parse_ip(n->host, &address) == 0 &&
	    (address.family == ADDR_IPV6) == is_v6)
		return true;
	if (!is_v6 &&
	    (conf_value_is_host(host) || conf_span_is(host, "localhost")))
		return true;
	return report_url(p, a, host,
	    host.len == 0 ? "the host is missing"
			  : "this is no host name and no IP address");
}

/* HOST[:PORT] */
static bool
take_authority(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span authority, struct conf_notify *n)
{
	size_t len;
	struct conf_span rest;
	uint32_t port;

	if (authority.len == 0)
		return report_url(p, a, authority, "the host is missing");
	if (memchr(authority.text, '@', authority.len) != NULL)
		return report_url(p, a, authority,
		    "a URL with a user or password would show in logs; write "
		    "an Authorization line into HeaderFile");
	len = host_length(authority);
	rest = conf_span_sub(authority, len, authority.len - len);
	if (rest.len > 0) {
		rest = conf_span_sub(rest, 1, rest.len - 1);
		if (authority.text[len] != ':' ||
		    conf_value_number(rest, 1, 65535, &port) != CONF_VALUE_OK)
			return report_url(p, a, rest, "a port is 1 to 65535");
		n->port = (uint16_t)port;
	}
	return take_host(p, a, conf_span_sub(authority, 0, len), n);
}

static bool
take_socket(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span path, struct conf_notify *n)
{
	if (path.len == 0 || path.text[0] != '/')
		return report_url(
		    p, a, path, "the path of a socket starts with /");
	if (path.len >= CONF_PATH_MAX)
		return report_url(
		    p, a, path, "the path of a socket has at most 107 bytes");
	return conf_span_copy(path, n->path, sizeof(n->path));
}

static bool
take_http(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span rest, struct conf_notify *n)
{
	size_t len = 0;

	while (len < rest.len && strchr("/?", rest.text[len]) == NULL)
		len++;
	if (len < rest.len && rest.text[len] == '?')
		return report_url(p, a, conf_span_sub(rest, len, 1),
		    "a path comes before the `?'");
	if (!take_authority(p, a, conf_span_sub(rest, 0, len), n))
		return false;
	if (len == rest.len)
		return strlcpy(n->path, "/", sizeof(n->path)) > 0;
	return conf_span_copy(
	    conf_span_sub(rest, len, rest.len - len), n->path, sizeof(n->path));
}

bool
conf_notify_url_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	struct conf_notify *n = base;

	if (!conf_span_copy(value, n->url, sizeof(n->url)))
		return report_url(p, a, value, "this URL is too long");
	if (!check_bytes(p, a, value))
		return false;
	for (size_t i = 0; i < SCHEMES; i++) {
		size_t len = strlen(schemes[i].prefix);
		struct conf_span rest;

		if (strncmp(n->url, schemes[i].prefix, len) != 0)
			continue;
		rest = conf_span_sub(value, len, value.len - len);
		n->scheme = schemes[i].scheme;
		n->port = schemes[i].port;
		return n->scheme == CONF_SCHEME_UNIX
			   ? take_socket(p, a, rest, n)
			   : take_http(p, a, rest, n);
	}
	return report_url(p, a, value, "this is no URL that can be told");
}

void
conf_check_notify(struct conf_parser *p)
{
	for (size_t i = 0; i < p->conf->n_notify; i++) {
		const struct conf_notify *n = &p->conf->notify[i];

		if (n->url[0] == '\0') /* reported */
			continue;
		if (n->scheme != CONF_SCHEME_HTTPS && n->ca_file[0] != '\0')
			conf_error(p,
			    conf_value_of(p, CONF_NOTIFY, i, "CaFile"),
			    "CaFile is for https:// and Url is another; take "
			    "it away or correct Url");
		if (n->scheme == CONF_SCHEME_UNIX && n->header_file[0] != '\0')
			conf_error(p,
			    conf_value_of(p, CONF_NOTIFY, i, "HeaderFile"),
			    "a datagram has no headers; take HeaderFile away");
		if (n->scheme == CONF_SCHEME_HTTP && n->header_file[0] != '\0')
			conf_warning(p,
			    conf_value_of(p, CONF_NOTIFY, i, "HeaderFile"),
			    "what HeaderFile holds goes over the network in "
			    "the clear; use https://");
		if (n->events == 0)
			conf_warning(p,
			    conf_value_of(p, CONF_NOTIFY, i, "Events"),
			    "[notify %s] is told of nothing", n->name);
	}
}
