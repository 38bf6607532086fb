/* The DNS names among the targets; see names.h. */
#include "supervisor/names.h"

#include <bsd/sys/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <bsd/string.h>

#include "nlb/event.h"
#include "supervisor/daemon.h"
#include "supervisor/names_internal.h"

/* ---- helpers ---------------------------------------------------------- */

static uint32_t
random_number(void)
{
	uint32_t n = 0;

	(void)!getrandom(&n, sizeof(n), GRND_NONBLOCK);
	return n;
}

static bool
is_healthy(void *arg, const struct addr *a)
{
	const struct name *name = arg;
	const struct names *names = name->names;
	struct addr target = name_target_at(name, a);

	return names->owner.is_healthy(
	    names->owner.owner, name->group, &target);
}

/* "10.0.0.1, 10.0.0.2" */
static const char *
join(const struct addr *list, size_t n, char *buf, size_t size)
{
	char text[ADDR_IP_STRLEN];

	strlcpy(buf, n == 0 ? "none" : "", size);
	for (size_t i = 0; i < n; i++) {
		strlcat(buf, i == 0 ? "" : ", ", size);
		addr_format_ip(&list[i], text, sizeof(text));
		strlcat(buf, text, size);
	}
	return buf;
}

/* ---- the schedule ----------------------------------------------------- */

static void on_due(uv_timer_t *timer);

static void
set_timer(struct names *names)
{
	uint64_t now = names_now_ms(), next = UINT64_MAX;
	struct name *name;

	TAILQ_FOREACH (name, &names->list, entry)
		if (!name->asking && name->due_ms < next)
			next = name->due_ms;
	if (next == UINT64_MAX)
		uv_timer_stop(&names->timer);
	else
		uv_timer_start(
		    &names->timer, on_due, next > now ? next - now : 0, 0);
}

static void
set_due(struct name *name, uint32_t ttl_s)
{
	const struct conf_node *node = &name->names->conf->node;
	uint32_t failures = name->resolution.failures;

	name->due_ms = names_now_ms();
	if (failures > 0)
		name->due_ms += resolution_retry_ms(failures,
		    node->resolve_min_s, node->resolve_max_s, random_number());
	else
		name->due_ms += resolution_delay_ms(ttl_s, node->resolve_min_s,
		    node->resolve_max_s, random_number());
}

/* ---- answers ---------------------------------------------------------- */

struct name_fields {
	struct log_field list[3];
};

static struct name_fields
about(const struct name *name)
{
	return (struct name_fields){
	    {{EVENT_NAME, name->host}, {EVENT_TARGET_GROUP, name->group}, {0}}};
}

static void
fail(struct name *name, const char *error)
{
	const struct resolution *r = &name->resolution;
	char list[LIST_TEXT_MAX];

	resolution_fail(&name->resolution);
	strlcpy(name->error, error, sizeof(name->error));
	if (r->failures > 1 &&
	    names_now_ms() - name->failure_logged_ms < REPEAT_LOG_MS)
		return;
	name->failure_logged_ms = names_now_ms();
	event_log_about(EVENT_NAME_UNRESOLVED, about(name).list,
	    "name %s of group %s cannot be resolved: %s; its addresses "
	    "stay as they are (%s)",
	    name->host, name->group, error,
	    join(r->answer, r->n_answer, list, sizeof(list)));
}

/* Takes the addresses out that cannot be targets; what they are and why goes
 * into refused, for the log. Returns how many are left. */
static size_t
take_refused_out(const struct name *name, const struct conf_target_group *group,
    struct addr *list, size_t n, char *refused, size_t size)
{
	size_t left = 0;

	refused[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		struct addr target = name_target_at(name, &list[i]);
		const char *why =
		    names_refusal(name->names->conf, group, &target);
		char text[ADDR_STRLEN];

		if (why == NULL) {
			list[left++] = list[i];
			continue;
		}
		addr_format(&target, text, sizeof(text));
		strlcat(refused, refused[0] == '\0' ? "" : ", ", size);
		strlcat(refused, text, size);
		strlcat(refused, " is ", size);
		strlcat(refused, why, size);
	}
	return left;
}

/* Once for each new set, and while it lasts every now and then. */
static void
log_refusals(struct name *name, const char *refused)
{
	bool changed = strcmp(name->refusals, refused) != 0;

	if (refused[0] != '\0' &&
	    (name->refusal_logged_ms == 0 ||
		names_now_ms() - name->refusal_logged_ms >=
		    (changed ? REPEAT_LOG_MS / 10 : REPEAT_LOG_MS))) {
		event_log_about(EVENT_NAME_ADDRESSES_REFUSED, about(name).list,
		    "name %s of group %s: addresses left out: %s", name->host,
		    name->group, refused);
		name->refusal_logged_ms = names_now_ms();
	}
	strlcpy(name->refusals, refused, sizeof(name->refusals));
}

static void
log_change(const struct name *name, const struct resolution *was)
{
	const struct resolution *r = &name->resolution;
	char now[LIST_TEXT_MAX], before[LIST_TEXT_MAX];

	event_log_about(EVENT_NAME_CHANGED, about(name).list,
	    "name %s of group %s resolves to %s (before: %s)", name->host,
	    name->group, join(r->answer, r->n_answer, now, sizeof(now)),
	    join(was->answer, was->n_answer, before, sizeof(before)));
	if (r->n_kept > 0)
		event_log_about(EVENT_NAME_ADDRESSES_KEPT, about(name).list,
		    "name %s of group %s: %s kept until one of the new "
		    "addresses is healthy",
		    name->host, name->group,
		    join(r->kept, r->n_kept, now, sizeof(now)));
}

static void
take_answer(struct name *name, const struct conf_target_group *group,
    struct resolver_answer *answer)
{
	struct resolution was = name->resolution;
	char refused[LIST_TEXT_MAX];
	size_t n = resolution_sort(answer->list, answer->n);

	n = take_refused_out(
	    name, group, answer->list, n, refused, sizeof(refused));
	log_refusals(name, refused);
	if (n == 0) {
		fail(name, "every address of the answer is refused");
		return;
	}
	if (n > CONF_DNS_ADDRESSES_MAX && was.n_answer < CONF_DNS_ADDRESSES_MAX)
		event_log_about(EVENT_NAME_ADDRESSES_TOO_MANY, about(name).list,
		    "name %s of group %s has %zu addresses: the first "
		    "%d are used",
		    name->host, name->group, n, CONF_DNS_ADDRESSES_MAX);
	name->last_answer_ms = daemon_wall_ms();
	name->error[0] = '\0';
	if (was.failures > 0)
		event_log_about(EVENT_NAME_RESOLVED_AGAIN, about(name).list,
		    "name %s of group %s is resolved again", name->host,
		    name->group);
	if (resolution_answer(
		&name->resolution, answer->list, n, is_healthy, name))
		log_change(name, &was);
}

static void
on_answer(void *arg, struct resolver_answer *answer)
{
	struct name *name = arg;
	struct names *names = name->names;
	const struct conf_target_group *group =
	    conf_find_target_group(names->conf, name->group);

	name->asking = false;
	if (!name->followed) {
		TAILQ_REMOVE(&names->forgotten, name, entry);
		free(name);
		return;
	}
	if (answer->cancelled || group == NULL)
		return; /* names_follow is at work, and sees to it */
	if (answer->error != NULL)
		fail(name, answer->error);
	else
		take_answer(name, group, answer);
	set_due(name, answer->ttl_s);
	set_timer(names);
	names->owner.on_changed(names->owner.owner);
}

static void
on_due(uv_timer_t *timer)
{
	struct names *names = timer->data;
	uint64_t now = names_now_ms();
	struct name *name;

	/* An answer at hand comes back from inside of resolver_ask. */
	TAILQ_FOREACH (name, &names->list, entry) {
		if (name->asking || name->due_ms > now)
			continue;
		name->asking = true;
		resolver_ask(
		    names->resolver, name->host, name->family, on_answer, name);
	}
	set_timer(names);
}

/* ---- the config ------------------------------------------------------- */

static void
forget(struct names *names, struct name *name)
{
	TAILQ_REMOVE(&names->list, name, entry);
	if (name->asking)
		TAILQ_INSERT_TAIL(&names->forgotten, name, entry);
	else
		free(name);
}

static struct name *
add(struct names *names, const char *group, const char *host, uint16_t port,
    uint8_t family)
{
	struct name *name = calloc(1, sizeof(*name));

	if (name == NULL)
		return NULL;
	name->names = names;
	strlcpy(name->group, group, sizeof(name->group));
	strlcpy(name->host, host, sizeof(name->host));
	name->port = port;
	name->family = family;
	TAILQ_INSERT_TAIL(&names->list, name, entry);
	return name;
}

int
names_remember(struct names *names, const char *group, const char *host,
    const struct addr *target, bool kept)
{
	struct name *name =
	    names_find(names, group, host, target->port, target->family);
	struct addr a = *target;

	if (name == NULL)
		name = add(names, group, host, target->port, target->family);
	if (name == NULL)
		return -ENOMEM;
	a.port = 0;
	resolution_remember(&name->resolution, &a, kept);
	return 0;
}

/* At the tail: the list takes the config's order. */
static int
follow(struct names *names, const struct conf_target_group *group,
    const struct conf_dns_target *t)
{
	struct name *name = names_find_line(names, group, t);

	if (name != NULL) {
		TAILQ_REMOVE(&names->list, name, entry);
		TAILQ_INSERT_TAIL(&names->list, name, entry);
	} else {
		name = add(names, group->name, t->host, t->target.addr.port,
		    names_family(group));
	}
	if (name == NULL)
		return -ENOMEM;
	name->followed = true;
	return 0;
}

int
names_follow(struct names *names, const struct conf *conf)
{
	const struct conf_node *node = &conf->node;
	struct name *name, *next;
	int rc = 0;

	names->conf = conf;
	TAILQ_FOREACH (name, &names->list, entry)
		name->followed = false;
	for (size_t i = 0; i < conf->n_target_groups && rc == 0; i++) {
		const struct conf_target_group *g = &conf->target_groups[i];

		for (size_t j = 0; j < g->n_dns_targets && rc == 0; j++)
			rc = follow(names, g, &g->dns_targets[j]);
	}
	TAILQ_FOREACH_SAFE (name, &names->list, entry, next)
		if (!name->followed)
			forget(names, name);
	if (resolver_set_servers(
		names->resolver, node->resolvers, node->n_resolvers))
		TAILQ_FOREACH (name, &names->list, entry)
			name->due_ms = 0;
	set_timer(names);
	return rc;
}

void
names_health_changed(struct names *names)
{
	bool changed = false;
	struct name *name;

	TAILQ_FOREACH (name, &names->list, entry) {
		if (!resolution_release(&name->resolution, is_healthy, name))
			continue;
		changed = true;
		event_log_about(EVENT_NAME_ADDRESSES_RELEASED, about(name).list,
		    "name %s of group %s: its former addresses are let "
		    "go",
		    name->host, name->group);
	}
	if (changed)
		names->owner.on_changed(names->owner.owner);
}

/* ---- life ------------------------------------------------------------- */

int
names_create(
    uv_loop_t *loop, const struct names_owner *owner, struct names **out)
{
	struct names *names = calloc(1, sizeof(*names));
	int rc;

	if (names == NULL)
		return -ENOMEM;
	rc = resolver_create(loop, &names->resolver);
	if (rc < 0) {
		free(names);
		return rc;
	}
	names->owner = *owner;
	names->loop = loop;
	TAILQ_INIT(&names->list);
	TAILQ_INIT(&names->forgotten);
	uv_timer_init(loop, &names->timer);
	names->timer.data = names;
	*out = names;
	return 0;
}

static void
free_list(struct name_list *list)
{
	struct name *name;

	while ((name = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, name, entry);
		free(name);
	}
}

static void
on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void
names_destroy(struct names *names)
{
	if (names == NULL)
		return;
	resolver_destroy(names->resolver);
	free_list(&names->list);
	free_list(&names->forgotten);
	uv_close((uv_handle_t *)&names->timer, on_timer_closed);
}
