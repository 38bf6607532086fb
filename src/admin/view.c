/*
 * JSON helpers, verdicts and errors of the admin interface.
 */
#include "admin/view.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool
view_put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

json_t *
view_text(const char *text)
{
	json_t *value;
	char *copy;
	size_t i;

	if (text == NULL)
		return json_null();
	value = json_string(text);
	if (value != NULL)
		return value;
	/* Not UTF-8: a path or a line of somebody's file. */
	copy = strdup(text);
	if (copy == NULL)
		return NULL;
	for (i = 0; copy[i] != '\0'; i++) {
		if (!isascii((unsigned char)copy[i]))
			copy[i] = '?';
	}
	value = json_string(copy);
	free(copy);
	return value;
}

json_t *
view_uint(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

json_t *
view_time(uint64_t wall_ms)
{
	char text[32];
	struct tm tm;
	time_t t = (time_t)(wall_ms / 1000);

	if (wall_ms == 0 || gmtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return json_null();
	return json_string(text);
}

json_t *
view_verdict(bool accepted, const char *text)
{
	return json_pack("{s:s, s:o}", "verdict",
	    accepted ? "accepted" : "rejected", "message", view_text(text));
}

json_t *
view_error(const char *code, const char *message)
{
	return json_pack("{s:{s:s, s:o}}", "error", "code", code, "message",
	    view_text(message));
}
