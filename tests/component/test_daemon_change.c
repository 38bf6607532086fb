/*
 * Component tests of supervisor/change: what nlbctl changes at run time, in
 * the running config and in the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon_fixture.h"
#include "fake_worker.h"
#include "support/expect.h"

#define ATTRIBUTES "/v1/modify-target-group-attributes"
#define ATTRIBUTE(key, value, more)                              \
	"{\"TargetGroup\":\"g\",\"Attributes\":[{\"Key\":\"" key \
	"\",\"Value\":\"" value "\"}]" more "}"
#define DELAY(seconds, more) \
	ATTRIBUTE("deregistration_delay.timeout_seconds", seconds, more)
#define TARGET(id, more) \
	"{\"TargetGroup\":\"g\",\"Targets\":[{\"Id\":\"" id "\"}]" more "}"
#define RUNTIME ",\"Runtime\":true"

static void
start(struct daemon_fixture *f)
{
	daemon_write_config(f, "");
	daemon_start(f);
}

/* Returns the status; the answer contains text. */
static long
post(const struct daemon_fixture *f, const char *path, const char *json,
    const char *text)
{
	char *body = NULL;
	long status = daemon_post(f, path, json, &body);

	if (text != NULL)
		assert_contains(body, text);
	free(body);
	return status;
}

static void
expect_answer(
    const struct daemon_fixture *f, const char *path, const char *text)
{
	char *body = NULL;

	assert_i64(daemon_request(f, "GET", path, &body), 200);
	assert_contains(body, text);
	free(body);
}

static void
expect_file(const struct daemon_fixture *f, const char *text, bool has)
{
	char *content = read_file(f->config);

	assert_non_null(content);
	if ((strstr(content, text) != NULL) != has)
		fail_msg("%s is %s in:\n%s", text, has ? "not" : "", content);
	free(content);
}

static void
change_is_in_force_and_in_the_file(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	assert_i64(post(f, "/v1/register-targets", TARGET("127.0.0.9", ""),
		       "127.0.0.9 is this machine"),
	    200);
	expect_answer(f, "/v1/target-health", "127.0.0.9");
	expect_answer(f, "/v1/status", "\"generation\":2");
	expect_answer(f, "/v1/status", "\"runtime_changes\":null");
	expect_file(f, "\nTarget.127-0-0-9 = Id=127.0.0.9\n", true);
	assert_i64(
	    post(f, "/v1/deregister-targets", TARGET("127.0.0.9", ""), "{}"),
	    200);
	expect_file(f, "127.0.0.9", false);
	assert_i64(post(f, ATTRIBUTES, DELAY("60", ""),
		       "\"deregistration_delay.timeout_seconds\",\"Value\":"
		       "\"60\""),
	    200);
	expect_file(f, "deregistration_delay.timeout_seconds = 60\n", true);
	daemon_wait_log(f, "written to the file");
}

/* What the file says is what runs: a reload finds nothing to do. */
static void
reload_after_changes_changes_nothing(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	assert_i64(post(f, ATTRIBUTES, DELAY("60", ""), NULL), 200);
	assert_i64(
	    post(f, "/v1/register-targets", TARGET("127.0.0.9", ""), NULL),
	    200);
	expect_answer(f, "/v1/check", "nothing changed");
	assert_i64(post(f, "/v1/reload", "", "nothing changed"), 200);
}

static void
nothing_to_do_is_no_new_generation(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	assert_i64(post(f, ATTRIBUTES, DELAY("300", ""), NULL), 200);
	assert_i64(post(f, "/v1/deregister-targets", TARGET("127.0.0.9", ""),
		       "\"Notes\":[\"g: warning: 127.0.0.9:"),
	    200);
	expect_answer(f, "/v1/status", "\"generation\":1");
}

static void
refused_change_changes_nothing(void **state)
{
	struct daemon_fixture *f = *state;
	char *before, *after;

	start(f);
	before = read_file(f->config);
	assert_i64(post(f, ATTRIBUTES, DELAY("x", ""), "is not a number"), 400);
	assert_i64(post(f, "/v1/register-targets",
		       TARGET("169.254.169.254", ""), "link-local"),
	    400);
	assert_i64(post(f, "/v1/register-targets", TARGET("10.0.0.x", ""),
		       "is neither an IP address"),
	    400);
	assert_i64(post(f, "/v1/register-targets",
		       "{\"TargetGroup\":\"h\",\"Targets\":[{\"Id\":\"a\"}]}",
		       "there is no target group `h'"),
	    404);
	after = read_file(f->config);
	assert_str(after, before);
	free(before);
	free(after);
	expect_answer(f, "/v1/status", "\"generation\":1");
}

static void
runtime_change_leaves_the_file_and_ends_with_a_reload(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	assert_i64(post(f, "/v1/register-targets", TARGET("127.0.0.9", RUNTIME),
		       "127.0.0.9 is this machine"),
	    200);
	expect_answer(f, "/v1/target-health", "127.0.0.9");
	expect_answer(
	    f, "/v1/status", "\"runtime_changes\":\"1 target added\"");
	expect_file(f, "127.0.0.9", false);
	assert_i64(post(f, "/v1/reload", "", "1 target removed"), 200);
	expect_answer(f, "/v1/status", "\"runtime_changes\":null");
}

static void
lasting_change_does_not_take_a_runtime_one_along(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	assert_i64(
	    post(f, "/v1/register-targets", TARGET("127.0.0.9", RUNTIME), NULL),
	    200);
	assert_i64(post(f, ATTRIBUTES, DELAY("7", RUNTIME), NULL), 200);
	assert_i64(
	    post(f, "/v1/register-targets", TARGET("127.0.0.8", ""), NULL),
	    200);
	expect_file(f, "127.0.0.8", true);
	expect_file(f, "127.0.0.9", false);
	expect_answer(f, "/v1/target-health", "127.0.0.9");
	expect_answer(f, "/v1/status",
	    "\"runtime_changes\":\"1 target group changed, 1 target added\"");
	/* Now for good: the running config has it already. */
	assert_i64(
	    post(f, "/v1/register-targets", TARGET("127.0.0.9", ""), NULL),
	    200);
	expect_file(f, "127.0.0.9", true);
	assert_i64(post(f, ATTRIBUTES, DELAY("7", ""), NULL), 200);
	expect_answer(f, "/v1/status", "\"runtime_changes\":null");
	expect_answer(f, "/v1/check", "nothing changed");
}

static void
runtime_change_taken_back_is_none(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	assert_i64(post(f, ATTRIBUTES, DELAY("7", RUNTIME), NULL), 200);
	expect_answer(
	    f, "/v1/status", "\"runtime_changes\":\"1 target group changed\"");
	assert_i64(post(f, ATTRIBUTES, DELAY("300", RUNTIME), NULL), 200);
	expect_answer(f, "/v1/status", "\"runtime_changes\":null");
}

static void
change_that_fits_the_running_config_alone_is_refused(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	assert_i64(post(f, ATTRIBUTES,
		       ATTRIBUTE("target_health_state.unhealthy."
				 "connection_termination.enabled",
			   "false", RUNTIME),
		       NULL),
	    200);
	assert_i64(post(f, ATTRIBUTES,
		       ATTRIBUTE("target_health_state.unhealthy."
				 "draining_interval_seconds",
			   "30", ""),
		       "this is what the configuration would say"),
	    400);
	expect_answer(f, "/v1/status", "\"generation\":2");
	expect_file(f, "draining_interval", false);
}

static void
file_changed_by_somebody_else_is_left_alone(void **state)
{
	struct daemon_fixture *f = *state;
	char *content;

	start(f);
	daemon_write_config(f, "; edited meanwhile\n");
	assert_i64(post(f, "/v1/register-targets", TARGET("127.0.0.9", ""),
		       "was changed after nlbd loaded it"),
	    409);
	expect_file(f, "edited meanwhile", true);
	content = read_file(f->config);
	assert_null(strstr(content, "127.0.0.9"));
	free(content);
	expect_answer(f, "/v1/status", "\"generation\":1");
	assert_i64(
	    post(f, "/v1/register-targets", TARGET("127.0.0.9", RUNTIME), NULL),
	    200);
	assert_i64(post(f, "/v1/reload", "", "accepted"), 200);
	assert_i64(post(f, "/v1/register-targets", TARGET("127.0.0.9", ""),
		       "127.0.0.9 is this machine"),
	    200);
	expect_file(f, "edited meanwhile", true);
	expect_file(f, "127.0.0.9", true);
}

static void
file_that_cannot_be_written_refuses_the_change(void **state)
{
	struct daemon_fixture *f = *state;
	char name[160];

	start(f);
	snprintf(name, sizeof(name), "%s/.nlbd.ini.nlbd-new", f->dir.path);
	assert_i64(mkdir(name, 0755), 0);
	assert_i64(post(f, "/v1/register-targets", TARGET("127.0.0.9", ""),
		       "with --runtime"),
	    409);
	expect_answer(f, "/v1/status", "\"generation\":1");
	expect_file(f, "127.0.0.9", false);
	rmdir(name);
}

static void
removed_file_refuses_the_change(void **state)
{
	struct daemon_fixture *f = *state;

	start(f);
	assert_i64(unlink(f->config), 0);
	assert_i64(post(f, "/v1/register-targets", TARGET("127.0.0.9", ""),
		       "No such file or directory"),
	    409);
	expect_answer(f, "/v1/status", "\"generation\":1");
}

static void
log_tells_who_asked(void **state)
{
	struct daemon_fixture *f = *state;
	char text[96];

	start(f);
	assert_i64(
	    post(f, "/v1/register-targets", TARGET("127.0.0.9", ""), NULL),
	    200);
	snprintf(text, sizeof(text),
	    "register-targets of g asked by uid %u, pid %d",
	    (unsigned)geteuid(), (int)getpid());
	daemon_wait_log(f, text);
}

int
main(int argc, char **argv)
{
#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, daemon_fixture_setup, daemon_fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(change_is_in_force_and_in_the_file),
	    TEST(reload_after_changes_changes_nothing),
	    TEST(nothing_to_do_is_no_new_generation),
	    TEST(refused_change_changes_nothing),
	    TEST(runtime_change_leaves_the_file_and_ends_with_a_reload),
	    TEST(lasting_change_does_not_take_a_runtime_one_along),
	    TEST(runtime_change_taken_back_is_none),
	    TEST(change_that_fits_the_running_config_alone_is_refused),
	    TEST(file_changed_by_somebody_else_is_left_alone),
	    TEST(file_that_cannot_be_written_refuses_the_change),
	    TEST(removed_file_refuses_the_change),
	    TEST(log_tells_who_asked),
	};
#undef TEST

	daemon_fixture_run_if_asked(argc, argv);
	return cmocka_run_group_tests_name("daemon_change", tests, NULL, NULL);
}
