/*
 * The answers to the verbs that change something: attributes and settings.
 */
#include "nlbctl/show.h"

#include <errno.h>
#include <stdio.h>

#define DEPTH_MAX 16 /* of what nlbd's answers nest */

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

/* A string, a number as it is written, or a switch. */
static void
value_cell(struct table *table, const json_t *value)
{
	if (json_is_string(value))
		table_cell(table, STYLE_PLAIN, "%s", json_string_value(value));
	else if (json_is_number(value))
		table_cell(
		    table, STYLE_PLAIN, "%.12g", json_number_value(value));
	else
		table_cell(table, STYLE_PLAIN, "%s",
		    json_is_true(value) ? "true" : "false");
}

/* Members of members as Outer.Inner; each element of a list by itself. */
static void
setting_rows(struct table *table, const char *name, json_t *value, int depth)
{
	char inner_name[128];
	const char *key;
	json_t *inner;
	size_t i;

	if (depth == DEPTH_MAX)
		return;
	if (json_is_object(value)) {
		json_object_foreach(value, key, inner)
		{
			snprintf(inner_name, sizeof(inner_name), "%s%s%s", name,
			    name[0] == '\0' ? "" : ".", key);
			setting_rows(table, inner_name, inner, depth + 1);
		}
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, inner)
		{
			setting_rows(table, name, inner, depth + 1);
		}
	} else {
		table_cell(table, STYLE_PLAIN, "%s", name);
		value_cell(table, value);
	}
}

int
show_settings(const json_t *root, const struct output *out)
{
	const json_t *list =
	    json_object_iter_value(json_object_iter((json_t *)(uintptr_t)root));
	json_t *object;
	int rc = 0;
	size_t i;

	if (!json_is_array(list))
		return -EPROTO;
	json_array_foreach(list, i, object)
	{
		struct table *table =
		    table_create(columns, sizeof(columns) / sizeof(columns[0]));

		setting_rows(table, "", object, 0);
		if (i > 0)
			fputc('\n', out->file);
		rc = table_print(table, out);
		table_destroy(table);
		if (rc != 0)
			break;
	}
	return rc;
}
