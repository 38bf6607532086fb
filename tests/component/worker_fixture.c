/* A worker under test; see worker_fixture.h. */
#include "worker_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "support/loop_support.h"
#include "worker/listener.h"

static void
on_log(void *arg, const struct log_entry *entry)
{
	struct rig *r = arg;

	snprintf(r->logs[r->n_logs++ % 16], LOG_LINE_MAX, "%s", entry->text);
}

bool
rig_logged(const struct rig *r, const char *part)
{
	for (size_t i = 0; i < 16; i++)
		if (strstr(r->logs[i], part) != NULL)
			return true;
	return false;
}

/* ---- messages from the worker ----------------------------------------- */

static void
take_list(struct rig *r, const struct channel_message *m)
{
	const struct channel_flows *head = m->payload;

	if (m->size != sizeof(*head) + head->n * sizeof(r->listed[0]))
		return;
	r->n_list_messages++;
	r->list_request = head->request;
	memcpy(
	    &r->listed[r->n_listed], head + 1, head->n * sizeof(r->listed[0]));
	r->n_listed += head->n;
	r->list_complete = head->last != 0;
}

static void
on_message(void *arg, struct channel_message *m)
{
	struct rig *r = arg;

	switch (m->type) {
	case CHANNEL_READY:
		memcpy(&r->ready, m->payload, sizeof(r->ready));
		break;
	case CHANNEL_CONFIG_ERROR:
		snprintf(r->error, sizeof(r->error), "%.*s",
		    (int)(m->size - sizeof(uint64_t)),
		    (const char *)m->payload + sizeof(uint64_t));
		break;
	case CHANNEL_FLOW_RECORDS:
		memcpy(&r->ends[r->n_ends], m->payload, m->size);
		r->n_ends += m->size / sizeof(r->ends[0]);
		r->n_end_messages++;
		break;
	case CHANNEL_FLOWS:
		take_list(r, m);
		break;
	default:
		break;
	}
}

static void
on_closed(void *arg)
{
	struct rig *r = arg;

	r->channel_lost = true;
}

/* ---- setup and teardown ----------------------------------------------- */

int
rig_setup(void **state)
{
	int fds[2], sb_fd;
	struct rig *r;
	uv_loop_t first;

	fault_reset();
	/* Past what the last test logged: no message is one too many. */
	fault_skip_clock(20000);
	/* libuv keeps a pipe of its first loop for ever. */
	uv_loop_init(&first);
	uv_loop_close(&first);
	r = calloc(1, sizeof(*r));
	r->worker = malloc(sizeof(*r->worker));
	r->descriptors = count_descriptors();
	r->max_flows = CONF_AUTO;
	log_set_sink(on_log, r);
	assert_i64(scoreboard_create(&r->sb, &sb_fd), 0);
	close(sb_fd);
	r->block = scoreboard_take(r->sb, 7, 0);
	assert_i64(channel_pair(fds), 0);
	uv_loop_init(&r->loop);
	assert_i64(channel_open(
		       &r->loop, fds[0], on_message, on_closed, r, &r->channel),
	    0);
	assert_i64(worker_init(r->worker, r->sb, 0, fds[1]), 0);
	*state = r;
	return 0;
}

/* Everything that counts what there is now. */
static void
expect_gauges_at_zero(const struct sb_block *b)
{
	uint64_t targets = 0, listeners = 0, sources = 0;

	for (size_t i = 0; i < SB_TARGETS; i++)
		targets |= sb_get(&b->targets[i].active_flows);
	for (size_t i = 0; i < SB_LISTENERS; i++)
		listeners |= sb_get(&b->listeners[i].active_flows) |
			     sb_get(&b->listeners[i].paused_workers);
	for (size_t i = 0; i < SB_SOURCES; i++)
		sources |= atomic_load(&b->sources[i]);
	assert_u64(targets, 0);
	assert_u64(listeners, 0);
	assert_u64(sources, 0);
	assert_u64(sb_get(&b->active_flows), 0);
	assert_u64(sb_get(&b->paused_listeners), 0);
}

int
rig_teardown(void **state)
{
	struct rig *r = *state;

	fault_reset();
	log_set_sink(on_log, r);
	worker_fini(r->worker);
	if (r->channel != NULL)
		channel_close(r->channel);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	assert_i64(uv_loop_close(&r->loop), 0);
	for (size_t i = 0; i < r->n_listeners; i++)
		close(r->listeners[i].fd);
	for (size_t i = 0; i < r->n_targets; i++)
		if (r->targets[i].fd != -1)
			close(r->targets[i].fd);
	log_set_sink(NULL, NULL);
	expect_gauges_at_zero(r->block);
	assert_u64(r->worker->n_flows, 0);
	assert_u64(r->worker->pipes.n_lent, 0);
	assert_u64(r->worker->budget.used, r->worker->budget.base);
	scoreboard_detach(r->sb);
	assert_i64(count_descriptors(), r->descriptors);
	free(r->worker);
	free(r);
	return 0;
}

void
rig_turn(struct rig *r)
{
	if (!r->worker->poller.stopped)
		poller_turn(&r->worker->poller, 2);
	uv_run(&r->loop, UV_RUN_NOWAIT);
}

/* ---- config ----------------------------------------------------------- */

size_t
rig_add_target(struct rig *r, int backlog)
{
	struct rig_target *t = &r->targets[r->n_targets];

	t->slot = (uint16_t)(RIG_FIRST_TARGET_SLOT + r->n_targets);
	t->fd = listen_on("127.0.0.1", backlog, &t->addr);
	assert_true(t->fd != -1);
	rig_set_flags(r, r->n_targets, SB_ROUTABLE);
	return r->n_targets++;
}

size_t
rig_add_closed_target(struct rig *r)
{
	size_t i = rig_add_target(r, 1);

	close(r->targets[i].fd);
	/* Bound, so that nobody else gets the port; not listening. */
	r->targets[i].fd = reserve_port(&r->targets[i].addr);
	return i;
}

const char *
rig_target_lines(struct rig *r)
{
	static char text[RIG_TARGETS * 64];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < r->n_targets; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "Target.t%zu = Id=127.0.0.1,Port=%u\n", i,
		    r->targets[i].addr.port);
	return text;
}

static uint16_t
slot_of_target(struct rig *r, const struct addr *a)
{
	for (size_t i = 0; i < r->n_targets; i++)
		if (addr_equal(&r->targets[i].addr, a))
			return r->targets[i].slot;
	fail_msg("a target that the test does not know");
	return 0;
}

static size_t
listener_of_name(struct rig *r, const char *name)
{
	struct rig_listener *l;
	int on = 1;

	for (size_t i = 0; i < r->n_listeners; i++)
		if (strcmp(r->listeners[i].name, name) == 0)
			return i;
	l = &r->listeners[r->n_listeners];
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->fd = listen_on(peer_ip(), 4096, &l->addr);
	assert_true(l->fd != -1);
	setsockopt(l->fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	return r->n_listeners++;
}

/* The message behind its head; its size. */
static size_t
write_slots(
    struct rig *r, const struct conf *conf, char *p, int *fds, size_t *n_fds)
{
	bool named[RIG_LISTENERS] = {false};
	char *start = p;

	for (size_t g = 0; g < conf->n_target_groups; g++)
		for (size_t i = 0; i < conf->target_groups[g].n_targets; i++) {
			uint16_t slot = slot_of_target(
			    r, &conf->target_groups[g].targets[i].addr);

			memcpy(p, &slot, sizeof(slot));
			p += sizeof(slot);
		}
	for (size_t i = 0; i < conf->n_listeners; i++) {
		size_t at = listener_of_name(r, conf->listeners[i].name);
		struct rig_listener *l = &r->listeners[at];
		struct channel_listener cl = {
		    .slot = (uint16_t)at, .has_fd = !l->sent};

		if (cl.has_fd)
			fds[(*n_fds)++] = l->fd;
		named[at] = true;
		memcpy(p, &cl, sizeof(cl));
		p += sizeof(cl);
	}
	for (size_t i = 0; i < r->n_listeners; i++)
		r->listeners[i].sent = named[i];
	return (size_t)(p - start);
}

static int
make_memfd(const char *text)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	assert_true(fd != -1);
	assert_i64(write(fd, text, strlen(text)), (int64_t)strlen(text));
	return fd;
}

void
rig_send_config(struct rig *r, const char *text)
{
	static char message[CHANNEL_MESSAGE_MAX];
	struct conf_options options = {0};
	struct conf_diags diags = {0};
	struct channel_config head;
	struct conf *conf;
	int fds[1 + RIG_LISTENERS];
	size_t n_fds = 1, size;

	if (conf_parse(text, strlen(text), &options, &conf, &diags) < 0) {
		conf_diags_print(&diags, "config", stderr);
		fail_msg("the test's config is wrong");
	}
	conf_diags_fini(&diags);
	head = (struct channel_config){
	    .generation = ++r->generation,
	    .conf_size = (uint32_t)strlen(text),
	    .n_listeners = (uint32_t)conf->n_listeners,
	    .max_flows = r->max_flows,
	    .max_flows_per_source = r->max_flows_per_source,
	};
	for (size_t g = 0; g < conf->n_target_groups; g++)
		head.n_targets += (uint32_t)conf->target_groups[g].n_targets;
	memcpy(message, &head, sizeof(head));
	size = sizeof(head) +
	       write_slots(r, conf, message + sizeof(head), fds, &n_fds);
	fds[0] = make_memfd(text);
	assert_i64(
	    channel_send(r->channel, CHANNEL_CONFIG, message, size, fds, n_fds),
	    0);
	close(fds[0]);
	conf_destroy(conf);
}

void
rig_apply(struct rig *r, const char *text)
{
	rig_send_config(r, text);
	RIG_WAIT(r, r->ready == r->generation || r->error[0] != '\0');
	assert_str(r->error, "");
}

void
rig_apply_keys(struct rig *r, const char *listener_keys, const char *group_keys,
    const char *more_sections)
{
	char text[8192];

	snprintf(text, sizeof(text),
	    "[load-balancer]\nName = test\n"
	    "[listener in]\nPort = 587\nDefaultActions = forward:smtp\n%s"
	    "[target-group smtp]\nPort = 587\n%s%s"
	    "%s[node]\nFlowLog = %s\n",
	    listener_keys[0] != '\0' ? listener_keys
				     : "SecurityGroups = none\n",
	    group_keys, rig_target_lines(r), more_sections,
	    r->flow_log_off ? "off" : "stderr");
	rig_apply(r, text);
}

void
rig_send(
    struct rig *r, enum channel_type type, const void *payload, size_t size)
{
	assert_i64(channel_send(r->channel, type, payload, size, NULL, 0), 0);
}

void
rig_end_flows(struct rig *r, size_t target, enum flow_end_reason reason)
{
	struct channel_end_flows m = {
	    .target_slot = r->targets[target].slot, .reason = (uint16_t)reason};

	rig_send(r, CHANNEL_END_FLOWS, &m, sizeof(m));
}

void
rig_set_flags(struct rig *r, size_t target, uint32_t flags)
{
	atomic_store(
	    &r->sb->targets[RIG_FIRST_TARGET_SLOT + target].flags, flags);
}

/* ---- peers ------------------------------------------------------------ */

int
rig_connect(struct rig *r)
{
	return peer_connect(&r->listeners[0].addr);
}

int
rig_accept(struct rig *r, size_t target)
{
	int fd;

	RIG_WAIT(r, (fd = peer_accept(r->targets[target].fd)) != -1);
	return fd;
}

struct rig_flow
rig_open(struct rig *r)
{
	struct rig_flow f = {.client = rig_connect(r)};

	f.target = rig_accept(r, 0);
	RIG_WAIT(r, rig_flow(r)->state == FLOW_ESTABLISHED);
	return f;
}

void
rig_read(struct rig *r, int fd, char *bytes, size_t size)
{
	size_t got = 0;

	WAIT_UNTIL(got == size, {
		size_t n = size - got;

		rig_turn(r);
		switch (peer_read(fd, bytes + got, &n)) {
		case PEER_FIN:
			fail_msg("FIN after %zu of %zu bytes", got, size);
			break;
		case PEER_RST:
			fail_msg("RST after %zu of %zu bytes", got, size);
			break;
		case PEER_DATA:
		case PEER_NOTHING:
			got += n;
			break;
		}
	});
}

void
rig_expect(struct rig *r, int fd, const char *text)
{
	char bytes[256] = "";

	rig_read(r, fd, bytes, strlen(text));
	assert_str(bytes, text);
}

enum peer_event
rig_read_end(struct rig *r, int fd)
{
	enum peer_event e = PEER_NOTHING;

	WAIT_UNTIL(e == PEER_FIN || e == PEER_RST, {
		char byte;
		size_t n = 1;

		rig_turn(r);
		e = peer_read(fd, &byte, &n);
		if (e == PEER_DATA)
			fail_msg("a byte where the end should be");
	});
	return e;
}

struct flow *
rig_flow(struct rig *r)
{
	return TAILQ_LAST(&r->worker->flows, flow_list);
}

const struct flow_record *
rig_only_end(struct rig *r)
{
	RIG_WAIT(r, r->n_ends > 0);
	rig_turn(r);
	assert_u64(r->n_ends, 1);
	assert_u64(sb_get(&r->block->ends[r->ends[0].reason]), 1);
	return &r->ends[0];
}
