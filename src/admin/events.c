/*
 * The ring of events.
 */
#include "admin/events.h"

#include <bsd/string.h>

#include "admin/view.h"

void
events_add(struct events *e, uint64_t wall_ms, const struct log_entry *entry)
{
	struct kept_event *slot = &e->ring[++e->last_id % EVENTS_MAX];

	slot->wall_ms = wall_ms;
	slot->kind = entry->kind;
	strlcpy(slot->text, entry->text, sizeof(slot->text));
}

json_t *
events_view(const struct events *e, uint64_t since)
{
	json_t *list = json_array();
	uint64_t id = since, lost = 0;

	/* An id of another daemon's life may lie ahead: then all are new. */
	if (id > e->last_id)
		id = 0;
	if (e->last_id - id > EVENTS_MAX) {
		lost = e->last_id - EVENTS_MAX - id;
		id += lost;
	}
	while (++id <= e->last_id) {
		const struct kept_event *event = &e->ring[id % EVENTS_MAX];

		if (json_array_append_new(list,
			json_pack("{s:o, s:o, s:s?, s:s, s:o}", "id",
			    view_uint(id), "time", view_time(event->wall_ms),
			    "code", event->kind.code, "priority",
			    log_level_name(event->kind.level), "message",
			    view_text(event->text))) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:o, s:o, s:o}", "events", list, "last_id",
	    view_uint(e->last_id), "lost", view_uint(lost));
}
