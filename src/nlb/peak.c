/* Peaks of a counter; see peak.h. */
#include "nlb/peak.h"

void
peak_start(struct peak *p, uint64_t total, uint64_t now_ms)
{
	*p = (struct peak){
	    .total = total,
	    .at_ms = now_ms,
	    .window_ms = now_ms,
	};
}

/* Without an overflow for any counter: 2^64 / 1000 ms is not far for bytes. */
static uint64_t
rate(uint64_t n, uint64_t ms)
{
	return n / ms * 1000 + n % ms * 1000 / ms;
}

void
peak_update(struct peak *p, uint64_t total, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms - p->at_ms;
	uint64_t n;

	if (now_ms < p->at_ms || passed_ms < PEAK_INTERVAL_MS)
		return;
	n = rate(total < p->total ? total : total - p->total, passed_ms);
	p->total = total;
	p->at_ms = now_ms;
	if (n > p->highest)
		p->highest = n;
	if (now_ms - p->window_ms < PEAK_WINDOW_MS)
		return;
	p->last = p->highest;
	p->has_last = true;
	p->highest = 0;
	p->window_ms = now_ms;
}

uint64_t
peak_per_second(const struct peak *p)
{
	return p->has_last ? p->last : p->highest;
}
