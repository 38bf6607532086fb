/*
 * Taking connections: on the unix socket from those who may use it, on TCP at
 * a pace. Whoever can reach the port makes us work, on cores that the workers
 * need: so the pace is bounded for all together, and for each source.
 */
#include "admin/server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/socket.h"
#include "nlb/event.h"
#include "nlb/syn_filter.h"

#define RETRY_MS 100
/* Over TCP: so many may come in a row, a millisecond apart; after them 200 a
 * second, which is many times what those ask who have a reason to. */
#define ROW 64
#define ROW_MS 1
#define PACE_MS 5
/* That were in the queue when their source was shut out, ended in one turn. */
#define RESETS_MAX 16
/* Strangers on the unix socket are heard as often as that. */
#define STRANGERS_MS 100

static void on_accept(uv_poll_t *poll, int status, int events);

void
admin_accept_update(struct admin *admin)
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
	admin_accept_update(timer->data);
}

static void
accept_pause(struct admin *admin, uint64_t ms)
{
	uv_timer_start(&admin->accept_timer, on_accept_timer, ms, 0);
	admin_accept_update(admin);
}

/* The next one of the queue with its address, or -1. */
static int
accept_next(struct admin *admin, int lfd, struct addr *peer)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(ss);
	int fd = accept4(
	    lfd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		addr_from_sockaddr((struct sockaddr *)&ss, peer);
		return fd;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return -1;
	/* Out of descriptors or memory: the socket stays readable, so asking
	 * again at once would spin. */
	event_log(EVENT_ADMIN_TROUBLE, "admin: accept: %s", strerror(errno));
	accept_pause(admin, RETRY_MS);
	return -1;
}

static void
take_connection(struct admin *admin, int fd, const struct addr *source)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNIX};
	socklen_t len = sizeof(struct sockaddr_un);

	if (admin->read_only) {
		admin_peers_make_room(admin, source);
		len = addr_to_sockaddr(source, &ss);
	}
	/* MHD closes fd itself when it cannot take it. */
	if (MHD_add_connection(
		admin->daemon, fd, (struct sockaddr *)&ss, len) != MHD_YES)
		event_log(
		    EVENT_ADMIN_TROUBLE, "admin: MHD_add_connection failed");
	admin_turn(admin);
}

/* ---- the unix socket --------------------------------------------------- */

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

/* Strangers are refused some at a time, and not at once again: those who may
 * ask wait no longer for that, and forwarding is hardly disturbed. */
static void
accept_local(struct admin *admin, int lfd)
{
	struct addr none;
	int fd;

	for (unsigned n = 0; n < ADMIN_REFUSED_MAX; n++) {
		fd = accept_next(admin, lfd, &none);
		if (fd < 0)
			return;
		if (check_peer(admin, fd)) {
			take_connection(admin, fd, &none);
			return;
		}
		accept_pause(admin, STRANGERS_MS);
	}
}

/* ---- TCP --------------------------------------------------------------- */

/* May one be taken now? Otherwise it waits in the kernel's queue. */
static bool
accept_is_due(struct admin *admin)
{
	uint64_t now_ms = uv_now(admin->loop);
	uint64_t rested_ms = now_ms - admin->accepted_ms;
	uint64_t wait_ms;

	/* Each pause that was not needed is one more for the next row. */
	if (rested_ms / PACE_MS > ROW - admin->accept_row)
		admin->accept_row = ROW;
	else
		admin->accept_row += (unsigned)(rested_ms / PACE_MS);
	wait_ms = admin->accept_row > 0 ? ROW_MS : PACE_MS;
	if (rested_ms < wait_ms) {
		accept_pause(admin, wait_ms - rested_ms);
		return false;
	}
	if (admin->accept_row > 0)
		admin->accept_row--;
	admin->accepted_ms = now_ms;
	return true;
}

/* The kernel drops the SYNs of those who are shut out: they fill no queue, and
 * cost us nothing. Where it cannot, they are reset one by one. */
static int
shut_out(int lfd, const struct source_pace *pace, uint64_t now_ms)
{
	struct syn_filter filter = {0};
	struct sg_set allowed = {0};
	int rc = source_pace_allowed(pace, now_ms, &allowed);

	if (rc == 0)
		rc = syn_filter_compile(&allowed, &filter);
	if (rc == 0)
		rc = socket_attach_filter(lfd, filter.insns, filter.n);
	syn_filter_fini(&filter);
	sg_set_fini(&allowed);
	return rc;
}

static void on_source_timer(uv_timer_t *timer);

/* Somebody was shut out, or may come again. */
static void
sources_update(struct admin *admin)
{
	uint64_t now_ms = uv_now(admin->loop);
	uint64_t next_ms = source_pace_next_open_ms(&admin->pace, now_ms);
	int rc, lfd = -1;

	if (uv_fileno((uv_handle_t *)&admin->listen_poll, &lfd) != 0)
		return;
	if (next_ms == UINT64_MAX) {
		socket_detach_filter(lfd);
		return;
	}
	rc = shut_out(lfd, &admin->pace, now_ms);
	if (rc < 0) {
		/* The former one would go on with those whose time is over. */
		socket_detach_filter(lfd);
		event_log(EVENT_ADMIN_TROUBLE,
		    "admin: cannot attach the filter of HttpListen: %s",
		    strerror(-rc));
	}
	uv_timer_start(
	    &admin->source_timer, on_source_timer, next_ms - now_ms, 0);
}

static void
on_source_timer(uv_timer_t *timer)
{
	sources_update(timer->data);
}

static bool
source_may_come(struct admin *admin, const struct addr *source)
{
	static struct log_limit limit = LOG_LIMIT(5);
	uint64_t now_ms = uv_now(admin->loop);
	enum source_verdict verdict =
	    source_pace_take(&admin->pace, source, now_ms);
	char text[ADDR_IP_STRLEN];

	if (verdict == SOURCE_ADMITTED)
		return true;
	if (verdict != SOURCE_IS_SHUT)
		sources_update(admin);
	if (verdict == SOURCE_SHUT && log_allowed(&limit, now_ms))
		event_log(EVENT_HTTP_SOURCE_SHUT,
		    "HTTP: %s connects more often than %u times a second: its "
		    "new connections are dropped for %u ms each time",
		    addr_format_ip(source, text, sizeof(text)),
		    1000 / SOURCE_PACE_EACH_MS, SOURCE_PACE_SHUT_MS);
	return false;
}

static void
accept_remote(struct admin *admin, int lfd)
{
	struct addr source;
	int fd;

	if (!accept_is_due(admin))
		return;
	for (unsigned n = 0; n < RESETS_MAX; n++) {
		fd = accept_next(admin, lfd, &source);
		if (fd < 0)
			return;
		if (source_may_come(admin, &source)) {
			take_connection(admin, fd, &source);
			return;
		}
		socket_reset_on_close(fd);
		close(fd);
	}
}

/* ---- both -------------------------------------------------------------- */

static void
on_accept(uv_poll_t *poll, int status, int events)
{
	struct admin *admin = poll->data;
	int lfd = -1;

	(void)status;
	(void)events;
	if (uv_fileno((uv_handle_t *)poll, &lfd) != 0)
		return;
	if (admin->read_only)
		accept_remote(admin, lfd);
	else
		accept_local(admin, lfd);
}

void
admin_accept_close(struct admin *admin)
{
	admin->accepting = false;
	for (size_t i = 0; i < admin->n_refused && i < ADMIN_REFUSED_MAX; i++)
		close(admin->refused[i]);
}
