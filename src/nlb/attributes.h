/*
 * The attribute table: every key of nlbd.ini with its type, ranges, default
 * and one line of help. It drives the parser, --print-config, what a reload
 * may change, and the test that every key is documented.
 */
#ifndef NLB_ATTRIBUTES_H
#define NLB_ATTRIBUTES_H

#include <stddef.h>
#include <stdint.h>

enum conf_section_kind {
	CONF_LOAD_BALANCER,
	CONF_LISTENER,
	CONF_SECURITY_GROUP,
	CONF_NETWORK_ACL,
	CONF_PREFIX_LIST,
	CONF_TARGET_GROUP,
	CONF_NODE,
	CONF_NOTIFY,
	CONF_SECTION_KINDS
};

enum conf_type {
	CONF_TYPE_NAME,            /* [a-z0-9-]{1,32} */
	CONF_TYPE_NAME_OR_NONE,    /* the same, or `none' (stored as "") */
	CONF_TYPE_BOOL,            /* true, false */
	CONF_TYPE_WORD,            /* one of words */
	CONF_TYPE_PORT,            /* uint16_t */
	CONF_TYPE_NUMBER,          /* uint32_t, perhaps `off' or `auto' */
	CONF_TYPE_SECONDS,         /* uint32_t in ms, fractions allowed */
	CONF_TYPE_CHECK_PORT,      /* uint32_t, `traffic-port' is 0 */
	CONF_TYPE_PATH,            /* absolute path */
	CONF_TYPE_HTTP_CODES,      /* 200-399 or 200,202 */
	CONF_TYPE_LISTEN_ADDRESS,  /* struct addr without port, or `all' */
	CONF_TYPE_ADDRESS_PORT,    /* struct addr with port, or `off' */
	CONF_TYPE_FLOW_LOG,        /* off, stderr or a path */
	CONF_TYPE_ACTIONS,         /* forward:GROUP[=WEIGHT], ... */
	CONF_TYPE_SECURITY_GROUPS, /* names, or `none' */
	CONF_TYPE_SOURCES,         /* IP addresses, or `none' */
	CONF_TYPE_WORDS,           /* some of words (bits), or `none' */
	CONF_TYPE_NOTIFY_URL,      /* http://, https:// or unix:/ */
	CONF_TYPE_PATH_OR_NONE,    /* the same as PATH; `none' is "" */
	CONF_TYPE_RESOLVERS,       /* addresses, perhaps with port, or `auto' */
	/* Key patterns, one struct per line: */
	CONF_TYPE_INBOUND_RULE,
	CONF_TYPE_OUTBOUND_RULE,
	CONF_TYPE_ACL_RULE,
	CONF_TYPE_PREFIX,
	CONF_TYPE_TARGET,
	CONF_TYPES
};

enum {
	CONF_REQUIRED = 1 << 0,
	CONF_RELOADABLE = 1 << 1, /* may differ in a reload */
	CONF_EXTENSION = 1 << 2,  /* not a key of the NLB */
	CONF_WORD_OFF = 1 << 3,   /* `off' is CONF_OFF */
	CONF_WORD_AUTO = 1 << 4,  /* `auto' is CONF_AUTO */
	/* key ends in a dot, and a label of the file's choice follows */
	CONF_PATTERN = 1 << 5,
	CONF_HEALTH_SETTING = 1 << 6, /* modify-target-group changes it */
	CONF_DEFAULT_VARIES = 1 << 7, /* with the value of another key */
};

#define CONF_NOT_STORED SIZE_MAX /* has one value only, checked and dropped */

struct conf_attribute {
	enum conf_section_kind section;
	const char *key;
	enum conf_type type;
	unsigned flags;
	size_t offset; /* in the section's struct, or CONF_NOT_STORED */
	size_t size;   /* of strings: bytes with the terminator */
	/* As stored (seconds with fractions: ms). WORD: min is the first
	 * word's value. aws_max == 0: an NLB has no range of its own. */
	uint32_t min, max, aws_min, aws_max;
	const char *default_value; /* as it stands in a file; NULL = none */
	const char *const *words;  /* NULL-terminated */
	const char *help;          /* one line */
	const char *missing;       /* CONF_REQUIRED: what to do about it */
};

/* The table, in the order of the manual. i < conf_attribute_count(). */
size_t conf_attribute_count(void);
const struct conf_attribute *conf_attribute_at(size_t i);

/* By exact key, or by a pattern's prefix; NULL when there is none. */
const struct conf_attribute *conf_attribute_find(
    enum conf_section_kind section, const char *key, size_t key_len);

/* "load-balancer", "listener", ... */
const char *conf_section_kind_name(enum conf_section_kind kind);
/* Takes [kind NAME] and not just [kind]? */
int conf_section_kind_is_named(enum conf_section_kind kind);

/* What may stand there, for people: "5 to 300", "true or false". Returns
 * buf. The _aws form is empty where an NLB has no range of its own. */
const char *conf_attribute_range(
    const struct conf_attribute *a, char *buf, size_t size);
const char *conf_attribute_aws_range(
    const struct conf_attribute *a, char *buf, size_t size);

#endif
