/*
 * The upgrade; see upgrade.h. What the new program gets stands line by line in
 * a memfd, which NLBD_UPGRADE names:
 *
 *   own FD, passed FD     a listening socket; the service manager's
 *   admin FD, admin-passed FD
 *   worker PID LAYOUT FD  a worker, its flow records, the channel to it
 *   name GROUP HOST ADDRESS, kept-name GROUP HOST ADDRESS
 *                         what DNS names resolved to
 *   healthy GROUP ADDRESS
 *   drained 1             by nlbctl drain-node
 */
#include "supervisor/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bsd/string.h>

#include "base/log.h"
#include "ipc/capabilities.h"
#include "nlb/event.h"
#include "supervisor/daemon.h"
#include "supervisor/notify.h"

#define VARIABLE "NLBD_UPGRADE" /* PID:FD */
#define LEFT_MAX (4 << 20)
#define CHECK_MS 15000
/* The answer to whoever asked is on its way. */
#define ANSWER_MS 100

extern char **environ;

/* ---- the verdict ------------------------------------------------------ */

static void
verdict(struct daemon *d, bool accepted, const char *text)
{
	struct upgrade *u = &d->upgrade;
	admin_verdict_cb cb = u->cb;

	if (!accepted) {
		event_log(EVENT_UPGRADE_REFUSED,
		    "no upgrade, the program that runs goes on: %s", text);
		u->under_way = false;
	}
	u->cb = NULL;
	if (cb != NULL)
		cb(u->arg, accepted, text);
}

/* ---- what is left to the new program ---------------------------------- */

struct leaving {
	int memfd;
	bool failed;
};

static void
leave_line(struct leaving *l, const char *kind, const char *what)
{
	l->failed = l->failed || dprintf(l->memfd, "%s %s\n", kind, what) < 0;
}

static void
leave_fd(struct leaving *l, const char *kind, int fd)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", fd);
	leave_line(l, kind, text);
	l->failed = l->failed || fcntl(fd, F_SETFD, 0) == -1;
}

static void
leave_worker(
    void *arg, pid_t pid, const struct channel *channel, unsigned layout)
{
	char kind[64];

	snprintf(kind, sizeof(kind), "worker %d %u", (int)pid, layout);
	leave_fd(arg, kind, channel_fd(channel));
}

static void
leave_sockets(struct leaving *l, const struct daemon *d)
{
	for (size_t i = 0; i < d->sockets.n; i++) {
		const struct socket_set *set = &d->sockets.sets[i];

		for (uint32_t j = 0; j < set->n_distinct; j++)
			leave_fd(
			    l, set->passed ? "passed" : "own", set->fds[j]);
	}
	leave_fd(l, d->admin_is_passed ? "admin-passed" : "admin", d->admin_fd);
}

static void
leave_health(struct leaving *l, const struct daemon *d)
{
	const struct registered_target *t;

	TAILQ_FOREACH (t, &d->registry.targets, entry) {
		char where[ADDR_STRLEN], text[sizeof(t->group) + ADDR_STRLEN];

		if (t->health.state != TARGET_HEALTHY)
			continue;
		snprintf(text, sizeof(text), "%s %s", t->group,
		    addr_format(&t->addr, where, sizeof(where)));
		leave_line(l, "healthy", text);
	}
	if (d->drained)
		leave_line(l, "drained", "1");
}

static void
leave_addresses(struct leaving *l, const char *kind,
    const struct admin_name *name, const struct addr *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct addr target = list[i];
		char where[ADDR_STRLEN];
		char text[CONF_NAME_MAX + CONF_HOST_MAX + ADDR_STRLEN + 3];

		target.port = name->port;
		snprintf(text, sizeof(text), "%s %s %s", name->group,
		    name->host, addr_format(&target, where, sizeof(where)));
		leave_line(l, kind, text);
	}
}

static void
leave_name(void *arg, const struct admin_name *name)
{
	leave_addresses(arg, "name", name, name->addresses, name->n_addresses);
	leave_addresses(arg, "kept-name", name, name->kept, name->n_kept);
}

/* 0 or -errno. */
static int
leave_all(struct daemon *d)
{
	struct leaving l = {.memfd = memfd_create("nlbd-upgrade", MFD_CLOEXEC)};
	char text[32];

	if (l.memfd == -1)
		return -errno;
	/* What has no business in the new program ends with this one. */
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	leave_sockets(&l, d);
	for (uint32_t i = 0; i < d->workers.n; i++) {
		const struct worker_process *w = &d->workers.list[i];

		if (w->process != NULL && w->channel != NULL)
			leave_worker(&l, w->process->pid, w->channel,
			    FLOW_RECORD_LAYOUT);
	}
	former_each(&d->former, leave_worker, &l);
	names_each(d->names, leave_name, &l);
	leave_health(&l, d);
	snprintf(text, sizeof(text), "%d:%d", (int)getpid(), l.memfd);
	if (l.failed || fcntl(l.memfd, F_SETFD, 0) == -1 ||
	    setenv(VARIABLE, text, 1) == -1) {
		close(l.memfd);
		return -EIO;
	}
	return l.memfd;
}

/* ---- the exec --------------------------------------------------------- */

static void
set_arguments(struct daemon *d, char *args[6], bool check)
{
	static char name[] = "nlbd", c[] = "-c", strict[] = "--strict-aws",
		    check_config[] = "--check-config";
	size_t n = 0;

	args[n++] = name;
	args[n++] = c;
	args[n++] = d->config_path;
	if (d->options.conf_options.strict_aws)
		args[n++] = strict;
	if (check)
		args[n++] = check_config;
	args[n] = NULL;
}

/* Returns only if the old program goes on. A signal of this moment waits for
 * whoever then serves. */
static void
become_new(struct daemon *d)
{
	char text[256], *args[6];
	sigset_t all, before;
	int rc, memfd;

	notify_reloading();
	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	memfd = leave_all(d);
	rc = memfd < 0 ? memfd : 0;
	if (rc == 0) {
		/* Else lost by an exec, unless root's; it gives up itself what
		 * it has no use for. */
		(void)capabilities_pass_on(UINT32_MAX);
		set_arguments(d, args, false);
		(void)execve(d->upgrade.program, args, environ);
		rc = -errno;
		(void)capabilities_pass_on(capabilities_transparent());
		close(memfd);
	}
	(void)unsetenv(VARIABLE);
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	snprintf(text, sizeof(text), "%.200s: %s", d->upgrade.program,
	    strerror(-rc));
	verdict(d, false, text);
	daemon_notify_ready(d);
}

/* ---- the check -------------------------------------------------------- */

/* A program that came by an upgrade and whose workers do not come up can be
 * followed by a better one, while those of before serve. */
static bool
may_be_followed(const struct daemon *d)
{
	return d->state == DAEMON_SERVING ||
	       (d->state == DAEMON_STARTING && d->former.n > 0);
}

static void
on_answered(uv_timer_t *timer)
{
	struct daemon *d = timer->data;

	if (may_be_followed(d))
		become_new(d);
	else
		verdict(d, false, "nlbd is stopping");
}

static void
on_check_closed(uv_handle_t *handle)
{
	struct daemon *d = handle->data;

	d->upgrade.check_is_open = false;
}

static void
explain_check(const struct upgrade *u, int64_t status, int signal, char *text,
    size_t size)
{
	if (u->timed_out)
		snprintf(text, size,
		    "%s --check-config did not end within %d s", u->program,
		    CHECK_MS / 1000);
	else
		snprintf(text, size,
		    "%s --check-config ended with %s %d; what it said stands "
		    "in nlbd's log",
		    u->program, signal != 0 ? "signal" : "exit code",
		    signal != 0 ? signal : (int)status);
}

static void
on_checked(uv_process_t *process, int64_t status, int signal)
{
	struct daemon *d = process->data;
	struct upgrade *u = &d->upgrade;
	char text[sizeof(u->program) + 128];

	uv_timer_stop(&u->timer);
	uv_close((uv_handle_t *)process, on_check_closed);
	if (status != 0 || signal != 0) {
		explain_check(u, status, signal, text, sizeof(text));
		verdict(d, false, text);
	} else if (!may_be_followed(d)) {
		verdict(d, false, "nlbd is stopping");
	} else if (daemon_try_file(d, text, sizeof(text)) < 0) {
		/* Found out by the new program, it would be the end of it. */
		verdict(d, false, text);
	} else {
		snprintf(text, sizeof(text),
		    "%s accepts the config and takes over", u->program);
		verdict(d, true, text);
		event_log(EVENT_UPGRADE_BEGUN, "%s", text);
		uv_timer_start(&u->timer, on_answered, ANSWER_MS, 0);
	}
}

static void
on_check_timeout(uv_timer_t *timer)
{
	struct daemon *d = timer->data;

	d->upgrade.timed_out = true;
	uv_process_kill(&d->upgrade.check, SIGKILL);
}

static int
start_check(struct daemon *d)
{
	char *args[6];
	uv_stdio_container_t stdio[] = {
	    {.flags = UV_IGNORE},
	    {.flags = UV_INHERIT_FD, .data.fd = 2},
	    {.flags = UV_INHERIT_FD, .data.fd = 2},
	};
	uv_process_options_t options = {
	    .exit_cb = on_checked,
	    .file = d->upgrade.program,
	    .args = args,
	    .stdio = stdio,
	    .stdio_count = 3,
	};
	int rc;

	set_arguments(d, args, true);
	d->upgrade.check.data = d;
	d->upgrade.check_is_open = true;
	rc = uv_spawn(&d->loop, &d->upgrade.check, &options);
	if (rc < 0)
		uv_close((uv_handle_t *)&d->upgrade.check, on_check_closed);
	return rc;
}

int
upgrade_start(void *owner, admin_verdict_cb cb, void *arg)
{
	struct daemon *d = owner;
	struct upgrade *u = &d->upgrade;
	char text[sizeof(u->program) + 128];
	int rc;

	if (u->under_way || u->check_is_open || !may_be_followed(d)) {
		const char *why = may_be_followed(d)
				      ? "an upgrade is under way already"
				      : "nlbd is starting or stopping";

		event_log(EVENT_UPGRADE_REFUSED, "no upgrade: %s", why);
		if (cb != NULL)
			cb(arg, false, why);
		return 0;
	}
	u->under_way = true;
	u->timed_out = false;
	u->cb = cb;
	u->arg = arg;
	rc = start_check(d);
	if (rc < 0) {
		snprintf(text, sizeof(text), "%s cannot be run: %s", u->program,
		    strerror(-rc));
		verdict(d, false, text);
		return 0;
	}
	uv_timer_start(&u->timer, on_check_timeout, CHECK_MS, 0);
	return 0;
}

void
upgrade_finish(struct daemon *d)
{
	if (d->upgrade.cb != NULL)
		verdict(d, false, "nlbd is stopping");
}

/* ---- in the new program ----------------------------------------------- */

static char *
read_all(int fd)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) == -1 || st.st_size <= 0 || st.st_size > LEFT_MAX)
		return NULL;
	text = calloc(1, (size_t)st.st_size + 1);
	if (text != NULL &&
	    pread(fd, text, (size_t)st.st_size, 0) != (ssize_t)st.st_size) {
		free(text);
		text = NULL;
	}
	return text;
}

/* Calls fn for each line of a kind. */
static void
each_left(struct daemon *d, const char *kind,
    void (*fn)(struct daemon *d, const char *rest))
{
	const char *line = d->upgrade.left;
	size_t len = strlen(kind);

	for (; line != NULL && *line != '\0'; line += strcspn(line, "\n") + 1) {
		char rest[512];

		if (strncmp(line, kind, len) != 0 || line[len] != ' ')
			continue;
		snprintf(rest, sizeof(rest), "%.*s",
		    (int)strcspn(line + len + 1, "\n"), line + len + 1);
		fn(d, rest);
	}
}

static void
take_own(struct daemon *d, const char *rest)
{
	(void)passed_add(&d->passed, atoi(rest), true);
}

static void
take_passed(struct daemon *d, const char *rest)
{
	(void)passed_add(&d->passed, atoi(rest), false);
}

static void
take_drained(struct daemon *d, const char *rest)
{
	(void)rest;
	d->drained = true;
}

static void
take_worker(struct daemon *d, const char *rest)
{
	int pid, fd;
	unsigned layout;

	if (sscanf(rest, "%d %u %d", &pid, &layout, &fd) != 3)
		return;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (former_add(&d->former, &d->loop, pid, fd, layout) < 0)
		close(fd); /* it serves on, and drains by the lock */
}

static void
take_address(struct daemon *d, const char *rest, bool kept)
{
	char group[CONF_NAME_MAX + 1], host[CONF_HOST_MAX + 1];
	char where[ADDR_STRLEN];
	struct addr a;

	if (sscanf(rest, "%32s %253s %55s", group, host, where) == 3 &&
	    addr_parse(where, &a) == 0 &&
	    names_remember(d->names, group, host, &a, kept) < 0)
		event_log(EVENT_OUT_OF_MEMORY,
		    "out of memory for DNS names: some are not known until "
		    "they are resolved");
}

static void
take_name(struct daemon *d, const char *rest)
{
	take_address(d, rest, false);
}

static void
take_kept_name(struct daemon *d, const char *rest)
{
	take_address(d, rest, true);
}

static void
take_healthy(struct daemon *d, const char *rest)
{
	char group[CONF_NAME_MAX + 1], where[ADDR_STRLEN];
	struct addr a;

	if (sscanf(rest, "%32s %55s", group, where) == 2 &&
	    addr_parse(where, &a) == 0)
		registry_was_healthy(&d->registry, group, &a, daemon_now_ms(d));
}

void
upgrade_begin(struct daemon *d)
{
	const char *text = getenv(VARIABLE);
	int pid, fd;
	ssize_t n = readlink("/proc/self/exe", d->upgrade.program,
	    sizeof(d->upgrade.program) - 1);

	d->upgrade.program[n > 0 ? n : 0] = '\0';
	if (text == NULL || sscanf(text, "%d:%d", &pid, &fd) != 2 ||
	    pid != getpid())
		return;
	d->upgrade.left = read_all(fd);
	close(fd);
	(void)unsetenv(VARIABLE);
	each_left(d, "own", take_own);
	each_left(d, "admin", take_own);
	each_left(d, "passed", take_passed);
	each_left(d, "admin-passed", take_passed);
	each_left(d, "drained", take_drained);
}

void
upgrade_take_workers(struct daemon *d)
{
	each_left(d, "worker", take_worker);
}

void
upgrade_take_names(struct daemon *d)
{
	each_left(d, "name", take_name);
	each_left(d, "kept-name", take_kept_name);
}

void
upgrade_take_health(struct daemon *d)
{
	each_left(d, "healthy", take_healthy);
	/* Not before those who are to be notified are known. */
	if (d->upgrade.left != NULL)
		event_log(EVENT_UPGRADED,
		    "nlbd " NLBD_VERSION " takes over; %zu workers of the "
		    "program before will drain",
		    d->former.n);
	free(d->upgrade.left);
	d->upgrade.left = NULL;
}
