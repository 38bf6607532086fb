/*
 * Plain non-blocking TCP sockets on loopback for tests, and bytes that can be
 * told apart by their place in the stream.
 */
#ifndef TCP_PEERS_H
#define TCP_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* Only a failing test waits this long. */
#define PEER_DEADLINE_MS 20000

uint64_t peer_now_ms(void); /* never skips */

/* Runs step until condition holds; fails the test at the deadline. */
#define WAIT_UNTIL(condition, step)                                         \
	do {                                                                \
		uint64_t wait_end_ms = peer_now_ms() + PEER_DEADLINE_MS;    \
		while (!(condition)) {                                      \
			if (peer_now_ms() > wait_end_ms)                    \
				fail_msg("never happened: %s", #condition); \
			step;                                               \
		}                                                           \
	} while (0)

/* A loopback address of this process alone: on 127.0.0.1 another test may
 * come to a port that it has just given up. */
const char *peer_ip(void);

/* All of these fail the test when a system call does. */
int peer_connect(const struct addr *to);
/* Connected, both with TCP_NODELAY and SO_OOBINLINE as nlbd's sockets. */
void peer_pair(int *a, int *b);
/* -1 when there is none yet. */
int peer_accept(int listener);
/* Bytes that went out; 0 when the socket is full. */
size_t peer_send(int fd, const void *bytes, size_t size);
void peer_send_all(int fd, const void *bytes, size_t size);
void peer_send_urgent(int fd, char byte);
void peer_fin(int fd);
/* Closes with RST. */
void peer_reset(int fd);
void peer_set_buffers(int fd, int send_size, int receive_size);

/* TCP segments received so far, the ones without data included. */
uint32_t peer_segments_in(int fd);

enum peer_event { PEER_NOTHING, PEER_DATA, PEER_FIN, PEER_RST };
/* *size: in: room, out: bytes read. */
enum peer_event peer_read(int fd, void *bytes, size_t *size);

/* size bytes that do not repeat; static, at most PATTERN_MAX. */
#define PATTERN_MAX (10u * 1024 * 1024)
const char *pattern(void);

#endif
