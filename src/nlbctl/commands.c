/*
 * The verbs of nlbctl: one table, which makes the command line, the help, the
 * completion, and (tests/lint) what the manual has to explain. A later verb
 * adds a row.
 */
#include "nlbctl/show.h"
#include "nlbctl/verb.h"

/* What several verbs have. */
#define PARAM_GROUP                                             \
	{                                                       \
		"target-group", "NAME", "TargetGroup",          \
		    COMMAND_REQUIRED | COMMAND_ARN, "the group" \
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
/* A script that names the only one there is. */
#define PARAM_LOAD_BALANCER                                            \
	{                                                              \
		"load-balancer", "NAME", "load-balancer", COMMAND_ARN, \
		    "has to be this one"                               \
	}
#define PARAM_RUNTIME                                                \
	{                                                            \
		"runtime", NULL, "Runtime", COMMAND_FLAG,            \
		    "until the next reload: the file stays as it is" \
	}

#define PARAM_FOLLOW                                                     \
	{                                                                \
		"follow", NULL, "follow", COMMAND_FLAG | COMMAND_LETTER, \
		    "goes on as they come, until Ctrl-C"                 \
	}

const struct command commands[] = {
    {
	.verb = "status",
	.help = "the whole state on one screen, and what to do",
	.method = "GET",
	.json_path = "/v1/status",
	.table_path = "/v1/status?include=targets",
	.show = show_status,
    },
    {
	.verb = "describe-target-health",
	.help = "targets, states, reasons",
	.method = "GET",
	.json_path = "/v1/target-health",
	.table_path = "/v1/targets",
	.show = show_targets,
	.params = {{"target-group", "NAME", "target-group", COMMAND_ARN,
	    "targets of this group only"}},
    },
    {
	.verb = "describe-target-groups",
	.help = "groups and how their targets are checked",
	.method = "GET",
	.json_path = "/v1/target-groups",
	.table_path = "/v1/target-groups",
	.show = show_settings,
	.params = {{"target-group", "NAME", "target-group", COMMAND_ARN,
		       "this group only"},
	    PARAM_LOAD_BALANCER},
    },
    {
	.verb = "describe-target-group-attributes",
	.help = "attributes of a group",
	.method = "GET",
	.json_path = "/v1/target-group-attributes",
	.table_path = "/v1/target-group-attributes",
	.show = show_attributes,
	.params = {{"target-group", "NAME", "target-group",
	    COMMAND_REQUIRED | COMMAND_ARN, "the group"}},
    },
    {
	.verb = "describe-load-balancers",
	.help = "the load balancer and its zone",
	.method = "GET",
	.json_path = "/v1/load-balancers",
	.table_path = "/v1/load-balancers",
	.show = show_settings,
	.params = {PARAM_LOAD_BALANCER},
    },
    {
	.verb = "describe-load-balancer-attributes",
	.help = "attributes of the load balancer",
	.method = "GET",
	.json_path = "/v1/load-balancer-attributes",
	.table_path = "/v1/load-balancer-attributes",
	.show = show_attributes,
	.params = {PARAM_LOAD_BALANCER},
    },
    {
	.verb = "describe-listeners",
	.help = "listeners and the groups that they forward to",
	.method = "GET",
	.json_path = "/v1/listeners",
	.table_path = "/v1/listeners",
	.show = show_settings,
	.params = {{"listener", "NAME", "listener", COMMAND_ARN,
		       "this listener only"},
	    PARAM_LOAD_BALANCER},
    },
    {
	.verb = "describe-listener-attributes",
	.help = "attributes of a listener",
	.method = "GET",
	.json_path = "/v1/listener-attributes",
	.table_path = "/v1/listener-attributes",
	.show = show_attributes,
	.params = {{"listener", "NAME", "listener",
	    COMMAND_REQUIRED | COMMAND_ARN, "the listener"}},
    },
    {
	.verb = "register-targets",
	.help = "puts targets into a group, draining ones too",
	.method = "POST",
	.json_path = "/v1/register-targets",
	.table_path = "/v1/register-targets",
	.show = show_done,
	.params = {PARAM_GROUP, PARAM_TARGETS, PARAM_RUNTIME},
    },
    {
	.verb = "deregister-targets",
	.help = "takes targets out of a group; they drain",
	.method = "POST",
	.json_path = "/v1/deregister-targets",
	.table_path = "/v1/deregister-targets",
	.show = show_done,
	.params = {PARAM_GROUP, PARAM_TARGETS, PARAM_RUNTIME},
    },
    {
	.verb = "modify-target-group",
	.help = "changes the health check of a group",
	.method = "POST",
	.json_path = "/v1/modify-target-group",
	.table_path = "/v1/modify-target-group",
	.show = show_settings,
	.params = {PARAM_GROUP,
	    {"health-check-protocol", "TCP|HTTP|HTTPS|SMTP",
		"HealthCheckProtocol", COMMAND_WORDS, "what a check speaks"},
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
		"HealthCheckSmtpStartTls", COMMAND_WORDS,
		"SMTP has to offer STARTTLS"},
	    PARAM_RUNTIME},
    },
    {
	.verb = "modify-target-group-attributes",
	.help = "changes attributes of a group",
	.method = "POST",
	.json_path = "/v1/modify-target-group-attributes",
	.table_path = "/v1/modify-target-group-attributes",
	.show = show_attributes,
	.params = {PARAM_GROUP, PARAM_ATTRIBUTES, PARAM_RUNTIME},
    },
    {
	.verb = "modify-listener-attributes",
	.help = "changes attributes of a listener",
	.method = "POST",
	.json_path = "/v1/modify-listener-attributes",
	.table_path = "/v1/modify-listener-attributes",
	.show = show_attributes,
	.params = {{"listener", "NAME", "Listener",
		       COMMAND_REQUIRED | COMMAND_ARN, "the listener"},
	    PARAM_ATTRIBUTES, PARAM_RUNTIME},
    },
    {
	.verb = "flows",
	.help = "the flows of all workers, newest first",
	.method = "GET",
	.json_path = "/v1/flows",
	.table_path = "/v1/flows",
	.show = show_flows,
	.run = verb_flows,
	.params = {{"limit", "N", "limit", COMMAND_NUMBER, "at most N flows"},
	    {"listener", "NAME", "listener", 0, "flows of this listener only"},
	    {"target", "ADDRESS[:PORT]", "target", 0,
		"flows to this target only"},
	    PARAM_FOLLOW},
    },
    {
	.verb = "metrics",
	.help = "every CloudWatch metric of the NLB, and more",
	.method = "GET",
	.json_path = "/v1/metrics",
	.table_path = "/v1/metrics",
	.show = show_metrics,
	.option_word = verb_metrics_word,
	.params = {{"by", "DIMENSION", "by", COMMAND_OPTION_WORD,
		       "target-group, listener, target, zone or all"},
	    {"metric-name", "NAME", "name", 0, "this metric only"}},
    },
    {
	.verb = "top",
	.help = "rates, targets and workers, live",
	.run = verb_top,
	.params = {{"number", "COUNT", "number",
		       COMMAND_NUMBER | COMMAND_LETTER, "ends after so many"},
	    {"interval", "SECONDS", "interval", COMMAND_NUMBER | COMMAND_LETTER,
		"from one to the next: 2 without it"}},
    },
    {
	.verb = "events",
	.help = "what nlbd said last in its log",
	.run = verb_events,
	.option_word = verb_events_word,
	.params = {PARAM_FOLLOW,
	    {"since", "TIME|DURATION", "since", 0,
		"from then on, in UTC, or 15m, 2h, 1d ago"},
	    {"event", "CODE", "event", COMMAND_OPTION_WORD,
		"events of this kind only"}},
    },
    {
	.verb = "health",
	.help = "one line and an exit code for monitoring",
	.run = verb_health,
	.params = {{"quiet", NULL, "quiet", COMMAND_FLAG | COMMAND_LETTER,
	    "the exit code alone"}},
    },
    {
	.verb = "wait",
	.help = "returns when targets or the node are so far",
	.run = verb_wait,
	.operand = "CONDITION",
	.operand_required = true,
	.operand_word = verb_wait_word,
	.params = {{"target-group", "NAME", "target-group", COMMAND_ARN,
		       "targets of this group only"},
	    {"target", "ADDRESS[:PORT]", "target", 0, "this target only"},
	    {"timeout", "SECONDS", "timeout", COMMAND_NUMBER,
		"how long to wait: 600 without it"}},
    },
    {
	.verb = "drain-node",
	.help = "lets DNS leave this node",
	.run = verb_drain_node,
	.params = {{"undo", NULL, "undo", COMMAND_FLAG, "back into DNS"}},
    },
    {
	.verb = "notify-test",
	.help = "tells the receivers of events something",
	.run = verb_notify_test,
    },
    {
	.verb = "init",
	.help = "writes a first configuration file",
	.run = verb_init,
	.params = {{"target", "ADDRESS[:PORT] ...", "target",
		       COMMAND_LIST | COMMAND_REQUIRED, "the servers"},
	    {"source", "CIDR ...", "source", COMMAND_LIST,
		"who may connect; this machine only without it"},
	    {"port", "N", "port", COMMAND_NUMBER,
		"the port, of the targets too: 587 without it"},
	    {"file", "FILE", "file", COMMAND_FILE,
		"where to: /etc/nlbd/nlbd.ini without it"}},
    },
    {
	.verb = "import-aws",
	.help = "a configuration file made of an NLB",
	.run = verb_import_aws,
	.operand = "DIRECTORY",
	.operand_is_file = true,
	.params = {{"print-script", NULL, "print-script", COMMAND_FLAG,
		       "prints what collects the documents"},
	    {"file", "FILE", "file", COMMAND_FILE,
		"where to: standard output without it"},
	    {"load-balancer", "NAME", "load-balancer", COMMAND_ARN,
		"the one to take of several"},
	    {"availability-zone", "ZONE", "availability-zone", 0,
		"the zone of this node: the first without it"}},
    },
    {
	.verb = "doctor",
	.help = "looks for what goes wrong most",
	.run = verb_doctor,
	.params = {{"file", "FILE", "file", COMMAND_FILE,
	    "the configuration: /etc/nlbd/nlbd.ini without it"}},
    },
    {
	.verb = "completion",
	.help = "the script for completion in bash",
	.run = verb_completion,
    },
    {
	.verb = "explain",
	.help = "what a code means, its causes, what to do",
	.run = verb_explain,
	.operand = "CODE",
	.operand_word = verb_explain_word,
    },
    {
	.verb = "check",
	.help = "checks the file, changes nothing",
	.run = verb_check,
	.method = "GET",
	.json_path = "/v1/check",
	.table_path = "/v1/check",
	.show = show_verdict,
	.params = {{"file", "FILE", "file", COMMAND_FILE,
	    "this file, checked without nlbd"}},
    },
    {
	.verb = "reload",
	.help = "puts the configuration file in force",
	.method = "POST",
	.json_path = "/v1/reload",
	.table_path = "/v1/reload",
	.show = show_verdict,
    },
    {
	.verb = "upgrade",
	.help = "lets a new program file take over, in place",
	.method = "POST",
	.json_path = "/v1/upgrade",
	.table_path = "/v1/upgrade",
	.show = show_verdict,
    },
};
const size_t n_commands = sizeof(commands) / sizeof(commands[0]);

const struct command_option command_options[COMMAND_OPTION_COUNT] = {
    [COMMAND_OPTION_SOCKET] = {'s', "socket", "SOCKET",
	"nlbd's socket (NLBD_SOCKET, " COMMAND_DEFAULT_SOCKET ")"},
    [COMMAND_OPTION_OUTPUT] = {'o', "output", "table|json",
	"for people (the default) or for programs"},
    [COMMAND_OPTION_HELP] = {'h', "help", NULL, "this text, or one verb's"},
    [COMMAND_OPTION_VERSION] = {'V', "version", NULL, "the version"},
};
