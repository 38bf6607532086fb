/*
 * Connections by age: on TCP each has a bounded time in all, however slowly it
 * goes on asking or reading, and the silent make room for those who ask.
 */
#include "admin/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/socket.h"
#include "base/tcp_counts.h"

static int
connection_fd(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info;

	info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	return info == NULL ? -1 : info->connect_fd;
}

/* NULL: there was no memory for one. */
static struct admin_peer *
connection_peer(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info;

	info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info == NULL ? NULL : info->socket_context;
}

void
admin_cut(struct MHD_Connection *connection)
{
	int fd = connection_fd(connection);

	/* What waits to be sent is not worth the kernel's memory. MHD has no
	 * call to end a connection: it sees an end of file. */
	socket_reset_on_close(fd);
	(void)shutdown(fd, SHUT_RDWR);
}

static struct addr
connection_source(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info;
	struct addr client = {.family = ADDR_NONE};

	info = MHD_get_connection_info(
	    connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info != NULL)
		addr_from_sockaddr(info->client_addr, &client);
	return addr_source(&client);
}

static void
peer_cut(struct admin_peer *peer)
{
	if (!peer->cut)
		admin_cut(peer->connection);
	peer->cut = true;
}

static void on_peer_timer(uv_timer_t *timer);

/* Waits for the oldest one's end. */
static void
watch_oldest(struct admin *admin)
{
	const struct admin_peer *peer = TAILQ_FIRST(&admin->peers);
	uint64_t end_ms, now_ms = uv_now(admin->loop);

	if (!admin->read_only || admin->closing)
		return;
	while (peer != NULL && peer->cut)
		peer = TAILQ_NEXT(peer, entry);
	if (peer == NULL) {
		uv_timer_stop(&admin->peer_timer);
		return;
	}
	end_ms = peer->since_ms + ADMIN_HTTP_LIFETIME_MS;
	uv_timer_start(&admin->peer_timer, on_peer_timer,
	    end_ms > now_ms ? end_ms - now_ms : 0, 0);
}

static void
on_peer_timer(uv_timer_t *timer)
{
	struct admin *admin = timer->data;
	struct admin_peer *peer;

	TAILQ_FOREACH (peer, &admin->peers, entry) {
		if (peer->since_ms + ADMIN_HTTP_LIFETIME_MS >
		    uv_now(admin->loop))
			break;
		peer_cut(peer);
	}
	watch_oldest(admin);
}

struct admin_peer *
admin_peer_add(struct admin *admin, struct MHD_Connection *connection)
{
	struct admin_peer *peer = calloc(1, sizeof(*peer));

	if (peer == NULL) {
		admin_cut(connection);
		return NULL;
	}
	peer->connection = connection;
	peer->source = connection_source(connection);
	peer->since_ms = uv_now(admin->loop);
	TAILQ_INSERT_TAIL(&admin->peers, peer, entry);
	if (TAILQ_FIRST(&admin->peers) == peer)
		watch_oldest(admin);
	return peer;
}

void
admin_peer_has_asked(struct MHD_Connection *connection)
{
	struct admin_peer *peer = connection_peer(connection);

	if (peer != NULL)
		peer->has_asked = true;
}

bool
admin_peers_are_answered(const struct admin *admin)
{
	const struct admin_peer *peer;

	TAILQ_FOREACH (peer, &admin->peers, entry)
		if (peer->has_asked && !peer->cut)
			return true;
	return false;
}

void
admin_peer_remove(struct admin *admin, struct admin_peer *peer)
{
	if (peer == NULL)
		return;
	TAILQ_REMOVE(&admin->peers, peer, entry);
	free(peer);
	watch_oldest(admin);
}

/* Among those of source, or among all: NULL. */
static void
cut_oldest(struct admin *admin, const struct addr *source)
{
	struct admin_peer *peer, *oldest = NULL;

	TAILQ_FOREACH (peer, &admin->peers, entry) {
		if (peer->cut ||
		    (source != NULL && !addr_equal(&peer->source, source)))
			continue;
		if (!peer->has_asked) {
			peer_cut(peer);
			return;
		}
		if (oldest == NULL)
			oldest = peer;
	}
	if (oldest != NULL)
		peer_cut(oldest);
}

void
admin_peers_make_room(struct admin *admin, const struct addr *source)
{
	struct addr key = addr_source(source);
	const struct admin_peer *peer;
	unsigned n_own = 0;

	TAILQ_FOREACH (peer, &admin->peers, entry)
		n_own += !peer->cut && addr_equal(&peer->source, &key);
	if (n_own >= ADMIN_SOURCE_CONNECTIONS_MAX)
		cut_oldest(admin, &key);
	else if (admin->n_connections >= admin->connections_max)
		cut_oldest(admin, NULL);
	else
		return;
	/* MHD closes what was cut. */
	admin_turn(admin);
}

static void
refuse_long(struct admin_peer *peer)
{
	char message[64], rest[ADMIN_HEAD_MAX];
	int fd = connection_fd(peer->connection);

	snprintf(message, sizeof(message),
	    "the request's head is longer than %d bytes", ADMIN_HEAD_MAX);
	admin_send_refusal(fd, "431 Request Header Fields Too Large",
	    "RequestTooLarge", message);
	peer_cut(peer);
	/* MHD would read what has come before it sees the end. */
	while (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		continue;
}

void
admin_peers_refuse_long(struct admin *admin)
{
	struct admin_peer *peer;
	uint64_t n;

	if (!admin->read_only)
		return;
	/* The newest comes first: it is the one that MHD has just read from.
	 * Another has its turn after the next read. */
	TAILQ_FOREACH_REVERSE(peer, &admin->peers, admin_peer_list, entry)
	{
		if (!peer->cut && !peer->has_asked &&
		    tcp_received(connection_fd(peer->connection), &n) == 0 &&
		    n > ADMIN_HEAD_MAX) {
			refuse_long(peer);
			return;
		}
	}
}
