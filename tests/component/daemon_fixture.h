/*
 * A whole daemon in a process of its own: this test program again, with
 * "--daemon CONFIG". Its workers are real ones, or fake_worker.h's.
 */
#ifndef DAEMON_FIXTURE_H
#define DAEMON_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor_fixture.h"

/* Generous: only a failing test waits this long. */
#define DAEMON_DEADLINE_MS 20000

struct daemon_fixture {
	struct temp_dir dir;
	char config[96], socket[96], flow_log[96];
	uint16_t port, port2; /* for listeners */
	uint16_t target_port;
	int target_fd; /* listens there */
	pid_t pid;     /* 0: not running */
	int log_fd;
	char *log;          /* all that came from its stderr */
	size_t n_log, seen; /* seen: where the next wait begins */
};

/* To be called first in main. */
void daemon_fixture_run_if_asked(int argc, char **argv);

int daemon_fixture_setup(void **state);
/* Stops the daemon; -1 when it does not exit with 0 or a sanitizer spoke. */
int daemon_fixture_teardown(void **state);

#define DAEMON_TEST(name)                \
	cmocka_unit_test_setup_teardown( \
	    name, daemon_fixture_setup, daemon_fixture_teardown)

/* A config with one listener; more is appended to [node], so that it may add
 * keys there and sections after them. */
void daemon_write_config(const struct daemon_fixture *f, const char *more);
/* Line count of what daemon_write_config writes before more. */
#define DAEMON_CONFIG_LINES 17

void daemon_run(struct daemon_fixture *f);
/* daemon_run, and until it serves. */
void daemon_start(struct daemon_fixture *f);
/* Waits for text in the log, after what was waited for before. */
void daemon_wait_log(struct daemon_fixture *f, const char *text);
bool daemon_logged(struct daemon_fixture *f, const char *text);
/* Sends a signal. */
void daemon_signal(const struct daemon_fixture *f, int number);
/* Its exit code; -N when signal N killed it. */
int daemon_wait_exit(struct daemon_fixture *f);

/* One request; the HTTP status, the body in *body (free it). 0: no answer. */
long daemon_request(const struct daemon_fixture *f, const char *method,
    const char *path, char **body);
/* The same with a JSON body. */
long daemon_post(const struct daemon_fixture *f, const char *path,
    const char *json, char **body);
/* One request that is to have this status and this text in its answer. */
void daemon_expect(const struct daemon_fixture *f, const char *method,
    const char *path, long status, const char *text);
/* Until the answer of GET path contains text. */
void daemon_wait_answer(
    const struct daemon_fixture *f, const char *path, const char *text);
/* The pid of the worker with that index in its status. */
pid_t daemon_worker_pid(const struct daemon_fixture *f, unsigned index);

/* A client's connection through the daemon and its other end. */
void daemon_connect(struct daemon_fixture *f, int *client, int *target);
/* Until a child (an orphaned worker is one) has ended. */
bool wait_gone(pid_t pid);
/* Until the file contains text. */
void wait_file(const char *path, const char *text);

#endif
