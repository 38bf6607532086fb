/*
 * The verbs of nlbctl that are more than one request.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include <bsd/string.h>

#include "nlbctl_fixture.h"
#include "support/expect.h"

static void
explain_needs_no_daemon(void **state)
{
	struct nlbctl_fixture *f = *state;

	assert_i64(nlbctl_run_words(f, "explain idle-timeout"), EX_OK);
	assert_contains(f->out, "idle-timeout (end of a flow)\n");
	assert_contains(f->out, "\nWhat to do:\n  - Raise tcp.idle_timeout");
	assert_i64(
	    nlbctl_run_words(f, "explain Target.NotInUse -o json"), EX_OK);
	assert_contains(f->out, "{\n    \"explanations\": [\n");
	assert_contains(f->out, "\"kind\": \"reason of a target's state\"");
	assert_contains(f->out, "\"next_steps\": [");
	assert_i64(nlbctl_run_words(f, "explain"), EX_OK);
	assert_contains(f->out, "\nmetric:\n  ActiveFlowCount ");
	assert_contains(f->out, "\n  unhealthy.draining ");
	assert_i64(nlbctl_run_words(f, "explain idle-timeot"), EX_DATAERR);
	assert_str(f->out, "");
	assert_str(f->err,
	    "nlbctl: nothing here is called 'idle-timeot'; did you mean "
	    "'idle-timeout'?\nnlbctl: `nlbctl explain` lists all codes.\n");
	assert_i64(nlbctl_run_words(f, "explain \033[2J -o json"), EX_DATAERR);
	assert_null(strchr(f->err, '\033'));
	assert_str(f->out, "");
}

static void
break_a_target(struct admin_fake *fake)
{
	fake->health[1].state = TARGET_UNHEALTHY;
	fake->targets[1].last_check = "greeting | 421";
}

static void
break_all_targets(struct admin_fake *fake)
{
	for (int i = 0; i < FAKE_TARGETS; i++)
		fake->health[i].state = TARGET_UNHEALTHY;
}

static void
health_has_the_exit_codes_of_monitoring(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, NULL);
	assert_i64(nlbctl_run_words(f, "health"), 0);
	assert_str(f->out,
	    "NLBD OK - 3 of 4 targets healthy | active_flows=3 healthy=3 "
	    "unhealthy=0\n");
	assert_i64(nlbctl_run_words(f, "health -q"), 0);
	assert_str(f->out, "");
	assert_i64(nlbctl_run_words(f, "health -o json"), 0);
	assert_contains(f->out, "\"status\": \"OK\",\n    \"exit_code\": 0,");
	nlbctl_stop_server(f);
	nlbctl_start_server(f, break_a_target);
	assert_i64(nlbctl_run_words(f, "health"), 1);
	assert_contains(
	    f->out, "NLBD WARNING - 2 of 4 targets healthy; 1 of 3 targets ");
	/* A bar of the server's does not end the sentence. */
	assert_contains(f->out, "greeting / 421");
	assert_true(strchr(f->out, '|') == strrchr(f->out, '|'));
	assert_i64(nlbctl_run_words(f, "health --quiet"), 1);
	assert_str(f->out, "");
	nlbctl_stop_server(f);
	nlbctl_start_server(f, break_all_targets);
	assert_i64(nlbctl_run_words(f, "health"), 2);
	assert_contains(f->out, "NLBD CRITICAL - 0 of 4");
	assert_str(f->err, "");
}

static void
health_without_a_daemon_is_critical_and_one_line(void **state)
{
	struct nlbctl_fixture *f = *state;

	assert_i64(nlbctl_run_words(f, "health"), 2);
	assert_contains(f->out, "NLBD CRITICAL - cannot reach nlbd at ");
	assert_true(strchr(f->out, '\n') == strrchr(f->out, '\n'));
	assert_i64(nlbctl_run_words(f, "health -q"), 2);
	assert_str(f->out, "");
	assert_str(f->err, "");
}

#define NOBODY 65534

static void
health_that_may_not_ask_is_unknown(void **state)
{
	struct nlbctl_fixture *f = *state;
	int status;
	pid_t pid;

	if (getuid() != 0)
		skip(); /* only root can become somebody else */
	nlbctl_start_server(f, NULL);
	assert_i64(chmod(f->path, 0600), 0);
	assert_i64(chmod(f->dir, 0755), 0);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		if (setuid(NOBODY) != 0)
			_exit(100);
		_exit(nlbctl_run_words(f, "health"));
	}
	assert_i64(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_i64(WEXITSTATUS(status), 3);
}

/* The third time that somebody asks, the targets are as they should be. */
static void (*each_target)(
    void *, void (*)(void *, const struct admin_target *), void *);

static void
each_target_in_time(
    void *owner, void (*fn)(void *arg, const struct admin_target *t), void *arg)
{
	static int n;
	struct admin_fake *fake = owner;

	if (++n == 3)
		fake->health[1].state = fake->health[0].state;
	each_target(owner, fn, arg);
}

static void
heal_in_time(struct admin_fake *fake)
{
	fake->health[1].state = TARGET_INITIAL;
	each_target = fake->ops.each_target;
	fake->ops.each_target = each_target_in_time;
}

static void
wait_ends_when_the_targets_are_in_service(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, heal_in_time);
	assert_i64(nlbctl_run_words(f,
		       "wait target-in-service --target-group internal-smtp "
		       "--timeout 30"),
	    EX_OK);
	assert_str(f->out, "3 of 3 targets are in service\n");
	assert_str(f->err, "");
	assert_i64(nlbctl_run_words(
		       f, "wait target-in-service --target 10.20.0.25 -o json"),
	    EX_OK);
	assert_str(f->out, "");
}

static void
wait_that_is_in_vain_tells_what_is_missing(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, break_a_target);
	assert_i64(nlbctl_run_words(f,
		       "wait target-in-service --target-group internal-smtp "
		       "--timeout 1"),
	    EX_TEMPFAIL);
	assert_str(f->err, "nlbctl: the time is over\n"
			   "nlbctl: 2 of 3 targets are in service\n");
	assert_str(f->out, "");
	assert_i64(nlbctl_run_words(f,
		       "wait target-in-service --target 10.9.9.9 --timeout 1"),
	    EX_TEMPFAIL);
	assert_contains(f->err, "0 of 0 targets");
	assert_i64(
	    nlbctl_run_words(f, "wait target-in-service --target-group none"),
	    EX_DATAERR);
	assert_contains(f->err, "there is no target group 'none'");
	assert_i64(
	    nlbctl_run_words(f, "wait drained --timeout 1"), EX_TEMPFAIL);
	assert_contains(f->err, "3 flows left");
}

static void
drain_a_target(struct admin_fake *fake)
{
	fake->health[1].state = TARGET_DRAINING;
	fake->targets[1].label = "";
	each_target = fake->ops.each_target;
}

static void
wait_knows_draining_from_deregistered(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, drain_a_target);
	assert_i64(nlbctl_run_words(f, "wait target-deregistered --timeout 1"),
	    EX_TEMPFAIL);
	assert_contains(f->err, "1 target is not deregistered yet, with ");
	/* What was never there, or is unused, is out. */
	assert_i64(nlbctl_run_words(
		       f, "wait target-deregistered --target 10.9.9.9:25"),
	    EX_OK);
	assert_i64(nlbctl_run_words(
		       f, "wait target-deregistered --target 10.20.0.28:587"),
	    EX_OK);
	assert_i64(nlbctl_run_words(f,
		       "wait target-deregistered --target 10.20.0.25:587 "
		       "--timeout 1"),
	    EX_TEMPFAIL);
	/* The one that is going does not keep the others out of service. */
	assert_i64(nlbctl_run_words(f,
		       "wait target-in-service --target-group internal-smtp"),
	    EX_OK);
	assert_str(f->out, "2 of 2 targets are in service\n");
}

static void
wait_for_a_daemon_that_does_not_come_ends_too(void **state)
{
	struct nlbctl_fixture *f = *state;

	assert_i64(
	    nlbctl_run_words(f, "wait drained --timeout 1"), EX_UNAVAILABLE);
	assert_contains(f->err, "the time is over");
	assert_contains(f->err, "cannot reach nlbd");
	assert_i64(nlbctl_run_words(f, "wait"), EX_USAGE);
	assert_i64(nlbctl_run_words(f, "wait later"), EX_USAGE);
	assert_contains(f->err, "target-deregistered");
	assert_i64(
	    nlbctl_run_words(f, "wait drained --target 10.0.0.1"), EX_USAGE);
}

static void
a_drained_node_leaves_dns_and_comes_back(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, NULL);
	assert_i64(nlbctl_run_words(f, "drain-node"), EX_OK);
	assert_contains(f->out, "drained: /zone-health answers 503");
	assert_i64(nlbctl_run_words(f, "health"), 1);
	assert_contains(f->out, "This node is drained");
	assert_i64(nlbctl_run_words(f, "status"), EX_OK);
	assert_contains(f->out, "zone ");
	assert_contains(f->out, "unhealthy for DNS");
	assert_i64(nlbctl_run_words(f, "drain-node --undo -o json"), EX_OK);
	assert_str(f->out, "{\n    \"drained\": false\n}\n");
	assert_i64(nlbctl_run_words(f, "health -q"), 0);
	nlbctl_stop_server(f);
	assert_i64(nlbctl_run_words(f, "drain-node"), EX_UNAVAILABLE);
	assert_contains(f->err, "nlbctl: cannot reach nlbd");
}

static void
a_test_of_receivers_shows_how_each_took_it(void **state)
{
	struct nlbctl_fixture *f = *state;

	/* Nobody listens to the fake's events: its receiver stays as it was. */
	nlbctl_start_server(f, NULL);
	assert_i64(nlbctl_run_words(f, "notify-test"), EX_TEMPFAIL);
	assert_str(f->out, "alerts: not told; see Events\n");
	assert_i64(nlbctl_run_words(f, "notify-test -o json"), EX_TEMPFAIL);
	assert_contains(f->out, "\"name\": \"alerts\"");
	nlbctl_stop_server(f);
	assert_i64(nlbctl_run_words(f, "notify-test"), EX_UNAVAILABLE);
	assert_contains(f->err, "nlbctl: cannot reach nlbd");
}

/* The text of a file, malloc; NULL when there is none. */
static char *
read_text(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 8192);

	assert_non_null(text);
	if (file == NULL) {
		free(text);
		return NULL;
	}
	assert_true(fread(text, 1, 8191, file) > 0);
	fclose(file);
	return text;
}

static void
init_writes_a_file_once(void **state)
{
	struct nlbctl_fixture *f = *state;
	char path[96], words[256], *text, *again;

	snprintf(path, sizeof(path), "%s/nlbd.ini", f->dir);
	snprintf(words, sizeof(words),
	    "init --file %s --target 10.20.0.25 10.20.0.26:2525 --port 2587 "
	    "--source 203.0.113.0/24 198.51.100.7/32",
	    path);
	assert_i64(nlbctl_run_words(f, words), EX_OK);
	assert_contains(f->out, "created: ");
	text = read_text(path);
	assert_contains(text, "\nPort           = 2587\n");
	assert_contains(text, "\nTarget.target-1 = Id=10.20.0.25,Avail");
	assert_contains(text, "\nTarget.target-2 = Id=10.20.0.26,Port=2525,");
	assert_contains(text, "PortRange=2587,Source=198.51.100.7/32\n");
	assert_null(strstr(text, "this-machine"));
	assert_i64(nlbctl_run_words(f, words), EX_CANTCREAT);
	assert_contains(f->err, "File exists\nnlbctl: It stays as it is; ");
	again = read_text(path);
	assert_str(again, text);
	free(text);
	free(again);
	unlink(path);
	snprintf(words, sizeof(words),
	    "init --target fd00::1 --file %s -o json", path);
	assert_i64(nlbctl_run_words(f, words), EX_OK);
	assert_contains(f->out, "\"path\": ");
	text = read_text(path);
	assert_contains(text, "Inbound.this-machine = Protocol=tcp");
	assert_contains(text, "\nIpAddressType = ipv6\n");
	free(text);
	unlink(path);
}

static void
init_writes_nothing_that_nlbd_would_refuse(void **state)
{
	static const struct {
		const char *words, *error;
	} rows[] = {
	    {"--target mail.example", "a target is an IP address"},
	    {"--target 10.20.0.25 10.20.0.25", "registered twice"},
	    {"--target 10.20.0.25 fd00::1", "error: "},
	    {"--target 10.20.0.25 --port 70000", "error: "},
	    {"--target 10.20.0.25 --source 203.0.113.1/24",
		"did you mean `203.0.113.0/24'"},
	    {"--port 25", "init needs --target"},
	};
	struct nlbctl_fixture *f = *state;
	char path[96], words[256];

	snprintf(path, sizeof(path), "%s/nlbd.ini", f->dir);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(words, sizeof(words), "init --file %s %s", path,
		    rows[i].words);
		assert_i64(nlbctl_run_words(f, words), EX_USAGE);
		assert_contains(f->err, rows[i].error);
		assert_null(read_text(path));
	}
	snprintf(words, sizeof(words),
	    "init --target 10.20.0.25 --file %s/no/nlbd.ini", f->dir);
	assert_i64(nlbctl_run_words(f, words), EX_CANTCREAT);
	assert_contains(f->err, "directory has to be made");
	assert_i64(
	    nlbctl_run_words(f, "init --target 10.20.0.25 --file /dev/full"),
	    EX_CANTCREAT);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, nlbctl_setup, nlbctl_teardown)

static void
check_of_a_named_file_needs_no_daemon(void **state)
{
	struct nlbctl_fixture *f = *state;
	char path[96], words[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/nlbd.ini", f->dir);
	snprintf(
	    words, sizeof(words), "init --target 10.20.0.25 --file %s", path);
	assert_i64(nlbctl_run_words(f, words), EX_OK);
	snprintf(words, sizeof(words), "check --file %s", path);
	assert_i64(nlbctl_run_words(f, words), EX_OK);
	assert_contains(f->out, "accepted: ");
	assert_str(f->err, "");
	file = fopen(path, "a");
	assert_non_null(file);
	fputs("Workerz = 2\n", file);
	fclose(file);
	assert_i64(nlbctl_run_words(f, words), EX_CONFIG);
	assert_str(f->out, "");
	assert_contains(f->err, "did you mean `Workers'");
	strlcat(words, " -o json", sizeof(words));
	assert_i64(nlbctl_run_words(f, words), EX_CONFIG);
	assert_contains(f->out, "\"verdict\": \"rejected\"");
	assert_str(f->err, "");
	unlink(path);
	assert_i64(nlbctl_run_words(f, words), EX_NOINPUT);
	assert_contains(f->out, "No such file");
	assert_contains(f->out, "name another file with --file");
	*strstr(words, " -o json") = '\0';
	assert_i64(nlbctl_run_words(f, words), EX_NOINPUT);
	assert_contains(f->err, "write a first one with `nlbctl init`\n");
	/* The file of an nlbd at another socket is not known here. */
	assert_i64(nlbctl_run_words(f, "check"), EX_UNAVAILABLE);
}

int
main(void)
{
	const struct CMUnitTest nlbctl_verbs[] = {
	    TEST(explain_needs_no_daemon),
	    TEST(init_writes_a_file_once),
	    TEST(init_writes_nothing_that_nlbd_would_refuse),
	    TEST(check_of_a_named_file_needs_no_daemon),
	    TEST(health_has_the_exit_codes_of_monitoring),
	    TEST(health_without_a_daemon_is_critical_and_one_line),
	    TEST(health_that_may_not_ask_is_unknown),
	    TEST(wait_ends_when_the_targets_are_in_service),
	    TEST(wait_that_is_in_vain_tells_what_is_missing),
	    TEST(wait_knows_draining_from_deregistered),
	    TEST(wait_for_a_daemon_that_does_not_come_ends_too),
	    TEST(a_drained_node_leaves_dns_and_comes_back),
	    TEST(a_test_of_receivers_shows_how_each_took_it),
	};

	return cmocka_run_group_tests(nlbctl_verbs, NULL, NULL);
}
