/*
 * The flows of all workers, newest first.
 */
#include "admin/view.h"

#include <stdlib.h>
#include <string.h>

static int
compare_newest_first(const void *a, const void *b)
{
	const struct flow_record *x = *(const struct flow_record *const *)a;
	const struct flow_record *y = *(const struct flow_record *const *)b;

	if (x->start_us != y->start_us)
		return x->start_us > y->start_us ? -1 : 1;
	if (x->id != y->id)
		return x->id > y->id ? -1 : 1;
	return 0;
}

bool
view_flow_matches(const struct view_flow_query *query,
    const struct flow_record *r, const char *listener)
{
	char ip[ADDR_IP_STRLEN], with_port[ADDR_STRLEN];

	if (query->listener[0] != '\0' &&
	    (listener == NULL || strcmp(listener, query->listener) != 0))
		return false;
	if (query->target[0] == '\0')
		return true;
	addr_format_ip(&r->target, ip, sizeof(ip));
	addr_format(&r->target, with_port, sizeof(with_port));
	return strcmp(query->target, ip) == 0 ||
	       strcmp(query->target, with_port) == 0;
}

static json_t *
view_addr(const struct addr *a)
{
	char text[ADDR_STRLEN];

	if (a->family == ADDR_NONE)
		return json_null();
	return json_string(addr_format(a, text, sizeof(text)));
}

json_t *
view_flow(
    const struct flow_record *r, const char *listener, const char *target_group)
{
	json_t *connect_ms;

	connect_ms = r->connect_us == 0
			 ? json_null()
			 : json_real((double)r->connect_us / 1000.0);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o,"
			 " s:i, s:i}",
	    "id", view_uint(r->id), "client", view_addr(&r->client), "listener",
	    view_text(listener), "target_group", view_text(target_group),
	    "target", view_addr(&r->target), "state",
	    flow_state_name((enum flow_state)r->state),
	    "client_to_target_bytes", view_uint(r->client_to_target_bytes),
	    "target_to_client_bytes", view_uint(r->target_to_client_bytes),
	    "duration_ms", view_uint(r->duration_us / 1000), "connect_ms",
	    connect_ms, "retries", (int)r->retries, "worker", (int)r->worker);
}

static const char *
listener_of(const struct admin_ops *ops, const struct flow_record *r)
{
	return ops->listener_name(ops->owner, r->listener_slot);
}

static const char *
group_of(const struct admin_ops *ops, const struct flow_record *r)
{
	return r->target_slot == FLOW_SLOT_NONE
		   ? NULL
		   : ops->target_group_name(ops->owner, r->target_slot);
}

/* Collects the matching records, newest first, into *out (malloc). */
static bool
select_flows(const struct admin_ops *ops, const struct view_flow_query *query,
    const struct flow_record *records, size_t n,
    const struct flow_record ***out, size_t *n_out)
{
	const struct flow_record **list;
	size_t i, used = 0;

	list = calloc(n == 0 ? 1 : n, sizeof(*list));
	if (list == NULL)
		return false;
	for (i = 0; i < n; i++) {
		if (view_flow_matches(
			query, &records[i], listener_of(ops, &records[i])))
			list[used++] = &records[i];
	}
	qsort(list, used, sizeof(*list), compare_newest_first);
	*out = list;
	*n_out = used;
	return true;
}

json_t *
view_flows(const struct admin_ops *ops, const struct view_flow_query *query,
    const struct flow_record *records, size_t n, uint32_t missing_workers)
{
	const struct flow_record **selected;
	size_t i, n_selected;
	json_t *flows;
	bool failed;

	if (!select_flows(ops, query, records, n, &selected, &n_selected))
		return NULL;
	flows = json_array();
	failed = flows == NULL;
	for (i = 0; i < n_selected && i < query->limit && !failed; i++)
		failed =
		    json_array_append_new(flows,
			view_flow(selected[i], listener_of(ops, selected[i]),
			    group_of(ops, selected[i]))) != 0;
	free(selected);
	if (failed) {
		json_decref(flows);
		return NULL;
	}
	return json_pack("{s:o, s:o, s:i}", "flows", flows, "matching_flows",
	    view_uint(n_selected), "missing_workers", (int)missing_workers);
}
