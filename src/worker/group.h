/*
 * A target group as a worker sees it: a routing table over the registered
 * targets, and where in the scoreboard each one's state stands. Immutable
 * after group_create; a reload makes new ones.
 */
#ifndef WORKER_GROUP_H
#define WORKER_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/scoreboard.h"
#include "nlb/conf.h"
#include "nlb/routing.h"

struct group {
	char name[CONF_NAME_MAX + 1];
	struct routing_table *table;
	uint32_t n_targets;
	struct addr *addrs;
	uint16_t *slots;     /* scoreboard target slots */
	uint32_t *max_flows; /* of each target, or CONF_NO_LIMIT */
	bool stickiness;
	bool proxy_v2;
	bool preserve_client_ip;
	uint32_t connect_timeout_ms, connect_total_ms;
	uint8_t connect_targets;
	uint8_t connect_retry_on; /* enum conf_retry_on */
	uint32_t refs;
};

/* slots: one per target, in the config's order. old, when it is not NULL and
 * has the same name and addresses, shares its table. 0 or -errno. */
int group_create(const struct conf_target_group *conf, const uint16_t *slots,
    const struct group *old, struct group **out);
struct group *group_ref(struct group *g);
void group_unref(struct group *g);

#endif
