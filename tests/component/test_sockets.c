/*
 * Component tests of supervisor/sockets: what a reload opens, keeps and
 * closes, what an error says, and the filter's place before the first SYN.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bsd/string.h>
#include <cmocka.h>

#include "supervisor/sockets.h"
#include "supervisor_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

#define WORKERS 2

struct fixture {
	struct temp_dir dir;
	struct scoreboard *sb;
	int sb_fd;
	struct sb_block *worker;
	struct sockets current, prepared;
	struct conf *conf; /* of prepared */
	char why[512];
	int descriptors; /* before anything was opened */
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL || temp_dir_make(&f->dir) != 0 ||
	    scoreboard_create(&f->sb, &f->sb_fd) != 0)
		return -1;
	f->worker = scoreboard_take(f->sb, 0, 0);
	f->descriptors = count_descriptors();
	capture_log();
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	int left;

	sockets_close(&f->current);
	conf_destroy(f->conf);
	left = count_descriptors() - f->descriptors;
	scoreboard_detach(f->sb);
	close(f->sb_fd);
	temp_dir_remove(&f->dir);
	free(f);
	return left == 0 ? 0 : -1; /* every descriptor was closed, and once */
}

#define GROUP                                                        \
	"[target-group g]\nPort = 25\nTarget.t = Id=10.0.0.1\n"      \
	"[security-group local]\n"                                   \
	"Inbound.a = Protocol=tcp,PortRange=1-65535,Source=127.0.0." \
	"0/8\n"                                                      \
	"[security-group elsewhere]\n"                               \
	"Inbound.a = Protocol=tcp,PortRange=1-65535,"                \
	"Source=192.0.2.0/24\n"

/* One listener's section; buffers take turns. */
static const char *
listener(const char *name, const char *address, uint16_t port, const char *sg)
{
	static char texts[4][256];
	static unsigned turn;
	char *text = texts[turn++ % 4];

	snprintf(text, sizeof(texts[0]),
	    "[listener %s]\nAddress = %s\nPort = %u\nSecurityGroups = %s\n"
	    "DefaultActions = forward:g\n",
	    name, address, port, sg);
	return text;
}

static int
prepare(struct fixture *f, const char *listener_a, const char *listener_b)
{
	char text[2048];

	snprintf(text, sizeof(text), "%s%s%s", listener_a, listener_b, GROUP);
	conf_destroy(f->conf);
	f->conf = conf_from_text(text);
	return sockets_prepare(f->conf, WORKERS, &f->current, f->sb,
	    temp_path(&f->dir, "nlbd.sock.lock"), &f->prepared, f->why,
	    sizeof(f->why));
}

static void
apply(struct fixture *f, const char *listener_a, const char *listener_b)
{
	assert_errno(prepare(f, listener_a, listener_b), 0);
	sockets_commit(&f->current, &f->prepared);
	sockets_attach_filters(&f->current, f->conf);
}

static bool
is_taken(uint16_t port)
{
	int fd = connect_to(port);

	if (fd == -1)
		return false;
	close(fd);
	return true;
}

static int
option(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	assert_i64(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* ---- opening ---------------------------------------------------------- */

static void
every_worker_gets_a_listening_socket_of_its_own(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();

	apply(f, listener("a", "127.0.0.1", port, "none"), "");
	assert_u64(f->current.n, 1);
	assert_i64(count_descriptors(), f->descriptors + WORKERS);
	for (int i = 0; i < WORKERS; i++) {
		int fd = f->current.sets[0].fds[i];

		assert_true(option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0);
		assert_true(option(fd, SOL_SOCKET, SO_REUSEPORT) != 0);
		assert_true(option(fd, SOL_SOCKET, SO_OOBINLINE) != 0);
		assert_true(option(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
		assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
		assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	}
	assert_true(is_taken(port));
}

static void
dualstack_listener_takes_ipv4_as_well(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();

	apply(f, listener("a", "all", port, "none"),
	    "[load-balancer]\nIpAddressType = dualstack\n");
	assert_i64(f->current.sets[0].bound.family, ADDR_IPV6);
	assert_true(is_taken(port));
}

static void
port_of_a_stranger_is_refused_though_reuseport_would_share_it(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage ss;
	struct addr where;
	socklen_t len;
	int on = 1, ready[2], status;
	char byte;
	pid_t pid;

	assert_i64(addr_parse_ip("127.0.0.1", &where), 0);
	where.port = free_port();
	len = addr_to_sockaddr(&where, &ss);
	assert_i64(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		prctl(PR_SET_NAME, "squatter");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
		if (bind(fd, (struct sockaddr *)&ss, len) == 0 &&
		    listen(fd, 8) == 0 && write(ready[1], "", 1) == -1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_i64(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_errno(
	    prepare(f, listener("a", "127.0.0.1", where.port, "none"), ""),
	    -EADDRINUSE);
	kill(pid, SIGKILL);
	assert_i64(waitpid(pid, &status, 0), pid);
	assert_contains(f->why, "listener a: 127.0.0.1:");
	assert_contains(f->why, "is in use by squatter (pid ");
	assert_contains(f->why, "choose another Port or Address");
}

static int
prepare_as_nobody(struct fixture *f)
{
	if (setuid(65534) == -1)
		return 1;
	if (prepare(f, listener("a", "127.0.0.1", 587, "none"), "") != -EACCES)
		return 2;
	return strstr(f->why, "CAP_NET_BIND_SERVICE") != NULL &&
		       strstr(f->why, "ip_unprivileged_port_start to 587") !=
			   NULL
		   ? 0
		   : 3;
}

static void
low_port_without_the_capability_says_how_to_get_it(void **state)
{
	struct fixture *f = *state;
	int status = -1;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0)
		_exit(prepare_as_nobody(f));
	assert_i64(waitpid(pid, &status, 0), pid);
	assert_i64(WEXITSTATUS(status), 0);
}

static void
address_of_another_machine_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_errno(prepare(f, listener("a", "192.0.2.1", 5870, "none"), ""),
	    -EADDRNOTAVAIL);
	assert_contains(f->why, "this machine has no address 192.0.2.1:5870");
}

static void
failure_leaves_the_sockets_in_force_alone(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port(), added = free_port();
	int fd, before;

	apply(f, listener("a", "127.0.0.1", port, "none"), "");
	fd = f->current.sets[0].fds[0];
	before = count_descriptors();
	/* c is opened before b fails: it has to be closed again. */
	assert_errno(prepare(f, listener("c", "127.0.0.1", added, "none"),
			 listener("b", "192.0.2.1", 5870, "none")),
	    -EADDRNOTAVAIL);
	assert_i64(count_descriptors(), before);
	assert_i64(f->current.sets[0].fds[0], fd);
	assert_true(is_taken(port));
	assert_false(is_taken(added));
}

/* ---- reloading -------------------------------------------------------- */

static void
listener_that_stays_keeps_its_descriptors_and_slot(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port(), added = free_port(), slot;
	int fd;

	apply(f, listener("a", "127.0.0.1", port, "none"), "");
	fd = f->current.sets[0].fds[1];
	slot = f->current.sets[0].slot;
	apply(f, listener("b", "127.0.0.1", added, "none"),
	    listener("a", "127.0.0.1", port, "local"));
	assert_str(f->current.sets[1].name, "a");
	assert_i64(f->current.sets[1].fds[1], fd);
	assert_u64(f->current.sets[1].slot, slot);
	assert_false(f->current.sets[1].is_new);
	assert_true(f->current.sets[0].is_new);
	assert_true(f->current.sets[0].slot != slot);
	assert_true(is_taken(port) && is_taken(added));
}

static void
removed_listener_is_closed_with_the_commit(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port(), removed = free_port();
	const char *stays = listener("a", "127.0.0.1", port, "none");

	apply(f, stays, listener("b", "127.0.0.1", removed, "none"));
	assert_errno(prepare(f, stays, ""), 0);
	assert_true(is_taken(removed));
	sockets_commit(&f->current, &f->prepared);
	assert_false(is_taken(removed));
	assert_true(is_taken(port));
	assert_i64(count_descriptors(), f->descriptors + WORKERS);
}

static void
dropped_preparation_closes_only_what_is_new(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port(), added = free_port();
	const char *stays = listener("a", "127.0.0.1", port, "none");

	apply(f, stays, "");
	assert_errno(
	    prepare(f, stays, listener("b", "127.0.0.1", added, "none")), 0);
	assert_true(is_taken(added));
	sockets_drop(&f->prepared);
	assert_false(is_taken(added));
	assert_true(is_taken(port));
	assert_i64(count_descriptors(), f->descriptors + WORKERS);
}

static void
listener_with_another_address_opens_beside_the_old_one(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port(), slot;

	apply(f, listener("a", "127.0.0.1", port, "none"), "");
	slot = f->current.sets[0].slot;
	apply(f, listener("a", "0.0.0.0", port, "none"), "");
	assert_true(f->current.sets[0].slot != slot);
	assert_true(f->current.sets[0].is_new);
	assert_true(is_taken(port));
	assert_i64(count_descriptors(), f->descriptors + WORKERS);
}

/* Clients whose handshake the kernel has done wait in the queue; closing the
 * last descriptor would reset them. */
static void
renamed_listener_keeps_the_connections_that_wait(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port(), slot;
	int clients[16], accepted = 0;

	apply(f, listener("old", "127.0.0.1", port, "none"), "");
	slot = f->current.sets[0].slot;
	for (size_t i = 0; i < 16; i++) {
		clients[i] = connect_to(port);
		assert_true(clients[i] != -1);
	}
	apply(f, listener("new", "127.0.0.1", port, "none"), "");
	assert_str(f->current.sets[0].name, "new");
	assert_true(f->current.sets[0].slot != slot);
	for (size_t i = 0; i < WORKERS; i++) {
		int fd;

		while ((fd = accept(f->current.sets[0].fds[i], NULL, NULL)) !=
		       -1) {
			accepted++;
			close(fd);
		}
	}
	assert_i64(accepted, 16);
	for (size_t i = 0; i < 16; i++)
		close(clients[i]);
	assert_i64(count_descriptors(), f->descriptors + WORKERS);
}

static void
two_listeners_may_swap_their_ports(void **state)
{
	struct fixture *f = *state;
	uint16_t one = free_port(), two = free_port();

	apply(f, listener("a", "127.0.0.1", one, "none"),
	    listener("b", "127.0.0.1", two, "none"));
	apply(f, listener("a", "127.0.0.1", two, "none"),
	    listener("b", "127.0.0.1", one, "none"));
	assert_u64(f->current.sets[0].bound.port, two);
	assert_true(is_taken(one) && is_taken(two));
	assert_i64(count_descriptors(), f->descriptors + 2 * WORKERS);
}

static void
slot_of_a_removed_listener_waits_its_turn(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port(), other = free_port(), slot;

	apply(f, listener("a", "127.0.0.1", port, "none"), "");
	slot = f->current.sets[0].slot;
	apply(f, listener("b", "127.0.0.1", other, "none"), "");
	apply(f, listener("c", "127.0.0.1", port, "none"), "");
	assert_true(f->current.sets[0].slot != slot);
	/* All the way round; and not while a flow still has it. */
	f->current.next_slot = slot;
	atomic_store(&f->worker->listeners[slot].active_flows, 1);
	apply(f, listener("d", "127.0.0.1", other, "none"), "");
	assert_true(f->current.sets[0].slot != slot);
	f->current.next_slot = slot;
	atomic_store(&f->worker->listeners[slot].active_flows, 0);
	apply(f, listener("e", "127.0.0.1", port, "none"), "");
	assert_u64(f->current.sets[0].slot, slot);
}

static void
no_free_slot_is_an_error(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < SB_LISTENERS; i++)
		atomic_store(&f->worker->listeners[i].active_flows, 1);
	assert_errno(
	    prepare(f, listener("a", "127.0.0.1", free_port(), "none"), ""),
	    -ENOSPC);
}

/* ---- the filter ------------------------------------------------------- */

/* A connect that nobody answers: true once the kernel has counted its SYN. */
static bool
is_dropped(struct fixture *f, const struct socket_set *set)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&set->bound, &ss);
	uint64_t before = sockets_dropped(set);
	struct pollfd p = {.events = POLLOUT};
	bool dropped = false;

	(void)f;
	p.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)connect(p.fd, (struct sockaddr *)&ss, len);
	/* On loopback the SYN is dealt with inside connect. */
	for (int i = 0; i < 2000 && !dropped && poll(&p, 1, 1) == 0; i++)
		dropped = sockets_dropped(set) > before;
	dropped = dropped && poll(&p, 1, 0) == 0;
	close(p.fd);
	return dropped;
}

static void
filter_is_there_before_the_first_syn(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();

	assert_errno(
	    prepare(f, listener("a", "127.0.0.1", port, "elsewhere"), ""), 0);
	/* Prepared only: nothing was attached afterwards. */
	assert_true(is_dropped(f, &f->prepared.sets[0]));
	assert_true(f->prepared.sets[0].kernel_filter);
	sockets_commit(&f->current, &f->prepared);
}

static void
changed_rules_replace_the_filter_of_a_listener_that_stays(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();

	apply(f, listener("a", "127.0.0.1", port, "elsewhere"), "");
	assert_true(is_dropped(f, &f->current.sets[0]));
	assert_str(f->current.sets[0].filter_text, "kernel: 1 address range");
	apply(f, listener("a", "127.0.0.1", port, "local"), "");
	assert_true(is_taken(port));
	apply(f, listener("a", "127.0.0.1", port, "elsewhere"), "");
	assert_true(is_dropped(f, &f->current.sets[0]));
	apply(f, listener("a", "127.0.0.1", port, "none"), "");
	assert_true(is_taken(port));
	assert_false(f->current.sets[0].kernel_filter);
	assert_str(
	    f->current.sets[0].filter_text, "none: SecurityGroups = none");
}

static void
renamed_listener_has_its_own_filter(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();

	apply(f, listener("a", "127.0.0.1", port, "local"), "");
	apply(f, listener("b", "127.0.0.1", port, "elsewhere"), "");
	assert_true(is_dropped(f, &f->current.sets[0]));
}

static void
reset_action_leaves_the_decision_to_user_space(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();
	char text[512];

	snprintf(text, sizeof(text), "%sSecurityGroupAction = reset\n",
	    listener("a", "127.0.0.1", port, "elsewhere"));
	apply(f, text, "");
	assert_true(is_taken(port));
	assert_false(f->current.sets[0].kernel_filter);
	assert_str(f->current.sets[0].filter_text,
	    "user space: SecurityGroupAction = reset");
}

static void
rules_too_many_for_the_kernel_fall_back_and_say_so(void **state)
{
	struct fixture *f = *state;
	uint16_t port = free_port();
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs(listener("a", "127.0.0.1", port, "many"), out);
	fputs("[target-group g]\nPort = 25\nTarget.t = Id=10.0.0.1\n"
	      "[security-group many]\nInbound.a = Protocol=tcp,"
	      "PortRange=1-65535,Source=prefix-list:p\n[prefix-list p]\n",
	    out);
	for (unsigned i = 0; i < 5000; i++)
		fprintf(out, "Entry.e%u = 10.%u.%u.%u/32\n", i, i % 7 * 2,
		    i / 100, i % 100 * 2);
	fclose(out);
	f->conf = conf_from_text(text);
	free(text);
	assert_errno(sockets_prepare(f->conf, WORKERS, &f->current, f->sb,
			 "/nowhere", &f->prepared, f->why, sizeof(f->why)),
	    0);
	sockets_commit(&f->current, &f->prepared);
	sockets_attach_filters(&f->current, f->conf);
	assert_false(f->current.sets[0].kernel_filter);
	assert_contains(f->current.sets[0].filter_text,
	    "user space: too many ranges for the kernel's filter");
	assert_u64(log_lines_with("enforced in user space"), 1);
	assert_true(is_taken(port));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest sockets[] = {
	    TEST(every_worker_gets_a_listening_socket_of_its_own),
	    TEST(dualstack_listener_takes_ipv4_as_well),
	    TEST(port_of_a_stranger_is_refused_though_reuseport_would_share_it),
	    TEST(low_port_without_the_capability_says_how_to_get_it),
	    TEST(address_of_another_machine_is_refused),
	    TEST(failure_leaves_the_sockets_in_force_alone),
	    TEST(listener_that_stays_keeps_its_descriptors_and_slot),
	    TEST(removed_listener_is_closed_with_the_commit),
	    TEST(dropped_preparation_closes_only_what_is_new),
	    TEST(listener_with_another_address_opens_beside_the_old_one),
	    TEST(renamed_listener_keeps_the_connections_that_wait),
	    TEST(two_listeners_may_swap_their_ports),
	    TEST(slot_of_a_removed_listener_waits_its_turn),
	    TEST(no_free_slot_is_an_error),
	    TEST(filter_is_there_before_the_first_syn),
	    TEST(changed_rules_replace_the_filter_of_a_listener_that_stays),
	    TEST(renamed_listener_has_its_own_filter),
	    TEST(reset_action_leaves_the_decision_to_user_space),
	    TEST(rules_too_many_for_the_kernel_fall_back_and_say_so),
	};

	(void)use_private_network();
	return cmocka_run_group_tests(sockets, NULL, NULL);
}
