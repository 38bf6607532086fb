/*
 * Inside of the admin interface: what server.c (connections on the loop) and
 * request.c (routes and answers) share. Nothing outside src/admin includes it.
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

#define ADMIN_CONNECTIONS_MAX 16
#define ADMIN_TIMEOUT_S 2
#define ADMIN_HEAD_MAX 8192 /* bytes of request line and headers */
/* One connection's pool at MHD. Twice the head: MHD answers what overflows
 * the pool with a page of its own, we want to say 431 ourselves before. */
#define ADMIN_POOL_BYTES (2 * ADMIN_HEAD_MAX)

struct admin_route;

/*
 * Request states
 *
 *              checks passed            op returned, no answer yet
 *   HEAD -----------------> RUNNING ------------------------> SUSPENDED
 *     |                        | answered at once                 | answer()
 *     | refused                v                                  v
 *     '---------------------> ANSWERED <--------------------------'
 *
 * MHD calls the access handler once for HEAD, once for the body's end, and
 * once more after SUSPENDED was resumed.
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
	struct view_flow_query flow_query;
};
TAILQ_HEAD(admin_request_list, admin_request);

struct admin {
	uv_loop_t *loop;
	const struct admin_ops *ops;
	uid_t allowed_uid;
	struct MHD_Daemon *daemon;
	uv_poll_t listen_poll, mhd_poll;
	uv_timer_t timeout_timer; /* MHD's next deadline */
	uv_timer_t accept_timer;  /* accepts again after a lack of fds */
	unsigned open_handles;
	unsigned n_connections;
	bool accepting, closing;
	struct admin_request_list requests;
};

/* MHD's access handler and completion notice (request.c). */
enum MHD_Result admin_on_request(void *cls, struct MHD_Connection *connection,
    const char *url, const char *method, const char *version,
    const char *upload_data, size_t *upload_data_size, void **con_cls);
void admin_on_request_completed(void *cls, struct MHD_Connection *connection,
    void **con_cls, enum MHD_RequestTerminationCode code);
/* Lets MHD run in the loop's next turn (server.c). */
void admin_wake(struct admin *admin);
/* Before MHD stops: no connection may be suspended then. */
void admin_resume_all(struct admin *admin);

#endif
