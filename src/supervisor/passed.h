/*
 * Sockets that the service manager has opened and passes on: the protocol of
 * sd_listen_fds(3), in our own few lines.
 */
#ifndef SUPERVISOR_PASSED_H
#define SUPERVISOR_PASSED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#include "base/addr.h"

#define PASSED_FIRST_FD 3 /* by the protocol */
#define PASSED_MAX 1024

struct passed_socket {
	int fd;           /* -1: was taken */
	bool own;         /* ours, of the program before an upgrade */
	struct addr addr; /* of a TCP listener; else ADDR_NONE */
	char name[64];    /* by LISTEN_FDNAMES; "" without */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]; /* or "" */
};

struct passed_sockets {
	struct passed_socket *list; /* owned, with its descriptors */
	size_t n;
};

/* What LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES say: descriptors from
 * first_fd on, which no child of ours inherits. The variables go. 0 or
 * -ENOMEM. */
int passed_collect(struct passed_sockets *p, int first_fd);
/* One more, from the program before. 0 or -ENOMEM. */
int passed_add(struct passed_sockets *p, int fd, bool own);
bool passed_has(const struct passed_sockets *p, const struct addr *a);
/* TCP sockets at exactly a, at most max, into fds: the caller's from now on,
 * and non-blocking. Returns how many. */
size_t passed_take(
    struct passed_sockets *p, const struct addr *a, int *fds, size_t max);
/* Is the one that comes next at a our own? */
bool passed_is_own(const struct passed_sockets *p, const struct addr *a);
/* The listening unix socket of that path, or -1. */
int passed_take_unix(struct passed_sockets *p, const char *path, bool *own);
/* Those that nobody took: a warning and a close for each. */
void passed_close_rest(struct passed_sockets *p);

#endif
