/*
 * A listening socket in a worker: accepts within the descriptor budget and
 * the limits, asks the security group once more, and makes flows. Over a
 * limit it pauses: the kernel's queue waits, nobody is closed silently.
 */
#ifndef WORKER_LISTENER_H
#define WORKER_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/group.h"
#include "worker/worker.h"

/* New flows per turn and listener: running flows get their turn in between. */
#define LISTENER_ACCEPTS_PER_TURN 32
#define LISTENER_ACCEPTS_AT_CLOSE 4096 /* the backlog's size */
#define LISTENER_RESUME_INTERVAL_MS 50

/*
 * Listener states
 *                  limit reached
 *   LISTENER_OPEN ---------------> LISTENER_PAUSED
 *        |   <---------------------      |
 *        |        room again             |
 *        '--------> LISTENER_CLOSED <----'
 *          removed or draining: the socket is closed, its flows live on
 */
enum listener_state {
	LISTENER_OPEN,
	LISTENER_PAUSED,
	LISTENER_CLOSED,
};

/* A target group of DefaultActions. */
struct listener_forward {
	struct group *group;
	uint8_t *outbound; /* enum conf_outbound by target; NULL: all may */
};

struct listener {
	struct poll_item item;
	TAILQ_ENTRY(listener) entry;
	struct worker *worker;
	struct sb_listener *counters;
	char name[CONF_NAME_MAX + 1];
	int fd;
	uint16_t slot;
	enum listener_state state;
	struct addr bound;
	struct listener_forward forwards[CONF_FORWARDS_MAX];
	uint32_t weights[CONF_FORWARDS_MAX];
	uint32_t n_forwards;   /* 0: forwards nowhere */
	uint32_t configured;   /* times: what flows chose before is stale */
	bool sticky;           /* a group is: so is the choice of the group */
	struct sg_set inbound; /* by security groups and network ACL */
	struct sg_set acl_inbound; /* by the latter: to tell who refused */
	bool inbound_any;          /* neither of the two */
	bool is_passed;            /* shared with a successor's workers */
	uint32_t idle_timeout_ms;
	uint32_t max_flows; /* over all workers; 0 = off */
	uint32_t refs;      /* the list's one, and one per flow */
};

/* A new listener around a listening socket. It owns fd from here on, also on
 * failure. 0 or -errno. */
int listener_create(
    struct worker *w, uint16_t slot, int fd, struct listener **out);
/* Takes the config's view; everything but the socket may change. groups: by
 * the config's target group index; those in use are referenced. 0 or -ENOMEM
 * with nothing changed. */
int listener_configure(struct listener *l, const struct conf *conf,
    const struct conf_listener *lc, struct group *const *groups);
struct listener *listener_find(struct worker *w, uint16_t slot);

/* Accepts what is in the queue, then closes. Flows live on. */
void listener_close(struct listener *l);
/* Drops SYNs from now on, so that nothing new enters a queue that is about to
 * be closed while another process serves the same port. */
void listener_refuse_new(struct listener *l);
void listener_ref(struct listener *l);
void listener_unref(struct listener *l);

/* Resumes the paused listeners that have room; false when none is paused. */
bool listener_resume_all(struct worker *w);

#endif
