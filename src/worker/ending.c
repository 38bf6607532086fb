/*
 * Flows that lost their target; see ending.h. They stand first in the worker's
 * list of flows, where a batch finds them without a search.
 */
#include "worker/ending.h"

#include "worker/flow.h"

void
ending_mark(struct worker *w, uint16_t slot, enum flow_end_reason reason)
{
	struct flow *f, *before;

	/* Backwards, so that the oldest comes first again. */
	TAILQ_FOREACH_REVERSE_SAFE(f, &w->flows, flow_list, entry, before)
	{
		if (f->target_slot != slot || f->ending)
			continue;
		f->ending = true;
		f->ending_reason = (uint8_t)reason;
		TAILQ_REMOVE(&w->flows, f, entry);
		TAILQ_INSERT_HEAD(&w->flows, f, entry);
	}
}

void
ending_spare(struct flow *f)
{
	struct worker *w = flow_worker(f);

	if (!f->ending)
		return;
	f->ending = false;
	TAILQ_REMOVE(&w->flows, f, entry);
	TAILQ_INSERT_TAIL(&w->flows, f, entry);
}

static struct flow *
first(struct worker *w)
{
	struct flow *f = TAILQ_FIRST(&w->flows);

	return f != NULL && f->ending ? f : NULL;
}

bool
ending_run(struct worker *w)
{
	struct flow *f = first(w);
	uint64_t end_ns;

	if (f == NULL)
		return false;
	end_ns = uv_hrtime() + ENDING_TURN_NS;
	for (int i = 0; i < ENDING_FLOWS_PER_TURN; i++) {
		if (f->state == FLOW_CONNECTING)
			flow_connect_elsewhere(f);
		else
			flow_end(f, f->ending_reason);
		f = first(w);
		if (f == NULL || uv_hrtime() >= end_ns)
			break;
	}
	return f != NULL;
}
