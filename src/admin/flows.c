/*
 * The list of flows: what is asked for, and the answer once the workers gave
 * theirs.
 */
#include "admin/server.h"

#include <errno.h>
#include <bsd/stdlib.h>
#include <bsd/string.h>

#define FLOWS_LIMIT_MAX 100000

int
admin_parse_flow_query(struct admin_request *request)
{
	struct view_flow_query *query = &request->flow_query;
	const char *text, *error = NULL;

	query->limit = FLOWS_LIMIT_MAX;
	text = admin_param(request, "limit");
	if (text != NULL)
		query->limit =
		    (uint32_t)strtonum(text, 1, FLOWS_LIMIT_MAX, &error);
	if (error != NULL) {
		admin_answer_error(request, MHD_HTTP_BAD_REQUEST,
		    "ValidationError", "limit is a number from 1 to %d",
		    FLOWS_LIMIT_MAX);
		return -EINVAL;
	}
	text = admin_param(request, "target");
	if (text != NULL && strlcpy(query->target, text,
				sizeof(query->target)) >= sizeof(query->target))
		error = "target is ADDRESS or ADDRESS:PORT";
	text = admin_param(request, "listener");
	if (text != NULL &&
	    strlcpy(query->listener, text, sizeof(query->listener)) >=
		sizeof(query->listener))
		error = "listener is the name of a listener";
	if (error == NULL)
		return 0;
	admin_answer_error(
	    request, MHD_HTTP_BAD_REQUEST, "ValidationError", "%s", error);
	return -EINVAL;
}

static void
on_flows(
    void *arg, const struct flow_record *records, size_t n, uint32_t missing)
{
	struct admin_request *request = arg;

	if (admin_op_done(request))
		admin_answer(request, MHD_HTTP_OK,
		    view_flows(request->admin->ops, &request->flow_query,
			records, n, missing));
}

void
admin_handle_flows(struct admin_request *request)
{
	const struct admin_ops *ops = request->admin->ops;

	if (admin_parse_flow_query(request) != 0)
		return;
	request->op_pending = true;
	admin_op_started(
	    request, ops->list_flows(ops->owner, on_flows, request));
}
