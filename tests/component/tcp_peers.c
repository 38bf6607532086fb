/* Loopback sockets; see tcp_peers.h. */
#include "tcp_peers.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/loop_support.h"

uint64_t
peer_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const char *
peer_ip(void)
{
	static char ip[ADDR_IP_STRLEN];
	unsigned pid = (unsigned)getpid();

	snprintf(ip, sizeof(ip), "127.%u.%u.%u", 64 + (pid >> 16) % 64,
	    pid >> 8 & 255, 1 + pid % 254);
	return ip;
}

static void
set_options(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

int
peer_connect(const struct addr *to)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(to, &ss);
	int fd =
	    socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		fail_msg("socket: %s", strerror(errno));
	set_options(fd);
	if (connect(fd, (struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS)
		fail_msg("connect: %s", strerror(errno));
	return fd;
}

int
peer_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1 && errno != EAGAIN)
		fail_msg("accept: %s", strerror(errno));
	if (fd != -1)
		set_options(fd);
	return fd;
}

void
peer_pair(int *a, int *b)
{
	struct addr addr;
	int listener = listen_on(peer_ip(), 8, &addr);

	*a = peer_connect(&addr);
	WAIT_UNTIL((*b = peer_accept(listener)) != -1, );
	close(listener);
}

size_t
peer_send(int fd, const void *bytes, size_t size)
{
	ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);

	if (n == -1 && errno != EAGAIN)
		fail_msg("send: %s", strerror(errno));
	return n > 0 ? (size_t)n : 0;
}

void
peer_send_all(int fd, const void *bytes, size_t size)
{
	if (peer_send(fd, bytes, size) != size)
		fail_msg("the socket took less than %zu bytes", size);
}

void
peer_send_urgent(int fd, char byte)
{
	if (send(fd, &byte, 1, MSG_OOB | MSG_NOSIGNAL) != 1)
		fail_msg("send of an urgent byte: %s", strerror(errno));
}

void
peer_fin(int fd)
{
	if (shutdown(fd, SHUT_WR) == -1)
		fail_msg("shutdown: %s", strerror(errno));
}

void
peer_reset(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

void
peer_set_buffers(int fd, int send_size, int receive_size)
{
	if (send_size > 0)
		setsockopt(
		    fd, SOL_SOCKET, SO_SNDBUF, &send_size, sizeof(send_size));
	if (receive_size > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_size,
		    sizeof(receive_size));
}

enum peer_event
peer_read(int fd, void *bytes, size_t *size)
{
	ssize_t n = recv(fd, bytes, *size, 0);

	*size = n > 0 ? (size_t)n : 0;
	if (n > 0)
		return PEER_DATA;
	if (n == 0)
		return PEER_FIN;
	if (errno == EAGAIN)
		return PEER_NOTHING;
	if (errno != ECONNRESET)
		fail_msg("recv: %s", strerror(errno));
	return PEER_RST;
}

const char *
pattern(void)
{
	static uint64_t bytes[PATTERN_MAX / sizeof(uint64_t)];
	uint64_t x = 88172645463325252u;

	if (bytes[0] == 0)
		for (size_t i = 0; i < PATTERN_MAX / sizeof(uint64_t); i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			bytes[i] = x;
		}
	return (const char *)bytes;
}
