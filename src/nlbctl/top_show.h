/*
 * A frame of nlbctl top as text.
 */
#ifndef NLBCTL_TOP_SHOW_H
#define NLBCTL_TOP_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "nlbctl/table.h"

enum top_order {
	TOP_BY_CONFIG,
	TOP_BY_STATE, /* those that need a look first */
	TOP_BY_FLOWS,
	TOP_BY_NEW,
	TOP_BY_BYTES,
	TOP_ORDERS,
};

/* What the user chose. */
struct top_view {
	enum top_order order;
	bool reverse, paused, help;
	unsigned interval_s;
	/* Lines there are room for, the last one for the keys; 0: any number,
	 * and no keys. */
	size_t rows;
	const char *away; /* why nlbd does not answer; NULL: it does */
};

/* 0, or -EPROTO (it is not what top_frame makes) or -ENOMEM. */
int top_show(
    const json_t *frame, const struct top_view *view, const struct output *out);
const char *top_order_name(enum top_order order);

#endif
