/*
 * nlbctl against an admin server in a child process, and against sockets that
 * are no nlbd: what it prints and how it exits.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "nlbctl/run.h"
#include "nlbctl_fixture.h"
#include "support/expect.h"

#define NOBODY 65534

static void
every_verb_shows_its_table(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, NULL);
	assert_i64(nlbctl_run_words(f, "status"), EX_OK);
	assert_memory_equal(f->out, "smtp-submission is OK\n", 22);
	assert_contains(f->out, "\nWORKER  PID  STATE ");
	assert_contains(f->out, "Flows ended: 1,203 client-fin, 12 idle");
	assert_str(f->err, "");
	assert_i64(nlbctl_run_words(f, "describe-target-health"), EX_OK);
	assert_contains(f->out, "mail-3");
	assert_contains(f->out, "connected, 0.41 ms");
	assert_i64(nlbctl_run_words(f, "flows --limit 2"), EX_OK);
	assert_contains(f->out, "203.0.113.10:40002");
	assert_contains(f->out, "2 of 3 flows, the newest ones.\n");
	assert_i64(nlbctl_run_words(f, "metrics"), EX_OK);
	assert_contains(f->out, "\nNewFlowCount  ");
	assert_contains(f->out, "  1,234  Count  ");
	assert_i64(nlbctl_run_words(f, "metrics --by all --metric-name x"),
	    EX_DATAERR);
	assert_i64(nlbctl_run_words(f, "check"), EX_OK);
	assert_str(
	    f->out, "accepted: 1 listener, 2 target groups, 4 targets\n");
	assert_i64(nlbctl_run_words(f, "reload"), EX_OK);
}

static void
json_output_is_the_aws_cli_s(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, NULL);
	assert_i64(nlbctl_run_words(f,
		       "describe-target-health -o json --target-group spare"),
	    EX_OK);
	assert_str(f->out,
	    "{\n"
	    "    \"TargetHealthDescriptions\": [\n"
	    "        {\n"
	    "            \"Target\": {\n"
	    "                \"Id\": \"10.20.0.28\",\n"
	    "                \"Port\": 587,\n"
	    "                \"AvailabilityZone\": \"all\"\n"
	    "            },\n"
	    "            \"TargetHealth\": {\n"
	    "                \"State\": \"unused\",\n"
	    "                \"Reason\": \"Target.NotInUse\",\n"
	    "                \"Description\": \"Target group is not configured "
	    "to receive traffic from the load balancer\"\n"
	    "            }\n"
	    "        }\n"
	    "    ]\n"
	    "}\n");
	assert_i64(nlbctl_run_words(f, "--output json status"), EX_OK);
	assert_contains(f->out, "\n    \"health\": \"ok\",\n");
	assert_i64(nlbctl_run_words(f, "flows -o json --target 10.20.0.25:587"),
	    EX_OK);
	assert_contains(f->out, "\"connect_ms\": 0.412,");
}

static void
change_with_a_note(struct admin_fake *fake)
{
	fake->verdict_text = "";
	fake->change_text = "smtp: warning: 10.0.0.1 is new\n";
}

static void
register_targets_prints_nothing_but_notes(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, change_with_a_note);
	assert_i64(
	    nlbctl_run_words(
		f, "register-targets --target-group g --targets Id=10.0.0.1"),
	    EX_OK);
	assert_str(f->out, "");
	assert_str(f->err, "nlbctl: smtp: warning: 10.0.0.1 is new\n");
	assert_i64(
	    nlbctl_run_words(f, "deregister-targets --target-group g --targets "
				"Id=10.0.0.1 --runtime -o json"),
	    EX_OK);
	assert_str(f->out, "");
}

static void
modified_settings_are_shown(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, change_with_a_note);
	assert_i64(nlbctl_run_words(f,
		       "modify-target-group --target-group internal-smtp "
		       "--health-check-port 25"),
	    EX_OK);
	assert_contains(
	    f->out, "\nTargetGroupName             internal-smtp\n");
	assert_i64(
	    nlbctl_run_words(f, "modify-target-group-attributes --target-group "
				"internal-smtp --attributes Key=a,Value=b"),
	    EX_OK);
	assert_contains(f->out, "\nproxy_protocol_v2.enabled ");
	assert_i64(nlbctl_run_words(f,
		       "modify-listener-attributes --listener submission "
		       "--attributes Key=a,Value=b -o json"),
	    EX_OK);
	assert_contains(f->out, "\"Key\": \"tcp.idle_timeout.seconds\"");
	assert_true(strstr(f->out, "Notes") == NULL);
}

static void
refuse_change(struct admin_fake *fake)
{
	fake->change_error = -EBUSY;
	fake->change_text = "reload first\n";
}

static void
change_that_cannot_be_made_now_is_78(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, refuse_change);
	assert_i64(
	    nlbctl_run_words(
		f, "register-targets --target-group g --targets Id=10.0.0.1"),
	    EX_CONFIG);
	assert_str(f->out, "");
	assert_str(f->err, "nlbctl: reload first\n");
}

static void
reject(struct admin_fake *fake)
{
	fake->accept = false;
	fake->verdict_text =
	    "nlbd.ini:3:1: error: x\n    3 | a\\b\n\t^\033[0m\n";
}

static void
a_rejected_config_goes_to_stderr_as_it_came(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, reject);
	assert_i64(nlbctl_run_words(f, "reload"), EX_CONFIG);
	assert_str(f->out, "");
	assert_str(
	    f->err, "nlbd.ini:3:1: error: x\n    3 | a\\b\n\t^\\x1b[0m\n");
	assert_i64(nlbctl_run_words(f, "check"), EX_CONFIG);
	assert_i64(nlbctl_run_words(f, "check -o json"), EX_CONFIG);
	assert_contains(f->out, "\"verdict\": \"rejected\"");
	assert_str(f->err, "");
}

static void
refuse_operations(struct admin_fake *fake)
{
	fake->op_error = -EBUSY;
}

static void
errors_of_the_daemon_have_their_codes(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_start_server(f, refuse_operations);
	assert_i64(
	    nlbctl_run_words(f, "describe-target-health --target-group x/y&z"),
	    EX_DATAERR);
	assert_str(f->err, "nlbctl: there is no target group 'x/y&z'\n");
	assert_i64(nlbctl_run_words(f, "reload"), EX_TEMPFAIL);
	assert_contains(f->err, "nlbd cannot do that now");
}

static void
usage_errors_reach_no_daemon(void **state)
{
	struct nlbctl_fixture *f = *state;
	char words[256];

	assert_i64(nlbctl_run_words(f, "stats"), EX_USAGE);
	assert_str(f->err,
	    "nlbctl: unknown verb 'stats'; did you mean 'status'?\n"
	    "Try `nlbctl help`.\n");
	assert_i64(nlbctl_run_words(f, "\033[2J"), EX_USAGE);
	assert_null(strchr(f->err, '\033'));
	snprintf(words, sizeof(words), "status -s /%0120d", 0);
	assert_i64(nlbctl_run_words(f, words), EX_USAGE);
	assert_i64(nlbctl_run_words(f, "help"), EX_OK);
	assert_contains(f->out, "describe-target-health");
	assert_i64(nlbctl_run_words(f, "-V"), EX_OK);
	assert_str(f->out, "nlbctl " NLBD_VERSION "\n");
}

static void
an_absent_daemon_is_told_with_the_path(void **state)
{
	struct nlbctl_fixture *f = *state;

	assert_i64(nlbctl_run_words(f, "status"), EX_UNAVAILABLE);
	assert_contains(f->err, f->path);
	assert_contains(f->err, "No such file or directory");
	assert_contains(f->err, "Is nlbd running?");
	close(nlbctl_listen_at(f->path)); /* the file stays, nobody listens */
	assert_i64(nlbctl_run_words(f, "status"), EX_UNAVAILABLE);
	assert_contains(f->err, "Connection refused");
	assert_contains(f->err, "left its socket behind");
}

static void
a_forbidden_socket_says_who_may(void **state)
{
	struct nlbctl_fixture *f = *state;
	int status, fd;
	pid_t pid;

	if (getuid() != 0)
		skip(); /* only root can become somebody else */
	fd = nlbctl_listen_at(f->path);
	assert_i64(chmod(f->path, 0600), 0);
	assert_i64(chmod(f->dir, 0755), 0);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		if (setuid(NOBODY) != 0)
			_exit(1);
		if (nlbctl_run_words(f, "status") != EX_UNAVAILABLE)
			_exit(2);
		_exit(strstr(f->err, "Run nlbctl as root") == NULL ? 3 : 0);
	}
	assert_i64(waitpid(pid, &status, 0), pid);
	close(fd);
	assert_true(WIFEXITED(status));
	assert_i64(WEXITSTATUS(status), 0);
}

/* A child that answers one connection with text and closes. */
static void
start_liar(struct nlbctl_fixture *f, const char *text)
{
	int fd = nlbctl_listen_at(f->path), peer;
	char request[1024];

	f->server = fork();
	assert_true(f->server != -1);
	if (f->server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		peer = accept(fd, NULL, NULL);
		if (peer == -1 || recv(peer, request, sizeof(request), 0) <= 0)
			_exit(1);
		(void)send(peer, text, strlen(text), MSG_NOSIGNAL);
		_exit(0);
	}
	close(fd);
}

static void
what_is_not_nlbd_is_told_apart(void **state)
{
#define HTTP_OK "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
	static const struct {
		const char *answer;
		int code;
	} rows[] = {
	    {"220 mail.example ESMTP\r\n", EX_PROTOCOL},
	    {HTTP_OK "<html>", EX_PROTOCOL},
	    {HTTP_OK "[1]", EX_PROTOCOL},
	    {HTTP_OK "{}", EX_PROTOCOL},
	    {HTTP_OK, EX_PROTOCOL},
	    {HTTP_OK "{\"a\": 1, \"a\": 2}", EX_PROTOCOL},
	    {"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n{\"error\": 3}",
		EX_PROTOCOL},
	    {"HTTP/1.1 409 No\r\nConnection: close\r\n\r\n{}", EX_PROTOCOL},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", EX_PROTOCOL},
	    {"HTTP/1.1 403 No\r\nConnection: close\r\n\r\n"
	     "{\"error\": {\"code\": \"AccessDenied\", \"message\": \"no\"}}",
		EX_UNAVAILABLE},
	    {"", EX_UNAVAILABLE},
	};
	struct nlbctl_fixture *f = *state;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start_liar(f, rows[i].answer);
		assert_i64(nlbctl_run_words(f, "status"), rows[i].code);
		assert_memory_equal(f->err, "nlbctl: ", 8);
		assert_str(f->out, "");
		assert_i64(waitpid(f->server, NULL, 0), f->server);
		f->server = 0;
		unlink(f->path);
	}
}

static void
a_full_disk_is_no_success(void **state)
{
	struct nlbctl_fixture *f = *state;
	struct output out = {.file = fopen("/dev/full", "w")};
	char *argv[] = {strdup("nlbctl"), strdup("help")};
	FILE *err = tmpfile();

	(void)f;
	assert_true(out.file != NULL && err != NULL);
	assert_i64(nlbctl_run(2, argv, NULL, &out, err), EX_IOERR);
	fclose(out.file);
	fclose(err);
	free(argv[0]);
	free(argv[1]);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, nlbctl_setup, nlbctl_teardown)

int
main(void)
{
	const struct CMUnitTest nlbctl[] = {
	    TEST(every_verb_shows_its_table),
	    TEST(json_output_is_the_aws_cli_s),
	    TEST(register_targets_prints_nothing_but_notes),
	    TEST(modified_settings_are_shown),
	    TEST(change_that_cannot_be_made_now_is_78),
	    TEST(a_rejected_config_goes_to_stderr_as_it_came),
	    TEST(errors_of_the_daemon_have_their_codes),
	    TEST(usage_errors_reach_no_daemon),
	    TEST(an_absent_daemon_is_told_with_the_path),
	    TEST(a_forbidden_socket_says_who_may),
	    TEST(what_is_not_nlbd_is_told_apart),
	    TEST(a_full_disk_is_no_success),
	};

	return cmocka_run_group_tests(nlbctl, NULL, NULL);
}
