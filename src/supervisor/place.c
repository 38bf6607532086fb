/*
 * Taking the place of the one nlbd on an admin socket: descriptors enough, the
 * lock, the socket, and then no more privileges than needed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bsd/string.h>

#include "nlb/event.h"
#include "supervisor/daemon.h"
#include "supervisor/lock.h"
#include "supervisor/privileges.h"

/* One listening socket per listener and worker: the usual soft limit of 1024
 * is too little for many of both. */
static void
raise_descriptor_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
}

static int
take_admin_socket(struct daemon *d)
{
	char why[512];
	bool own = false;

	d->lock_fd = lock_acquire(d->lock_path, why, sizeof(why));
	if (d->lock_fd < 0) {
		event_log(EVENT_START_FAILED, "%s", why);
		return EXIT_CODE_CANNOT_BIND;
	}
	d->admin_fd = passed_take_unix(&d->passed, d->admin_path, &own);
	d->admin_is_passed = d->admin_fd >= 0 && !own;
	if (d->admin_fd < 0)
		d->admin_fd = admin_socket_open(d->admin_path);
	if (d->admin_fd >= 0)
		return EXIT_CODE_OK;
	event_log(EVENT_START_FAILED, "AdminSocket = %s: %s", d->admin_path,
	    d->admin_fd == -EEXIST
		? "something that is no socket has this name; remove it or "
		  "choose another path"
		: strerror(-d->admin_fd));
	return EXIT_CODE_CANNOT_BIND;
}

static int
become_user(struct daemon *d, const struct conf *conf)
{
	const char *user = conf->node.user;
	char why[512];
	uid_t uid;
	gid_t gid;
	int rc = privileges_find_user(user, &uid, &gid);

	if (rc == 0 && (fchown(d->lock_fd, uid, gid) == -1 ||
			   chown(d->admin_path, uid, gid) == -1))
		event_log(EVENT_ADMIN_SOCKET_OWNER, "cannot give %s to %s: %s",
		    d->admin_path, user, strerror(errno));
	rc = privileges_drop(
	    user, conf_preserves_client_ip(conf), why, sizeof(why));
	if (rc < 0) {
		event_log(EVENT_START_FAILED, "%s", why);
		return EXIT_CODE_OS;
	}
	if (access(d->options.config_path, R_OK) == -1)
		event_log(EVENT_CONFIG_UNREADABLE,
		    "User = %s cannot read %s (%s): reloads will be "
		    "rejected; make it readable",
		    user, d->options.config_path, strerror(errno));
	return EXIT_CODE_OK;
}

int
daemon_take_place(struct daemon *d, const struct conf *conf)
{
	const char *user = conf->node.user;
	int rc;

	raise_descriptor_limit();
	strlcpy(d->admin_path, conf->node.admin_socket, sizeof(d->admin_path));
	snprintf(d->lock_path, sizeof(d->lock_path), "%s.lock", d->admin_path);
	rc = take_admin_socket(d);
	if (rc != EXIT_CODE_OK)
		return rc;
	if (geteuid() == 0 && user[0] != '\0')
		return become_user(d, conf);
	if (geteuid() == 0) {
		event_log(EVENT_RUNNING_AS_ROOT,
		    "running as root: set User in [node]");
		return EXIT_CODE_OK;
	}
	if (user[0] != '\0')
		event_log(EVENT_USER_UNUSED,
		    "User = %s: not started as root, nothing to drop", user);
	rc = privileges_keep_to_ourselves();
	if (rc < 0)
		event_log(EVENT_PRIVILEGES_KEPT,
		    "the workers may have other privileges than they "
		    "need: %s",
		    strerror(-rc));
	return EXIT_CODE_OK;
}
