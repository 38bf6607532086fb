/*
 * Target choice by a Maglev table (Eisenbud et al., "Maglev: A Fast and
 * Reliable Software Network Load Balancer", NSDI 2016, section 3.4).
 * Knows targets by address alone: no health, no flows, no clock.
 */
#include "nlb/routing.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

/* Picks in the table before the usable targets are weighed one by one. With
 * half of the targets unusable, one flow in 65,536 gets that far. */
#define PICK_TRIES 16

struct routing_table {
	struct hash_key key;
	uint64_t *weights; /* per target: its own hash */
	uint16_t *slots;   /* target indexes */
	uint32_t n, n_slots;
	uint32_t refs;
};

/* What is hashed must not depend on padding or byte order. */
struct wire_addr {
	uint8_t ip[16];
	uint8_t port[2]; /* big-endian */
	uint8_t family;
};
struct wire_flow {
	struct wire_addr src, dst;
	uint8_t protocol;
	uint8_t salt[8]; /* little-endian */
};

static struct wire_addr
wire_from_addr(const struct addr *a)
{
	struct wire_addr w = {
	    .port = {(uint8_t)(a->port >> 8), (uint8_t)a->port},
	    .family = a->family,
	};

	memcpy(w.ip, a->ip, sizeof(w.ip));
	return w;
}

/*
 * A prime of at least 100 slots for each target: targets differ by one slot at
 * most, so no share is more than 1 % off.
 */
static uint32_t
slots_for(size_t n)
{
	static const uint32_t primes[] = {16381, 65537, 131071, 262139};

	for (size_t i = 0; i < sizeof(primes) / sizeof(primes[0]); i++) {
		if (primes[i] >= 100 * n)
			return primes[i];
	}
	return 524287; /* ROUTING_TARGETS_MAX needs 409,600 */
}

struct build_target {
	struct addr addr;
	uint32_t index;      /* the caller's */
	uint32_t slot, skip; /* next slot it would like, and the step */
};

static int
build_target_compare(const void *a, const void *b)
{
	const struct build_target *x = a;
	const struct build_target *y = b;

	return addr_compare(&x->addr, &y->addr);
}

/* Targets take turns; each takes the next free slot of its own permutation.
 * Near the end most slots are taken and each turn asks for many: they are
 * asked in a bit for each, which fits a first-level cache. */
static int
fill_slots(struct routing_table *t, struct build_target *targets)
{
	uint64_t *taken = calloc(t->n_slots / 64 + 1, sizeof(*taken));
	uint32_t turn = 0;

	if (taken == NULL)
		return -ENOMEM;
	for (uint32_t filled = 0; filled < t->n_slots; filled++) {
		struct build_target *b = &targets[turn];
		uint32_t slot = b->slot;

		while ((taken[slot / 64] >> (slot % 64) & 1) != 0) {
			slot += b->skip;
			if (slot >= t->n_slots)
				slot -= t->n_slots;
		}
		taken[slot / 64] |= UINT64_C(1) << (slot % 64);
		t->slots[slot] = (uint16_t)b->index;
		b->slot = slot;
		if (++turn == t->n)
			turn = 0;
	}
	free(taken);
	return 0;
}

static int
build(struct routing_table *t, const struct addr *targets)
{
	struct build_target *sorted = calloc(t->n, sizeof(*sorted));
	int rc;

	if (sorted == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n; i++) {
		struct wire_addr w = wire_from_addr(&targets[i]);
		uint64_t h = hash_bytes(&t->key, &w, sizeof(w));

		t->weights[i] = h;
		sorted[i].addr = targets[i];
		sorted[i].index = i;
		sorted[i].slot = (uint32_t)(h % t->n_slots);
		sorted[i].skip = (uint32_t)(hash_mix(h) % (t->n_slots - 1)) + 1;
	}
	qsort(sorted, t->n, sizeof(*sorted), build_target_compare);
	rc = fill_slots(t, sorted);
	free(sorted);
	return rc;
}

int
routing_create(const struct addr *targets, size_t n, const char *name,
    struct routing_table **out)
{
	struct routing_table *t;

	if (n > ROUTING_TARGETS_MAX)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->refs = 1;
	t->key = hash_key_from_name(name);
	t->n = (uint32_t)n;
	t->n_slots = slots_for(n);
	if (n > 0) {
		t->weights = calloc(n, sizeof(*t->weights));
		t->slots = calloc(t->n_slots, sizeof(*t->slots));
		if (t->weights == NULL || t->slots == NULL ||
		    build(t, targets) != 0) {
			routing_unref(t);
			return -ENOMEM;
		}
	}
	*out = t;
	return 0;
}

struct routing_table *
routing_ref(struct routing_table *t)
{
	t->refs++;
	return t;
}

void
routing_unref(struct routing_table *t)
{
	if (t == NULL || --t->refs > 0)
		return;
	free(t->slots);
	free(t->weights);
	free(t);
}

uint64_t
routing_flow_hash(const struct routing_table *t, const struct addr *src,
    const struct addr *dst, uint64_t salt)
{
	struct wire_flow f = {
	    .src = wire_from_addr(src),
	    .dst = wire_from_addr(dst),
	    .protocol = IPPROTO_TCP,
	};
	uint64_t le_salt = htole64(salt);

	memcpy(f.salt, &le_salt, sizeof(f.salt));
	return hash_bytes(&t->key, &f, sizeof(f));
}

uint64_t
routing_source_hash(const struct routing_table *t, const struct addr *src)
{
	struct wire_addr w = wire_from_addr(src);

	memset(w.port, 0, sizeof(w.port));
	return hash_bytes(&t->key, &w, sizeof(w));
}

/*
 * Weighs every usable target against the flow and takes the highest: fair
 * however few are left, and as deterministic as the table.
 */
static int
pick_by_weight(const struct routing_table *t, uint64_t hash,
    routing_usable usable, void *arg)
{
	uint64_t best_weight = 0;
	int best = ROUTING_NONE;

	for (uint32_t i = 0; i < t->n; i++) {
		uint64_t weight = hash_mix(hash ^ t->weights[i]);

		if ((best == ROUTING_NONE || weight > best_weight) &&
		    usable(arg, i)) {
			best = (int)i;
			best_weight = weight;
		}
	}
	return best;
}

int
routing_pick(const struct routing_table *t, uint64_t hash,
    routing_usable usable, void *arg)
{
	uint64_t h = hash;

	if (t->n == 0)
		return ROUTING_NONE;
	for (int i = 0; i < PICK_TRIES; i++) {
		uint32_t target = t->slots[h % t->n_slots];

		if (usable(arg, target))
			return (int)target;
		h = hash_mix(h);
	}
	return pick_by_weight(t, hash, usable, arg);
}
