/*
 * The load balancer and its listeners in the shapes of the AWS CLI.
 */
#include "admin/view.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "nlb/arn.h"

json_t *
view_arn(enum arn_kind kind, const struct conf *conf, const char *name)
{
	char arn[ARN_MAX];

	return json_string(arn_format(kind, conf, name, arn));
}

/* As Python's isoformat(), which the AWS CLI prints times with. */
static json_t *
created_time(const struct admin_ops *ops)
{
	struct admin_status status = {0};
	char text[32];
	struct tm tm;
	time_t t;

	ops->status(ops->owner, &status);
	t = (time_t)(status.start_ms / 1000);
	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return json_null();
	return json_sprintf(
	    "%s.%03u000+00:00", text, (unsigned)(status.start_ms % 1000));
}

static bool
has_text(const json_t *list, const char *text)
{
	const json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
	{
		if (strcmp(json_string_value(value), text) == 0)
			return true;
	}
	return false;
}

/* Of all listeners, each once. */
static json_t *
security_groups(const struct conf *conf)
{
	json_t *list = json_array();

	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		for (uint32_t j = 0; j < l->n_security_groups; j++) {
			const char *name =
			    conf->security_groups[l->security_groups[j]].name;

			if (!has_text(list, name) &&
			    json_array_append_new(list, json_string(name)) !=
				0) {
				json_decref(list);
				return NULL;
			}
		}
	}
	return list;
}

/* The local addresses that listeners name; none while they take all. */
static json_t *
addresses(const struct conf *conf)
{
	json_t *list = json_array(), *seen = json_array();
	bool failed = list == NULL;
	char ip[ADDR_IP_STRLEN];

	for (size_t i = 0; i < conf->n_listeners && !failed; i++) {
		const struct addr *a = &conf->listeners[i].address;

		if (a->family == ADDR_NONE ||
		    has_text(seen, addr_format_ip(a, ip, sizeof(ip))))
			continue;
		failed = json_array_append_new(seen, json_string(ip)) != 0 ||
			 json_array_append_new(
			     list, json_pack("{s:s}",
				       a->family == ADDR_IPV6 ? "IPv6Address"
							      : "IpAddress",
				       ip)) != 0;
	}
	json_decref(seen);
	if (!failed)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *
zones(const struct conf *conf)
{
	if (conf->lb.availability_zone[0] == '\0')
		return json_array();
	return json_pack("[{s:s, s:o}]", "ZoneName", conf->lb.availability_zone,
	    "LoadBalancerAddresses", addresses(conf));
}

json_t *
view_load_balancers(const struct admin_ops *ops)
{
	const struct conf *conf = ops->conf(ops->owner);

	return json_pack("{s:[{s:o, s:o, s:s, s:{s:s}, s:s, s:o, s:o, s:s}]}",
	    "LoadBalancers", "LoadBalancerArn",
	    view_arn(ARN_LOAD_BALANCER, conf, conf->lb.name), "CreatedTime",
	    created_time(ops), "LoadBalancerName", conf->lb.name, "State",
	    "Code", "active", "Type", "network", "AvailabilityZones",
	    zones(conf), "SecurityGroups", security_groups(conf),
	    "IpAddressType",
	    conf->lb.ip_address_type == CONF_DUALSTACK ? "dualstack" : "ipv4");
}

/* One forward action; the group stands in it besides when it is the only
 * one. */
static json_t *
forward_action(const struct conf *conf, const struct conf_listener *l)
{
	json_t *groups = json_array(), *action;

	for (uint32_t i = 0; i < l->n_forwards; i++) {
		const struct conf_forward *f = &l->forwards[i];

		if (json_array_append_new(
			groups, json_pack("{s:o, s:i}", "TargetGroupArn",
				    view_arn(ARN_TARGET_GROUP, conf,
					conf->target_groups[f->group].name),
				    "Weight", (int)f->weight)) != 0) {
			json_decref(groups);
			return NULL;
		}
	}
	action = json_pack("{s:s, s:i, s:{s:o}}", "Type", "forward", "Order", 1,
	    "ForwardConfig", "TargetGroups", groups);
	if (action != NULL && l->n_forwards == 1 &&
	    !view_put(action, "TargetGroupArn",
		view_arn(ARN_TARGET_GROUP, conf,
		    conf->target_groups[l->forwards[0].group].name))) {
		json_decref(action);
		return NULL;
	}
	return action;
}

json_t *
view_listeners(const struct conf *conf, const struct conf_listener *only)
{
	json_t *list = json_array();

	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (only != NULL && only != l)
			continue;
		if (json_array_append_new(list,
			json_pack("{s:o, s:o, s:i, s:s, s:[o]}", "ListenerArn",
			    view_arn(ARN_LISTENER, conf, l->name),
			    "LoadBalancerArn",
			    view_arn(ARN_LOAD_BALANCER, conf, conf->lb.name),
			    "Port", (int)l->port, "Protocol", "TCP",
			    "DefaultActions", forward_action(conf, l))) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:o}", "Listeners", list);
}
