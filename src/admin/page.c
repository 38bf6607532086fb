/*
 * The dashboard: its files, and what only it asks for.
 */
#include "admin/server.h"

#include <stdlib.h>
#include <string.h>
#include <bsd/stdlib.h>

#include "admin/assets.h"
#include "admin/events.h"
#include "admin/history.h"

/* Everything from here, nothing inline: what a target or a client could have
 * smuggled into a text stays text. */
static const char page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

void
admin_handle_page(struct admin_request *request)
{
	const struct asset *asset = NULL;
	char *copy;

	for (size_t i = 0; i < assets_count; i++)
		if (strcmp(assets[i].path, request->path) == 0)
			asset = &assets[i];
	if (asset == NULL) {
		admin_answer_error(request, MHD_HTTP_NOT_FOUND, "NotFound",
		    "the dashboard has no %s", request->path);
		return;
	}
	request->policy = page_policy;
	copy = malloc(asset->n);
	if (copy != NULL)
		memcpy(copy, asset->bytes, asset->n);
	admin_answer_text(
	    request, MHD_HTTP_OK, asset->content_type, copy, asset->n);
}

/* The parameter "since"; answers and returns false when it is no number. */
static bool
since_param(struct admin_request *request, uint64_t *since)
{
	const char *error = NULL,
		   *text = MHD_lookup_connection_value(
		       request->connection, MHD_GET_ARGUMENT_KIND, "since");

	*since = 0;
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

	if (since_param(request, &since))
		admin_answer(request, MHD_HTTP_OK,
		    of_this_life(request,
			events_view(request->admin->ops->events, since)));
}

void
admin_handle_history(struct admin_request *request)
{
	uint64_t since;

	if (since_param(request, &since))
		admin_answer(request, MHD_HTTP_OK,
		    history_view(request->admin->ops->history, since));
}
