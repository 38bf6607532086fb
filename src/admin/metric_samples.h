/*
 * The metrics' values now: metric by metric, and for each of them by what it
 * is kept (nlb/metric.h). One walk for nlbctl's JSON and for the exporter.
 */
#ifndef ADMIN_METRIC_SAMPLES_H
#define ADMIN_METRIC_SAMPLES_H

#include <stdint.h>

#include "admin/admin.h"
#include "nlb/metric.h"

struct metric_sample {
	const struct metric *metric;
	enum metric_dimension by;
	/* NULL: not said. Of a zone's host count: zone and target group. */
	const char *zone, *target_group, *listener;
	const struct addr *target;
	const char *target_label; /* with target; "" once deregistered */
	uint64_t value;
};

/*
 * Calls fn for every value of the dimensions in by (METRIC_BY_ bits), in the
 * table's order; all of one metric come in a row. The sample lives during the
 * call. There is no zone's value without an AvailabilityZone in the config. 0,
 * or -ENOMEM before the first call.
 */
int metric_samples_each(const struct admin_ops *ops, unsigned by,
    void (*fn)(void *arg, const struct metric_sample *s), void *arg);

#endif
