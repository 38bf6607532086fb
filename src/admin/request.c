/*
 * Requests: the route table, the checks every request passes, and answers,
 * at once or when an operation of the daemon has finished.
 */
#include "admin/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/stdlib.h>
#include <bsd/string.h>

#include "admin/metrics.h"
#include "base/log.h"

static void
request_free(struct admin_request *request)
{
	if (request->connection != NULL || request->op_pending)
		return; /* somebody still holds it */
	free(request->body);
	free(request->upload);
	admin_change_destroy(request->change);
	free(request);
}

void
admin_answer_text(struct admin_request *request, unsigned http_status,
    const char *content_type, char *text, size_t n)
{
	request->http_status = http_status;
	request->content_type = content_type;
	request->body = text;
	request->n_body = n;
	if (request->state == REQUEST_SUSPENDED) {
		MHD_resume_connection(request->connection);
		admin_wake(request->admin);
	}
	request->state = REQUEST_ANSWERED;
}

void
admin_answer(struct admin_request *request, unsigned http_status, json_t *root)
{
	char *text = NULL;

	if (root != NULL)
		text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER |
					    JSON_REAL_PRECISION(9));
	json_decref(root);
	admin_answer_text(request, http_status, "application/json", text,
	    text == NULL ? 0 : strlen(text));
}

void
admin_answer_error(struct admin_request *request, unsigned http_status,
    const char *code, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	admin_answer(request, http_status, view_error(code, text));
}

const char *
admin_param(const struct admin_request *request, const char *name)
{
	return MHD_lookup_connection_value(
	    request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static uint64_t
now_ms(const struct admin_request *request)
{
	return uv_now(request->admin->loop);
}

static void
handle_status(struct admin_request *request)
{
	const char *text = admin_param(request, "include");
	unsigned include = 0;

	if (text != NULL && strcmp(text, "targets") == 0) {
		include = VIEW_INCLUDE_TARGETS;
	} else if (text != NULL && strcmp(text, "latency") == 0) {
		include = VIEW_INCLUDE_TARGETS | VIEW_INCLUDE_LATENCY;
	} else if (text != NULL) {
		admin_answer_error(request, MHD_HTTP_BAD_REQUEST,
		    "ValidationError",
		    "include is targets, latency (and targets), or not given");
		return;
	}
	admin_answer(request, MHD_HTTP_OK,
	    view_status(request->admin->ops, include, now_ms(request)));
}

static void
handle_metric_list(struct admin_request *request)
{
	const char *by = admin_param(request, "by"),
		   *name = admin_param(request, "name");
	const struct metric *only = NULL;
	unsigned dimensions = 0;

	if (by != NULL)
		dimensions = metric_dimensions_find(by);
	if (by != NULL && dimensions == 0) {
		admin_answer_error(request, MHD_HTTP_BAD_REQUEST,
		    "ValidationError",
		    "by is load-balancer, zone, target-group, listener, "
		    "target or all");
		return;
	}
	if (name != NULL)
		only = metric_find(name);
	if (name != NULL && only == NULL) {
		admin_answer_error(request, MHD_HTTP_NOT_FOUND,
		    "MetricNotFound",
		    "there is no such metric; nlbctl metrics lists them");
		return;
	}
	admin_answer(request, MHD_HTTP_OK,
	    view_metrics(request->admin->ops, dimensions, only));
}

bool
admin_op_done(struct admin_request *request)
{
	request->op_pending = false;
	if (request->connection != NULL)
		return true;
	request_free(request);
	return false;
}

static void
on_verdict(void *arg, bool accepted, const char *text)
{
	struct admin_request *request = arg;

	if (admin_op_done(request))
		admin_answer(request,
		    accepted ? MHD_HTTP_OK : MHD_HTTP_CONFLICT,
		    view_verdict(accepted, text));
}

void
admin_op_started(struct admin_request *request, int rc)
{
	if (rc == 0)
		return;
	request->op_pending = false;
	admin_answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "Unavailable",
	    "nlbd cannot do that now: %s", strerror(-rc));
}

static void
handle_reload(struct admin_request *request)
{
	const struct admin_ops *ops = request->admin->ops;

	request->op_pending = true;
	admin_op_started(request, ops->reload(ops->owner, on_verdict, request));
}

static void
handle_upgrade(struct admin_request *request)
{
	const struct admin_ops *ops = request->admin->ops;

	request->op_pending = true;
	admin_op_started(
	    request, ops->upgrade(ops->owner, on_verdict, request));
}

static void
handle_check(struct admin_request *request)
{
	const struct admin_ops *ops = request->admin->ops;

	request->op_pending = true;
	admin_op_started(request, ops->check(ops->owner, on_verdict, request));
}

static void
handle_metrics(struct admin_request *request)
{
	const char *accept = MHD_lookup_connection_value(
	    request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	bool open_metrics = metrics_wants_open_metrics(accept);
	size_t n = 0;
	char *page = metrics_page(request->admin->ops, open_metrics, &n);

	admin_answer_text(
	    request, MHD_HTTP_OK, metrics_content_type(open_metrics), page, n);
}

/* A later verb adds a row. GET rows answer HEAD too. */
static const struct admin_route routes[] = {
    {"GET", "/v1/status", handle_status, {"include"}, false},
    {"GET", "/v1/flows", admin_handle_flows, {"limit", "target", "listener"},
	false},
    /* Workers do more while somebody asks for it. */
    {"GET", "/v1/flows/watch", admin_handle_watch_flows,
	{"since", "target", "listener"}, true},
    {"GET", "/v1/events", admin_handle_events, {"since"}, false},
    {"GET", "/v1/history", admin_handle_history, {"since"}, false},
    {"GET", "/", admin_handle_page, {NULL}, false},
    {"GET", "/app.js", admin_handle_page, {NULL}, false},
    {"GET", "/charts.js", admin_handle_page, {NULL}, false},
    {"GET", "/chart.min.js", admin_handle_page, {NULL}, false},
    {"GET", "/style.css", admin_handle_page, {NULL}, false},
    {"GET", "/icon.svg", admin_handle_page, {NULL}, false},
    {"GET", "/metrics", handle_metrics, {NULL}, false},
    {"GET", "/v1/metrics", handle_metric_list, {"by", "name"}, false},
    {"GET", "/healthz", admin_handle_healthz, {NULL}, false},
    {"GET", "/readyz", admin_handle_readyz, {NULL}, false},
    {"GET", "/zone-health", admin_handle_zone_health, {NULL}, false},
    /* It reads a file for everyone who asks, and shows lines of it. */
    {"GET", "/v1/check", handle_check, {NULL}, true},
    {"POST", "/v1/reload", handle_reload, {NULL}, true},
    {"POST", "/v1/upgrade", handle_upgrade, {NULL}, true},
    {"POST", "/v1/drain-node", admin_handle_drain_node, {NULL}, true},
    {"POST", "/v1/undrain-node", admin_handle_undrain_node, {NULL}, true},
    {"POST", "/v1/notify-test", admin_handle_notify_test, {NULL}, true},
};

const struct admin_route *
admin_route_among(const struct admin_route *list, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].path, path) == 0)
			return &list[i];
	}
	return NULL;
}

static const struct admin_route *
find_route(const char *path)
{
	const struct admin_route *route =
	    admin_route_among(routes, sizeof(routes) / sizeof(routes[0]), path);

	if (route == NULL)
		route = admin_find_describe_route(path);
	return route != NULL ? route : admin_find_change_route(path);
}

static bool
takes_body(const struct admin_route *route)
{
	return route->handle == admin_handle_change;
}

static bool
method_fits(const struct admin_route *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(route->method, "GET") == 0 &&
		   strcmp(method, "HEAD") == 0);
}

/* A body that will not be taken is refused before it is read. */
static bool
refuses_body(struct admin_request *request)
{
	const char *length, *error = NULL;
	bool is_chunked, takes = takes_body(request->route);

	is_chunked =
	    MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
		MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
	length = MHD_lookup_connection_value(request->connection,
	    MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	if (!is_chunked && (length == NULL || strcmp(length, "0") == 0))
		return false;
	if (!takes) {
		admin_answer_error(request, MHD_HTTP_CONTENT_TOO_LARGE,
		    "RequestTooLarge", "%s takes no body",
		    request->route->path);
		return true;
	}
	if (!is_chunked)
		(void)strtonum(length, 0, (long long)ADMIN_BODY_MAX, &error);
	if (!is_chunked && error == NULL)
		return false;
	admin_answer_error(request, MHD_HTTP_CONTENT_TOO_LARGE,
	    "RequestTooLarge",
	    "a body has at most %zu bytes, and says so in Content-Length",
	    ADMIN_BODY_MAX);
	return true;
}

static enum MHD_Result
find_unknown_param(
    void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct admin_request *request = cls;
	char escaped[128];
	size_t i;

	(void)kind;
	(void)value;
	for (i = 0; i < ADMIN_PARAMS_MAX && request->route->params[i] != NULL;
	     i++) {
		if (strcmp(request->route->params[i], key) == 0)
			return MHD_YES;
	}
	log_escape(escaped, sizeof(escaped), key, strlen(key));
	admin_answer_error(request, MHD_HTTP_BAD_REQUEST, "ValidationError",
	    "unknown parameter '%s'", escaped);
	return MHD_NO;
}

static size_t
head_size(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info;

	info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	return info == NULL ? 0 : info->header_size;
}

/* Everything that can be said about a request from its head. */
static void
check_head(struct admin_request *request, const char *url, const char *method)
{
	char escaped[256];

	if (head_size(request->connection) > ADMIN_HEAD_MAX) {
		admin_answer_error(request,
		    MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "RequestTooLarge",
		    "the request's head is longer than %d bytes",
		    ADMIN_HEAD_MAX);
		return;
	}
	if (request->admin->read_only && admin_guard_refuses(request, method))
		return;
	request->route = find_route(url);
	if (request->route == NULL) {
		log_escape(escaped, sizeof(escaped), url, strlen(url));
		admin_answer_error(request, MHD_HTTP_NOT_FOUND, "NotFound",
		    "there is no %s", escaped);
	} else if (request->admin->read_only && request->route->is_local) {
		admin_answer_error(request, MHD_HTTP_FORBIDDEN, "AccessDenied",
		    "%s is asked on the unix socket: use nlbctl",
		    request->route->path);
	} else if (!method_fits(request->route, method)) {
		admin_answer_error(request, MHD_HTTP_METHOD_NOT_ALLOWED,
		    "MethodNotAllowed", "%s takes %s", request->route->path,
		    request->route->method);
	} else if (!refuses_body(request)) {
		request->path = request->route->path;
		MHD_get_connection_values(request->connection,
		    MHD_GET_ARGUMENT_KIND, find_unknown_param, request);
	}
}

static void
add_headers(const struct admin_request *request, struct MHD_Response *response)
{
	static const char *const headers[][2] = {
	    {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
	    {"X-Content-Type-Options", "nosniff"},
	    {"Cross-Origin-Resource-Policy", "same-origin"},
	};
	size_t i;

	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
	    request->content_type == NULL ? "application/json"
					  : request->content_type);
	for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
	MHD_add_response_header(response,
	    MHD_HTTP_HEADER_CONTENT_SECURITY_POLICY,
	    request->policy == NULL
		? "default-src 'none'; frame-ancestors 'none'"
		: request->policy);
	if (request->http_status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
		    request->admin->read_only ? "GET, HEAD"
					      : request->route->method);
	/* One request per TCP connection: its time is bounded with it. */
	if (request->admin->read_only)
		MHD_add_response_header(
		    response, MHD_HTTP_HEADER_CONNECTION, "close");
}

static enum MHD_Result
queue_answer(struct admin_request *request)
{
	static char no_memory[] = "{\"error\":{\"code\":\"InternalError\","
				  "\"message\":\"out of memory\"}}";
	struct MHD_Response *response;
	enum MHD_Result rc;

	if (request->body == NULL) {
		request->http_status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		request->content_type = NULL;
		response = MHD_create_response_from_buffer(
		    strlen(no_memory), no_memory, MHD_RESPMEM_PERSISTENT);
	} else {
		response = MHD_create_response_from_buffer(
		    request->n_body, request->body, MHD_RESPMEM_MUST_FREE);
	}
	if (response == NULL)
		return MHD_NO; /* ends the connection */
	request->body = NULL;
	add_headers(request, response);
	rc = MHD_queue_response(
	    request->connection, request->http_status, response);
	MHD_destroy_response(response);
	return rc;
}

/* The head has come: MHD's first call for this request. */
static enum MHD_Result
start_request(struct admin *admin, struct MHD_Connection *connection,
    const char *url, const char *method, void **con_cls)
{
	struct admin_request *request;

	request = calloc(1, sizeof(*request));
	if (request == NULL)
		return MHD_NO;
	request->admin = admin;
	request->connection = connection;
	TAILQ_INSERT_TAIL(&admin->requests, request, entry);
	*con_cls = request;
	admin_peer_has_asked(connection);
	check_head(request, url, method);
	if (request->state == REQUEST_ANSWERED)
		return queue_answer(request);
	return MHD_YES;
}

/* Within what the head has announced: MHD sees to that. */
static enum MHD_Result
take_upload(struct admin_request *request, const char *data, size_t *size)
{
	char *grown;

	if (*size > ADMIN_BODY_MAX - request->n_upload)
		return MHD_NO;
	grown = realloc(request->upload, request->n_upload + *size);
	if (grown == NULL)
		return MHD_NO; /* ends the connection */
	request->upload = grown;
	memcpy(grown + request->n_upload, data, *size);
	request->n_upload += *size;
	*size = 0;
	return MHD_YES;
}

enum MHD_Result
admin_on_request(void *cls, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *upload_data,
    size_t *upload_data_size, void **con_cls)
{
	struct admin_request *request = *con_cls;

	(void)version;
	if (request == NULL)
		return start_request(cls, connection, url, method, con_cls);
	if (*upload_data_size != 0)
		return request->state == REQUEST_HEAD &&
			       takes_body(request->route)
			   ? take_upload(request, upload_data, upload_data_size)
			   : MHD_NO; /* a body that was not announced */
	if (request->state == REQUEST_HEAD) {
		request->state = REQUEST_RUNNING;
		request->route->handle(request);
	}
	if (request->state == REQUEST_RUNNING) {
		request->state = REQUEST_SUSPENDED;
		MHD_suspend_connection(connection);
		return MHD_YES;
	}
	return queue_answer(request);
}

void
admin_on_request_completed(void *cls, struct MHD_Connection *connection,
    void **con_cls, enum MHD_RequestTerminationCode code)
{
	struct admin *admin = cls;
	struct admin_request *request = *con_cls;

	/* Closed by MHD alone it would live on in the kernel, with what the
	 * peer does not read. */
	if (code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
		admin_cut(connection);
	if (request == NULL)
		return;
	*con_cls = NULL;
	TAILQ_REMOVE(&admin->requests, request, entry);
	request->connection = NULL;
	request_free(request);
}

void
admin_resume_all(struct admin *admin)
{
	struct admin_request *request;

	TAILQ_FOREACH (request, &admin->requests, entry) {
		if (request->state == REQUEST_SUSPENDED)
			admin_answer_error(request,
			    MHD_HTTP_SERVICE_UNAVAILABLE, "Unavailable",
			    "nlbd is stopping");
	}
}
