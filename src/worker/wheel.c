/* A hashed timing wheel without a timer of its own; see wheel.h. */
#include "worker/wheel.h"

#include <stddef.h>

void
wheel_init(struct wheel *w, uint64_t now_ms)
{
	for (size_t i = 0; i < WHEEL_SLOTS; i++)
		LIST_INIT(&w->slots[i]);
	w->tick = now_ms / WHEEL_TICK_MS;
	w->next = UINT64_MAX;
	w->n_entries = 0;
}

void
wheel_add(struct wheel *w, struct wheel_entry *e, uint64_t at_ms)
{
	/* Rounded up: never early. */
	uint64_t tick = (at_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;

	if (tick <= w->tick)
		tick = w->tick + 1;
	if (tick > w->tick + WHEEL_SLOTS - 1)
		tick = w->tick + WHEEL_SLOTS - 1;
	LIST_INSERT_HEAD(&w->slots[tick % WHEEL_SLOTS], e, link);
	if (tick < w->next)
		w->next = tick;
	w->n_entries++;
}

void
wheel_remove(struct wheel *w, struct wheel_entry *e)
{
	LIST_REMOVE(e, link);
	w->n_entries--;
}

void
wheel_advance(struct wheel *w, uint64_t now_ms,
    void (*fire)(void *arg, struct wheel_entry *e), void *arg)
{
	uint64_t end = now_ms / WHEEL_TICK_MS;

	if (w->n_entries == 0) {
		w->tick = end;
		return;
	}
	/* After a stall of more than a round every slot is due, once. */
	if (end > w->tick + WHEEL_SLOTS)
		w->tick = end - WHEEL_SLOTS;
	while (w->tick < end) {
		struct wheel_list *slot;
		struct wheel_entry *e;

		w->tick++;
		slot = &w->slots[w->tick % WHEEL_SLOTS];
		/* wheel_add never puts an entry into this slot now: the
		 * list only gets shorter. */
		while ((e = LIST_FIRST(slot)) != NULL) {
			wheel_remove(w, e);
			fire(arg, e);
		}
	}
}

int
wheel_next_ms(struct wheel *w, uint64_t now_ms)
{
	uint64_t at_ms;

	if (w->n_entries == 0) {
		w->next = UINT64_MAX;
		return -1;
	}
	/* Looks at each slot once, not once a turn. */
	if (w->next <= w->tick)
		w->next = w->tick + 1;
	while (LIST_EMPTY(&w->slots[w->next % WHEEL_SLOTS]))
		w->next++;
	at_ms = w->next * WHEEL_TICK_MS;
	return at_ms > now_ms ? (int)(at_ms - now_ms) : 0;
}
