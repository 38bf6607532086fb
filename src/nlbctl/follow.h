/*
 * What follows nlbd: asks it again and again, over its restarts, until the
 * user or the reader of the output has enough.
 */
#ifndef NLBCTL_FOLLOW_H
#define NLBCTL_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "nlbctl/command.h"

#define FOLLOW_POLL_MS 500

struct follow {
	const struct command_run *run;
	bool has_answered; /* once: from then on it is waited for */
	uint64_t life;     /* which nlbd: its start_time_ms */
	uint64_t last_id;  /* that it gave */
	uint64_t dropped;  /* on the way to it, ever */
	/* What has what is lost here: the end of a sentence. */
	const char *elsewhere;
};

/* Until follow_end, SIGINT and SIGTERM only end the loop. */
void follow_begin(
    struct follow *f, const struct command_run *run, const char *elsewhere);
void follow_end(struct follow *f);

/*
 * One answer, in *out (a new reference), or NULL there with 0: it is over. An
 * nlbd that has answered before and is gone now is waited for. Returns an exit
 * code after saying what is wrong, where waiting would not help.
 */
int follow_fetch(struct follow *f, const char *path, json_t **out);
/* The same for a ring: asks path for what is younger than last_id and sets
 * it. Says so when records were lost or nlbd is another one. */
int follow_ring(struct follow *f, const char *path, json_t **out);
/* False: it is over. */
bool follow_pause(const struct follow *f, int ms);

/* Writes records at once: by print, or as one object on a line. 0 or an exit
 * code. */
int follow_print(const struct command_run *run, const json_t *list,
    void (*print)(const struct output *out, const json_t *record));

#endif
