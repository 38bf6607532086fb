/* Socket options; see socket.h. */
#include "base/socket.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

void
socket_reset_on_close(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

int
socket_attach_filter(int fd, const struct sock_filter *insns, size_t n)
{
	struct sock_fprog prog = {.len = (unsigned short)n,
	    .filter = (struct sock_filter *)(uintptr_t)insns};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ==
	    0)
		return 0;
	return -errno;
}

void
socket_detach_filter(int fd)
{
	int unused = 0;

	(void)setsockopt(
	    fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}
