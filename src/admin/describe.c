/*
 * What the configuration in force says, in the shapes of the ELBv2 API.
 */
#include "admin/server.h"

#include <string.h>

#include "base/log.h"

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

void
admin_handle_target_groups(struct admin_request *request)
{
	const struct conf *conf = conf_of(request);
	const char *name = admin_param(request, "target-group");
	const struct conf_target_group *tg =
	    name == NULL ? NULL : conf_find_target_group(conf, name);

	if (name != NULL && tg == NULL)
		answer_missing(
		    request, "TargetGroupNotFound", "target group", name);
	else
		admin_answer(
		    request, MHD_HTTP_OK, view_target_groups(conf, tg));
}

void
admin_handle_target_group_attributes(struct admin_request *request)
{
	const struct conf *conf = conf_of(request);
	const char *name = admin_param(request, "target-group");
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

void
admin_handle_listener_attributes(struct admin_request *request)
{
	const struct conf *conf = conf_of(request);
	const char *name = admin_param(request, "listener");
	const struct conf_listener *listener =
	    name == NULL ? NULL : conf_find_listener(conf, name);

	if (listener == NULL)
		answer_missing(request, "ListenerNotFound", "listener", name);
	else
		admin_answer(request, MHD_HTTP_OK,
		    view_attributes(conf, CONF_LISTENER,
			(size_t)(listener - conf->listeners)));
}
