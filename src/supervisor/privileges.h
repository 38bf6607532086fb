/*
 * From root to [node] User, keeping what a supervisor needs: binding low ports
 * on reload. Workers, being exec'd as that user, have nothing but what it takes
 * to connect from a client's address, where that was asked for.
 */
#ifndef SUPERVISOR_PRIVILEGES_H
#define SUPERVISOR_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Looks user up; 0 with *uid and *gid, or -ENOENT. */
int privileges_find_user(const char *user, uid_t *uid, gid_t *gid);
/* Only as root; client_ip: a target group preserves client addresses. 0 or
 * -errno with one sentence in why. Not to be undone. */
int privileges_drop(
    const char *user, bool client_ip, char *why, size_t why_size);
/* Not as root: of what systemd or setcap gave us, the workers that we exec get
 * what client addresses need. 0 or -errno. */
int privileges_keep_to_ourselves(void);

#endif
