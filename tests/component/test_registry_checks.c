/*
 * Component tests of supervisor/registry: the health checks that a config asks
 * for, with a checker that only notes what it is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/registry.h"
#include "supervisor_fixture.h"
#include "support/expect.h"

static struct check_spec checked[SB_TARGETS];

int
checker_set(struct checker *c, uint32_t slot, const struct check_spec *spec)
{
	(void)c;
	checked[slot] = *spec;
	return 0;
}

void
checker_remove(struct checker *c, uint32_t slot)
{
	(void)c;
	memset(&checked[slot], 0, sizeof(checked[slot]));
}

struct fixture {
	struct registry registry;
	struct scoreboard *sb;
	int sb_fd;
	struct conf *conf;
	uint16_t slots[8];
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL || scoreboard_create(&f->sb, &f->sb_fd) != 0)
		return -1;
	registry_init(&f->registry, f->sb, NULL, NULL, f);
	capture_log();
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	registry_fini(&f->registry);
	conf_destroy(f->conf);
	scoreboard_detach(f->sb);
	close(f->sb_fd);
	free(f);
	return 0;
}

/* Two listeners forward to one group with one target; its further keys. The
 * check that comes of it. */
static const struct check_spec *
check_of(struct fixture *f, const char *keys)
{
	const struct conf_options options = {0};
	struct conf_diags diags = {0};
	struct conf *conf = NULL;
	char text[2048];

	snprintf(text, sizeof(text),
	    "[listener other]\nPort = 25\nDefaultActions = forward:b\n"
	    "SecurityGroups = none\n"
	    "[listener l]\nPort = 587\nDefaultActions = forward:a\n"
	    "SecurityGroups = none\n"
	    "[listener m]\nPort = 2587\nDefaultActions = forward:a\n"
	    "SecurityGroups = none\n"
	    "[target-group a]\nPort = 25\nTarget.t = Id=10.20.0.10\n%s\n"
	    "[target-group b]\nPort = 25\nTarget.t = Id=10.20.0.11\n",
	    keys);
	assert_i64(conf_parse(text, strlen(text), &options, &conf, &diags), 0);
	conf_diags_fini(&diags);
	assert_i64(registry_apply(&f->registry, conf, 0, f->slots), 0);
	conf_destroy(f->conf);
	f->conf = conf;
	return &checked[f->slots[0]];
}

static void
tcp_check_is_the_default(void **state)
{
	const struct check_spec *check = check_of(*state, "");

	assert_i64(check->protocol, CHECK_TCP);
	assert_u64(check->timeout_ms, 10000);
	assert_u64(check->addr.port, 25);
}

static void
http_check_gets_path_codes_and_the_listeners_port(void **state)
{
	const struct check_spec *check = check_of(*state,
	    "HealthCheckProtocol = HTTP\nHealthCheckPort = 8080\n"
	    "HealthCheckPath = /health\nMatcher.HttpCode = 200,204\n");

	assert_i64(check->protocol, CHECK_HTTP);
	assert_u64(check->addr.port, 8080);
	assert_u64(check->timeout_ms, 6000);
	assert_string_equal(check->path, "/health");
	assert_true(http_codes_match(&check->codes, 204));
	assert_false(http_codes_match(&check->codes, 302));
	assert_u64(check->host_port, 587);
}

static void
https_check_has_the_same_keys(void **state)
{
	const struct check_spec *check = check_of(*state,
	    "HealthCheckProtocol = HTTPS\nproxy_protocol_v2.enabled = true\n");

	assert_i64(check->protocol, CHECK_HTTPS);
	assert_u64(check->timeout_ms, 10000);
	assert_string_equal(check->path, "/");
	assert_true(http_codes_match(&check->codes, 399));
	assert_true(check->proxy_v2);
}

static void
smtp_check_may_ask_for_starttls(void **state)
{
	const struct check_spec *check =
	    check_of(*state, "HealthCheckProtocol = SMTP\n");

	assert_i64(check->protocol, CHECK_SMTP);
	assert_false(check->smtp_starttls);
	check = check_of(*state,
	    "HealthCheckProtocol = SMTP\nHealthCheckSmtpStartTls = true\n");
	assert_true(check->smtp_starttls);
}

static void
keys_of_another_protocol_do_not_disturb_a_check(void **state)
{
	struct check_spec before = *check_of(*state, "");

	assert_true(check_spec_asks_same(
	    &before, check_of(*state,
			 "HealthCheckPath = /x\nMatcher.HttpCode = 200\n")));
	before = *check_of(*state, "HealthCheckProtocol = HTTP\n");
	assert_false(check_spec_asks_same(&before,
	    check_of(
		*state, "HealthCheckProtocol = HTTP\nHealthCheckPath = /x\n")));
	assert_false(check_spec_asks_same(&before,
	    check_of(*state,
		"HealthCheckProtocol = HTTP\nMatcher.HttpCode = 200\n")));
	assert_false(check_spec_asks_same(
	    &before, check_of(*state, "HealthCheckProtocol = HTTPS\n")));
	assert_true(check_spec_asks_same(
	    &before, check_of(*state, "HealthCheckProtocol = HTTP\n")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest registry_checks[] = {
	    TEST(tcp_check_is_the_default),
	    TEST(http_check_gets_path_codes_and_the_listeners_port),
	    TEST(https_check_has_the_same_keys),
	    TEST(smtp_check_may_ask_for_starttls),
	    TEST(keys_of_another_protocol_do_not_disturb_a_check),
	};

	return cmocka_run_group_tests(registry_checks, NULL, NULL);
}
