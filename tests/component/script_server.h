/*
 * A server on the test's own loop that follows a script: waits for some
 * bytes, says some, and ends in one of several ways.
 */
#ifndef SCRIPT_SERVER_H
#define SCRIPT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/addr.h"

/* How a connection ends when the script is over. */
enum script_end {
	SCRIPT_HOLD, /* the client's turn */
	SCRIPT_FIN,
	SCRIPT_RST,
	SCRIPT_FLOOD, /* the last step's words again and again */
};

struct script_step {
	const char *wait_for; /* the end of what was received; NULL = nothing */
	const char *say;
	size_t say_size; /* 0: up to say's terminator */
	bool dribble;    /* a byte at a time */
};

#define STEP(wait, words)                          \
	{                                          \
		.wait_for = (wait), .say = (words) \
	}
#define STEP_BYTES(wait, bytes, size)                                  \
	{                                                              \
		.wait_for = (wait), .say = (bytes), .say_size = (size) \
	}
#define STEP_DRIBBLE(wait, words)                                   \
	{                                                           \
		.wait_for = (wait), .say = (words), .dribble = true \
	}

#define SCRIPT_STEPS_MAX 8

struct script {
	struct script_step steps[SCRIPT_STEPS_MAX]; /* up to an empty one */
	enum script_end end;
};

struct script_server {
	const struct script *script;
	struct addr addr;
	uv_loop_t *loop;
	int listener, fd; /* fd -1: no connection */
	uv_poll_t *accepting, *talking;
	uv_timer_t *dribbling;
	size_t step, said;
	bool waited; /* the step's wait_for has come */
	size_t n_connections;
	/* The latest connection: */
	char received[4096];
	size_t n_received;
	size_t n_sent;
	bool ended;    /* by the client */
	int end_error; /* how: 0 = FIN, else the errno */
};

/* Listens on 127.0.0.1. One connection at a time. False when that fails. */
bool script_server_open(
    struct script_server *s, uv_loop_t *loop, const struct script *script);
void script_server_close(struct script_server *s);

#endif
