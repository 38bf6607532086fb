/*
 * One nlbd per admin socket: a lock file beside it, and the socket itself.
 */
#ifndef SUPERVISOR_LOCK_H
#define SUPERVISOR_LOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc/worker_fd.h"

/*
 * Opens (makes) path and takes LOCK_BYTE_RUNNING. Returns the descriptor, to
 * be kept open for good, or a negative errno with one sentence in why;
 * -EBUSY: another nlbd runs.
 */
int lock_acquire(const char *path, char *why, size_t why_size);
/* Takes LOCK_BYTE_SERVING: orphaned workers now make way. 0 or -errno. */
int lock_set_serving(int fd);

/* The unix socket, mode 0600, listening; a stale one is replaced (the lock
 * says that nobody serves it). The descriptor, or a negative errno; -EEXIST:
 * something other than a socket has that name, and is left alone. */
int admin_socket_open(const char *path);

#endif
