/* supervisor/resolver against a DNS server of every kind. */
#include "support/expect.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "dns_server.h"
#include "supervisor/resolver.h"
#include "supervisor_fixture.h"
#include "support/loop_support.h"

#define ASKED_MAX 32
/* c-ares' own limit is 6 s here; under valgrind everything takes longer. */
#define ANSWER_MS 30000

struct asked {
	struct fixture *fixture;
	const char *label;
	unsigned calls;
	bool cancelled;
	char error[128]; /* "" = none */
	size_t n;
	uint32_t ttl_s;
	uint64_t asked_ms, ms; /* how long it took */
	struct addr first, last;
};

struct fixture {
	uv_loop_t loop;
	struct dns_server server;
	struct resolver *resolver;
	struct asked asked[ASKED_MAX];
	size_t n_asked, n_answered;
	int descriptors;
};

static int
setup(void **state)
{
	static const char *const addresses[] = {
	    "10.0.0.2", "10.0.0.1", "fd00::1", NULL};
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	if (uv_loop_init(&f.loop) != 0)
		return -1;
	dns_server_open(&f.server, &f.loop, 0);
	dns_server_set(&f.server, addresses);
	if (resolver_create(&f.loop, &f.resolver) != 0)
		return -1;
	assert_true(resolver_set_servers(f.resolver, &f.server.addr, 1));
	uv_run(&f.loop, UV_RUN_NOWAIT);
	f.descriptors = count_descriptors();
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	resolver_destroy(f->resolver);
	dns_server_close(&f->server);
	return loop_finish(&f->loop) ? 0 : -1;
}

static void
on_answer(void *arg, struct resolver_answer *answer)
{
	struct asked *a = arg;

	a->calls++;
	a->ms = uv_hrtime() / 1000000 - a->asked_ms;
	a->cancelled = answer->cancelled;
	a->n = answer->n;
	a->ttl_s = answer->ttl_s;
	if (answer->error != NULL)
		snprintf(a->error, sizeof(a->error), "%s", answer->error);
	if (answer->n > 0) {
		a->first = answer->list[0];
		a->last = answer->list[answer->n - 1];
	}
	a->fixture->n_answered++;
}

static struct asked *
ask(struct fixture *f, const char *label, uint8_t family)
{
	struct asked *a = &f->asked[f->n_asked++];
	char host[80];

	a->fixture = f;
	a->label = label;
	a->asked_ms = uv_hrtime() / 1000000;
	snprintf(host, sizeof(host), "%s.example.test", label);
	resolver_ask(f->resolver, host, family, on_answer, a);
	return a;
}

static bool
all_answered(void *arg)
{
	const struct fixture *f = arg;

	return f->n_answered >= f->n_asked;
}

static void
wait_answers(struct fixture *f)
{
	assert_true(loop_run_until(&f->loop, all_answered, f, ANSWER_MS));
	for (size_t i = 0; i < f->n_asked; i++)
		assert_u64(f->asked[i].calls, 1);
}

static void
expect_addr(const struct addr *a, const char *want)
{
	char text[ADDR_STRLEN];

	assert_str(addr_format_ip(a, text, sizeof(text)), want);
	assert_u64(a->port, 0);
}

static void
addresses_come_with_the_least_ttl(void **state)
{
	struct fixture *f = *state;
	struct asked *v4 = ask(f, "plain", ADDR_IPV4);
	struct asked *v6 = ask(f, "plain", ADDR_IPV6);
	struct asked *alias = ask(f, "alias", ADDR_IPV4);

	wait_answers(f);
	assert_str(v4->error, "");
	assert_u64(v4->n, 2);
	assert_u64(v4->ttl_s, 60);
	expect_addr(&v4->first, "10.0.0.2");
	expect_addr(&v4->last, "10.0.0.1");
	assert_u64(v6->n, 1);
	expect_addr(&v6->first, "fd00::1");
	assert_u64(alias->n, 2);
	assert_u64(alias->ttl_s, 7);
}

static void
no_descriptor_is_left_between_questions(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++) {
		(void)ask(f, i % 2 == 0 ? "plain" : "tc", ADDR_IPV4);
		wait_answers(f);
		uv_run(&f->loop, UV_RUN_NOWAIT);
		assert_i64(count_descriptors(), f->descriptors);
	}
}

static void
a_truncated_answer_is_asked_for_again_over_tcp(void **state)
{
	struct fixture *f = *state;
	struct asked *tc = ask(f, "tc", ADDR_IPV4);
	struct asked *huge = ask(f, "huge", ADDR_IPV4);

	wait_answers(f);
	assert_u64(f->server.n_tcp, 2);
	assert_str(tc->error, "");
	assert_u64(tc->n, 2);
	/* Of thousands some are enough. */
	assert_str(huge->error, "");
	assert_u64_between(huge->n, 256, DNS_SERVER_HUGE - 1);
}

static void
every_hostile_answer_is_a_failure_in_time(void **state)
{
	static const char *const labels[] = {"silent", "nxdomain", "servfail",
	    "refused", "empty", "garbage", "wrong-id", "other", "cut", "lie",
	    "loop", "short", "alias-loop", "tc-cut"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		(void)ask(f, labels[i], ADDR_IPV4);
	wait_answers(f);
	for (size_t i = 0; i < f->n_asked; i++) {
		const struct asked *a = &f->asked[i];

		if (a->error[0] == '\0' || a->cancelled || a->n != 0)
			fail_msg("%s: %zu addresses, \"%s\"", a->label, a->n,
			    a->error);
	}
	/* "silent" had all its tries: what the server did to other names cost
	 * it none. And the next one is nobody's victim. */
	assert_u64_between(f->asked[0].ms, 5000, ANSWER_MS);
	(void)ask(f, "plain", ADDR_IPV4);
	wait_answers(f);
	assert_u64(f->asked[f->n_asked - 1].n, 2);
}

static void
a_server_that_is_not_there_is_a_failure(void **state)
{
	struct fixture *f = *state;
	struct addr nobody;
	int fd = reserve_port(&nobody);

	assert_true(resolver_set_servers(f->resolver, &nobody, 1));
	(void)ask(f, "plain", ADDR_IPV4);
	wait_answers(f);
	assert_u64(f->asked[0].n, 0);
	assert_true(f->asked[0].error[0] != '\0');
	close(fd);
}

static void
the_second_server_stands_in_for_the_first(void **state)
{
	struct fixture *f = *state;
	struct addr servers[2];
	int fd = reserve_port(&servers[0]);

	servers[1] = f->server.addr;
	assert_true(resolver_set_servers(f->resolver, servers, 2));
	(void)ask(f, "plain", ADDR_IPV4);
	wait_answers(f);
	assert_u64(f->asked[0].n, 2);
	close(fd);
}

static void
other_servers_cancel_what_is_under_way(void **state)
{
	struct fixture *f = *state;
	struct addr nobody;
	int fd = reserve_port(&nobody);
	struct asked *silent = ask(f, "silent", ADDR_IPV4);

	assert_false(resolver_set_servers(f->resolver, &f->server.addr, 1));
	assert_u64(silent->calls, 0);
	assert_true(resolver_set_servers(f->resolver, &nobody, 1));
	assert_u64(silent->calls, 1);
	assert_true(silent->cancelled);
	assert_true(resolver_set_servers(f->resolver, &f->server.addr, 1));
	(void)ask(f, "plain", ADDR_IPV4);
	wait_answers(f);
	assert_u64(f->asked[1].n, 2);
	close(fd);
}

/* teardown destroys it meanwhile. */
static void
its_end_drops_what_is_under_way(void **state)
{
	struct fixture *f = *state;
	struct asked *silent = ask(f, "silent", ADDR_IPV4);

	(void)ask(f, "tc", ADDR_IPV4);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_u64(silent->calls, 0);
}

static bool private_network;

/* A file of our own in the place of one of the machine's, for this process. */
static bool
cover(const struct temp_dir *dir, const char *name, const char *text)
{
	const char *path = temp_path(dir, name);
	char covered[64];

	snprintf(covered, sizeof(covered), "/etc/%s", name);
	write_file(path, text);
	return mount(path, covered, "none", MS_BIND, NULL) == 0;
}

static void
auto_is_the_hosts_file_and_resolv_conf(void **state)
{
	static const char *const addresses[] = {"10.0.0.9", NULL};
	struct fixture *f = *state;
	struct dns_server server;
	struct temp_dir dir;
	struct asked *known, *asked;

	if (!private_network || unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0)
		skip();
	assert_i64(temp_dir_make(&dir), 0);
	if (!cover(&dir, "hosts", "10.1.2.3 known.example.test\n") ||
	    !cover(&dir, "resolv.conf",
		"search example.test\nnameserver 127.0.0.1\n"))
		skip();
	dns_server_open(&server, &f->loop, 53);
	dns_server_set(&server, addresses);
	assert_true(resolver_set_servers(f->resolver, NULL, 0));
	known = ask(f, "known", ADDR_IPV4);
	wait_answers(f);
	assert_u64(server.n_questions, 0);
	assert_str(known->error, "");
	assert_u64(known->ttl_s, 0);
	expect_addr(&known->first, "10.1.2.3");
	asked = ask(f, "plain", ADDR_IPV4);
	wait_answers(f);
	expect_addr(&asked->first, "10.0.0.9");
	/* A search list would ask for name.example.test.example.test too. */
	server.n_questions = 0;
	(void)ask(f, "nxdomain", ADDR_IPV4);
	wait_answers(f);
	assert_u64(server.n_questions, 1);
	dns_server_close(&server);
	(void)umount("/etc/hosts");
	(void)umount("/etc/resolv.conf");
	temp_dir_remove(&dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest resolver[] = {
	    TEST(addresses_come_with_the_least_ttl),
	    TEST(no_descriptor_is_left_between_questions),
	    TEST(a_truncated_answer_is_asked_for_again_over_tcp),
	    TEST(every_hostile_answer_is_a_failure_in_time),
	    TEST(a_server_that_is_not_there_is_a_failure),
	    TEST(the_second_server_stands_in_for_the_first),
	    TEST(other_servers_cancel_what_is_under_way),
	    TEST(its_end_drops_what_is_under_way),
	    TEST(auto_is_the_hosts_file_and_resolv_conf),
	};

	private_network = use_private_network();
	return cmocka_run_group_tests(resolver, NULL, NULL);
}
