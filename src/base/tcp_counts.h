/*
 * What a TCP connection has had, as the kernel counts it. In a file of its
 * own: the C library's tcp_info ends before these fields, and its header
 * cannot stand beside the kernel's.
 */
#ifndef BASE_TCP_COUNTS_H
#define BASE_TCP_COUNTS_H

#include <stdint.h>

/* Segments modulo 2^32, those of an accepted connection from its SYN on,
 * without the SYN-ACK. 0, or -errno with both untouched. */
int tcp_segments(int fd, uint32_t *in, uint32_t *out);

/* Bytes that have come, read or not. 0, or -errno with *bytes untouched. */
int tcp_received(int fd, uint64_t *bytes);

#endif
