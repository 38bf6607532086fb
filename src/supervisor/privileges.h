/*
 * From root to [node] User, keeping what a supervisor needs: binding low ports
 * on reload. Workers, being exec'd as that user, have nothing.
 */
#ifndef SUPERVISOR_PRIVILEGES_H
#define SUPERVISOR_PRIVILEGES_H

#include <stddef.h>
#include <sys/types.h>

/* Looks user up; 0 with *uid and *gid, or -ENOENT. */
int privileges_find_user(const char *user, uid_t *uid, gid_t *gid);
/* Only as root. 0 or -errno with one sentence in why. Not to be undone. */
int privileges_drop(const char *user, char *why, size_t why_size);
/* Not as root: what systemd or setcap gave us is not for the workers that we
 * exec. 0 or -errno. */
int privileges_keep_to_ourselves(void);

#endif
