/*
 * Configuration files that nlbctl writes (init, import-aws).
 */
#ifndef NLBCTL_INI_FILE_H
#define NLBCTL_INI_FILE_H

#include <stddef.h>
#include <stdio.h>

#include "nlbctl/verb.h"

#define INI_NEXT_DOCTOR                                          \
	"`nlbctl doctor` looks at this machine and connects to " \
	"the targets; then start nlbd."

/* The section [node] of a first file. */
void ini_write_node(FILE *file);
/* The text has to pass what nlbd checks: a mistake in an option or a document
 * shows here. Diagnostics go to err, warnings too. EX_OK, EX_USAGE or EX_OSERR.
 */
int ini_check(const char *text, size_t len, const char *path, FILE *err);
/* Never over a file that is there, and never half. EX_OK or EX_CANTCREAT. */
int ini_create(const char *path, const char *text, size_t len, FILE *err);
int ini_report_created(
    const struct command_run *run, const char *path, const char *next);

#endif
