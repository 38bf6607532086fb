/*
 * Requests that change something: a JSON object in the shape of the ELBv2 API
 * in, a struct conf_change to the daemon, and the API's answer out.
 *
 *	POST /v1/register-targets
 *	{"TargetGroup": "smtp", "Targets": [{"Id": "10.0.0.1", "Port": 25}]}
 */
#include "admin/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "nlb/arn.h"
#include "nlb/event.h"

/* One change on its way; all strings are its own. */
struct admin_change {
	struct conf_change wanted;
	char *name;
	char **texts; /* of targets, or values of settings */
	char **keys;  /* of settings */
	struct conf_setting *settings;
	size_t n;    /* in texts and keys */
	char *notes; /* what the daemon said beside "done" */
	bool runtime_only;
};

/* In the order of enum conf_change_kind. */
static const struct admin_route routes[] = {
    {"POST", "/v1/register-targets", admin_handle_change, {NULL}, true},
    {"POST", "/v1/deregister-targets", admin_handle_change, {NULL}, true},
    {"POST", "/v1/modify-target-group", admin_handle_change, {NULL}, true},
    {"POST", "/v1/modify-target-group-attributes", admin_handle_change, {NULL},
	true},
    {"POST", "/v1/modify-listener-attributes", admin_handle_change, {NULL},
	true},
};

const struct admin_route *
admin_find_change_route(const char *path)
{
	return admin_route_among(
	    routes, sizeof(routes) / sizeof(routes[0]), path);
}

void
admin_change_destroy(struct admin_change *change)
{
	if (change == NULL)
		return;
	for (size_t i = 0; i < change->n; i++) {
		free(change->texts[i]);
		free(change->keys[i]);
	}
	free(change->texts);
	free(change->keys);
	free(change->settings);
	free(change->name);
	free(change->notes);
	free(change);
}

/* ---- from JSON -------------------------------------------------------- */

static bool __attribute__((format(printf, 2, 3)))
refuse(struct admin_request *request, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	admin_answer(
	    request, MHD_HTTP_BAD_REQUEST, view_error("ValidationError", text));
	return false;
}

static bool
out_of_memory(struct admin_request *request)
{
	admin_answer(request, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL);
	return false;
}

/* Numbers and switches may stand as such, or as strings. NULL: neither. */
static char *
value_text(const json_t *value)
{
	char *text = NULL;
	int n = 0;

	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (json_is_boolean(value))
		return strdup(json_is_true(value) ? "true" : "false");
	if (json_is_integer(value))
		n = asprintf(
		    &text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		n = asprintf(&text, "%.12g", json_real_value(value));
	return n == -1 ? NULL : text;
}

/* {"Id": "10.0.0.1", "Port": 25} as Id=10.0.0.1,Port=25. NULL: that does not
 * go. */
static char *
target_text(const json_t *target)
{
	char *text = NULL;
	const char *name, *comma = "";
	const json_t *value;
	bool sound = json_object_size(target) > 0;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	json_object_foreach((json_t *)(uintptr_t)target, name, value)
	{
		char *field = value_text(value);

		sound = sound && field != NULL &&
			strpbrk(name, "=,\"") == NULL &&
			strpbrk(field, ",\"") == NULL;
		fprintf(f, "%s%s=%s", comma, name, field == NULL ? "" : field);
		free(field);
		comma = ",";
	}
	if (fclose(f) != 0 || !sound) {
		free(text);
		return NULL;
	}
	return text;
}

static bool
make_room(struct admin_change *change, size_t n)
{
	change->texts = calloc(n + 1, sizeof(change->texts[0]));
	change->keys = calloc(n + 1, sizeof(change->keys[0]));
	change->settings = calloc(n + 1, sizeof(change->settings[0]));
	return change->texts != NULL && change->keys != NULL &&
	       change->settings != NULL;
}

static bool
take_targets(struct admin_request *request, const json_t *root)
{
	struct admin_change *change = request->change;
	const json_t *list = json_object_get(root, "Targets"), *target;
	size_t i;

	if (json_array_size(list) == 0)
		return refuse(request,
		    "Targets is a list of {\"Id\": ..., \"Port\": ...}");
	if (!make_room(change, json_array_size(list)))
		return out_of_memory(request);
	json_array_foreach(list, i, target)
	{
		char *text = target_text(target);

		if (text == NULL)
			return refuse(request,
			    "target %zu: an object with an Id, its values "
			    "without commas and double quotes",
			    i + 1);
		change->texts[change->n++] = text;
	}
	change->wanted.targets = (const char *const *)change->texts;
	change->wanted.n_targets = change->n;
	return true;
}

/* Takes key over. */
static bool
add_setting(struct admin_request *request, char *key, const json_t *value)
{
	struct admin_change *change = request->change;
	char *text = value_text(value);

	if (key == NULL || text == NULL) {
		bool refused =
		    key == NULL || refuse(request, "%s has no value", key);

		free(key);
		free(text);
		return refused ? out_of_memory(request) : false;
	}
	change->keys[change->n] = key;
	change->texts[change->n] = text;
	change->settings[change->n] =
	    (struct conf_setting){.key = key, .value = text};
	change->wanted.settings = change->settings;
	change->wanted.n_settings = ++change->n;
	return true;
}

/* [{"Key": "stickiness.enabled", "Value": "true"}] */
static bool
take_attributes(struct admin_request *request, const json_t *root)
{
	const json_t *list = json_object_get(root, "Attributes"), *attribute;
	size_t i;

	if (json_array_size(list) == 0)
		return refuse(request,
		    "Attributes is a list of {\"Key\": ..., \"Value\": ...}");
	if (!make_room(request->change, json_array_size(list)))
		return out_of_memory(request);
	json_array_foreach(list, i, attribute)
	{
		const char *key =
		    json_string_value(json_object_get(attribute, "Key"));
		const json_t *value = json_object_get(attribute, "Value");

		if (key == NULL || value == NULL ||
		    json_object_size(attribute) != 2)
			return refuse(request,
			    "attribute %zu: an object with a Key and a Value",
			    i + 1);
		if (!add_setting(request, strdup(key), value))
			return false;
	}
	return true;
}

static bool
add_nested(struct admin_request *request, const char *outer, json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		char *key;

		if (asprintf(&key, "%s.%s", outer, name) == -1)
			key = NULL;
		if (!add_setting(request, key, value))
			return false;
	}
	return true;
}

/* {"HealthCheckProtocol": "HTTP", "Matcher": {"HttpCode": "200"}} */
static bool
take_settings(struct admin_request *request, json_t *root)
{
	const char *name;
	json_t *value;
	size_t n = json_object_size(root);

	json_object_foreach(root, name, value) n += json_object_size(value);
	if (!make_room(request->change, n))
		return out_of_memory(request);
	json_object_foreach(root, name, value)
	{
		if (strcmp(name, "TargetGroup") == 0 ||
		    strcmp(name, "Runtime") == 0)
			continue;
		if (json_is_object(value)
			? !add_nested(request, name, value)
			: !add_setting(request, strdup(name), value))
			return false;
	}
	if (request->change->n == 0)
		return refuse(request, "nothing to change is given");
	return true;
}

/* Only those members that the verb has. */
static bool
has_only(struct admin_request *request, json_t *root, const char *section,
    const char *list)
{
	const char *name;
	json_t *value;

	json_object_foreach(root, name, value)
	{
		if (strcmp(name, section) != 0 && strcmp(name, list) != 0 &&
		    strcmp(name, "Runtime") != 0)
			return refuse(request,
			    "unknown member; those here are %s, %s and Runtime",
			    section, list);
	}
	return true;
}

static bool
take_change(struct admin_request *request, json_t *root)
{
	struct admin_change *change = request->change;
	const char *section = "TargetGroup", *name;
	enum arn_kind arn_kind = ARN_TARGET_GROUP;
	char buf[ARN_MAX];
	const json_t *runtime = json_object_get(root, "Runtime");

	if (change->wanted.kind == CONF_CHANGE_LISTENER_ATTRIBUTES) {
		section = "Listener";
		arn_kind = ARN_LISTENER;
	}
	name = json_string_value(json_object_get(root, section));
	if (name == NULL)
		return refuse(request, "%s is the name of one", section);
	if (runtime != NULL && !json_is_boolean(runtime))
		return refuse(request, "Runtime is true or false");
	change->runtime_only = json_is_true(runtime);
	change->name = strdup(arn_name(arn_kind, name, buf));
	if (change->name == NULL)
		return out_of_memory(request);
	change->wanted.name = change->name;
	switch (change->wanted.kind) {
	case CONF_CHANGE_REGISTER_TARGETS:
	case CONF_CHANGE_DEREGISTER_TARGETS:
		return has_only(request, root, section, "Targets") &&
		       take_targets(request, root);
	case CONF_CHANGE_TARGET_GROUP:
		return take_settings(request, root);
	default:
		return has_only(request, root, section, "Attributes") &&
		       take_attributes(request, root);
	}
}

/* ---- the answer ------------------------------------------------------- */

/* What is said in lines, as a list. */
static json_t *
notes_view(const char *text)
{
	json_t *list = json_array();

	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "\n");

		if (json_array_append_new(list, json_stringn(text, len)) != 0) {
			json_decref(list);
			return NULL;
		}
		text += len + (text[len] == '\n');
	}
	return list;
}

static json_t *
result_view(const struct admin_ops *ops, const struct conf_change *wanted)
{
	const struct conf *conf = ops->conf(ops->owner);
	const struct conf_target_group *tg =
	    conf_find_target_group(conf, wanted->name);
	const struct conf_listener *listener =
	    conf_find_listener(conf, wanted->name);

	if (wanted->kind == CONF_CHANGE_TARGET_GROUP && tg != NULL)
		return view_target_groups(conf, tg);
	if (wanted->kind == CONF_CHANGE_TARGET_GROUP_ATTRIBUTES && tg != NULL)
		return view_attributes(conf, CONF_TARGET_GROUP,
		    (size_t)(tg - conf->target_groups));
	if (wanted->kind == CONF_CHANGE_LISTENER_ATTRIBUTES && listener != NULL)
		return view_attributes(
		    conf, CONF_LISTENER, (size_t)(listener - conf->listeners));
	return json_object();
}

static void
on_changed(void *arg, bool accepted, const char *text)
{
	struct admin_request *request = arg;
	struct admin_change *change = request->change;
	json_t *root, *notes;

	(void)accepted; /* mistakes were answered before */
	if (!admin_op_done(request))
		return;
	root = result_view(request->admin->ops, &change->wanted);
	notes = notes_view(change->notes);
	if (text[0] != '\0')
		json_array_append_new(notes, view_text(text));
	if (json_array_size(notes) > 0)
		json_object_set(root, "Notes", notes);
	json_decref(notes);
	admin_answer(request, MHD_HTTP_OK, root);
}

static void
answer_refused(struct admin_request *request, int rc, const char *text)
{
	bool is_listener =
	    request->change->wanted.kind == CONF_CHANGE_LISTENER_ATTRIBUTES;

	request->op_pending = false;
	if (text == NULL)
		text = strerror(-rc);
	switch (rc) {
	case -ENOENT:
		admin_answer(request, MHD_HTTP_NOT_FOUND,
		    view_error(is_listener ? "ListenerNotFound"
					   : "TargetGroupNotFound",
			text));
		break;
	case -EINVAL:
		admin_answer(request, MHD_HTTP_BAD_REQUEST,
		    view_error("ValidationError", text));
		break;
	case -ENOMEM:
		out_of_memory(request);
		break;
	default:
		admin_answer(request, MHD_HTTP_CONFLICT,
		    view_error("OperationNotPermitted", text));
		break;
	}
}

static void
log_asked(const struct admin_request *request)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	const struct admin_change *change = request->change;
	char escaped[256];
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (info == NULL || getsockopt(info->connect_fd, SOL_SOCKET,
				SO_PEERCRED, &peer, &len) != 0)
		return;
	log_escape(
	    escaped, sizeof(escaped), change->name, strlen(change->name));
	event_log(EVENT_CHANGE_ASKED, "%s of %s asked by uid %u, pid %d",
	    conf_change_verb(change->wanted.kind), escaped, (unsigned)peer.uid,
	    (int)peer.pid);
}

static void
start(struct admin_request *request)
{
	const struct admin_ops *ops = request->admin->ops;
	struct admin_change *change = request->change;
	int rc;

	log_asked(request);
	request->op_pending = true;
	rc = ops->change(ops->owner, &change->wanted, change->runtime_only,
	    &change->notes, on_changed, request);
	if (rc == -ESHUTDOWN)
		admin_op_started(request, rc);
	else if (rc < 0)
		answer_refused(request, rc, change->notes);
}

void
admin_handle_change(struct admin_request *request)
{
	json_error_t error;
	json_t *root;

	request->change = calloc(1, sizeof(*request->change));
	if (request->change == NULL) {
		out_of_memory(request);
		return;
	}
	request->change->wanted.kind =
	    (enum conf_change_kind)(request->route - routes);
	root = json_loadb(request->upload == NULL ? "" : request->upload,
	    request->n_upload, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(root))
		refuse(request, "the body is no JSON object: line %d: %s",
		    error.line, root == NULL ? error.text : "not an object");
	else if (take_change(request, root))
		start(request);
	json_decref(root);
}
