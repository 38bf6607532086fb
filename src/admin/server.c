/*
 * The admin server's connections: one listening socket, unix or TCP, and
 * libmicrohttpd in its external epoll mode, both on the supervisor's loop. What
 * is asked and answered is request.c's business.
 */
#include "admin/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "nlb/event.h"

#define ACCEPT_RETRY_MS 100
/* Connections over TCP: whoever can reach the port makes us work, on cores that
 * the workers need. So many may come in a row, a millisecond apart; after them
 * 200 a second, which is many times what those ask who have a reason to. */
#define ACCEPT_ROW 64
#define ACCEPT_ROW_MS 1
#define ACCEPT_PACE_MS 5

static void
on_mhd_log(void *cls, const char *fmt, va_list ap)
{
	char text[512], escaped[LOG_LINE_MAX];
	size_t len;

	(void)cls;
	/* MHD's own format strings, handed through. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(text, sizeof(text), fmt, ap);
#pragma GCC diagnostic pop
	/* Options of TCP, which MHD tries on a unix socket, at each answer. */
	if (strstr(text, "TCP_") != NULL ||
	    strstr(text, "push the data") != NULL)
		return;
	len = strcspn(text, "\n");
	event_log(EVENT_ADMIN_TROUBLE, "admin: %s",
	    log_escape(escaped, sizeof(escaped), text, len));
}

/* MHD calls this for its own broken invariants only, and must not go on: the
 * workers serve without us until a new supervisor takes over. */
static void
on_mhd_panic(void *cls, const char *file, unsigned int line, const char *reason)
{
	(void)cls;
	event_log(EVENT_ADMIN_FAILED,
	    "admin: libmicrohttpd failed at %s:%u: %s", file, line,
	    reason == NULL ? "no reason given" : reason);
	abort();
}

static void mhd_turn(struct admin *admin);

static void
on_timeout_timer(uv_timer_t *timer)
{
	mhd_turn(timer->data);
}

/* Lets MHD work, then asks when it wants to be called next. */
static void
mhd_turn(struct admin *admin)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (admin->closing)
		return;
	if (MHD_run(admin->daemon) != MHD_YES)
		event_log(EVENT_ADMIN_TROUBLE, "admin: MHD_run failed");
	if (MHD_get_timeout(admin->daemon, &ms) != MHD_YES) {
		uv_timer_stop(&admin->timeout_timer);
		return;
	}
	/* It has a full buffer, and no end of a head in it. */
	if (ms == 0)
		admin_peers_refuse_long(admin);
	uv_timer_start(&admin->timeout_timer, on_timeout_timer, ms, 0);
}

/* With an external loop MHD resumes a connection in its next run, and nothing
 * on its epoll descriptor tells of that. */
void
admin_wake(struct admin *admin)
{
	if (!admin->closing)
		uv_timer_start(&admin->timeout_timer, on_timeout_timer, 0, 0);
}

static void
on_mhd_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	mhd_turn(poll->data);
}

static void on_accept(uv_poll_t *poll, int status, int events);

/* Takes connections unless all places are taken: then the next one waits in
 * the kernel's queue until a place is free, 2 s at most for a silent peer. On
 * TCP a place is made for it. */
static void
accept_update(struct admin *admin)
{
	bool wanted = !admin->closing &&
		      (admin->read_only ||
			  admin->n_connections < admin->connections_max) &&
		      !uv_is_active((uv_handle_t *)&admin->accept_timer);

	if (wanted == admin->accepting)
		return;
	if (wanted)
		wanted = uv_poll_start(
			     &admin->listen_poll, UV_READABLE, on_accept) == 0;
	else
		uv_poll_stop(&admin->listen_poll);
	admin->accepting = wanted;
}

static void
on_accept_timer(uv_timer_t *timer)
{
	accept_update(timer->data);
}

static void
on_connection(void *cls, struct MHD_Connection *connection,
    void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	struct admin *admin = cls;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_context = admin_peer_add(admin, connection);
		admin->n_connections++;
	} else {
		admin_peer_remove(admin, *socket_context);
		admin->n_connections--;
	}
	accept_update(admin);
}

/* The socket's buffer is empty, the few bytes fit. */
void
admin_send_refusal(
    int fd, const char *status, const char *code, const char *message)
{
	char text[512];
	int len = snprintf(text, sizeof(text),
	    "HTTP/1.1 %s\r\n"
	    "Content-Type: application/json\r\n"
	    "Connection: close\r\n\r\n"
	    "{\"error\": {\"code\": \"%s\", \"message\": \"%s\"}}\n",
	    status, code, message);

	(void)send(fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Closed at once, with the request unread, the socket would be reset and the
 * answer lost: it stays open until some others have been refused. */
static void
refuse(struct admin *admin, int fd, uid_t uid)
{
	int *place = &admin->refused[admin->n_refused % ADMIN_REFUSED_MAX];

	static struct log_limit limit = LOG_LIMIT(5);
	if (log_allowed(&limit, uv_hrtime() / 1000000))
		event_log(EVENT_ADMIN_REFUSED,
		    "admin: refused a connection of uid %u", (unsigned)uid);
	admin_send_refusal(fd, "403 Forbidden", "AccessDenied",
	    "only root and the user of nlbd may use this socket");
	(void)shutdown(fd, SHUT_WR);
	if (admin->n_refused++ >= ADMIN_REFUSED_MAX)
		close(*place);
	*place = fd;
}

static void
close_refused(struct admin *admin)
{
	for (size_t i = 0; i < admin->n_refused && i < ADMIN_REFUSED_MAX; i++)
		close(admin->refused[i]);
}

/* May the process at the other end of a unix socket ask? */
static bool
check_peer(struct admin *admin, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
		close(fd);
		return false;
	}
	if (peer.uid == 0 || peer.uid == admin->allowed_uid)
		return true;
	refuse(admin, fd, peer.uid);
	return false;
}

static void
take_connection(struct admin *admin, int fd)
{
	/* MHD wants an address and does nothing with it. */
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (!admin->read_only && !check_peer(admin, fd))
		return;
	if (admin->n_connections >= admin->connections_max) {
		admin_peers_make_room(admin);
		mhd_turn(admin);
	}
	/* MHD closes fd itself when it cannot take it. */
	if (MHD_add_connection(admin->daemon, fd, (struct sockaddr *)&addr,
		sizeof(addr)) != MHD_YES)
		event_log(
		    EVENT_ADMIN_TROUBLE, "admin: MHD_add_connection failed");
	mhd_turn(admin);
}

static void
accept_pause(struct admin *admin, uint64_t ms)
{
	uv_timer_start(&admin->accept_timer, on_accept_timer, ms, 0);
	accept_update(admin);
}

/* On TCP: may one be taken now? Otherwise it waits in the kernel's queue. */
static bool
accept_is_due(struct admin *admin)
{
	uint64_t now_ms = uv_now(admin->loop);
	uint64_t rested_ms = now_ms - admin->accepted_ms;
	uint64_t wait_ms;

	/* Each pause that was not needed is one more for the next row. */
	if (rested_ms / ACCEPT_PACE_MS > ACCEPT_ROW - admin->accept_row)
		admin->accept_row = ACCEPT_ROW;
	else
		admin->accept_row += (unsigned)(rested_ms / ACCEPT_PACE_MS);
	wait_ms = admin->accept_row > 0 ? ACCEPT_ROW_MS : ACCEPT_PACE_MS;
	if (rested_ms < wait_ms) {
		accept_pause(admin, wait_ms - rested_ms);
		return false;
	}
	if (admin->accept_row > 0)
		admin->accept_row--;
	admin->accepted_ms = now_ms;
	return true;
}

static void
on_accept(uv_poll_t *poll, int status, int events)
{
	struct admin *admin = poll->data;
	int fd, lfd = -1;

	(void)status;
	(void)events;
	if (uv_fileno((uv_handle_t *)poll, &lfd) != 0)
		return;
	if (admin->read_only && !accept_is_due(admin))
		return;
	fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		take_connection(admin, fd);
		return;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	/* Out of descriptors or memory: the socket stays readable, so asking
	 * again at once would spin. */
	event_log(EVENT_ADMIN_TROUBLE, "admin: accept: %s", strerror(errno));
	accept_pause(admin, ACCEPT_RETRY_MS);
}

static void
on_handle_closed(uv_handle_t *handle)
{
	struct admin *admin = handle->data;

	if (--admin->open_handles == 0)
		free(admin);
}

static void
handle_opened(struct admin *admin, uv_handle_t *handle)
{
	handle->data = admin;
	admin->open_handles++;
}

static void
close_handles(struct admin *admin)
{
	uv_handle_t *handles[] = {
	    (uv_handle_t *)&admin->timeout_timer,
	    (uv_handle_t *)&admin->accept_timer,
	    (uv_handle_t *)&admin->peer_timer,
	    (uv_handle_t *)&admin->mhd_poll,
	    (uv_handle_t *)&admin->listen_poll,
	};
	size_t i;

	/* Never initialised ones have no data: admin is zeroed memory. */
	for (i = 0; i < sizeof(handles) / sizeof(handles[0]); i++) {
		if (handles[i]->data != NULL)
			uv_close(handles[i], on_handle_closed);
	}
}

static struct MHD_Daemon *
start_mhd(struct admin *admin)
{
	MHD_set_panic_func(on_mhd_panic, NULL);
	/* The logger comes first, or what is said before it goes to stderr. */
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
				    MHD_ALLOW_SUSPEND_RESUME |
				    MHD_USE_ERROR_LOG,
	    0, NULL, NULL, admin_on_request, admin, MHD_OPTION_EXTERNAL_LOGGER,
	    on_mhd_log, NULL, MHD_OPTION_CONNECTION_LIMIT,
	    admin->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
	    (unsigned)ADMIN_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)ADMIN_POOL_BYTES, MHD_OPTION_NOTIFY_CONNECTION,
	    on_connection, admin, MHD_OPTION_NOTIFY_COMPLETED,
	    admin_on_request_completed, admin, MHD_OPTION_END);
}

static int
open_handles(struct admin *admin, int listen_fd)
{
	const union MHD_DaemonInfo *info;
	int rc;

	rc = uv_timer_init(admin->loop, &admin->timeout_timer);
	if (rc != 0)
		return rc;
	handle_opened(admin, (uv_handle_t *)&admin->timeout_timer);
	rc = uv_timer_init(admin->loop, &admin->accept_timer);
	if (rc != 0)
		return rc;
	handle_opened(admin, (uv_handle_t *)&admin->accept_timer);
	rc = uv_timer_init(admin->loop, &admin->peer_timer);
	if (rc != 0)
		return rc;
	handle_opened(admin, (uv_handle_t *)&admin->peer_timer);
	info = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL)
		return -EIO;
	rc = uv_poll_init(admin->loop, &admin->mhd_poll, info->epoll_fd);
	if (rc != 0)
		return rc;
	handle_opened(admin, (uv_handle_t *)&admin->mhd_poll);
	rc = uv_poll_start(&admin->mhd_poll, UV_READABLE, on_mhd_poll);
	if (rc != 0)
		return rc;
	rc = uv_poll_init(admin->loop, &admin->listen_poll, listen_fd);
	if (rc != 0)
		return rc;
	handle_opened(admin, (uv_handle_t *)&admin->listen_poll);
	accept_update(admin);
	return admin->accepting ? 0 : -EIO;
}

static int
start(struct admin *admin, int listen_fd, struct admin **out)
{
	int rc;

	TAILQ_INIT(&admin->requests);
	TAILQ_INIT(&admin->peers);
	admin->daemon = start_mhd(admin);
	if (admin->daemon == NULL) {
		free(admin);
		return -EIO;
	}
	rc = open_handles(admin, listen_fd);
	if (rc != 0) {
		event_log(EVENT_ADMIN_FAILED,
		    "admin: cannot watch its sockets: %s", uv_strerror(rc));
		admin_destroy(admin);
		return -EIO;
	}
	*out = admin;
	return 0;
}

int
admin_create(uv_loop_t *loop, int listen_fd, uid_t allowed_uid,
    const struct admin_ops *ops, struct admin **out)
{
	struct admin *admin = calloc(1, sizeof(*admin));

	if (admin == NULL)
		return -ENOMEM;
	admin->loop = loop;
	admin->ops = ops;
	admin->allowed_uid = allowed_uid;
	admin->connections_max = ADMIN_CONNECTIONS_MAX;
	return start(admin, listen_fd, out);
}

int
admin_create_http(uv_loop_t *loop, int listen_fd, const struct admin_ops *ops,
    struct admin **out)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	int receive_buffer = ADMIN_HEAD_MAX;

	if (admin == NULL)
		return -ENOMEM;
	admin->loop = loop;
	admin->ops = ops;
	admin->read_only = true;
	admin->connections_max = ADMIN_HTTP_CONNECTIONS_MAX;
	/* Of each connection; the kernel takes it twice. */
	(void)setsockopt(listen_fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
	    sizeof(receive_buffer));
	return start(admin, listen_fd, out);
}

void
admin_destroy(struct admin *admin)
{
	if (admin == NULL)
		return;
	admin->closing = true;
	/* Off the loop before MHD closes its epoll descriptor. */
	close_handles(admin);
	admin->accepting = false;
	close_refused(admin);
	admin_resume_all(admin);
	MHD_stop_daemon(admin->daemon);
	admin->daemon = NULL;
	if (admin->open_handles == 0)
		free(admin);
}
