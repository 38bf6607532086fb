/* Counts of a TCP connection; see tcp_counts.h. */
#include "base/tcp_counts.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

/* All of it up to here came with Linux 4.2. */
#define KNOWN offsetof(struct tcp_info, tcpi_notsent_bytes)

static int
ask_kernel(int fd, struct tcp_info *info)
{
	socklen_t len = KNOWN;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) == -1)
		return -errno;
	return len < KNOWN ? -ENOTSUP : 0;
}

int
tcp_segments(int fd, uint32_t *in, uint32_t *out)
{
	struct tcp_info info;
	int rc = ask_kernel(fd, &info);

	if (rc < 0)
		return rc;
	*in = info.tcpi_segs_in;
	*out = info.tcpi_segs_out;
	return 0;
}

int
tcp_received(int fd, uint64_t *bytes)
{
	struct tcp_info info;
	int rc = ask_kernel(fd, &info);

	if (rc < 0)
		return rc;
	*bytes = info.tcpi_bytes_received;
	return 0;
}
