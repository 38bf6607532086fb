/*
 * A daemon for the admin interface to ask: one load balancer with two
 * listeners and two target groups, whose every answer a test can change.
 */
#ifndef TESTS_ADMIN_FAKE_H
#define TESTS_ADMIN_FAKE_H

#include "admin/admin.h"
#include "admin/events.h"
#include "admin/flow_ring.h"
#include "admin/history.h"
#include "nlb/event.h"

#define FAKE_TARGETS 4
#define FAKE_FLOWS 3

struct admin_fake {
	struct admin_ops ops;
	struct conf conf;
	struct conf_listener listeners[2];
	struct conf_target_group groups[2];
	struct events events;
	struct history history;
	struct flow_ring flow_ring;
	struct scoreboard *scoreboard;
	int scoreboard_fd;

	struct admin_status status;
	struct admin_worker workers[2];
	struct admin_listener shown_listeners[2];
	struct admin_receiver receiver;
	struct target health[FAKE_TARGETS];
	struct admin_target targets[FAKE_TARGETS];
	struct latency check_latency[FAKE_TARGETS];
	uint64_t check_results[FAKE_TARGETS][PROBE_RESULTS];
	struct flow_record flows[FAKE_FLOWS];
	struct sb_target_sum former_spare; /* of the second group */
	struct admin_peaks peaks[3];       /* by listener, and of all */
	struct admin_name names[1];
	size_t n_targets, n_flows, n_names;

	/* What operations answer, and when: at once, or by
	 * admin_fake_complete. */
	bool defer, accept;
	const char *verdict_text;
	int op_error;
	unsigned n_reloads, n_checks;
	/* The last change asked for, in words; what it says and returns. */
	char changed[1024];
	const char *change_text;
	int change_error;
	uint32_t missing_workers;
	admin_verdict_cb verdict_cb;
	admin_flows_cb flows_cb;
	void *cb_arg;
};

/* All is well in it. Exits the test on failure. now_ms: the loop's clock. */
void admin_fake_init(struct admin_fake *fake, uint64_t now_ms);
void admin_fake_fini(struct admin_fake *fake);
/* Ends the operation that waits. */
void admin_fake_complete(struct admin_fake *fake);
bool admin_fake_is_pending(const struct admin_fake *fake);

/* Something for /v1/events. */
void admin_fake_event(struct admin_fake *fake, uint64_t wall_ms,
    enum event event, const char *text);

#endif
