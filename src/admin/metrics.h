/*
 * The page at /metrics: the table of nlb/metric.h and what else is worth
 * watching.
 */
#ifndef ADMIN_METRICS_H
#define ADMIN_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/admin.h"

/* The Content-Type of the page. */
const char *metrics_content_type(bool open_metrics);
/* Does an Accept header (NULL: none) ask for OpenMetrics? */
bool metrics_wants_open_metrics(const char *accept);
/* The whole page, n bytes, to be freed; NULL: out of memory. */
char *metrics_page(const struct admin_ops *ops, bool open_metrics, size_t *n);

#endif
