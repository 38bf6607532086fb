/*
 * The table of metrics, and looking things up in it.
 */
#include "nlb/metric.h"

#include <stddef.h>
#include <string.h>

const struct metric metrics[METRIC_COUNT] = {
#define X(suffix, name, cloudwatch, kind, unit, sets, help) \
	[METRIC_##suffix] = {                               \
	    name, cloudwatch, METRIC_##kind, unit, METRIC_SETS_##sets, help},
    METRICS(X)
#undef X
};

/* By bit. */
static const char *const dimension_names[METRIC_DIMENSIONS] = {
    "load-balancer", "zone", "target-group", "listener", "target"};

const char *
metric_dimension_name(enum metric_dimension dimension)
{
	for (unsigned i = 0; i < METRIC_DIMENSIONS; i++)
		if ((unsigned)dimension == 1u << i)
			return dimension_names[i];
	return "unknown";
}

unsigned
metric_dimensions_find(const char *name)
{
	for (unsigned i = 0; i < METRIC_DIMENSIONS; i++)
		if (strcmp(name, dimension_names[i]) == 0)
			return 1u << i;
	return strcmp(name, "all") == 0 ? METRIC_BY_ALL : 0;
}

/* Those that count flows, bytes or rejections have a variant by protocol. */
static bool
has_tcp_variant(enum metric_id id)
{
	return id == METRIC_ACTIVE_FLOWS || id == METRIC_NEW_FLOWS ||
	       id == METRIC_REJECTED_FLOWS || id == METRIC_PROCESSED_BYTES;
}

static bool
is_tcp_variant(const char *name, const char *cloudwatch)
{
	size_t len = strlen(cloudwatch);

	return strncmp(name, cloudwatch, len) == 0 &&
	       strcmp(name + len, "_TCP") == 0;
}

const struct metric *
metric_find(const char *name)
{
	if (*name == '\0')
		return NULL;
	for (int i = 0; i < METRIC_COUNT; i++) {
		const struct metric *m = &metrics[i];

		if (strcmp(name, m->name) == 0 ||
		    strcmp(name, m->cloudwatch) == 0 ||
		    (has_tcp_variant((enum metric_id)i) &&
			is_tcp_variant(name, m->cloudwatch)))
			return m;
	}
	return NULL;
}
