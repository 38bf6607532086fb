/*
 * What may be asked of the names: the addresses for a config, and how each
 * name is doing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nlb/event.h"
#include "supervisor/names_internal.h"

uint64_t
names_now_ms(void)
{
	return uv_hrtime() / 1000000;
}

uint8_t
names_family(const struct conf_target_group *group)
{
	return group->ip_address_type == CONF_IPV6 ? ADDR_IPV6 : ADDR_IPV4;
}

struct name *
names_find(const struct names *names, const char *group, const char *host,
    uint16_t port, uint8_t family)
{
	struct name *name;

	TAILQ_FOREACH (name, &names->list, entry)
		if (name->port == port && name->family == family &&
		    strcmp(name->host, host) == 0 &&
		    strcmp(name->group, group) == 0)
			return name;
	return NULL;
}

struct name *
names_find_line(const struct names *names,
    const struct conf_target_group *group, const struct conf_dns_target *t)
{
	return names_find(names, group->name, t->host, t->target.addr.port,
	    names_family(group));
}

struct addr
name_target_at(const struct name *name, const struct addr *a)
{
	struct addr target = *a;

	target.port = name->port;
	return target;
}

/* Is it an address of this machine? From there the way to it begins with it.
 * Connecting a datagram socket sends nothing. */
static bool
is_local(const struct addr *target)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(target, &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct addr source = {0};

	if (fd == -1)
		return false;
	if (connect(fd, (struct sockaddr *)&sa, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
		addr_from_sockaddr((struct sockaddr *)&sa, &source);
	close(fd);
	return addr_ip_equal(&source, target);
}

static bool
is_port_of_a_listener(const struct conf *conf, uint16_t port)
{
	for (size_t i = 0; i < conf->n_listeners; i++)
		if (conf->listeners[i].port == port)
			return true;
	return false;
}

const char *
names_refusal(const struct conf *conf, const struct conf_target_group *group,
    const struct addr *target)
{
	return conf_dns_refusal(conf, group, target,
	    is_port_of_a_listener(conf, target->port) && is_local(target));
}

static size_t
collect_name(const struct names *names, const struct conf *conf,
    struct conf_resolved at, struct conf_resolved *list)
{
	const struct conf_target_group *g = &conf->target_groups[at.group];
	const struct name *name =
	    names_find_line(names, g, &g->dns_targets[at.target]);
	size_t n = 0;

	if (name == NULL)
		return 0;
	for (size_t i = 0; i < name->resolution.n_answer; i++) {
		at.addr = name_target_at(name, &name->resolution.answer[i]);
		if (names_refusal(conf, g, &at.addr) == NULL)
			list[n++] = at;
	}
	for (size_t i = 0; i < name->resolution.n_kept; i++) {
		at.addr = name_target_at(name, &name->resolution.kept[i]);
		if (names_refusal(conf, g, &at.addr) == NULL)
			list[n++] = at;
	}
	return n;
}

/* Addresses beyond CONF_TARGETS_MAX have no place. */
static size_t
cut(struct names *names, const struct conf *conf, size_t n)
{
	size_t room = CONF_TARGETS_MAX;

	for (size_t i = 0; i < conf->n_target_groups; i++)
		room -= conf_written_targets(&conf->target_groups[i]);
	if (n <= room)
		return n;
	if (names->cut_logged_ms == 0 ||
	    names_now_ms() - names->cut_logged_ms >= REPEAT_LOG_MS) {
		event_log(EVENT_NAME_ADDRESSES_TOO_MANY,
		    "%zu addresses of names are left out: all groups "
		    "together take %d targets",
		    n - room, CONF_TARGETS_MAX);
		names->cut_logged_ms = names_now_ms();
	}
	return room;
}

int
names_collect(struct names *names, const struct conf *conf,
    struct conf_resolved **list, size_t *n)
{
	size_t most = 2 * CONF_DNS_ADDRESSES_MAX * conf_count_dns_targets(conf);

	*n = 0;
	*list = calloc(most + 1, sizeof(**list));
	if (*list == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < conf->n_target_groups; i++) {
		const struct conf_target_group *g = &conf->target_groups[i];

		for (uint32_t j = 0; j < g->n_dns_targets; j++) {
			const struct conf_resolved at = {
			    .group = i, .target = j};

			*n += collect_name(names, conf, at, *list + *n);
		}
	}
	*n = cut(names, conf, *n);
	return 0;
}

void
names_each(const struct names *names,
    void (*fn)(void *arg, const struct admin_name *name), void *arg)
{
	const struct conf *conf = names->conf;
	uint64_t now = names_now_ms();

	for (size_t i = 0; conf != NULL && i < conf->n_target_groups; i++) {
		const struct conf_target_group *g = &conf->target_groups[i];

		for (size_t j = 0; j < g->n_dns_targets; j++) {
			const struct conf_dns_target *t = &g->dns_targets[j];
			const struct name *name = names_find_line(names, g, t);
			struct admin_name view = {.group = g->name,
			    .label = t->target.label,
			    .host = t->host,
			    .port = t->target.addr.port};

			if (name == NULL)
				continue;
			view.addresses = name->resolution.answer;
			view.n_addresses = name->resolution.n_answer;
			view.kept = name->resolution.kept;
			view.n_kept = name->resolution.n_kept;
			view.refused = name->refusals;
			view.error = name->error;
			view.failures = name->resolution.failures;
			view.last_answer_ms = name->last_answer_ms;
			view.next_ms = !name->asking && name->due_ms > now
					   ? name->due_ms - now
					   : 0;
			fn(arg, &view);
		}
	}
}
