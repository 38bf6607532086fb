/*
 * Inside of the admin interface: what server.c (libmicrohttpd on the
 * loop), accept.c (which connections are taken), peers.c (how long they may
 * live), guard.c (who may ask), request.c (routes and answers) and change.c
 * share. Nothing outside src/admin includes it.
 */
#ifndef ADMIN_SERVER_H
#define ADMIN_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <microhttpd.h>
#include <bsd/sys/queue.h>
#include <uv.h>

#include "admin/admin.h"
#include "admin/view.h"
#include "nlb/source_pace.h"

#define ADMIN_CONNECTIONS_MAX 16
#define ADMIN_HTTP_CONNECTIONS_MAX 32
#define ADMIN_SOURCE_CONNECTIONS_MAX 8 /* of one source, on TCP */
#define ADMIN_REFUSED_MAX 16
#define ADMIN_TIMEOUT_S 2
#define ADMIN_HTTP_LIFETIME_MS 5000 /* of a TCP connection, in all */
#define ADMIN_HEAD_MAX 8192         /* bytes of request line and headers */
/* One connection's pool at MHD. Twice the head: MHD answers what overflows
 * the pool with a page of its own, we want to say 431 ourselves before. */
#define ADMIN_POOL_BYTES (2 * ADMIN_HEAD_MAX)

/* Of a body: as much as a config may have. */
#define ADMIN_BODY_MAX ((size_t)CONF_FILE_MAX)

#define ADMIN_PARAMS_MAX 3

struct admin_request;
struct admin_change;

struct admin_route {
	const char *method, *path;
	void (*handle)(struct admin_request *request);
	const char *params[ADMIN_PARAMS_MAX]; /* query parameters it knows */
	bool is_local;                        /* on the unix socket alone */
};

/* One connection (peers.c). */
struct admin_peer {
	TAILQ_ENTRY(admin_peer) entry; /* in admin.peers, oldest first */
	struct MHD_Connection *connection;
	struct addr source; /* on TCP */
	uint64_t since_ms;  /* of the loop's clock */
	bool has_asked;     /* a whole head came */
	bool cut;           /* by us; MHD closes it in its next turn */
};
TAILQ_HEAD(admin_peer_list, admin_peer);

/*
 * Request states
 *
 *              checks passed            op returned, no answer yet
 *   HEAD -----------------> RUNNING ------------------------> SUSPENDED
 *     |                        | answered at once                 | answer()
 *     | refused                v                                  v
 *     '---------------------> ANSWERED <--------------------------'
 *
 * MHD calls the access handler once for HEAD, once for each part of a body,
 * once for its end, and once more after SUSPENDED was resumed.
 */
enum request_state {
	REQUEST_HEAD,
	REQUEST_RUNNING,
	REQUEST_SUSPENDED,
	REQUEST_ANSWERED,
};

/*
 * Held by MHD (connection != NULL) and by an operation under way
 * (op_pending); the last of the two to let go frees it.
 */
struct admin_request {
	TAILQ_ENTRY(admin_request) entry; /* in admin.requests while with MHD */
	struct admin *admin;              /* valid while connection is */
	struct MHD_Connection *connection;
	const struct admin_route *route;
	enum request_state state;
	bool op_pending;
	unsigned http_status; /* ANSWERED */
	char *body;           /* owned, ANSWERED; NULL = out of memory */
	size_t n_body;
	const char *content_type;
	const char *path;   /* of its route */
	const char *policy; /* of its content; NULL: it may load nothing */
	struct view_flow_query flow_query;
	char *upload; /* owned; the body that came with it */
	size_t n_upload;
	struct admin_change *change; /* owned */
};
TAILQ_HEAD(admin_request_list, admin_request);

struct admin {
	uv_loop_t *loop;
	const struct admin_ops *ops;
	bool read_only; /* on TCP: for everybody, who may only look */
	uid_t allowed_uid;
	unsigned connections_max;
	struct MHD_Daemon *daemon;
	uv_poll_t listen_poll, mhd_poll;
	uv_timer_t timeout_timer; /* MHD's next deadline */
	uv_timer_t accept_timer;  /* runs while it does not accept */
	uv_timer_t peer_timer;    /* the oldest peer's time is over */
	uv_timer_t source_timer;  /* a source may come again */
	struct source_pace pace;  /* of each source, on TCP */
	uint64_t accepted_ms;     /* the last connection, on the loop's clock */
	unsigned accept_row;      /* that may come at once */
	uint64_t looks_spent_ms;  /* when all looks are there again */
	unsigned open_handles;
	unsigned n_connections;
	bool accepting, polling, closing;
	/* Of other users: told so, and left to read it. */
	int refused[ADMIN_REFUSED_MAX];
	size_t n_refused; /* ever; the last ones are in refused */
	struct admin_request_list requests;
	struct admin_peer_list peers;
};

/* MHD's access handler and completion notice (request.c). */
enum MHD_Result admin_on_request(void *cls, struct MHD_Connection *connection,
    const char *url, const char *method, const char *version,
    const char *upload_data, size_t *upload_data_size, void **con_cls);
void admin_on_request_completed(void *cls, struct MHD_Connection *connection,
    void **con_cls, enum MHD_RequestTerminationCode code);
/* An error as JSON past MHD, which has no request to answer; all of it plain
 * text without quotes (server.c). */
void admin_send_refusal(
    int fd, const char *status, const char *code, const char *message);
/* Lets MHD work, then asks when it wants to be called next (server.c). */
void admin_turn(struct admin *admin);
/* The same in the loop's next turn (server.c). */
void admin_wake(struct admin *admin);
/* Before MHD stops: no connection may be suspended then. */
void admin_resume_all(struct admin *admin);

/* accept.c: takes connections, unless all places are taken: then the next one
 * waits in the kernel's queue until a place is free, 2 s at most for a silent
 * peer. On TCP a place is made for it. To be called when one has gone. */
void admin_accept_update(struct admin *admin);
void admin_accept_close(struct admin *admin);

/* peers.c: a connection has come (NULL: out of memory, it is cut), its request
 * is whole, it has gone. */
struct admin_peer *admin_peer_add(
    struct admin *admin, struct MHD_Connection *connection);
void admin_peer_has_asked(struct MHD_Connection *connection);
void admin_peer_remove(struct admin *admin, struct admin_peer *peer);
/* Is there one whose answer is made or sent? */
bool admin_peers_are_answered(const struct admin *admin);
/* Ends a connection at once, with all that waits to be sent. */
void admin_cut(struct MHD_Connection *connection);
/* On TCP nobody waits for a place: before one more of source is taken, the
 * oldest that has not asked yet makes room, or else the oldest of all; one of
 * its own when source has as many as it may. */
void admin_peers_make_room(struct admin *admin, const struct addr *source);
/* On TCP: who has sent more than a head may have, and not its end, gets a 431
 * and is cut. MHD would go on reading, 128 bytes at a time, until its pool is
 * full: fifty turns for each. */
void admin_peers_refuse_long(struct admin *admin);

/* guard.c: what a request on TCP must not be. True: it was answered. */
bool admin_guard_refuses(struct admin_request *request, const char *method);

/* request.c: the answer, at once or after an operation. Takes root, or text of
 * n bytes (malloc); NULL = out of memory. */
void admin_answer(
    struct admin_request *request, unsigned http_status, json_t *root);
void admin_answer_text(struct admin_request *request, unsigned http_status,
    const char *content_type, char *text, size_t n);
void admin_answer_error(struct admin_request *request, unsigned http_status,
    const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* By path, in one of the tables of routes; NULL: not in it. */
const struct admin_route *admin_route_among(
    const struct admin_route *list, size_t n, const char *path);

/* A parameter of the query; NULL when it was not given. */
const char *admin_param(const struct admin_request *request, const char *name);

/* The operation has finished. False: nobody wants the answer any more, and the
 * request is gone. */
bool admin_op_done(struct admin_request *request);
/* The operation has begun, or not: then that is answered. op_pending is set
 * before it is called, as it may answer at once. */
void admin_op_started(struct admin_request *request, int rc);

/* change.c: the routes of changes take a body, and no others do. */
const struct admin_route *admin_find_change_route(const char *path);
void admin_handle_change(struct admin_request *request);
void admin_change_destroy(struct admin_change *change);

/* describe.c */
const struct admin_route *admin_find_describe_route(const char *path);

/* probes.c */
void admin_handle_healthz(struct admin_request *request);
void admin_handle_readyz(struct admin_request *request);
void admin_handle_zone_health(struct admin_request *request);
void admin_handle_drain_node(struct admin_request *request);
void admin_handle_undrain_node(struct admin_request *request);
void admin_handle_notify_test(struct admin_request *request);

/* page.c */
void admin_handle_page(struct admin_request *request);

/* flows.c */
void admin_handle_flows(struct admin_request *request);
/* 0, or -EINVAL after an error was answered. */
int admin_parse_flow_query(struct admin_request *request);

/* recent.c */
void admin_handle_events(struct admin_request *request);
void admin_handle_history(struct admin_request *request);
void admin_handle_watch_flows(struct admin_request *request);

#endif
