/*
 * nlbctl import-aws: security groups, prefix lists and network ACLs.
 */
#include "nlbctl/import.h"

#include <stdlib.h>
#include <string.h>
#include <bsd/string.h>

#define DESCRIPTION_MAX 255
#define PORT_MAX 65535
#define ACL_NUMBER_MAX 32766 /* the next one is AWS's own: deny the rest */

/* Rules of one direction of one group. */
struct rules {
	struct import *im;
	const char *group, *direction, *peer;
	char ports[16];
	unsigned n; /* written */
};

/* "tcp", or all of them: as much as a forwarder of TCP needs. */
static bool
means_tcp(const char *protocol)
{
	return strcmp(protocol, "tcp") == 0 || strcmp(protocol, "6") == 0 ||
	       strcmp(protocol, "-1") == 0;
}

/* Ports 1 to 65535; false: there are none of these in it. */
static bool
format_ports(json_int_t from, json_int_t to, bool all, char out[16])
{
	if (all) {
		from = 1;
		to = PORT_MAX;
	}
	if (from < 1)
		from = 1;
	if (to > PORT_MAX || to < from)
		return false;
	if (from == to)
		snprintf(out, 16, "%d", (int)from);
	else
		snprintf(out, 16, "%d-%d", (int)from, (int)to);
	return true;
}

/* What is not AWS's alphabet becomes '?'. */
static void
clean_description(const char *text, char out[DESCRIPTION_MAX + 1])
{
	strlcpy(out, text, DESCRIPTION_MAX + 1);
	for (char *c = out; *c != '\0'; c++) {
		if (*c < ' ' || *c > '~' || strchr("'\"\\`", *c) != NULL)
			*c = '?';
	}
}

static void
write_rule(struct rules *r, const char *peer_prefix, const char *peer,
    const char *description)
{
	char clean[DESCRIPTION_MAX + 1], key[48];

	clean_description(description, clean);
	snprintf(key, sizeof(key), "%s.rule-%u", r->direction, ++r->n);
	/* A comma would begin another field. */
	if (strpbrk(peer, ",=\"") != NULL)
		import_fail(r->im, "%s: '%s' is no CIDR block", r->group, peer);
	else
		import_entry(r->im, key,
		    "Protocol=tcp,PortRange=%s,%s=%s%s%s%s%s", r->ports,
		    r->peer, peer_prefix, peer,
		    clean[0] == '\0' ? "" : ",Description=\"", clean,
		    clean[0] == '\0' ? "" : "\"");
}

/* The sources or destinations of one kind in a permission. */
static void
write_peers(struct rules *r, json_t *permission, const char *list_key,
    const char *key, const char *prefix)
{
	json_t *list = import_list(r->im, permission, list_key, r->group);
	json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
	{
		const char *peer = import_text(r->im, value, key, r->group);

		if (peer[0] == '\0')
			import_fail(r->im, "%s: %s without %s", r->group,
			    list_key, key);
		else
			write_rule(r, prefix, peer,
			    import_text(r->im, value, "Description", r->group));
	}
}

static void
write_permission(struct rules *r, json_t *permission)
{
	struct import *im = r->im;
	const char *protocol =
	    import_text(im, permission, "IpProtocol", r->group);
	json_int_t from = import_number(im, permission, "FromPort", r->group);
	json_int_t to = import_number(im, permission, "ToPort", r->group);
	json_t *pairs =
		   import_list(im, permission, "UserIdGroupPairs", r->group),
	       *pair;
	size_t i;

	if (!means_tcp(protocol)) {
		import_note(im,
		    "%s: an %s rule for protocol %s is not carried over: nlbd "
		    "forwards TCP alone",
		    r->group, r->direction, protocol);
		return;
	}
	if (!format_ports(from, to, strcmp(protocol, "-1") == 0, r->ports)) {
		import_note(im,
		    "%s: an %s rule for ports %lld to %lld is not carried "
		    "over: there are none of 1 to 65535 in it",
		    r->group, r->direction, (long long)from, (long long)to);
		return;
	}
	write_peers(r, permission, "IpRanges", "CidrIp", "");
	write_peers(r, permission, "Ipv6Ranges", "CidrIpv6", "");
	write_peers(
	    r, permission, "PrefixListIds", "PrefixListId", "prefix-list:");
	json_array_foreach(pairs, i, pair) import_note(im,
	    "%s: an %s rule for the members of %s is not carried over: write "
	    "a rule for their addresses",
	    r->group, r->direction, import_text(im, pair, "GroupId", r->group));
}

static void
write_permissions(struct rules *r, json_t *group, const char *key)
{
	json_t *list = import_list(r->im, group, key, r->group), *permission;
	size_t i;

	json_array_foreach(list, i, permission) write_permission(r, permission);
}

static void
write_group(struct import *im, json_t *group, const char *id)
{
	struct rules in = {im, id, "Inbound", "Source", "", 0};
	struct rules out = {im, id, "Outbound", "Destination", "", 0};
	char name[CONF_NAME_MAX + 1];

	if (!import_name(im, id, name))
		return;
	fputc('\n', im->ini);
	import_comment(im,
	    "Who may connect, and what nlbd may connect to: %s, %s",
	    import_text(im, group, "GroupName", id),
	    import_text(im, group, "Description", id));
	import_section(im, CONF_SECURITY_GROUP, name);
	write_permissions(&in, group, "IpPermissions");
	write_permissions(&out, group, "IpPermissionsEgress");
	if (out.n == 0) {
		/* Without any rule nlbd would allow every destination. */
		import_note(im,
		    "%s allows no destination, so that no target is reached: "
		    "write Outbound rules for them",
		    id);
		import_entry(im, "Outbound.nothing", "%s",
		    "Protocol=tcp,PortRange=1,Destination=255.255.255.255/32");
	}
}

static json_t *
find_by(const struct import *im, const char *member, const char *key,
    const char *id)
{
	json_t *value;
	size_t i;

	json_array_foreach(import_all(im, member), i, value)
	{
		const char *text =
		    json_string_value(json_object_get(value, key));

		if (text != NULL && strcmp(text, id) == 0)
			return value;
	}
	return NULL;
}

void
import_security_groups(struct import *im)
{
	json_t *ids = import_list(
	    im, im->balancer, "SecurityGroups", "the load balancer");
	json_t *id;
	size_t i;

	json_array_foreach(ids, i, id)
	{
		const char *text = json_string_value(id);
		json_t *group = text == NULL ? NULL
					     : find_by(im, "SecurityGroups",
						   "GroupId", text);

		if (group != NULL)
			write_group(im, group, text);
		else
			import_fail(im,
			    "security-groups.json with %s is missing: aws ec2 "
			    "describe-security-groups --group-ids %s",
			    text == NULL ? "?" : text,
			    text == NULL ? "?" : text);
	}
}

/* ---- prefix lists ----------------------------------------------------- */

static void
write_entry(struct import *im, size_t i, const char *cidr)
{
	char key[48];

	snprintf(key, sizeof(key), "Entry.entry-%zu", i + 1);
	import_entry(im, key, "%s", cidr);
}

static void
write_prefix_list(struct import *im, const char *id)
{
	json_t *list = find_by(im, "PrefixLists", "PrefixListId", id);
	json_t *cidrs = NULL, *entries = NULL, *value;
	char name[CONF_NAME_MAX + 1];
	size_t i;

	if (list != NULL)
		cidrs = import_list(im, list, "Cidrs", id);
	else
		entries = import_owned_by(im, IMPORT_PREFIX_LIST, id, id, true);
	if ((cidrs == NULL && entries == NULL) || !import_name(im, id, name))
		return;
	fputc('\n', im->ini);
	import_section(im, CONF_PREFIX_LIST, name);
	json_array_foreach(cidrs, i, value) write_entry(
	    im, i, json_is_string(value) ? json_string_value(value) : "?");
	json_array_foreach(entries, i, value)
	    write_entry(im, i, import_text(im, value, "Cidr", id));
}

/* Those that one direction of one group names, each once. */
static void
write_prefix_lists_of(
    struct import *im, json_t *group, const char *key, json_t *written)
{
	json_t *permission, *entry;
	size_t i, j;

	json_array_foreach(json_object_get(group, key), i, permission)
	{
		json_array_foreach(
		    json_object_get(permission, "PrefixListIds"), j, entry)
		{
			const char *id = json_string_value(
			    json_object_get(entry, "PrefixListId"));

			if (id == NULL ||
			    !means_tcp(import_text(
				im, permission, "IpProtocol", id)) ||
			    json_object_get(written, id) != NULL)
				continue;
			json_object_set_new(written, id, json_true());
			write_prefix_list(im, id);
		}
	}
}

void
import_prefix_lists(struct import *im)
{
	json_t *written = json_object(), *id;
	size_t i;

	json_array_foreach(
	    json_object_get(im->balancer, "SecurityGroups"), i, id)
	{
		json_t *group = NULL;

		if (json_is_string(id))
			group = find_by(im, "SecurityGroups", "GroupId",
			    json_string_value(id));
		write_prefix_lists_of(im, group, "IpPermissions", written);
		write_prefix_lists_of(
		    im, group, "IpPermissionsEgress", written);
	}
	json_decref(written);
}

/* ---- network ACLs ----------------------------------------------------- */

json_t *
import_find_network_acl(struct import *im)
{
	const char *subnet = import_text(im, im->zone, "SubnetId", "the zone");
	json_t *acls = import_all(im, "NetworkAcls"), *acl;
	size_t i, j;

	json_array_foreach(acls, i, acl)
	{
		json_t *list =
		    import_list(im, acl, "Associations", "a network ACL");
		json_t *association;

		json_array_foreach(list, j, association)
		{
			if (strcmp(import_text(im, association, "SubnetId",
				       "a network ACL"),
				subnet) == 0)
				return acl;
		}
	}
	if (acls != NULL)
		import_note(im,
		    "no network ACL is carried over: the documents have none "
		    "of the subnet %s",
		    subnet);
	return NULL;
}

static void
write_acl_entry(struct import *im, json_t *entry, const char *id)
{
	json_t *egress = json_object_get(entry, "Egress");
	const char *action = import_text(im, entry, "RuleAction", id);
	const char *protocol = import_text(im, entry, "Protocol", id);
	const char *cidr = import_text(im, entry, "CidrBlock", id);
	json_int_t number = import_number(im, entry, "RuleNumber", id);
	json_t *range = import_object(im, entry, "PortRange", id);
	char key[48], ports[16];

	if (!json_is_boolean(egress) ||
	    (strcmp(action, "allow") != 0 && strcmp(action, "deny") != 0)) {
		import_fail(im,
		    "%s: rule %lld: Egress is true or false, RuleAction allow "
		    "or deny",
		    id, (long long)number);
		return;
	}
	if (number > ACL_NUMBER_MAX)
		return; /* nlbd ends every list so, too */
	if (cidr[0] == '\0')
		cidr = import_text(im, entry, "Ipv6CidrBlock", id);
	if (!means_tcp(protocol) ||
	    !format_ports(import_number(im, range, "From", id),
		import_number(im, range, "To", id), range == NULL, ports)) {
		import_note(im,
		    "%s: rule %lld is not carried over: protocol %s, and nlbd "
		    "forwards TCP alone",
		    id, (long long)number, protocol);
		return;
	}
	if (strpbrk(cidr, ",=\"") != NULL) {
		import_fail(im, "%s: '%s' is no CIDR block", id, cidr);
		return;
	}
	snprintf(key, sizeof(key), "%s.%lld",
	    json_is_true(egress) ? "Outbound" : "Inbound", (long long)number);
	import_entry(im, key, "Protocol=tcp,PortRange=%s,%s=%s,RuleAction=%s",
	    ports, json_is_true(egress) ? "Destination" : "Source", cidr,
	    action);
}

void
import_network_acl(struct import *im, json_t *acl)
{
	const char *id = import_text(im, acl, "NetworkAclId", "a network ACL");
	char name[CONF_NAME_MAX + 1];
	json_t *list = import_list(im, acl, "Entries", id), *entry;
	size_t i;

	if (!import_name(im, id, name))
		return;
	fputc('\n', im->ini);
	import_comment(im, "the network ACL of subnet %s",
	    import_text(im, im->zone, "SubnetId", "the zone"));
	import_section(im, CONF_NETWORK_ACL, name);
	json_array_foreach(list, i, entry) write_acl_entry(im, entry, id);
}
