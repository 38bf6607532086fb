/*
 * What came since the last answer: events, samples, flows.
 */
#include "admin/server.h"

#include <bsd/stdlib.h>

#include "admin/events.h"
#include "admin/flow_ring.h"
#include "admin/history.h"

/* The parameter "since", or what stands for it when it is not given; answers
 * and returns false when it is no number. */
static bool
since_param(struct admin_request *request, uint64_t absent, uint64_t *since)
{
	const char *error = NULL, *text = admin_param(request, "since");

	*since = absent;
	if (text != NULL)
		*since = (uint64_t)strtonum(text, 0, INT64_MAX, &error);
	if (error == NULL)
		return true;
	admin_answer_error(request, MHD_HTTP_BAD_REQUEST, "ValidationError",
	    "since is a number, as an answer before gave it");
	return false;
}

/* An answer with numbers that begin anew with each nlbd: which one it is. */
static json_t *
of_this_life(const struct admin_request *request, json_t *root)
{
	const struct admin_ops *ops = request->admin->ops;
	struct admin_status status = {0};

	ops->status(ops->owner, &status);
	if (root == NULL ||
	    view_put(root, "start_time_ms", view_uint(status.start_ms)))
		return root;
	json_decref(root);
	return NULL;
}

void
admin_handle_events(struct admin_request *request)
{
	uint64_t since;

	if (since_param(request, 0, &since))
		admin_answer(request, MHD_HTTP_OK,
		    of_this_life(request,
			events_view(request->admin->ops->events, since)));
}

void
admin_handle_history(struct admin_request *request)
{
	uint64_t since;

	if (since_param(request, 0, &since))
		admin_answer(request, MHD_HTTP_OK,
		    history_view(request->admin->ops->history, since));
}

void
admin_handle_watch_flows(struct admin_request *request)
{
	const struct admin_ops *ops = request->admin->ops;
	const struct flow_ring *ring;
	uint64_t since;
	json_t *root;

	if (admin_parse_flow_query(request) != 0)
		return;
	ring = ops->watch_flows(ops->owner);
	if (!since_param(request, ring->last_id, &since))
		return;
	root = flow_ring_view(ring, &request->flow_query, since);
	if (root != NULL &&
	    !view_put(root, "dropped_records",
		view_uint(scoreboard_dropped_records(ops->scoreboard)))) {
		json_decref(root);
		root = NULL;
	}
	admin_answer(request, MHD_HTTP_OK, of_this_life(request, root));
}
