/*
 * Component tests of supervisor/privileges: what is left after root, for
 * nlbd and for what it execs. Each case in a process of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/privileges.h"
#include "supervisor_fixture.h"
#include "support/expect.h"

#define SHOW_CAPS "--show-caps"
#define SHOW_RAW "--show-raw"
#define BIND_SERVICE (1ULL << CAP_NET_BIND_SERVICE)
#define RAW (1ULL << CAP_NET_RAW)

/* A number of /proc/self/status; -1: no such line. */
static long long
status_of_self(const char *name, int base)
{
	char *text = read_file("/proc/self/status");
	const char *line = text == NULL ? NULL : strstr(text, name);
	long long value =
	    line == NULL ? -1 : strtoll(line + strlen(name), NULL, base);

	free(text);
	return value;
}

static int
in_child(int (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn());
	assert_true(pid > 0);
	assert_i64(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* 0 when a program that we exec has neither root nor any capability. */
static int
exec_ourselves(void)
{
	execl("/proc/self/exe", "test_privileges", SHOW_CAPS, (char *)NULL);
	return 99;
}

static int
show_caps(void)
{
	if (geteuid() == 0)
		return 90;
	if (status_of_self("CapEff:", 16) != 0)
		return 91;
	if (status_of_self("CapPrm:", 16) != 0)
		return 92;
	return status_of_self("CapAmb:", 16) == 0 ? 0 : 93;
}

/* 0 when it has CAP_NET_RAW and no other. */
static int
show_raw(void)
{
	if (geteuid() == 0)
		return 90;
	if (status_of_self("CapEff:", 16) != RAW)
		return 91;
	return status_of_self("CapPrm:", 16) == RAW ? 0 : 92;
}

static int
drop(void)
{
	char why[256] = "";

	return privileges_drop("nobody", false, why, sizeof(why));
}

static int
ids_after_drop(void)
{
	uid_t uid, ruid, euid, suid;
	gid_t gid, rgid, egid, sgid, groups[8];
	int n;

	if (privileges_find_user("nobody", &uid, &gid) != 0 || drop() != 0)
		return 1;
	getresuid(&ruid, &euid, &suid);
	getresgid(&rgid, &egid, &sgid);
	if (ruid != uid || euid != uid || suid != uid)
		return 2;
	if (rgid != gid || egid != gid || sgid != gid)
		return 3;
	n = getgroups(8, groups);
	for (int i = 0; i < n; i++)
		if (groups[i] == 0)
			return 4;
	/* And there is no way back. */
	return setuid(0) == -1 && seteuid(0) == -1 ? 0 : 5;
}

static int
capabilities_after_drop(void)
{
	if (drop() != 0)
		return 1;
	if (status_of_self("CapEff:", 16) != BIND_SERVICE ||
	    status_of_self("CapPrm:", 16) != BIND_SERVICE)
		return 2;
	if (status_of_self("CapInh:", 16) != 0 ||
	    status_of_self("CapAmb:", 16) != 0)
		return 3;
	return status_of_self("NoNewPrivs:", 10) == 1 ? 0 : 4;
}

static int
bind_low_port_after_drop(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons(587)};
	int fd;

	if (!use_private_network())
		return 1;
	if (drop() != 0)
		return 2;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 ? 0 : 3;
}

static int
exec_after_drop(void)
{
	return drop() == 0 ? exec_ourselves() : 1;
}

static int
exec_after_drop_for_client_addresses(void)
{
	char why[256] = "";

	if (privileges_drop("nobody", true, why, sizeof(why)) != 0)
		return 1;
	if (status_of_self("CapPrm:", 16) != (BIND_SERVICE | RAW))
		return 2;
	execl("/proc/self/exe", "test_privileges", SHOW_RAW, (char *)NULL);
	return 99;
}

static int
unknown_user(void)
{
	char why[256] = "";

	if (privileges_drop("no-such-user", false, why, sizeof(why)) != -ENOENT)
		return 1;
	if (strstr(why, "User = no-such-user: no such user") == NULL)
		return 2;
	return geteuid() == 0 ? 0 : 3;
}

static int
drop_without_root(void)
{
	char why[256] = "";

	if (setgroups(0, NULL) == -1 || setuid(65534) == -1)
		return 1;
	if (privileges_drop("root", false, why, sizeof(why)) != -EPERM)
		return 2;
	return strstr(why, "User = root: ") != NULL ? 0 : 3;
}

/* As systemd starts us with AmbientCapabilities. */
static int
become_ambient(void)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1 || setuid(65534) == -1)
		return -1;
	data[0].effective = data[0].permitted = data[0].inheritable =
	    (__u32)BIND_SERVICE;
	if (syscall(SYS_capset, &header, data) == -1)
		return -1;
	return prctl(
	    PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0);
}

static int
ambient_reaches_an_exec(void)
{
	return become_ambient() == 0 ? exec_ourselves() : 1;
}

static int
exec_after_keeping_to_ourselves(void)
{
	if (become_ambient() != 0)
		return 1;
	if (privileges_keep_to_ourselves() != 0)
		return 2;
	if (status_of_self("CapEff:", 16) != BIND_SERVICE)
		return 3;
	if (status_of_self("NoNewPrivs:", 10) != 1)
		return 4;
	return exec_ourselves();
}

/* ---- the tests -------------------------------------------------------- */

static void
need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void
unknown_user_is_not_found(void **state)
{
	uid_t uid;
	gid_t gid;

	(void)state;
	assert_errno(privileges_find_user("no-such-user", &uid, &gid), -ENOENT);
	assert_errno(privileges_find_user("root", &uid, &gid), 0);
	assert_u64(uid, 0);
}

static void
root_is_left_for_good_with_all_its_groups(void **state)
{
	(void)state;
	need_root();
	assert_i64(in_child(ids_after_drop), 0);
}

static void
binding_low_ports_is_the_one_capability_that_stays(void **state)
{
	(void)state;
	need_root();
	assert_i64(in_child(capabilities_after_drop), 0);
	assert_i64(in_child(bind_low_port_after_drop), 0);
}

static void
exec_after_the_drop_has_nothing(void **state)
{
	(void)state;
	need_root();
	if (runs_under_valgrind())
		skip();
	assert_i64(in_child(exec_after_drop), 0);
}

static void
exec_has_what_client_addresses_need_if_that_was_asked_for(void **state)
{
	(void)state;
	need_root();
	if (runs_under_valgrind())
		skip();
	assert_i64(in_child(exec_after_drop_for_client_addresses), 0);
}

static void
unknown_user_changes_nothing_and_says_what_to_do(void **state)
{
	(void)state;
	need_root();
	assert_i64(in_child(unknown_user), 0);
}

static void
drop_that_is_not_permitted_names_the_step(void **state)
{
	(void)state;
	need_root();
	assert_i64(in_child(drop_without_root), 0);
}

static void
ambient_capability_stays_with_us_alone(void **state)
{
	(void)state;
	need_root();
	if (runs_under_valgrind())
		skip();
	/* The check itself: it does reach an exec when nothing is done. */
	assert_i64(in_child(ambient_reaches_an_exec), 91);
	assert_i64(in_child(exec_after_keeping_to_ourselves), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest privileges[] = {
	    cmocka_unit_test(unknown_user_is_not_found),
	    cmocka_unit_test(root_is_left_for_good_with_all_its_groups),
	    cmocka_unit_test(
		binding_low_ports_is_the_one_capability_that_stays),
	    cmocka_unit_test(exec_after_the_drop_has_nothing),
	    cmocka_unit_test(
		exec_has_what_client_addresses_need_if_that_was_asked_for),
	    cmocka_unit_test(unknown_user_changes_nothing_and_says_what_to_do),
	    cmocka_unit_test(drop_that_is_not_permitted_names_the_step),
	    cmocka_unit_test(ambient_capability_stays_with_us_alone),
	};

	if (argc == 2 && strcmp(argv[1], SHOW_CAPS) == 0)
		return show_caps();
	if (argc == 2 && strcmp(argv[1], SHOW_RAW) == 0)
		return show_raw();
	return cmocka_run_group_tests(privileges, NULL, NULL);
}
