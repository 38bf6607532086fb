/* A target group in a worker; see group.h. */
#include "worker/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

/* A table follows from the name and the addresses, and takes a millisecond or
 * more to fill: most groups are the same after a reload. */
static int
take_table(struct group *g, const struct group *old)
{
	if (old == NULL || old->n_targets != g->n_targets ||
	    strcmp(old->name, g->name) != 0)
		return routing_create(
		    g->addrs, g->n_targets, g->name, &g->table);
	for (uint32_t i = 0; i < g->n_targets; i++)
		if (!addr_equal(&old->addrs[i], &g->addrs[i]))
			return routing_create(
			    g->addrs, g->n_targets, g->name, &g->table);
	g->table = routing_ref(old->table);
	return 0;
}

int
group_create(const struct conf_target_group *conf, const uint16_t *slots,
    const struct group *old, struct group **out)
{
	struct group *g = calloc(1, sizeof(*g));
	int rc = -ENOMEM;

	if (g == NULL)
		return -ENOMEM;
	g->refs = 1;
	g->n_targets = (uint32_t)conf->n_targets;
	g->addrs = calloc(conf->n_targets + 1, sizeof(*g->addrs));
	g->slots = calloc(conf->n_targets + 1, sizeof(*g->slots));
	g->max_flows = calloc(conf->n_targets + 1, sizeof(*g->max_flows));
	if (g->addrs == NULL || g->slots == NULL || g->max_flows == NULL)
		goto fail;
	for (size_t i = 0; i < conf->n_targets; i++) {
		g->addrs[i] = conf->targets[i].addr;
		g->slots[i] = slots[i];
		g->max_flows[i] =
		    conf_target_max_flows(conf, &conf->targets[i]);
	}
	strlcpy(g->name, conf->name, sizeof(g->name));
	rc = take_table(g, old);
	if (rc < 0)
		goto fail;
	g->stickiness = conf->stickiness_enabled;
	g->proxy_v2 = conf->proxy_protocol_v2;
	g->preserve_client_ip = conf->preserve_client_ip;
	g->connect_timeout_ms = conf->connect_timeout_ms;
	g->connect_total_ms = conf->connect_total_ms;
	g->connect_targets = (uint8_t)conf->connect_targets;
	g->connect_retry_on = (uint8_t)conf->connect_retry_on;
	*out = g;
	return 0;
fail:
	group_unref(g);
	return rc;
}

struct group *
group_ref(struct group *g)
{
	g->refs++;
	return g;
}

void
group_unref(struct group *g)
{
	if (g == NULL || --g->refs > 0)
		return;
	routing_unref(g->table);
	free(g->addrs);
	free(g->slots);
	free(g->max_flows);
	free(g);
}
