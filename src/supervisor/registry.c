/* The registered targets; see registry.h. */
#include "supervisor/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "nlb/group_health.h"
#include "supervisor/applying.h"
#include "supervisor/registry_log.h"

static int
compare_places(
    const struct registered_target *a, const struct registered_target *b)
{
	int order = strcmp(a->group, b->group);

	return order != 0 ? order : addr_compare(&a->addr, &b->addr);
}

/* RB_GENERATE_STATIC of libbsd wants its own cdefs, which clash with libc's. */
#define TREE static __attribute__((unused))
RB_GENERATE_INTERNAL(
    registered_tree, registered_target, place, compare_places, TREE)
#undef TREE

void
registry_init(struct registry *r, struct scoreboard *sb,
    struct checker *checker,
    void (*end_flows)(void *, uint16_t, enum flow_end_reason), void *owner)
{
	memset(r, 0, sizeof(*r));
	r->sb = sb;
	r->checker = checker;
	r->end_flows = end_flows;
	r->owner = owner;
	TAILQ_INIT(&r->targets);
	RB_INIT(&r->by_place);
}

void
registry_fini(struct registry *r)
{
	struct registered_target *t;

	while ((t = TAILQ_FIRST(&r->targets)) != NULL) {
		TAILQ_REMOVE(&r->targets, t, entry);
		free(t);
	}
	RB_INIT(&r->by_place);
	memset(r->by_slot, 0, sizeof(r->by_slot));
}

struct registered_target *
registry_find_slot(const struct registry *r, uint16_t slot)
{
	return slot < SB_TARGETS ? r->by_slot[slot] : NULL;
}

static struct registered_target *
find(struct registry *r, const char *group, const struct addr *addr)
{
	struct registered_target key;

	strlcpy(key.group, group, sizeof(key.group));
	key.addr = *addr;
	return RB_FIND(registered_tree, &r->by_place, &key);
}

/* No address comes before an address of nothing. */
static struct registered_target *
first_of(struct registry *r, const char *group)
{
	struct registered_target key, *t;

	strlcpy(key.group, group, sizeof(key.group));
	key.addr = (struct addr){.family = ADDR_NONE};
	t = RB_NFIND(registered_tree, &r->by_place, &key);
	return t != NULL && strcmp(t->group, group) == 0 ? t : NULL;
}

static struct registered_target *
next_of(struct registered_target *t)
{
	struct registered_target *next = RB_NEXT(registered_tree, NULL, t);

	return next != NULL && strcmp(next->group, t->group) == 0 ? next : NULL;
}

bool
registry_is_healthy(
    struct registry *r, const char *group, const struct addr *addr)
{
	const struct registered_target *t = find(r, group, addr);

	return t != NULL && t->health.state == TARGET_HEALTHY;
}

/* ---- publishing ------------------------------------------------------- */

/* tg is NULL when the group is gone. */
static enum group_mode
choose_mode(struct registered_target *first, const struct conf_target_group *tg)
{
	struct group_counts counts = {0};

	if (tg == NULL)
		return GROUP_ACTIVE;
	for (struct registered_target *t = first; t != NULL; t = next_of(t))
		group_counts_add(&counts, t->standby, &t->health);
	return group_mode_choose(
	    &counts, tg->routing_min_count, tg->routing_min_percentage);
}

static void
publish_target(
    struct registry *r, struct registered_target *t, enum group_mode mode)
{
	struct sb_target_state *s = &r->sb->targets[t->slot];
	uint32_t flags = 0;

	if (group_mode_routes(mode, t->standby, &t->health))
		flags = t->health.state == TARGET_HEALTHY
			    ? SB_ROUTABLE
			    : SB_ROUTABLE | SB_FAIL_OPEN;
	else if (group_mode_holds_back(mode, t->standby, &t->health))
		flags = SB_STANDBY;
	atomic_store(&s->state, t->health.state);
	atomic_store(&s->reason, t->health.reason);
	atomic_store(&s->flags, flags);
}

/* Decides who of one group gets new flows and writes its targets' flags: what
 * the workers obey from the next pick on. Those that get some come first: a
 * worker that picks meanwhile finds one too many rather than nobody. */
static enum group_mode
publish_group(
    struct registry *r, const char *group, const struct conf_target_group *tg)
{
	struct registered_target *first = first_of(r, group);
	enum group_mode mode = choose_mode(first, tg);

	for (int routed = 1; routed >= 0; routed--)
		for (struct registered_target *t = first; t != NULL;
		     t = next_of(t))
			if (group_mode_routes(mode, t->standby, &t->health) ==
			    (routed != 0))
				publish_target(r, t, mode);
	return mode;
}

static enum group_mode
publish_group_of(struct registry *r, const struct registered_target *t)
{
	return publish_group(
	    r, t->group, conf_find_target_group(r->conf, t->group));
}

/* Who beside healthy active targets gets a group's flows, by what was published
 * last. */
struct detour {
	bool standby;
	bool unhealthy; /* the group fails open */
};

static struct detour
published_detour(struct registry *r, const char *group)
{
	struct detour d = {0};

	for (struct registered_target *t = first_of(r, group); t != NULL;
	     t = next_of(t)) {
		const struct sb_target_state *s = &r->sb->targets[t->slot];
		uint32_t flags = atomic_load(&s->flags);

		d.standby = d.standby || (t->standby && flags == SB_ROUTABLE);
		/* One that no check has seen yet is no news. */
		d.unhealthy = d.unhealthy ||
			      ((flags & SB_FAIL_OPEN) != 0 &&
				  atomic_load(&s->state) == TARGET_UNHEALTHY);
	}
	return d;
}

static void
log_detour(struct registry *r, const char *group, const struct detour *before)
{
	struct detour now = published_detour(r, group);

	if (now.standby != before->standby)
		registry_log_standby(group, now.standby);
	if (now.unhealthy != before->unhealthy)
		registry_log_fail_open(group, now.unhealthy);
}

/* ---- state changes ---------------------------------------------------- */

/* A target left HEALTHY or UNHEALTHY_DRAINING, or another state: what becomes
 * of its flows (target_health_state.unhealthy.connection_termination). While
 * the group fails open they are kept, as an NLB does. */
static void
on_state_changed(struct registry *r, struct registered_target *t,
    enum target_state before, const char *detail)
{
	struct detour detour = published_detour(r, t->group);
	enum group_mode mode = publish_group_of(r, t);

	registry_log_state(t, before, detail);
	log_detour(r, t->group, &detour);
	if (t->health.state != TARGET_UNHEALTHY || group_mode_is_open(mode))
		return;
	if (before == TARGET_UNHEALTHY_DRAINING || t->unhealthy_termination)
		r->end_flows(r->owner, t->slot, FLOW_END_TARGET_UNHEALTHY);
}

void
registry_check_started(struct registry *r, uint16_t slot, uint64_t now_ms)
{
	struct registered_target *t = registry_find_slot(r, slot);
	enum target_reason before;

	if (t == NULL)
		return;
	before = t->health.reason;
	target_check_started(&t->health, now_ms);
	/* Most checks start without a change, and groups are large. */
	if (t->health.reason != before)
		publish_group_of(r, t);
}

void
registry_check_result(struct registry *r, uint16_t slot,
    enum probe_result result, const char *detail, uint64_t elapsed_us,
    uint64_t now_ms)
{
	struct registered_target *t = registry_find_slot(r, slot);
	enum target_state before;

	if (t == NULL)
		return;
	before = t->health.state;
	strlcpy(t->last_check, detail, sizeof(t->last_check));
	t->last_check_us = elapsed_us;
	t->check_results[result]++;
	/* The supervisor's own counts stand in the block that has no worker. */
	if (t->check_blocked)
		sb_add(&r->sb->retired.targets[slot].blocked_checks, 1);
	if (result != PROBE_VOID)
		latency_add(&t->check_latency, elapsed_us);
	if (target_report(&t->health, &t->rules, result, now_ms))
		on_state_changed(
		    r, t, before, result == PROBE_FAILURE ? detail : "");
}

void
registry_was_healthy(struct registry *r, const char *group,
    const struct addr *a, uint64_t now_ms)
{
	struct registered_target *t;

	TAILQ_FOREACH (t, &r->targets, entry) {
		if (addr_equal(&t->addr, a) && strcmp(t->group, group) == 0 &&
		    target_report(&t->health, &t->rules, PROBE_SUCCESS, now_ms))
			(void)publish_group_of(r, t);
	}
}

void
registry_connect_failed(
    struct registry *r, uint16_t slot, uint64_t connected, uint64_t now_ms)
{
	struct registered_target *t = registry_find_slot(r, slot);
	enum target_state before;

	if (t == NULL)
		return;
	before = t->health.state;
	if (target_connect_failed(&t->health, &t->rules, connected, now_ms))
		on_state_changed(r, t, before,
		    "flows could not connect to it, several in a row");
}

/* ---- deregistration --------------------------------------------------- */

static void
remove_target(struct registry *r, struct registered_target *t)
{
	atomic_store(&r->sb->targets[t->slot].flags, 0);
	if (r->traffic != NULL)
		traffic_keep_target(r->traffic, t->group, t->slot);
	TAILQ_REMOVE(&r->targets, t, entry);
	RB_REMOVE(registered_tree, &r->by_place, t);
	r->by_slot[t->slot] = NULL;
	free(t);
}

/* Out of the delay: with connection termination its flows end now, without it
 * they may live on, and the entry stays until they are gone (the slot is still
 * theirs). */
static void
tick_deregistered(struct registry *r, struct registered_target *t)
{
	uint64_t active = scoreboard_target_active(r->sb, t->slot);

	if (t->health.state != TARGET_UNUSED)
		return;
	if (active == 0) {
		remove_target(r, t);
		return;
	}
	if (t->deregistration_termination && !t->ended_after_delay) {
		t->ended_after_delay = true;
		r->end_flows(r->owner, t->slot, FLOW_END_DEREGISTERED);
	}
}

void
registry_tick(struct registry *r, uint64_t now_ms)
{
	struct registered_target *t, *next;

	TAILQ_FOREACH_SAFE (t, &r->targets, entry, next) {
		enum target_state before = t->health.state;

		if (target_tick(&t->health,
			scoreboard_target_active(r->sb, t->slot), now_ms))
			on_state_changed(r, t, before, "");
		if (!t->in_config)
			tick_deregistered(r, t);
	}
}

/* ---- applying a config ------------------------------------------------ */

static bool
slot_is_taken(const struct registry *r, uint16_t slot)
{
	return registry_find_slot(r, slot) != NULL ||
	       scoreboard_target_active(r->sb, slot) > 0;
}

/* Round and round: a worker that is a config behind may still know a slot that
 * has just become free by its old target. */
static int
free_slot(struct registry *r)
{
	for (uint32_t i = 0; i < SB_SLOT_VOID; i++) {
		uint16_t slot = (uint16_t)((r->next_slot + i) % SB_SLOT_VOID);

		if (slot_is_taken(r, slot))
			continue;
		r->next_slot = (uint16_t)((slot + 1) % SB_SLOT_VOID);
		return slot;
	}
	return -ENOSPC;
}

int
registry_can_apply(struct registry *r, const struct conf *conf,
    const struct conf_resolved *resolved, size_t n_resolved)
{
	const struct registered_target *t;
	size_t n = 0;

	TAILQ_FOREACH (t, &r->targets, entry)
		n++;
	for (size_t i = 0; i < conf->n_target_groups; i++) {
		const struct conf_target_group *tg = &conf->target_groups[i];

		for (size_t j = 0; j < tg->n_targets; j++)
			n += find(r, tg->name, &tg->targets[j].addr) == NULL;
	}
	for (size_t i = 0; i < n_resolved; i++)
		n += find(r, conf->target_groups[resolved[i].group].name,
			 &resolved[i].addr) == NULL;
	return n <= SB_SLOT_VOID ? 0 : -ENOSPC;
}

static int
update_check(
    struct registry *r, struct registered_target *t, const struct applying *a)
{
	const struct conf_target_group *tg = a->tg;
	static const enum check_protocol protocols[] = {
	    [CONF_CHECK_TCP] = CHECK_TCP,
	    [CONF_CHECK_HTTP] = CHECK_HTTP,
	    [CONF_CHECK_HTTPS] = CHECK_HTTPS,
	    [CONF_CHECK_SMTP] = CHECK_SMTP,
	};
	struct check_spec spec = {
	    .protocol = protocols[tg->check_protocol],
	    .addr = t->addr,
	    .interval_ms = tg->check_interval_ms,
	    .timeout_ms = tg->check_timeout_ms,
	    .proxy_v2 = tg->proxy_protocol_v2,
	    .smtp_starttls = tg->check_smtp_starttls,
	};

	if (!target_is_checked(&t->health)) {
		checker_remove(r->checker, t->slot);
		return 0;
	}
	if (spec.protocol == CHECK_HTTP || spec.protocol == CHECK_HTTPS) {
		strlcpy(spec.path, tg->check_path, sizeof(spec.path));
		spec.codes = tg->matcher_http_code;
		spec.host_port = applying_host_port(a);
	}
	spec.addr.port = t->check_port;
	t->check_blocked = applying_blocks_check(a, &spec.addr);
	spec.blocked = t->check_blocked;
	return checker_set(r->checker, t->slot, &spec);
}

static struct registered_target *
add_target(struct registry *r, const struct addr *addr, const char *group,
    uint64_t now_ms)
{
	struct registered_target *t = calloc(1, sizeof(*t));
	int slot = free_slot(r);

	if (t == NULL || slot < 0) {
		free(t);
		return NULL;
	}
	t->slot = (uint16_t)slot;
	r->by_slot[t->slot] = t;
	t->addr = *addr;
	strlcpy(t->group, group, sizeof(t->group));
	RB_INSERT(registered_tree, &r->by_place, t);
	scoreboard_reset_target(r->sb, t->slot);
	target_init(&t->health, now_ms);
	return t;
}

/* In use or not, and why not. */
static void
apply_use(struct registered_target *t, const struct applying *a,
    const struct conf_target *ct)
{
	if (a->n_listeners == 0)
		target_set_in_use(
		    &t->health, false, TARGET_REASON_NOT_IN_USE, a->now_ms);
	else if (!conf_target_zone_enabled(a->conf, a->tg, ct))
		target_set_in_use(&t->health, false,
		    TARGET_REASON_ZONE_NOT_ENABLED, a->now_ms);
	else
		target_set_in_use(
		    &t->health, true, TARGET_REASON_NONE, a->now_ms);
}

static int
apply_target(struct registry *r, const struct applying *a,
    const struct conf_target *ct, uint16_t *slot)
{
	const struct conf_target_group *tg = a->tg;
	struct registered_target *t = find(r, tg->name, &ct->addr);

	if (t == NULL) {
		t = add_target(r, &ct->addr, tg->name, a->now_ms);
		if (t == NULL)
			return -ENOMEM;
	} else {
		TAILQ_REMOVE(&r->targets, t, entry);
		if (!t->in_config) /* registered again while draining */
			target_register(&t->health, a->now_ms);
	}
	/* Back at the tail: the list takes the config's order. */
	TAILQ_INSERT_TAIL(&r->targets, t, entry);
	t->in_config = true;
	t->applied = r->n_applied;
	t->ended_after_delay = false;
	strlcpy(t->label, ct->label, sizeof(t->label));
	strlcpy(t->zone, ct->availability_zone, sizeof(t->zone));
	strlcpy(t->dns_name, ct->dns != NULL ? ct->dns->host : "",
	    sizeof(t->dns_name));
	t->standby = ct->standby;
	t->max_flows = conf_target_max_flows(tg, ct);
	t->check_port =
	    tg->check_port != 0 ? (uint16_t)tg->check_port : ct->addr.port;
	t->deregistration_termination = tg->deregistration_termination;
	t->unhealthy_termination = tg->unhealthy_termination;
	t->rules = (struct target_rules){
	    .healthy_threshold_count = tg->healthy_threshold_count,
	    .unhealthy_threshold_count = tg->unhealthy_threshold_count,
	    .deregistration_delay_s = tg->deregistration_delay_s,
	    .unhealthy_draining_interval_s = tg->unhealthy_draining_interval_s,
	    /* With client addresses kept, a failure may be one client's: a
	     * target's firewall that bans it must not cost the others. */
	    .passive_checks = tg->passive_checks && !tg->stickiness_enabled &&
			      !tg->preserve_client_ip,
	};
	apply_use(t, a, ct);
	*slot = t->slot;
	return update_check(r, t, a);
}

static void
deregister(struct registry *r, struct registered_target *t, uint64_t now_ms)
{
	enum target_state before = t->health.state;

	t->in_config = false;
	t->label[0] = '\0';
	checker_remove(r->checker, t->slot);
	target_deregister(&t->health, &t->rules, now_ms);
	registry_log_deregistered(
	    t, before, scoreboard_target_active(r->sb, t->slot));
}

/* One that cannot be had does not keep the others from it. */
static int
apply_groups(struct registry *r, struct applying *a, uint16_t *slots)
{
	int rc = 0;

	for (size_t i = 0; i < a->conf->n_target_groups; i++) {
		applying_take_group(a, i);
		for (size_t j = 0; j < a->tg->n_targets; j++) {
			int one =
			    apply_target(r, a, &a->tg->targets[j], slots++);

			if (one < 0)
				rc = one;
		}
	}
	return rc;
}

/* What the workers are told of targets before they are registered. */
static void
fill_slots(struct registry *r, const struct conf *conf, uint16_t *slots)
{
	for (size_t i = 0; i < conf->n_target_groups; i++) {
		const struct conf_target_group *tg = &conf->target_groups[i];

		for (size_t j = 0; j < tg->n_targets; j++) {
			const struct registered_target *t =
			    find(r, tg->name, &tg->targets[j].addr);

			*slots++ = t != NULL ? t->slot : SB_SLOT_VOID;
		}
	}
}

int
registry_apply(struct registry *r, const struct conf *conf, uint64_t now_ms,
    uint16_t *slots)
{
	struct registered_target *t;
	struct applying a;
	int rc;

	r->conf = conf;
	fill_slots(r, conf, slots);
	rc = applying_init(&a, conf, now_ms);
	if (rc < 0) {
		applying_fini(&a);
		return rc;
	}
	r->n_applied++;
	rc = apply_groups(r, &a, slots);
	applying_fini(&a);
	TAILQ_FOREACH (t, &r->targets, entry)
		if (t->in_config && t->applied != r->n_applied)
			deregister(r, t, now_ms);
	for (size_t i = 0; i < conf->n_target_groups; i++) {
		const struct conf_target_group *tg = &conf->target_groups[i];
		struct detour detour = published_detour(r, tg->name);

		publish_group(r, tg->name, tg);
		log_detour(r, tg->name, &detour);
	}
	/* Those whose whole group is gone are in no group of conf. */
	TAILQ_FOREACH (t, &r->targets, entry)
		if (!t->in_config)
			publish_target(r, t, GROUP_ACTIVE);
	return rc;
}
