/* Dropping root; see privileges.h. */
#include "supervisor/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* Two words of three masks, by the system call: libcap is not worth it. */
static int
keep_bind_service_alone(void)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	__u32 mask = 1U << CAP_NET_BIND_SERVICE;

	data[0].effective = data[0].permitted = mask;
	return syscall(SYS_capset, &header, data) == -1 ? -errno : 0;
}

int
privileges_drop(const char *user, char *why, size_t why_size)
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
	rc = keep_bind_service_alone();
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
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1)
		return -errno;
	/* The binary's own capabilities count for us alone as well. */
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ? -errno : 0;
}
