/*
 * The command table. A later verb adds a row.
 */
#include "nlbctl/command.h"

#include "nlbctl/show.h"

/* What several verbs have. */
#define PARAM_GROUP                                                      \
	{                                                                \
		"target-group", "NAME", "TargetGroup", COMMAND_REQUIRED, \
		    "the group"                                          \
	}
#define PARAM_TARGETS                                                 \
	{                                                             \
		"targets", "Id=ADDRESS[,Port=N] ...", "Targets",      \
		    COMMAND_FIELDS | COMMAND_LIST | COMMAND_REQUIRED, \
		    "the targets; fields as in nlbd.ini(5)"           \
	}
#define PARAM_ATTRIBUTES                                               \
	{                                                              \
		"attributes", "Key=KEY,Value=VALUE ...", "Attributes", \
		    COMMAND_FIELDS | COMMAND_LIST | COMMAND_REQUIRED,  \
		    "what to change"                                   \
	}
#define PARAM_RUNTIME                                                \
	{                                                            \
		"runtime", NULL, "Runtime", COMMAND_FLAG,            \
		    "until the next reload: the file stays as it is" \
	}

const struct command commands[] = {
    {"status", "the whole state on one screen, and what to do", "GET",
	"/v1/status", "/v1/status?include=targets", show_status, {{0}}},
    {"describe-target-health",
	"targets, states, reasons; JSON as the AWS CLI's", "GET",
	"/v1/target-health", "/v1/targets", show_targets,
	{{"target-group", "NAME", "target-group", 0,
	    "targets of this group only"}}},
    {"describe-target-groups", "groups and how their targets are checked",
	"GET", "/v1/target-groups", "/v1/target-groups", show_target_groups,
	{{"target-group", "NAME", "target-group", 0, "this group only"}}},
    {"describe-target-group-attributes", "attributes of a group", "GET",
	"/v1/target-group-attributes", "/v1/target-group-attributes",
	show_attributes,
	{{"target-group", "NAME", "target-group", COMMAND_REQUIRED,
	    "the group"}}},
    {"describe-listener-attributes", "attributes of a listener", "GET",
	"/v1/listener-attributes", "/v1/listener-attributes", show_attributes,
	{{"listener", "NAME", "listener", COMMAND_REQUIRED, "the listener"}}},
    {"register-targets", "puts targets into a group, draining ones too", "POST",
	"/v1/register-targets", "/v1/register-targets", show_done,
	{PARAM_GROUP, PARAM_TARGETS, PARAM_RUNTIME}},
    {"deregister-targets", "takes targets out of a group; they drain", "POST",
	"/v1/deregister-targets", "/v1/deregister-targets", show_done,
	{PARAM_GROUP, PARAM_TARGETS, PARAM_RUNTIME}},
    {"modify-target-group", "changes the health check of a group", "POST",
	"/v1/modify-target-group", "/v1/modify-target-group",
	show_target_groups,
	{PARAM_GROUP,
	    {"health-check-protocol", "TCP|HTTP|HTTPS|SMTP",
		"HealthCheckProtocol", 0, "what a check speaks"},
	    {"health-check-port", "PORT|traffic-port", "HealthCheckPort", 0,
		"the port it connects to"},
	    {"health-check-path", "PATH", "HealthCheckPath", 0,
		"what HTTP and HTTPS ask for"},
	    {"health-check-interval-seconds", "N", "HealthCheckIntervalSeconds",
		0, "time from one check to the next"},
	    {"health-check-timeout-seconds", "N", "HealthCheckTimeoutSeconds",
		0, "when a check without an answer has failed"},
	    {"healthy-threshold-count", "N", "HealthyThresholdCount", 0,
		"successes that make a target healthy"},
	    {"unhealthy-threshold-count", "N", "UnhealthyThresholdCount", 0,
		"failures that make a target unhealthy"},
	    {"matcher", "HttpCode=CODES", "Matcher", COMMAND_FIELDS,
		"HTTP codes that mean healthy"},
	    {"health-check-smtp-start-tls", "true|false",
		"HealthCheckSmtpStartTls", 0, "SMTP has to offer STARTTLS"},
	    PARAM_RUNTIME}},
    {"modify-target-group-attributes", "changes attributes of a group", "POST",
	"/v1/modify-target-group-attributes",
	"/v1/modify-target-group-attributes", show_attributes,
	{PARAM_GROUP, PARAM_ATTRIBUTES, PARAM_RUNTIME}},
    {"modify-listener-attributes", "changes attributes of a listener", "POST",
	"/v1/modify-listener-attributes", "/v1/modify-listener-attributes",
	show_attributes,
	{{"listener", "NAME", "Listener", COMMAND_REQUIRED, "the listener"},
	    PARAM_ATTRIBUTES, PARAM_RUNTIME}},
    {"flows", "the flows of all workers, newest first", "GET", "/v1/flows",
	"/v1/flows", show_flows,
	{{"limit", "N", "limit", COMMAND_NUMBER, "at most N flows"},
	    {"listener", "NAME", "listener", 0, "flows of this listener only"},
	    {"target", "ADDRESS[:PORT]", "target", 0,
		"flows to this target only"}}},
    {"metrics", "every CloudWatch metric of the NLB, and more", "GET",
	"/v1/metrics", "/v1/metrics", show_metrics,
	{{"by", "DIMENSION", "by", 0,
	     "target-group, listener, target, zone or all"},
	    {"metric-name", "NAME", "name", 0, "this metric only"}}},
    {"check", "checks the configuration file, changes nothing", "GET",
	"/v1/check", "/v1/check", show_verdict, {{0}}},
    {"reload", "puts the configuration file in force", "POST", "/v1/reload",
	"/v1/reload", show_verdict, {{0}}},
};
const size_t n_commands = sizeof(commands) / sizeof(commands[0]);
