/*
 * nlbctl import-aws: target groups, their checks and their targets.
 */
#include "nlbctl/import.h"

#include <string.h>

#include "base/addr.h"

static json_t *
find_instance(struct import *im, const char *id)
{
	json_t *list = import_all(im, "Reservations"), *reservation, *instance;
	size_t i, j;

	json_array_foreach(list, i, reservation)
	{
		json_t *instances =
		    import_list(im, reservation, "Instances", "a reservation");

		json_array_foreach(instances, j, instance)
		{
			if (strcmp(import_text(im, instance, "InstanceId",
				       "an instance"),
				id) == 0)
				return instance;
		}
	}
	import_fail(im,
	    "instances.json with %s is missing: aws ec2 describe-instances "
	    "--instance-ids %s",
	    id, id);
	return NULL;
}

static void
write_target(struct import *im, json_t *description, size_t i, bool by_instance,
    const char *where)
{
	json_t *target = import_object(im, description, "Target", where);
	json_t *health = import_object(im, description, "TargetHealth", where);
	const char *id = import_text(im, target, "Id", where), *ip = id;
	const char *zone = import_text(im, target, "AvailabilityZone", where);
	json_int_t port = import_number(im, target, "Port", where);
	json_t *instance;
	struct addr address;
	char key[48];

	if (strcmp(import_text(im, health, "State", where), "draining") == 0) {
		import_note(im,
		    "%s: %s is not carried over: it is being deregistered",
		    where, id);
		return;
	}
	if (by_instance) {
		instance = find_instance(im, id);
		ip = import_text(im, instance, "PrivateIpAddress", id);
		if (zone[0] == '\0')
			zone = import_text(im,
			    import_object(im, instance, "Placement", id),
			    "AvailabilityZone", id);
		import_comment(im, "%s", id);
	}
	if (addr_parse_ip(ip, &address) != 0) {
		import_fail(im, "%s: target %s has no IP address", where, id);
		return;
	}
	snprintf(key, sizeof(key), "Target.target-%zu", i + 1);
	if (strchr(zone, ',') != NULL)
		import_fail(im, "%s: '%s' is no zone", where, zone);
	else
		import_entry(im, key, "Id=%s,Port=%lld%s%s", ip,
		    (long long)port,
		    zone[0] == '\0' ? "" : ",AvailabilityZone=", zone);
}

static void
write_health_check(struct import *im, json_t *group, const char *where)
{
	static const char *const numbers[] = {"HealthCheckIntervalSeconds",
	    "HealthCheckTimeoutSeconds", "HealthyThresholdCount",
	    "UnhealthyThresholdCount"};
	static const char *const texts[] = {
	    "HealthCheckProtocol", "HealthCheckPort", "HealthCheckPath"};
	const char *codes = import_text(
	    im, import_object(im, group, "Matcher", where), "HttpCode", where);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = import_text(im, group, texts[i], where);

		if (text[0] != '\0')
			import_entry(im, texts[i], "%s", text);
	}
	if (codes[0] != '\0')
		import_entry(im, "Matcher.HttpCode", "%s", codes);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (json_object_get(group, numbers[i]) != NULL)
			import_entry(im, numbers[i], "%lld",
			    (long long)import_number(
				im, group, numbers[i], where));
	}
}

static void
write_group(struct import *im, json_t *group)
{
	const char *arn =
	    import_text(im, group, "TargetGroupArn", "a target group");
	const char *text = import_text(im, group, "TargetGroupName", arn);
	const char *name = json_string_value(json_object_get(im->names, arn));
	bool by_instance =
	    strcmp(import_text(im, group, "TargetType", text), "instance") == 0;
	const char *family = import_text(im, group, "IpAddressType", text);
	json_t *targets, *target;
	char where[IMPORT_WHERE_MAX];
	size_t i;

	if (name == NULL)
		return; /* of another load balancer, or that was noted */
	if (json_object_get(im->used, arn) == NULL) {
		import_note(im,
		    "target group %s is not carried over: no listener that "
		    "is forwards to it",
		    text);
		return;
	}
	snprintf(where, sizeof(where), "target group %s", text);
	if (strcmp(import_text(im, group, "Protocol", text), "TCP_UDP") == 0)
		import_note(im, "%s: its UDP is not carried over", where);
	if (json_is_false(json_object_get(group, "HealthCheckEnabled")))
		import_note(im,
		    "%s: its targets were not checked, and are here", where);
	fputc('\n', im->ini);
	import_comment(im, "Servers, and how they are watched: %s", arn);
	import_section(im, CONF_TARGET_GROUP, name);
	import_entry(im, "Port", "%lld",
	    (long long)import_number(im, group, "Port", where));
	if (family[0] != '\0')
		import_entry(im, "IpAddressType", "%s", family);
	write_health_check(im, group, where);
	import_attributes(im, CONF_TARGET_GROUP,
	    import_owned_by(im, IMPORT_GROUP_ATTRIBUTES, arn, text, true),
	    where);
	targets = import_owned_by(im, IMPORT_TARGET_HEALTH, arn, text, true);
	json_array_foreach(targets, i, target)
	    write_target(im, target, i, by_instance, where);
}

void
import_target_groups(struct import *im)
{
	json_t *list = import_all(im, "TargetGroups"), *group;
	size_t i;

	json_array_foreach(list, i, group) write_group(im, group);
}
