/*
 * Connecting a flow to a target: pick, non-blocking connect with a timeout,
 * and the next target when one refuses, is silent or cannot be reached. That
 * is safe because no client byte has been forwarded yet; a real NLB does not
 * retry. The whole search has a time budget. Which target it is stands in
 * flow_pick.c.
 */
#include "worker/flow.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nlb/event.h"
#include "worker/client_source.h"
#include "worker/ending.h"

static void
set_target_options(int fd)
{
	int on = 1;

	/* Best effort: a flow without them is slower, not wrong. The urgent
	 * byte stays in the stream's order. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

static void
drop_target_socket(struct flow *f)
{
	if (f->target.fd != -1)
		close(f->target.fd);
	ending_spare(f);
	f->target.fd = -1;
	f->target.error = 0;
	if (f->target_slot != SB_SLOT_NONE) {
		sb_sub(&flow_worker(f)
			    ->block->targets[f->target_slot]
			    .active_flows,
		    1);
		f->target_slot = SB_SLOT_NONE;
	}
}

/* The passive health check, counted over all workers by the supervisor. Of a
 * target that is not in service there is nothing new to tell. */
static void
tell_supervisor(const struct flow *f)
{
	struct worker *w = flow_worker(f);
	struct channel_connect_failed m = {.target_slot = f->target_slot};
	struct sb_target_sum sum;

	if (w->channel == NULL ||
	    flow_target_flags(f, f->target_slot) != SB_ROUTABLE)
		return;
	scoreboard_sum_target(w->sb, f->target_slot, &sum);
	m.connected = sum.new_flows;
	(void)channel_try_send(
	    w->channel, CHANNEL_CONNECT_FAILED, &m, sizeof(m));
}

/* What a failed connect means for the flow, should it be the last one tried.
 * For a lack of our own resources the target is not to blame. */
static void
note_failure(struct flow *f, int err)
{
	switch (err) {
	case EADDRNOTAVAIL:
	case SOURCE_ADDRESSES_UNUSABLE:
		f->reason = FLOW_END_PORT_ALLOCATION;
		return;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		f->reason = FLOW_END_NO_RESOURCES;
		return;
	case ETIMEDOUT:
		f->reason = FLOW_END_CONNECT_TIMEOUT;
		break;
	default:
		f->reason = FLOW_END_CONNECT_REFUSED;
		break;
	}
	if (f->target_slot == SB_SLOT_NONE)
		return;
	sb_add(&flow_worker(f)->block->targets[f->target_slot].connect_failures,
	    1);
	tell_supervisor(f);
}

static bool
is_shortage(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS ||
	       err == ENOMEM;
}

static void
count_unallocated(const struct flow *f, uint32_t n)
{
	struct sb_block *b = flow_worker(f)->block;

	sb_add(&f->listener->counters->port_allocation_errors, n);
	sb_add(&b->targets[f->target_slot].port_allocation_errors, n);
}

/* From source, or with source NULL from an address of our own. 0 with *out,
 * connected or about to be, or a negative errno. */
static int
connect_from(struct flow *f, const struct addr *source, int *out)
{
	const struct addr *target = &f->target_addr;
	uint32_t unallocated = 0;
	int fd, rc;

	fd = socket(target->family == ADDR_IPV6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	set_target_options(fd);
	if (source != NULL)
		rc = client_source_connect(fd, source, target);
	else
		rc = source_addresses_connect(&flow_worker(f)->source_addresses,
		    fd, target, &unallocated);
	if (source != NULL && source->port == 0 && rc == -EADDRNOTAVAIL)
		unallocated = 1;
	if (unallocated > 0)
		count_unallocated(f, unallocated);
	if (rc < 0 && rc != -EINPROGRESS && rc != -EINTR)
		close(fd);
	else
		*out = fd;
	return rc;
}

/* The client's port goes along where it can. */
static int
connect_as_client(struct flow *f, int *out)
{
	struct addr source = f->client_addr;
	int rc = connect_from(f, &source, out);

	if (rc != -EADDRNOTAVAIL)
		return rc;
	source.port = 0;
	return connect_from(f, &source, out);
}

/* 0 under way, 1 connected, or a positive errno as its negative. */
static int
start_connect(struct flow *f)
{
	struct worker *w = flow_worker(f);
	int fd = -1;
	int rc = f->as_client ? connect_as_client(f, &fd)
			      : connect_from(f, NULL, &fd);

	if (fd == -1)
		return rc;
	f->target.fd = fd;
	f->target.readable = f->target.writable = false;
	f->target.fin_pending = f->target.urgent = false;
	f->target.error = 0;
	/* After connect: an unconnected socket would report a hang-up. */
	if (poller_add(&w->poller, fd, POLLER_FLOW_EVENTS, &f->target.item) <
	    0) {
		close(fd);
		f->target.fd = -1;
		return -ENOMEM;
	}
	return rc == 0 ? 1 : 0;
}

static void
end_without_target(struct flow *f)
{
	enum flow_end_reason reason = flow_pick_failure(f);

	if (reason == FLOW_END_NETWORK_ACL)
		sb_add(&f->listener->counters->network_acl_blocked, 1);
	if (reason == FLOW_END_SECURITY_GROUP_OUTBOUND)
		sb_add(
		    &f->listener->counters->security_group_blocked_outbound, 1);
	flow_end(f, reason);
}

/* Descriptors or memory ran short, by no fault of a target: forget this
 * attempt and come back in a moment. */
static void
wait_for_resources(struct flow *f)
{
	struct worker *w = flow_worker(f);

	drop_target_socket(f);
	f->n_tried--;
	f->deadline_ms = w->poller.now_ms + FLOW_RESOURCE_RETRY_MS;
	flow_rearm(f, f->deadline_ms);
}

/* Of targets or of time. */
static bool
is_budget_spent(const struct flow *f)
{
	if (f->n_tried > 0 && f->n_tried >= f->connect_targets)
		return true;
	return f->connect_total_ms != 0 &&
	       flow_worker(f)->poller.now_ms >= f->connect_total_ms;
}

/* Does the flow go on after that failure? (ConnectRetryOn) What is our own lack
 * says nothing of the target. */
static bool
is_retried(const struct flow *f, int err)
{
	switch (err) {
	case EADDRNOTAVAIL:
	case SOURCE_ADDRESSES_UNUSABLE:
		return true;
	case ETIMEDOUT:
		return (f->connect_retry_on & CONF_RETRY_TIMEOUT) != 0;
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		return (f->connect_retry_on & CONF_RETRY_REFUSED) != 0;
	default:
		return (f->connect_retry_on & CONF_RETRY_UNREACHABLE) != 0;
	}
}

void
flow_connect_next(struct flow *f)
{
	for (;;) {
		int rc;

		if (is_budget_spent(f)) {
			flow_end(f, f->reason);
			return;
		}
		if (!flow_pick_target(f)) {
			end_without_target(f);
			return;
		}
		rc = start_connect(f);
		if (rc >= 0) {
			flow_rearm(f, f->deadline_ms);
			if (rc == 1)
				flow_connect_event(f, EPOLLOUT);
			return;
		}
		note_failure(f, -rc);
		if (is_shortage(-rc)) {
			wait_for_resources(f);
			return;
		}
		drop_target_socket(f);
		if (!is_retried(f, -rc)) {
			flow_end(f, f->reason);
			return;
		}
	}
}

static void
failed(struct flow *f, int err)
{
	note_failure(f, err);
	drop_target_socket(f);
	if (is_retried(f, err))
		flow_connect_next(f);
	else
		flow_end(f, f->reason);
}

/* What the target said before it broke off ("421 too busy") is the client's to
 * hear. */
static bool
has_input(const struct side *s)
{
	int n = 0;

	return ioctl(s->fd, FIONREAD, &n) == 0 && n > 0;
}

static void
count_unhealthy_routing(struct flow *f)
{
	struct sb_block *b = flow_worker(f)->block;

	sb_add(&f->listener->counters->unhealthy_routing_flows, 1);
	sb_add(&b->targets[f->target_slot].unhealthy_routing_flows, 1);
}

static void
connected(struct flow *f)
{
	int rc;

	if (f->ending) {
		flow_connect_elsewhere(f);
		return;
	}
	f->target.writable = true;
	rc = flow_proxy_send(f);
	if (rc == -ENOMEM) {
		flow_end(f, FLOW_END_NO_RESOURCES);
		return;
	}
	/* Connected and reset at once: no client byte was forwarded, so the
	 * next target may be asked. */
	if (rc < 0 && !has_input(&f->target)) {
		failed(f, -rc);
		return;
	}
	if ((flow_target_flags(f, f->target_slot) & SB_FAIL_OPEN) != 0)
		count_unhealthy_routing(f);
	flow_established(f);
}

void
flow_connect_event(struct flow *f, uint32_t events)
{
	if (f->target.fd == -1)
		return;
	if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
		int err = 0;
		socklen_t len = sizeof(err);

		if (getsockopt(
			f->target.fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
			err = errno;
		if (err == 0)
			err = ECONNRESET;
		/* Connected and reset in one batch; see connected(). */
		if (!has_input(&f->target)) {
			failed(f, err);
			return;
		}
		side_set_error(&f->target, err);
		connected(f);
		return;
	}
	side_note_events(&f->target, events);
	if ((events & EPOLLOUT) != 0)
		connected(f);
}

/* The one sign of a way back that does not lead here: the target's own checks
 * are well, for they come from our address. */
static void
log_silence(const struct flow *f)
{
	static struct log_limit limit = LOG_LIMIT(1);
	char client[ADDR_IP_STRLEN], target[ADDR_STRLEN];

	if (!f->as_client ||
	    !log_allowed(&limit, flow_worker(f)->poller.now_ms))
		return;
	addr_format_ip(&f->client_addr, client, sizeof(client));
	event_log(EVENT_CLIENT_ADDRESS_UNANSWERED,
	    "target %s does not answer the client address %s; with "
	    "preserve_client_ip.enabled its answers must be routed to "
	    "this machine and diverted to nlbd, see nlbd.ini(5)",
	    addr_format(&f->target_addr, target, sizeof(target)), client);
}

void
flow_connect_timeout(struct flow *f)
{
	struct pollfd pfd = {.fd = f->target.fd, .events = POLLOUT};

	if (f->target.fd == -1) {
		flow_connect_next(f);
		return;
	}
	/* Answered while our loop was stalled: the event is on its way, and
	 * the deadline was ours, not the target's. */
	if (poll(&pfd, 1, 0) == 1) {
		flow_rearm(f, flow_worker(f)->poller.now_ms + WHEEL_TICK_MS);
	} else {
		log_silence(f);
		failed(f, ETIMEDOUT);
	}
}

void
flow_connect_elsewhere(struct flow *f)
{
	note_failure(f, ETIMEDOUT);
	drop_target_socket(f);
	flow_connect_next(f);
}
