/*
 * Attributes and settings as the ELBv2 API shows them, by the attribute table.
 */
#include "admin/view.h"

#include <string.h>

/* Values are strings, of numbers and switches too. */
static json_t *
attribute(const struct conf *conf, const struct conf_attribute *a, size_t index)
{
	char text[CONF_TEXT_MAX];

	return json_pack("{s:s, s:o}", "Key", a->key, "Value",
	    view_text(conf_attribute_format(conf, a, index, text)));
}

json_t *
view_attributes(
    const struct conf *conf, enum conf_section_kind kind, size_t index)
{
	json_t *list = json_array();

	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);

		if (a->section != kind || !conf_attribute_is_attribute(a))
			continue;
		if (json_array_append_new(list, attribute(conf, a, index)) !=
		    0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:o}", "Attributes", list);
}

/* 30, and 0.2 where it is no whole number. */
static json_t *
seconds(uint32_t ms)
{
	return ms % 1000 == 0 ? json_integer(ms / 1000) : json_real(ms / 1e3);
}

/* What only some protocols have. */
static bool
put_protocol_settings(
    json_t *group, const struct conf *conf, const struct conf_target_group *tg)
{
	const struct conf_attribute *a;
	char text[CONF_TEXT_MAX];
	const char *codes = "Matcher.HttpCode";

	if (tg->check_protocol == CONF_CHECK_SMTP)
		return view_put(group, "HealthCheckSmtpStartTls",
		    json_boolean(tg->check_smtp_starttls));
	if (tg->check_protocol == CONF_CHECK_TCP)
		return true;
	a = conf_attribute_find(CONF_TARGET_GROUP, codes, strlen(codes));
	return view_put(group, "HealthCheckPath", view_text(tg->check_path)) &&
	       view_put(group, "Matcher",
		   json_pack("{s:o}", "HttpCode",
		       view_text(conf_attribute_format(conf, a,
			   (size_t)(tg - conf->target_groups), text))));
}

static json_t *
setting(const struct conf *conf, const char *key, size_t index)
{
	const struct conf_attribute *a =
	    conf_attribute_find(CONF_TARGET_GROUP, key, strlen(key));
	char text[CONF_TEXT_MAX];

	return view_text(conf_attribute_format(conf, a, index, text));
}

/* An array: of the one load balancer, when a listener forwards to the group. */
static json_t *
load_balancers_of(const struct conf *conf, size_t index)
{
	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		for (uint32_t j = 0; j < l->n_forwards; j++) {
			if (l->forwards[j].group == index)
				return json_pack(
				    "[o]", view_arn(ARN_LOAD_BALANCER, conf,
					       conf->lb.name));
		}
	}
	return json_array();
}

static json_t *
target_group(const struct conf *conf, size_t index)
{
	const struct conf_target_group *tg = &conf->target_groups[index];
	json_t *group = json_pack(
	    "{s:o, s:s, s:o, s:i, s:o, s:o, s:b, s:o, s:o, s:i, s:i, s:o, s:o,"
	    " s:o}",
	    "TargetGroupArn", view_arn(ARN_TARGET_GROUP, conf, tg->name),
	    "TargetGroupName", tg->name, "Protocol",
	    setting(conf, "Protocol", index), "Port", (int)tg->port,
	    "HealthCheckProtocol", setting(conf, "HealthCheckProtocol", index),
	    "HealthCheckPort", setting(conf, "HealthCheckPort", index),
	    "HealthCheckEnabled", 1, "HealthCheckIntervalSeconds",
	    seconds(tg->check_interval_ms), "HealthCheckTimeoutSeconds",
	    seconds(tg->check_timeout_ms), "HealthyThresholdCount",
	    (int)tg->healthy_threshold_count, "UnhealthyThresholdCount",
	    (int)tg->unhealthy_threshold_count, "LoadBalancerArns",
	    load_balancers_of(conf, index), "TargetType",
	    setting(conf, "TargetType", index), "IpAddressType",
	    setting(conf, "IpAddressType", index));

	if (group != NULL && !put_protocol_settings(group, conf, tg)) {
		json_decref(group);
		group = NULL;
	}
	return group;
}

json_t *
view_target_groups(
    const struct conf *conf, const struct conf_target_group *only)
{
	json_t *list = json_array();

	for (size_t i = 0; i < conf->n_target_groups; i++) {
		if (only != NULL && only != &conf->target_groups[i])
			continue;
		if (json_array_append_new(list, target_group(conf, i)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:o}", "TargetGroups", list);
}
