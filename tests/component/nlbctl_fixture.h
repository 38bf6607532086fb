/*
 * nlbctl as its users run it, against an admin server in a child process.
 */
#ifndef TESTS_NLBCTL_FIXTURE_H
#define TESTS_NLBCTL_FIXTURE_H

#include <sys/types.h>

#include "admin_fake.h"

struct nlbctl_fixture {
	char dir[64], path[96]; /* path: of the socket */
	pid_t server;           /* 0 = none */
	char *out, *err;        /* what the last run printed */
};

int nlbctl_setup(void **state);
int nlbctl_teardown(void **state);

int nlbctl_listen_at(const char *path);
/* A daemon as admin_fake has it, changed by change if not NULL. Its socket
 * listens before this returns: no run can come too early. */
void nlbctl_start_server(
    struct nlbctl_fixture *f, void (*change)(struct admin_fake *));
void nlbctl_stop_server(struct nlbctl_fixture *f);
/* Runs nlbctl with words divided by blanks; returns its exit code. */
int nlbctl_run_words(struct nlbctl_fixture *f, const char *words);

#endif
