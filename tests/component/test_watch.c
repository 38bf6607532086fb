/*
 * supervisor/watch: what of the workers' records is kept, and how long.
 */
#include <stdlib.h>

#include "faults.h"
#include "support/expect.h"
#include "supervisor/daemon.h"

#define WATCH_MS 10000

/* A daemon without workers. */
static int
setup(void **state)
{
	struct daemon *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -1;
	fault_reset();
	d->flow_log.fd = -1;
	TAILQ_INIT(&d->registry.targets);
	snprintf(
	    d->listener_names[1], sizeof(d->listener_names[1]), "submission");
	*state = d;
	return 0;
}

static int
teardown(void **state)
{
	fault_reset();
	free(*state);
	return 0;
}

static void
take(struct daemon *d, enum flow_state flow_state)
{
	const struct flow_record r = {
	    .state = (uint8_t)flow_state, .listener_slot = 1};
	const struct channel_message m = {
	    .type = CHANNEL_FLOW_RECORDS, .payload = &r, .size = sizeof(r)};

	daemon_take_flow_records(d, &m);
}

static void
records_are_kept_while_somebody_asks(void **state)
{
	struct daemon *d = *state;
	const struct flow_ring *ring;

	take(d, FLOW_CLOSING);
	assert_u64(d->flow_ring.last_id, 0);
	ring = daemon_watch_flows(d);
	take(d, FLOW_ESTABLISHED);
	take(d, FLOW_CLOSING);
	assert_u64(ring->last_id, 2);
	assert_i64(ring->ring[1].record.state, FLOW_ESTABLISHED);
	assert_str(ring->ring[2].listener, "submission");
	assert_str(ring->ring[2].target_group, "");
}

static void
nobody_asked_for_a_while_and_it_ends(void **state)
{
	struct daemon *d = *state;

	(void)daemon_watch_flows(d);
	fault_skip_clock(WATCH_MS - 1000);
	daemon_watch_tick(d);
	take(d, FLOW_CLOSING);
	assert_u64(d->flow_ring.last_id, 1);
	(void)daemon_watch_flows(d);
	fault_skip_clock(WATCH_MS - 1000);
	daemon_watch_tick(d);
	take(d, FLOW_CLOSING);
	assert_u64(d->flow_ring.last_id, 2);
	fault_skip_clock(2000);
	daemon_watch_tick(d);
	take(d, FLOW_CLOSING);
	assert_u64(d->flow_ring.last_id, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest watch[] = {
	    TEST(records_are_kept_while_somebody_asks),
	    TEST(nobody_asked_for_a_while_and_it_ends),
	};

	return cmocka_run_group_tests(watch, NULL, NULL);
}
