/*
 * The configuration: INI bytes in, checked structs out, with every mistake of
 * the file reported in one run. Pure: reading the file is the caller's
 * business (conf_read_file is the one exception, shared by daemon and check).
 */
#ifndef NLB_CONF_H
#define NLB_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/log.h"
#include "nlb/http_codes.h"
#include "nlb/forward.h"
#include "nlb/network_acl.h"
#include "nlb/security_group.h"

#define CONF_NAME_MAX 32            /* [a-z0-9-]{1,32} */
#define CONF_FILE_MAX (1024 * 1024) /* bytes */
#define CONF_LISTENERS_MAX 50       /* the NLB's quota */
#define CONF_TARGETS_MAX 3000       /* all groups together: the NLB's quota */
#define CONF_PATH_MAX 108           /* sun_path, NUL included */
#define CONF_CHECK_PATH_MAX 1025    /* of HealthCheckPath, NUL included */
#define CONF_URL_MAX 512            /* of Url, NUL included */
#define CONF_FILE_PATH_MAX 256      /* of other files, the same */
#define CONF_NOTIFY_MAX 16          /* sections */
#define CONF_TEXT_MAX 1100          /* of a value's canonical text, the same */
/* An NLB node has one address and up to 7 secondary ones. */
#define CONF_SOURCE_ADDRESSES_MAX 8
#define CONF_HOST_MAX 253         /* characters of a DNS name */
#define CONF_RESOLVERS_MAX 3      /* as many as resolv.conf(5) takes */
#define CONF_DNS_TARGETS_MAX 100  /* lines of all groups together */
#define CONF_DNS_ADDRESSES_MAX 32 /* taken of one name */
/* Bounds of ours, so that no file costs more than a moment and some MiB. */
#define CONF_SECTIONS_MAX 1000 /* of one kind */
#define CONF_KEYS_MAX 32768    /* lines with a key or a section */
#define CONF_RULES_MAX 100000  /* all security groups, lists expanded */

enum conf_ip_address_type { CONF_IPV4, CONF_DUALSTACK, CONF_IPV6 };
enum conf_sg_action { CONF_SG_DROP, CONF_SG_RESET };
enum conf_check_protocol {
	CONF_CHECK_TCP,
	CONF_CHECK_HTTP,
	CONF_CHECK_HTTPS,
	CONF_CHECK_SMTP, /* extension */
};
enum conf_flow_log {
	CONF_FLOW_LOG_OFF,
	CONF_FLOW_LOG_STDERR,
	CONF_FLOW_LOG_FILE
};
enum conf_flow_log_format {
	CONF_FLOW_LOG_JSON,
	CONF_FLOW_LOG_VPC_FLOW_V2,
	CONF_FLOW_LOG_NLB,
};
enum conf_scheme { CONF_SCHEME_HTTP, CONF_SCHEME_HTTPS, CONF_SCHEME_UNIX };
enum conf_cross_zone {
	CONF_CROSS_ZONE_FALSE,
	CONF_CROSS_ZONE_TRUE,
	CONF_CROSS_ZONE_LB
};

/* "off" and "auto" in integer attributes. */
#define CONF_OFF 0
#define CONF_AUTO UINT32_MAX

struct conf_load_balancer {
	char name[CONF_NAME_MAX + 1];
	uint32_t ip_address_type;   /* enum conf_ip_address_type */
	char availability_zone[33]; /* "" = none given */
	bool cross_zone_enabled;
	/* Of both families, port 0; none: the kernel chooses. */
	struct addr source_addresses[CONF_SOURCE_ADDRESSES_MAX];
	uint32_t n_source_addresses;
};

struct conf_forward {
	uint32_t group;  /* index into conf.target_groups */
	uint32_t weight; /* 0-999, default 1 */
};

#define CONF_NO_LIMIT UINT32_MAX /* a number of flows: as many as come */
#define CONF_NO_NETWORK_ACL UINT32_MAX
#define CONF_FORWARDS_MAX FORWARD_GROUPS_MAX
#define CONF_LISTENER_GROUPS_MAX 5 /* security groups per interface */
struct conf_listener {
	char name[CONF_NAME_MAX + 1];
	uint16_t port;
	struct addr address; /* family ADDR_NONE = all of the address type */
	struct conf_forward forwards[CONF_FORWARDS_MAX];
	uint32_t n_forwards;
	/* indexes into conf.security_groups; none: SecurityGroups = none */
	uint32_t security_groups[CONF_LISTENER_GROUPS_MAX];
	uint32_t n_security_groups;
	bool security_groups_none;
	uint32_t sg_action;                  /* enum conf_sg_action */
	char network_acl[CONF_NAME_MAX + 1]; /* "" = none */
	uint32_t network_acl_index;          /* or CONF_NO_NETWORK_ACL */
	uint32_t idle_timeout_s;
	uint32_t max_flows; /* CONF_OFF = no limit of its own */
	unsigned line;      /* of the section header */
};

#define CONF_NO_PREFIX_LIST UINT32_MAX
/* A security group rule as it was written. */
struct conf_rule {
	char label[CONF_NAME_MAX + 1];
	bool outbound;
	uint16_t port_from, port_to;
	uint32_t prefix_list; /* index, or CONF_NO_PREFIX_LIST: cidr counts */
	struct cidr cidr;
	char *description; /* owned; NULL = none */
	unsigned line;
};

struct conf_prefix_entry {
	char label[CONF_NAME_MAX + 1];
	struct cidr cidr;
};

struct conf_prefix_list {
	char name[CONF_NAME_MAX + 1];
	struct conf_prefix_entry *entries; /* owned */
	size_t n_entries;
};

struct conf_security_group {
	char name[CONF_NAME_MAX + 1];
	struct conf_rule *rules; /* owned; as written, both directions */
	size_t n_rules;
	/* owned; prefix lists expanded, sorted */
	struct sg_rule *inbound, *outbound;
	size_t n_inbound, n_outbound;
	bool outbound_given; /* false: everything outbound is allowed */
	unsigned line;
};

/* label is the number as text. */
struct conf_acl_rule {
	struct conf_rule rule;
	uint16_t number;
	bool allow;
};

struct conf_network_acl {
	char name[CONF_NAME_MAX + 1];
	struct conf_acl_rule *rules; /* owned; as written, both directions */
	size_t n_rules;
	/* owned; prefix lists expanded, in the order of evaluation */
	struct acl_rule *inbound, *outbound;
	size_t n_inbound, n_outbound;
};

struct conf_target {
	char label[CONF_NAME_MAX + 1];
	struct addr addr; /* port filled in from the group where omitted */
	char availability_zone[33]; /* "all", a zone, or "" (not given) */
	bool standby;               /* used when no active target is healthy */
	uint32_t max_flows;         /* 0 = the group's, or CONF_NO_LIMIT */
	const struct conf_dns_target *dns; /* NULL: written as an address */
	unsigned line;
};

/* Bits: failed connects after which a flow goes on to the next target. */
enum conf_retry_on {
	CONF_RETRY_REFUSED = 1,
	CONF_RETRY_TIMEOUT = 2,
	CONF_RETRY_UNREACHABLE = 4,
};
#define CONF_CONNECT_TARGETS_MAX 8

/* A line with a DNS name: a target for each of its addresses. */
struct conf_dns_target {
	struct conf_target target;    /* but for the IP address */
	char host[CONF_HOST_MAX + 1]; /* in lower case, no dot at the end */
};

struct conf_target_group {
	char name[CONF_NAME_MAX + 1];
	uint16_t port;
	uint32_t ip_address_type;
	uint32_t check_protocol; /* enum conf_check_protocol */
	uint32_t check_port;     /* 0 = traffic-port */
	char check_path[CONF_CHECK_PATH_MAX];
	struct http_codes matcher_http_code;
	bool check_smtp_starttls; /* extension: it has to be offered */
	uint32_t check_interval_ms;
	uint32_t check_timeout_ms;
	uint32_t healthy_threshold_count;
	uint32_t unhealthy_threshold_count;
	bool passive_checks;
	uint32_t deregistration_delay_s;
	bool deregistration_termination;
	bool preserve_client_ip;
	bool proxy_protocol_v2;
	bool stickiness_enabled;
	uint32_t cross_zone; /* enum conf_cross_zone */
	uint32_t dns_failover_count, dns_failover_percentage;
	uint32_t routing_min_count, routing_min_percentage;
	bool unhealthy_termination;
	uint32_t unhealthy_draining_interval_s;
	uint32_t connect_timeout_ms;
	uint32_t connect_total_ms;
	uint32_t connect_targets;      /* a flow asks no more than these */
	uint32_t connect_retry_on;     /* enum conf_retry_on */
	uint32_t max_flows_per_target; /* CONF_OFF = no limit */
	/* owned; as written, then what names resolve to (conf_set_resolved) */
	struct conf_target *targets;
	size_t n_targets;
	struct conf_dns_target *dns_targets; /* owned */
	size_t n_dns_targets;
	unsigned line;
};

struct conf_node {
	uint32_t workers;              /* CONF_AUTO = cores */
	uint32_t max_flows;            /* CONF_AUTO = from the fd limit */
	uint32_t max_flows_per_source; /* CONF_AUTO = half, 0 = off */
	char admin_socket[CONF_PATH_MAX];
	struct addr http_listen; /* ADDR_NONE = off */
	uint32_t flow_log;       /* enum conf_flow_log */
	char flow_log_path[256];
	uint32_t flow_log_format; /* enum conf_flow_log_format */
	uint32_t log_level;       /* enum log_level */
	uint32_t drain_timeout_s;
	char user[33];
	/* None: those of /etc/resolv.conf. */
	struct addr resolvers[CONF_RESOLVERS_MAX];
	uint32_t n_resolvers;
	uint32_t resolve_min_s, resolve_max_s; /* bounds of a TTL */
};

/* Who is told of events. */
struct conf_notify {
	char name[CONF_NAME_MAX + 1];
	char url[CONF_URL_MAX];
	uint32_t scheme; /* enum conf_scheme */
	/* HTTP: a DNS name, or an IP address without brackets. */
	char host[CONF_HOST_MAX + 1];
	uint16_t port;
	char path[CONF_URL_MAX]; /* of the socket, or the rest of the URL */
	uint32_t events;         /* of enum event_class, a bit for each */
	uint32_t timeout_ms;
	char ca_file[CONF_FILE_PATH_MAX];     /* "" = the system's */
	char header_file[CONF_FILE_PATH_MAX]; /* "" = none */
};

struct conf {
	struct conf_load_balancer lb;
	struct conf_node node;
	struct conf_listener *listeners;
	size_t n_listeners;
	struct conf_target_group *target_groups;
	size_t n_target_groups;
	struct conf_security_group *security_groups;
	size_t n_security_groups;
	struct conf_prefix_list *prefix_lists;
	size_t n_prefix_lists;
	struct conf_network_acl *network_acls;
	size_t n_network_acls;
	struct conf_notify *notify;
	size_t n_notify;
	char *bytes; /* the file as parsed, for the workers; owned */
	size_t n_bytes;
};

/* What parsing had to say: errors and warnings in the file's order. */
struct conf_diag {
	unsigned line, col; /* 1-based; line 0 = the file as a whole */
	bool warning;
	char *message;      /* owned, one line, hostile bytes escaped */
	char *excerpt;      /* the line, escaped, or NULL; owned */
	unsigned caret;     /* column in excerpt, 1-based; 0 = none */
	unsigned caret_len; /* columns to underline, the caret included */
	char *hint;         /* "did you mean ...?" or NULL; owned */
};
#define CONF_DIAGS_MAX 100 /* kept; errors before warnings */
struct conf_diags {
	struct conf_diag *list; /* owned */
	/* n is the length of list; the others count the dropped ones too */
	size_t n, n_errors, n_warnings, n_suppressed;
};

/* What this machine offers to groups that preserve client addresses. */
struct conf_machine {
	bool transparent; /* sockets may have addresses of other machines */
	/* By family (enum conf_ip_address_type, IPv4 or IPv6): packets for
	 * other machines' addresses reach sockets here. True if not known. */
	bool diverts[CONF_IPV6 + 1];
};

struct conf_options {
	bool strict_aws; /* what AWS refuses but works here is an error */
	/* These very bytes have passed conf_parse in another process: what
	 * iniparser reads in them is known to be the same. */
	bool parsed_before;
	/* Asked when a group needs it. NULL: the file is for some other place
	 * or time. */
	void (*ask_machine)(struct conf_machine *out);
};

/*
 * Reads path: a regular file of at most CONF_FILE_MAX bytes, opened once, no
 * FIFO, directory or device. Returns 0 with *bytes (malloc) and *len, or a
 * negative errno with a diagnostic added.
 */
int conf_read_file(
    const char *path, char **bytes, size_t *len, struct conf_diags *diags);

/*
 * Parses and checks the whole text. Returns 0 with *out owned by the caller
 * (conf_destroy), or -EINVAL (with diagnostics) or -ENOMEM. Warnings may be
 * present in both cases. Bytes need no terminator.
 */
int conf_parse(const char *bytes, size_t len,
    const struct conf_options *options, struct conf **out,
    struct conf_diags *diags);
void conf_destroy(struct conf *conf);

void conf_diags_fini(struct conf_diags *diags);
/* "file:line:col: error: ..." + line + caret + hint, for people. */
void conf_diags_print(
    const struct conf_diags *diags, const char *path, FILE *out);

/* A complete, valid INI with every key, defaults included. 0 or -EIO. */
int conf_print(const struct conf *conf, FILE *out);

/* All target groups together. */
size_t conf_count_targets(const struct conf *conf);

/* Lines with a DNS name, all target groups together. */
size_t conf_count_dns_targets(const struct conf *conf);

/* How many of the group's targets are written as addresses: the first ones. */
size_t conf_written_targets(const struct conf_target_group *group);

/* One address of dns_targets[target] of target_groups[group]. Plain bytes: it
 * goes to the workers as it is. */
struct conf_resolved {
	uint32_t group, target;
	struct addr addr; /* with the port of the target */
};
/*
 * From now on these are the addresses of all names, in the place of what was
 * set before. An address that the group has already is left out. 0; or
 * -EINVAL (no such line, another port or family, too many targets) or -ENOMEM
 * with nothing changed.
 */
int conf_set_resolved(
    struct conf *conf, const struct conf_resolved *list, size_t n);
/*
 * Why a (with port) cannot be a target of the group although a DNS name says
 * so; NULL when it can. What an operator may write as an address on purpose, a
 * name may not: loopback, or what no listener's outbound rules allow. is_local:
 * the address is one of this machine's, where listeners at all addresses are.
 */
const char *conf_dns_refusal(const struct conf *conf,
    const struct conf_target_group *group, const struct addr *a, bool is_local);

/* Find by name; NULL when there is none. */
const struct conf_target_group *conf_find_target_group(
    const struct conf *conf, const char *name);
const struct conf_listener *conf_find_listener(
    const struct conf *conf, const char *name);

/* Is preserve_client_ip.enabled on in any target group? */
bool conf_preserves_client_ip(const struct conf *conf);

/* Is cross-zone on for the group? Its own word, or the load balancer's. */
bool conf_group_crosses_zones(
    const struct conf *conf, const struct conf_target_group *group);
/* Does this node send flows to the target at all: in the node's own zone, in
 * all zones, without a zone, or with cross-zone on? */
bool conf_target_zone_enabled(const struct conf *conf,
    const struct conf_target_group *group, const struct conf_target *target);

/* How many flows the target may hold at a time, or CONF_NO_LIMIT. */
uint32_t conf_target_max_flows(
    const struct conf_target_group *group, const struct conf_target *target);

/* May flows of this listener, and checks of its targets, reach a? First its
 * security groups (union; no groups, or one without outbound rules: yes), then
 * its network ACL. O(rules): for many addresses see nlb/outbound.h. */
enum conf_outbound {
	CONF_OUTBOUND_ALLOWED,
	CONF_OUTBOUND_SECURITY_GROUP,
	CONF_OUTBOUND_NETWORK_ACL,
};
enum conf_outbound conf_outbound_verdict(const struct conf *conf,
    const struct conf_listener *listener, const struct addr *a);

/* Neither security groups nor a network ACL: everybody may connect. */
bool conf_listener_is_open(const struct conf_listener *listener);
/* Who may connect at the listener's port: what its security groups and its
 * network ACL both allow. 0 or -ENOMEM. */
int conf_listener_inbound(const struct conf *conf,
    const struct conf_listener *listener, struct sg_set *out);
/* What its network ACL alone allows: everybody without one. */
int conf_listener_acl_inbound(const struct conf *conf,
    const struct conf_listener *listener, struct sg_set *out);

#endif
