/*
 * The metrics: one table of what is counted, under nlbd's name and under
 * CloudWatch's (namespace AWS/NetworkELB). Pure data: where a value comes from
 * is not told here. It feeds nlbctl, JSON, the exporter and the manual.
 */
#ifndef NLB_METRIC_H
#define NLB_METRIC_H

#include <stdbool.h>
#include <stdint.h>

enum metric_kind {
	METRIC_COUNTER, /* since nlbd started; never goes back */
	METRIC_GAUGE,
};

/* What one value may be about. CloudWatch knows the first three. */
enum metric_dimension {
	METRIC_BY_LOAD_BALANCER = 1,
	METRIC_BY_ZONE = 2, /* the load balancer's, in this node's zone */
	METRIC_BY_TARGET_GROUP = 4,
	METRIC_BY_LISTENER = 8,
	METRIC_BY_TARGET = 16,
};
#define METRIC_DIMENSIONS 5 /* bits */
#define METRIC_BY_ALL ((1u << METRIC_DIMENSIONS) - 1)

#define METRIC_SETS_NODE (METRIC_BY_LOAD_BALANCER | METRIC_BY_ZONE)
#define METRIC_SETS_LISTENER (METRIC_SETS_NODE | METRIC_BY_LISTENER)
#define METRIC_SETS_TARGET (METRIC_BY_TARGET_GROUP | METRIC_BY_TARGET)
#define METRIC_SETS_FLOW (METRIC_SETS_LISTENER | METRIC_SETS_TARGET)
#define METRIC_SETS_HOST (METRIC_BY_TARGET_GROUP | METRIC_BY_ZONE)

/*
 * X(enum suffix, name, CloudWatch name, kind, unit, dimensions, help). Unit is
 * CloudWatch's word for it. A counter's name ends in _total. "" stands for: not
 * a metric of the NLB. Names never change once released.
 */
#define METRICS(X)                                                             \
	X(ACTIVE_FLOWS, "active_flows", "ActiveFlowCount", GAUGE, "Count",     \
	    FLOW, "flows now, those that still connect included")              \
	X(NEW_FLOWS, "new_flows_total", "NewFlowCount", COUNTER, "Count",      \
	    FLOW,                                                              \
	    "flows accepted and allowed; of a target and its group: flows "    \
	    "connected")                                                       \
	X(REJECTED_FLOWS, "rejected_flows_total", "RejectedFlowCount",         \
	    COUNTER, "Count", LISTENER,                                        \
	    "flows that never reached a target; without what security "        \
	    "groups and network ACLs refuse")                                  \
	X(PROCESSED_BYTES, "processed_bytes_total", "ProcessedBytes", COUNTER, \
	    "Bytes", FLOW,                                                     \
	    "payload bytes passed on, both directions; without headers and "   \
	    "health checks")                                                   \
	X(CLIENT_TO_TARGET_BYTES, "client_to_target_bytes_total", "", COUNTER, \
	    "Bytes", FLOW, "payload bytes from clients to targets")            \
	X(TARGET_TO_CLIENT_BYTES, "target_to_client_bytes_total", "", COUNTER, \
	    "Bytes", FLOW, "payload bytes from targets to clients")            \
	X(PROCESSED_PACKETS, "processed_packets_total", "ProcessedPackets",    \
	    COUNTER, "Count", FLOW,                                            \
	    "TCP segments between the clients and nlbd, both directions; "     \
	    "without health checks")                                           \
	X(CLIENT_TO_TARGET_PACKETS, "client_to_target_packets_total", "",      \
	    COUNTER, "Count", FLOW, "TCP segments from clients")               \
	X(TARGET_TO_CLIENT_PACKETS, "target_to_client_packets_total", "",      \
	    COUNTER, "Count", FLOW, "TCP segments to clients")                 \
	X(PEAK_BYTES, "peak_bytes_per_second", "PeakBytesPerSecond", GAUGE,    \
	    "Bytes/Second", LISTENER,                                          \
	    "highest ten-second average of processed bytes in the last "       \
	    "whole minute")                                                    \
	X(PEAK_PACKETS, "peak_packets_per_second", "PeakPacketsPerSecond",     \
	    GAUGE, "Count/Second", LISTENER,                                   \
	    "highest ten-second average of processed packets in the last "     \
	    "whole minute")                                                    \
	X(CLIENT_RESETS, "client_resets_total", "TCP_Client_Reset_Count",      \
	    COUNTER, "Count", FLOW,                                            \
	    "flows that the client ended with a reset")                        \
	X(TARGET_RESETS, "target_resets_total", "TCP_Target_Reset_Count",      \
	    COUNTER, "Count", FLOW,                                            \
	    "flows that the target ended with a reset")                        \
	X(ELB_RESETS, "elb_resets_total", "TCP_ELB_Reset_Count", COUNTER,      \
	    "Count", FLOW,                                                     \
	    "flows that nlbd ended with a reset of its own: idle timeout, "    \
	    "target out of service, operator")                                 \
	X(HEALTHY_HOSTS, "healthy_hosts", "HealthyHostCount", GAUGE, "Count",  \
	    HOST, "targets in state healthy")                                  \
	X(UNHEALTHY_HOSTS, "unhealthy_hosts", "UnHealthyHostCount", GAUGE,     \
	    "Count", HOST,                                                     \
	    "targets in state unhealthy, unhealthy.draining or unavailable")   \
	X(ZONE_HEALTHY, "zone_healthy", "ZonalHealthStatus", GAUGE, "None",    \
	    NODE,                                                              \
	    "1 while every target group has the healthy targets that "         \
	    "dns_failover asks for, otherwise 0")                              \
	X(UNHEALTHY_ROUTING_FLOWS, "unhealthy_routing_flows_total",            \
	    "UnhealthyRoutingFlowCount", COUNTER, "Count", FLOW,               \
	    "flows routed while their target group failed open")               \
	X(PORT_ALLOCATION_ERRORS, "port_allocation_errors_total",              \
	    "PortAllocationErrorCount", COUNTER, "Count", FLOW,                \
	    "connects to a target for which no source port was free")          \
	X(SECURITY_GROUP_BLOCKED_INBOUND,                                      \
	    "security_group_blocked_inbound_total",                            \
	    "SecurityGroupBlockedFlowCount_Inbound_TCP", COUNTER, "Count",     \
	    LISTENER,                                                          \
	    "SYNs the kernel dropped by the inbound rules or the network "     \
	    "ACL, repeated ones included, and connections that security "      \
	    "groups refused in user space")                                    \
	X(SECURITY_GROUP_BLOCKED_OUTBOUND,                                     \
	    "security_group_blocked_outbound_total",                           \
	    "SecurityGroupBlockedFlowCount_Outbound_TCP", COUNTER, "Count",    \
	    LISTENER, "flows that the outbound rules left no target for")      \
	X(NETWORK_ACL_BLOCKED, "network_acl_blocked_total", "", COUNTER,       \
	    "Count", LISTENER,                                                 \
	    "connections that a network ACL refused in user space, and "       \
	    "flows that it left no target for")                                \
	X(BLOCKED_CHECKS, "blocked_health_checks_total", "", COUNTER, "Count", \
	    TARGET,                                                            \
	    "health checks that outbound rules or the network ACL forbid")     \
	X(CONNECT_FAILURES, "connect_failures_total", "", COUNTER, "Count",    \
	    TARGET, "connects refused, timed out or unreachable")              \
	X(CONNECT_RETRIES, "connect_retries_total", "", COUNTER, "Count",      \
	    LISTENER, "connects tried again on another target")                \
	X(PAUSES, "pauses_total", "", COUNTER, "Count", LISTENER,              \
	    "times a worker paused a listener: MaxFlows or descriptors")       \
	X(PAUSED_WORKERS, "paused_workers", "", GAUGE, "Count", LISTENER,      \
	    "workers in which a listener is paused now")

enum metric_id {
#define X(suffix, name, cloudwatch, kind, unit, sets, help) METRIC_##suffix,
	METRICS(X)
#undef X
	    METRIC_COUNT
};

struct metric {
	const char *name;       /* "new_flows_total" */
	const char *cloudwatch; /* "NewFlowCount"; "" = not of the NLB */
	enum metric_kind kind;
	const char *unit;    /* "Count", "Bytes", "Bytes/Second", "None" */
	unsigned dimensions; /* enum metric_dimension: what it is kept by */
	const char *help;    /* without a stop */
};

extern const struct metric metrics[METRIC_COUNT];

/* "load-balancer", "zone", "target-group", "listener", "target"; "unknown". */
const char *metric_dimension_name(enum metric_dimension dimension);
/* The dimension of that name, or "all" as METRIC_BY_ALL; 0 = no such. */
unsigned metric_dimensions_find(const char *name);
/* By either name; NewFlowCount_TCP is NewFlowCount: there is no other
 * protocol here. NULL = no such. */
const struct metric *metric_find(const char *name);

#endif
