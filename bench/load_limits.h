/*
 * Who set the figures: the forwarder, or the client and the machine it runs
 * on?  Rules that turn what was observed into sentences.
 */
#ifndef LOAD_LIMITS_H
#define LOAD_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#define LOAD_LIMITS_MAX 6
#define LOAD_LIMIT_TEXT 200

struct load_observed {
	bool is_open_loop;
	double busiest_thread; /* share of a CPU, the busiest one */
	double machine_busy;   /* share of all CPUs, everybody */
	double client_share;   /* of all CPUs, all threads of this program */
	uint64_t late_p99_ns;  /* own lateness at beginning what was due */
	uint64_t latency_p50_ns;
	uint64_t begun;  /* units that were to begin in the measured time */
	uint64_t waited; /* of these, with all flows in use */
	uint64_t no_port;
	uint64_t no_descriptor;
};

struct load_limits {
	unsigned count;
	char texts[LOAD_LIMITS_MAX][LOAD_LIMIT_TEXT];
};

void load_limits_judge(
    struct load_limits *limits, const struct load_observed *seen);

/* CPU time of the whole machine, from /proc/stat. */
struct load_machine {
	uint64_t busy;
	uint64_t total;
};

/* 0 or a negative errno. */
int load_machine_read(struct load_machine *machine);

/* Between two readings. */
double load_machine_busy(
    const struct load_machine *from, const struct load_machine *until);

#endif
