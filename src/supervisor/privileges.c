/* Dropping root; see privileges.h. */
#include "supervisor/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ipc/capabilities.h"

int
privileges_find_user(const char *user, uid_t *uid, gid_t *gid)
{
	struct passwd *pw = getpwnam(user);

	if (pw == NULL)
		return -ENOENT;
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}

/* Binding low ports on reload is ours alone. */
static int
keep_capabilities(bool client_ip)
{
	uint32_t transparent = client_ip ? capabilities_transparent() : 0;
	int rc = capabilities_limit(CAPABILITIES_BIND | transparent);

	return rc < 0 ? rc : capabilities_pass_on(transparent);
}

int
privileges_drop(const char *user, bool client_ip, char *why, size_t why_size)
{
	const char *step = "getpwnam";
	uid_t uid;
	gid_t gid;
	int rc;

	rc = privileges_find_user(user, &uid, &gid);
	if (rc < 0) {
		snprintf(why, why_size,
		    "User = %s: no such user; make it (useradd -r %s) or name "
		    "another",
		    user, user);
		return rc;
	}
	step = "initgroups";
	if (initgroups(user, gid) == -1)
		goto fail;
	step = "setresgid";
	if (setresgid(gid, gid, gid) == -1)
		goto fail;
	step = "PR_SET_KEEPCAPS";
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1)
		goto fail;
	step = "setresuid";
	if (setresuid(uid, uid, uid) == -1)
		goto fail;
	step = "PR_SET_NO_NEW_PRIVS";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		goto fail;
	step = "capset";
	rc = keep_capabilities(client_ip);
	if (rc == 0)
		return 0;
	errno = -rc;
fail:
	rc = -errno;
	snprintf(why, why_size, "User = %s: %s: %s", user, step, strerror(-rc));
	return rc;
}

int
privileges_keep_to_ourselves(void)
{
	int rc = capabilities_pass_on(capabilities_transparent());

	if (rc < 0)
		return rc;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ? -errno : 0;
}
