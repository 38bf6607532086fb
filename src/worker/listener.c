/* Listening sockets in a worker; see listener.h. */
#include "worker/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bsd/string.h>

#include "base/socket.h"
#include "nlb/event.h"
#include "nlb/outbound.h"
#include "nlb/syn_filter.h"
#include "worker/flow.h"

#define LISTENER_OF(ptr) \
	((struct listener *)((char *)(ptr)-offsetof(struct listener, item)))

/* The only writer of state; keeps the gauges. */
static void
listener_set_state(struct listener *l, enum listener_state state)
{
	if ((l->state == LISTENER_PAUSED) != (state == LISTENER_PAUSED)) {
		uint64_t step = state == LISTENER_PAUSED ? 1 : (uint64_t)-1;

		sb_add(&l->counters->paused_workers, step);
		sb_add(&l->worker->block->paused_listeners, step);
	}
	l->state = state;
}

/* ---- limits ----------------------------------------------------------- */

/* Room for spare more flows? What is short goes into *why. */
static bool
has_room(struct listener *l, uint32_t spare, const char **why)
{
	struct worker *w = l->worker;

	if (w->n_flows + spare >= w->max_flows) {
		*why = "this worker holds all flows that MaxFlows and its "
		       "descriptor limit allow";
		return false;
	}
	/* Flows before pipes that nobody uses. */
	if (!fd_budget_fits(&w->budget, FD_BUDGET_PER_FLOW * (spare + 1)))
		pipe_pool_trim(&w->pipes);
	if (!fd_budget_fits(&w->budget, FD_BUDGET_PER_FLOW * (spare + 1))) {
		*why = "the descriptor limit of this worker is reached";
		return false;
	}
	if (l->max_flows != 0 &&
	    scoreboard_listener_active(w->sb, l->slot) + spare >=
		l->max_flows) {
		*why = "the listener's MaxFlows is reached";
		return false;
	}
	return true;
}

static void
on_resume_timer(uv_timer_t *timer)
{
	if (!listener_resume_all(timer->data))
		uv_timer_stop(timer);
}

static void
pause_listener(struct listener *l, const char *why)
{
	static struct log_limit limit = LOG_LIMIT(4);
	struct worker *w = l->worker;

	listener_set_state(l, LISTENER_PAUSED);
	sb_add(&l->counters->paused, 1);
	(void)poller_modify(&w->poller, l->fd, 0, &l->item);
	uv_timer_start(&w->resume, on_resume_timer, LISTENER_RESUME_INTERVAL_MS,
	    LISTENER_RESUME_INTERVAL_MS);
	if (log_allowed(&limit, w->poller.now_ms))
		event_log(EVENT_LISTENER_PAUSED,
		    "listener %s paused at %u flows: %s; new "
		    "connections wait in the kernel's queue",
		    l->name, w->n_flows, why);
}

bool
listener_resume_all(struct worker *w)
{
	static struct log_limit limit = LOG_LIMIT(4);
	struct listener *l;
	bool paused = false;

	TAILQ_FOREACH (l, &w->listeners, entry) {
		/* Not at the first free place: a few at once, or the log and
		 * the epoll set would flutter. */
		uint32_t spare = w->max_flows / 32;
		const char *why;

		if (l->max_flows != 0 && l->max_flows / 32 < spare)
			spare = l->max_flows / 32;
		if (l->state != LISTENER_PAUSED)
			continue;
		if (!has_room(l, spare, &why)) {
			paused = true;
			continue;
		}
		listener_set_state(l, LISTENER_OPEN);
		(void)poller_modify(&w->poller, l->fd, EPOLLIN, &l->item);
		if (log_allowed(&limit, w->poller.now_ms))
			event_log(EVENT_LISTENER_RESUMED,
			    "listener %s resumed at %u flows", l->name,
			    w->n_flows);
	}
	return paused;
}

/* ---- accepting -------------------------------------------------------- */

static void
reject(struct listener *l, int fd, const struct addr *client,
    enum flow_end_reason reason)
{
	flow_log_rejected(l, fd, client, reason);
	socket_reset_on_close(fd);
	close(fd);
}

/* The network ACL comes first, as it does for an NLB. */
static void
refuse(struct listener *l, int fd, const struct addr *client)
{
	if (sg_set_allows(&l->acl_inbound, client)) {
		sb_add(&l->counters->security_group_blocked, 1);
		reject(l, fd, client, FLOW_END_SECURITY_GROUP);
	} else {
		sb_add(&l->counters->network_acl_blocked, 1);
		reject(l, fd, client, FLOW_END_NETWORK_ACL);
	}
}

/* The limits and rules in user space; the SYN filter has already dropped most
 * of what is refused here. */
static void
admit(struct listener *l, int fd, const struct addr *client)
{
	struct worker *w = l->worker;
	struct source *source = NULL;
	int rc;

	sb_add(&w->block->accepted_flows, 1);
	if (!l->inbound_any && !sg_set_allows(&l->inbound, client)) {
		refuse(l, fd, client);
		return;
	}
	rc = source_table_enter(
	    &w->sources, client, w->max_flows_per_source, &source);
	if (rc < 0) {
		reject(l, fd, client,
		    rc == -EDQUOT ? FLOW_END_SOURCE_LIMIT
				  : FLOW_END_NO_RESOURCES);
		return;
	}
	(void)fd_budget_take(&w->budget, FD_BUDGET_PER_FLOW);
	flow_accept(l, fd, client, source);
}

/* False: nothing more to accept now. */
static bool
accept_one(struct listener *l)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr client;
	int fd = accept4(
	    l->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		addr_from_sockaddr((struct sockaddr *)&ss, &client);
		admit(l, fd, &client);
		return true;
	}
	switch (errno) {
	case EAGAIN:
	case EBADF:
	case EINVAL: /* no listening socket any more: asking again is no use */
	case ENOTSOCK:
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		/* The budget should have seen it coming: somebody lowered the
		 * limit while we run. */
		pause_listener(l, strerror(errno));
		return false;
	default:
		/* accept(2): errors of the connection, not of the listener. */
		return true;
	}
}

static void
on_listener_event(struct poll_item *item, uint32_t events)
{
	struct listener *l = LISTENER_OF(item);
	const char *why;

	(void)events;
	for (int i = 0; i < LISTENER_ACCEPTS_PER_TURN; i++) {
		if (l->state != LISTENER_OPEN)
			return;
		if (!has_room(l, 0, &why)) {
			pause_listener(l, why);
			return;
		}
		if (!accept_one(l))
			return;
	}
}

/* ---- life ------------------------------------------------------------- */

int
listener_create(struct worker *w, uint16_t slot, int fd, struct listener **out)
{
	struct listener *l = calloc(1, sizeof(*l));
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int rc = -ENOMEM;

	if (l == NULL)
		goto fail;
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1) {
		rc = -errno;
		goto fail;
	}
	addr_from_sockaddr((struct sockaddr *)&ss, &l->bound);
	l->worker = w;
	l->slot = slot;
	l->fd = fd;
	l->counters = &w->block->listeners[slot];
	l->refs = 1;
	l->state = LISTENER_OPEN;
	l->item.on_event = on_listener_event;
	rc = poller_add(&w->poller, fd, EPOLLIN, &l->item);
	if (rc < 0)
		goto fail;
	TAILQ_INSERT_TAIL(&w->listeners, l, entry);
	w->budget.used++;
	*out = l;
	return 0;
fail:
	close(fd);
	free(l);
	return rc;
}

static int
build_outbound(struct outbound *rules, const struct group *g, uint8_t **out)
{
	uint8_t *verdicts;
	bool all = true;

	*out = NULL;
	if (g->n_targets == 0)
		return 0;
	verdicts = calloc(g->n_targets, sizeof(*verdicts));
	if (verdicts == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < g->n_targets; i++) {
		verdicts[i] = (uint8_t)outbound_verdict(rules, &g->addrs[i]);
		all = all && verdicts[i] == CONF_OUTBOUND_ALLOWED;
	}
	if (all)
		free(verdicts);
	else
		*out = verdicts;
	return 0;
}

static void
drop_forwards(struct listener_forward *forwards, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		free(forwards[i].outbound);
		group_unref(forwards[i].group);
	}
}

static int
build_forwards(const struct conf *conf, const struct conf_listener *lc,
    struct group *const *groups, struct listener_forward *out)
{
	struct outbound *rules;
	int rc = outbound_create(conf, lc, &rules);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < lc->n_forwards; i++) {
		struct group *g = groups[lc->forwards[i].group];

		rc = build_outbound(rules, g, &out[i].outbound);
		if (rc < 0) {
			drop_forwards(out, i);
			break;
		}
		out[i].group = group_ref(g);
	}
	outbound_destroy(rules);
	return rc;
}

static void
take_forwards(struct listener *l, const struct conf_listener *lc,
    const struct listener_forward *forwards)
{
	drop_forwards(l->forwards, l->n_forwards);
	l->n_forwards = lc->n_forwards;
	l->sticky = false;
	l->configured++;
	for (uint32_t i = 0; i < lc->n_forwards; i++) {
		l->forwards[i] = forwards[i];
		l->weights[i] = lc->forwards[i].weight;
		l->sticky = l->sticky || forwards[i].group->stickiness;
	}
}

int
listener_configure(struct listener *l, const struct conf *conf,
    const struct conf_listener *lc, struct group *const *groups)
{
	struct listener_forward forwards[CONF_FORWARDS_MAX] = {{0}};
	struct sg_set inbound = {0}, acl_inbound = {0};
	bool any = conf_listener_is_open(lc);

	if (build_forwards(conf, lc, groups, forwards) < 0)
		return -ENOMEM;
	if (!any &&
	    (conf_listener_inbound(conf, lc, &inbound) < 0 ||
		conf_listener_acl_inbound(conf, lc, &acl_inbound) < 0)) {
		sg_set_fini(&inbound);
		drop_forwards(forwards, lc->n_forwards);
		return -ENOMEM;
	}
	sg_set_fini(&l->inbound);
	sg_set_fini(&l->acl_inbound);
	l->inbound = inbound;
	l->acl_inbound = acl_inbound;
	l->inbound_any = any;
	take_forwards(l, lc, forwards);
	l->idle_timeout_ms = lc->idle_timeout_s * 1000;
	l->max_flows = lc->max_flows;
	strlcpy(l->name, lc->name, sizeof(l->name));
	return 0;
}

struct listener *
listener_find(struct worker *w, uint16_t slot)
{
	struct listener *l;

	TAILQ_FOREACH (l, &w->listeners, entry)
		if (l->slot == slot)
			return l;
	return NULL;
}

void
listener_refuse_new(struct listener *l)
{
	struct syn_filter filter;
	int rc;

	if (l->fd == -1 || syn_filter_refuse_new(&filter) < 0)
		return;
	rc = socket_attach_filter(l->fd, filter.insns, filter.n);
	if (rc < 0)
		event_log(EVENT_DRAINING_FILTER_FAILED,
		    "listener %s: cannot attach the draining filter: "
		    "%s",
		    l->name, strerror(-rc));
	syn_filter_fini(&filter);
}

void
listener_close(struct listener *l)
{
	struct worker *w = l->worker;
	const char *why;

	if (l->state == LISTENER_CLOSED)
		return;
	/* Bounded: while another process serves the port, or the rules refuse
	 * them all, they would go on coming. */
	for (int i = 0; i < LISTENER_ACCEPTS_AT_CLOSE; i++)
		if (!has_room(l, 0, &why) || !accept_one(l))
			break;
	listener_set_state(l, LISTENER_CLOSED);
	l->item.on_event = NULL;
	/* The supervisor may hold the same socket: close alone would leave it
	 * in the epoll set. */
	poller_remove(&w->poller, l->fd);
	close(l->fd);
	l->fd = -1;
	w->budget.used--;
	TAILQ_REMOVE(&w->listeners, l, entry);
	listener_unref(l);
}

void
listener_ref(struct listener *l)
{
	l->refs++;
}

void
listener_unref(struct listener *l)
{
	if (--l->refs > 0)
		return;
	sg_set_fini(&l->inbound);
	sg_set_fini(&l->acl_inbound);
	drop_forwards(l->forwards, l->n_forwards);
	free(l);
}
