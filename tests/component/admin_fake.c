/*
 * The answers of a daemon that is not there.
 */
#include "admin_fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"

static const struct conf *
fake_conf(void *owner)
{
	struct admin_fake *fake = owner;

	return &fake->conf;
}

static void
fake_status(void *owner, struct admin_status *out)
{
	struct admin_fake *fake = owner;

	*out = fake->status;
}

static void
fake_each_worker(
    void *owner, void (*fn)(void *arg, const struct admin_worker *w), void *arg)
{
	struct admin_fake *fake = owner;

	fn(arg, &fake->workers[0]);
	fn(arg, &fake->workers[1]);
}

static void
fake_each_listener(void *owner,
    void (*fn)(void *arg, const struct admin_listener *l), void *arg)
{
	struct admin_fake *fake = owner;

	fn(arg, &fake->shown_listeners[0]);
	fn(arg, &fake->shown_listeners[1]);
}

static void
fake_each_target(
    void *owner, void (*fn)(void *arg, const struct admin_target *t), void *arg)
{
	struct admin_fake *fake = owner;
	size_t i;

	for (i = 0; i < fake->n_targets; i++)
		fn(arg, &fake->targets[i]);
}

static struct sb_target_sum
fake_former_targets(void *owner, const char *group)
{
	struct admin_fake *fake = owner;

	return strcmp(group, fake->groups[1].name) == 0
		   ? fake->former_spare
		   : (struct sb_target_sum){0};
}

static struct admin_peaks
fake_peaks(void *owner, uint16_t listener_slot)
{
	struct admin_fake *fake = owner;

	return fake->peaks[listener_slot == SB_SLOT_NONE ? 2 : listener_slot];
}

static void
fake_each_name(
    void *owner, void (*fn)(void *arg, const struct admin_name *n), void *arg)
{
	struct admin_fake *fake = owner;
	size_t i;

	for (i = 0; i < fake->n_names; i++)
		fn(arg, &fake->names[i]);
}

static void
fake_each_receiver(void *owner,
    void (*fn)(void *arg, const struct admin_receiver *r), void *arg)
{
	struct admin_fake *fake = owner;

	fn(arg, &fake->receiver);
}

static const char *
fake_listener_name(void *owner, uint16_t slot)
{
	struct admin_fake *fake = owner;

	return slot < 2 ? fake->shown_listeners[slot].name : NULL;
}

static const char *
fake_target_group_name(void *owner, uint16_t target_slot)
{
	struct admin_fake *fake = owner;

	return target_slot < FAKE_TARGETS ? fake->targets[target_slot].group
					  : NULL;
}

static int
fake_verdict_op(struct admin_fake *fake, admin_verdict_cb cb, void *arg)
{
	if (fake->op_error != 0)
		return fake->op_error;
	fake->verdict_cb = cb;
	fake->cb_arg = arg;
	if (!fake->defer)
		admin_fake_complete(fake);
	return 0;
}

static void
fake_drain_node(void *owner, bool drained)
{
	struct admin_fake *fake = owner;

	fake->status.drained = drained;
}

static int
fake_reload(void *owner, admin_verdict_cb cb, void *arg)
{
	struct admin_fake *fake = owner;

	fake->n_reloads++;
	return fake_verdict_op(fake, cb, arg);
}

static int
fake_upgrade(void *owner, admin_verdict_cb cb, void *arg)
{
	return fake_verdict_op(owner, cb, arg);
}

static int
fake_check(void *owner, admin_verdict_cb cb, void *arg)
{
	struct admin_fake *fake = owner;

	fake->n_checks++;
	return fake_verdict_op(fake, cb, arg);
}

/* "register-targets smtp Id=10.0.0.1,Port=25 runtime" */
static int
fake_change(void *owner, const struct conf_change *wanted, bool runtime_only,
    char **text, admin_verdict_cb cb, void *arg)
{
	struct admin_fake *fake = owner;
	FILE *f = fmemopen(fake->changed, sizeof(fake->changed), "w");
	size_t i;

	if (f == NULL)
		return -ENOMEM;
	fprintf(f, "%s %s", conf_change_verb(wanted->kind), wanted->name);
	for (i = 0; i < wanted->n_targets; i++)
		fprintf(f, " %s", wanted->targets[i]);
	for (i = 0; i < wanted->n_settings; i++)
		fprintf(f, " %s=%s", wanted->settings[i].key,
		    wanted->settings[i].value);
	fprintf(f, "%s", runtime_only ? " runtime" : "");
	fclose(f);
	*text = fake->change_text == NULL ? NULL : strdup(fake->change_text);
	if (fake->change_error != 0)
		return fake->change_error;
	return fake_verdict_op(fake, cb, arg);
}

static int
fake_list_flows(void *owner, admin_flows_cb cb, void *arg)
{
	struct admin_fake *fake = owner;

	if (fake->op_error != 0)
		return fake->op_error;
	fake->flows_cb = cb;
	fake->cb_arg = arg;
	if (!fake->defer)
		admin_fake_complete(fake);
	return 0;
}

static const struct flow_ring *
fake_watch_flows(void *owner)
{
	struct admin_fake *fake = owner;

	return &fake->flow_ring;
}

void
admin_fake_complete(struct admin_fake *fake)
{
	admin_verdict_cb verdict_cb = fake->verdict_cb;
	admin_flows_cb flows_cb = fake->flows_cb;

	fake->verdict_cb = NULL;
	fake->flows_cb = NULL;
	if (verdict_cb != NULL)
		verdict_cb(fake->cb_arg, fake->accept, fake->verdict_text);
	if (flows_cb != NULL)
		flows_cb(fake->cb_arg, fake->flows, fake->n_flows,
		    fake->missing_workers);
}

bool
admin_fake_is_pending(const struct admin_fake *fake)
{
	return fake->verdict_cb != NULL || fake->flows_cb != NULL;
}

static void
parse_or_exit(const char *text, struct addr *out)
{
	if (addr_parse(text, out) == 0)
		return;
	fprintf(stderr, "admin_fake: bad address %s\n", text);
	exit(1);
}

static void
fill_conf(struct admin_fake *fake)
{
	snprintf(
	    fake->conf.lb.name, sizeof(fake->conf.lb.name), "smtp-submission");
	snprintf(fake->groups[0].name, sizeof(fake->groups[0].name),
	    "internal-smtp");
	snprintf(fake->groups[1].name, sizeof(fake->groups[1].name), "spare");
	snprintf(fake->listeners[0].name, sizeof(fake->listeners[0].name),
	    "submission");
	snprintf(
	    fake->listeners[1].name, sizeof(fake->listeners[1].name), "inside");
	fake->listeners[0].n_forwards = 1;
	fake->listeners[1].n_forwards = 1;
	fake->listeners[0].forwards[0].weight = 1;
	fake->listeners[1].forwards[0].weight = 1;
	fake->listeners[1].security_groups_none = true;
	fake->conf.listeners = fake->listeners;
	fake->conf.n_listeners = 2;
	fake->conf.target_groups = fake->groups;
	fake->conf.n_target_groups = 2;
}

static void
fill_targets(struct admin_fake *fake, uint64_t now_ms)
{
	static const char *const addresses[FAKE_TARGETS] = {"10.20.0.25:587",
	    "10.20.0.26:587", "[fd00::27]:2587", "10.20.0.28:587"};
	static const char *const labels[FAKE_TARGETS] = {
	    "mail-1", "mail-2", "mail-3", "spare-1"};
	struct admin_target *t;
	size_t i;

	fake->n_targets = FAKE_TARGETS;
	for (i = 0; i < FAKE_TARGETS; i++) {
		t = &fake->targets[i];
		t->group = fake->groups[i == 3].name;
		t->label = labels[i];
		parse_or_exit(addresses[i], &t->addr);
		t->check_port = t->addr.port;
		t->availability_zone = i == 1 ? "" : "all";
		t->slot = (uint16_t)i;
		t->health = &fake->health[i];
		t->routable = i != 3;
		t->max_flows = i == 1 ? 500 : CONF_NO_LIMIT;
		t->dns_name = "";
		t->last_check = i == 3 ? "" : "connected";
		t->last_check_us = i == 3 ? 0 : 412;
		t->check_latency = &fake->check_latency[i];
		t->check_results = fake->check_results[i];
		fake->health[i].state = i == 3 ? TARGET_UNUSED : TARGET_HEALTHY;
		fake->health[i].reason =
		    i == 3 ? TARGET_REASON_NOT_IN_USE : TARGET_REASON_NONE;
		fake->health[i].since_ms =
		    now_ms > 192000 ? now_ms - 192000 : 0;
		fake->health[i].successes = 5;
	}
}

static void
fill_flows(struct admin_fake *fake)
{
	struct flow_record *f;
	char client[32];
	size_t i;

	fake->n_flows = FAKE_FLOWS;
	for (i = 0; i < FAKE_FLOWS; i++) {
		f = &fake->flows[i];
		f->id = i + 1;
		f->start_us = 1785578400000000 + i * 1000;
		f->duration_us = 192345678 >> i;
		f->connect_us = i == 2 ? 0 : 412;
		f->listener_slot = (uint16_t)(i % 2);
		f->target_slot = i == 2 ? FLOW_SLOT_NONE : (uint16_t)i;
		snprintf(client, sizeof(client), "203.0.113.10:4000%zu", i);
		parse_or_exit(client, &f->client);
		parse_or_exit("192.0.2.1:587", &f->listener);
		if (i != 2)
			f->target = fake->targets[i].addr;
		f->client_to_target_bytes = 48123456 >> (8 * i);
		f->target_to_client_bytes = 1234 >> (4 * i);
		f->state = i == 2 ? FLOW_CONNECTING : FLOW_ESTABLISHED;
		f->retries = i == 1 ? 1 : 0;
		f->worker = (uint8_t)(i % 2);
	}
}

static void
fill_counters(struct admin_fake *fake, uint64_t now_ms)
{
	struct sb_block *block;

	if (scoreboard_create(&fake->scoreboard, &fake->scoreboard_fd) != 0) {
		fprintf(stderr, "admin_fake: no scoreboard\n");
		exit(1);
	}
	block = scoreboard_take(fake->scoreboard, 0, now_ms);
	if (block == NULL)
		exit(1);
	sb_add(&block->active_flows, 3);
	sb_add(&block->listeners[0].active_flows, 2);
	sb_add(&block->listeners[0].new_flows, 1234);
	sb_add(&block->listeners[0].client_to_target_bytes, 48123456);
	sb_add(&block->listeners[0].target_to_client_bytes, 1234);
	sb_add(&block->listeners[0].paused, 2);
	sb_add(&block->targets[0].active_flows, 1);
	sb_add(&block->targets[0].new_flows, 1203);
	sb_add(&block->ends[FLOW_END_CLIENT_FIN], 1203);
	sb_add(&block->ends[FLOW_END_IDLE_TIMEOUT], 12);
}

static void
fill_processes(struct admin_fake *fake)
{
	struct admin_listener *l;
	size_t i;

	fake->status = (struct admin_status){
	    .config_path = "/etc/nlbd/nlbd.ini",
	    .config_generation = 2,
	    .config_hash = 0xabc,
	    .config_loaded_ms = 1785578400000,
	    .last_reload = ADMIN_VERDICT_ACCEPTED,
	    .last_reload_ms = 1785578400000,
	    .last_reload_text = "1 target added",
	    .start_ms = 1785578100000,
	    .uptime_ms = 492000,
	};
	for (i = 0; i < 2; i++) {
		fake->workers[i] = (struct admin_worker){
		    .index = (uint32_t)i,
		    .pid = 812 + (int32_t)i,
		    .state = "serving",
		    .active_flows = 2 - i,
		    .max_flows = 9800,
		    .generation = 2,
		};
		l = &fake->shown_listeners[i];
		l->name = fake->listeners[i].name;
		l->slot = (uint16_t)i;
		parse_or_exit(
		    i == 0 ? "0.0.0.0:587" : "[::]:2587", &l->address);
		l->kernel_filter = i == 0;
		l->filter_text =
		    i == 0 ? "2 ranges in the kernel" : "open to every source";
		l->filter_drops = i == 0 ? 17 : 0;
	}
}

void
admin_fake_init(struct admin_fake *fake, uint64_t now_ms)
{
	memset(fake, 0, sizeof(*fake));
	fake->ops = (struct admin_ops){
	    .owner = fake,
	    .events = &fake->events,
	    .history = &fake->history,
	    .conf = fake_conf,
	    .status = fake_status,
	    .each_worker = fake_each_worker,
	    .each_listener = fake_each_listener,
	    .each_target = fake_each_target,
	    .former_targets = fake_former_targets,
	    .peaks = fake_peaks,
	    .each_name = fake_each_name,
	    .each_receiver = fake_each_receiver,
	    .listener_name = fake_listener_name,
	    .target_group_name = fake_target_group_name,
	    .list_flows = fake_list_flows,
	    .watch_flows = fake_watch_flows,
	    .drain_node = fake_drain_node,
	    .reload = fake_reload,
	    .upgrade = fake_upgrade,
	    .check = fake_check,
	    .change = fake_change,
	};
	fake->receiver = (struct admin_receiver){.name = "alerts",
	    .error = "",
	    .n_sent = 5,
	    .n_failed = 2,
	    .n_dropped = 1};
	fake->accept = true;
	fake->verdict_text = "1 listener, 2 target groups, 4 targets";
	fill_conf(fake);
	fill_targets(fake, now_ms);
	fill_flows(fake);
	fill_processes(fake);
	fill_counters(fake, now_ms);
	fake->ops.scoreboard = fake->scoreboard;
}

void
admin_fake_fini(struct admin_fake *fake)
{
	scoreboard_detach(fake->scoreboard);
	close(fake->scoreboard_fd);
}

void
admin_fake_event(struct admin_fake *fake, uint64_t wall_ms, enum event event,
    const char *text)
{
	events_add(&fake->events, wall_ms,
	    &(struct log_entry){.kind = *event_kind(event), .text = text});
}
