/*
 * Changes at run time, in the words of the ELBv2 API: what each means for the
 * INI text, and the conf that comes out of it. Pure.
 */
#ifndef NLB_CONF_CHANGE_H
#define NLB_CONF_CHANGE_H

#include <stddef.h>

#include "nlb/attributes.h"
#include "nlb/conf.h"

enum conf_change_kind {
	CONF_CHANGE_REGISTER_TARGETS,
	CONF_CHANGE_DEREGISTER_TARGETS,
	CONF_CHANGE_TARGET_GROUP, /* its health check */
	CONF_CHANGE_TARGET_GROUP_ATTRIBUTES,
	CONF_CHANGE_LISTENER_ATTRIBUTES,
};

struct conf_setting {
	const char *key, *value;
};

struct conf_change {
	enum conf_change_kind kind;
	const char *name;           /* of the target group or the listener */
	const char *const *targets; /* as the values of Target.LABEL lines */
	size_t n_targets;
	const struct conf_setting *settings;
	size_t n_settings;
};

/*
 * Makes the conf that conf would be with the change, from its bytes with only
 * the lines changed that must be. Returns 0 with *out owned by the caller, or
 * *out NULL when conf is that already; -ENOENT (no such group or listener),
 * -EINVAL or -ENOMEM. What is wrong, or worth a word, is in diags: line 0 when
 * it is about the change itself, else of the text as it would be.
 */
int conf_change_apply(const struct conf *conf, const struct conf_change *change,
    const struct conf_options *options, struct conf **out,
    struct conf_diags *diags);

/* "register-targets" */
const char *conf_change_verb(enum conf_change_kind kind);

/* Is this a key of modify-target-group-attributes or
 * modify-listener-attributes, or one that such a verb would have for the load
 * balancer? */
bool conf_attribute_is_attribute(const struct conf_attribute *a);
/* The canonical text of a key of the load balancer, or of the listener or
 * target group of this number. Returns buf. */
const char *conf_attribute_format(const struct conf *conf,
    const struct conf_attribute *a, size_t index, char buf[CONF_TEXT_MAX]);

#endif
