/*
 * The answers to the verbs that change something: attributes and settings.
 */
#include "nlbctl/show.h"

#include <errno.h>
#include <stdio.h>

static const struct table_column columns[] = {
    {"KEY", TABLE_LEFT}, {"VALUE", TABLE_LEFT}};

int
show_done(const json_t *root, const struct output *out)
{
	(void)root;
	(void)out;
	return 0;
}

int
show_attributes(const json_t *root, const struct output *out)
{
	const json_t *list = json_object_get(root, "Attributes"), *attribute;
	struct table *table;
	size_t i;
	int rc;

	if (!json_is_array(list))
		return -EPROTO;
	table = table_create(columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(list, i, attribute)
	{
		table_cell(
		    table, STYLE_PLAIN, "%s", show_text(attribute, "Key"));
		table_cell(
		    table, STYLE_PLAIN, "%s", show_text(attribute, "Value"));
	}
	rc = table_print(table, out);
	table_destroy(table);
	return rc;
}

/* A string, a number as it is written, or the one member of an object. */
static void
setting_cell(struct table *table, const json_t *value)
{
	const json_t *inner = json_object_iter_value(
	    json_object_iter((json_t *)(uintptr_t)value));

	if (inner != NULL)
		value = inner;
	if (json_is_string(value))
		table_cell(table, STYLE_PLAIN, "%s", json_string_value(value));
	else if (json_is_number(value))
		table_cell(
		    table, STYLE_PLAIN, "%.12g", json_number_value(value));
	else
		table_cell(table, STYLE_PLAIN, "%s",
		    json_is_true(value) ? "true" : "false");
}

int
show_target_groups(const json_t *root, const struct output *out)
{
	const json_t *list = json_object_get(root, "TargetGroups");
	json_t *group;
	int rc = 0;
	size_t i;

	if (!json_is_array(list))
		return -EPROTO;
	json_array_foreach(list, i, group)
	{
		struct table *table =
		    table_create(columns, sizeof(columns) / sizeof(columns[0]));
		const char *key;
		json_t *value;

		json_object_foreach(group, key, value)
		{
			table_cell(table, STYLE_PLAIN, "%s", key);
			setting_cell(table, value);
		}
		if (i > 0)
			fputc('\n', out->file);
		rc = table_print(table, out);
		table_destroy(table);
		if (rc != 0)
			break;
	}
	return rc;
}
