/* An event as JSON; see notification_text.h. */
#include "supervisor/notification_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bsd/string.h>
#include <jansson.h>

/* "2026-08-01T10:00:01.123Z" */
static void
format_time(uint64_t wall_ms, char *buf, size_t size)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm = {0};
	size_t n;

	(void)gmtime_r(&seconds, &tm);
	n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(buf + n, size - n, ".%03uZ", (unsigned)(wall_ms % 1000));
}

/* NLBD_TARGET_GROUP is "target_group". */
static void
put_field(json_t *object, const struct log_field *field)
{
	static const char prefix[] = "NLBD_";
	char key[40];

	strlcpy(key,
	    field->name + (strncmp(field->name, prefix, strlen(prefix)) == 0
				  ? strlen(prefix)
				  : 0),
	    sizeof(key));
	for (char *p = key; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	(void)json_object_set_new(object, key, json_string(field->value));
}

char *
notification_text(const struct log_entry *entry, const char *id,
    uint64_t wall_ms, const struct conf_load_balancer *lb)
{
	const struct log_field *field = entry->about;
	const char *zone = lb->availability_zone;
	char when[40], node[256] = "";
	json_t *object;
	char *text;

	format_time(wall_ms, when, sizeof(when));
	(void)gethostname(node, sizeof(node) - 1);
	object = json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s, s:s, s:s}", "id",
	    id, "time", when, "node", node, "load_balancer", lb->name,
	    "availability_zone", zone[0] == '\0' ? NULL : zone, "event",
	    entry->kind.code, "priority", log_level_name(entry->kind.level),
	    "message", entry->text);
	for (; object != NULL && field != NULL && field->name != NULL; field++)
		put_field(object, field);
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}
