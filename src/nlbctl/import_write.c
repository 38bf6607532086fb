/*
 * What nlbctl import-aws writes: lines and comments, and what it says beside
 * them.
 */
#include "nlbctl/import.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "nlb/conf_edit.h"
#include "nlb/conf_values.h"
#include "nlbctl/verb.h"

#define COMMENT_MAX 400 /* bytes, escaped; a line of the file has 1000 */

/* One line, whatever text says. */
static void __attribute__((format(printf, 3, 0)))
escaped(FILE *file, const char *before, const char *fmt, va_list ap)
{
	char text[COMMENT_MAX], line[COMMENT_MAX];

	vsnprintf(text, sizeof(text), fmt, ap);
	log_escape(line, sizeof(line), text, strlen(text));
	fprintf(file, "%s%s\n", before, line);
}

void
import_fail(struct import *im, const char *fmt, ...)
{
	va_list ap;

	im->failed = true;
	va_start(ap, fmt);
	escaped(im->err, "nlbctl: ", fmt, ap);
	va_end(ap);
}

void
import_note(struct import *im, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	escaped(im->err, "nlbctl: note: ", fmt, ap);
	va_end(ap);
	va_start(ap, fmt);
	escaped(im->notes, "; - ", fmt, ap);
	va_end(ap);
}

void
import_comment(struct import *im, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	escaped(im->ini, "; ", fmt, ap);
	va_end(ap);
}

void
import_section(struct import *im, enum conf_section_kind kind, const char *name)
{
	fprintf(im->ini, "[%s%s%s]\n", conf_section_kind_name(kind),
	    name[0] == '\0' ? "" : " ", name);
}

void
import_entry(struct import *im, const char *key, const char *fmt, ...)
{
	char *text, *value;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n == -1) {
		import_fail(im, "out of memory");
		return;
	}
	value = conf_edit_quote(text);
	if (value != NULL)
		fprintf(im->ini, "%s = %s\n", key, value);
	else
		import_fail(im, "%s cannot be '%s': %s", key, text,
		    errno == ENOMEM ? "out of memory"
				    : "no line of nlbd.ini can hold that");
	free(value);
	free(text);
}

bool
import_name(struct import *im, const char *text, char name[CONF_NAME_MAX + 1])
{
	struct conf_span span = {.text = name, .len = strlen(text)};

	if (span.len <= CONF_NAME_MAX) {
		for (size_t i = 0; i <= span.len; i++)
			name[i] = (char)tolower((unsigned char)text[i]);
	}
	if (span.len > CONF_NAME_MAX || !conf_value_is_name(span, false)) {
		import_fail(im,
		    "'%s' is no name that AWS gives: 1 to %d letters, digits "
		    "and hyphens",
		    text, CONF_NAME_MAX);
		return false;
	}
	return true;
}

/* Attributes that mean nothing here with these values, and what to say with
 * others. */
static const struct {
	const char *key, *neutral, *hint;
} not_carried[] = {
    {"deletion_protection.enabled", "false", "protect the file instead"},
    {"access_logs.s3.enabled", "false",
	"FlowLog in [node] writes a line for each flow"},
    {"access_logs.s3.bucket", "", "FlowLog in [node] writes to a file"},
    {"access_logs.s3.prefix", "", "FlowLog in [node] writes to a file"},
    {"ipv6.deny_all_igw_traffic", "false", "nlbd has no internet gateway"},
    {"dns_record.client_routing_policy", "any_availability_zone",
	"nlbd holds no DNS names"},
    {"zonal_shift.config.enabled", "false",
	"nlbctl drain-node takes a node out of DNS"},
    {"secondary_ips.auto_assigned.per_subnet", "0",
	"SourceAddresses in [load-balancer] names further addresses"},
};

static void
note_attribute(
    struct import *im, const char *key, const char *value, const char *where)
{
	const char *hint = "nlbd has no such attribute";

	for (size_t i = 0; i < sizeof(not_carried) / sizeof(not_carried[0]);
	     i++) {
		if (strcmp(key, not_carried[i].key) != 0)
			continue;
		if (strcmp(value, not_carried[i].neutral) == 0 ||
		    strcmp(value, "") == 0)
			return;
		hint = not_carried[i].hint;
	}
	import_note(
	    im, "%s: %s = %s is not carried over: %s", where, key, value, hint);
}

/* What is carried over and works only with something beside the file. An NLB
 * has it on for instances without being asked. */
static void
note_needs(
    struct import *im, const char *key, const char *value, const char *where)
{
	if (strcmp(key, "preserve_client_ip.enabled") != 0 ||
	    strcmp(value, "true") != 0)
		return;
	import_note(im,
	    "%s: %s = %s needs CAP_NET_RAW for nlbd, the targets' route to "
	    "the clients through this machine, and the rules that hand nlbd "
	    "the answers: nlbd.ini(5); set it to false unless the targets "
	    "must see the clients' addresses",
	    where, key, value);
}

void
import_attributes(struct import *im, enum conf_section_kind kind, json_t *list,
    const char *where)
{
	json_t *attribute;
	size_t i;

	json_array_foreach(list, i, attribute)
	{
		const char *key = import_text(im, attribute, "Key", where);
		const char *value = import_text(im, attribute, "Value", where);
		const struct conf_attribute *a =
		    conf_attribute_find(kind, key, strlen(key));

		/* The API's attributes are in lower case. */
		if (a != NULL && islower((unsigned char)key[0])) {
			import_entry(im, a->key, "%s", value);
			note_needs(im, a->key, value, where);
		} else {
			note_attribute(im, key, value, where);
		}
	}
}
