/* Pipes on loan; see pipe_pool.h. */
#include "worker/pipe_pool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void
pipe_pool_init(struct pipe_pool *pool, struct fd_budget *budget)
{
	pool->budget = budget;
	pool->idle = NULL;
	pool->n_idle = pool->n_lent = 0;
}

static void
destroy(struct pipe_pool *pool, struct pipe *pipe)
{
	close(pipe->read_fd);
	close(pipe->write_fd);
	free(pipe);
	fd_budget_give(pool->budget, 2);
}

void
pipe_pool_trim(struct pipe_pool *pool)
{
	struct pipe *p;

	while ((p = pool->idle) != NULL) {
		pool->idle = p->next;
		destroy(pool, p);
	}
	pool->n_idle = 0;
}

void
pipe_pool_fini(struct pipe_pool *pool)
{
	pipe_pool_trim(pool);
}

static struct pipe *
make(struct pipe_pool *pool)
{
	struct pipe *p;
	int fds[2], size;

	if (!fd_budget_take_spare(pool->budget, 2))
		return NULL;
	p = malloc(sizeof(*p));
	if (p == NULL || pipe2(fds, O_NONBLOCK | O_CLOEXEC) == -1) {
		free(p);
		fd_budget_give(pool->budget, 2);
		return NULL;
	}
	/* Refused over pipe-user-pages-soft: the pipe then stays small, which
	 * is slower and nothing worse. */
	size = fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE_WANTED);
	if (size <= 0)
		size = fcntl(fds[1], F_GETPIPE_SZ);
	p->read_fd = fds[0];
	p->write_fd = fds[1];
	p->size = size > 0 ? (uint32_t)size : 4096;
	return p;
}

struct pipe *
pipe_pool_take(struct pipe_pool *pool)
{
	struct pipe *p = pool->idle;

	if (p != NULL) {
		pool->idle = p->next;
		pool->n_idle--;
	} else {
		p = make(pool);
		if (p == NULL)
			return NULL;
	}
	pool->n_lent++;
	return p;
}

void
pipe_pool_give(struct pipe_pool *pool, struct pipe *pipe)
{
	if (pool->n_idle >= PIPE_POOL_IDLE_MAX) {
		pipe_pool_discard(pool, pipe);
		return;
	}
	pool->n_lent--;
	pipe->next = pool->idle;
	pool->idle = pipe;
	pool->n_idle++;
}

void
pipe_pool_discard(struct pipe_pool *pool, struct pipe *pipe)
{
	pool->n_lent--;
	destroy(pool, pipe);
}
