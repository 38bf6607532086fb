/* Counting descriptors; see fd_budget.h. */
#include "worker/fd_budget.h"

#include <sys/resource.h>

uint32_t
fd_budget_base(uint32_t limit)
{
	return limit < FD_BUDGET_LISTENERS_FROM
		   ? FD_BUDGET_BASE
		   : FD_BUDGET_BASE + FD_BUDGET_LISTENERS;
}

void
fd_budget_init(struct fd_budget *b, uint32_t n_listeners)
{
	struct rlimit rl = {.rlim_cur = 1024, .rlim_max = 1024};

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
		(void)getrlimit(RLIMIT_NOFILE, &rl);
	}
	b->limit = rl.rlim_cur > UINT32_MAX / 2 ? UINT32_MAX / 2
						: (uint32_t)rl.rlim_cur;
	b->base = fd_budget_base(b->limit);
	b->used = b->base + n_listeners;
}

uint32_t
fd_budget_max_flows(const struct fd_budget *b)
{
	return b->limit > b->used ? (b->limit - b->used) / FD_BUDGET_PER_FLOW
				  : 0;
}

bool
fd_budget_fits(const struct fd_budget *b, uint32_t n)
{
	return b->used + n <= b->limit;
}

bool
fd_budget_take(struct fd_budget *b, uint32_t n)
{
	if (!fd_budget_fits(b, n))
		return false;
	b->used += n;
	return true;
}

bool
fd_budget_take_spare(struct fd_budget *b, uint32_t n)
{
	if (b->used + n + b->limit / 8 > b->limit)
		return false;
	b->used += n;
	return true;
}

void
fd_budget_give(struct fd_budget *b, uint32_t n)
{
	b->used -= n;
}
