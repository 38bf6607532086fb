/* What the kernel knows of a peer's connection. Apart from tcp_peers.c: the
 * kernel's struct tcp_info and libc's shorter one exclude each other. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "support/expect.h"
#include "tcp_peers.h"

uint32_t
peer_segments_in(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	assert_i64(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_segs_in;
}
