/*
 * A flow's deadline in the wheel: of the connect while CONNECTING, of the
 * silence while ESTABLISHED, of the delivery while FLUSHING.
 */
#include <sys/ioctl.h>

#include "worker/flow.h"
#include "worker/worker.h"

void
flow_arm(struct flow *f, uint64_t at_ms)
{
	f->timer_ms = at_ms;
	wheel_add(&flow_worker(f)->wheel, &f->timer, at_ms);
}

void
flow_rearm(struct flow *f, uint64_t at_ms)
{
	/* An early look costs one call; moving the entry costs more. */
	if (f->timer_ms <= at_ms)
		return;
	wheel_remove(&flow_worker(f)->wheel, &f->timer);
	flow_arm(f, at_ms);
}

/* Bytes wait in the kernel that no event has told us of yet: we were stalled,
 * not the peers. Bytes we leave there on purpose (back-pressure) do not count.
 */
static bool
has_unseen_input(const struct side *s)
{
	int n = 0;

	return !s->readable && ioctl(s->fd, FIONREAD, &n) == 0 && n > 0;
}

static void
idle_check(struct worker *w, struct flow *f)
{
	uint64_t now_ms = w->poller.now_ms;

	if (has_unseen_input(&f->client) || has_unseen_input(&f->target))
		f->activity_ms = now_ms;
	if (f->activity_ms + f->listener->idle_timeout_ms > now_ms) {
		flow_arm(f, f->activity_ms + f->listener->idle_timeout_ms);
		return;
	}
	flow_arm(f, now_ms); /* flow_end takes it out */
	flow_end(f, FLOW_END_IDLE_TIMEOUT);
}

void
flow_on_timer(struct worker *w, struct wheel_entry *e)
{
	struct flow *f = FLOW_OF(e, timer);
	uint64_t now_ms = w->poller.now_ms;

	if (f->state == FLOW_ESTABLISHED) {
		idle_check(w, f);
		return;
	}
	flow_arm(f, f->deadline_ms);
	if (f->deadline_ms > now_ms)
		return;
	if (f->state == FLOW_FLUSHING)
		flow_end(f, FLOW_END_FLUSH_TIMEOUT);
	else if (f->state == FLOW_CONNECTING)
		flow_connect_timeout(f);
}
