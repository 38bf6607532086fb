/*
 * Pipes for splice(2), lent to a direction while it moves bulk data and taken
 * back as soon as it is empty. Making one costs system calls, so a few idle
 * ones are kept.
 */
#ifndef WORKER_PIPE_POOL_H
#define WORKER_PIPE_POOL_H

#include <stdint.h>

#include "worker/fd_budget.h"

#define PIPE_POOL_IDLE_MAX 32
#define PIPE_SIZE_WANTED (1024 * 1024) /* /proc/sys/fs/pipe-max-size */

struct pipe {
	int read_fd, write_fd;
	uint32_t size; /* what the kernel granted */
	struct pipe *next;
};

struct pipe_pool {
	struct fd_budget *budget;
	struct pipe *idle;
	uint32_t n_idle, n_lent;
};

void pipe_pool_init(struct pipe_pool *pool, struct fd_budget *budget);
void pipe_pool_fini(struct pipe_pool *pool);

/* Closes the idle ones. */
void pipe_pool_trim(struct pipe_pool *pool);
/* An empty pipe, or NULL: no descriptor or memory to spare. Copy instead. */
struct pipe *pipe_pool_take(struct pipe_pool *pool);
/* The pipe must be empty. */
void pipe_pool_give(struct pipe_pool *pool, struct pipe *pipe);
/* The pipe may hold bytes: it is closed. */
void pipe_pool_discard(struct pipe_pool *pool, struct pipe *pipe);

#endif
