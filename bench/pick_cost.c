/*
 * nlbd-pick-cost: what the two decisions about a new flow cost, by how much
 * there is to choose from: may this client in (N rules), and which target gets
 * it (N targets). Sizes take turns, so that what the machine does meanwhile
 * meets all alike. Prints one line of JSON: for each size, ns of CPU of every
 * round.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bsd/stdlib.h>

#include "base/addr.h"
#include "base/hash.h"
#include "nlb/routing.h"
#include "nlb/security_group.h"

#define ROUNDS_DEFAULT 15
#define ROUNDS_MAX 1000
#define OPERATIONS 200000
#define PORT 587

static const size_t target_sizes[] = {1, 100, 1000};
static const size_t rule_sizes[] = {1, 100, 10000};
#define SIZES 3

static struct {
	struct routing_table *tables[SIZES];
	struct sg_set sets[SIZES];
	double pick_ns[SIZES][ROUNDS_MAX], admit_ns[SIZES][ROUNDS_MAX];
	bool usable[1000];
	unsigned long long answers; /* printed, so that nothing is left out */
} cost;

/* 10.0.0.0/8 and a port, spread by a number. */
static struct addr
client(uint64_t number)
{
	uint64_t r = hash_mix(number);
	struct addr a = {.family = ADDR_IPV4,
	    .ip = {10, (uint8_t)r, (uint8_t)(r >> 8), (uint8_t)(r >> 16)},
	    .port = (uint16_t)(1024 + ((r >> 24) & 0x7fff))};

	return a;
}

static int
make_table(size_t n, struct routing_table **out)
{
	struct addr *targets = calloc(n, sizeof(*targets));
	int rc = -ENOMEM;

	if (targets == NULL)
		return rc;
	for (size_t i = 0; i < n; i++)
		targets[i] = (struct addr){.family = ADDR_IPV4,
		    .ip = {192, 168, (uint8_t)(i >> 8), (uint8_t)i},
		    .port = PORT};
	rc = routing_create(targets, n, "smtp", out);
	free(targets);
	return rc;
}

/* Every other address of a part of 10.0.0.0/8: nothing merges. */
static int
make_set(size_t n, struct sg_set *out)
{
	struct sg_rule *rules = calloc(n, sizeof(*rules));
	int rc = -ENOMEM;

	if (rules == NULL)
		return rc;
	for (size_t i = 0; i < n; i++)
		rules[i] = (struct sg_rule){
		    .cidr = {.base = {.family = ADDR_IPV4,
				 .ip = {10, (uint8_t)(i * 2 >> 8),
				     (uint8_t)(i * 2)}},
			.prefix_len = 24},
		    .port_from = PORT,
		    .port_to = PORT};
	rc = sg_set_build(rules, n, PORT, out);
	free(rules);
	return rc;
}

static bool
is_usable(void *arg, uint32_t index)
{
	const bool *usable = arg;

	return usable[index];
}

static double
cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double
time_picks(const struct routing_table *table)
{
	const struct addr listener = {
	    .family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = PORT};
	double began = cpu_ns();

	for (uint64_t i = 0; i < OPERATIONS; i++) {
		struct addr from = client(i);
		uint64_t hash = routing_flow_hash(table, &from, &listener, i);

		cost.answers += (unsigned long long)routing_pick(
		    table, hash, is_usable, cost.usable);
	}
	return (cpu_ns() - began) / OPERATIONS;
}

static double
time_admissions(const struct sg_set *set)
{
	double began = cpu_ns();

	for (uint64_t i = 0; i < OPERATIONS; i++) {
		struct addr from = client(i);

		cost.answers += sg_set_allows(set, &from);
	}
	return (cpu_ns() - began) / OPERATIONS;
}

static void
print_values(const char *name, const size_t *sizes,
    double values[SIZES][ROUNDS_MAX], int rounds)
{
	printf("\"%s\":{", name);
	for (size_t i = 0; i < SIZES; i++) {
		printf("%s\"%zu\":[", i == 0 ? "" : ",", sizes[i]);
		for (int r = 0; r < rounds; r++)
			printf("%s%.2f", r == 0 ? "" : ",", values[i][r]);
		printf("]");
	}
	printf("},");
}

static int
prepare(void)
{
	memset(cost.usable, true, sizeof(cost.usable));
	for (size_t i = 0; i < SIZES; i++)
		if (make_table(target_sizes[i], &cost.tables[i]) < 0 ||
		    make_set(rule_sizes[i], &cost.sets[i]) < 0)
			return -ENOMEM;
	return 0;
}

int
main(int argc, char **argv)
{
	const char *error = NULL;
	int rounds = ROUNDS_DEFAULT;

	if (argc == 2)
		rounds = (int)strtonum(argv[1], 1, ROUNDS_MAX, &error);
	if (argc > 2 || error != NULL) {
		fprintf(stderr, "usage: nlbd-pick-cost [ROUNDS]\n");
		return 64;
	}
	if (prepare() < 0) {
		fprintf(stderr, "nlbd-pick-cost: out of memory\n");
		return 71;
	}
	for (int r = 0; r < rounds; r++) {
		for (size_t i = 0; i < SIZES; i++) {
			cost.pick_ns[i][r] = time_picks(cost.tables[i]);
			cost.admit_ns[i][r] = time_admissions(&cost.sets[i]);
		}
	}
	printf("{");
	print_values("targets", target_sizes, cost.pick_ns, rounds);
	print_values("rules", rule_sizes, cost.admit_ns, rounds);
	printf("\"answers\":%llu}\n", cost.answers);
	for (size_t i = 0; i < SIZES; i++) {
		routing_unref(cost.tables[i]);
		sg_set_fini(&cost.sets[i]);
	}
	return 0;
}
