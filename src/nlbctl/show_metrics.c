/*
 * The metrics as a table: one value a line.
 */
#include "nlbctl/show.h"

#include <errno.h>
#include <string.h>

#include "nlb/metric.h"
#include "nlbctl/format.h"
#include "nlbctl/verb.h"

const char *
verb_metrics_word(size_t i)
{
	if (i < METRIC_DIMENSIONS)
		return metric_dimension_name((enum metric_dimension)(1u << i));
	return i == METRIC_DIMENSIONS ? "all" : NULL;
}

/* "" when the value is not about such a thing. */
static const char *
dimension(const json_t *metric, const char *name)
{
	const json_t *list = json_object_get(metric, "Dimensions"), *d;
	size_t i;

	json_array_foreach(list, i, d)
	{
		if (strcmp(show_text(d, "Name"), name) == 0)
			return show_text(d, "Value");
	}
	return "";
}

int
show_metrics(const json_t *root, const struct output *out)
{
	static const struct table_column columns[] = {{"METRIC", TABLE_LEFT},
	    {"ZONE", TABLE_LEFT}, {"LISTENER", TABLE_LEFT},
	    {"TARGET GROUP", TABLE_LEFT}, {"TARGET", TABLE_LEFT},
	    {"VALUE", TABLE_RIGHT}, {"UNIT", TABLE_LEFT}, {"KIND", TABLE_LEFT}};
	const json_t *list = json_object_get(root, "Metrics"), *m;
	struct table *table;
	char count[FORMAT_STRLEN];
	size_t i;
	int rc;

	if (!json_is_array(list))
		return -EPROTO;
	table = table_create(columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(list, i, m)
	{
		table_cell(
		    table, STYLE_PLAIN, "%s", show_text(m, "MetricName"));
		table_cell(
		    table, STYLE_PLAIN, "%s", dimension(m, "AvailabilityZone"));
		table_cell(table, STYLE_PLAIN, "%s", dimension(m, "Listener"));
		table_cell(
		    table, STYLE_PLAIN, "%s", dimension(m, "TargetGroup"));
		table_cell(table, STYLE_PLAIN, "%s", dimension(m, "Target"));
		table_cell(table, STYLE_PLAIN, "%s",
		    format_count(show_uint(m, "Value"), count));
		table_cell(table, STYLE_PLAIN, "%s", show_text(m, "Unit"));
		table_cell(table, STYLE_DIM, "%s", show_text(m, "Kind"));
	}
	rc = table_print(table, out);
	table_destroy(table);
	return rc;
}
