/*
 * A config generation arrives: parse the bytes, build the groups, make or
 * reconfigure the listeners, close the ones that are gone. What can be wrong
 * with the bytes is found before anything changes; after a failure for lack of
 * memory the supervisor replaces this worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "nlb/conf.h"
#include "worker/flow.h"
#include "worker/listener.h"
#include "worker/worker.h"

/* The message taken apart. */
struct update {
	struct channel_config head;
	const uint16_t *target_slots;
	struct channel_listener listeners[CONF_LISTENERS_MAX];
	struct conf *conf;
	/* By the config's target group index; NULL where no listener forwards
	 * to the group. */
	struct group **groups;
};

/* The INI text stands at any size: what follows it may be unaligned. */
static int
set_resolved(struct conf *conf, const char *bytes, size_t n)
{
	struct conf_resolved *list;
	int rc;

	if (n == 0)
		return 0;
	list = calloc(n, sizeof(list[0]));
	if (list == NULL)
		return -ENOMEM;
	memcpy(list, bytes, n * sizeof(list[0]));
	rc = conf_set_resolved(conf, list, n);
	free(list);
	return rc;
}

static int
parse_bytes(int fd, const struct channel_config *head, struct conf **out)
{
	size_t size =
	    head->conf_size + head->n_resolved * sizeof(struct conf_resolved);
	struct conf_options options = {.parsed_before = true};
	struct conf_diags diags = {0};
	struct stat st;
	char *bytes;
	int rc;

	if (fstat(fd, &st) == -1)
		return -errno;
	if (head->conf_size == 0 || head->conf_size > CONF_FILE_MAX ||
	    head->n_resolved > CONF_TARGETS_MAX || (size_t)st.st_size != size)
		return -EPROTO;
	bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	rc = conf_parse(bytes, head->conf_size, &options, out, &diags);
	if (rc == 0)
		rc = set_resolved(
		    *out, bytes + head->conf_size, head->n_resolved);
	munmap(bytes, size);
	conf_diags_fini(&diags);
	return rc;
}

static int
read_message(struct channel_message *m, struct update *u)
{
	const char *p = m->payload;
	size_t slots_size, listeners_size, n_fds = 1;
	int rc;

	if (m->size < sizeof(u->head) || m->n_fds < 1)
		return -EPROTO;
	memcpy(&u->head, p, sizeof(u->head));
	if (u->head.n_listeners > CONF_LISTENERS_MAX ||
	    u->head.n_targets > CONF_TARGETS_MAX)
		return -EPROTO;
	slots_size = u->head.n_targets * sizeof(uint16_t);
	listeners_size = u->head.n_listeners * sizeof(u->listeners[0]);
	if (m->size != sizeof(u->head) + slots_size + listeners_size)
		return -EPROTO;
	u->target_slots = (const void *)(p + sizeof(u->head));
	for (uint32_t i = 0; i < u->head.n_targets; i++)
		if (u->target_slots[i] >= SB_TARGETS)
			return -EPROTO;
	memcpy(u->listeners, p + sizeof(u->head) + slots_size, listeners_size);
	for (uint32_t i = 0; i < u->head.n_listeners; i++)
		n_fds += u->listeners[i].has_fd;
	if (n_fds != m->n_fds)
		return -EPROTO;
	rc = parse_bytes(m->fds[0], &u->head, &u->conf);
	if (rc < 0)
		return rc;
	if (u->conf->n_listeners != u->head.n_listeners ||
	    conf_count_targets(u->conf) != u->head.n_targets)
		return -EPROTO;
	return 0;
}

/* As the listeners have it now; NULL when none does. */
static const struct group *
find_old_group(const struct worker *w, const char *name)
{
	const struct listener *l;

	TAILQ_FOREACH (l, &w->listeners, entry)
		for (uint32_t i = 0; i < l->n_forwards; i++)
			if (strcmp(l->forwards[i].group->name, name) == 0)
				return l->forwards[i].group;
	return NULL;
}

static bool
is_used(const struct conf *conf, size_t group)
{
	for (size_t i = 0; i < conf->n_listeners; i++)
		for (uint32_t j = 0; j < conf->listeners[i].n_forwards; j++)
			if (conf->listeners[i].forwards[j].group == group)
				return true;
	return false;
}

static int
build_groups(const struct worker *w, struct update *u)
{
	const uint16_t *slots = u->target_slots;

	u->groups =
	    calloc(u->conf->n_target_groups + 1, sizeof(struct group *));
	if (u->groups == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < u->conf->n_target_groups; i++) {
		const struct conf_target_group *tg = &u->conf->target_groups[i];
		int rc = 0;

		if (is_used(u->conf, i))
			rc = group_create(tg, slots,
			    find_old_group(w, tg->name), &u->groups[i]);
		if (rc < 0)
			return rc;
		slots += tg->n_targets;
	}
	return 0;
}

static int
take_new_listeners(
    struct worker *w, struct channel_message *m, struct update *u)
{
	size_t next_fd = 1;

	for (uint32_t i = 0; i < u->head.n_listeners; i++) {
		struct listener *l;
		int rc;

		if (!u->listeners[i].has_fd) {
			if (listener_find(w, u->listeners[i].slot) == NULL)
				return -EPROTO;
			continue;
		}
		if (u->listeners[i].slot >= SB_LISTENERS)
			return -EPROTO;
		rc = listener_create(
		    w, u->listeners[i].slot, m->fds[next_fd], &l);
		m->fds[next_fd++] = -1;
		if (rc < 0)
			return rc;
		l->is_passed = u->listeners[i].is_passed != 0;
	}
	return 0;
}

static void
close_old_listeners(struct worker *w, const struct update *u)
{
	struct listener *l, *next;

	TAILQ_FOREACH_SAFE (l, &w->listeners, entry, next) {
		bool wanted = false;

		for (uint32_t i = 0; i < u->head.n_listeners; i++)
			if (u->listeners[i].slot == l->slot)
				wanted = true;
		if (!wanted)
			listener_close(l);
	}
}

static int
configure_listeners(struct worker *w, const struct update *u)
{
	for (uint32_t i = 0; i < u->head.n_listeners; i++) {
		const struct conf_listener *lc = &u->conf->listeners[i];
		struct listener *l = listener_find(w, u->listeners[i].slot);
		int rc = listener_configure(l, u->conf, lc, u->groups);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static void
set_limits(struct worker *w, const struct update *u)
{
	/* As if nothing were open: a pipe is as many descriptors as a flow. */
	uint32_t by_fds = fd_budget_max_flows(&w->budget) + w->n_flows +
			  w->pipes.n_idle + w->pipes.n_lent;

	w->max_flows = u->head.max_flows < by_fds ? u->head.max_flows : by_fds;
	w->max_flows_per_source = u->head.max_flows_per_source;
	source_addresses_set(&w->source_addresses, &u->conf->lb);
	w->flow_log = u->conf->node.flow_log != CONF_FLOW_LOG_OFF;
	log_set_level(u->conf->node.log_level);
	atomic_store(&w->block->max_flows, w->max_flows);
}

/* A shorter idle timeout counts at once, not when the old one would end. */
static void
rearm_idle_timers(struct worker *w)
{
	struct flow *f;

	TAILQ_FOREACH (f, &w->flows, entry)
		if (f->state == FLOW_ESTABLISHED)
			flow_rearm(
			    f, f->activity_ms + f->listener->idle_timeout_ms);
}

static void
free_update(struct update *u)
{
	if (u->groups != NULL)
		for (size_t i = 0; i < u->conf->n_target_groups; i++)
			group_unref(u->groups[i]);
	free(u->groups);
	conf_destroy(u->conf);
}

int
worker_apply_config(struct worker *w, struct channel_message *m)
{
	struct update u = {0};
	int rc = read_message(m, &u);

	if (rc == 0)
		rc = build_groups(w, &u);
	if (rc == 0)
		rc = take_new_listeners(w, m, &u);
	if (rc == 0)
		rc = configure_listeners(w, &u);
	if (rc == 0) {
		close_old_listeners(w, &u);
		set_limits(w, &u);
		rearm_idle_timers(w);
	}
	free_update(&u);
	return rc;
}
