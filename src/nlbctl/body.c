/*
 * The body of a request: the options of a verb as the JSON object that the
 * ELBv2 API takes, read from the AWS CLI's shorthand.
 */
#include "nlbctl/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The end of the next part: the last comma before the next `Name='. So a value
 * may hold commas, as in HttpCode=200,202. */
static size_t
part_len(const char *text)
{
	const char *comma = strchr(text, ',');

	while (comma != NULL && comma[1 + strcspn(comma + 1, ",=")] != '=')
		comma = strchr(comma + 1, ',');
	return comma == NULL ? strlen(text) : (size_t)(comma - text);
}

/* Adds Name=value to object. */
static int
add_field(json_t *object, const char *text, size_t len)
{
	const char *equals = memchr(text, '=', len);
	size_t name_len;
	char *name;
	int rc;

	if (equals == NULL || equals == text)
		return -EINVAL;
	name_len = (size_t)(equals - text);
	name = strndup(text, name_len);
	if (name == NULL)
		return -ENOMEM;
	if (json_object_get(object, name) != NULL)
		rc = -EINVAL;
	else
		rc = json_object_set_new(object, name,
			 json_stringn(equals + 1, len - name_len - 1)) == 0
			 ? 0
			 : -EINVAL; /* not UTF-8 */
	free(name);
	return rc;
}

/* Id=10.0.0.1,Port=25 as an object. */
static int
read_fields(const char *text, json_t **out)
{
	json_t *object = json_object();
	int rc = 0;

	while (rc == 0 && *text != '\0') {
		size_t len = part_len(text);

		rc = add_field(object, text, len);
		text += len + (text[len] == ',');
	}
	if (rc == 0)
		*out = object;
	else
		json_decref(object);
	return rc;
}

static int
read_list(const struct command_line *line, size_t i, json_t **out)
{
	json_t *list = json_array(), *object;
	int rc = read_fields(line->values[i], &object);

	for (size_t j = 0; rc == 0; j++) {
		json_array_append_new(list, object);
		if (j == line->n_more[i])
			break;
		rc = read_fields(line->more[i][j], &object);
	}
	if (rc == 0)
		*out = list;
	else
		json_decref(list);
	return rc;
}

static int
read_value(const struct command_line *line, size_t i, json_t **out)
{
	unsigned flags = line->command->params[i].flags;

	if ((flags & COMMAND_LIST) != 0)
		return read_list(line, i, out);
	if ((flags & COMMAND_FIELDS) != 0)
		return read_fields(line->values[i], out);
	if ((flags & COMMAND_FLAG) != 0)
		*out = json_true();
	else
		*out = json_string(line->values[i]);
	return *out == NULL ? -EINVAL : 0; /* not UTF-8 */
}

int
command_line_body(const struct command_line *line, json_t **out,
    char error[COMMAND_ERROR_MAX])
{
	const struct command_param *params = line->command->params;
	json_t *body;
	int rc = 0;

	*out = NULL;
	if (strcmp(line->command->method, "POST") != 0 ||
	    params[0].option == NULL)
		return 0;
	body = json_object();
	for (size_t i = 0; params[i].option != NULL && rc == 0; i++) {
		json_t *value;

		if (line->values[i] == NULL)
			continue;
		rc = read_value(line, i, &value);
		if (rc == 0)
			json_object_set_new(body, params[i].query, value);
		else if (rc == -EINVAL)
			snprintf(error, COMMAND_ERROR_MAX,
			    "option '--%s' takes %s", params[i].option,
			    params[i].arg);
	}
	if (rc == 0)
		*out = body;
	else
		json_decref(body);
	return rc;
}
