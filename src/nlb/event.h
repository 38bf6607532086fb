/*
 * The events: what nlbd says of itself in its log, on the dashboard and to
 * those who want to be notified. One table: the rows feed the journal,
 * nlbctl explain and the manual.
 */
#ifndef NLB_EVENT_H
#define NLB_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "nlb/reason.h"

/*
 * X(enum suffix, code, level, message id, meaning). The code and the id (for
 * the journal's MESSAGE_ID) never change once released.
 */
#define EVENTS(X)                                                              \
	X(SERVING, "serving", NOTICE, "353bd6d7c0e14a1b90616a23782cafc3",      \
	    "all workers serve on all listeners")                              \
	X(START_FAILED, "start-failed", ERROR,                                 \
	    "18d0338aff6a480f9c4e781129088a1f", "nlbd cannot start")           \
	X(STOP_DRAINING, "stop-draining", NOTICE,                              \
	    "4c313fe92e2c4a159a1c68201af7b71b",                                \
	    "told to stop: no new flows, and those there may end")             \
	X(STOP_FORCED, "stop-forced", NOTICE,                                  \
	    "00e25443d85a4a8a9f0b2bd773eb570b",                                \
	    "stopping now: the flows that are left are reset")                 \
	X(STOPPED, "stopped", NOTICE, "82289bc7e71f40db9ed96c3b6f992336",      \
	    "nlbd has ended")                                                  \
	X(UPGRADE_BEGUN, "upgrade-begun", NOTICE,                              \
	    "36ae9fbf2e984ca5a556dc3d8fab7f63",                                \
	    "a new binary accepts the config and is started")                  \
	X(UPGRADED, "upgraded", NOTICE, "063677b9978a4660afa0a7a9a86fda8e",    \
	    "a new binary has taken over")                                     \
	X(UPGRADE_REFUSED, "upgrade-refused", WARNING,                         \
	    "f54d334f4d4e48b7ac8f1a87959c4911",                                \
	    "a new binary does not take over")                                 \
	X(SERVING_LOCK_FAILED, "serving-lock-failed", WARNING,                 \
	    "12784ae2eeb84c119cc8ed2ffe7084d7",                                \
	    "workers of a former supervisor are not told to make "             \
	    "way")                                                             \
	X(RUNNING_AS_ROOT, "running-as-root", WARNING,                         \
	    "8e803f5b051a4eab8e3dbc9b06be5897",                                \
	    "nlbd keeps all rights of root")                                   \
	X(PRIVILEGES_KEPT, "privileges-kept", WARNING,                         \
	    "6b1d9ed38cd741f4b30f30e973fcea91",                                \
	    "the workers may have rights that they do not need")               \
	X(USER_UNUSED, "user-unused", INFO,                                    \
	    "abf5e9a17a6b460f9a363c99d40aad23",                                \
	    "User has no effect: nlbd was not started as root")                \
	X(CONFIG_UNREADABLE, "config-unreadable", WARNING,                     \
	    "ea951f96bc5446bcb6bcad14e1f931c6",                                \
	    "the user of nlbd cannot read the config file")                    \
	X(ADMIN_SOCKET_OWNER, "admin-socket-owner", WARNING,                   \
	    "f31c5fa9fa5b4b7da51c37dd6e8956fa",                                \
	    "the admin socket cannot be given to the user of nlbd")            \
	X(ADMIN_FAILED, "admin-failed", ERROR,                                 \
	    "35d16305c8fe42ffb09a9e166137f3b4", "the admin interface failed")  \
	X(ADMIN_REFUSED, "admin-refused", WARNING,                             \
	    "56d5c3fc09e5428ab950c67eff614b96",                                \
	    "another user connected to the admin socket")                      \
	X(ADMIN_TROUBLE, "admin-trouble", DEBUG,                               \
	    "543693b5c3c44d03845d0b9b06fc7674",                                \
	    "a request to the admin interface went wrong")                     \
	X(HTTP_SERVING, "http-serving", INFO,                                  \
	    "c796f749514140b2a65e17481e36f90e", "HttpListen is open")          \
	X(HTTP_SOURCE_SHUT, "http-source-shut", WARNING,                       \
	    "e52f4794e3de4e3888b79f1773a46638",                                \
	    "somebody connects to HttpListen too often, and is shut out")      \
	X(SERVICE_MANAGER_UNREACHABLE, "service-manager-unreachable", WARNING, \
	    "dded9bca829b476a985e62611e66e8c2",                                \
	    "the service manager cannot be told of the state")                 \
	X(WATCHDOG_UNSERVED, "watchdog-unserved", WARNING,                     \
	    "2f9fc95604fe4b32ab84609656c341ea",                                \
	    "the service manager's watchdog interval is not "                  \
	    "understood")                                                      \
	X(PASSED_SOCKETS_REFUSED, "passed-sockets-refused", WARNING,           \
	    "352388d0548542208a1160e11ffc3fca",                                \
	    "LISTEN_FDS of the service manager is not understood")             \
	X(PASSED_SOCKET_UNUSED, "passed-socket-unused", WARNING,               \
	    "dca3d7428efd4e11b066ec4aa5692a91",                                \
	    "no listener has the address of a socket that was passed")         \
	X(RELOAD_ACCEPTED, "reload-accepted", NOTICE,                          \
	    "8556eca708644b578fe331d460b81a2b", "a new config is in force")    \
	X(RELOAD_REJECTED, "reload-rejected", ERROR,                           \
	    "6aea5aa248494eaaa62983f1b8e91015",                                \
	    "the new config is not in force, the old one stays")               \
	X(CONFIG_DIAGNOSTIC, "config-diagnostic", INFO,                        \
	    "5ca497504c4d4c25a8fcbd107382f1a3",                                \
	    "what is wrong or doubtful in a config file")                      \
	X(CHANGE_ASKED, "change-asked", INFO,                                  \
	    "9ad337371a0d4fbcb290fc0a4b7afd02",                                \
	    "who asked for a change by nlbctl")                                \
	X(CHANGE_APPLIED, "change-applied", NOTICE,                            \
	    "e18a904d142046c691ebc2b72744ed86",                                \
	    "a change by nlbctl is in force")                                  \
	X(CONFIG_FILE_UNSYNCED, "config-file-unsynced", WARNING,               \
	    "a2f9293c029c477fa25b88faf416f341",                                \
	    "a changed config file may not survive a power "                   \
	    "failure")                                                         \
	X(FLOW_LOG_FAILED, "flow-log-failed", ERROR,                           \
	    "98e7c198a9f2413b8bfec1f505a39834",                                \
	    "the flow log cannot be opened again")                             \
	X(OUT_OF_MEMORY, "out-of-memory", ERROR,                               \
	    "a6dc797396ad49b9b9592979fc07c824",                                \
	    "something could not be done for lack of memory")                  \
	X(WORKER_STUCK, "worker-stuck", ERROR,                                 \
	    "34e8d04ad46a4094b4ce5e536681d2d3",                                \
	    "a worker did not respond and was killed")                         \
	X(WORKER_KILLED, "worker-killed", ERROR,                               \
	    "8bf1154274cb4e58b7b92d54d67ae475",                                \
	    "a worker was killed by a signal")                                 \
	X(WORKER_EXITED, "worker-exited", ERROR,                               \
	    "3fa0a2e78a1340939e644684f2b516e4", "a worker ended by itself")    \
	X(WORKER_CRASH_LOOP, "worker-crash-loop", ERROR,                       \
	    "67391e72812c4b7f914e005c19cce352",                                \
	    "a worker dies again and again")                                   \
	X(WORKER_START_FAILED, "worker-start-failed", ERROR,                   \
	    "cb59c7b54b984ffaa396c81beb33afa7", "a worker cannot be started")  \
	X(WORKER_CONFIG_FAILED, "worker-config-failed", ERROR,                 \
	    "9babfadfb60649ce9b3184681a4bd75b",                                \
	    "a worker cannot take the config and is replaced")                 \
	X(WORKER_MESSAGE_LOST, "worker-message-lost", WARNING,                 \
	    "074996b3e2aa48efa35f23f8f9dad7ef",                                \
	    "a worker could not be told something")                            \
	X(WORKER_PROTOCOL, "worker-protocol", WARNING,                         \
	    "c6dad4c7924c4b05865ec9603bc92689",                                \
	    "supervisor and worker do not understand each other")              \
	X(WORKER_NOTE, "worker-note", NOTICE,                                  \
	    "cb06c115299c42388135142b77d7403b",                                \
	    "a worker of another version says something")                      \
	X(WORKERS_NOT_STOPPING, "workers-not-stopping", WARNING,               \
	    "4ed40fac2ab04ce99304c690f2886d5e",                                \
	    "workers did not stop in time and were killed")                    \
	X(WORKER_ORPHANED, "worker-orphaned", WARNING,                         \
	    "b6737e5829af49deb16063756d0c0609",                                \
	    "a worker serves on without its supervisor")                       \
	X(WORKER_SUCCEEDED, "worker-succeeded", NOTICE,                        \
	    "ea1936ec872b41798e49017af10add32",                                \
	    "an orphaned worker makes way for a new supervisor's")             \
	X(TARGET_INITIAL, "target-initial", NOTICE,                            \
	    "0ac5209df99641df98d6c583182bd122",                                \
	    "a target waits for its first checks")                             \
	X(TARGET_HEALTHY, "target-healthy", NOTICE,                            \
	    "cdf32aa4cd384c53b3c768c6c2b8032c", "a target is in service")      \
	X(TARGET_UNHEALTHY, "target-unhealthy", WARNING,                       \
	    "d3706fd2b33e42ae998b424b1e0c8cf1",                                \
	    "a target failed its health checks")                               \
	X(TARGET_UNHEALTHY_DRAINING, "target-unhealthy-draining", NOTICE,      \
	    "85bef207f52747b4a12858ea598a5400",                                \
	    "a target failed its health checks and keeps its "                 \
	    "flows for a while")                                               \
	X(TARGET_DRAINING, "target-draining", NOTICE,                          \
	    "8c692309ed4140e3a65ca306f4f0ba73",                                \
	    "a deregistered target keeps its flows for a while")               \
	X(TARGET_UNUSED, "target-unused", NOTICE,                              \
	    "cf813663265644e9b4e3b04e4ccecfe2",                                \
	    "a target is not in use, or its deregistration is "                \
	    "complete")                                                        \
	X(TARGET_UNAVAILABLE, "target-unavailable", NOTICE,                    \
	    "b35892f133ce4007b55d0978e243b9e3",                                \
	    "a target's health is not known")                                  \
	X(TARGET_DEREGISTERED, "target-deregistered", NOTICE,                  \
	    "6453c6b483374e2bb99a6b4009aaa639",                                \
	    "a target was taken out of its group")                             \
	X(FAIL_OPEN_BEGAN, "fail-open-began", WARNING,                         \
	    "73b30c7850674fcaab214897fe68b424",                                \
	    "too few targets of a group are healthy: new flows go "            \
	    "to all")                                                          \
	X(FAIL_OPEN_ENDED, "fail-open-ended", NOTICE,                          \
	    "4e355cf0f9244e6cb37ade5abb4599e0",                                \
	    "enough targets of a group are healthy again")                     \
	X(STANDBY_BEGAN, "standby-began", WARNING,                             \
	    "243dbfdb8f3d4d4595a9a6c9d8dab32d",                                \
	    "new flows of a group go to its standby targets")                  \
	X(STANDBY_ENDED, "standby-ended", NOTICE,                              \
	    "effa040386604a658e1850ebbfa62b0a",                                \
	    "new flows of a group go to its active targets again")             \
	X(NODE_DRAINED, "node-drained", NOTICE,                                \
	    "9eea054443ff419e89a44ddfb60fb69e",                                \
	    "DNS shall leave this node, by nlbctl drain-node")                 \
	X(NODE_IN_SERVICE, "node-in-service", NOTICE,                          \
	    "dd99eb79392942c98486da8251f6059d",                                \
	    "this node is no longer drained")                                  \
	X(NAME_UNRESOLVED, "name-unresolved", WARNING,                         \
	    "3e38815d1af1446b8527527e63e75fc8",                                \
	    "a target's DNS name cannot be resolved: its "                     \
	    "addresses stay")                                                  \
	X(NAME_RESOLVED_AGAIN, "name-resolved-again", NOTICE,                  \
	    "2c26f411e9d4428395d62143fd8b9129",                                \
	    "a DNS name that could not be resolved can be")                    \
	X(NAME_CHANGED, "name-changed", NOTICE,                                \
	    "d2c97f4223d941369c63b897d3cb8951",                                \
	    "a DNS name has other addresses than before")                      \
	X(NAME_ADDRESSES_KEPT, "name-addresses-kept", NOTICE,                  \
	    "1cda192c01094f5d8500820d3468a171",                                \
	    "former addresses of a DNS name stay targets until a "             \
	    "new one is healthy")                                              \
	X(NAME_ADDRESSES_RELEASED, "name-addresses-released", NOTICE,          \
	    "34ecd1bb3abd4d15a7f8f44a5f998bb7",                                \
	    "former addresses of a DNS name are no longer targets")            \
	X(NAME_ADDRESSES_REFUSED, "name-addresses-refused", WARNING,           \
	    "2941ba45f9754750843baf0d0181f9e0",                                \
	    "addresses of a DNS name cannot be targets")                       \
	X(NAME_ADDRESSES_TOO_MANY, "name-addresses-too-many", WARNING,         \
	    "68e744de24864c9eb81f704e20ac33a1",                                \
	    "DNS names have more addresses than there is room for")            \
	X(NAMES_NOT_APPLIED, "names-not-applied", ERROR,                       \
	    "c29e1f999f794d1b9ba0aeccb4dd0ff2",                                \
	    "what DNS names resolve to cannot be put in force")                \
	X(RULES_IN_USER_SPACE, "rules-in-user-space", WARNING,                 \
	    "90a73e2d762c4911805ac885540ec86e",                                \
	    "a listener's rules are not in the kernel: denied "                \
	    "sources see a reset")                                             \
	X(LISTENER_PAUSED, "listener-paused", WARNING,                         \
	    "aeeeeb42b01b4d61891653b77a63bb01",                                \
	    "a listener takes no connections for a while")                     \
	X(LISTENER_RESUMED, "listener-resumed", NOTICE,                        \
	    "9e4bb7d4a84f4e92a86d253ec95e0a08",                                \
	    "a paused listener takes connections again")                       \
	X(DRAINING_FILTER_FAILED, "draining-filter-failed", WARNING,           \
	    "14c297b56b9c40e094a6eb8406117634",                                \
	    "an orphaned worker may still be given new "                       \
	    "connections")                                                     \
	X(CLIENT_ADDRESS_UNUSABLE, "client-address-unusable", WARNING,         \
	    "d1c5bdf51d3c406b80a25a31842f528a",                                \
	    "a flow cannot use its client's address towards the "              \
	    "target")                                                          \
	X(CLIENT_ADDRESS_UNANSWERED, "client-address-unanswered", WARNING,     \
	    "7767e59d58ff44a1beca144b8f7b2455",                                \
	    "a target does not answer a client's address")                     \
	X(SOURCE_ADDRESS_UNUSABLE, "source-address-unusable", WARNING,         \
	    "595017baa138414c8b483249dd304a3f",                                \
	    "an address of SourceAddresses cannot be used")                    \
	X(SOURCE_PORTS_EXHAUSTED, "source-ports-exhausted", WARNING,           \
	    "c327c7f2dae8460095ce1283b7295217",                                \
	    "no source port towards a target is free")                         \
	X(NOTIFY_TEST, "notify-test", NOTICE,                                  \
	    "a4a7ac7ebab540b2ad169757e512d54b",                                \
	    "a test of the receivers, by nlbctl notify-test")                  \
	X(NOTIFY_FAILED, "notify-failed", WARNING,                             \
	    "95cadcffcb8447208606ba63f2826f54",                                \
	    "a receiver of a [notify] section cannot be told of events")       \
	X(NOTIFY_RECOVERED, "notify-recovered", NOTICE,                        \
	    "82547bc495b94491a51f13b81fea70d3",                                \
	    "a receiver of events takes them again")                           \
	X(NOTIFY_DROPPED, "notify-dropped", WARNING,                           \
	    "29aa09a5d2f2404bbc55f51bd08d915e",                                \
	    "a receiver is too slow: events for it are dropped")

enum event {
#define X(suffix, code, level, id, meaning) EVENT_##suffix,
	EVENTS(X)
#undef X
	    EVENT_COUNT
};

/* What a [notify] section may be told of: bits, in the order of its words. */
enum event_class {
	EVENT_CLASS_TARGET_HEALTH = 1 << 0,
	EVENT_CLASS_FAIL_OPEN = 1 << 1,
	EVENT_CLASS_RELOAD = 1 << 2,
	EVENT_CLASS_WORKER = 1 << 3,
	EVENT_CLASS_NAME = 1 << 4,
	EVENT_CLASS_NODE = 1 << 5,
};
/* The class of an event, by its code; 0 = of none, all bits = of each. */
uint32_t event_class(const char *code);

/* An unknown value gives "unknown". */
const char *event_code(enum event event);
const char *event_meaning(enum event event);
enum log_level event_level(enum event event);
const struct log_kind *event_kind(enum event event);
/* 0 or -EINVAL with *out untouched. */
int event_parse(const char *code, enum event *out);
/* A target came into this state. */
enum event event_of_state(enum target_state state);

void event_log(enum event event, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* With what the event is about, as fields of the journal; ended by one whose
 * name is NULL. */
void event_log_about(enum event event, const struct log_field *about,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Fields that events are about. */
#define EVENT_TARGET "NLBD_TARGET"
#define EVENT_TARGET_GROUP "NLBD_TARGET_GROUP"
#define EVENT_TARGET_ZONE "NLBD_TARGET_ZONE"
#define EVENT_OLD_STATE "NLBD_OLD_STATE"
#define EVENT_STATE "NLBD_STATE"
#define EVENT_REASON "NLBD_REASON" /* Target.FailedHealthChecks, ... */
#define EVENT_DESCRIPTION "NLBD_DESCRIPTION"
#define EVENT_NAME "NLBD_NAME" /* of DNS */
#define EVENT_WORKER "NLBD_WORKER"

#endif
