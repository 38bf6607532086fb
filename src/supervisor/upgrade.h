/*
 * Another program in this process: the file that was started, which may have
 * been replaced, checks the config and then takes over by exec, with the
 * listening sockets and the channels to the workers of now.
 */
#ifndef SUPERVISOR_UPGRADE_H
#define SUPERVISOR_UPGRADE_H

#include <stdbool.h>
#include <uv.h>

#include "admin/admin.h"

struct daemon;

struct upgrade {
	char program[4096]; /* as it was started */
	uv_process_t check;
	uv_timer_t timer; /* the check's end, then the exec */
	bool under_way, timed_out;
	bool check_is_open; /* the handle */
	admin_verdict_cb cb;
	void *arg;
	/* What the program before this one left, or NULL; owned. */
	char *left;
};

/* Before anything else: is this the new program? Collects the sockets. */
void upgrade_begin(struct daemon *d);
/* When there is a loop: its workers. */
void upgrade_take_workers(struct daemon *d);
/* Before the first config: what DNS names resolved to. */
void upgrade_take_names(struct daemon *d);
/* When there are targets: those that were healthy are. */
void upgrade_take_health(struct daemon *d);

/* Ends with cb (or NULL) called; 0. */
int upgrade_start(void *owner, admin_verdict_cb cb, void *arg);
/* At the end: who waits is told. */
void upgrade_finish(struct daemon *d);

#endif
