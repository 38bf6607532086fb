/*
 * The SYN filter in the kernel: attached to real listening sockets on
 * loopback, where 127.0.0.0/8 gives as many sources as wanted.
 */
#include "support/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/socket.h"
#include "nlb/syn_filter.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define DEADLINE_MS 5000
/* A SYN on loopback is answered before connect(2) returns; a dropped one is
 * sent again after a second. */
#define SILENCE_MS 150

struct listener {
	int fd;
	uint16_t port;
};

static struct listener
listener_open(const char *address)
{
	struct addr a = ip(address);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&a, &ss);
	struct listener l;

	l.fd =
	    socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(l.fd >= 0);
	if (ss.ss_family == AF_INET6)
		assert_i64(setsockopt(l.fd, IPPROTO_IPV6, IPV6_V6ONLY,
			       &(int){0}, sizeof(int)),
		    0);
	assert_i64(bind(l.fd, (struct sockaddr *)&ss, len), 0);
	assert_i64(listen(l.fd, 16), 0);
	len = sizeof(ss);
	assert_i64(getsockname(l.fd, (struct sockaddr *)&ss, &len), 0);
	addr_from_sockaddr((struct sockaddr *)&ss, &a);
	l.port = a.port;
	return l;
}

/* 0 or -errno. */
static int
attach(int fd, const struct syn_filter *f)
{
	return socket_attach_filter(fd, f->insns, f->n);
}

static void
attach_rules(const struct listener *l, const struct sg_rule *rules, size_t n)
{
	struct syn_filter f;
	struct sg_set set;

	assert_errno(sg_set_build(rules, n, l->port, &set), 0);
	assert_errno(syn_filter_compile(&set, &f), 0);
	assert_errno(attach(l->fd, &f), 0);
	syn_filter_fini(&f);
	sg_set_fini(&set);
}

/* Segments the kernel dropped at this socket so far. */
static uint32_t
drops(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);

	assert_i64(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len), 0);
	return info[SK_MEMINFO_DROPS];
}

/* Begins to connect from source to destination; the fd, not blocking. */
static int
connect_begin(const char *source, const char *destination, uint16_t port)
{
	struct addr from = ip(source);
	struct addr to = ip(destination);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&from, &ss);
	int fd =
	    socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_i64(bind(fd, (struct sockaddr *)&ss, len), 0);
	to.port = port;
	len = addr_to_sockaddr(&to, &ss);
	if (connect(fd, (struct sockaddr *)&ss, len) == -1)
		assert_i64(errno, EINPROGRESS);
	return fd;
}

static bool
wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, timeout_ms) == 1;
}

/* Connects and accepts; both ends are open and blocking afterwards. */
static void
expect_allowed(const struct listener *l, const char *source,
    const char *destination, int ends[2])
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr want = ip(source);
	struct addr peer;
	int error = -1;

	ends[0] = connect_begin(source, destination, l->port);
	if (!wait_for(ends[0], POLLOUT, DEADLINE_MS))
		fail_msg("%s: no answer", source);
	assert_i64(getsockopt(ends[0], SOL_SOCKET, SO_ERROR, &error,
		       &(socklen_t){sizeof(error)}),
	    0);
	assert_errno(-error, 0);
	assert_true(wait_for(l->fd, POLLIN, DEADLINE_MS));
	ends[1] = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC);
	assert_true(ends[1] >= 0);
	/* The user-space check sees what the filter saw. */
	addr_from_sockaddr((struct sockaddr *)&ss, &peer);
	assert_true(addr_ip_equal(&peer, &want));
	assert_i64(fcntl(ends[0], F_SETFL, 0), 0);
}

static void
close_both(const int ends[2])
{
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* The SYN was dropped: counted, and neither SYN-ACK nor RST came back. */
static void
expect_dropped(
    const struct listener *l, const char *source, const char *destination)
{
	uint32_t before = drops(l->fd);
	int fd = connect_begin(source, destination, l->port);

	if (wait_for(fd, POLLOUT, SILENCE_MS))
		fail_msg("%s: got an answer", source);
	assert_u64_between(drops(l->fd) - before, 1, 2);
	assert_false(wait_for(l->fd, POLLIN, 0));
	(void)close(fd);
}

static void
allow_one(const struct listener *l, const char *source, const char *destination)
{
	int ends[2];

	expect_allowed(l, source, destination, ends);
	close_both(ends);
}

static void
exchange(const int ends[2])
{
	char buf[8];

	for (int i = 0; i < 2; i++) {
		assert_i64(send(ends[i], "hello", 5, MSG_NOSIGNAL), 5);
		assert_true(wait_for(ends[1 - i], POLLIN, DEADLINE_MS));
		assert_i64(recv(ends[1 - i], buf, sizeof(buf), 0), 5);
		assert_bytes(buf, "hello", 5);
	}
}

static void
listed_ipv4_source_is_served_and_another_gets_no_answer(void **state)
{
	struct sg_rule rules[] = {rule("127.0.0.2/32"), rule("127.0.1.0/24")};
	struct listener l = listener_open("127.0.0.1");

	(void)state;
	attach_rules(&l, rules, LENGTH(rules));
	allow_one(&l, "127.0.0.2", "127.0.0.1");
	allow_one(&l, "127.0.1.0", "127.0.0.1");
	allow_one(&l, "127.0.1.255", "127.0.0.1");
	expect_dropped(&l, "127.0.0.1", "127.0.0.1");
	expect_dropped(&l, "127.0.0.3", "127.0.0.1");
	expect_dropped(&l, "127.0.2.0", "127.0.0.1");
	(void)close(l.fd);
}

static void
ipv6_source_is_judged_by_ipv6_rules(void **state)
{
	struct sg_rule loopback = rule("::1/128");
	struct sg_rule others[] = {
	    rule("fd00::/8"), rule("::2/127"), rule("0.0.0.0/0")};
	struct listener l = listener_open("::1");

	(void)state;
	attach_rules(&l, &loopback, 1);
	allow_one(&l, "::1", "::1");
	attach_rules(&l, others, LENGTH(others));
	expect_dropped(&l, "::1", "::1");
	(void)close(l.fd);
}

static void
dual_stack_listener_knows_ipv4_sources_by_ipv4_rules(void **state)
{
	struct sg_rule v4 = rule("127.0.0.2/32");
	struct sg_rule v6 = rule("::/0");
	struct listener l = listener_open("::");

	(void)state;
	attach_rules(&l, &v4, 1);
	allow_one(&l, "127.0.0.2", "127.0.0.1");
	expect_dropped(&l, "127.0.0.3", "127.0.0.1");
	expect_dropped(&l, "::1", "::1");
	/* "any IPv6" lets no IPv4 in, though the socket calls it ::ffff:... */
	attach_rules(&l, &v6, 1);
	allow_one(&l, "::1", "::1");
	expect_dropped(&l, "127.0.0.2", "127.0.0.1");
	(void)close(l.fd);
}

static void
empty_group_answers_nobody(void **state)
{
	struct listener l = listener_open("::");

	(void)state;
	attach_rules(&l, NULL, 0);
	expect_dropped(&l, "127.0.0.1", "127.0.0.1");
	expect_dropped(&l, "::1", "::1");
	(void)close(l.fd);
}

static void
replaced_filter_leaves_the_established_connection_alive(void **state)
{
	struct sg_rule before = rule("127.0.0.2/32");
	struct sg_rule after = rule("127.0.0.3/32");
	struct listener l = listener_open("127.0.0.1");
	int ends[2];
	int detached[2];

	(void)state;
	attach_rules(&l, &before, 1);
	expect_allowed(&l, "127.0.0.2", "127.0.0.1", ends);
	expect_allowed(&l, "127.0.0.2", "127.0.0.1", detached);
	/* What accept(2) returns inherits the filter; a flow needs none. */
	assert_i64(setsockopt(detached[1], SOL_SOCKET, SO_DETACH_FILTER,
		       &(int){0}, sizeof(int)),
	    0);
	attach_rules(&l, &after, 1);
	exchange(ends);
	exchange(detached);
	expect_dropped(&l, "127.0.0.2", "127.0.0.1");
	allow_one(&l, "127.0.0.3", "127.0.0.1");
	exchange(ends);
	exchange(detached);
	close_both(ends);
	close_both(detached);
	(void)close(l.fd);
}

static void
refuse_new_lets_waiting_connections_in_and_no_new_one(void **state)
{
	struct listener l = listener_open("127.0.0.1");
	struct syn_filter f;
	int ends[2];

	(void)state;
	ends[0] = connect_begin("127.0.0.2", "127.0.0.1", l.port);
	assert_true(wait_for(ends[0], POLLOUT, DEADLINE_MS));
	assert_errno(syn_filter_refuse_new(&f), 0);
	assert_errno(attach(l.fd, &f), 0);
	syn_filter_fini(&f);
	ends[1] = accept4(l.fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(ends[1] >= 0);
	assert_i64(fcntl(ends[0], F_SETFL, 0), 0);
	exchange(ends);
	expect_dropped(&l, "127.0.0.2", "127.0.0.1");
	exchange(ends);
	close_both(ends);
	(void)close(l.fd);
}

/* Allows 127.0.0.2 and n - 1 scattered hosts; false when it does not fit. */
static bool
compile_hosts(size_t n, bool with_ipv6, struct syn_filter *out)
{
	struct sg_rule *rules = calloc(n + 1, sizeof(*rules));
	struct sg_set set;
	int r;

	assert_non_null(rules);
	rules[0] = rule("127.0.0.2/32");
	for (size_t i = 1; i < n; i++) {
		uint32_t host = (uint32_t)i * (UINT32_MAX / (uint32_t)n) | 1;

		rules[i] = rule("0.0.0.0/32");
		for (unsigned b = 0; b < 4; b++)
			rules[i].cidr.base.ip[b] =
			    (uint8_t)(host >> (24 - 8 * b));
	}
	rules[n] = rule("2001:db8::/32");
	assert_errno(sg_set_build(rules, n + with_ipv6, 587, &set), 0);
	r = syn_filter_compile(&set, out);
	if (r != 0)
		assert_errno(r, -E2BIG);
	sg_set_fini(&set);
	free(rules);
	return r == 0;
}

/* The kernel charges a filter to its socket. */
static long
optmem_max(void)
{
	FILE *f = fopen("/proc/sys/net/core/optmem_max", "re");
	long value = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%ld", &value) != 1)
		value = 0;
	(void)fclose(f);
	return value;
}

static void
program_of_4096_instructions_is_accepted_and_works(void **state)
{
	struct listener l;
	struct syn_filter f;
	struct syn_filter none;
	struct sg_set empty = {0};
	bool full = false;

	(void)state;
	if (optmem_max() < 131072)
		skip(); /* kernels before 6.9 unless told otherwise: 20 KiB */
	for (size_t n = 2048; n > 1900 && !full; n--) {
		for (int v6 = 0; v6 < 2 && !full; v6++) {
			if (!compile_hosts(n, v6 != 0, &f))
				continue;
			full = f.n == SYN_FILTER_INSNS_MAX;
			if (!full)
				syn_filter_fini(&f);
		}
	}
	assert_true(full);
	l = listener_open("127.0.0.1");
	assert_errno(attach(l.fd, &f), 0);
	allow_one(&l, "127.0.0.2", "127.0.0.1");
	expect_dropped(&l, "127.0.0.3", "127.0.0.1");
	/* Old and new are charged together while one replaces the other; a
	 * small one in between makes room without opening the socket. */
	assert_errno(syn_filter_compile(&empty, &none), 0);
	assert_errno(attach(l.fd, &none), 0);
	assert_errno(attach(l.fd, &f), 0);
	allow_one(&l, "127.0.0.2", "127.0.0.1");
	syn_filter_fini(&none);
	syn_filter_fini(&f);
	(void)close(l.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		listed_ipv4_source_is_served_and_another_gets_no_answer),
	    cmocka_unit_test(ipv6_source_is_judged_by_ipv6_rules),
	    cmocka_unit_test(
		dual_stack_listener_knows_ipv4_sources_by_ipv4_rules),
	    cmocka_unit_test(empty_group_answers_nobody),
	    cmocka_unit_test(
		replaced_filter_leaves_the_established_connection_alive),
	    cmocka_unit_test(
		refuse_new_lets_waiting_connections_in_and_no_new_one),
	    cmocka_unit_test(
		program_of_4096_instructions_is_accepted_and_works),
	};

	return cmocka_run_group_tests_name(
	    "syn_filter_kernel", tests, NULL, NULL);
}
