/*
 * What health checkers ask: is nlbd alive, does it take flows, and is this
 * zone fit to stand in DNS (Route 53 takes 2xx for yes)? 200 is yes, 503 is
 * no, and the body says why. And the operator's word on it, and to receivers.
 */
#include "admin/server.h"

#include <stdlib.h>
#include <string.h>

#include "nlb/event.h"

static void
find_serving(void *arg, const struct admin_worker *w)
{
	bool *found = arg;

	if (strcmp(w->state, "serving") == 0)
		*found = true;
}

/* NULL: it takes flows. */
static const char *
not_ready_reason(const struct admin_ops *ops)
{
	struct admin_status status;
	bool serving = false;

	memset(&status, 0, sizeof(status));
	ops->status(ops->owner, &status);
	if (status.stopping)
		return "nlbd is stopping and takes no new flows";
	if (status.drained)
		return "the node was drained with nlbctl drain-node";
	ops->each_worker(ops->owner, find_serving, &serving);
	return serving ? NULL : "no worker serves yet";
}

static unsigned
http_status_of(bool good)
{
	return good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

void
admin_handle_healthz(struct admin_request *request)
{
	admin_answer(request, MHD_HTTP_OK, json_pack("{s:b}", "alive", 1));
}

void
admin_handle_readyz(struct admin_request *request)
{
	const char *reason = not_ready_reason(request->admin->ops);

	admin_answer(request, http_status_of(reason == NULL),
	    json_pack(
		"{s:b, s:s*}", "ready", reason == NULL, "reason", reason));
}

static json_t *
zone_groups(const struct view_groups *groups)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < groups->n; i++) {
		const struct view_group *g = &groups->list[i];

		if (json_array_append_new(list,
			json_pack("{s:s, s:b, s:i, s:i}", "name", g->name,
			    "healthy", (int)g->dns_healthy, "healthy_targets",
			    (int)g->zone.healthy, "registered_targets",
			    (int)g->zone.registered)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

void
admin_handle_zone_health(struct admin_request *request)
{
	const struct admin_ops *ops = request->admin->ops;
	const char *zone = ops->conf(ops->owner)->lb.availability_zone;
	const char *reason = not_ready_reason(ops);
	struct view_groups groups;
	json_t *root = NULL;

	view_groups_collect(ops, &groups);
	if (reason == NULL && !groups.zone_healthy)
		reason = "a target group has too few healthy targets";
	if (!groups.failed)
		root = json_pack("{s:s?, s:b, s:s*, s:o}", "zone",
		    zone[0] == '\0' ? NULL : zone, "healthy", reason == NULL,
		    "reason", reason, "target_groups", zone_groups(&groups));
	free(groups.list);
	admin_answer(request, http_status_of(reason == NULL), root);
}

static void
set_drained(struct admin_request *request, bool drained)
{
	const struct admin_ops *ops = request->admin->ops;

	ops->drain_node(ops->owner, drained);
	admin_answer(
	    request, MHD_HTTP_OK, json_pack("{s:b}", "drained", (int)drained));
}

void
admin_handle_drain_node(struct admin_request *request)
{
	set_drained(request, true);
}

void
admin_handle_undrain_node(struct admin_request *request)
{
	set_drained(request, false);
}

/* Who listens to events hears it: each receiver of a [notify] section. */
void
admin_handle_notify_test(struct admin_request *request)
{
	event_log(EVENT_NOTIFY_TEST,
	    "a test of the receivers of events: nothing has happened");
	admin_answer(
	    request, MHD_HTTP_OK, json_pack("{s:b}", "logged", (int)true));
}
