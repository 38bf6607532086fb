/* A target group in a worker; see group.h. */
#include "worker/group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

int
group_create(const struct conf_target_group *conf, const uint16_t *slots,
    struct group **out)
{
	struct group *g = calloc(1, sizeof(*g));
	int rc = -ENOMEM;

	if (g == NULL)
		return -ENOMEM;
	g->refs = 1;
	g->n_targets = (uint32_t)conf->n_targets;
	g->addrs = calloc(conf->n_targets + 1, sizeof(*g->addrs));
	g->slots = calloc(conf->n_targets + 1, sizeof(*g->slots));
	if (g->addrs == NULL || g->slots == NULL)
		goto fail;
	for (size_t i = 0; i < conf->n_targets; i++) {
		g->addrs[i] = conf->targets[i].addr;
		g->slots[i] = slots[i];
	}
	rc = routing_create(g->addrs, g->n_targets, conf->name, &g->table);
	if (rc < 0)
		goto fail;
	strlcpy(g->name, conf->name, sizeof(g->name));
	g->stickiness = conf->stickiness_enabled;
	g->proxy_v2 = conf->proxy_protocol_v2;
	g->connect_timeout_ms = conf->connect_timeout_ms;
	g->connect_total_ms = conf->connect_total_ms;
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
	if (g->table != NULL)
		routing_destroy(g->table);
	free(g->addrs);
	free(g->slots);
	free(g);
}
