/* Flows per source; see source_table.h. */
#include "worker/source_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
source_table_init(
    struct source_table *t, struct scoreboard *sb, struct sb_block *block)
{
	memset(t, 0, sizeof(*t));
	t->sb = sb;
	t->block = block;
}

void
source_table_fini(struct source_table *t)
{
	for (size_t i = 0; i < SOURCE_TABLE_BUCKETS; i++) {
		struct source *s;

		while ((s = t->buckets[i]) != NULL) {
			t->buckets[i] = s->next;
			free(s);
		}
	}
}

static struct source *
find_or_add(struct source_table *t, const struct addr *client)
{
	struct addr key = addr_source(client);
	uint64_t hash = hash_bytes(&t->sb->source_key, &key, sizeof(key));
	uint32_t bucket = hash % SOURCE_TABLE_BUCKETS;
	struct source *s;

	for (s = t->buckets[bucket]; s != NULL; s = s->next)
		if (addr_equal(&s->key, &key))
			return s;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->key = key;
	s->bucket = bucket;
	s->sketch_bucket = (uint32_t)(hash >> 32) % SB_SOURCES;
	s->next = t->buckets[bucket];
	t->buckets[bucket] = s;
	return s;
}

static void
remove_if_unused(struct source_table *t, struct source *s)
{
	struct source **p = &t->buckets[s->bucket];

	if (s->n_flows > 0)
		return;
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	free(s);
}

static void
sketch_add(struct source_table *t, const struct source *s, uint32_t n)
{
	_Atomic uint32_t *count = &t->block->sources[s->sketch_bucket];

	atomic_store_explicit(count,
	    atomic_load_explicit(count, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

int
source_table_enter(struct source_table *t, const struct addr *client,
    uint32_t limit, struct source **out)
{
	struct source *s = find_or_add(t, client);

	if (s == NULL)
		return -ENOMEM;
	if (limit != 0 && s->n_flows + scoreboard_source_active(
					   t->sb, s->sketch_bucket, t->block) >=
			      limit) {
		remove_if_unused(t, s);
		return -EDQUOT;
	}
	s->n_flows++;
	sketch_add(t, s, 1);
	*out = s;
	return 0;
}

void
source_table_leave(struct source_table *t, struct source *s)
{
	s->n_flows--;
	sketch_add(t, s, (uint32_t)-1);
	remove_if_unused(t, s);
}
