/*
 * The ring of flows.
 */
#include "admin/flow_ring.h"

#include <bsd/string.h>

#include "admin/view.h"

void
flow_ring_add(struct flow_ring *r, const struct flow_record *record,
    const char *listener, const char *target_group)
{
	struct flow_ring_entry *slot = &r->ring[++r->last_id % FLOW_RING_MAX];

	slot->record = *record;
	strlcpy(slot->listener, listener == NULL ? "" : listener,
	    sizeof(slot->listener));
	strlcpy(slot->target_group, target_group == NULL ? "" : target_group,
	    sizeof(slot->target_group));
}

static const char *
name_or_null(const char *name)
{
	return name[0] == '\0' ? NULL : name;
}

static json_t *
view_entry(const struct flow_ring_entry *e)
{
	const struct flow_record *record = &e->record;
	bool ended = record->state == FLOW_CLOSING;
	json_t *object = view_flow(
	    record, name_or_null(e->listener), name_or_null(e->target_group));

	if (object == NULL ||
	    !view_put(object, "time",
		view_time((record->start_us + record->duration_us) / 1000)) ||
	    !view_put(object, "what", json_string(ended ? "ended" : "began")) ||
	    (ended && !view_put(object, "end_reason",
			  json_string(flow_end_reason_code(
			      (enum flow_end_reason)record->reason))))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *
flow_ring_view(const struct flow_ring *r, const struct view_flow_query *query,
    uint64_t since)
{
	json_t *list = json_array();
	uint64_t id = since > r->last_id ? r->last_id : since, lost = 0;

	if (r->last_id - id > FLOW_RING_MAX) {
		lost = r->last_id - FLOW_RING_MAX - id;
		id += lost;
	}
	while (++id <= r->last_id) {
		const struct flow_ring_entry *e = &r->ring[id % FLOW_RING_MAX];

		if (view_flow_matches(
			query, &e->record, name_or_null(e->listener)) &&
		    json_array_append_new(list, view_entry(e)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:o, s:o, s:o}", "flows", list, "last_id",
	    view_uint(r->last_id), "lost", view_uint(lost));
}
