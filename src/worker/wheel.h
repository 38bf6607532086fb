/*
 * Lazy deadlines for flows: a hashed wheel of lists, so that a flow's timer
 * costs two list operations in its life and nothing per byte. A deadline fires
 * up to WHEEL_TICK_MS late, never early. The owner of an entry may move its
 * real deadline at any time without telling the wheel; when the entry fires it
 * is asked, and put back if it was too early.
 */
#ifndef WORKER_WHEEL_H
#define WORKER_WHEEL_H

#include <bsd/sys/queue.h>
#include <stdint.h>

#define WHEEL_TICK_MS 128
#define WHEEL_SLOTS 4096 /* one round is 524 s; longer deadlines go round */

struct wheel_entry {
	LIST_ENTRY(wheel_entry) link;
};
LIST_HEAD(wheel_list, wheel_entry);

struct wheel {
	struct wheel_list slots[WHEEL_SLOTS];
	uint64_t tick; /* the last tick handled */
	uint64_t next; /* no entry is before this tick */
	uint32_t n_entries;
};

void wheel_init(struct wheel *w, uint64_t now_ms);
/* at_ms in the past fires at the next tick. */
void wheel_add(struct wheel *w, struct wheel_entry *e, uint64_t at_ms);
void wheel_remove(struct wheel *w, struct wheel_entry *e);

/* Calls fire for every entry of the ticks that passed; the entry is out of the
 * wheel during the call, and fire may add it again. Entries further than one
 * round away also come here: the caller looks at its real deadline. */
void wheel_advance(struct wheel *w, uint64_t now_ms,
    void (*fire)(void *arg, struct wheel_entry *e), void *arg);

/* Milliseconds until the next tick with entries, -1 when there are none. */
int wheel_next_ms(struct wheel *w, uint64_t now_ms);

#endif
