/*
 * Causes and next steps of events. Those that are no fault explain themselves.
 */
#include "nlb/explain_internal.h"

#define LOG_ABOVE "Read what the log says before and after it."

static const struct advice advice[EVENT_COUNT] = {
    [EVENT_START_FAILED] =
	{"A port is in use or needs a right, the admin socket belongs to "
	 "another nlbd, or a file cannot be written: the sentence says which.",
	    "Do what the sentence says, check with `nlbctl doctor`, and start "
	    "it again."},
    [EVENT_UPGRADE_REFUSED] =
	{"The new binary does not accept the config, or cannot be run.\n"
	 "nlbd is starting or stopping.",
	    "Run the new binary with --check-config and the config file, "
	    "then `nlbctl upgrade` again. The program that runs serves on."},
    [EVENT_SERVING_LOCK_FAILED] =
	{"The lock beside the admin socket cannot be taken.",
	    "See that nothing else runs on this AdminSocket.\n"
	    "Workers of a former supervisor, if there are any, end with "
	    "SIGTERM to their process group, or when their flows end."},
    [EVENT_RUNNING_AS_ROOT] = {"nlbd was started as root and User is not set.",
	"Set User in [node], or use the unit that comes with nlbd."},
    [EVENT_PRIVILEGES_KEPT] = {"The kernel refused to take capabilities away.",
	"Look at what sandbox or container nlbd runs in."},
    [EVENT_CONFIG_UNREADABLE] =
	{"The config file, or its directory, is for root alone.",
	    "Let the user of nlbd read it: chgrp and chmod g+r."},
    [EVENT_ADMIN_SOCKET_OWNER] =
	{"The file system of AdminSocket does not allow it.",
	    "Put AdminSocket into /run."},
    [EVENT_ADMIN_FAILED] =
	{"A fault of the HTTP library, or no descriptors or memory.",
	    "Flows go on.\nSend in what the log says, with the version."},
    [EVENT_ADMIN_REFUSED] =
	{"Somebody who is neither root nor the user of nlbd called nlbctl.",
	    "Use sudo, or HttpListen for monitoring."},
    [EVENT_HTTP_SOURCE_SHUT] =
	{"More than 10 connections a second from one address, or from one "
	 "IPv6 /64: monitoring that asks too often, a scanner, or somebody "
	 "who means harm. Flows go on.",
	    "Let it ask less often.\nLet only your monitoring reach "
	    "HttpListen: by its address, or by a security group of the "
	    "instance."},
    [EVENT_SERVICE_MANAGER_UNREACHABLE] =
	{"NOTIFY_SOCKET names a socket that is not there, as in a container "
	 "without it.",
	    "Start nlbd by its unit with Type=notify, or unset "
	    "NOTIFY_SOCKET."},
    [EVENT_WATCHDOG_UNSERVED] = {"WATCHDOG_USEC is not a number of "
				 "microseconds.",
	"Correct WatchdogSec in the unit."},
    [EVENT_PASSED_SOCKETS_REFUSED] =
	{"LISTEN_FDS is no number, or one beyond all reason.",
	    "Start nlbd by systemd with nlbd.socket, or unset LISTEN_FDS."},
    [EVENT_PASSED_SOCKET_UNUSED] =
	{"The socket unit and the config name different addresses or ports: "
	 "0.0.0.0:587 is not [::]:587.",
	    "Make ListenStream in nlbd.socket the Address and Port of a "
	    "listener, then restart nlbd.socket and nlbd."},
    [EVENT_RELOAD_REJECTED] =
	{"The config file has a mistake, or asks for something that cannot be "
	 "had, as a port in use.",
	    "`nlbctl check` shows every mistake with its line.\n"
	    "Correct the file and run `nlbctl reload`."},
    [EVENT_CONFIG_FILE_UNSYNCED] =
	{"The disk or its file system reported an error.",
	    "Look at the kernel's log; the change is in force and in the "
	    "file."},
    [EVENT_FLOW_LOG_FAILED] =
	{"The directory of FlowLog is gone, or not writable for User.\n"
	 "The disk is full.",
	    "Mend it and send SIGUSR1: until then lines go to the old file."},
    [EVENT_OUT_OF_MEMORY] =
	{"The machine, or the unit's MemoryMax, is too small.",
	    "Free memory and run `nlbctl reload`: what is missing is tried "
	    "again."},
    [EVENT_WORKER_STUCK] = {"The machine stood still or is overloaded.\n"
			    "A fault of nlbd: an endless loop.",
	"Look at the load of the machine at that time.\n"
	"If it was idle, send in the log; a successor serves already."},
    [EVENT_WORKER_KILLED] =
	{"The kernel was out of memory (SIGKILL), or somebody killed it.\n"
	 "A fault of nlbd (SIGSEGV, SIGABRT).",
	    "Look at the kernel's log for that time.\n"
	    "Send in the core file of a crash; a successor serves already."},
    [EVENT_WORKER_EXITED] =
	{"The worker could not go on: the log says why, before.", LOG_ABOVE},
    [EVENT_WORKER_CRASH_LOOP] = {"What killed the worker is still there.",
	"`nlbctl explain worker-killed`.\n"
	"If it began with a new config or binary, go back to the former "
	"one."},
    [EVENT_WORKER_START_FAILED] =
	{"No memory, processes or descriptors for another worker.\n"
	 "The binary was removed or cannot be executed.",
	    "Look at TasksMax and LimitNPROC of the unit, and at the binary; "
	    "it is tried again by itself."},
    [EVENT_WORKER_CONFIG_FAILED] =
	{"The worker has no memory or descriptors for the config.",
	    "It is replaced by itself; `nlbctl status` tells whether all "
	    "workers serve."},
    [EVENT_WORKER_MESSAGE_LOST] =
	{"The worker is about to end, or memory is short.",
	    "`nlbctl status` tells whether all workers serve."},
    [EVENT_WORKER_PROTOCOL] =
	{"Supervisor and worker are not of the same version.", "Restart nlbd."},
    [EVENT_WORKERS_NOT_STOPPING] =
	{"The machine is overloaded: workers had 3 s to stop.",
	    "Nothing: nlbd has ended, with the flows that were left."},
    [EVENT_WORKER_ORPHANED] =
	{"The supervisor was killed: out of memory, by hand, or by the "
	 "watchdog.",
	    "Start nlbd again: its workers take over, and no connection is "
	    "refused."},
    [EVENT_TARGET_UNHEALTHY] =
	{"UnhealthyThresholdCount checks in a row failed, or 3 connects of "
	 "flows in a row: the sentence says what the last one found.",
	    "`nlbctl explain Target.FailedHealthChecks` tells the usual "
	    "causes."},
    [EVENT_FAIL_OPEN_BEGAN] =
	{"Fewer healthy targets than "
	 "target_group_health.unhealthy_state_routing asks for.",
	    "`nlbctl explain fail-open`."},
    [EVENT_STANDBY_BEGAN] = {"No active target of the group is healthy.",
	"Mend the active ones: `nlbctl describe-target-health`."},
    [EVENT_NAME_UNRESOLVED] =
	{"The DNS servers do not answer, or the name is gone.",
	    "Ask them by hand, from this machine.\n"
	    "Correct the name, or Resolvers in [node]."},
    [EVENT_NAME_ADDRESSES_REFUSED] =
	{"The DNS answer has an address that no target may have, as one of "
	 "this machine.",
	    "Correct the name's records."},
    [EVENT_NAME_ADDRESSES_TOO_MANY] =
	{"The names have more addresses than targets are possible.",
	    "Use names with fewer addresses."},
    [EVENT_NAMES_NOT_APPLIED] =
	{"No memory, or too many targets with those that drain.",
	    "Wait until targets have drained: it is tried again."},
    [EVENT_RULES_IN_USER_SPACE] =
	{"The rules do not fit the kernel's filter, or attaching it needs a "
	 "right here.",
	    "`nlbctl status` says which, for each listener.\n"
	    "Merge rules, or give nlbd CAP_NET_ADMIN as the unit's comment "
	    "shows."},
    [EVENT_LISTENER_PAUSED] = {"MaxFlows or the limit of open files is "
			       "reached.",
	"`nlbctl explain paused`."},
    [EVENT_DRAINING_FILTER_FAILED] =
	{"The kernel wants a right for attaching a filter.",
	    "Nothing: the orphan serves what it accepts, then ends."},
    [EVENT_CLIENT_ADDRESS_UNUSABLE] =
	{"preserve_client_ip.enabled, and the kernel refuses the client's "
	 "address as a source.",
	    "Give nlbd CAP_NET_RAW, see nlbd(8)."},
    [EVENT_CLIENT_ADDRESS_UNANSWERED] =
	{"preserve_client_ip.enabled, and the target's answers do not come "
	 "back through this machine.",
	    "Route them here and divert them, see nlbd.ini(5)."},
    [EVENT_SOURCE_ADDRESS_UNUSABLE] =
	{"The address is on no interface of this machine.",
	    "Add it to an interface, or take it out of SourceAddresses."},
    [EVENT_SOURCE_PORTS_EXHAUSTED] =
	{"More flows to one target than there are source ports.",
	    "`nlbctl explain port-allocation`."},
    [EVENT_NOTIFY_FAILED] =
	{"The receiver is down, does not answer within TimeoutSeconds, or "
	 "answers with an error: the sentence says which.\n"
	 "Its certificate is not signed by CaFile, or by whom the system "
	 "trusts.\n"
	 "HeaderFile cannot be read by the user of nlbd.",
	    "Try the Url by hand, with curl, as the user of nlbd.\n"
	    "Flows and health checks notice nothing; it is tried again by "
	    "itself."},
    [EVENT_NOTIFY_DROPPED] =
	{"The receiver takes events more slowly than they come, or not at "
	 "all.",
	    "`nlbctl explain notify-failed`.\n"
	    "Let it be told of less with Events."},
};

struct explanation
explain_event(enum event event)
{
	const struct advice *a = &advice[event];

	return (struct explanation){.code = event_code(event),
	    .kind = "event",
	    .meaning = event_meaning(event),
	    .causes = a->causes != NULL ? a->causes : "",
	    .steps = a->steps != NULL ? a->steps : ""};
}
