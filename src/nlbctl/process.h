/*
 * What the system knows of a worker's process.
 */
#ifndef NLBCTL_PROCESS_H
#define NLBCTL_PROCESS_H

#include <stdint.h>

/* The CPU time it has used. 0, or -ENOENT: no worker has that number here; it
 * may be one of another process namespace. */
int process_cpu_ms(uint64_t pid, uint64_t *ms);

#endif
