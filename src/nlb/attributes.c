/*
 * The rows of the attribute table. Ranges and defaults of NLB keys are those
 * of the ELBv2 API; the accepted range is wider where more works here.
 */
#include "nlb/attributes.h"

#include <stdio.h>
#include <string.h>
#include <bsd/string.h>

#include "nlb/conf.h"
#include "nlb/conf_values.h"

#define LB(field)                                             \
	.section = CONF_LOAD_BALANCER,                        \
	.offset = offsetof(struct conf_load_balancer, field), \
	.size = sizeof(((struct conf_load_balancer *)0)->field)
#define LISTENER(field)                                  \
	.section = CONF_LISTENER,                        \
	.offset = offsetof(struct conf_listener, field), \
	.size = sizeof(((struct conf_listener *)0)->field)
#define GROUP(field)                                         \
	.section = CONF_TARGET_GROUP,                        \
	.offset = offsetof(struct conf_target_group, field), \
	.size = sizeof(((struct conf_target_group *)0)->field)
#define NODE(field)                                                        \
	.section = CONF_NODE, .offset = offsetof(struct conf_node, field), \
	.size = sizeof(((struct conf_node *)0)->field)
#define NOTIFY(field)                                                          \
	.section = CONF_NOTIFY, .offset = offsetof(struct conf_notify, field), \
	.size = sizeof(((struct conf_notify *)0)->field)
#define ONE_VALUE(kind) .section = (kind), .offset = CONF_NOT_STORED
#define LINES(kind) .section = (kind), .offset = CONF_NOT_STORED

#define LIVE CONF_RELOADABLE
#define EXT CONF_EXTENSION
#define CHECK (CONF_RELOADABLE | CONF_HEALTH_SETTING)

static const char *const words_ip_type_lb[] = {"ipv4", "dualstack", NULL};
/* The gap keeps enum conf_ip_address_type's numbers: no group is dualstack. */
static const char *const words_ip_type_group[] = {"ipv4", "", "ipv6", NULL};
static const char *const words_tcp[] = {"TCP", NULL};
static const char *const words_ip[] = {"ip", NULL};
static const char *const words_source_ip[] = {"source_ip", NULL};
static const char *const words_sg_action[] = {"drop", "reset", NULL};
static const char *const words_check[] = {"TCP", "HTTP", "HTTPS", "SMTP", NULL};
static const char *const words_cross_zone[] = {
    "false", "true", "use_load_balancer_configuration", NULL};
static const char *const words_log_format[] = {
    "json", "vpc-flow-v2", "nlb", NULL};
static const char *const words_retry[] = {
    "refused", "timeout", "unreachable", NULL};
/* enum event_class */
static const char *const words_events[] = {
    "target-health", "fail-open", "reload", "worker", "name", "node", NULL};
static const char *const words_log_level[] = {
    "error", "warning", "notice", "info", "debug", NULL};

static const struct conf_attribute attributes[] = {
    {LB(name), .key = "Name", .type = CONF_TYPE_NAME, .flags = LIVE,
	.default_value = "nlbd",
	.help = "name of the load balancer in logs, metrics and nlbctl"},
    {LB(ip_address_type), .key = "IpAddressType", .type = CONF_TYPE_WORD,
	.flags = LIVE, .words = words_ip_type_lb, .default_value = "ipv4",
	.help = "what clients may use: IPv4, or IPv4 and IPv6"},
    {LB(availability_zone), .key = "AvailabilityZone",
	.type = CONF_TYPE_NAME_OR_NONE, .flags = LIVE, .default_value = "none",
	.help = "the zone that this node stands in"},
    {LB(cross_zone_enabled), .key = "load_balancing.cross_zone.enabled",
	.type = CONF_TYPE_BOOL, .flags = LIVE, .default_value = "false",
	.help = "send flows to targets of other zones too"},
    {LB(source_addresses), .key = "SourceAddresses", .type = CONF_TYPE_SOURCES,
	.flags = LIVE | EXT, .default_value = "none",
	.help = "addresses of this machine that targets are reached from"},

    {ONE_VALUE(CONF_LISTENER), .key = "Protocol", .type = CONF_TYPE_WORD,
	.flags = LIVE, .words = words_tcp, .default_value = "TCP",
	.help = "TCP, the only protocol nlbd forwards"},
    {LISTENER(port), .key = "Port", .type = CONF_TYPE_PORT,
	.flags = LIVE | CONF_REQUIRED, .min = 1, .max = 65535,
	.help = "port that clients connect to",
	.missing = "add a line such as `Port = 587'"},
    {LISTENER(address), .key = "Address", .type = CONF_TYPE_LISTEN_ADDRESS,
	.flags = LIVE | EXT, .default_value = "all",
	.help = "local address to listen on"},
    {LISTENER(forwards), .key = "DefaultActions", .type = CONF_TYPE_ACTIONS,
	.flags = LIVE | CONF_REQUIRED,
	.help = "the target groups that get the flows, by weight",
	.missing = "add a line such as `DefaultActions = forward:GROUP'"},
    {LISTENER(security_groups), .key = "SecurityGroups",
	.type = CONF_TYPE_SECURITY_GROUPS, .flags = LIVE | CONF_REQUIRED,
	.help = "who may connect: names of security groups, or none",
	.missing = "name the groups that say who may connect, or write "
		   "`SecurityGroups = none' to let everybody in"},
    {LISTENER(sg_action), .key = "SecurityGroupAction", .type = CONF_TYPE_WORD,
	.flags = LIVE | EXT, .words = words_sg_action, .default_value = "drop",
	.help = "drop what is not allowed in silence, or log and reset it"},
    {LISTENER(network_acl), .key = "NetworkAcl", .type = CONF_TYPE_NAME_OR_NONE,
	.flags = LIVE, .default_value = "none",
	.help = "network ACL in front of the listener"},
    {LISTENER(idle_timeout_s), .key = "tcp.idle_timeout.seconds",
	.type = CONF_TYPE_NUMBER, .flags = LIVE, .min = 1, .max = 86400,
	.aws_min = 60, .aws_max = 6000, .default_value = "350",
	.help = "reset a flow after this long without data"},
    {LISTENER(max_flows), .key = "MaxFlows", .type = CONF_TYPE_NUMBER,
	.flags = LIVE | EXT | CONF_WORD_OFF, .min = 1, .max = 10000000,
	.default_value = "off", .help = "flows at a time on this listener"},

    {LINES(CONF_SECURITY_GROUP), .key = "Inbound.",
	.type = CONF_TYPE_INBOUND_RULE, .flags = LIVE | CONF_PATTERN,
	.help = "a source that may connect"},
    {LINES(CONF_SECURITY_GROUP), .key = "Outbound.",
	.type = CONF_TYPE_OUTBOUND_RULE, .flags = LIVE | CONF_PATTERN,
	.help = "a destination that flows and health checks may reach"},

    {LINES(CONF_NETWORK_ACL), .key = "Inbound.", .type = CONF_TYPE_ACL_RULE,
	.flags = LIVE | CONF_PATTERN, .help = "a numbered rule for sources"},
    {LINES(CONF_NETWORK_ACL), .key = "Outbound.", .type = CONF_TYPE_ACL_RULE,
	.flags = LIVE | CONF_PATTERN,
	.help = "a numbered rule for destinations"},

    {LINES(CONF_PREFIX_LIST), .key = "Entry.", .type = CONF_TYPE_PREFIX,
	.flags = LIVE | CONF_PATTERN, .help = "a CIDR block of the list"},

    {ONE_VALUE(CONF_TARGET_GROUP), .key = "Protocol", .type = CONF_TYPE_WORD,
	.flags = LIVE, .words = words_tcp, .default_value = "TCP",
	.help = "TCP, the only protocol nlbd forwards"},
    {GROUP(port), .key = "Port", .type = CONF_TYPE_PORT,
	.flags = LIVE | CONF_REQUIRED, .min = 1, .max = 65535,
	.help = "port of the targets that name none",
	.missing = "add a line such as `Port = 587'"},
    {ONE_VALUE(CONF_TARGET_GROUP), .key = "TargetType", .type = CONF_TYPE_WORD,
	.flags = LIVE, .words = words_ip, .default_value = "ip",
	.help = "ip: targets are given by address"},
    {GROUP(ip_address_type), .key = "IpAddressType", .type = CONF_TYPE_WORD,
	.flags = LIVE, .words = words_ip_type_group, .default_value = "ipv4",
	.help = "address family of all targets of the group"},
    {GROUP(check_protocol), .key = "HealthCheckProtocol",
	.type = CONF_TYPE_WORD, .flags = CHECK, .words = words_check,
	.default_value = "TCP", .help = "how targets are checked"},
    {GROUP(check_port), .key = "HealthCheckPort", .type = CONF_TYPE_CHECK_PORT,
	.flags = CHECK, .min = 1, .max = 65535, .default_value = "traffic-port",
	.help = "port that the checks connect to"},
    {GROUP(check_path), .key = "HealthCheckPath", .type = CONF_TYPE_PATH,
	.flags = CHECK, .default_value = "/",
	.help = "path that HTTP and HTTPS checks ask for"},
    {GROUP(matcher_http_code), .key = "Matcher.HttpCode",
	.type = CONF_TYPE_HTTP_CODES, .flags = CHECK, .min = HTTP_CODE_MIN,
	.max = HTTP_CODE_MAX, .default_value = "200-399",
	.help = "HTTP codes that mean healthy"},
    {GROUP(check_smtp_starttls), .key = "HealthCheckSmtpStartTls",
	.type = CONF_TYPE_BOOL, .flags = CHECK | EXT, .default_value = "false",
	.help = "an SMTP check fails when STARTTLS is not offered"},
    {GROUP(check_interval_ms), .key = "HealthCheckIntervalSeconds",
	.type = CONF_TYPE_SECONDS, .flags = CHECK, .min = 100, .max = 86400000,
	.aws_min = 5000, .aws_max = 300000, .default_value = "30",
	.help = "time from one check of a target to the next"},
    {GROUP(check_timeout_ms), .key = "HealthCheckTimeoutSeconds",
	.type = CONF_TYPE_SECONDS, .flags = CHECK | CONF_DEFAULT_VARIES,
	.min = 50, .max = 3600000, .aws_min = 2000, .aws_max = 120000,
	.default_value = "10",
	.help = "a check without an answer fails after this long"},
    {GROUP(healthy_threshold_count), .key = "HealthyThresholdCount",
	.type = CONF_TYPE_NUMBER, .flags = CHECK, .min = 1, .max = 1000,
	.aws_min = 2, .aws_max = 10, .default_value = "5",
	.help = "successes in a row that make an unhealthy target healthy"},
    {GROUP(unhealthy_threshold_count), .key = "UnhealthyThresholdCount",
	.type = CONF_TYPE_NUMBER, .flags = CHECK, .min = 1, .max = 1000,
	.aws_min = 2, .aws_max = 10, .default_value = "2",
	.help = "failures in a row that make a healthy target unhealthy"},
    {GROUP(passive_checks), .key = "PassiveHealthCheckEnabled",
	.type = CONF_TYPE_BOOL, .flags = LIVE | EXT, .default_value = "true",
	.help = "flows that cannot connect take a target out at once"},
    {GROUP(deregistration_delay_s),
	.key = "deregistration_delay.timeout_seconds", .type = CONF_TYPE_NUMBER,
	.flags = LIVE, .min = 0, .max = 86400, .aws_min = 0, .aws_max = 3600,
	.default_value = "300",
	.help =
	    "how long a removed target keeps its flows before it is unused"},
    {GROUP(deregistration_termination),
	.key = "deregistration_delay.connection_termination.enabled",
	.type = CONF_TYPE_BOOL, .flags = LIVE, .default_value = "false",
	.help = "reset the flows left when that delay is over"},
    {GROUP(preserve_client_ip), .key = "preserve_client_ip.enabled",
	.type = CONF_TYPE_BOOL, .flags = LIVE, .default_value = "false",
	.help = "targets are reached from the client's address"},
    {GROUP(proxy_protocol_v2), .key = "proxy_protocol_v2.enabled",
	.type = CONF_TYPE_BOOL, .flags = LIVE, .default_value = "false",
	.help = "tell targets the client's address in a PROXY v2 header"},
    {GROUP(stickiness_enabled), .key = "stickiness.enabled",
	.type = CONF_TYPE_BOOL, .flags = LIVE, .default_value = "false",
	.help = "a client address stays with one target"},
    {ONE_VALUE(CONF_TARGET_GROUP), .key = "stickiness.type",
	.type = CONF_TYPE_WORD, .flags = LIVE, .words = words_source_ip,
	.default_value = "source_ip", .help = "what a client is known by"},
    {GROUP(cross_zone), .key = "load_balancing.cross_zone.enabled",
	.type = CONF_TYPE_WORD, .flags = LIVE, .words = words_cross_zone,
	.default_value = "use_load_balancer_configuration",
	.help = "send flows to targets of other zones too"},
    {GROUP(dns_failover_count),
	.key = "target_group_health.dns_failover.minimum_healthy_targets.count",
	.type = CONF_TYPE_NUMBER, .flags = LIVE | CONF_WORD_OFF, .min = 1,
	.max = CONF_TARGETS_MAX, .default_value = "1",
	.help = "fewer healthy targets make the zone unhealthy for DNS"},
    {GROUP(dns_failover_percentage),
	.key = "target_group_health.dns_failover.minimum_healthy_targets."
	       "percentage",
	.type = CONF_TYPE_NUMBER, .flags = LIVE | CONF_WORD_OFF, .min = 1,
	.max = 100, .default_value = "off",
	.help = "the same as a share of the registered targets"},
    {GROUP(routing_min_count),
	.key = "target_group_health.unhealthy_state_routing."
	       "minimum_healthy_targets.count",
	.type = CONF_TYPE_NUMBER, .flags = LIVE | CONF_WORD_OFF, .min = 1,
	.max = CONF_TARGETS_MAX, .aws_min = 1, .aws_max = CONF_TARGETS_MAX,
	.default_value = "1",
	.help = "with fewer healthy targets flows go to all (fail open)"},
    {GROUP(routing_min_percentage),
	.key = "target_group_health.unhealthy_state_routing."
	       "minimum_healthy_targets.percentage",
	.type = CONF_TYPE_NUMBER, .flags = LIVE | CONF_WORD_OFF, .min = 1,
	.max = 100, .default_value = "off",
	.help = "the same as a share of the registered targets"},
    {GROUP(unhealthy_termination),
	.key = "target_health_state.unhealthy.connection_termination.enabled",
	.type = CONF_TYPE_BOOL, .flags = LIVE, .default_value = "true",
	.help = "reset the flows of a target that turns unhealthy"},
    {GROUP(unhealthy_draining_interval_s),
	.key = "target_health_state.unhealthy.draining_interval_seconds",
	.type = CONF_TYPE_NUMBER, .flags = LIVE, .min = 0, .max = 360000,
	.aws_min = 0, .aws_max = 360000, .default_value = "0",
	.help =
	    "how long an unhealthy target keeps its flows when they are not "
	    "reset at once"},
    {GROUP(connect_timeout_ms), .key = "ConnectTimeoutSeconds",
	.type = CONF_TYPE_SECONDS, .flags = LIVE | EXT, .min = 50,
	.max = 600000, .default_value = "3",
	.help = "give up on one target after this long and try another"},
    {GROUP(connect_total_ms), .key = "ConnectTotalSeconds",
	.type = CONF_TYPE_SECONDS, .flags = LIVE | EXT, .min = 50,
	.max = 600000, .default_value = "10",
	.help = "give up on the flow after this long without any target"},
    {GROUP(connect_targets), .key = "ConnectTargets", .type = CONF_TYPE_NUMBER,
	.flags = LIVE | EXT, .min = 1, .max = CONF_CONNECT_TARGETS_MAX,
	.default_value = "8", .help = "targets that one flow asks at most"},
    {GROUP(connect_retry_on), .key = "ConnectRetryOn", .type = CONF_TYPE_WORDS,
	.flags = LIVE | EXT, .words = words_retry,
	.default_value = "refused, timeout, unreachable",
	.help = "failures after which the next target is asked"},
    {GROUP(max_flows_per_target), .key = "MaxFlowsPerTarget",
	.type = CONF_TYPE_NUMBER, .flags = LIVE | EXT | CONF_WORD_OFF, .min = 1,
	.max = 10000000, .default_value = "off",
	.help = "flows at a time on a target that names no MaxFlows"},
    {LINES(CONF_TARGET_GROUP), .key = "Target.", .type = CONF_TYPE_TARGET,
	.flags = LIVE | CONF_PATTERN, .help = "a registered target"},

    {NODE(workers), .key = "Workers", .type = CONF_TYPE_NUMBER,
	.flags = EXT | CONF_WORD_AUTO, .min = 1, .max = 64,
	.default_value = "auto",
	.help = "worker processes; auto is one per core"},
    {NODE(max_flows), .key = "MaxFlows", .type = CONF_TYPE_NUMBER,
	.flags = EXT | CONF_WORD_AUTO, .min = 1, .max = 10000000,
	.default_value = "auto",
	.help = "flows at a time; auto follows from the descriptor limit"},
    {NODE(max_flows_per_source), .key = "MaxFlowsPerSource",
	.type = CONF_TYPE_NUMBER,
	.flags = LIVE | EXT | CONF_WORD_AUTO | CONF_WORD_OFF, .min = 0,
	.max = 10000000, .default_value = "auto",
	.help = "flows of one source (an IPv6 /64); auto is half of MaxFlows"},
    {NODE(admin_socket), .key = "AdminSocket", .type = CONF_TYPE_PATH,
	.flags = EXT, .default_value = "/run/nlbd/nlbd.sock",
	.help = "unix socket that nlbctl talks to"},
    {NODE(http_listen), .key = "HttpListen", .type = CONF_TYPE_ADDRESS_PORT,
	.flags = LIVE | EXT, .default_value = "off",
	.help = "address of the read-only HTTP interface"},
    {NODE(flow_log), .key = "FlowLog", .type = CONF_TYPE_FLOW_LOG,
	.flags = LIVE | EXT, .default_value = "off",
	.help = "where one line per finished flow goes"},
    {NODE(flow_log_format), .key = "FlowLogFormat", .type = CONF_TYPE_WORD,
	.flags = LIVE | EXT, .words = words_log_format, .default_value = "json",
	.help = "shape of those lines"},
    {NODE(log_level), .key = "LogLevel", .type = CONF_TYPE_WORD,
	.flags = LIVE | EXT, .words = words_log_level, .min = LOG_LEVEL_ERROR,
	.default_value = "info", .help = "least important event to log"},
    {NODE(drain_timeout_s), .key = "DrainTimeoutSeconds",
	.type = CONF_TYPE_NUMBER, .flags = LIVE | EXT, .min = 0, .max = 86400,
	.default_value = "300",
	.help = "how long a stopping nlbd waits for its flows"},
    {NODE(resolvers), .key = "Resolvers", .type = CONF_TYPE_RESOLVERS,
	.flags = LIVE | EXT, .default_value = "auto",
	.help = "DNS servers that resolve the names of targets"},
    {NODE(resolve_min_s), .key = "ResolveMinSeconds", .type = CONF_TYPE_NUMBER,
	.flags = LIVE | EXT, .min = 1, .max = 3600, .default_value = "5",
	.help = "a name is not resolved again sooner, whatever its TTL"},
    {NODE(resolve_max_s), .key = "ResolveMaxSeconds", .type = CONF_TYPE_NUMBER,
	.flags = LIVE | EXT, .min = 1, .max = 86400, .default_value = "300",
	.help = "a name is resolved again after this long, whatever its TTL"},
    {NODE(user), .key = "User", .type = CONF_TYPE_NAME_OR_NONE, .flags = EXT,
	.default_value = "none", .help = "user to become after start"},

    {NOTIFY(url), .key = "Url", .type = CONF_TYPE_NOTIFY_URL,
	.flags = LIVE | EXT | CONF_REQUIRED,
	.missing = "say where its events go, such as "
		   "`Url = https://alerts.example.com/nlbd'",
	.help = "where each event is posted, or sent as a datagram"},
    {NOTIFY(events), .key = "Events", .type = CONF_TYPE_WORDS,
	.flags = LIVE | EXT, .words = words_events,
	.default_value = "target-health, fail-open, reload",
	.help = "what it is told of"},
    {NOTIFY(timeout_ms), .key = "TimeoutSeconds", .type = CONF_TYPE_SECONDS,
	.flags = LIVE | EXT, .min = 100, .max = 60000, .default_value = "5",
	.help = "how long one try to deliver may take"},
    {NOTIFY(ca_file), .key = "CaFile", .type = CONF_TYPE_PATH_OR_NONE,
	.flags = LIVE | EXT, .default_value = "none",
	.help = "PEM file of who may sign its certificate; none: the "
		"system's"},
    {NOTIFY(header_file), .key = "HeaderFile", .type = CONF_TYPE_PATH_OR_NONE,
	.flags = LIVE | EXT, .default_value = "none",
	.help = "file with header lines for the request, such as a token"},
};

static const struct {
	const char *name;
	int named;
} kinds[CONF_SECTION_KINDS] = {
    [CONF_LOAD_BALANCER] = {"load-balancer", 0},
    [CONF_LISTENER] = {"listener", 1},
    [CONF_SECURITY_GROUP] = {"security-group", 1},
    [CONF_NETWORK_ACL] = {"network-acl", 1},
    [CONF_PREFIX_LIST] = {"prefix-list", 1},
    [CONF_TARGET_GROUP] = {"target-group", 1},
    [CONF_NODE] = {"node", 0},
    [CONF_NOTIFY] = {"notify", 1},
};

size_t
conf_attribute_count(void)
{
	return sizeof(attributes) / sizeof(attributes[0]);
}

const struct conf_attribute *
conf_attribute_at(size_t i)
{
	return &attributes[i];
}

const struct conf_attribute *
conf_attribute_find(
    enum conf_section_kind section, const char *key, size_t key_len)
{
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = &attributes[i];
		size_t len = strlen(a->key);

		if (a->section != section)
			continue;
		if ((a->flags & CONF_PATTERN) != 0 ? key_len < len
						   : key_len != len)
			continue;
		if (memcmp(a->key, key, len) == 0)
			return a;
	}
	return NULL;
}

const char *
conf_section_kind_name(enum conf_section_kind kind)
{
	return kinds[kind].name;
}

int
conf_section_kind_is_named(enum conf_section_kind kind)
{
	return kinds[kind].named;
}

/* "5" or "0.2": the shortest text of milliseconds as seconds. */
static void
format_bound(
    const struct conf_attribute *a, uint32_t value, char *buf, size_t size)
{
	if (a->type == CONF_TYPE_SECONDS)
		conf_value_format_ms(value, buf, size);
	else
		snprintf(buf, size, "%u", value);
}

static const char *
words_text(const char *const *words, const char *last_separator, char *buf,
    size_t size)
{
	buf[0] = '\0';
	for (size_t i = 0; words[i] != NULL; i++) {
		if (words[i][0] == '\0')
			continue;
		if (buf[0] != '\0')
			strlcat(buf,
			    words[i + 1] == NULL ? last_separator : ", ", size);
		strlcat(buf, words[i], size);
	}
	return buf;
}

static const char *
some_words_text(const char *const *words, char *buf, size_t size)
{
	char list[120];

	snprintf(buf, size, "none, or any of %s with commas between",
	    words_text(words, " and ", list, sizeof(list)));
	return buf;
}

static const char *
number_text(const struct conf_attribute *a, char *buf, size_t size)
{
	const char *words = "";
	char low[24], high[24];

	format_bound(a, a->min, low, sizeof(low));
	format_bound(a, a->max, high, sizeof(high));
	if ((a->flags & CONF_WORD_AUTO) != 0)
		words = (a->flags & CONF_WORD_OFF) != 0 ? "auto, off or "
							: "auto or ";
	else if ((a->flags & CONF_WORD_OFF) != 0)
		words = "off or ";
	snprintf(buf, size, "%s%s to %s", words, low, high);
	return buf;
}

static const char *const range_texts[CONF_TYPES] = {
    [CONF_TYPE_NAME] = "1 to 32 of a-z, 0-9 and -",
    [CONF_TYPE_NAME_OR_NONE] = "none, or 1 to 32 of a-z, 0-9, _ and -",
    [CONF_TYPE_BOOL] = "true or false",
    [CONF_TYPE_CHECK_PORT] = "traffic-port or 1 to 65535",
    [CONF_TYPE_PATH] = "a path that starts with /",
    [CONF_TYPE_NOTIFY_URL] =
	"http://HOST[:PORT][/PATH], the same with https, or unix:/PATH",
    [CONF_TYPE_PATH_OR_NONE] = "none, or a path that starts with /",
    [CONF_TYPE_HTTP_CODES] =
	"codes and ranges of 200 to 599, as in 200,250-299",
    [CONF_TYPE_LISTEN_ADDRESS] = "all, or an IP address",
    [CONF_TYPE_ADDRESS_PORT] = "off, or ADDRESS:PORT",
    [CONF_TYPE_FLOW_LOG] = "off, stderr, or a path that starts with /",
    [CONF_TYPE_ACTIONS] = "forward:GROUP, or up to 5 forward:GROUP=WEIGHT "
			  "with commas between, weights 0 to 999",
    [CONF_TYPE_SECURITY_GROUPS] = "none, or up to 5 names with commas between",
    [CONF_TYPE_SOURCES] = "none, or up to 8 IP addresses with commas between",
    [CONF_TYPE_RESOLVERS] = "auto, or up to 3 IP addresses, perhaps with "
			    ":PORT, with commas between",
    [CONF_TYPE_INBOUND_RULE] = "Protocol=tcp,PortRange=PORTS,Source=CIDR",
    [CONF_TYPE_OUTBOUND_RULE] = "Protocol=tcp,PortRange=PORTS,Destination=CIDR",
    [CONF_TYPE_ACL_RULE] = "Protocol=tcp,PortRange=PORTS,Source or "
			   "Destination=CIDR,RuleAction=allow or deny",
    [CONF_TYPE_PREFIX] = "a CIDR block",
    [CONF_TYPE_TARGET] =
	"Id=ADDRESS or NAME[,Port=N][,AvailabilityZone=ZONE or all]",
};

const char *
conf_attribute_range(const struct conf_attribute *a, char *buf, size_t size)
{
	if (a->type == CONF_TYPE_WORD)
		return words_text(a->words, " or ", buf, size);
	if (a->type == CONF_TYPE_WORDS)
		return some_words_text(a->words, buf, size);
	if (range_texts[a->type] == NULL)
		return number_text(a, buf, size);
	strlcpy(buf, range_texts[a->type], size);
	return buf;
}

const char *
conf_attribute_aws_range(const struct conf_attribute *a, char *buf, size_t size)
{
	char low[24], high[24];

	buf[0] = '\0';
	if (a->aws_max == 0)
		return buf;
	format_bound(a, a->aws_min, low, sizeof(low));
	format_bound(a, a->aws_max, high, sizeof(high));
	snprintf(buf, size, "%s to %s", low, high);
	return buf;
}
