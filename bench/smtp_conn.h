/*
 * One TCP connection of the SMTP target on a libuv loop: moves bytes between
 * the socket and an smtp_session, delays replies as told, keeps the counts.
 */
#ifndef SMTP_CONN_H
#define SMTP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <bsd/sys/queue.h>
#include <uv.h>

struct smtp_conn;
LIST_HEAD(smtp_conn_list, smtp_conn);

/* One target program: its options and its counts. */
struct smtp_target {
	uv_loop_t *loop;
	const char *name;
	const char *store_dir; /* NULL: no store */
	bool prints_receipts;
	uint64_t banner_delay_ms;
	uint64_t reply_delay_ms;
	uint64_t max_size;
	struct smtp_conn_list conns;
	uint64_t open_sessions;
	uint64_t max_sessions;
	uint64_t sessions;
	uint64_t unfinished; /* sessions that ended without QUIT */
	uint64_t messages;
	uint64_t rejected;   /* messages that got no 250 */
	uint64_t body_bytes; /* of accepted messages */
	/* Called when a session has gone, to resume paused listeners. */
	void (*on_session_closed)(struct smtp_target *target);
};

/* Accepts one connection.  Returns 0 or a negative UV error. */
int smtp_conn_accept(struct smtp_target *target, uv_stream_t *listener);

void smtp_conn_close_all(struct smtp_target *target);

#endif
