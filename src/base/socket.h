/* Socket options that several modules set in the same way. */
#ifndef BASE_SOCKET_H
#define BASE_SOCKET_H

#include <linux/filter.h>
#include <stddef.h>

/* close(2) sends a reset from now on, and what waits to be sent is thrown
 * away. */
void socket_reset_on_close(int fd);

/* Segments pass the program, or are dropped; it takes the place of the former
 * one. 0, or -errno with the former one still there. */
int socket_attach_filter(int fd, const struct sock_filter *insns, size_t n);
void socket_detach_filter(int fd);

#endif
