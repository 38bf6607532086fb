/*
 * Flows per client source, for MaxFlowsPerSource: an IPv4 address or an IPv6
 * /64. Exact within the worker; the other workers' share is read from their
 * sketches in the scoreboard. The hash is keyed, so that a client cannot
 * choose addresses that collide.
 */
#ifndef WORKER_SOURCE_TABLE_H
#define WORKER_SOURCE_TABLE_H

#include <stdint.h>

#include "base/addr.h"
#include "ipc/scoreboard.h"

#define SOURCE_TABLE_BUCKETS 4096

struct source {
	struct source *next;
	struct addr key;
	uint32_t n_flows;
	uint32_t sketch_bucket;
	uint32_t bucket;
};

struct source_table {
	struct scoreboard *sb;
	struct sb_block *block;
	struct source *buckets[SOURCE_TABLE_BUCKETS];
};

void source_table_init(
    struct source_table *t, struct scoreboard *sb, struct sb_block *block);
void source_table_fini(struct source_table *t);

/*
 * Counts one more flow of client, unless that would be more than limit (0 = no
 * limit) over all workers. 0 with *out to be given back by
 * source_table_leave, -EDQUOT over the limit, -ENOMEM.
 */
int source_table_enter(struct source_table *t, const struct addr *client,
    uint32_t limit, struct source **out);
void source_table_leave(struct source_table *t, struct source *s);

#endif
