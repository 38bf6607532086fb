/*
 * nlbctl without its main(): what the command line asks for, done.
 */
#ifndef NLBCTL_RUN_H
#define NLBCTL_RUN_H

#include <stdio.h>

#include "nlbctl/table.h"

/* out takes results, err messages. default_socket may be NULL. Returns the
 * exit code (nlbctl(8)). */
int nlbctl_run(int argc, char *const *argv, const char *default_socket,
    const struct output *out, FILE *err);

#endif
