/*
 * One probe of any kind on a loop of its own, against a scripted server.
 */
#ifndef PROBE_FIXTURE_H
#define PROBE_FIXTURE_H

#include <stdbool.h>
#include <uv.h>

#include "health/probe.h"
#include "script_server.h"

typedef int (*probe_starter)(const struct probe_env *env, struct probe **out);

struct probe_fixture {
	uv_loop_t loop;
	struct http_client *http;
	struct check_spec spec; /* the test's to fill in */
	struct script_server server;
	struct probe *probe; /* NULL when it is over */
	struct probe_end end;
	int calls;
	bool gave_up;
	int descriptors;
};

int probe_fixture_setup(void **state);
/* -1 when a handle or a descriptor is left. */
int probe_fixture_teardown(void **state);

/* Runs one probe of spec to its end, or gives up after deadline_ms. What
 * comes out is in f->end. */
void probe_run(
    struct probe_fixture *f, probe_starter start, uint64_t deadline_ms);
/* The same with a server on the way; its end is waited for. */
void probe_script(struct probe_fixture *f, probe_starter start,
    const struct script *script, uint64_t deadline_ms);
void assert_probe(const struct probe_fixture *f, enum probe_result result,
    const char *detail);
/* detail starts with that. */
void assert_probe_like(
    const struct probe_fixture *f, enum probe_result result, const char *start);

#endif
