/* Listening sockets; see sockets.h. */
#include "supervisor/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bsd/string.h>

#include "base/socket.h"
#include "nlb/event.h"
#include "nlb/syn_filter.h"

static struct addr
bind_address(const struct conf *conf, const struct conf_listener *lc)
{
	struct addr a = lc->address;

	if (a.family == ADDR_NONE)
		a.family = conf->lb.ip_address_type == CONF_IPV4 ? ADDR_IPV4
								 : ADDR_IPV6;
	a.port = lc->port;
	return a;
}

/* Inherited by every accepted socket: no call per flow. */
static void
set_inherited_options(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

static int
new_socket(const struct addr *a, bool reuse_port)
{
	int on = 1, v6only = addr_is_unspecified(a) ? 0 : 1;
	int fd = socket(a->family == ADDR_IPV6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (reuse_port)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (a->family == ADDR_IPV6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	set_inherited_options(fd);
	return fd;
}

static int
bind_socket(const struct addr *a, bool reuse_port)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(a, &ss);
	int fd = new_socket(a, reuse_port);

	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&ss, len) == -1) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

static void
explain(const struct conf_listener *lc, const struct addr *a, int rc,
    const char *lock_path, char *why, size_t size)
{
	char where[ADDR_STRLEN], who[256];

	addr_format(a, where, sizeof(where));
	switch (rc) {
	case -EADDRINUSE:
		(void)port_owner_is_stranger(a, lock_path, who, sizeof(who));
		snprintf(why, size,
		    "listener %s: %s is in use by %s; stop it or choose "
		    "another Port or Address",
		    lc->name, where, who);
		break;
	case -EACCES:
	case -EPERM:
		snprintf(why, size,
		    "listener %s: no permission for %s; give nlbd "
		    "CAP_NET_BIND_SERVICE (systemd: "
		    "AmbientCapabilities=CAP_NET_BIND_SERVICE), start it as "
		    "root with User set, or lower "
		    "net.ipv4.ip_unprivileged_port_start to %u",
		    lc->name, where, a->port);
		break;
	case -EADDRNOTAVAIL:
		snprintf(why, size,
		    "listener %s: this machine has no address %s; check "
		    "Address against `ip addr'",
		    lc->name, where);
		break;
	case -EAFNOSUPPORT:
		snprintf(why, size,
		    "listener %s: this machine has no IPv6; set IpAddressType "
		    "= ipv4 or enable it",
		    lc->name);
		break;
	case -E2BIG:
		snprintf(why, size,
		    "listener %s: the service manager passed more sockets for "
		    "%s than there are workers, and the rest would serve "
		    "nobody; raise Workers, or remove ListenStream lines from "
		    "the socket unit",
		    lc->name, where);
		break;
	case -EPROTOTYPE:
		snprintf(why, size,
		    "listener %s: the service manager's socket for %s takes "
		    "no IPv4; set BindIPv6Only=both in the socket unit",
		    lc->name, where);
		break;
	default:
		snprintf(why, size, "listener %s: cannot listen on %s: %s",
		    lc->name, where, strerror(-rc));
		break;
	}
}

/* ---- the SYN filter --------------------------------------------------- */

static void
detach(struct socket_set *set)
{
	set->kernel_filter = false;
	for (uint32_t i = 0; i < set->n_distinct; i++)
		socket_detach_filter(set->fds[i]);
}

/*
 * The kernel charges the old and the new program together against
 * net.core.optmem_max while it replaces one. A set that only fits alone gets
 * there by way of the empty set, which drops everything: a SYN of that moment
 * comes again a second later, and nobody denied slips in.
 */
static int
attach(struct socket_set *set, const struct syn_filter *f)
{
	const struct sg_set nobody = {0};
	struct syn_filter closed;

	for (uint32_t i = 0; i < set->n_distinct; i++) {
		int rc = socket_attach_filter(set->fds[i], f->insns, f->n);

		if (rc == -ENOMEM &&
		    syn_filter_compile(&nobody, &closed) == 0) {
			rc = socket_attach_filter(
			    set->fds[i], closed.insns, closed.n);
			if (rc == 0)
				rc = socket_attach_filter(
				    set->fds[i], f->insns, f->n);
			syn_filter_fini(&closed);
		}
		if (rc < 0)
			return rc;
	}
	set->kernel_filter = true;
	return 0;
}

static const char *
why_no_filter(int rc)
{
	switch (rc) {
	case -E2BIG:
		return "too many ranges for the kernel's filter";
	case -EPERM:
		/* Linux as it comes asks for nothing; hardened kernels were
		 * seen that do. */
		return "this kernel asks for CAP_NET_ADMIN to attach a filter";
	default:
		return strerror(-rc);
	}
}

static void
attach_filter(struct socket_set *set, const struct conf *conf,
    const struct conf_listener *lc)
{
	struct syn_filter filter = {0};
	struct sg_set inbound = {0};
	size_t ranges;
	int rc;

	if (conf_listener_is_open(lc) || lc->sg_action == CONF_SG_RESET) {
		detach(set);
		snprintf(set->filter_text, sizeof(set->filter_text), "%s",
		    conf_listener_is_open(lc)
			? "none: SecurityGroups = none"
			: "user space: SecurityGroupAction = reset");
		return;
	}
	rc = conf_listener_inbound(conf, lc, &inbound);
	ranges = inbound.n_v4 + inbound.n_v6;
	if (rc == 0)
		rc = syn_filter_compile(&inbound, &filter);
	if (rc == 0)
		rc = attach(set, &filter);
	if (rc == 0) {
		snprintf(set->filter_text, sizeof(set->filter_text),
		    "kernel: %zu address range%s", ranges,
		    ranges == 1 ? "" : "s");
	} else {
		/* Nothing stays half attached: user space decides alone. */
		detach(set);
		snprintf(set->filter_text, sizeof(set->filter_text),
		    "user space: %s", why_no_filter(rc));
		event_log(EVENT_RULES_IN_USER_SPACE,
		    "listener %s: its rules are enforced in user space "
		    "(%zu ranges: %s); denied sources see a reset "
		    "instead of silence",
		    set->name, ranges, why_no_filter(rc));
	}
	syn_filter_fini(&filter);
	sg_set_fini(&inbound);
}

/* ---- opening and closing ----------------------------------------------- */

/*
 * SO_REUSEPORT would let us share the port with a stranger of our own user and
 * give it part of the connections, silently. So first without it: only our own
 * workers (of this or of a dead supervisor) may be there.
 */
static int
check_free(const struct addr *a, const char *lock_path)
{
	char who[256];
	int fd = bind_socket(a, false);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (fd == -EADDRINUSE &&
	    !port_owner_is_stranger(a, lock_path, who, sizeof(who)))
		return 0;
	return fd;
}

/* The filter comes first: no denied source gets even one SYN-ACK. */
static int
begin_listening(struct socket_set *set, const struct conf *conf,
    const struct conf_listener *lc)
{
	attach_filter(set, conf, lc);
	for (uint32_t i = 0; i < set->n_distinct; i++)
		if (listen(set->fds[i], SOCKETS_BACKLOG) == -1)
			return -errno;
	return 0;
}

static int
open_set(struct socket_set *set, uint32_t n_workers, const char *lock_path,
    const struct conf *conf, const struct conf_listener *lc)
{
	int rc = check_free(&set->bound, lock_path);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < n_workers; i++) {
		int fd = bind_socket(&set->bound, true);

		if (fd < 0)
			return fd;
		set->fds[i] = fd;
	}
	set->n_distinct = n_workers;
	return begin_listening(set, conf, lc);
}

/* What a bound socket can be asked, but no longer told. */
static bool
takes_ipv4_too(int fd)
{
	int v6only = 1;
	socklen_t len = sizeof(v6only);

	return getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len) == 0 &&
	       v6only == 0;
}

static bool
is_dualstack(const struct addr *a)
{
	return a->family == ADDR_IPV6 && addr_is_unspecified(a);
}

/*
 * A socket for each worker would be a member of the port's group that nobody
 * serves if there were more of them than workers, and its share of the
 * connections would wait for good.
 */
static int
adopt_set(struct socket_set *set, uint32_t n_workers,
    struct passed_sockets *passed, const struct conf *conf,
    const struct conf_listener *lc)
{
	size_t n = passed_take(passed, &set->bound, set->fds, n_workers);
	int more;

	set->passed = true;
	set->n_distinct = (uint32_t)n;
	if (passed_take(passed, &set->bound, &more, 1) == 1) {
		close(more);
		return -E2BIG;
	}
	for (size_t i = 0; i < n; i++) {
		if (is_dualstack(&set->bound) && !takes_ipv4_too(set->fds[i]))
			return -EPROTOTYPE;
		set_inherited_options(set->fds[i]);
	}
	for (size_t i = n; i < n_workers; i++) {
		set->fds[i] = fcntl(set->fds[i % n], F_DUPFD_CLOEXEC, 3);
		if (set->fds[i] == -1)
			return -errno;
	}
	set->dropped_before = sockets_dropped(set);
	return begin_listening(set, conf, lc);
}

/* Those of the program before an upgrade, whose workers have them as well. If
 * it had more workers, what is left over is closed by the last of those. */
static int
take_over_set(struct socket_set *set, uint32_t n_workers,
    struct passed_sockets *passed, const struct conf *conf,
    const struct conf_listener *lc)
{
	size_t n = passed_take(passed, &set->bound, set->fds, n_workers);
	int more;

	while (passed_take(passed, &set->bound, &more, 1) == 1)
		close(more);
	for (size_t i = n; i < n_workers; i++) {
		set->fds[i] = bind_socket(&set->bound, true);
		if (set->fds[i] < 0)
			return set->fds[i];
	}
	set->n_distinct = n_workers;
	set->dropped_before = sockets_dropped(set);
	return begin_listening(set, conf, lc);
}

/* Another name for the same address: what waits in the queues is kept. */
static int
inherit_set(
    struct socket_set *set, uint32_t n_workers, const struct socket_set *old)
{
	for (uint32_t i = 0; i < n_workers; i++) {
		int fd = fcntl(old->fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd == -1)
			return -errno;
		set->fds[i] = fd;
	}
	set->n_distinct = old->n_distinct;
	set->passed = old->passed;
	set->dropped_before = old->dropped_before;
	return 0;
}

static void
close_set(struct socket_set *set, uint32_t n_workers)
{
	for (uint32_t i = 0; i < n_workers; i++)
		if (set->fds[i] != -1)
			close(set->fds[i]);
}

/* While another has it open, a close alone would leave its connections to wait
 * for nobody. listen() brings it back, should a later nlbd be passed it. */
static void
stop_listening(const struct socket_set *set)
{
	for (uint32_t i = 0; set->passed && i < set->n_distinct; i++)
		(void)shutdown(set->fds[i], SHUT_RDWR);
}

static struct socket_set *
find_set(const struct sockets *s, const char *name, const struct addr *bound)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->sets[i].name, name) == 0 &&
		    addr_equal(&s->sets[i].bound, bound))
			return &s->sets[i];
	return NULL;
}

static struct socket_set *
find_address(const struct sockets *s, const struct addr *bound)
{
	for (size_t i = 0; i < s->n; i++)
		if (addr_equal(&s->sets[i].bound, bound))
			return &s->sets[i];
	return NULL;
}

static bool
slot_is_taken(const struct sockets *s, uint16_t slot)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->sets[i].slot == slot)
			return true;
	return false;
}

/* A slot that no listener has, old or new, and no flow remembers. Round and
 * round: a worker that is a config behind may still take a flow on one that
 * has just become free. */
static int
free_slot(struct sockets *out, const struct sockets *current,
    const struct scoreboard *sb)
{
	for (uint32_t i = 0; i < SB_LISTENERS; i++) {
		uint16_t slot = (uint16_t)((out->next_slot + i) % SB_LISTENERS);

		if (slot_is_taken(current, slot) || slot_is_taken(out, slot) ||
		    scoreboard_listener_active(sb, slot) > 0)
			continue;
		out->next_slot = (uint16_t)((slot + 1) % SB_LISTENERS);
		return slot;
	}
	return -ENOSPC;
}

static int
prepare_set(struct sockets *out, const struct conf *conf,
    const struct conf_listener *lc, const struct sockets *current,
    const struct scoreboard *sb, const char *lock_path)
{
	const struct addr bound = bind_address(conf, lc);
	const struct socket_set *old = find_set(current, lc->name, &bound);
	struct socket_set *set = &out->sets[out->n];
	int slot, rc;

	if (old != NULL) {
		*set = *old;
		set->is_new = false;
		out->n++;
		return 0;
	}
	slot = free_slot(out, current, sb);
	if (slot < 0)
		return slot;
	strlcpy(set->name, lc->name, sizeof(set->name));
	set->bound = bound;
	set->slot = (uint16_t)slot;
	set->is_new = true;
	for (size_t i = 0; i < SOCKETS_WORKERS_MAX; i++)
		set->fds[i] = -1;
	old = find_address(current, &bound);
	if (old != NULL)
		rc = inherit_set(set, out->n_workers, old);
	else if (passed_is_own(current->passed, &bound))
		rc = take_over_set(
		    set, out->n_workers, current->passed, conf, lc);
	else if (passed_has(current->passed, &bound))
		rc = adopt_set(set, out->n_workers, current->passed, conf, lc);
	else
		rc = open_set(set, out->n_workers, lock_path, conf, lc);
	if (rc < 0)
		close_set(set, out->n_workers);
	else
		out->n++;
	return rc;
}

int
sockets_prepare(const struct conf *conf, uint32_t n_workers,
    const struct sockets *current, const struct scoreboard *sb,
    const char *lock_path, struct sockets *out, char *why, size_t why_size)
{
	struct sockets s = {
	    .n_workers = n_workers,
	    .next_slot = current->next_slot,
	    .passed = current->passed,
	};

	s.sets = calloc(conf->n_listeners + 1, sizeof(*s.sets));
	if (s.sets == NULL) {
		strlcpy(why, "out of memory", why_size);
		return -ENOMEM;
	}
	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *lc = &conf->listeners[i];
		int rc = prepare_set(&s, conf, lc, current, sb, lock_path);

		if (rc < 0) {
			struct addr bound = bind_address(conf, lc);

			explain(lc, &bound, rc, lock_path, why, why_size);
			sockets_drop(&s);
			return rc;
		}
	}
	*out = s;
	return 0;
}

void
sockets_drop(struct sockets *prepared)
{
	for (size_t i = 0; i < prepared->n; i++)
		if (prepared->sets[i].is_new)
			close_set(&prepared->sets[i], prepared->n_workers);
	free(prepared->sets);
	prepared->sets = NULL;
	prepared->n = 0;
}

void
sockets_commit(struct sockets *current, struct sockets *prepared)
{
	for (size_t i = 0; i < current->n; i++) {
		struct socket_set *old = &current->sets[i];

		if (find_set(prepared, old->name, &old->bound) != NULL)
			continue;
		if (find_address(prepared, &old->bound) == NULL)
			stop_listening(old);
		close_set(old, current->n_workers);
	}
	free(current->sets);
	*current = *prepared;
	prepared->sets = NULL;
	prepared->n = 0;
}

void
sockets_close(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++)
		close_set(&s->sets[i], s->n_workers);
	free(s->sets);
	s->sets = NULL;
	s->n = 0;
}

void
sockets_attach_filters(struct sockets *s, const struct conf *conf)
{
	for (size_t i = 0; i < s->n; i++) {
		struct socket_set *set = &s->sets[i];
		bool done = set->is_new && set->filter_text[0] != '\0';

		if (!done)
			attach_filter(set, conf, &conf->listeners[i]);
	}
}

uint64_t
sockets_dropped(const struct socket_set *set)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < set->n_distinct; i++) {
		uint32_t info[SK_MEMINFO_VARS] = {0};
		socklen_t len = sizeof(info);

		if (getsockopt(
			set->fds[i], SOL_SOCKET, SO_MEMINFO, info, &len) == 0)
			n += info[SK_MEMINFO_DROPS];
	}
	return n - set->dropped_before;
}
