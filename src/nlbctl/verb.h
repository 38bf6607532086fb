/*
 * The verbs that are more than one request, and what they share. Each returns
 * the exit code (nlbctl(8)).
 */
#ifndef NLBCTL_VERB_H
#define NLBCTL_VERB_H

#include <jansson.h>

#include "nlbctl/command.h"

int verb_explain(const struct command_run *run);

/* What may stand behind the verb, for its completion. */
const char *verb_explain_word(size_t i);

/* Says on stderr what is wrong, and what to do: lines of text, each with the
 * program's name in front. */
void verb_complain(FILE *err, const char *text);
/* Prints indented JSON; EX_OK or EX_OSERR. root NULL: out of memory. */
int verb_print_json(const struct command_run *run, const json_t *root);

#endif
