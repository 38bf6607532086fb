/*
 * The two capabilities that nlbd has a use for, and who keeps which: the
 * supervisor both, its workers the second alone, and only if it was given.
 */
#ifndef IPC_CAPABILITIES_H
#define IPC_CAPABILITIES_H

#include <linux/capability.h>
#include <stdint.h>

/* Ports below 1024. */
#define CAPABILITIES_BIND (UINT32_C(1) << CAP_NET_BIND_SERVICE)

/* What lets a socket have an address that is not this machine's, of what this
 * process may have: CAP_NET_RAW, or for lack of it the much mightier
 * CAP_NET_ADMIN; 0: neither. */
uint32_t capabilities_transparent(void);

/* Gives up, for good, all but mask. 0 or -errno. */
int capabilities_limit(uint32_t mask);
/* Of what this process has, mask alone is also for what it execs. */
int capabilities_pass_on(uint32_t mask);

#endif
