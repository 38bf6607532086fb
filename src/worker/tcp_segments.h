/*
 * How many segments a TCP connection has had, as the kernel counts them. In a
 * file of its own: the C library's tcp_info ends before these fields, and its
 * header cannot stand beside the kernel's.
 */
#ifndef WORKER_TCP_SEGMENTS_H
#define WORKER_TCP_SEGMENTS_H

#include <stdint.h>

/* Modulo 2^32, those of an accepted connection from its SYN on, without the
 * SYN-ACK. 0, or -errno with both untouched. */
int tcp_segments(int fd, uint32_t *in, uint32_t *out);

#endif
