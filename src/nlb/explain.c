/*
 * Causes and next steps, beside the tables whose codes they explain.
 */
#include "nlb/explain.h"

#include <string.h>
#include <strings.h>

#include "nlb/explain_internal.h"
#include "nlb/metric.h"
#include "nlb/reason.h"

static const struct advice end_advice[FLOW_END_REASON_COUNT] = {
    [FLOW_END_CLIENT_FIN] =
	{"The normal end of a session: the client was done.", ""},
    [FLOW_END_TARGET_FIN] =
	{"The normal end of a session: SMTP servers close after QUIT.\n"
	 "Many with few bytes: the server turns clients away, for example "
	 "with 421 and too many connections.",
	    "If sessions are shorter than they should be, read the server's "
	    "log for the time in the flow log."},
    [FLOW_END_CLIENT_RST] =
	{"The client closed with data unread, crashed or gave up.\n"
	 "Its network went away, or a NAT in front of it forgot the "
	 "connection.",
	    "Compare duration_ms in the flow log: a round number is a timeout "
	    "of the client.\n"
	    "Near 350 s: something between forgot an idle connection; let the "
	    "client send keepalives or work faster."},
    [FLOW_END_TARGET_RST] =
	{"The server closed with data unread, crashed or was restarted.\n"
	 "A firewall between nlbd and the target forgot the connection.\n"
	 "The server does not expect the PROXY header, or expects one.",
	    "Read the server's log for that time.\n"
	    "All flows end so with few bytes: compare "
	    "proxy_protocol_v2.enabled with what the server is set to, or run "
	    "`nlbctl doctor`."},
    [FLOW_END_IDLE_TIMEOUT] =
	{"Neither side sent a byte for tcp.idle_timeout.seconds.\n"
	 "A client keeps connections open to use them again later.\n"
	 "The other side vanished without a word.",
	    "Raise tcp.idle_timeout.seconds above the longest pause that "
	    "server and client allow (SMTP: 300 s and more).\n"
	    "On EC2 connection tracking may forget an idle connection after "
	    "350 s: raise TcpEstablishedTimeout of the network interface "
	    "above tcp.idle_timeout.seconds, or let clients send "
	    "keepalives."},
    [FLOW_END_CONNECT_REFUSED] =
	{"The server does not run, or not on that port.\n"
	 "A firewall answers with a reset, or there is no route.",
	    "See which target: `nlbctl describe-target-health`.\n"
	    "Connect from this machine to the address and port that it "
	    "shows.\n"
	    "Start the server, correct Port, or open its firewall for this "
	    "machine."},
    [FLOW_END_CONNECT_TIMEOUT] =
	{"A firewall or a security group drops packets from this machine.\n"
	 "The route to the target, or the way back, is missing.\n"
	 "The server's accept queue is full.\n"
	 "With preserve_client_ip.enabled: the target's answers do not come "
	 "back through this machine.",
	    "Run `nlbctl doctor`: it connects to each target.\n"
	    "Let the targets' firewall accept this machine's address.\n"
	    "See what nlbd.ini(5) says of preserve_client_ip.enabled if it is "
	    "on."},
    [FLOW_END_NO_TARGET] =
	{"The target group is empty, or all its targets are draining.\n"
	 "All targets stand in other zones and cross-zone is off.\n"
	 "The forward action has weight 0 only.",
	    "See `nlbctl status` for the group.\n"
	    "Register a target: `nlbctl register-targets`.\n"
	    "Set load_balancing.cross_zone.enabled = true, or correct "
	    "AvailabilityZone."},
    [FLOW_END_SECURITY_GROUP] =
	{"The client's address is in no Inbound rule of the listener's "
	 "security groups.\n"
	 "The client comes from another NAT address than before.",
	    "If the client may connect, add an Inbound rule with its address "
	    "from the flow log and run `nlbctl reload`.\n"
	    "Otherwise nothing: it was refused as told."},
    [FLOW_END_SECURITY_GROUP_OUTBOUND] =
	{"The security groups have Outbound rules and none covers the "
	 "targets' address and port.",
	    "Add an Outbound rule for the targets, or remove all of them: "
	    "without any everything outbound is allowed."},
    [FLOW_END_NETWORK_ACL] =
	{"A rule of the network ACL denies the source or the targets, or no "
	 "rule matches: then it denies.\n"
	 "A deny rule has a lower number than the allow rule that was meant "
	 "to win.",
	    "Read the rules in the order of their numbers: the first match "
	    "wins.\n"
	    "Both directions need an allow rule."},
    [FLOW_END_SOURCE_LIMIT] =
	{"Many clients share one NAT address.\n"
	 "One client opens connections and does not close them.",
	    "See who it is: `nlbctl flows`.\n"
	    "If it is a NAT gateway of yours, raise MaxFlowsPerSource or set "
	    "it to 0 (off)."},
    [FLOW_END_TARGET_LIMIT] =
	{"More clients at a time than the targets are set to take.\n"
	 "Sessions last longer than they used to.\n"
	 "Some targets are out of service, and the others are full.",
	    "Raise MaxFlowsPerTarget, or MaxFlows of the target, if the "
	    "servers can take more.\n"
	    "Register more targets, or a standby target."},
    [FLOW_END_PORT_ALLOCATION] =
	{"More flows to one target than there are source ports.\n"
	 "net.ipv4.ip_local_port_range is narrow.\n"
	 "Many short flows leave their ports in TIME_WAIT.",
	    "Widen net.ipv4.ip_local_port_range, for example to 1024 65535.\n"
	    "Give nlbd more SourceAddresses, or the group more targets.\n"
	    "`nlbctl doctor` shows the ports for each target."},
    [FLOW_END_NO_RESOURCES] =
	{"The limit of open files is reached, of the process or of the "
	 "machine.\n"
	 "The machine is short of memory.",
	    "Raise LimitNOFILE of the unit (two descriptors for each flow) "
	    "and fs.file-max.\n"
	    "Set MaxFlows to what the machine can carry."},
    [FLOW_END_DEREGISTERED] =
	{"The target was taken out, and its flows did not end within "
	 "deregistration_delay.timeout_seconds; "
	 "deregistration_delay.connection_termination.enabled is true.",
	    "Nothing, if that was meant.\n"
	    "Raise the delay above your longest session, or set "
	    "connection_termination to false."},
    [FLOW_END_TARGET_UNHEALTHY] =
	{"The target failed its health checks and "
	 "target_health_state.unhealthy.connection_termination.enabled is "
	 "true.",
	    "Mend the target: `nlbctl describe-target-health` shows what its "
	    "last check said.\n"
	    "If flows should survive a failed check, set "
	    "target_health_state.unhealthy.draining_interval_seconds or "
	    "switch the termination off."},
    [FLOW_END_FLUSH_TIMEOUT] =
	{"One side reset the connection while the other did not read what "
	 "was still to be delivered.",
	    "Nothing on this machine: the flow was broken already.\n"
	    "Many of them: the readers are overloaded."},
    [FLOW_END_ADMIN] =
	{"Somebody ended it on purpose, or the listener was removed.", ""},
    [FLOW_END_SHUTDOWN] =
	{"nlbd was stopped and DrainTimeoutSeconds was over, or SIGTERM came "
	 "twice.",
	    "Before the next stop: `nlbctl drain-node`, then `nlbctl wait "
	    "drained`.\n"
	    "Raise DrainTimeoutSeconds above your longest session."},
};

static const struct advice reason_advice[TARGET_REASON_COUNT] = {
    [TARGET_REASON_REGISTRATION_IN_PROGRESS] =
	{"The target was registered a moment ago.",
	    "Wait for its first check: `nlbctl wait target-in-service`."},
    [TARGET_REASON_INITIAL_HEALTH_CHECKING] =
	{"No check has succeeded yet, and fewer than UnhealthyThresholdCount "
	 "have failed; one without an answer takes "
	 "HealthCheckTimeoutSeconds.",
	    "Wait: `nlbctl wait target-in-service`.\n"
	    "If it stays so, its port is probably filtered: `nlbctl doctor`."},
    [TARGET_REASON_FAILED_HEALTH_CHECKS] =
	{"The server is down, or listens on another port: connection "
	 "refused.\n"
	 "A firewall drops the checks: no answer in time.\n"
	 "It answered, but not as wanted: another HTTP code, or an SMTP "
	 "greeting that is not 220.\n"
	 "With proxy_protocol_v2.enabled: the server does not expect the "
	 "header.",
	    "Read the last check's outcome: `nlbctl "
	    "describe-target-health`.\n"
	    "Try it from this machine: `nlbctl doctor`.\n"
	    "It comes back by itself after HealthyThresholdCount successful "
	    "checks."},
    [TARGET_REASON_DEREGISTRATION_IN_PROGRESS] =
	{"It was deregistered and its flows may go on for "
	 "deregistration_delay.timeout_seconds.",
	    "Wait: `nlbctl wait target-deregistered`.\n"
	    "To take it back, register it again: its flows stay."},
    [TARGET_REASON_NOT_REGISTERED] = {"Its deregistration is complete.",
	"Nothing: it vanishes from the list. The server may be stopped."},
    [TARGET_REASON_NOT_IN_USE] =
	{"No listener's DefaultActions forwards to its group.",
	    "Name the group in DefaultActions and run `nlbctl reload`, or "
	    "remove it."},
    [TARGET_REASON_ZONE_NOT_ENABLED] =
	{"The target's AvailabilityZone is not this node's, and cross-zone "
	 "is off.",
	    "Set load_balancing.cross_zone.enabled = true for the group or "
	    "the load balancer.\n"
	    "Or correct AvailabilityZone of the target or of this node; "
	    "`all` is for addresses outside the VPC."},
    [TARGET_REASON_INTERNAL_ERROR] =
	{"The check could not be made at all: no descriptor, no memory, no "
	 "route.",
	    "Read nlbd's log for that time, and run `nlbctl doctor`."},
};

static const struct advice state_advice[TARGET_STATE_COUNT] = {
    [TARGET_INITIAL] = {"It is new, or its group came into use just now.",
	"Wait: `nlbctl wait target-in-service`."},
    [TARGET_HEALTHY] = {"Its last checks succeeded.", ""},
    [TARGET_UNHEALTHY] =
	{"UnhealthyThresholdCount checks in a row failed, or 3 connects of "
	 "flows in a row.",
	    "`nlbctl describe-target-health` says what the last check "
	    "found.\n"
	    "`nlbctl explain Target.FailedHealthChecks` tells the usual "
	    "causes."},
    [TARGET_UNHEALTHY_DRAINING] =
	{"It failed its checks and "
	 "target_health_state.unhealthy.draining_interval_seconds is not "
	 "over: flows that it has go on.",
	    "Mend it before the interval is over, and no flow is lost."},
    [TARGET_DRAINING] =
	{"It was deregistered: it gets no new flow and keeps those it has.",
	    "Wait: `nlbctl wait target-deregistered`."},
    [TARGET_UNUSED] =
	{"No listener forwards to its group, or its zone is not enabled.",
	    "`nlbctl explain Target.NotInUse` tells what to change."},
    [TARGET_UNAVAILABLE] =
	{"Its health is not known: the checks could not be made.",
	    "Read nlbd's log, and run `nlbctl doctor`."},
};

#define TRAFFIC                                                             \
	{                                                                   \
		"It tells how much goes on; no value of it is a fault.", "" \
	}

static const struct advice metric_advice[METRIC_COUNT] = {
    [METRIC_ACTIVE_FLOWS] =
	{"It grows with the clients; near MaxFlows the listeners pause.\n"
	 "Growing without end: clients or servers do not close.",
	    "Compare with FLOWS MAX in `nlbctl status`; `nlbctl flows` shows "
	    "who holds them."},
    [METRIC_NEW_FLOWS] = TRAFFIC,
    [METRIC_REJECTED_FLOWS] =
	{"No target could take the flows, or a limit was reached.",
	    "The line `Flows ended` of `nlbctl status` tells the reasons: "
	    "explain those."},
    [METRIC_PROCESSED_BYTES] = TRAFFIC,
    [METRIC_CLIENT_TO_TARGET_BYTES] = TRAFFIC,
    [METRIC_TARGET_TO_CLIENT_BYTES] = TRAFFIC,
    [METRIC_PROCESSED_PACKETS] = TRAFFIC,
    [METRIC_CLIENT_TO_TARGET_PACKETS] = TRAFFIC,
    [METRIC_TARGET_TO_CLIENT_PACKETS] = TRAFFIC,
    [METRIC_PEAK_BYTES] = TRAFFIC,
    [METRIC_PEAK_PACKETS] = TRAFFIC,
    [METRIC_CLIENT_RESETS] =
	{"Clients gave up, crashed, or lost their network.",
	    "`nlbctl explain client-rst`."},
    [METRIC_TARGET_RESETS] = {"Servers closed hard, crashed or were restarted.",
	"`nlbctl explain target-rst`."},
    [METRIC_ELB_RESETS] =
	{"Idle timeouts, targets out of service, or the operator.",
	    "The line `Flows ended` of `nlbctl status` tells which: explain "
	    "those."},
    [METRIC_HEALTHY_HOSTS] =
	{"Fewer than registered: some target failed its checks or is new.",
	    "`nlbctl describe-target-health`."},
    [METRIC_UNHEALTHY_HOSTS] = {"Above 0: a target failed its health checks.",
	"`nlbctl describe-target-health`, then `nlbctl explain "
	"Target.FailedHealthChecks`."},
    [METRIC_ZONE_HEALTHY] = {"0: a target group has fewer healthy targets than "
			     "target_group_health.dns_failover asks for.",
	"`nlbctl explain zone-unhealthy`."},
    [METRIC_UNHEALTHY_ROUTING_FLOWS] =
	{"Too few targets were healthy, so flows went to all of them.",
	    "`nlbctl explain fail-open`."},
    [METRIC_PORT_ALLOCATION_ERRORS] =
	{"All source ports towards a target were in use.",
	    "`nlbctl explain port-allocation`."},
    [METRIC_SECURITY_GROUP_BLOCKED_INBOUND] =
	{"Scanners, which every public port sees.\n"
	 "A client whose address is in no Inbound rule.",
	    "Set SecurityGroupAction = reset for a while: the flow log then "
	    "names who knocks."},
    [METRIC_SECURITY_GROUP_BLOCKED_OUTBOUND] =
	{"No Outbound rule covers the targets.",
	    "`nlbctl explain security-group-outbound`."},
    [METRIC_NETWORK_ACL_BLOCKED] =
	{"The network ACL denies the source or every target.",
	    "`nlbctl explain network-acl`."},
    [METRIC_BLOCKED_CHECKS] =
	{"No Outbound rule covers the target and the port that is checked.",
	    "`nlbctl explain security-group-outbound`; HealthCheckPort may be "
	    "another port than that of the flows."},
    [METRIC_CONNECT_FAILURES] =
	{"The target refuses connections, or does not answer in time.",
	    "`nlbctl explain connect-refused` and `nlbctl explain "
	    "connect-timeout`."},
    [METRIC_CONNECT_RETRIES] =
	{"A target failed to answer and the flow went to another: the "
	 "client noticed nothing.",
	    "See CONNECT FAILURES in `nlbctl status` for the target."},
    [METRIC_PAUSES] = {"MaxFlows or the limit of open files was reached.",
	"`nlbctl explain paused`."},
    [METRIC_PAUSED_WORKERS] =
	{"Above 0: MaxFlows or the limit of open files is reached now.",
	    "`nlbctl explain paused`."},
};

/* What status says of more than one target or flow. */
static const struct explanation conditions[] = {
    {"fail-open", "condition",
	"too few targets are healthy, and new flows go to all of them",
	"Fewer healthy targets than "
	"target_group_health.unhealthy_state_routing asks for.\n"
	"The health check itself is wrong: it fails for servers that work.",
	"Mend the targets: `nlbctl describe-target-health`.\n"
	"If clients are served all the same, correct the check."},
    {"zone-unhealthy", "condition",
	"this node should leave DNS: /zone-health answers 503",
	"A target group has fewer healthy targets than "
	"target_group_health.dns_failover asks for.\n"
	"The node was drained: `nlbctl drain-node`.",
	"`nlbctl status` names the group: mend its targets or lower the "
	"threshold."},
    {"paused", "condition", "the listener takes no connections for a while",
	"MaxFlows is reached, of the listener or of the node.\n"
	"The limit of open files is reached: two descriptors for each flow.",
	"Find out who holds the flows: `nlbctl flows`.\n"
	"Raise MaxFlows, and LimitNOFILE in the unit; `nlbctl doctor` shows "
	"the limit."},
    {"degraded", "condition", "clients are served; something needs a look",
	"A target is down, a listener is paused, or a reload was rejected.",
	"`nlbctl status` lists what it is, with what to do."},
    {"failing", "condition", "clients are not served as they should be",
	"A target group without healthy targets, or no worker that serves.",
	"`nlbctl status` lists what it is, with what to do."},
};
#define CONDITIONS (sizeof(conditions) / sizeof(conditions[0]))

/* TARGET_REASON_NONE explains nothing. */
#define REASONS (TARGET_REASON_COUNT - 1)

size_t
explain_count(void)
{
	return FLOW_END_REASON_COUNT + TARGET_STATE_COUNT + REASONS +
	       CONDITIONS + METRIC_COUNT + EVENT_COUNT;
}

static struct explanation
with_advice(struct explanation e, const struct advice *advice)
{
	e.causes = advice->causes;
	e.steps = advice->steps;
	return e;
}

static struct explanation
explain_state(enum target_state state)
{
	static const char *const meanings[TARGET_STATE_COUNT] = {
	    [TARGET_INITIAL] = "registered, and not yet found healthy",
	    [TARGET_HEALTHY] = "gets flows",
	    [TARGET_UNHEALTHY] = "gets no flows while others are healthy",
	    [TARGET_UNHEALTHY_DRAINING] = "gets no new flows, keeps its own",
	    [TARGET_DRAINING] = "deregistered, keeps its flows for a while",
	    [TARGET_UNUSED] = "not checked, and gets no flows",
	    [TARGET_UNAVAILABLE] = "its health is not known",
	};

	return with_advice(
	    (struct explanation){.code = target_state_name(state),
		.kind = "state of a target",
		.meaning = meanings[state]},
	    &state_advice[state]);
}

static struct explanation
explain_metric(const struct metric *m, const struct advice *advice)
{
	return with_advice(
	    (struct explanation){
		.code = m->cloudwatch[0] == '\0' ? m->name : m->cloudwatch,
		.kind = "metric",
		.meaning = m->help},
	    advice);
}

struct explanation
explain_at(size_t i)
{
	if (i < FLOW_END_REASON_COUNT)
		return with_advice(
		    (struct explanation){
			.code = flow_end_reason_code((enum flow_end_reason)i),
			.kind = "end of a flow",
			.meaning =
			    flow_end_reason_text((enum flow_end_reason)i)},
		    &end_advice[i]);
	i -= FLOW_END_REASON_COUNT;
	if (i < TARGET_STATE_COUNT)
		return explain_state((enum target_state)i);
	i -= TARGET_STATE_COUNT;
	if (i < REASONS) {
		enum target_reason reason = (enum target_reason)(i + 1);

		return with_advice(
		    (struct explanation){.code = target_reason_code(reason),
			.kind = "reason of a target's state",
			.meaning = target_reason_description(reason)},
		    &reason_advice[reason]);
	}
	i -= REASONS;
	if (i < CONDITIONS)
		return conditions[i];
	i -= CONDITIONS;
	if (i < METRIC_COUNT)
		return explain_metric(&metrics[i], &metric_advice[i]);
	return explain_event((enum event)(i - METRIC_COUNT));
}

int
explain_matches(const struct explanation *e, const char *text)
{
	const char *dot = strchr(e->code, '.');
	const struct metric *metric = metric_find(text);

	if (strcasecmp(text, e->code) == 0)
		return 1;
	if (dot != NULL && strncmp(e->code, "un", 2) != 0 &&
	    strcasecmp(text, dot + 1) == 0)
		return 1;
	return metric != NULL && (strcmp(metric->name, e->code) == 0 ||
				     strcmp(metric->cloudwatch, e->code) == 0);
}
