/* Segments of a TCP connection; see tcp_segments.h. */
#include "worker/tcp_segments.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

int
tcp_segments(int fd, uint32_t *in, uint32_t *out)
{
	struct tcp_info info;
	socklen_t len = offsetof(struct tcp_info, tcpi_notsent_bytes);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == -1)
		return -errno;
	if (len < offsetof(struct tcp_info, tcpi_notsent_bytes))
		return -ENOTSUP; /* before Linux 4.2 */
	*in = info.tcpi_segs_in;
	*out = info.tcpi_segs_out;
	return 0;
}
