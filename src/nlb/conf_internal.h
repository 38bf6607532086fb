/*
 * What the conf_*.c files share: the scanned file, the state of one parse and
 * the ways to report a mistake. Nobody outside src/nlb/conf*.c includes this.
 */
#ifndef NLB_CONF_INTERNAL_H
#define NLB_CONF_INTERNAL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nlb/attributes.h"
#include "nlb/conf.h"
#include "nlb/conf_values.h"

#define CONF_LINE_MAX 1000 /* characters; iniparser's own limit is 1,022 */

/* One `key = value' line that is sound as such. */
struct conf_entry {
	struct conf_span key, value;
};

/* One [kind NAME] line with the entries that follow it. */
struct conf_section {
	struct conf_span header; /* between the brackets, trimmed */
	struct conf_span name;   /* may be empty or badly spelt */
	size_t first, n;         /* in conf_scan.entries */
	bool damaged;            /* lines of it could not be read */
	bool known;              /* kind and index are set */
	enum conf_section_kind kind;
	size_t index; /* in the array of conf that kind has */
};

struct conf_section_list {
	struct conf_section **list; /* owned */
	size_t n;
};

struct conf_scan {
	struct conf_section *sections; /* owned */
	struct conf_entry *entries;    /* owned */
	/* Made by conf_sections_classify, of the known ones: */
	struct conf_section **by_name; /* owned; by kind and name */
	size_t n_by_name;
	struct conf_section_list of_kind[CONF_SECTION_KINDS]; /* by index */
	size_t n_sections, n_entries;
	uint32_t *line_starts; /* owned; offsets into the bytes */
	size_t n_lines;
	/* owned; entries' values are in them */
	struct _dictionary_ **dictionaries;
	size_t n_dictionaries;
};

/* One parse, from bytes to checked conf. */
struct conf_parser {
	const char *bytes;
	size_t len;
	bool strict_aws, parsed_before;
	void (*ask_machine)(struct conf_machine *out); /* or NULL */
	struct conf_diags *diags;
	struct conf_scan scan;
	struct conf *conf;
	bool sound;     /* no error so far: "unused" and the like make sense */
	bool no_memory; /* gives up with -ENOMEM at the end of the step */
};

/*
 * Reporting. Messages may carry raw bytes of the file: the whole text is
 * escaped. The result is for conf_hint, valid until the next report, NULL
 * when memory ran out.
 */
struct conf_diag *conf_error(struct conf_parser *p, struct conf_span where,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct conf_diag *conf_warning(struct conf_parser *p, struct conf_span where,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* AWS refuses it, here it works: a warning, or an error with strict_aws. */
struct conf_diag *conf_aws(struct conf_parser *p, struct conf_span where,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void conf_hint(struct conf_diag *diag, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same without a place in the file. */
struct conf_diag *conf_diags_add(struct conf_diags *diags, bool warning,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Brings the list into file order and cuts it to CONF_DIAGS_MAX. */
void conf_diags_finish(struct conf_diags *diags);

/* For an answer that is about the errors alone. */
void conf_diags_drop_warnings(struct conf_diags *diags);

/* Moves those out of from whose messages are not in known. */
void conf_diags_move_new(struct conf_diags *to, struct conf_diags *from,
    const struct conf_diags *known);

/* "did you mean": the nearest of some words, if near enough. */
struct conf_suggestion {
	struct conf_span got;
	const char *best;
	size_t distance;
};
struct conf_suggestion conf_suggestion_start(
    const struct conf_parser *p, struct conf_span got);
void conf_suggestion_try(struct conf_suggestion *s, const char *candidate);
/* Hangs "did you mean `x'?" on diag when there is something to suggest. */
void conf_suggestion_hint(
    const struct conf_suggestion *s, struct conf_diag *diag);

/* Finds lines, sections and entries; reports what is no INI at all. Returns 0,
 * or -ENOMEM. */
int conf_scan(struct conf_parser *p);
void conf_scan_fini(struct conf_scan *scan);
/* Reads the same bytes with iniparser and takes its values for the entries
 * found; a difference between the two readings is reported. Only for a text
 * without syntax errors. */
void conf_ini_compare(struct conf_parser *p);

/* Tells what kind each section is; reports unknown and doubled ones and
 * doubled keys. */
void conf_sections_classify(struct conf_parser *p);
void conf_report_twice(struct conf_parser *p, struct conf_span name);
/* The index of the section that a value names. False when it was reported as
 * missing. */
bool conf_name_resolve(struct conf_parser *p, enum conf_section_kind kind,
    struct conf_span name, uint32_t *out);
/* Creates the conf's arrays, one struct per section, with defaults. */
void conf_sections_create(struct conf_parser *p);
/* The struct that a section fills; NULL for kinds without one. */
void *conf_section_base(
    struct conf *conf, enum conf_section_kind kind, size_t i);
/* Walks all entries through the table. */
void conf_entries_set(struct conf_parser *p);

/* Takes one value into base. False when it was reported as wrong. */
bool conf_type_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base);
/* The canonical text of what base holds; a terminated part on a short buf. */
void conf_type_format(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size);
void conf_report_number(struct conf_parser *p, struct conf_span value,
    enum conf_value_error error, const char *what, const char *range);
bool conf_parse_cidr(
    struct conf_parser *p, struct conf_span value, struct cidr *out);
bool conf_parse_ip(
    struct conf_parser *p, struct conf_span value, struct addr *out);
bool conf_parse_name(
    struct conf_parser *p, struct conf_span value, const char *what);
bool conf_actions_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, struct conf_listener *listener);
bool conf_security_groups_set(struct conf_parser *p,
    const struct conf_attribute *a, struct conf_span value,
    struct conf_listener *listener);
/* SourceAddresses; base is the load balancer. */
bool conf_sources_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base);
void conf_sources_format(const struct conf *conf,
    const struct conf_attribute *a, const void *base, char *buf, size_t size);

/* CONF_TYPE_WORDS */
bool conf_words_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base);
void conf_words_format(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size);

/* CONF_TYPE_NOTIFY_URL; base is the section. */
bool conf_notify_url_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base);
/* What no single key of a [notify] section can tell. */
void conf_check_notify(struct conf_parser *p);

/* `Name=value,Name=value': the values by name, in the order of names. */
#define CONF_FIELDS_MAX 8
struct conf_field {
	const char *name;
	bool required;
};
/* values[i] has text NULL where names[i] was not given. False when a mistake
 * was reported. */
bool conf_fields_parse(struct conf_parser *p, struct conf_span value,
    const struct conf_field *names, size_t n, struct conf_span *values);

/* The lines with a label: rules, prefixes, targets. */
void conf_line_set(struct conf_parser *p, const struct conf_attribute *a,
    const struct conf_section *section, const struct conf_entry *entry);
/* A target's value; its port is 0 where none is given, its host "" where the
 * Id is an address. */
bool conf_target_parse(
    struct conf_parser *p, struct conf_span value, struct conf_dns_target *out);
/* The canonical text of a target's value; host "": with its address. Returns
 * buf. */
#define CONF_TARGET_TEXT_MAX (CONF_HOST_MAX + 160)
const char *conf_target_format(
    const struct conf_target *t, const char *host, char *buf, size_t size);
/* Fills in what lines take from elsewhere: ports, prefix lists. */
void conf_lines_resolve(struct conf_parser *p);

/* DNS names (conf_dns.c): the target that a line is at one address; the checks;
 * the keys of the resolver. */
struct conf_target conf_dns_target_at(
    const struct conf_dns_target *dns, const struct addr *addr);
void conf_dns_check(struct conf_parser *p);
bool conf_resolvers_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base);
void conf_resolvers_format(const struct conf *conf,
    const struct conf_attribute *a, const void *base, char *buf, size_t size);

/* Parts of a rule, of security groups and network ACLs alike. */
bool conf_rule_ports(struct conf_parser *p, struct conf_span protocol,
    struct conf_span ports, struct conf_rule *rule);
bool conf_rule_peer(
    struct conf_parser *p, struct conf_span peer, struct conf_rule *rule);
/* Network ACLs (conf_acl.c): a line; what lines and listeners refer to; what
 * no single line can tell. */
void conf_acl_rule_add(struct conf_parser *p, struct conf_network_acl *acl,
    bool outbound, struct conf_span number, struct conf_span value);
void conf_acls_resolve(struct conf_parser *p);
void conf_acls_check(struct conf_parser *p);

/* What no single line can tell. */
void conf_check(struct conf_parser *p);
void conf_check_targets(struct conf_parser *p);
/* Why an address can never be a target; NULL when it can. */
const char *conf_target_refusal(const struct addr *a);
/* Of one target group; fills in the timeout's default. */
void conf_check_health(struct conf_parser *p, size_t group);
void conf_check_sources(struct conf_parser *p);
void conf_check_client_ip(struct conf_parser *p);
/* Does this listener listen at a (address and port)? */
bool conf_listener_covers(const struct conf *conf,
    const struct conf_listener *listener, const struct addr *a);
/* The value of a key of a section; the header when it is not there. */
struct conf_span conf_value_of(struct conf_parser *p,
    enum conf_section_kind kind, size_t i, const char *key);
/* The value at a line of the file. */
struct conf_span conf_value_at_line(struct conf_parser *p, unsigned line);

/* Makes room for one more element. NULL when memory ran out. */
void *conf_grow(
    struct conf_parser *p, void *list, size_t n, size_t element_size);

#endif
