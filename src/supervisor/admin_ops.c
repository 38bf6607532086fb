/* What the admin interface may ask of the daemon. */
#include <string.h>

#include "nlb/event.h"
#include "supervisor/daemon.h"

static const struct conf *
get_conf(void *owner)
{
	struct daemon *d = owner;

	return d->conf;
}

static void
get_status(void *owner, struct admin_status *out)
{
	struct daemon *d = owner;

	*out = (struct admin_status){
	    .config_path = d->options.config_path,
	    .config_generation = d->generation,
	    .config_hash = d->config_hash,
	    .config_loaded_ms = d->config_loaded_ms,
	    .runtime_changes = d->runtime_changes,
	    .last_reload = d->last_reload,
	    .last_reload_ms = d->last_reload_ms,
	    .last_reload_text = d->last_reload_text,
	    .start_ms = d->start_wall_ms,
	    .uptime_ms = daemon_now_ms(d) - d->start_ms,
	    .stopping = d->state >= DAEMON_DRAINING,
	    .drained = d->drained,
	    .worker_restarts = d->workers.restarts,
	    .reloads_accepted = d->n_reloads[ADMIN_VERDICT_ACCEPTED],
	    .reloads_rejected = d->n_reloads[ADMIN_VERDICT_REJECTED],
	    .flow_records_lost = d->flow_log.dropped,
	    .log_lines_lost = log_dropped(),
	};
}

static void
drain_node(void *owner, bool drained)
{
	struct daemon *d = owner;

	if (d->drained == drained)
		return;
	d->drained = drained;
	if (drained)
		event_log(EVENT_NODE_DRAINED,
		    "this node is drained: DNS shall leave it, new "
		    "connections are still served");
	else
		event_log(
		    EVENT_NODE_IN_SERVICE, "this node is in service again");
}

static void
each_worker(
    void *owner, void (*fn)(void *arg, const struct admin_worker *w), void *arg)
{
	struct daemon *d = owner;

	for (uint32_t i = 0; i < d->workers.n; i++) {
		const struct worker_process *w = &d->workers.list[i];
		struct admin_worker view = {
		    .index = i,
		    .pid = w->process != NULL ? w->process->pid : 0,
		    .state = worker_state_name(w->state),
		};

		if (w->block != NULL) {
			view.active_flows = sb_get(&w->block->active_flows);
			view.max_flows = atomic_load(&w->block->max_flows);
			view.generation = sb_get(&w->block->generation);
		}
		fn(arg, &view);
	}
}

static void
each_listener(void *owner,
    void (*fn)(void *arg, const struct admin_listener *l), void *arg)
{
	struct daemon *d = owner;

	for (size_t i = 0; i < d->sockets.n; i++) {
		const struct socket_set *set = &d->sockets.sets[i];
		struct sb_listener_sum sum;
		struct admin_listener view = {
		    .name = set->name,
		    .address = set->bound,
		    .slot = set->slot,
		    .kernel_filter = set->kernel_filter,
		    .filter_text = set->filter_text,
		    .filter_drops = sockets_dropped(set),
		};

		scoreboard_sum_listener(d->sb, set->slot, &sum);
		view.paused = sum.paused_workers > 0;
		fn(arg, &view);
	}
}

static void
each_target(
    void *owner, void (*fn)(void *arg, const struct admin_target *t), void *arg)
{
	struct daemon *d = owner;
	struct registered_target *t;

	TAILQ_FOREACH (t, &d->registry.targets, entry) {
		uint32_t flags = atomic_load(&d->sb->targets[t->slot].flags);
		struct admin_target view = {
		    .group = t->group,
		    .label = t->label,
		    .addr = t->addr,
		    .availability_zone = t->zone,
		    .slot = t->slot,
		    .check_port = t->check_port,
		    .health = &t->health,
		    .routable = (flags & SB_ROUTABLE) != 0,
		    .fail_open = (flags & SB_FAIL_OPEN) != 0,
		    .standby = t->standby,
		    .max_flows = t->max_flows,
		    .dns_name = t->dns_name,
		    .last_check = t->last_check,
		    .last_check_us = t->last_check_us,
		    .check_latency = &t->check_latency,
		    .check_results = t->check_results,
		};

		fn(arg, &view);
	}
}

static struct sb_target_sum
former_targets(void *owner, const char *group)
{
	struct daemon *d = owner;

	return traffic_former_targets(&d->traffic, group);
}

static struct admin_peaks
peaks(void *owner, uint16_t listener_slot)
{
	struct daemon *d = owner;
	const struct traffic_peaks *p =
	    listener_slot == SB_SLOT_NONE
		? &d->traffic.node
		: &d->traffic.listeners[listener_slot];

	return (struct admin_peaks){
	    .bytes_per_second = peak_per_second(&p->bytes),
	    .packets_per_second = peak_per_second(&p->packets),
	};
}

static void
each_name(
    void *owner, void (*fn)(void *arg, const struct admin_name *n), void *arg)
{
	struct daemon *d = owner;

	names_each(d->names, fn, arg);
}

static void
each_receiver(void *owner,
    void (*fn)(void *arg, const struct admin_receiver *r), void *arg)
{
	struct daemon *d = owner;

	notifications_each(d->notifications, fn, arg);
}

const char *
daemon_listener_name(void *owner, uint16_t slot)
{
	struct daemon *d = owner;

	if (slot >= SB_LISTENERS || d->listener_names[slot][0] == '\0')
		return NULL;
	return d->listener_names[slot];
}

const char *
daemon_target_group_name(void *owner, uint16_t target_slot)
{
	struct daemon *d = owner;
	const struct registered_target *t =
	    registry_find_slot(&d->registry, target_slot);

	return t != NULL ? t->group : NULL;
}

void
daemon_fill_ops(struct daemon *d, struct admin_ops *ops)
{
	*ops = (struct admin_ops){
	    .owner = d,
	    .scoreboard = d->sb,
	    .events = &d->events,
	    .history = &d->history,
	    .conf = get_conf,
	    .status = get_status,
	    .each_worker = each_worker,
	    .each_listener = each_listener,
	    .each_target = each_target,
	    .former_targets = former_targets,
	    .peaks = peaks,
	    .each_name = each_name,
	    .each_receiver = each_receiver,
	    .listener_name = daemon_listener_name,
	    .target_group_name = daemon_target_group_name,
	    .list_flows = daemon_list_flows,
	    .watch_flows = daemon_watch_flows,
	    .drain_node = drain_node,
	    .reload = daemon_reload,
	    .upgrade = upgrade_start,
	    .check = daemon_check,
	    .change = daemon_change,
	};
}
