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
#include <unistd.h>

#include "nlb/event.h"

/* On TCP: what came is looked at so many times in a row, and then every 100 ms.
 * Those that drip would have us run for every byte. */
#define LOOKS_ROW 32
#define LOOK_MS 100

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

static void
on_timeout_timer(uv_timer_t *timer)
{
	admin_turn(timer->data);
}

static void
on_mhd_poll(uv_poll_t *poll, int status, int events)
{
	struct admin *admin = poll->data;
	uint64_t now_ms = uv_now(admin->loop);

	(void)status;
	(void)events;
	if (admin->looks_spent_ms < now_ms)
		admin->looks_spent_ms = now_ms;
	admin->looks_spent_ms += LOOK_MS;
	admin_turn(admin);
}

/* Whoever reads an answer shall not wait for it. */
static bool
looks_are_spent(const struct admin *admin)
{
	return admin->read_only && !admin_peers_are_answered(admin) &&
	       admin->looks_spent_ms >
		   uv_now(admin->loop) + (uint64_t)LOOKS_ROW * LOOK_MS;
}

/* Else the timer alone makes it run. */
static int
poll_mhd(struct admin *admin, bool wanted)
{
	int rc = 0;

	if (wanted == admin->polling)
		return 0;
	if (wanted)
		rc = uv_poll_start(&admin->mhd_poll, UV_READABLE, on_mhd_poll);
	else
		uv_poll_stop(&admin->mhd_poll);
	admin->polling = wanted && rc == 0;
	return rc;
}

void
admin_turn(struct admin *admin)
{
	MHD_UNSIGNED_LONG_LONG ms;
	bool waits, gathers;

	if (admin->closing)
		return;
	if (MHD_run(admin->daemon) != MHD_YES)
		event_log(EVENT_ADMIN_TROUBLE, "admin: MHD_run failed");
	gathers = looks_are_spent(admin);
	if (poll_mhd(admin, !gathers) != 0)
		gathers = true;
	waits = MHD_get_timeout(admin->daemon, &ms) == MHD_YES;
	if (gathers && (!waits || ms > LOOK_MS))
		ms = LOOK_MS;
	else if (!waits) {
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
	admin_accept_update(admin);
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
	    (uv_handle_t *)&admin->source_timer,
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
	rc = uv_timer_init(admin->loop, &admin->source_timer);
	if (rc != 0)
		return rc;
	handle_opened(admin, (uv_handle_t *)&admin->source_timer);
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
	admin_accept_update(admin);
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
	admin_accept_close(admin);
	admin_resume_all(admin);
	MHD_stop_daemon(admin->daemon);
	admin->daemon = NULL;
	if (admin->open_handles == 0)
		free(admin);
}
