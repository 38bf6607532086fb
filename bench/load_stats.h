/*
 * What a run has seen: units, their times, what failed and why, and the same
 * for each second.  Each thread has its own; they add up.
 */
#ifndef LOAD_STATS_H
#define LOAD_STATS_H

#include <stdint.h>

#include "histogram.h"
#include "load_plan.h"
#include "talk.h"

#define LOAD_FAILURES(X)                       \
	X(LOAD_REFUSED, "refused")             \
	X(LOAD_RESET, "reset")                 \
	X(LOAD_ENDED, "ended early")           \
	X(LOAD_TIMED_OUT, "timed out")         \
	X(LOAD_WRONG_BYTES, "wrong bytes")     \
	X(LOAD_NO_PORT, "no local port")       \
	X(LOAD_NO_DESCRIPTOR, "no descriptor") \
	X(LOAD_OTHER, "other errors")

#define LOAD_FAILURE_ENUM(name, text) name,
enum load_failure { LOAD_FAILURES(LOAD_FAILURE_ENUM) LOAD_FAILURE_COUNT };
#undef LOAD_FAILURE_ENUM

struct load_kind_stats {
	uint64_t done;
	uint64_t failed;
	struct histogram latency;  /* from the intended start */
	struct histogram connect;  /* of those with a connection of their own */
	struct histogram greeting; /* the same, from connect(2) on */
};

struct load_stats {
	struct load_kind_stats kinds[LOAD_KINDS_MAX];
	uint64_t failures[LOAD_FAILURE_COUNT];
	char examples[LOAD_FAILURE_COUNT][TALK_FAULT_MAX]; /* the first */
	uint64_t bytes_out; /* within the measured time, as the next two */
	uint64_t bytes_back;
	uint64_t waited;       /* open loop: due while no flow was free */
	struct histogram late; /* open loop: begun so long after it was due */
};

/* One second of the series. */
struct load_second {
	uint64_t done;
	uint64_t failed;
	uint64_t bytes;
	struct histogram latency;
};

void load_stats_init(struct load_stats *stats);
void load_stats_merge(struct load_stats *stats, const struct load_stats *from);

/* Counts it; keeps the text of the first of each sort. */
void load_stats_fail(struct load_stats *stats, unsigned kind,
    enum load_failure failure, const char *text);

/* What an errno, as libuv has them (negative), is counted as. */
enum load_failure load_failure_of(int error);

const char *load_failure_text(enum load_failure failure);

uint64_t load_stats_done(const struct load_stats *stats);
uint64_t load_stats_failed(const struct load_stats *stats);

void load_second_init(struct load_second *second);
void load_second_merge(
    struct load_second *second, const struct load_second *from);

#endif
