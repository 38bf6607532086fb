/*
 * Security groups: the union of allow rules, as sorted and merged address
 * ranges for one port. Knows nothing of sockets or BPF.
 */
#include "nlb/security_group.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
rule_covers_port(const struct sg_rule *rule, uint16_t port)
{
	return port >= rule->port_from && port <= rule->port_to;
}

/* Host bits of base are 0. */
void
sg_range_from_cidr(const struct cidr *c, struct sg_range *out)
{
	size_t width = c->base.family == ADDR_IPV4 ? 4 : 16;

	memcpy(out->from, c->base.ip, sizeof(out->from));
	memcpy(out->to, c->base.ip, sizeof(out->to));
	for (size_t i = c->prefix_len / 8; i < width; i++) {
		unsigned kept = i == c->prefix_len / 8 ? c->prefix_len % 8 : 0;

		out->to[i] |= (uint8_t)(0xffu >> kept);
	}
}

static int
range_compare(const void *a, const void *b)
{
	const struct sg_range *x = a;
	const struct sg_range *y = b;

	return memcmp(x->from, y->from, sizeof(x->from));
}

bool
sg_address_after(const uint8_t *ip, size_t width, uint8_t *out)
{
	size_t i = width;

	memcpy(out, ip, 16);
	while (i > 0 && ++out[i - 1] == 0)
		i--;
	return i > 0;
}

/* Does next begin inside cur, or right after it? */
static bool
range_touches(
    const struct sg_range *cur, const struct sg_range *next, size_t width)
{
	uint8_t after[16];

	return !sg_address_after(cur->to, width, after) ||
	       memcmp(next->from, after, sizeof(after)) <= 0;
}

static bool
ranges_are_sorted(const struct sg_range *r, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (range_compare(&r[i - 1], &r[i]) > 0)
			return false;
	return true;
}

/* Sorts and merges in place; returns the new count. */
static size_t
ranges_normalise(struct sg_range *r, size_t n, size_t width)
{
	size_t last = 0;

	if (n == 0)
		return 0;
	/* Those of one group are: conf sorts them once, for all listeners. */
	if (!ranges_are_sorted(r, n))
		qsort(r, n, sizeof(*r), range_compare);
	for (size_t i = 1; i < n; i++) {
		if (!range_touches(&r[last], &r[i], width)) {
			r[++last] = r[i];
			continue;
		}
		if (memcmp(r[i].to, r[last].to, sizeof(r[i].to)) > 0)
			memcpy(r[last].to, r[i].to, sizeof(r[i].to));
	}
	return last + 1;
}

struct range_list {
	struct sg_range *ranges;
	size_t n;
};

/* What ranges of one family are made from. */
struct source {
	const struct sg_rule_list *lists; /* rules that cover port */
	size_t n_lists;
	uint16_t port;
	const struct sg_set *a, *b; /* or what two sets share */
};

/* Collects, sorts and merges one family's ranges. 0 or -ENOMEM. */
static int
build_union(const struct source *source, enum addr_family family,
    struct range_list *out)
{
	const struct sg_rule_list *lists = source->lists;
	struct sg_range *r = NULL;
	size_t room = 0;
	size_t n = 0;

	for (size_t l = 0; l < source->n_lists; l++)
		room += lists[l].n;
	if (room > 0 && (r = calloc(room, sizeof(*r))) == NULL)
		return -ENOMEM;
	for (size_t l = 0; l < source->n_lists; l++) {
		for (size_t i = 0; i < lists[l].n; i++) {
			const struct sg_rule *rule = &lists[l].rules[i];

			if (rule->cidr.base.family == family &&
			    rule_covers_port(rule, source->port))
				sg_range_from_cidr(&rule->cidr, &r[n++]);
		}
	}
	out->ranges = r;
	out->n = ranges_normalise(r, n, family == ADDR_IPV4 ? 4 : 16);
	return 0;
}

static int
compare_rules(const void *a, const void *b)
{
	const struct sg_rule *x = a;
	const struct sg_rule *y = b;
	int order = addr_compare(&x->cidr.base, &y->cidr.base);

	if (order != 0)
		return order;
	if (x->cidr.prefix_len != y->cidr.prefix_len)
		return x->cidr.prefix_len < y->cidr.prefix_len ? -1 : 1;
	if (x->port_from != y->port_from)
		return x->port_from < y->port_from ? -1 : 1;
	return x->port_to < y->port_to ? -1 : x->port_to > y->port_to;
}

void
sg_rules_sort(struct sg_rule *rules, size_t n)
{
	if (n > 1)
		qsort(rules, n, sizeof(*rules), compare_rules);
}

typedef int (*build_family)(const struct source *source,
    enum addr_family family, struct range_list *out);

static int
build_set(build_family build, const struct source *source, struct sg_set *out)
{
	struct range_list v4;
	struct range_list v6;

	if (build(source, ADDR_IPV4, &v4) != 0)
		return -ENOMEM;
	if (build(source, ADDR_IPV6, &v6) != 0) {
		free(v4.ranges);
		return -ENOMEM;
	}
	*out = (struct sg_set){
	    .v4 = v4.ranges,
	    .n_v4 = v4.n,
	    .v6 = v6.ranges,
	    .n_v6 = v6.n,
	};
	return 0;
}

int
sg_set_build_union(const struct sg_rule_list *lists, size_t n_lists,
    uint16_t port, struct sg_set *out)
{
	const struct source source = {
	    .lists = lists, .n_lists = n_lists, .port = port};

	return build_set(build_union, &source, out);
}

int
sg_set_build(
    const struct sg_rule *rules, size_t n, uint16_t port, struct sg_set *out)
{
	struct sg_rule_list list = {.rules = rules, .n = n};

	return sg_set_build_union(&list, 1, port, out);
}

int
sg_set_build_all(struct sg_set *out)
{
	static const struct sg_rule all[] = {
	    {.cidr = {.base = {.family = ADDR_IPV4}}, .port_to = 0},
	    {.cidr = {.base = {.family = ADDR_IPV6}}, .port_to = 0},
	};

	return sg_set_build(all, 2, 0, out);
}

static struct range_list
family_of(const struct sg_set *set, enum addr_family family)
{
	if (family == ADDR_IPV4)
		return (struct range_list){set->v4, set->n_v4};
	return (struct range_list){set->v6, set->n_v6};
}

/* Both lists are sorted and merged: one walk over them. */
static int
build_shared(const struct source *source, enum addr_family family,
    struct range_list *out)
{
	const struct range_list a = family_of(source->a, family);
	const struct range_list b = family_of(source->b, family);
	struct sg_range *r = calloc(a.n + b.n + 1, sizeof(*r));
	size_t n = 0;

	if (r == NULL)
		return -ENOMEM;
	for (size_t i = 0, j = 0; i < a.n && j < b.n;) {
		const struct sg_range *x = &a.ranges[i];
		const struct sg_range *y = &b.ranges[j];
		size_t size = sizeof(x->from);
		bool x_later = memcmp(x->from, y->from, size) > 0;
		bool x_ends = memcmp(x->to, y->to, size) <= 0;

		memcpy(r[n].from, x_later ? x->from : y->from, size);
		memcpy(r[n].to, x_ends ? x->to : y->to, size);
		if (memcmp(r[n].from, r[n].to, size) <= 0)
			n++;
		if (x_ends)
			i++;
		else
			j++;
	}
	out->ranges = r;
	out->n = n;
	return 0;
}

int
sg_set_intersect(
    const struct sg_set *a, const struct sg_set *b, struct sg_set *out)
{
	const struct source source = {.a = a, .b = b};

	return build_set(build_shared, &source, out);
}

void
sg_set_fini(struct sg_set *set)
{
	free(set->v4);
	free(set->v6);
	memset(set, 0, sizeof(*set));
}

bool
sg_set_allows(const struct sg_set *set, const struct addr *a)
{
	const struct sg_range *r = set->v4;
	size_t lo = 0;
	size_t hi = set->n_v4;

	if (a->family == ADDR_NONE)
		return false;
	if (a->family == ADDR_IPV6) {
		r = set->v6;
		hi = set->n_v6;
	}
	/* The last range that begins at or before a is r[lo - 1]. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(r[mid].from, a->ip, sizeof(a->ip)) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo > 0 && memcmp(a->ip, r[lo - 1].to, sizeof(a->ip)) <= 0;
}

bool
sg_rules_allow(
    const struct sg_rule *rules, size_t n, const struct addr *a, uint16_t port)
{
	for (size_t i = 0; i < n; i++) {
		if (rule_covers_port(&rules[i], port) &&
		    cidr_contains(&rules[i].cidr, a))
			return true;
	}
	return false;
}
