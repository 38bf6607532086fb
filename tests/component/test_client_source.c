/*
 * Component tests of worker/client_source: flows that reach their target from
 * the client's address, in a network where loopback has one more address than
 * those that stay on one machine. And of supervisor/machine, which sees
 * whether that would work.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "supervisor/machine.h"
#include "supervisor_fixture.h"
#include "worker_fixture.h"

#define CLIENT "10.99.0.1"
#define NOBODY 65534

static bool isolated;

/* Loopback gets the client's address. */
static int
use_network(void **state)
{
	struct ifreq alias = {.ifr_name = "lo:1"};
	struct sockaddr_in *sin = (struct sockaddr_in *)&alias.ifr_addr;
	int fd, rc;

	(void)state;
	isolated = geteuid() == 0 && use_private_network();
	if (!isolated)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(0x0a630001);
	rc = ioctl(fd, SIOCSIFADDR, &alias);
	close(fd);
	return rc;
}

static void
need_network(void)
{
	if (!isolated)
		skip();
}

static void
apply(struct rig *r, const char *keys)
{
	char group[256];

	snprintf(group, sizeof(group), "preserve_client_ip.enabled = true\n%s",
	    keys);
	rig_apply_keys(r, "", group, "");
}

/* A client of listener 0; shared: its port may be used by others. */
static int
client(struct rig *r, bool shared)
{
	struct addr from;
	struct sockaddr_storage ss;
	socklen_t len;
	int on = shared, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_errno(addr_parse_ip(CLIENT, &from), 0);
	len = addr_to_sockaddr(&from, &ss);
	assert_i64(
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_i64(bind(fd, (struct sockaddr *)&ss, len), 0);
	len = addr_to_sockaddr(&r->listeners[0].addr, &ss);
	assert_i64(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static struct addr
name_of(int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	assert_i64(get(fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr((struct sockaddr *)&ss, &a);
	return a;
}

/* What target 0 sees of that client, whose flow then ends. */
static struct addr
seen_of(struct rig *r, int fd)
{
	int target = rig_accept(r, 0);
	struct addr seen = name_of(target, getpeername);

	close(target);
	close(fd);
	return seen;
}

static uint64_t
port_errors(const struct rig *r)
{
	return sb_get(&r->block->listeners[0].port_allocation_errors);
}

static void
target_sees_the_clients_address_and_port(void **state)
{
	struct rig *r = *state;
	struct addr expected, seen;
	int fd;

	need_network();
	rig_add_target(r, 8);
	apply(r, "");
	fd = client(r, true);
	expected = name_of(fd, getsockname);
	seen = seen_of(r, fd);
	assert_true(addr_equal(&seen, &expected));
}

static void
expect_other_port(struct rig *r, int fd)
{
	struct addr expected = name_of(fd, getsockname);
	struct addr seen = seen_of(r, fd);

	assert_true(addr_ip_equal(&seen, &expected));
	assert_true(seen.port != expected.port);
	assert_u64(port_errors(r), 0);
	assert_u64(sb_get(&r->block->listeners[0].connect_retries), 0);
}

static void
port_that_cannot_be_had_is_replaced(void **state)
{
	struct rig *r = *state;
	int fd;

	need_network();
	rig_add_target(r, 8);
	apply(r, "");
	/* At bind: somebody has it who does not share it. */
	expect_other_port(r, client(r, false));
	/* At connect: it is in use towards this target. */
	fd = client(r, true);
	fault_set(FAULT_CONNECT, 0, 1, EADDRNOTAVAIL);
	expect_other_port(r, fd);
	assert_u64(fault_hits(FAULT_CONNECT), 1);
}

/* The target that got a flow, when it got one. */
static int
any_accept(struct rig *r)
{
	int fd = -1;

	RIG_WAIT(r, (fd = peer_accept(r->targets[0].fd)) != -1 ||
			(fd = peer_accept(r->targets[1].fd)) != -1);
	return fd;
}

static void
the_next_target_is_asked_when_no_port_is_left(void **state)
{
	struct rig *r = *state;
	int fd, target;

	need_network();
	rig_add_target(r, 8);
	rig_add_target(r, 8);
	apply(r, "");
	fd = client(r, true);
	fault_set(FAULT_CONNECT, 0, 2, EADDRNOTAVAIL);
	target = any_accept(r);
	assert_u64(fault_hits(FAULT_CONNECT), 2);
	assert_u64(port_errors(r), 1);
	assert_u64(sb_get(&r->block->listeners[0].connect_retries), 1);
	for (size_t i = 0; i < 2; i++)
		assert_u64(sb_get(&r->block->targets[r->targets[i].slot]
				       .connect_failures),
		    0);
	close(target);
	close(fd);
}

static void
without_the_right_no_target_is_to_blame(void **state)
{
	struct rig *r = *state;
	int fd;

	need_network();
	rig_add_target(r, 8);
	apply(r, "");
	fd = client(r, true);
	assert_i64(seteuid(NOBODY), 0);
	RIG_WAIT(r, r->n_ends == 1);
	assert_i64(seteuid(0), 0);
	assert_i64(rig_only_end(r)->reason, FLOW_END_PORT_ALLOCATION);
	RIG_WAIT(r, rig_logged(r,
			"no connection can come from the client address " CLIENT
			": Operation not permitted"));
	assert_u64(port_errors(r), 0);
	assert_u64(
	    sb_get(&r->block->targets[r->targets[0].slot].connect_failures), 0);
	close(fd);
}

static void
a_client_on_this_machine_is_served_from_our_address(void **state)
{
	struct rig *r = *state;
	struct addr seen;

	rig_add_target(r, 8);
	apply(r, "");
	seen = seen_of(r, rig_connect(r));
	assert_true(addr_is_loopback(&seen));
}

static void
the_machine_says_what_it_can_do(void **state)
{
	struct conf_machine m;

	(void)state;
	need_network();
	machine_ask(&m);
	assert_true(m.transparent);
	/* Its own addresses, 127.0.0.0/8 among them, are no such route. */
	assert_false(m.diverts[CONF_IPV4]);
	assert_false(m.diverts[CONF_IPV6]);
	assert_i64(seteuid(NOBODY), 0);
	machine_ask(&m);
	assert_i64(seteuid(0), 0);
	assert_false(m.transparent);
	assert_false(m.diverts[CONF_IPV4]);
}

int
main(void)
{
	const struct CMUnitTest client_source[] = {
	    RIG_TEST(target_sees_the_clients_address_and_port),
	    RIG_TEST(port_that_cannot_be_had_is_replaced),
	    RIG_TEST(the_next_target_is_asked_when_no_port_is_left),
	    RIG_TEST(without_the_right_no_target_is_to_blame),
	    RIG_TEST(a_client_on_this_machine_is_served_from_our_address),
	    cmocka_unit_test(the_machine_says_what_it_can_do),
	};

	return cmocka_run_group_tests(client_source, use_network, NULL);
}
