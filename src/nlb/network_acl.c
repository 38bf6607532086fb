/* Network ACLs; see network_acl.h. */
#include "nlb/network_acl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
covers_port(const struct acl_rule *rule, uint16_t port)
{
	return port >= rule->port_from && port <= rule->port_to;
}

static int
compare_rules(const void *a, const void *b)
{
	const struct acl_rule *x = a;
	const struct acl_rule *y = b;

	return (int)x->number - (int)y->number;
}

void
acl_rules_sort(struct acl_rule *rules, size_t n)
{
	if (n > 1)
		qsort(rules, n, sizeof(*rules), compare_rules);
}

bool
acl_rules_allow(
    const struct acl_rule *rules, size_t n, const struct addr *a, uint16_t port)
{
	for (size_t i = 0; i < n; i++) {
		if (covers_port(&rules[i], port) &&
		    cidr_contains(&rules[i].cidr, a))
			return rules[i].allow;
	}
	return false;
}

/*
 * The set is made by a sweep over the addresses: at each place where a block
 * begins or has ended, the first rule of those that cover it decides up to the
 * next such place. A heap holds them; those that have ended are thrown out
 * when they come to its top.
 */
struct sweep_block {
	struct sg_range range;
	size_t rank; /* in the order of evaluation */
	bool allow;
};

struct sweep {
	struct sweep_block *blocks; /* by where they begin */
	size_t n_blocks, next;
	struct sweep_block **heap; /* the lowest rank on top */
	size_t n_heap;
	uint8_t (*places)[16];
	size_t n_places;
	struct sg_range *out;
	size_t n_out;
	size_t width;
};

static int
compare_blocks(const void *a, const void *b)
{
	const struct sweep_block *x = a;
	const struct sweep_block *y = b;

	return memcmp(x->range.from, y->range.from, sizeof(x->range.from));
}

static int
compare_places(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static void
heap_push(struct sweep *s, struct sweep_block *b)
{
	size_t i = s->n_heap++;

	while (i > 0 && s->heap[(i - 1) / 2]->rank > b->rank) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = b;
}

static void
heap_pop(struct sweep *s)
{
	struct sweep_block *last = s->heap[--s->n_heap];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= s->n_heap)
			break;
		if (child + 1 < s->n_heap &&
		    s->heap[child + 1]->rank < s->heap[child]->rank)
			child++;
		if (s->heap[child]->rank >= last->rank)
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
}

/* The last address before place. */
static void
address_before(const uint8_t *place, size_t width, uint8_t *out)
{
	size_t i = width;

	memcpy(out, place, 16);
	while (i > 0 && out[i - 1]-- == 0)
		i--;
}

static void
emit(struct sweep *s, const uint8_t *from, const uint8_t *next)
{
	struct sg_range r = {{0}, {0}};
	struct sg_range *last = s->n_out > 0 ? &s->out[s->n_out - 1] : NULL;
	uint8_t after[16];

	memcpy(r.from, from, sizeof(r.from));
	if (next != NULL)
		address_before(next, s->width, r.to);
	else
		memset(r.to, 0xff, s->width);
	if (last != NULL && sg_address_after(last->to, s->width, after) &&
	    memcmp(after, r.from, sizeof(after)) == 0)
		memcpy(last->to, r.to, sizeof(last->to));
	else
		s->out[s->n_out++] = r;
}

static void
sweep_run(struct sweep *s)
{
	for (size_t i = 0; i < s->n_places; i++) {
		const uint8_t *here = s->places[i];
		const uint8_t *next =
		    i + 1 < s->n_places ? s->places[i + 1] : NULL;

		while (s->next < s->n_blocks &&
		       memcmp(s->blocks[s->next].range.from, here, 16) == 0)
			heap_push(s, &s->blocks[s->next++]);
		while (
		    s->n_heap > 0 && memcmp(s->heap[0]->range.to, here, 16) < 0)
			heap_pop(s);
		if (s->n_heap > 0 && s->heap[0]->allow)
			emit(s, here, next);
	}
}

static void
sweep_collect(struct sweep *s, const struct acl_rule *rules, size_t n,
    uint16_t port, enum addr_family family)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct sweep_block *b = &s->blocks[s->n_blocks];

		if (rules[i].cidr.base.family != family ||
		    !covers_port(&rules[i], port))
			continue;
		sg_range_from_cidr(&rules[i].cidr, &b->range);
		b->rank = i;
		b->allow = rules[i].allow;
		memcpy(s->places[s->n_places++], b->range.from, 16);
		if (sg_address_after(
			b->range.to, s->width, s->places[s->n_places]))
			s->n_places++;
		s->n_blocks++;
	}
	qsort(s->blocks, s->n_blocks, sizeof(*s->blocks), compare_blocks);
	qsort(s->places, s->n_places, sizeof(*s->places), compare_places);
	for (size_t i = 0; i < s->n_places; i++) {
		if (kept == 0 ||
		    memcmp(s->places[kept - 1], s->places[i], 16) != 0)
			memmove(s->places[kept++], s->places[i], 16);
	}
	s->n_places = kept;
}

static int
build_family(const struct acl_rule *rules, size_t n, uint16_t port,
    enum addr_family family, struct sg_range **out, size_t *n_out)
{
	struct sweep s = {.width = family == ADDR_IPV4 ? 4 : 16};
	int rc = -ENOMEM;

	s.blocks = calloc(n + 1, sizeof(*s.blocks));
	s.heap = calloc(n + 1, sizeof(struct sweep_block *));
	s.places = calloc(2 * n + 1, sizeof(*s.places));
	s.out = calloc(2 * n + 1, sizeof(*s.out));
	if (s.blocks != NULL && s.heap != NULL && s.places != NULL &&
	    s.out != NULL) {
		sweep_collect(&s, rules, n, port, family);
		sweep_run(&s);
		*out = s.out;
		*n_out = s.n_out;
		s.out = NULL;
		rc = 0;
	}
	free(s.blocks);
	free(s.heap);
	free(s.places);
	free(s.out);
	return rc;
}

int
acl_set_build(
    const struct acl_rule *rules, size_t n, uint16_t port, struct sg_set *out)
{
	struct sg_set set = {0};

	if (build_family(rules, n, port, ADDR_IPV4, &set.v4, &set.n_v4) != 0 ||
	    build_family(rules, n, port, ADDR_IPV6, &set.v6, &set.n_v6) != 0) {
		sg_set_fini(&set);
		return -ENOMEM;
	}
	*out = set;
	return 0;
}
