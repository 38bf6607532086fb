/*
 * A pump between two loopback connections, on an edge-triggered poller as in
 * a worker:
 *
 *	from ----> [source side]  pump  [destination side] ----> to
 */
#ifndef PUMP_FIXTURE_H
#define PUMP_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/pump.h"

struct pump_rig {
	uv_loop_t loop;
	struct poller poller;
	struct fd_budget budget;
	struct pipe_pool pipes;
	struct pump_resources resources;
	struct pump pump;
	struct side source, destination;
	int from, to; /* -1: closed by the test */
	enum pump_result result;
	bool reads_ahead; /* as with other flows' events in the same turn */
	uint64_t held_most;
	uint32_t budget_used; /* before */
	int descriptors;      /* before */
	/* pattern() on its way */
	size_t sent, received, size;
	bool fin_sent;
	char *buffer; /* PATTERN_MAX */
};

int pump_rig_setup(void **state);
/* Fails when anything is left: bytes, pipes, budget, descriptors. */
int pump_rig_teardown(void **state);

struct CMUnitTest;
/* All of them with and without reading ahead. */
int pump_rig_run(
    const char *name, const struct CMUnitTest *tests, size_t n_tests);
#define PUMP_RIG_RUN(tests) \
	pump_rig_run(#tests, tests, sizeof(tests) / sizeof(tests[0]))
#define PUMP_RIG_TEST(name) \
	cmocka_unit_test_setup_teardown(name, pump_rig_setup, pump_rig_teardown)

/* Smaller socket buffers between pump and reader, so that it blocks. */
void pump_rig_narrow(struct pump_rig *r);
/* Notes events for up to 2 ms, then runs the pump; passes a FIN on. */
void pump_rig_step(struct pump_rig *r);
/* Sends what the socket takes of the pattern, FIN after size bytes. */
void pump_rig_feed(struct pump_rig *r);
/* Reads at most that many bytes at the far end; they must be the pattern's. */
void pump_rig_drain(struct pump_rig *r, size_t most);
/* Feeds until nothing moves any more and bytes are held. */
void pump_rig_settle(struct pump_rig *r);
/* The pattern's first size bytes from end to end, FIN behind. */
void pump_rig_transfer(struct pump_rig *r, size_t size);

#endif
