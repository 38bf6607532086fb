/*
 * Putting a config in force: at the start and at every reload by the same
 * steps. All that can fail comes first; after that everything changes at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bsd/string.h>

#include "base/hash.h"
#include "ipc/source_addresses.h"
#include "nlb/event.h"
#include "supervisor/daemon.h"

int
daemon_read_config(
    struct daemon *d, struct conf **out, struct conf_diags *diags)
{
	char *bytes;
	size_t len;
	int rc = conf_read_file(d->options.config_path, &bytes, &len, diags);

	if (rc < 0)
		return rc;
	rc = conf_parse(bytes, len, &d->options.conf_options, out, diags);
	free(bytes);
	return rc;
}

static int
write_whole(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size > 0) {
		ssize_t n = write(fd, at, size);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == -1 ? -errno : -EIO;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

/* The bytes as the workers get them, nobody can change them any more: the file,
 * then what its names resolve to. */
static int
make_memfd(const struct conf *conf, const struct conf_resolved *resolved,
    size_t n_resolved)
{
	int rc,
	    fd = memfd_create("nlbd-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return -errno;
	rc = write_whole(fd, conf->bytes, conf->n_bytes);
	if (rc == 0)
		rc =
		    write_whole(fd, resolved, n_resolved * sizeof(resolved[0]));
	if (rc < 0) {
		close(fd);
		return rc;
	}
	(void)fcntl(fd, F_ADD_SEALS,
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	return fd;
}

/* Everything a new config needs, made before anything changes. */
struct prepared {
	struct sockets sockets;
	struct http_listen http;
	uint16_t *target_slots;
	struct conf_resolved *resolved;
	size_t n_resolved;
	int conf_fd;
};

static void
drop_prepared(struct prepared *p)
{
	sockets_drop(&p->sockets);
	http_listen_close(&p->http);
	free(p->target_slots);
	free(p->resolved);
	if (p->conf_fd >= 0)
		close(p->conf_fd);
}

/* By what names resolve to; conf gets its targets at the end, when nothing
 * else can fail. */
static int
prepare_targets(struct daemon *d, struct conf *conf, struct prepared *p,
    char *why, size_t size)
{
	int rc = names_collect(d->names, conf, &p->resolved, &p->n_resolved);
	size_t n = conf_count_targets(conf) + p->n_resolved;

	if (rc < 0) {
		snprintf(why, size, "%s", strerror(-rc));
		return rc;
	}
	rc = registry_can_apply(&d->registry, conf, p->resolved, p->n_resolved);
	if (rc < 0) {
		snprintf(why, size,
		    "too many targets, the draining ones included; wait until "
		    "some have drained");
		return rc;
	}
	p->conf_fd = make_memfd(conf, p->resolved, p->n_resolved);
	p->target_slots = calloc(n + 1, sizeof(*p->target_slots));
	if (p->conf_fd < 0)
		rc = p->conf_fd;
	else if (p->target_slots == NULL)
		rc = -ENOMEM;
	else
		rc = conf_set_resolved(conf, p->resolved, p->n_resolved);
	if (rc < 0)
		snprintf(why, size, "%s", strerror(-rc));
	return rc;
}

static void
explain_flow_log(const struct conf *conf, int rc, char *why, size_t size)
{
	snprintf(why, size,
	    "FlowLog = %s: %s; make it writable for nlbd or choose another "
	    "path",
	    conf->node.flow_log_path, strerror(-rc));
}

static int
prepare(struct daemon *d, struct conf *conf, struct prepared *p, char *why,
    size_t size)
{
	int rc;

	*p = (struct prepared){.conf_fd = -1, .http.fd = -1};
	rc = sockets_prepare(conf, d->workers.n, &d->sockets, d->sb,
	    d->lock_path, &p->sockets, why, size);
	if (rc < 0)
		return rc;
	rc = http_listen_prepare(d, conf, &p->http, why, size);
	if (rc == 0)
		rc = prepare_targets(d, conf, p, why, size);
	if (rc == 0) {
		rc = flow_log_configure(&d->flow_log, conf);
		if (rc < 0)
			explain_flow_log(conf, rc, why, size);
	}
	if (rc < 0)
		drop_prepared(p);
	return rc;
}

/* Those that the service manager passed are divided among the workers anew. */
static int
try_passed(const struct sockets *s, uint32_t n_workers, char *why, size_t size)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct socket_set *set = &s->sets[i];

		if (!set->passed || set->n_distinct <= n_workers)
			continue;
		snprintf(why, size,
		    "listener %s: the service manager passed %u sockets, more "
		    "than the %u workers that the file wants; raise Workers",
		    set->name, set->n_distinct, n_workers);
		return -E2BIG;
	}
	return 0;
}

static int
try_config(struct daemon *d, const struct conf *conf, char *why, size_t size)
{
	struct prepared p = {.conf_fd = -1, .http.fd = -1};
	int rc = sockets_prepare(conf, d->workers.n, &d->sockets, d->sb,
	    d->lock_path, &p.sockets, why, size);

	if (rc < 0)
		return rc;
	rc = try_passed(&p.sockets, daemon_count_workers(conf), why, size);
	/* A port that this program holds itself is free by then. */
	if (rc == 0 && conf->node.http_listen.port != d->http.addr.port)
		rc = http_listen_prepare(d, conf, &p.http, why, size);
	if (rc == 0) {
		rc = flow_log_try(conf);
		if (rc < 0)
			explain_flow_log(conf, rc, why, size);
	}
	drop_prepared(&p);
	return rc;
}

int
daemon_try_file(struct daemon *d, char *why, size_t size)
{
	struct conf_diags diags = {0};
	struct conf *conf = NULL;
	int rc = daemon_read_config(d, &conf, &diags);

	rc = rc < 0 ? 0 : try_config(d, conf, why, size);
	conf_destroy(conf);
	conf_diags_fini(&diags);
	return rc;
}

static uint64_t
hash_of(const struct conf *conf)
{
	struct hash_key key = hash_key_from_name("nlbd config");

	return hash_bytes(&key, conf->bytes, conf->n_bytes);
}

/* Still open in next, perhaps under another name? */
static bool
stays_open(const struct socket_set *set, const struct sockets *next)
{
	for (size_t i = 0; i < next->n; i++)
		if (addr_equal(&set->bound, &next->sets[i].bound))
			return true;
	return false;
}

/* What the kernel counted at sockets that are about to be closed stays in the
 * node's sum. */
static void
keep_filter_drops(struct daemon *d, const struct sockets *next)
{
	for (size_t i = 0; i < d->sockets.n; i++) {
		const struct socket_set *set = &d->sockets.sets[i];

		if (!stays_open(set, next))
			sb_add(&d->sb->retired.listeners[set->slot]
				    .security_group_blocked,
			    sockets_dropped(set));
	}
}

/* A slot is free when no flow has it: its counters and name start anew. */
static void
take_listener_slots(struct daemon *d)
{
	for (size_t i = 0; i < d->sockets.n; i++) {
		const struct socket_set *set = &d->sockets.sets[i];

		if (!set->is_new)
			continue;
		scoreboard_reset_listener(d->sb, set->slot);
		traffic_start_listener(&d->traffic, set->slot);
		strlcpy(d->listener_names[set->slot], set->name,
		    sizeof(d->listener_names[0]));
	}
}

static void
send_config_to_all(struct daemon *d)
{
	for (uint32_t i = 0; i < d->workers.n; i++)
		if (d->workers.list[i].channel != NULL)
			(void)daemon_send_config(d, &d->workers.list[i]);
}

static bool
group_is_known(const void *arg, const char *group)
{
	const struct registry *r = arg;
	const struct registered_target *t;

	TAILQ_FOREACH (t, &r->targets, entry)
		if (strcmp(t->group, group) == 0)
			return true;
	return conf_find_target_group(r->conf, group) != NULL;
}

void
daemon_forget_file(struct daemon *d)
{
	conf_destroy(d->file_conf);
	d->file_conf = NULL;
	d->runtime_changes[0] = '\0';
}

/* Registers and deregisters; d->conf has the targets already. */
static void
take_targets(struct daemon *d, const struct prepared *p)
{
	free(d->target_slots);
	d->target_slots = p->target_slots;
	free(d->resolved);
	d->resolved = p->resolved;
	d->n_resolved = p->n_resolved;
	if (d->conf_fd != -1)
		close(d->conf_fd);
	d->conf_fd = p->conf_fd;
	d->n_targets = conf_count_targets(d->conf);
	d->generation++;
	if (registry_apply(
		&d->registry, d->conf, daemon_now_ms(d), d->target_slots) < 0)
		event_log(EVENT_OUT_OF_MEMORY,
		    "out of memory for targets: some are not "
		    "registered");
}

int
daemon_apply_config(struct daemon *d, struct conf *conf,
    struct config_file *file, char *why, size_t why_size)
{
	struct prepared p;
	struct conf *old = d->conf;
	int rc = prepare(d, conf, &p, why, why_size);

	if (rc < 0)
		return rc;
	if (file != NULL) {
		rc = config_file_commit(file, why, why_size);
		if (rc < 0) {
			drop_prepared(&p);
			return rc;
		}
	}
	/* From here on nothing fails that could leave a mixture. */
	keep_filter_drops(d, &p.sockets);
	sockets_commit(&d->sockets, &p.sockets);
	http_listen_commit(d, &p.http);
	take_listener_slots(d);
	d->conf = conf;
	d->config_hash = hash_of(conf);
	d->config_loaded_ms = daemon_wall_ms();
	log_set_level(conf->node.log_level);
	sockets_attach_filters(&d->sockets, conf);
	checker_set_source_addresses(d->checker, &conf->lb);
	source_addresses_warn(&conf->lb);
	take_targets(d, &p);
	traffic_forget_groups(&d->traffic, group_is_known, &d->registry);
	if (names_follow(d->names, conf) < 0)
		event_log(EVENT_OUT_OF_MEMORY,
		    "out of memory for DNS names: some are not "
		    "resolved");
	if (notifications_follow(d->notifications, conf) < 0)
		event_log(EVENT_OUT_OF_MEMORY,
		    "out of memory for [notify] sections: some are not told "
		    "of events");
	conf_destroy(old);
	send_config_to_all(d);
	return 0;
}

/* Most answers say what the last one said. */
static bool
is_resolved_already(struct daemon *d)
{
	struct conf_resolved *list;
	size_t n;
	bool same;

	if (names_collect(d->names, d->conf, &list, &n) < 0)
		return false;
	same = n == d->n_resolved &&
	       (n == 0 || memcmp(list, d->resolved, n * sizeof(list[0])) == 0);
	free(list);
	return same;
}

void
daemon_renew_names(void *owner)
{
	struct daemon *d = owner;
	struct prepared p = {.conf_fd = -1, .http.fd = -1};
	char why[128];

	if (d->state >= DAEMON_DRAINING || is_resolved_already(d))
		return;
	if (prepare_targets(d, d->conf, &p, why, sizeof(why)) < 0) {
		event_log(EVENT_NAMES_NOT_APPLIED,
		    "what DNS names resolve to cannot be put in force: "
		    "%s",
		    why);
		drop_prepared(&p);
		return;
	}
	take_targets(d, &p);
	send_config_to_all(d);
}

uint32_t
daemon_source_limit(const struct daemon *d)
{
	const struct conf_node *node = &d->conf->node;
	uint64_t all = 0;

	if (node->max_flows_per_source != CONF_AUTO)
		return node->max_flows_per_source;
	/* Half of MaxFlows: the usual clients are a few NAT gateways, and
	 * still no single source may take everything. */
	if (node->max_flows != CONF_AUTO)
		return node->max_flows > 1 ? node->max_flows / 2 : 1;
	for (uint32_t i = 0; i < d->workers.n; i++)
		if (d->workers.list[i].block != NULL)
			all +=
			    atomic_load(&d->workers.list[i].block->max_flows);
	/* Not known before the first worker has counted its descriptors. */
	return all > 1 ? (uint32_t)(all / 2) : 0;
}

static uint32_t
flows_per_worker(const struct daemon *d)
{
	uint32_t max = d->conf->node.max_flows;

	if (max == CONF_AUTO)
		return UINT32_MAX;
	return (max + d->workers.n - 1) / d->workers.n;
}

int
daemon_send_config(struct daemon *d, struct worker_process *w)
{
	struct channel_config head = {
	    .generation = d->generation,
	    .conf_size = (uint32_t)d->conf->n_bytes,
	    .n_resolved = (uint32_t)d->n_resolved,
	    .n_targets = (uint32_t)d->n_targets,
	    .n_listeners = (uint32_t)d->conf->n_listeners,
	    .max_flows = flows_per_worker(d),
	    .max_flows_per_source = daemon_source_limit(d),
	};
	int rc = workers_send_config(
	    w, &head, d->target_slots, &d->sockets, d->conf_fd);

	if (rc < 0) {
		event_log(EVENT_WORKER_CONFIG_FAILED,
		    "worker %u cannot be given the config: %s; "
		    "replacing it",
		    w->index, strerror(-rc));
		if (w->process != NULL)
			uv_process_kill(w->process, SIGKILL);
	}
	return rc;
}
