/*
 * The conf itself: its end, and questions that several parts ask of it.
 */
#include "nlb/conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
security_group_fini(struct conf_security_group *group)
{
	for (size_t i = 0; i < group->n_rules; i++)
		free(group->rules[i].description);
	free(group->rules);
	free(group->inbound);
	free(group->outbound);
}

void
conf_destroy(struct conf *conf)
{
	if (conf == NULL)
		return;
	for (size_t i = 0; i < conf->n_target_groups; i++) {
		free(conf->target_groups[i].targets);
		free(conf->target_groups[i].dns_targets);
	}
	for (size_t i = 0; i < conf->n_security_groups; i++)
		security_group_fini(&conf->security_groups[i]);
	for (size_t i = 0; i < conf->n_prefix_lists; i++)
		free(conf->prefix_lists[i].entries);
	for (size_t i = 0; i < conf->n_network_acls; i++) {
		free(conf->network_acls[i].rules);
		free(conf->network_acls[i].inbound);
		free(conf->network_acls[i].outbound);
	}
	free(conf->listeners);
	free(conf->target_groups);
	free(conf->security_groups);
	free(conf->prefix_lists);
	free(conf->notify);
	free(conf->network_acls);
	free(conf->bytes);
	free(conf);
}

size_t
conf_count_targets(const struct conf *conf)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->n_target_groups; i++)
		n += conf->target_groups[i].n_targets;
	return n;
}

bool
conf_preserves_client_ip(const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_target_groups; i++)
		if (conf->target_groups[i].preserve_client_ip)
			return true;
	return false;
}

uint32_t
conf_target_max_flows(
    const struct conf_target_group *group, const struct conf_target *target)
{
	if (target->max_flows != 0)
		return target->max_flows;
	return group->max_flows_per_target == CONF_OFF
		   ? CONF_NO_LIMIT
		   : group->max_flows_per_target;
}

size_t
conf_count_dns_targets(const struct conf *conf)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->n_target_groups; i++)
		n += conf->target_groups[i].n_dns_targets;
	return n;
}

const struct conf_target_group *
conf_find_target_group(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_target_groups; i++) {
		if (strcmp(conf->target_groups[i].name, name) == 0)
			return &conf->target_groups[i];
	}
	return NULL;
}

const struct conf_listener *
conf_find_listener(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_listeners; i++) {
		if (strcmp(conf->listeners[i].name, name) == 0)
			return &conf->listeners[i];
	}
	return NULL;
}

bool
conf_group_crosses_zones(
    const struct conf *conf, const struct conf_target_group *group)
{
	return group->cross_zone == CONF_CROSS_ZONE_TRUE ||
	       (group->cross_zone == CONF_CROSS_ZONE_LB &&
		   conf->lb.cross_zone_enabled);
}

bool
conf_target_zone_enabled(const struct conf *conf,
    const struct conf_target_group *group, const struct conf_target *target)
{
	const char *zone = target->availability_zone;

	return zone[0] == '\0' || strcmp(zone, "all") == 0 ||
	       strcmp(zone, conf->lb.availability_zone) == 0 ||
	       conf_group_crosses_zones(conf, group);
}
