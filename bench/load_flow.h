/*
 * One connection of the load client on its thread's loop: moves bytes between
 * the socket and its talk, and tells the thread what came of it.
 */
#ifndef LOAD_FLOW_H
#define LOAD_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include <bsd/sys/queue.h>
#include <uv.h>

#include "load_stats.h"
#include "talk.h"

struct load_thread;

/*
 *        open          connected          at the dialog's limit
 * CLOSED ----> CONNECTING ----> TALKING ----------------------> WAITING
 *   ^                              ^   <---- next unit, or end ---'  |
 *   |                              |                   221 has come  |
 *   |                              |    FIN                          v
 *   '--- closed --- CLOSING <------'---<--------------------- AWAITING_FIN
 *                                  any failure, load_flow_close(),
 *                                  end of an only unit without a 221
 */
enum load_flow_state {
	LOAD_FLOW_CLOSED,
	LOAD_FLOW_CONNECTING,
	LOAD_FLOW_TALKING,
	LOAD_FLOW_WAITING,
	LOAD_FLOW_AWAITING_FIN,
	LOAD_FLOW_CLOSING,
};

struct load_flow {
	TAILQ_ENTRY(load_flow) entry; /* the thread's list of free flows */
	struct load_thread *thread;
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	enum load_flow_state state;
	bool is_writing;
	size_t writing; /* bytes of the write under way */
	unsigned kind;
	unsigned source; /* index of the address it connects from */
	uint64_t due_ns; /* when the unit should have begun */
	uint64_t connect_ns;
	uint64_t moved_ns;      /* when it last got on */
	uint64_t rest_until_ns; /* after a failure */
	struct talk talk;
};
TAILQ_HEAD(load_flow_list, load_flow);

/* Connects, for a unit that was due at due_ns. */
void load_flow_open(
    struct load_flow *flow, unsigned kind, uint64_t id, uint64_t due_ns);

/* A waiting flow's next unit, or the end of a held one. */
void load_flow_go_on(struct load_flow *flow, uint64_t due_ns);

/* The unit is over; the server closes first, so that its end has the
 * TIME_WAIT and not a port of this machine. */
void load_flow_await_fin(struct load_flow *flow);

/* Counts the failure and closes. */
void load_flow_fail(
    struct load_flow *flow, enum load_failure failure, const char *text);

/* Closes without counting anything. */
void load_flow_close(struct load_flow *flow);

#endif
