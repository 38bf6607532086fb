/*
 * Workers of the program that ran in this process before an upgrade. They have
 * the listening sockets as ours do, and are told to make way when ours serve.
 */
#ifndef SUPERVISOR_FORMER_H
#define SUPERVISOR_FORMER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#include "ipc/channel.h"
#include "nlb/flow_record.h"

struct former_worker;
TAILQ_HEAD(former_list, former_worker);

struct former_workers {
	struct former_list list;
	size_t n;
	/* Records of flows that ended, of this program's layout. */
	void (*on_records)(
	    void *owner, const struct flow_record *records, size_t n);
	void *owner;
};

void former_init(struct former_workers *fw,
    void (*on_records)(void *, const struct flow_record *, size_t),
    void *owner);
/* Takes over fd, the channel to it; layout: of its records. 0 or a negative
 * errno. */
int former_add(struct former_workers *fw, uv_loop_t *loop, pid_t pid,
    int channel_fd, unsigned layout);
/* CHANNEL_DRAIN or CHANNEL_STOP to all. */
void former_tell(struct former_workers *fw, enum channel_type type);
void former_kill(struct former_workers *fw);
/* Forgets those that have exited, once all they said is read. */
void former_reap(struct former_workers *fw);
/* For the next program: calls fn for each that can still be told something. */
void former_each(struct former_workers *fw,
    void (*fn)(
	void *arg, pid_t pid, const struct channel *channel, unsigned layout),
    void *arg);
/* Leaves them alone: they serve on as the workers of a dead supervisor do. */
void former_fini(struct former_workers *fw);

#endif
