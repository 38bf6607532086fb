/*
 * What a run of nlbbench is to do: its profile and options.
 */
#ifndef LOAD_PLAN_H
#define LOAD_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "dialog.h"

#define LOAD_SOURCES_MAX 64
#define LOAD_KINDS_MAX 6 /* of units in one run: the parts of "mixed" */
#define LOAD_MIX_MAX 20
#define LOAD_THREADS_MAX 64

struct load_plan {
	const char *profile;
	struct sockaddr_storage to;
	const char *to_text;
	struct sockaddr_storage sources[LOAD_SOURCES_MAX];
	unsigned source_count;
	unsigned threads;
	uint64_t flows;
	double rate; /* units per second; 0: closed loop */
	double duration_s;
	double warm_up_s;
	double timeout_s;
	uint64_t units; /* 0: until duration_s is over */
	uint64_t size;
	bool has_size;
	enum dialog_direction direction;
	struct dialog_server server;
	bool prints_json;
	bool is_quiet;
	/* The units: unit n is of kind mix[n % mix_size]. */
	struct dialog kinds[LOAD_KINDS_MAX];
	unsigned kind_count;
	unsigned mix[LOAD_MIX_MAX];
	unsigned mix_size;
};

/* Ends the program when the command line makes no sense. */
void load_plan_parse(struct load_plan *plan, int argc, char **argv);

/* Builds the dialogs.  0 or a negative errno. */
int load_plan_prepare(struct load_plan *plan);

void load_plan_fini(struct load_plan *plan);

/* Flows are held, not used up. */
bool load_plan_holds(const struct load_plan *plan);

#endif
