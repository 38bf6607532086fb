/*
 * The keys of a group's health checks against each other: the default that
 * depends on the protocol, keys that another protocol would need.
 */
#include "nlb/conf_internal.h"

#include <string.h>

#define TIMEOUT_KEY "HealthCheckTimeoutSeconds"
/* An NLB waits 10 s for TCP and HTTPS, but 6 s for HTTP. */
#define HTTP_TIMEOUT_MS 6000

static struct conf_span
value_of(struct conf_parser *p, size_t group, const char *key)
{
	return conf_value_of(p, CONF_TARGET_GROUP, group, key);
}

static bool
is_given(struct conf_parser *p, size_t group, const char *key)
{
	return value_of(p, group, key).text != value_of(p, group, "").text;
}

static void
warn_unused(
    struct conf_parser *p, size_t group, const char *key, const char *protocols)
{
	if (is_given(p, group, key))
		conf_warning(p, value_of(p, group, key),
		    "%s is for %s checks and means nothing here; set "
		    "HealthCheckProtocol, or leave the line out",
		    key, protocols);
}

void
conf_check_health(struct conf_parser *p, size_t group)
{
	struct conf_target_group *g = &p->conf->target_groups[group];
	bool http = g->check_protocol == CONF_CHECK_HTTP ||
		    g->check_protocol == CONF_CHECK_HTTPS;
	char codes[HTTP_CODES_STRLEN], a[24], b[24];

	if (g->check_protocol == CONF_CHECK_HTTP &&
	    !is_given(p, group, TIMEOUT_KEY))
		g->check_timeout_ms = HTTP_TIMEOUT_MS;
	if (g->check_timeout_ms > g->check_interval_ms)
		conf_warning(p, value_of(p, group, TIMEOUT_KEY),
		    TIMEOUT_KEY " = %s is longer than "
				"HealthCheckIntervalSeconds = %s: the next "
				"check waits; choose a shorter timeout",
		    conf_value_format_ms(g->check_timeout_ms, a, sizeof(a)),
		    conf_value_format_ms(g->check_interval_ms, b, sizeof(b)));
	if (!http && strcmp(g->check_path, "/") != 0)
		warn_unused(p, group, "HealthCheckPath", "HTTP and HTTPS");
	http_codes_format(&g->matcher_http_code, codes, sizeof(codes));
	if (!http && strcmp(codes, "200-399") != 0)
		warn_unused(p, group, "Matcher.HttpCode", "HTTP and HTTPS");
	if (g->check_protocol != CONF_CHECK_SMTP && g->check_smtp_starttls)
		warn_unused(p, group, "HealthCheckSmtpStartTls", "SMTP");
	if (g->check_protocol == CONF_CHECK_SMTP)
		conf_aws(p, value_of(p, group, "HealthCheckProtocol"),
		    "HealthCheckProtocol = SMTP works here, but an NLB takes "
		    "TCP, HTTP or HTTPS");
}
