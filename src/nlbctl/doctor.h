/*
 * What nlbctl doctor looks at: checks that each add rows with a verdict, what
 * was found, and what to do.
 */
#ifndef NLBCTL_DOCTOR_H
#define NLBCTL_DOCTOR_H

#include <stddef.h>
#include <jansson.h>

#include "nlb/conf.h"

#define DOCTOR_ROWS_MAX 128

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_WARNING,
	DOCTOR_PROBLEM,
};

struct doctor_row {
	const char *check;
	enum doctor_verdict verdict;
	char finding[256];
	const char *next; /* what to do; "" = nothing */
};

struct doctor {
	const char *root; /* before /proc and /sys; "" but in tests */
	const struct conf *conf;
	const json_t *status; /* of the running nlbd; NULL = none answers */
	struct doctor_row rows[DOCTOR_ROWS_MAX];
	size_t n_rows;
};

/* One more row, as long as there is room. */
void doctor_add(struct doctor *d, const char *check,
    enum doctor_verdict verdict, const char *next, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Limits of this machine. */
void doctor_check_files(struct doctor *d);
void doctor_check_source_ports(struct doctor *d);
void doctor_check_accept_queue(struct doctor *d);
void doctor_check_conntrack(struct doctor *d);
void doctor_check_clock(struct doctor *d);
void doctor_check_idle_timeout(struct doctor *d);
/* The listeners' ports: the right to them, and who has them. */
void doctor_check_ports(struct doctor *d);
/* Connects to each target and listens to what it says first. */
void doctor_check_targets(struct doctor *d);

#endif
