/*
 * What names.c and names_view.c share: the names and what each has come to.
 */
#ifndef SUPERVISOR_NAMES_INTERNAL_H
#define SUPERVISOR_NAMES_INTERNAL_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "nlb/conf.h"
#include "nlb/resolution.h"
#include "supervisor/names.h"
#include "supervisor/resolver.h"

/* While a name fails or an address is refused, the log says so this often. */
#define REPEAT_LOG_MS (600 * 1000)
/* What a name's addresses take in a line of the log. */
#define LIST_TEXT_MAX 768

struct name {
	TAILQ_ENTRY(name) entry;
	struct names *names;
	/* What a name is known by, over reloads. */
	char group[CONF_NAME_MAX + 1];
	char host[CONF_HOST_MAX + 1];
	uint16_t port;
	uint8_t family;
	struct resolution resolution;
	bool followed;           /* by the last names_follow */
	bool asking;             /* then its memory is on_answer's to free */
	uint64_t due_ms;         /* when not asking */
	uint64_t last_answer_ms; /* wall clock; 0 = none yet */
	char error[128];         /* of the last resolution; "" = none */
	uint64_t failure_logged_ms, refusal_logged_ms;
	char refusals[LIST_TEXT_MAX]; /* as last logged; "" = none */
};

struct names {
	struct names_owner owner;
	struct resolver *resolver;
	uv_loop_t *loop;
	uv_timer_t timer; /* the next name that is due */
	TAILQ_HEAD(name_list, name) list;
	struct name_list forgotten; /* until their answers come */
	const struct conf *conf;    /* in force; NULL before the first */
	uint64_t cut_logged_ms;
};

uint64_t names_now_ms(void);
uint8_t names_family(const struct conf_target_group *group);
/* NULL when there is none. */
struct name *names_find(const struct names *names, const char *group,
    const char *host, uint16_t port, uint8_t family);
/* The name of a line of group; NULL when it is not followed. */
struct name *names_find_line(const struct names *names,
    const struct conf_target_group *group, const struct conf_dns_target *t);
/* The target that an address of the name would be. */
struct addr name_target_at(const struct name *name, const struct addr *a);
/* Why target cannot be one of the group, by conf; NULL when it can. */
const char *names_refusal(const struct conf *conf,
    const struct conf_target_group *group, const struct addr *target);

#endif
