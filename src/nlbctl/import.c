/*
 * nlbctl import-aws: the load balancer, its listeners and target groups, and
 * the verb.
 */
#include "nlbctl/import.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "nlb/arn.h"
#include "nlbctl/ini_file.h"

/* ---- which ones ------------------------------------------------------- */

static bool
is_forwarded(const char *protocol)
{
	return strcmp(protocol, "TCP") == 0 || strcmp(protocol, "TCP_UDP") == 0;
}

/* The one that is asked for, or the only one. */
static void
find_balancer(struct import *im, const char *wanted)
{
	json_t *list = import_all(im, "LoadBalancers"), *value;
	char buf[ARN_MAX];
	size_t i, n = 0;

	json_array_foreach(list, i, value)
	{
		const char *name = import_text(
		    im, value, "LoadBalancerName", "a load balancer");

		if (strcmp(import_text(im, value, "Type", name), "network") !=
			0 ||
		    (wanted != NULL &&
			strcmp(arn_name(ARN_LOAD_BALANCER, wanted, buf),
			    name) != 0))
			continue;
		im->balancer = value;
		n++;
	}
	if (list == NULL)
		import_fail(im, "load-balancers.json is missing: aws elbv2 "
				"describe-load-balancers --names NAME");
	else if (n == 0)
		import_fail(im, "no Network Load Balancer%s%s is in it",
		    wanted == NULL ? "" : " ", wanted == NULL ? "" : wanted);
	else if (n > 1)
		import_fail(im,
		    "%zu Network Load Balancers; name one with "
		    "--load-balancer",
		    n);
}

/* The zone that this node shall stand in. */
static void
find_zone(struct import *im, const char *wanted)
{
	json_t *list = import_list(
	    im, im->balancer, "AvailabilityZones", "the load balancer");
	json_t *value;
	size_t i;

	im->zone_name = "";
	json_array_foreach(list, i, value)
	{
		const char *name = import_text(im, value, "ZoneName", "a zone");

		if (wanted == NULL ? im->zone != NULL
				   : strcmp(name, wanted) != 0)
			continue;
		im->zone = value;
		im->zone_name = name;
	}
	if (wanted != NULL && im->zone == NULL)
		import_fail(
		    im, "the load balancer is not in the zone %s", wanted);
	else if (wanted == NULL && json_array_size(list) > 1)
		import_note(im,
		    "the NLB stands in %zu zones, this file is for a node in "
		    "%s; make one for each other zone with "
		    "--availability-zone",
		    json_array_size(list), im->zone_name);
}

/* An Elastic IP, or an address that was chosen, is AWS's. */
static void
note_addresses(struct import *im)
{
	static const char *const keys[] = {
	    "IpAddress", "PrivateIPv4Address", "IPv6Address"};
	json_t *list =
	    import_list(im, im->zone, "LoadBalancerAddresses", im->zone_name);
	json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
	{
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
			const char *ip =
			    import_text(im, value, keys[k], im->zone_name);

			if (ip[0] != '\0')
				import_note(im,
				    "%s %s is not carried over: clients "
				    "connect to the addresses that this "
				    "machine has",
				    keys[k], ip);
		}
	}
}

static const char *
balancer_arn(struct import *im)
{
	return import_text(
	    im, im->balancer, "LoadBalancerArn", "the load balancer");
}

static bool
is_ours(struct import *im, json_t *listener)
{
	return strcmp(
		   import_text(im, listener, "LoadBalancerArn", "a listener"),
		   balancer_arn(im)) == 0;
}

static bool
has_text(json_t *list, const char *text)
{
	json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
	{
		if (json_is_string(value) &&
		    strcmp(json_string_value(value), text) == 0)
			return true;
	}
	return false;
}

/* Can nlbd have such a group? Names it then. */
static void
take_group(struct import *im, json_t *group)
{
	const char *arn =
	    import_text(im, group, "TargetGroupArn", "a target group");
	const char *text = import_text(im, group, "TargetGroupName", arn);
	const char *protocol = import_text(im, group, "Protocol", text);
	const char *type = import_text(im, group, "TargetType", text);
	char name[CONF_NAME_MAX + 1];

	if (!has_text(import_list(im, group, "LoadBalancerArns", text),
		balancer_arn(im)))
		return; /* of another load balancer, or of none */
	if (!is_forwarded(protocol))
		import_note(im,
		    "target group %s is not carried over: its protocol is "
		    "%s, and nlbd forwards TCP alone",
		    text, protocol);
	else if (strcmp(type, "ip") != 0 && strcmp(type, "instance") != 0)
		import_note(im,
		    "target group %s is not carried over: its targets are of "
		    "the type %s",
		    text, type);
	else if (import_name(im, text, name))
		json_object_set_new(im->names, arn, json_string(name));
}

static void
take_groups(struct import *im)
{
	json_t *list = import_all(im, "TargetGroups"), *group;
	size_t i;

	if (list == NULL)
		import_fail(im,
		    "target-groups.json is missing: aws elbv2 "
		    "describe-target-groups --load-balancer-arn %s",
		    balancer_arn(im));
	json_array_foreach(list, i, group) take_group(im, group);
}

/* ---- load balancer and listeners -------------------------------------- */

static void
write_balancer(struct import *im)
{
	const char *arn = balancer_arn(im);
	const char *text = import_text(
	    im, im->balancer, "LoadBalancerName", "the load balancer");
	const char *family =
	    import_text(im, im->balancer, "IpAddressType", text);
	char name[CONF_NAME_MAX + 1];

	import_section(im, CONF_LOAD_BALANCER, "");
	if (import_name(im, text, name))
		import_entry(im, "Name", "%s", name);
	if (family[0] != '\0')
		import_entry(im, "IpAddressType", "%s", family);
	if (im->zone_name[0] != '\0')
		import_entry(im, "AvailabilityZone", "%s", im->zone_name);
	import_attributes(im, CONF_LOAD_BALANCER,
	    import_owned_by(im, IMPORT_LB_ATTRIBUTES, arn, text, true),
	    "load balancer");
}

/* The name of a group that is carried over, or NULL. */
static const char *
group_name(struct import *im, const char *arn, json_t *used)
{
	json_object_set_new(used, arn, json_true());
	return json_string_value(json_object_get(im->names, arn));
}

/* The groups' names with their weights; NULL: not all of them are carried
 * over, or it is no action of an NLB. */
static char *
format_action(struct import *im, json_t *action, const char *where)
{
	json_t *config = import_object(im, action, "ForwardConfig", where);
	json_t *tuples = import_list(im, config, "TargetGroups", where), *tuple;
	const char *single = import_text(im, action, "TargetGroupArn", where);
	json_t *used = json_object();
	const char *type = import_text(im, action, "Type", where);
	bool sound = strcmp(type, "forward") == 0;
	char *text = NULL;
	size_t i, size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL) {
		json_decref(used);
		return NULL;
	}
	if (json_array_size(tuples) == 0) {
		const char *name = group_name(im, single, used);

		sound = sound && name != NULL;
		fprintf(f, "forward:%s", name == NULL ? "" : name);
	}
	json_array_foreach(tuples, i, tuple)
	{
		const char *name = group_name(
		    im, import_text(im, tuple, "TargetGroupArn", where), used);

		sound = sound && name != NULL;
		fprintf(f, "%sforward:%s", i == 0 ? "" : ", ",
		    name == NULL ? "" : name);
		if (json_object_get(tuple, "Weight") != NULL)
			fprintf(f, "=%lld",
			    (long long)import_number(
				im, tuple, "Weight", where));
	}
	if (json_is_true(json_object_get(
		import_object(im, config, "TargetGroupStickinessConfig", where),
		"Enabled")))
		import_note(im,
		    "%s: the stickiness of its action is not carried over; "
		    "stickiness.enabled of its target groups is",
		    where);
	sound = fclose(f) == 0 && sound;
	if (sound)
		json_object_update(im->used, used);
	json_decref(used);
	if (sound)
		return text;
	free(text);
	return NULL;
}

static void
write_who_may_connect(struct import *im, json_t *acl)
{
	json_t *ids = import_list(
	    im, im->balancer, "SecurityGroups", "the load balancer");
	char list[256] = "", name[CONF_NAME_MAX + 1];
	json_t *id;
	size_t i, n = 0;

	json_array_foreach(ids, i, id)
	{
		const char *text = json_string_value(id);

		if (import_name(im, text == NULL ? "" : text, name) &&
		    n + strlen(name) + 3 < sizeof(list))
			n += (size_t)snprintf(list + n, sizeof(list) - n,
			    "%s%s", n == 0 ? "" : ", ", name);
	}
	if (n == 0)
		import_comment(im, "The NLB has no security groups: everybody "
				   "may connect.");
	import_entry(im, "SecurityGroups", "%s", n == 0 ? "none" : list);
	if (acl != NULL &&
	    import_name(im,
		import_text(im, acl, "NetworkAclId", "a network ACL"), name))
		import_entry(im, "NetworkAcl", "%s", name);
}

/* An AWS CLI that is older than they are cannot tell them. */
static void
write_listener_attributes(struct import *im, const char *arn, const char *where)
{
	static const char key[] = "tcp.idle_timeout.seconds";
	json_t *list =
	    import_owned_by(im, IMPORT_LISTENER_ATTRIBUTES, arn, where, false);

	if (list != NULL)
		import_attributes(im, CONF_LISTENER, list, where);
	else
		import_note(im,
		    "%s: idle timeout unknown: %s s taken; aws elbv2 "
		    "describe-listener-attributes --listener-arn %s tells it, "
		    "if the AWS CLI is new enough",
		    where,
		    conf_attribute_find(CONF_LISTENER, key, strlen(key))
			->default_value,
		    arn);
}

static void
write_listener(struct import *im, json_t *listener, json_t *acl)
{
	const char *protocol =
	    import_text(im, listener, "Protocol", "a listener");
	json_int_t port = import_number(im, listener, "Port", "a listener");
	json_t *actions;
	char where[IMPORT_WHERE_MAX], *action = NULL;

	snprintf(where, sizeof(where), "listener %s:%lld", protocol,
	    (long long)port);
	actions = import_list(im, listener, "DefaultActions", where);
	if (!is_forwarded(protocol)) {
		import_note(im,
		    "%s is not carried over: nlbd forwards TCP alone%s", where,
		    strcmp(protocol, "TLS") == 0
			? "; with a TCP listener the targets speak TLS "
			  "themselves"
			: "");
		return;
	}
	if (strcmp(protocol, "TCP_UDP") == 0)
		import_note(im, "%s: its UDP is not carried over", where);
	if (json_array_size(actions) == 1)
		action = format_action(im, json_array_get(actions, 0), where);
	if (action == NULL) {
		import_note(im,
		    "%s is not carried over: its action does not forward, or "
		    "to a target group that is not carried over",
		    where);
		return;
	}
	fputc('\n', im->ini);
	import_comment(im, "A port that clients connect to: %s",
	    import_text(im, listener, "ListenerArn", where));
	fprintf(im->ini, "[listener tcp-%lld]\n", (long long)port);
	im->n_listeners++;
	import_entry(im, "Port", "%lld", (long long)port);
	import_entry(im, "DefaultActions", "%s", action);
	write_who_may_connect(im, acl);
	write_listener_attributes(
	    im, import_text(im, listener, "ListenerArn", where), where);
	free(action);
}

static void
write_listeners(struct import *im)
{
	json_t *list = import_all(im, "Listeners"), *listener;
	json_t *acl = import_find_network_acl(im);
	size_t i;

	if (list == NULL)
		import_fail(im,
		    "listeners.json is missing: aws elbv2 describe-listeners "
		    "--load-balancer-arn %s",
		    balancer_arn(im));
	json_array_foreach(list, i, listener)
	{
		if (is_ours(im, listener))
			write_listener(im, listener, acl);
	}
	if (acl != NULL)
		import_network_acl(im, acl);
}

/* ---- the verb --------------------------------------------------------- */

static void
write_body(struct import *im, const struct command_line *line)
{
	find_balancer(im, command_line_value(line, "load-balancer"));
	if (im->failed)
		return;
	find_zone(im, command_line_value(line, "availability-zone"));
	note_addresses(im);
	take_groups(im);
	write_balancer(im);
	write_listeners(im);
	import_security_groups(im);
	import_prefix_lists(im);
	import_target_groups(im);
	ini_write_node(im->ini);
	if (im->n_listeners == 0 && !im->failed)
		import_fail(im, "no listener can be carried over");
}

static int
finish(const struct command_run *run, const char *text, size_t len)
{
	const char *path = command_line_value(run->line, "file");
	int code =
	    ini_check(text, len, path == NULL ? "the result" : path, run->err);
	json_t *root;

	if (code == EX_OK && path != NULL) {
		code = ini_create(path, text, len, run->err);
		return code != EX_OK
			   ? code
			   : ini_report_created(run, path, INI_NEXT_DOCTOR);
	}
	if (code != EX_OK)
		return code == EX_USAGE ? EX_DATAERR : code;
	if (!run->line->json) {
		fwrite(text, 1, len, run->out->file);
		return EX_OK;
	}
	root = json_pack("{s:s}", "Configuration", text);
	code = verb_print_json(run, root);
	json_decref(root);
	return code;
}

static int
close_and_finish(
    struct import *im, const struct command_run *run, char **ini, char **notes)
{
	char *text = NULL;
	int code = EX_OSERR, n = -1;

	if (fclose(im->ini) != 0 || fclose(im->notes) != 0)
		return EX_OSERR;
	if (im->failed)
		return EX_DATAERR;
	n = asprintf(&text,
	    "; nlbd.ini: made by nlbctl import-aws from a Network Load "
	    "Balancer.\n"
	    "; nlbd.ini(5) explains every key.\n%s%s\n%s",
	    (*notes)[0] == '\0'
		? ""
		: ";\n; Not as it was there, or to be looked at:\n",
	    *notes, *ini);
	if (n != -1)
		code = finish(run, text, (size_t)n);
	free(text);
	return code;
}

int
verb_import_aws(const struct command_run *run)
{
	struct import im = {.err = run->err};
	char *ini = NULL, *notes = NULL;
	size_t n_ini, n_notes;
	int code = EX_OSERR;

	if (command_line_value(run->line, "print-script") != NULL) {
		fputs(import_script, run->out->file);
		return EX_OK;
	}
	if (run->line->operand == NULL) {
		verb_complain(run->err,
		    "import-aws needs a DIRECTORY of documents; nlbctl "
		    "import-aws --print-script prints what collects them");
		return EX_USAGE;
	}
	im.ini = open_memstream(&ini, &n_ini);
	im.notes = open_memstream(&notes, &n_notes);
	im.lists = json_object();
	im.names = json_object();
	im.used = json_object();
	for (size_t i = 0; i < IMPORT_OWNED_KINDS; i++)
		im.owned[i] = json_object();
	if (im.ini != NULL && im.notes != NULL) {
		import_load(&im, run->line->operand);
		if (!im.failed)
			write_body(&im, run->line);
		code = close_and_finish(&im, run, &ini, &notes);
	}
	for (size_t i = 0; i < IMPORT_OWNED_KINDS; i++)
		json_decref(im.owned[i]);
	json_decref(im.used);
	json_decref(im.names);
	json_decref(im.lists);
	free(notes);
	free(ini);
	return code;
}
