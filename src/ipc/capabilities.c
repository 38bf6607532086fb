/*
 * Capabilities by the system calls; see capabilities.h. Two words of three
 * masks: libcap is not worth it.
 */
#include "ipc/capabilities.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &header, data) == -1 ? -errno : 0;
}

static int
set(const struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capset, &header, data) == -1 ? -errno : 0;
}

uint32_t
capabilities_transparent(void)
{
	static const uint32_t choices[] = {
	    UINT32_C(1) << CAP_NET_RAW, UINT32_C(1) << CAP_NET_ADMIN};
	struct __user_cap_data_struct data[2] = {{0}};

	if (get(data) < 0)
		return 0;
	for (int i = 0; i < 2; i++)
		if ((data[0].permitted & choices[i]) != 0)
			return choices[i];
	return 0;
}

int
capabilities_limit(uint32_t mask)
{
	struct __user_cap_data_struct data[2] = {{0}};
	int rc = get(data);

	if (rc < 0)
		return rc;
	data[0].permitted &= mask;
	data[0].effective = data[0].permitted;
	data[0].inheritable &= data[0].permitted;
	data[1] = (struct __user_cap_data_struct){0};
	return set(data);
}

int
capabilities_pass_on(uint32_t mask)
{
	struct __user_cap_data_struct data[2] = {{0}};
	int rc = get(data);

	if (rc < 0)
		return rc;
	data[0].inheritable = data[0].permitted & mask;
	data[1].inheritable = 0;
	rc = set(data);
	if (rc < 0)
		return rc;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1)
		return -errno;
	for (unsigned cap = 0; cap < 32; cap++)
		if ((data[0].inheritable >> cap & 1) != 0 &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) ==
			-1)
			return -errno;
	return 0;
}
