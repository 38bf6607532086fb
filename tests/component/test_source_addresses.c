/* SourceAddresses in a worker and in health checks: which address connections
 * come from, and what happens when one has no port left or is not there. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"
#include "health/checker.h"
#include "ipc/source_addresses.h"
#include "support/expect.h"
#include "support/loop_support.h"
#include "worker_fixture.h"

#define ABSENT "192.0.2.77"

static void
apply_sources(struct rig *r, const char *sources)
{
	char text[2048];

	snprintf(text, sizeof(text),
	    "[load-balancer]\nSourceAddresses = %s\n"
	    "[listener in]\nPort = 587\nSecurityGroups = none\n"
	    "DefaultActions = forward:out\n"
	    "[node]\nFlowLog = stderr\n"
	    "[target-group out]\nPort = 25\n%s",
	    sources, rig_target_lines(r));
	rig_apply(r, text);
}

/* Opens a flow, expects it from that address, ends it. */
static void
expect_source(struct rig *r, const char *source)
{
	struct rig_flow f = rig_open(r);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr peer;
	char text[ADDR_IP_STRLEN];

	assert_i64(getpeername(f.target, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr((struct sockaddr *)&ss, &peer);
	assert_str(addr_format_ip(&peer, text, sizeof(text)), source);
	close(f.client);
	close(f.target);
}

static uint64_t
port_errors(const struct rig *r)
{
	return sb_get(&r->block->listeners[0].port_allocation_errors);
}

static void
flows_come_from_the_source_addresses_in_turn(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 8);
	apply_sources(r, "127.0.0.2, ::1, 127.0.0.3");
	expect_source(r, "127.0.0.2");
	expect_source(r, "127.0.0.3");
	expect_source(r, "127.0.0.2");
	apply_sources(r, "127.0.0.4");
	expect_source(r, "127.0.0.4");
	apply_sources(r, "none");
	expect_source(r, "127.0.0.1");
	assert_u64(port_errors(r), 0);
}

static void
without_an_address_of_the_family_the_kernel_chooses(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 8);
	apply_sources(r, "::1");
	expect_source(r, "127.0.0.1");
}

static void
the_next_address_has_ports_when_one_has_none(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;

	rig_add_target(r, 8);
	apply_sources(r, "127.0.0.2, 127.0.0.3");
	f.client = rig_connect(r);
	fault_set(FAULT_CONNECT, 0, 1, EADDRNOTAVAIL);
	f.target = rig_accept(r, 0);
	assert_u64(fault_hits(FAULT_CONNECT), 1);
	assert_u64(port_errors(r), 1);
	assert_u64(sb_get(&r->block->listeners[0].connect_retries), 0);
	RIG_WAIT(r, rig_logged(r, "no free source port from 127.0.0.2 to "));
	close(f.client);
	close(f.target);
}

static void
expect_port_allocation(struct rig *r, int client)
{
	char byte;

	RIG_WAIT(r, r->n_ends == 1);
	assert_i64(rig_only_end(r)->reason, FLOW_END_PORT_ALLOCATION);
	assert_i64(recv(client, &byte, 1, 0), -1);
	assert_i64(errno, ECONNRESET);
	for (size_t i = 0; i < r->n_targets; i++)
		assert_u64(sb_get(&r->block->targets[r->targets[i].slot]
				       .connect_failures),
		    0);
	close(client);
}

static void
every_address_and_target_is_asked_before_the_flow_ends(void **state)
{
	struct rig *r = *state;
	int client;

	rig_add_target(r, 8);
	rig_add_target(r, 8);
	apply_sources(r, "127.0.0.2, 127.0.0.3, 127.0.0.4");
	client = rig_connect(r);
	fault_set(FAULT_CONNECT, 0, 6, EADDRNOTAVAIL);
	expect_port_allocation(r, client);
	assert_u64(fault_hits(FAULT_CONNECT), 6);
	assert_u64(port_errors(r), 6);
}

static void
an_absent_address_is_told_and_is_no_shortage_of_ports(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 8);
	apply_sources(r, ABSENT ", 127.0.0.3");
	expect_source(r, "127.0.0.3");
	assert_u64(port_errors(r), 0);
	RIG_WAIT(r, rig_logged(r, ABSENT " is not an address of this machine"));
}

static void
absent_addresses_alone_reach_no_target(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 8);
	apply_sources(r, ABSENT);
	fault_set(FAULT_CONNECT, 1, 1, ECONNREFUSED); /* 0: the client's */
	expect_port_allocation(r, rig_connect(r));
	assert_u64(fault_hits(FAULT_CONNECT), 0);
	assert_u64(port_errors(r), 1);
}

/* ---- health checks ---------------------------------------------------- */

struct checks {
	uv_loop_t loop;
	struct checker *checker;
	size_t n;
	enum probe_result result;
	char detail[160];
};

static void
ignore_start(void *owner, uint32_t slot)
{
	(void)owner;
	(void)slot;
}

static void
note_result(void *owner, uint32_t slot, enum probe_result result,
    const char *detail, uint64_t elapsed_us)
{
	struct checks *c = owner;

	(void)slot;
	(void)elapsed_us;
	c->n++;
	c->result = result;
	snprintf(c->detail, sizeof(c->detail), "%s", detail);
}

static bool
has_result(void *arg)
{
	const struct checks *c = arg;

	return c->n > 0;
}

/* One check of a target of its own from these addresses; the address that
 * the target saw, if it saw one. */
static void
check_once(const char *source, struct checks *c, struct addr *seen)
{
	struct conf_load_balancer lb = {.n_source_addresses = 1};
	struct check_spec spec = {.interval_ms = 60000, .timeout_ms = 5000};
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int listener = listen_on("127.0.0.1", 8, &spec.addr), fd;

	memset(seen, 0, sizeof(*seen));
	assert_i64(addr_parse_ip(source, &lb.source_addresses[0]), 0);
	uv_loop_init(&c->loop);
	assert_i64(
	    checker_create(&c->loop, c, ignore_start, note_result, &c->checker),
	    0);
	checker_set_source_addresses(c->checker, &lb);
	assert_i64(checker_set(c->checker, 1, &spec), 0);
	assert_true(loop_run_until(&c->loop, has_result, c, LOOP_DEADLINE_MS));
	checker_destroy(c->checker);
	assert_true(loop_finish(&c->loop));
	if (c->result == PROBE_SUCCESS) {
		fd = accept(listener, (struct sockaddr *)&ss, &len);
		addr_from_sockaddr((struct sockaddr *)&ss, seen);
		close(fd);
	}
	close(listener);
}

static void
checks_come_from_the_source_addresses(void **state)
{
	struct checks c = {0};
	struct addr seen;
	char text[ADDR_IP_STRLEN];

	(void)state;
	check_once("127.0.0.2", &c, &seen);
	assert_str(addr_format_ip(&seen, text, sizeof(text)), "127.0.0.2");
}

static void
a_check_without_a_port_or_an_address_is_void(void **state)
{
	struct checks without_port = {0}, without_address = {0};
	struct addr seen;

	(void)state;
	fault_set(FAULT_CONNECT, 0, 1, EADDRNOTAVAIL);
	check_once("127.0.0.2", &without_port, &seen);
	assert_i64(without_port.result, PROBE_VOID);
	assert_str(without_port.detail, "no free source port for the check");
	check_once(ABSENT, &without_address, &seen);
	assert_i64(without_address.result, PROBE_VOID);
	assert_str(without_address.detail,
	    "no address of SourceAddresses is one of this machine");
}

int
main(void)
{
	const struct CMUnitTest source_addresses[] = {
	    RIG_TEST(flows_come_from_the_source_addresses_in_turn),
	    RIG_TEST(without_an_address_of_the_family_the_kernel_chooses),
	    RIG_TEST(the_next_address_has_ports_when_one_has_none),
	    RIG_TEST(every_address_and_target_is_asked_before_the_flow_ends),
	    RIG_TEST(an_absent_address_is_told_and_is_no_shortage_of_ports),
	    RIG_TEST(absent_addresses_alone_reach_no_target),
	    cmocka_unit_test(checks_come_from_the_source_addresses),
	    cmocka_unit_test(a_check_without_a_port_or_an_address_is_void),
	};

	return cmocka_run_group_tests(source_addresses, NULL, NULL);
}
