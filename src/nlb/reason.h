/*
 * Why a flow ended, and why a target is in its state. One table each: the
 * rows feed the flow log, nlbctl, the metrics and the manual.
 */
#ifndef NLB_REASON_H
#define NLB_REASON_H

#include <stdint.h>

/* Which CloudWatch counter a flow's end adds to. */
enum flow_end_class {
	FLOW_END_NORMAL,
	FLOW_END_CLIENT_RESET, /* TCP_Client_Reset_Count */
	FLOW_END_TARGET_RESET, /* TCP_Target_Reset_Count */
	FLOW_END_ELB_RESET,    /* TCP_ELB_Reset_Count: we sent the RST */
	FLOW_END_REJECTED,     /* RejectedFlowCount: never reached a target */
	/* By a security group (SecurityGroupBlockedFlowCount_*) or a network
	 * ACL: an NLB never sees these, so they are not rejected flows. */
	FLOW_END_BLOCKED,
};

/*
 * X(enum suffix, code, class, text). The code is what the log, nlbctl and the
 * metrics print; it never changes once released.
 */
#define FLOW_END_REASONS(X)                                                    \
	X(CLIENT_FIN, "client-fin", NORMAL,                                    \
	    "the client closed first, and both directions ended with FIN")     \
	X(TARGET_FIN, "target-fin", NORMAL,                                    \
	    "the target closed first, and both directions ended with FIN")     \
	X(CLIENT_RST, "client-rst", CLIENT_RESET,                              \
	    "the client reset the connection, or its network was lost")        \
	X(TARGET_RST, "target-rst", TARGET_RESET,                              \
	    "the target reset the connection, or its network was lost")        \
	X(IDLE_TIMEOUT, "idle-timeout", ELB_RESET,                             \
	    "no data in either direction for tcp.idle_timeout.seconds")        \
	X(CONNECT_REFUSED, "connect-refused", REJECTED,                        \
	    "every target tried refused the connection or was unreachable")    \
	X(CONNECT_TIMEOUT, "connect-timeout", REJECTED,                        \
	    "no target answered within the connect timeouts")                  \
	X(NO_TARGET, "no-target", REJECTED,                                    \
	    "the target group has no target that may get this flow")           \
	X(SECURITY_GROUP, "security-group", BLOCKED,                           \
	    "no inbound rule of the listener's security groups allows the "    \
	    "source")                                                          \
	X(SECURITY_GROUP_OUTBOUND, "security-group-outbound", BLOCKED,         \
	    "no outbound rule allows any target")                              \
	X(NETWORK_ACL, "network-acl", BLOCKED,                                 \
	    "the listener's network ACL denies the source, or every target")   \
	X(SOURCE_LIMIT, "source-limit", REJECTED,                              \
	    "this source already holds MaxFlowsPerSource flows")               \
	X(TARGET_LIMIT, "target-limit", REJECTED,                              \
	    "every target that may get this flow holds its MaxFlows flows")    \
	X(PORT_ALLOCATION, "port-allocation", REJECTED,                        \
	    "no free source port towards any target")                          \
	X(NO_RESOURCES, "no-resources", REJECTED,                              \
	    "out of memory or descriptors for this flow")                      \
	X(DEREGISTERED, "deregistered", ELB_RESET,                             \
	    "the target was deregistered and its delay ended with connection " \
	    "termination on")                                                  \
	X(TARGET_UNHEALTHY, "target-unhealthy", ELB_RESET,                     \
	    "the target turned unhealthy with connection termination on")      \
	X(FLUSH_TIMEOUT, "flush-timeout", ELB_RESET,                           \
	    "after a reset the other side did not take the rest in time")      \
	X(ADMIN, "admin", ELB_RESET, "ended by the operator")                  \
	X(SHUTDOWN, "shutdown", ELB_RESET,                                     \
	    "nlbd stopped before the flow ended by itself")

enum flow_end_reason {
#define X(suffix, code, class, text) FLOW_END_##suffix,
	FLOW_END_REASONS(X)
#undef X
	    FLOW_END_REASON_COUNT
};

/* All return static strings; an unknown value gives "unknown". */
const char *flow_end_reason_code(enum flow_end_reason reason);
const char *flow_end_reason_text(enum flow_end_reason reason);
enum flow_end_class flow_end_reason_class(enum flow_end_reason reason);

/* TargetHealth.State of the ELBv2 API (nlb-behaviour 1.3). */
#define TARGET_STATES(X)                            \
	X(INITIAL, "initial")                       \
	X(HEALTHY, "healthy")                       \
	X(UNHEALTHY, "unhealthy")                   \
	X(UNHEALTHY_DRAINING, "unhealthy.draining") \
	X(DRAINING, "draining")                     \
	X(UNUSED, "unused")                         \
	X(UNAVAILABLE, "unavailable")

enum target_state {
#define X(suffix, name) TARGET_##suffix,
	TARGET_STATES(X)
#undef X
	    TARGET_STATE_COUNT
};

/* X(enum suffix, Reason, Description): the API's own strings. */
#define TARGET_REASONS(X)                                                      \
	X(NONE, "", "")                                                        \
	X(REGISTRATION_IN_PROGRESS, "Elb.RegistrationInProgress",              \
	    "Target registration is in progress")                              \
	X(INITIAL_HEALTH_CHECKING, "Elb.InitialHealthChecking",                \
	    "Initial health checks in progress")                               \
	X(FAILED_HEALTH_CHECKS, "Target.FailedHealthChecks",                   \
	    "Health checks failed")                                            \
	X(DEREGISTRATION_IN_PROGRESS, "Target.DeregistrationInProgress",       \
	    "Target deregistration is in progress")                            \
	X(NOT_REGISTERED, "Target.NotRegistered",                              \
	    "Target is not registered to the target group")                    \
	X(NOT_IN_USE, "Target.NotInUse",                                       \
	    "Target group is not configured to receive traffic from the load " \
	    "balancer")                                                        \
	X(ZONE_NOT_ENABLED, "Target.NotInUse",                                 \
	    "Target is in an Availability Zone that is not enabled for the "   \
	    "load balancer")                                                   \
	X(INTERNAL_ERROR, "Elb.InternalError",                                 \
	    "Health checks failed due to an internal error")

enum target_reason {
#define X(suffix, reason, description) TARGET_REASON_##suffix,
	TARGET_REASONS(X)
#undef X
	    TARGET_REASON_COUNT
};

const char *target_state_name(enum target_state state);
const char *target_reason_code(enum target_reason reason);
const char *target_reason_description(enum target_reason reason);

#endif
