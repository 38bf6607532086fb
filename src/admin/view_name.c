/*
 * DNS names among the targets: what each resolves to, and how it goes.
 */
#include "admin/view.h"

#include <string.h>

struct name_walk {
	json_t *list;
	bool failed;
};

static json_t *
ip_list(const struct addr *list, size_t n)
{
	json_t *array = json_array();
	char ip[ADDR_IP_STRLEN];

	for (size_t i = 0; i < n; i++) {
		addr_format_ip(&list[i], ip, sizeof(ip));
		if (json_array_append_new(array, json_string(ip)) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *
null_if_empty(const char *text)
{
	return view_text(text[0] == '\0' ? NULL : text);
}

static void
append_name(void *arg, const struct admin_name *n)
{
	struct name_walk *walk = arg;
	json_t *object = json_pack(
	    "{s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:i, s:o, s:o}",
	    "target_group", n->group, "label", n->label, "name", n->host,
	    "port", (int)n->port, "addresses",
	    ip_list(n->addresses, n->n_addresses), "kept_addresses",
	    ip_list(n->kept, n->n_kept), "refused", null_if_empty(n->refused),
	    "error", null_if_empty(n->error), "failures", (int)n->failures,
	    "last_answer_time", view_time(n->last_answer_ms), "next_seconds",
	    view_uint(n->next_ms / 1000));

	if (json_array_append_new(walk->list, object) != 0)
		walk->failed = true;
}

json_t *
view_names(const struct admin_ops *ops)
{
	struct name_walk walk = {.list = json_array()};

	ops->each_name(ops->owner, append_name, &walk);
	if (!walk.failed)
		return walk.list;
	json_decref(walk.list);
	return NULL;
}
