/* How often each source may come; see source_pace.h. */
#include "nlb/source_pace.h"

#include <stdbool.h>
#include <string.h>

#include "nlb/network_acl.h"

#define AGAIN_MS 60000
#define ROW_MS ((uint64_t)SOURCE_PACE_ROW * SOURCE_PACE_EACH_MS)

/* As if it had never come. */
static bool
is_forgotten(const struct source_pace_entry *e, uint64_t now_ms)
{
	return e->spent_ms <= now_ms && e->open_ms <= now_ms;
}

static struct source_pace_entry *
find_or_add(struct source_pace *p, const struct addr *key, uint64_t now_ms)
{
	struct source_pace_entry *free_one = NULL;

	for (size_t i = 0; i < p->n; i++) {
		if (addr_equal(&p->entries[i].key, key))
			return &p->entries[i];
		if (is_forgotten(&p->entries[i], now_ms))
			free_one = &p->entries[i];
	}
	if (free_one == NULL && p->n < SOURCE_PACE_SOURCES_MAX)
		free_one = &p->entries[p->n++];
	if (free_one != NULL)
		*free_one = (struct source_pace_entry){.key = *key};
	return free_one;
}

enum source_verdict
source_pace_take(
    struct source_pace *p, const struct addr *client, uint64_t now_ms)
{
	struct addr key = addr_source(client);
	struct source_pace_entry *e = find_or_add(p, &key, now_ms);

	if (e == NULL)
		return SOURCE_ADMITTED;
	if (e->open_ms > now_ms)
		return SOURCE_IS_SHUT;
	if (e->spent_ms < now_ms)
		e->spent_ms = now_ms;
	if (e->spent_ms + SOURCE_PACE_EACH_MS > now_ms + ROW_MS) {
		bool again = e->open_ms != 0 && now_ms < e->open_ms + AGAIN_MS;

		e->open_ms = now_ms + SOURCE_PACE_SHUT_MS;
		return again ? SOURCE_SHUT_AGAIN : SOURCE_SHUT;
	}
	e->spent_ms += SOURCE_PACE_EACH_MS;
	return SOURCE_ADMITTED;
}

uint64_t
source_pace_next_open_ms(const struct source_pace *p, uint64_t now_ms)
{
	uint64_t next_ms = UINT64_MAX;

	for (size_t i = 0; i < p->n; i++) {
		uint64_t open_ms = p->entries[i].open_ms;

		if (open_ms > now_ms && open_ms < next_ms)
			next_ms = open_ms;
	}
	return next_ms;
}

int
source_pace_allowed(
    const struct source_pace *p, uint64_t now_ms, struct sg_set *out)
{
	/* Each shut source, before the rest of the world. */
	struct acl_rule rules[SOURCE_PACE_SOURCES_MAX + 2];
	size_t n = 0;

	memset(rules, 0, sizeof(rules));
	for (size_t i = 0; i < p->n; i++) {
		const struct source_pace_entry *e = &p->entries[i];

		if (e->open_ms <= now_ms)
			continue;
		rules[n].cidr.base = e->key;
		rules[n++].cidr.prefix_len =
		    e->key.family == ADDR_IPV4 ? 32 : 64;
	}
	rules[n].cidr.base.family = ADDR_IPV4;
	rules[n++].allow = true;
	rules[n].cidr.base.family = ADDR_IPV6;
	rules[n++].allow = true;
	return acl_set_build(rules, n, 0, out);
}
