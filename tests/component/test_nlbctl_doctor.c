/*
 * nlbctl doctor: machines that are too small, and targets of every kind.
 */
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "nlbctl/doctor.h"
#include "nlbctl_fixture.h"
#include "support/expect.h"

#define SERVERS_MAX 3

struct fixture {
	struct nlbctl_fixture nlbctl; /* first: its functions take it */
	char ini[96];
	pid_t servers[SERVERS_MAX];
	size_t n_servers;
	struct conf *conf;
	struct doctor d;
};

static int
setup(void **state)
{
	struct fixture *f;
	void *nlbctl;

	if (nlbctl_setup(&nlbctl) != 0)
		return -1;
	f = realloc(nlbctl, sizeof(*f));
	if (f == NULL)
		return -1;
	memset(
	    (char *)f + sizeof(f->nlbctl), 0, sizeof(*f) - sizeof(f->nlbctl));
	snprintf(f->ini, sizeof(f->ini), "%s/nlbd.ini", f->nlbctl.dir);
	*state = f;
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->n_servers; i++) {
		kill(f->servers[i], SIGKILL);
		waitpid(f->servers[i], NULL, 0);
	}
	conf_destroy(f->conf);
	nftw(f->nlbctl.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return nlbctl_teardown(state);
}

/* ---- the machine -------------------------------------------------------- */

static void
put_file(const struct fixture *f, const char *path, const char *text)
{
	char full[256], *slash;
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", f->nlbctl.dir, path);
	for (slash = full + strlen(f->nlbctl.dir) + 1;
	     (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		(void)mkdir(full, 0755); /* it may be there */
		*slash = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_i64(fclose(file), 0);
}

#define LISTENER                  \
	"[listener main]\n"       \
	"Port = 2587\n"           \
	"SecurityGroups = none\n" \
	"DefaultActions = forward:servers\n"

/* conf of text; the doctor starts anew. */
static void
use_conf(struct fixture *f, const char *text)
{
	struct conf_options options = {0};
	struct conf_diags diags = {0};
	int rc;

	conf_destroy(f->conf);
	f->conf = NULL;
	rc = conf_parse(text, strlen(text), &options, &f->conf, &diags);
	if (rc != 0)
		conf_diags_print(&diags, "test", stderr);
	conf_diags_fini(&diags);
	assert_i64(rc, 0);
	memset(&f->d, 0, sizeof(f->d));
	f->d.root = f->nlbctl.dir;
	f->d.conf = f->conf;
}

static void
expect_row(const struct fixture *f, size_t i, enum doctor_verdict verdict,
    const char *finding)
{
	assert_u64(f->d.n_rows, i + 1);
	assert_contains(f->d.rows[i].finding, finding);
	assert_i64(f->d.rows[i].verdict, verdict);
	assert_true((f->d.rows[i].next[0] == '\0') == (verdict == DOCTOR_OK));
}

static void
a_machine_that_is_too_small_is_told_apart(void **state)
{
	static const char conf[] = LISTENER "[target-group servers]\n"
					    "Port = 25\n"
					    "Target.a = Id=10.20.0.25\n"
					    "Target.b = Id=10.20.0.26\n"
					    "[node]\n"
					    "MaxFlows = 60000\n";
	struct fixture *f = *state;

	use_conf(f, conf);
	put_file(f, "/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
	put_file(f, "/proc/sys/net/core/somaxconn", "128\n");
	doctor_check_source_ports(&f->d);
	expect_row(f, 0, DOCTOR_WARNING,
	    "28232 ports for each of 2 targets: 56464 flows, and 60000");
	doctor_check_accept_queue(&f->d);
	expect_row(f, 1, DOCTOR_WARNING, "somaxconn is 128");
	doctor_check_conntrack(&f->d);
	expect_row(f, 2, DOCTOR_OK, "tracks no connections");
	put_file(f, "/proc/sys/net/netfilter/nf_conntrack_max", "65536\n");
	put_file(f, "/proc/sys/net/netfilter/nf_conntrack_count", "12\n");
	doctor_check_conntrack(&f->d);
	expect_row(f, 3, DOCTOR_WARNING, "65536 entries, and 120000 are");
	put_file(f, "/proc/sys/net/netfilter/nf_conntrack_count", "60000\n");
	doctor_check_conntrack(&f->d);
	expect_row(f, 4, DOCTOR_PROBLEM, "60000 of 65536 entries are used");
}

static void
a_machine_that_will_do_is_ok(void **state)
{
	static const char conf[] = LISTENER "[target-group servers]\n"
					    "Port = 25\n"
					    "Target.a = Id=10.20.0.25\n";
	struct fixture *f = *state;
	json_t *status;

	use_conf(f, conf);
	put_file(f, "/proc/sys/net/ipv4/ip_local_port_range", "1024 65535\n");
	put_file(f, "/proc/sys/net/core/somaxconn", "4096\n");
	put_file(f, "/proc/77/limits",
	    "Max cpu time   unlimited  unlimited  seconds\n"
	    "Max open files            65536        65536       files\n");
	doctor_check_source_ports(&f->d);
	expect_row(f, 0, DOCTOR_OK, "64512 ports for each of 1 targets");
	doctor_check_accept_queue(&f->d);
	expect_row(f, 1, DOCTOR_OK, "4096");
	status =
	    json_pack("{s:i, s:[{s:i}]}", "pid", 77, "listeners", "port", 2587);
	f->d.status = status;
	doctor_check_files(&f->d);
	expect_row(f, 2, DOCTOR_OK, "65536 of the running nlbd: about 32768");
	doctor_check_ports(&f->d);
	expect_row(f, 3, DOCTOR_OK, "2587 of listener main is open");
	put_file(f, "/proc/77/limits",
	    "Max open files            1024        1024       files\n");
	doctor_check_files(&f->d);
	expect_row(f, 4, DOCTOR_WARNING, "about 512 flows for each worker");
	doctor_check_clock(&f->d); /* whatever this machine's is */
	assert_u64(f->d.n_rows, 6);
	json_decref(status);
}

static void
ec2_forgets_what_is_idle_for_longer(void **state)
{
	struct fixture *f = *state;

	use_conf(f, LISTENER "tcp.idle_timeout.seconds = 900\n"
			     "[target-group servers]\n"
			     "Port = 25\n");
	doctor_check_idle_timeout(&f->d);
	expect_row(f, 0, DOCTOR_OK, "900 s at listener main; this is no EC2");
	put_file(f, "/sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
	doctor_check_idle_timeout(&f->d);
	expect_row(f, 1, DOCTOR_WARNING, "may forget a flow after 350 s");
	use_conf(f, LISTENER "[target-group servers]\nPort = 25\n");
	doctor_check_idle_timeout(&f->d);
	expect_row(f, 0, DOCTOR_OK, "350 s at listener main");
}

/* ---- ports and targets --------------------------------------------------- */

static int
listen_on_loopback(uint16_t *port)
{
	struct sockaddr_in sa = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd != -1);
	assert_i64(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_i64(listen(fd, 16), 0);
	assert_i64(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

static void
a_port_of_somebody_else_is_a_problem(void **state)
{
	struct fixture *f = *state;
	char text[512];
	uint16_t port;
	int fd = listen_on_loopback(&port);

	snprintf(text, sizeof(text),
	    "[listener main]\nPort = %u\nAddress = 127.0.0.1\n"
	    "SecurityGroups = none\nDefaultActions = forward:servers\n"
	    "[target-group servers]\nPort = 25\n",
	    port);
	use_conf(f, text);
	doctor_check_ports(&f->d);
	expect_row(f, 0, DOCTOR_PROBLEM, "in use by another process");
	close(fd);
	doctor_check_ports(&f->d);
	expect_row(f, 1, DOCTOR_OK, "of listener main is free");
}

enum kind {
	SERVER_SMTP,   /* greets at once, and does not know the header */
	SERVER_PROXY,  /* greets after the header alone */
	SERVER_SILENT, /* lets the client speak first */
	SERVER_BUSY,   /* 421 */
};

static void
say(int fd, const char *text)
{
	(void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void
serve_one(int fd, enum kind kind)
{
	char data[512];
	ssize_t n;

	if (kind == SERVER_SMTP)
		say(fd, "220 mail\033[2J ESMTP\r\n");
	if (kind == SERVER_BUSY) {
		say(fd, "421 4.3.2 try later\r\n");
		return;
	}
	n = recv(fd, data, sizeof(data), 0);
	if (n >= 12 && memcmp(data, "\r\n\r\n", 4) == 0) {
		if (kind == SERVER_SMTP)
			say(fd, "500 5.5.2 what?\r\n");
		if (kind == SERVER_PROXY)
			say(fd, "220 behind ESMTP\r\n");
	}
	while (n > 0)
		n = recv(fd, data, sizeof(data), 0);
}

static uint16_t
start_server_of(struct fixture *f, enum kind kind)
{
	uint16_t port;
	int fd = listen_on_loopback(&port), peer;
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while ((peer = accept(fd, NULL, NULL)) != -1) {
			serve_one(peer, kind);
			close(peer);
		}
		_exit(0);
	}
	close(fd);
	f->servers[f->n_servers++] = pid;
	return port;
}

static void
use_target(struct fixture *f, uint16_t port, bool proxy, const char *more)
{
	char text[512];

	snprintf(text, sizeof(text),
	    LISTENER "[target-group servers]\nPort = %u\n"
		     "proxy_protocol_v2.enabled = %s\n"
		     "Target.a = Id=127.0.0.1\n%s",
	    port, proxy ? "true" : "false", more);
	use_conf(f, text);
	doctor_check_targets(&f->d);
}

static void
targets_show_their_greeting(void **state)
{
	struct fixture *f = *state;

	use_target(f, start_server_of(f, SERVER_SMTP), false, "");
	expect_row(f, 0, DOCTOR_OK, "connected, 220 mail\\x1b[2J ESMTP");
	use_target(f, start_server_of(f, SERVER_PROXY), true, "");
	expect_row(f, 0, DOCTOR_OK, "connected, 220 behind ESMTP");
	use_target(f, start_server_of(f, SERVER_SILENT), false, "");
	expect_row(f, 0, DOCTOR_OK, "lets the client speak first");
}

static void
a_proxy_header_too_many_or_too_few_is_found(void **state)
{
	struct fixture *f = *state;

	use_target(f, start_server_of(f, SERVER_SMTP), true, "");
	expect_row(f, 0, DOCTOR_PROBLEM, "does not expect the PROXY header");
	use_target(f, start_server_of(f, SERVER_PROXY), false, "");
	expect_row(f, 0, DOCTOR_PROBLEM, "it expects a PROXY header");
}

static void
targets_that_are_away_or_busy_are_told_apart(void **state)
{
	struct fixture *f = *state;
	uint16_t port;

	close(listen_on_loopback(&port));
	use_target(f, port, false, "");
	expect_row(f, 0, DOCTOR_PROBLEM, "Connection refused");
	use_target(f, start_server_of(f, SERVER_BUSY), false, "");
	expect_row(f, 0, DOCTOR_WARNING, "it says 421 4.3.2 try later");
}

static void
a_target_that_the_rules_forbid_is_not_tried(void **state)
{
	struct fixture *f = *state;

	use_conf(f,
	    "[listener main]\nPort = 2587\nSecurityGroups = few\n"
	    "DefaultActions = forward:servers\n"
	    "[security-group few]\n"
	    "Inbound.a = Protocol=tcp,PortRange=2587,Source=10.0.0.0/8\n"
	    "Outbound.a = Protocol=tcp,PortRange=25,Destination=10.9.0.0/16\n"
	    "[target-group servers]\nPort = 25\nTarget.a = Id=127.0.0.1\n");
	doctor_check_targets(&f->d);
	expect_row(f, 0, DOCTOR_PROBLEM,
	    "127.0.0.1:25: the rules of listener main do not let flows out");
}

/* ---- the verb ------------------------------------------------------------ */

static void
doctor_goes_through_all_checks(void **state)
{
	struct fixture *f = *state;
	char words[256], text[512];

	snprintf(text, sizeof(text),
	    "[listener main]\nPort = 2587\nSecurityGroups = none\n"
	    "DefaultActions = forward:servers\n"
	    "[target-group servers]\nPort = %u\nTarget.a = Id=127.0.0.1\n"
	    "[node]\nAdminSocket = %s\n",
	    start_server_of(f, SERVER_SMTP), f->nlbctl.path);
	put_file(f, "/nlbd.ini", text);
	snprintf(words, sizeof(words), "doctor --file %s", f->ini);
	nlbctl_run_words(&f->nlbctl, words);
	assert_contains(f->nlbctl.out, "CHECK ");
	assert_contains(f->nlbctl.out, "none answers at the admin socket");
	assert_contains(f->nlbctl.out, "\n   -> Start it when the rest is");
	assert_contains(f->nlbctl.out, "connected, 220 mail");
	assert_null(strchr(f->nlbctl.out, '\033'));
	nlbctl_start_server(&f->nlbctl, NULL);
	nlbctl_run_words(&f->nlbctl, words);
	assert_contains(f->nlbctl.out, "runs, health ok");
	kill(f->servers[0], SIGKILL);
	waitpid(f->servers[0], NULL, 0);
	f->n_servers = 0;
	snprintf(words, sizeof(words), "doctor -o json --file %s", f->ini);
	assert_i64(nlbctl_run_words(&f->nlbctl, words), 1);
	assert_contains(f->nlbctl.out, "\"check\": \"target\"");
	assert_contains(f->nlbctl.out, "\"verdict\": \"problem\"");
	assert_contains(f->nlbctl.out, "\"next_step\": \"Start the server");
}

static void
doctor_without_a_configuration_says_so(void **state)
{
	struct fixture *f = *state;
	char words[256];

	snprintf(words, sizeof(words), "doctor --file %s", f->ini);
	assert_i64(nlbctl_run_words(&f->nlbctl, words), EX_CONFIG);
	assert_contains(f->nlbctl.err, f->ini);
	assert_contains(f->nlbctl.err, "doctor goes by the configuration");
	put_file(f, "/nlbd.ini", "[listener main]\nPort = x\n");
	assert_i64(nlbctl_run_words(&f->nlbctl, words), EX_CONFIG);
	assert_contains(f->nlbctl.err, "nlbd.ini:2:8: error");
	assert_str(f->nlbctl.out, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest nlbctl_doctor[] = {
	    TEST(a_machine_that_is_too_small_is_told_apart),
	    TEST(a_machine_that_will_do_is_ok),
	    TEST(ec2_forgets_what_is_idle_for_longer),
	    TEST(a_port_of_somebody_else_is_a_problem),
	    TEST(targets_show_their_greeting),
	    TEST(a_proxy_header_too_many_or_too_few_is_found),
	    TEST(targets_that_are_away_or_busy_are_told_apart),
	    TEST(a_target_that_the_rules_forbid_is_not_tried),
	    TEST(doctor_goes_through_all_checks),
	    TEST(doctor_without_a_configuration_says_so),
	};

	return cmocka_run_group_tests(nlbctl_doctor, NULL, NULL);
}
