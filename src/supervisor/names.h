/*
 * The DNS names among the targets: when each is resolved, what it has come to,
 * and which of its addresses may be targets. Registers nothing itself.
 */
#ifndef SUPERVISOR_NAMES_H
#define SUPERVISOR_NAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "admin/admin.h"
#include "nlb/conf.h"

struct names_owner {
	void *owner;
	/* What names_collect gives for the config in force may have changed.
	 * Called from the loop, never from inside of another call. */
	void (*on_changed)(void *owner);
	bool (*is_healthy)(
	    void *owner, const char *group, const struct addr *a);
};

struct names;

/* 0 or a negative errno. */
int names_create(
    uv_loop_t *loop, const struct names_owner *owner, struct names **out);
/* Memory goes from the loop. NULL is fine. */
void names_destroy(struct names *names);

/* The addresses of conf's names by what is known now, for conf_set_resolved;
 * conf may be one that is not in force yet. *list is the caller's to free. 0
 * or -ENOMEM. */
int names_collect(struct names *names, const struct conf *conf,
    struct conf_resolved **list, size_t *n);
/* conf (which must live until the next call) is in force: names that were not
 * known are resolved now, the known ones when they are due, and the ones that
 * are gone are forgotten. 0, or -ENOMEM with some not followed. */
int names_follow(struct names *names, const struct conf *conf);
/* What the program before an upgrade knew: an address (with the name's port)
 * of host's last answer, or one kept from before it. To be called before the
 * first names_follow; holds until the name is answered. 0 or -ENOMEM. */
int names_remember(struct names *names, const char *group, const char *host,
    const struct addr *target, bool kept);
/* Targets may have become healthy or not. */
void names_health_changed(struct names *names);

/* In the config's order. */
void names_each(const struct names *names,
    void (*fn)(void *arg, const struct admin_name *name), void *arg);

#endif
