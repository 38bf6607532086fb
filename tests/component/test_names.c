/* supervisor/names: what becomes of the names of a config, with a DNS server
 * on loopback. */
#include "support/expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "dns_server.h"
#include "supervisor/names.h"
#include "supervisor_fixture.h"
#include "support/loop_support.h"

#define CONFS_MAX 8

struct fixture {
	uv_loop_t loop;
	struct dns_server server;
	struct names *names;
	struct conf *confs[CONFS_MAX];
	size_t n_confs;
	unsigned n_changed;
	const char *healthy; /* the one healthy target */
};

static void
on_changed(void *owner)
{
	struct fixture *f = owner;

	f->n_changed++;
}

static bool
is_healthy(void *owner, const char *group, const struct addr *a)
{
	const struct fixture *f = owner;
	char text[ADDR_STRLEN];

	return strcmp(group, "a") == 0 &&
	       strcmp(addr_format(a, text, sizeof(text)), f->healthy) == 0;
}

static int
setup(void **state)
{
	static const char *const addresses[] = {"10.0.0.1", NULL};
	static struct fixture f;
	const struct names_owner owner = {
	    .owner = &f, .on_changed = on_changed, .is_healthy = is_healthy};

	memset(&f, 0, sizeof(f));
	if (uv_loop_init(&f.loop) != 0)
		return -1;
	dns_server_open(&f.server, &f.loop, 0);
	dns_server_set(&f.server, addresses);
	f.server.ttl_s = 1;
	f.healthy = "";
	capture_log();
	*state = &f;
	return names_create(&f.loop, &owner, &f.names);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	names_destroy(f->names);
	dns_server_close(&f->server);
	for (size_t i = 0; i < f->n_confs; i++)
		conf_destroy(f->confs[i]);
	return loop_finish(&f->loop) ? 0 : -1;
}

/* Puts a config in force: group a with these lines, and further sections. */
static struct conf *
follow(struct fixture *f, const char *lines, const char *more)
{
	char text[2048];
	struct conf *conf;

	snprintf(text, sizeof(text),
	    "[listener l]\nPort = 587\nDefaultActions = forward:a\n"
	    "SecurityGroups = none\n[target-group a]\nPort = 25\n%s\n"
	    "%s\n[node]\nResolvers = 127.0.0.1:%u\nResolveMinSeconds = 1\n",
	    lines, more, f->server.addr.port);
	conf = conf_from_text(text);
	assert_true(f->n_confs < CONFS_MAX);
	f->confs[f->n_confs++] = conf;
	assert_errno(names_follow(f->names, conf), 0);
	return conf;
}

/* "0 10.0.0.1:25, ..." with the index of the line. */
static const char *
collected(struct fixture *f, const struct conf *conf)
{
	static char text[2048];
	struct conf_resolved *list;
	char addr[ADDR_STRLEN];
	size_t n, used = 0;

	assert_errno(names_collect(f->names, conf, &list, &n), 0);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s%u %s", used == 0 ? "" : ", ", list[i].target,
		    addr_format(&list[i].addr, addr, sizeof(addr)));
	free(list);
	return text;
}

struct wanted {
	struct fixture *fixture;
	const struct conf *conf;
	const char *text;
};

static bool
is_collected(void *arg)
{
	const struct wanted *w = arg;

	return strcmp(collected(w->fixture, w->conf), w->text) == 0;
}

static void
wait_collected(struct fixture *f, const struct conf *conf, const char *text)
{
	struct wanted w = {.fixture = f, .conf = conf, .text = text};

	if (!loop_run_until(&f->loop, is_collected, &w, LOOP_DEADLINE_MS))
		fail_msg("%s, not %s", collected(f, conf), text);
}

static bool
has_changed(void *arg)
{
	const struct fixture *f = arg;

	return f->n_changed > 0;
}

static void
wait_changed(struct fixture *f)
{
	f->n_changed = 0;
	assert_true(loop_run_until(&f->loop, has_changed, f, LOOP_DEADLINE_MS));
}

static void
copy_view(void *arg, const struct admin_name *name)
{
	*(struct admin_name *)arg = *name;
}

static struct admin_name
view(struct fixture *f)
{
	struct admin_name name = {0};

	names_each(f->names, copy_view, &name);
	return name;
}

static void
names_are_resolved_at_once_and_again_after_their_ttl(void **state)
{
	static const char *const two[] = {"10.0.0.3", "10.0.0.2", NULL};
	struct fixture *f = *state;
	struct conf *conf =
	    follow(f, "Target.mx = Id=plain.example.test\n", "");

	assert_str(collected(f, conf), "");
	assert_u64(view(f).last_answer_ms, 0);
	wait_collected(f, conf, "0 10.0.0.1:25");
	assert_u64(f->n_changed, 1);
	assert_true(view(f).last_answer_ms != 0);
	assert_u64_between(view(f).next_ms, 0, 1100);
	dns_server_set(&f->server, two);
	wait_collected(f, conf, "0 10.0.0.2:25, 0 10.0.0.3:25");
	assert_true(
	    log_has("name plain.example.test of group a resolves to 10.0.0.2, "
		    "10.0.0.3 (before: 10.0.0.1)"));
}

static void
each_line_has_its_own_port_and_group_its_family(void **state)
{
	static const char *const both[] = {"10.0.0.1", "fd00::1", NULL};
	struct fixture *f = *state;
	struct conf *conf;

	dns_server_set(&f->server, both);
	conf = follow(f,
	    "Target.a = Id=plain.example.test\n"
	    "Target.b = Id=plain.example.test,Port=587\n"
	    "Target.c = Id=tc.example.test\n",
	    "[target-group six]\nPort = 25\nIpAddressType = ipv6\n"
	    "Target.d = Id=plain.example.test\n");
	wait_collected(f, conf,
	    "0 10.0.0.1:25, 1 10.0.0.1:587, 2 10.0.0.1:25, 0 [fd00::1]:25");
}

static void
failures_keep_what_is_known_and_are_said_once(void **state)
{
	struct fixture *f = *state;
	struct conf *conf =
	    follow(f, "Target.mx = Id=plain.example.test\n", "");

	wait_collected(f, conf, "0 10.0.0.1:25");
	f->server.behave_as = "nxdomain";
	wait_changed(f);
	f->server.behave_as = "empty";
	wait_changed(f);
	assert_str(collected(f, conf), "0 10.0.0.1:25");
	assert_u64(view(f).failures, 2);
	assert_true(view(f).error[0] != '\0');
	assert_u64(log_lines_with("cannot be resolved"), 1);
	f->server.behave_as = NULL;
	wait_changed(f);
	assert_u64(view(f).failures, 0);
	assert_str(view(f).error, "");
	assert_true(log_has("is resolved again"));
	assert_str(collected(f, conf), "0 10.0.0.1:25");
}

static void
forbidden_addresses_are_left_out_and_said_once(void **state)
{
	static const char *const some[] = {
	    "127.0.0.1", "10.0.0.1", "224.0.0.1", NULL};
	static const char *const none[] = {"127.0.0.1", "0.0.0.0", NULL};
	struct fixture *f = *state;
	struct conf *conf;

	dns_server_set(&f->server, some);
	conf = follow(f, "Target.mx = Id=plain.example.test\n", "");
	wait_collected(f, conf, "0 10.0.0.1:25");
	assert_str(view(f).refused, "127.0.0.1:25 is this machine itself, "
				    "224.0.0.1:25 is a multicast address");
	wait_changed(f);
	assert_u64(log_lines_with("left out"), 1);
	/* With nothing left it is a failure: what is known stays. */
	dns_server_set(&f->server, none);
	wait_changed(f);
	assert_str(collected(f, conf), "0 10.0.0.1:25");
	assert_u64(view(f).failures, 1);
	assert_contains(view(f).error, "refused");
}

static void
a_new_config_judges_known_addresses_anew(void **state)
{
	static const char *const two[] = {"10.0.0.1", "10.0.1.1", NULL};
	struct fixture *f = *state;
	struct conf *conf;
	char text[1024];

	dns_server_set(&f->server, two);
	conf = follow(f, "Target.mx = Id=plain.example.test\n", "");
	wait_collected(f, conf, "0 10.0.0.1:25, 0 10.0.1.1:25");
	f->server.behave_as = "silent";
	snprintf(text, sizeof(text),
	    "[listener l]\nPort = 587\nDefaultActions = forward:a\n"
	    "SecurityGroups = out\n[target-group a]\nPort = 25\n"
	    "Target.x = Id=10.0.0.9\nTarget.new = Id=plain.example.test\n"
	    "[security-group out]\n"
	    "Outbound.x = Protocol=tcp,PortRange=25,Destination=10.0.0.0/24\n"
	    "[node]\nResolvers = 127.0.0.1:%u\n",
	    f->server.addr.port);
	conf = f->confs[f->n_confs++] = conf_from_text(text);
	/* Before it is in force, and without a question. */
	assert_str(collected(f, conf), "0 10.0.0.1:25");
	assert_errno(names_follow(f->names, conf), 0);
	assert_str(collected(f, conf), "0 10.0.0.1:25");
	conf = follow(f, "Target.mx = Id=plain.example.test\n", "");
	assert_str(collected(f, conf), "0 10.0.0.1:25, 0 10.0.1.1:25");
}

static void
names_that_leave_the_config_are_forgotten_even_while_asked(void **state)
{
	struct fixture *f = *state;
	struct conf *conf;

	conf = follow(f, "Target.mx = Id=silent.example.test\n", "");
	(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_u64(view(f).next_ms, 0);
	conf = follow(f, "Target.mx = Id=plain.example.test\n", "");
	wait_collected(f, conf, "0 10.0.0.1:25");
	conf = follow(f, "Target.x = Id=10.0.0.9\n", "");
	assert_str(collected(f, conf), "");
	conf = follow(f, "Target.mx = Id=plain.example.test\n", "");
	assert_str(collected(f, conf), "");
	wait_collected(f, conf, "0 10.0.0.1:25");
}

static void
other_servers_are_asked_at_once(void **state)
{
	struct fixture *f = *state;
	struct conf *conf;

	conf = follow(f,
	    "Target.mx = Id=plain.example.test\n"
	    "Target.no = Id=silent.example.test\n",
	    "");
	wait_collected(f, conf, "0 10.0.0.1:25");
	conf = f->confs[f->n_confs++] = conf_from_text(
	    "[listener l]\nPort = 587\nDefaultActions = forward:a\n"
	    "SecurityGroups = none\n[target-group a]\nPort = 25\n"
	    "Target.mx = Id=plain.example.test\n"
	    "Target.no = Id=silent.example.test\n"
	    "[node]\nResolvers = 127.0.0.1:1\n");
	assert_errno(names_follow(f->names, conf), 0);
	wait_changed(f);
	assert_str(collected(f, conf), "0 10.0.0.1:25");
	f->server.behave_as = "plain";
	conf = follow(f,
	    "Target.mx = Id=plain.example.test\n"
	    "Target.no = Id=silent.example.test\n",
	    "");
	wait_collected(f, conf, "0 10.0.0.1:25, 1 10.0.0.1:25");
}

static void
healthy_addresses_stay_until_a_new_one_is_healthy(void **state)
{
	static const char *const other[] = {"10.0.0.2", NULL};
	struct fixture *f = *state;
	struct conf *conf =
	    follow(f, "Target.mx = Id=plain.example.test\n", "");

	wait_collected(f, conf, "0 10.0.0.1:25");
	f->healthy = "10.0.0.1:25";
	dns_server_set(&f->server, other);
	wait_collected(f, conf, "0 10.0.0.2:25, 0 10.0.0.1:25");
	assert_u64(view(f).n_kept, 1);
	assert_true(log_has("10.0.0.1 kept until one of the new"));
	f->n_changed = 0;
	names_health_changed(f->names);
	assert_u64(f->n_changed, 0);
	f->healthy = "10.0.0.2:25";
	names_health_changed(f->names);
	assert_u64(f->n_changed, 1);
	assert_str(collected(f, conf), "0 10.0.0.2:25");
}

static void
thousands_of_addresses_are_cut_to_a_few(void **state)
{
	struct fixture *f = *state;
	struct conf *conf = follow(f, "Target.mx = Id=huge.example.test\n", "");

	wait_changed(f);
	assert_contains(collected(f, conf), "0 11.0.0.31:25");
	assert_u64(view(f).n_addresses, CONF_DNS_ADDRESSES_MAX);
	assert_true(log_has("the first 32 are used"));
}

static void
targets_have_a_limit_for_addresses_too(void **state)
{
	struct fixture *f = *state;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct conf *conf;

	assert_non_null(out);
	fprintf(out,
	    "[listener l]\nPort = 587\nDefaultActions = forward:a\n"
	    "SecurityGroups = none\n"
	    "[node]\nResolvers = 127.0.0.1:%u\n[target-group a]\nPort = 25\n"
	    "Target.mx = Id=huge.example.test\n",
	    f->server.addr.port);
	for (int i = 0; i < CONF_TARGETS_MAX - 2; i++)
		fprintf(
		    out, "Target.t%d = Id=10.1.%d.%d\n", i, i / 250, i % 250);
	fclose(out);
	conf = f->confs[f->n_confs++] = conf_from_text(text);
	free(text);
	assert_errno(names_follow(f->names, conf), 0);
	wait_changed(f);
	assert_str(collected(f, conf), "0 11.0.0.0:25, 0 11.0.0.1:25");
	assert_true(log_has("30 addresses of names are left out"));
}

static void
remember(struct fixture *f, const char *host, const char *target, bool kept)
{
	struct addr a;

	assert_errno(addr_parse(target, &a), 0);
	assert_errno(names_remember(f->names, "a", host, &a, kept), 0);
}

/* As after an upgrade. */
static void
remembered_addresses_hold_until_the_answer(void **state)
{
	struct fixture *f = *state;
	struct conf *conf;

	remember(f, "mail.example.test", "10.0.0.7:25", false);
	remember(f, "mail.example.test", "10.0.0.6:25", false);
	remember(f, "mail.example.test", "10.0.0.5:25", true);
	remember(f, "mail.example.test", "10.0.0.8:26", false);
	remember(f, "gone.example.test", "10.0.0.9:25", false);
	conf = conf_from_text("[listener l]\nPort = 587\n"
			      "DefaultActions = forward:a\n"
			      "SecurityGroups = none\n"
			      "[target-group a]\nPort = 25\n"
			      "Target.mx = Id=mail.example.test\n");
	f->confs[f->n_confs++] = conf;
	assert_str(
	    collected(f, conf), "0 10.0.0.6:25, 0 10.0.0.7:25, 0 10.0.0.5:25");
	conf = follow(f, "Target.mx = Id=mail.example.test\n", "");
	assert_str(
	    collected(f, conf), "0 10.0.0.6:25, 0 10.0.0.7:25, 0 10.0.0.5:25");
	f->healthy = "10.0.0.7:25";
	names_health_changed(f->names);
	assert_str(collected(f, conf), "0 10.0.0.6:25, 0 10.0.0.7:25");
	f->healthy = "10.0.0.1:25";
	wait_collected(f, conf, "0 10.0.0.1:25");
}

/* teardown destroys it meanwhile. */
static void
its_end_drops_what_is_under_way(void **state)
{
	struct fixture *f = *state;

	(void)follow(f, "Target.mx = Id=silent.example.test\n", "");
	(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	(void)follow(f, "Target.mx = Id=silent.example.test,Port=587\n", "");
	(void)uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_u64(f->n_changed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest names[] = {
	    TEST(names_are_resolved_at_once_and_again_after_their_ttl),
	    TEST(each_line_has_its_own_port_and_group_its_family),
	    TEST(failures_keep_what_is_known_and_are_said_once),
	    TEST(forbidden_addresses_are_left_out_and_said_once),
	    TEST(a_new_config_judges_known_addresses_anew),
	    TEST(names_that_leave_the_config_are_forgotten_even_while_asked),
	    TEST(other_servers_are_asked_at_once),
	    TEST(healthy_addresses_stay_until_a_new_one_is_healthy),
	    TEST(thousands_of_addresses_are_cut_to_a_few),
	    TEST(targets_have_a_limit_for_addresses_too),
	    TEST(remembered_addresses_hold_until_the_answer),
	    TEST(its_end_drops_what_is_under_way),
	};

	return cmocka_run_group_tests(names, NULL, NULL);
}
