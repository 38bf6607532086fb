/*
 * What the configuration in force says, and how the targets are, in the shapes
 * of the ELBv2 API.
 */
#include "admin/server.h"

#include <string.h>

#include "base/log.h"
#include "nlb/arn.h"

static const struct conf *
conf_of(const struct admin_request *request)
{
	const struct admin_ops *ops = request->admin->ops;

	return ops->conf(ops->owner);
}

static void
answer_missing(struct admin_request *request, const char *code,
    const char *what, const char *name)
{
	char escaped[256];

	if (name == NULL) {
		admin_answer_error(request, MHD_HTTP_BAD_REQUEST,
		    "ValidationError", "name the %s", what);
		return;
	}
	log_escape(escaped, sizeof(escaped), name, strlen(name));
	admin_answer_error(request, MHD_HTTP_NOT_FOUND, code,
	    "there is no %s '%s'", what, escaped);
}

/* A name, also when an ARN was given; NULL: neither. */
static const char *
name_param(const struct admin_request *request, const char *param,
    enum arn_kind kind, char buf[ARN_MAX])
{
	const char *text = admin_param(request, param);

	return text == NULL ? NULL : arn_name(kind, text, buf);
}

/* There is only one; a script that names it has to mean this one. False: that
 * was answered. */
static bool
is_load_balancer(struct admin_request *request)
{
	const char *text = admin_param(request, "load-balancer");

	if (text == NULL || arn_is_load_balancer(conf_of(request), text))
		return true;
	answer_missing(request, "LoadBalancerNotFound", "load balancer", text);
	return false;
}

/* Reads target-group; answers and returns false when there is no such one. */
static bool
group_param(
    struct admin_request *request, const char **group, char buf[ARN_MAX])
{
	*group = name_param(request, "target-group", ARN_TARGET_GROUP, buf);
	if (*group == NULL ||
	    view_has_target_group(request->admin->ops, *group))
		return true;
	answer_missing(request, "TargetGroupNotFound", "target group", *group);
	return false;
}

static void
handle_target_health(struct admin_request *request)
{
	char buf[ARN_MAX];
	const char *group;

	if (group_param(request, &group, buf))
		admin_answer(request, MHD_HTTP_OK,
		    view_target_health(request->admin->ops, group));
}

static void
handle_targets(struct admin_request *request)
{
	char buf[ARN_MAX];
	const char *group;

	if (group_param(request, &group, buf))
		admin_answer(request, MHD_HTTP_OK,
		    view_targets(request->admin->ops, group,
			uv_now(request->admin->loop)));
}

static void
handle_load_balancers(struct admin_request *request)
{
	if (is_load_balancer(request))
		admin_answer(request, MHD_HTTP_OK,
		    view_load_balancers(request->admin->ops));
}

static void
handle_load_balancer_attributes(struct admin_request *request)
{
	if (is_load_balancer(request))
		admin_answer(request, MHD_HTTP_OK,
		    view_attributes(conf_of(request), CONF_LOAD_BALANCER, 0));
}

static void
handle_listeners(struct admin_request *request)
{
	const struct conf *conf = conf_of(request);
	char buf[ARN_MAX];
	const char *name = name_param(request, "listener", ARN_LISTENER, buf);
	const struct conf_listener *listener =
	    name == NULL ? NULL : conf_find_listener(conf, name);

	if (!is_load_balancer(request))
		return;
	if (name != NULL && listener == NULL)
		answer_missing(request, "ListenerNotFound", "listener", name);
	else
		admin_answer(
		    request, MHD_HTTP_OK, view_listeners(conf, listener));
}

static void
handle_target_groups(struct admin_request *request)
{
	const struct conf *conf = conf_of(request);
	char buf[ARN_MAX];
	const char *name =
	    name_param(request, "target-group", ARN_TARGET_GROUP, buf);
	const struct conf_target_group *tg =
	    name == NULL ? NULL : conf_find_target_group(conf, name);

	if (!is_load_balancer(request))
		return;
	if (name != NULL && tg == NULL)
		answer_missing(
		    request, "TargetGroupNotFound", "target group", name);
	else
		admin_answer(
		    request, MHD_HTTP_OK, view_target_groups(conf, tg));
}

static void
handle_target_group_attributes(struct admin_request *request)
{
	const struct conf *conf = conf_of(request);
	char buf[ARN_MAX];
	const char *name =
	    name_param(request, "target-group", ARN_TARGET_GROUP, buf);
	const struct conf_target_group *tg =
	    name == NULL ? NULL : conf_find_target_group(conf, name);

	if (tg == NULL)
		answer_missing(
		    request, "TargetGroupNotFound", "target group", name);
	else
		admin_answer(request, MHD_HTTP_OK,
		    view_attributes(conf, CONF_TARGET_GROUP,
			(size_t)(tg - conf->target_groups)));
}

static void
handle_listener_attributes(struct admin_request *request)
{
	const struct conf *conf = conf_of(request);
	char buf[ARN_MAX];
	const char *name = name_param(request, "listener", ARN_LISTENER, buf);
	const struct conf_listener *listener =
	    name == NULL ? NULL : conf_find_listener(conf, name);

	if (listener == NULL)
		answer_missing(request, "ListenerNotFound", "listener", name);
	else
		admin_answer(request, MHD_HTTP_OK,
		    view_attributes(conf, CONF_LISTENER,
			(size_t)(listener - conf->listeners)));
}

static const struct admin_route routes[] = {
    {"GET", "/v1/target-health", handle_target_health, {"target-group"}, false},
    {"GET", "/v1/targets", handle_targets, {"target-group"}, false},
    {"GET", "/v1/load-balancers", handle_load_balancers, {"load-balancer"},
	false},
    {"GET", "/v1/load-balancer-attributes", handle_load_balancer_attributes,
	{"load-balancer"}, false},
    {"GET", "/v1/listeners", handle_listeners, {"listener", "load-balancer"},
	false},
    {"GET", "/v1/listener-attributes", handle_listener_attributes, {"listener"},
	false},
    {"GET", "/v1/target-groups", handle_target_groups,
	{"target-group", "load-balancer"}, false},
    {"GET", "/v1/target-group-attributes", handle_target_group_attributes,
	{"target-group"}, false},
};

const struct admin_route *
admin_find_describe_route(const char *path)
{
	return admin_route_among(
	    routes, sizeof(routes) / sizeof(routes[0]), path);
}
