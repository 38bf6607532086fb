/* A pump between sockets; see pump_fixture.h. */
#include "pump_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "support/loop_support.h"
#include "tcp_peers.h"

static bool
nothing_left(void *arg)
{
	(void)arg;
	return false;
}

static void
on_side_event(struct poll_item *item, uint32_t events)
{
	side_note_events(
	    (struct side *)((char *)item - offsetof(struct side, item)),
	    events);
}

int
pump_rig_setup(void **state)
{
	struct pump_rig *r;
	uv_loop_t first;

	fault_reset();
	/* libuv keeps a pipe of its first loop for ever. */
	uv_loop_init(&first);
	uv_loop_close(&first);
	r = calloc(1, sizeof(*r));
	r->descriptors = count_descriptors();
	uv_loop_init(&r->loop);
	assert_i64(poller_init(&r->poller, &r->loop, nothing_left, r), 0);
	fd_budget_init(&r->budget, 0);
	r->budget_used = r->budget.used;
	pipe_pool_init(&r->pipes, &r->budget);
	r->resources.pipes = &r->pipes;
	r->resources.buffer = malloc(PUMP_BUFFER_SIZE);
	r->resources.batch = calloc(1, sizeof(struct pump_batch));
	r->buffer = malloc(PATTERN_MAX);
	peer_pair(&r->from, &r->source.fd);
	peer_pair(&r->to, &r->destination.fd);
	r->source.item.on_event = on_side_event;
	r->destination.item.on_event = on_side_event;
	r->destination.writable = true;
	assert_i64(poller_add(&r->poller, r->source.fd, POLLER_FLOW_EVENTS,
		       &r->source.item),
	    0);
	assert_i64(poller_add(&r->poller, r->destination.fd, POLLER_FLOW_EVENTS,
		       &r->destination.item),
	    0);
	*state = r;
	return 0;
}

static int
setup_reads_ahead(void **state)
{
	struct pump_rig *r;
	int rc = pump_rig_setup(state);

	r = *state;
	r->reads_ahead = true;
	return rc;
}

int
pump_rig_run(const char *name, const struct CMUnitTest *tests, size_t n_tests)
{
	static char names[64][96];
	struct CMUnitTest all[128];

	assert_true(n_tests <= 64);
	memcpy(all, tests, n_tests * sizeof(tests[0]));
	memcpy(all + n_tests, tests, n_tests * sizeof(tests[0]));
	for (size_t i = 0; i < n_tests; i++) {
		snprintf(names[i], sizeof(names[i]), "%s_reading_ahead",
		    tests[i].name);
		all[n_tests + i].name = names[i];
		all[n_tests + i].setup_func = setup_reads_ahead;
	}
	return _cmocka_run_group_tests(name, all, 2 * n_tests, NULL, NULL);
}

int
pump_rig_teardown(void **state)
{
	struct pump_rig *r = *state;

	fault_reset();
	pump_release(&r->pump, &r->resources);
	assert_u64(r->pipes.n_lent, 0);
	pipe_pool_fini(&r->pipes);
	assert_u64(r->budget.used, r->budget_used);
	close(r->source.fd);
	close(r->destination.fd);
	if (r->from != -1)
		close(r->from);
	if (r->to != -1)
		close(r->to);
	poller_fini(&r->poller);
	assert_i64(uv_loop_close(&r->loop), 0);
	free(r->resources.batch);
	free(r->resources.buffer);
	free(r->buffer);
	assert_i64(count_descriptors(), r->descriptors);
	free(r);
	return 0;
}

void
pump_rig_narrow(struct pump_rig *r)
{
	peer_set_buffers(r->destination.fd, 65536, 0);
	peer_set_buffers(r->to, 0, 65536);
}

void
pump_rig_step(struct pump_rig *r)
{
	uint64_t held;

	poller_turn(&r->poller, r->result == PUMP_BUSY ? 0 : 2);
	if (r->reads_ahead)
		pump_read_ahead(
		    &r->pump, &r->source, &r->destination, &r->resources);
	r->result =
	    pump_run(&r->pump, &r->source, &r->destination, &r->resources);
	/* Whoever still used it would see it change. */
	memset(r->resources.batch->bytes, 0xdb, r->resources.batch->used);
	pump_batch_end(&r->resources);
	/* As a flow does: the last bytes may wait for it. */
	if (r->result == PUMP_FIN)
		shutdown(r->destination.fd, SHUT_WR);
	held = pump_held_bytes(&r->pump);
	if (held > r->held_most)
		r->held_most = held;
}

void
pump_rig_feed(struct pump_rig *r)
{
	size_t n = 1;

	while (r->sent < r->size && n > 0) {
		n = peer_send(r->from, pattern() + r->sent, r->size - r->sent);
		r->sent += n;
	}
	if (r->sent == r->size && !r->fin_sent) {
		r->fin_sent = true;
		peer_fin(r->from);
	}
}

void
pump_rig_drain(struct pump_rig *r, size_t most)
{
	while (most > 0) {
		size_t n = most < PATTERN_MAX - r->received
			       ? most
			       : PATTERN_MAX - r->received;

		if (n == 0 ||
		    peer_read(r->to, r->buffer + r->received, &n) != PEER_DATA)
			return;
		r->received += n;
		most -= n;
	}
}

void
pump_rig_settle(struct pump_rig *r)
{
	uint64_t bytes = 0;
	int quiet = 0;

	WAIT_UNTIL(quiet == 20, {
		r->sent += peer_send(r->from, pattern() + r->sent, 8000);
		pump_rig_step(r);
		quiet++;
		if (r->pump.bytes != bytes || pump_held_bytes(&r->pump) == 0)
			quiet = 0;
		bytes = r->pump.bytes;
	});
}

void
pump_rig_transfer(struct pump_rig *r, size_t size)
{
	r->size = size;
	r->sent = r->received = 0;
	r->fin_sent = false;
	WAIT_UNTIL(r->result == PUMP_FIN, {
		pump_rig_feed(r);
		pump_rig_step(r);
		pump_rig_drain(r, PATTERN_MAX);
	});
	WAIT_UNTIL(r->received == size, pump_rig_drain(r, PATTERN_MAX));
	assert_memory_equal(r->buffer, pattern(), size);
	assert_u64(r->pump.bytes, size);
	assert_u64(pump_held_bytes(&r->pump), 0);
}
