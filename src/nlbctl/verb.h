/*
 * The verbs that are more than one request, and what they share. Each returns
 * the exit code (nlbctl(8)).
 */
#ifndef NLBCTL_VERB_H
#define NLBCTL_VERB_H

#include <jansson.h>

#include "nlbctl/client.h"
#include "nlbctl/command.h"

int verb_check(const struct command_run *run);
int verb_explain(const struct command_run *run);
int verb_health(const struct command_run *run);
int verb_wait(const struct command_run *run);
int verb_drain_node(const struct command_run *run);
int verb_notify_test(const struct command_run *run);
int verb_import_aws(const struct command_run *run);
int verb_init(const struct command_run *run);
int verb_doctor(const struct command_run *run);
int verb_events(const struct command_run *run);
int verb_flows(const struct command_run *run);
int verb_top(const struct command_run *run);
int verb_completion(const struct command_run *run);

/* What may stand behind the verb or its option, for its completion. */
const char *verb_explain_word(size_t i);
const char *verb_wait_word(size_t i);
const char *verb_metrics_word(size_t i);
const char *verb_events_word(size_t i);

/* Says on stderr what is wrong, and what to do: lines of text, each with the
 * program's name in front. */
void verb_complain(FILE *err, const char *text);
/* The request that the table has for the verb, and its answer shown. */
int verb_request(const struct command_run *run);
/* One request without a body. Returns 0 with a new reference in *out, or the
 * exit code with lines for people in error. */
int verb_fetch(const struct command_run *run, const char *method,
    const char *path, json_t **out, char error[CLIENT_ERROR_MAX]);
/* Prints indented JSON; EX_OK or EX_OSERR. root NULL: out of memory. */
int verb_print_json(const struct command_run *run, const json_t *root);

#endif
