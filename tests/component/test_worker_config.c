/* worker/worker_config: reloads, and messages that are not to be trusted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"
#include "support/loop_support.h"
#include "worker/listener.h"
#include "worker_fixture.h"

#define LISTENER(name, port, group)                                     \
	"[listener " name "]\nPort = " port "\nSecurityGroups = none\n" \
	"DefaultActions = forward:" group "\n"
#define GROUP(name) "[target-group " name "]\nPort = 25\n"

/* Two targets, each in a group of its own. */
static void
two_groups(struct rig *r, const char *listeners)
{
	char text[2048];

	snprintf(text, sizeof(text),
	    "[node]\nFlowLog = stderr\n%s"
	    "[target-group a]\nPort = 25\nTarget.a = Id=127.0.0.1,Port=%u\n"
	    "[target-group b]\nPort = 25\nTarget.b = Id=127.0.0.1,Port=%u\n",
	    listeners, r->targets[0].addr.port, r->targets[1].addr.port);
	rig_apply(r, text);
}

static void
a_config_in_force_is_said(void **state)
{
	struct rig *r = *state;

	assert_i64(atomic_load(&r->block->state), SB_BLOCK_STARTING);
	rig_apply_keys(r, "", "", "");
	assert_u64(r->ready, 1);
	assert_u64(sb_get(&r->block->generation), 1);
	assert_i64(atomic_load(&r->block->state), SB_BLOCK_SERVING);
	rig_apply_keys(r, "", "", "");
	assert_u64(sb_get(&r->block->generation), 2);
}

static void
a_listener_may_change_its_group_while_flows_live(void **state)
{
	struct rig *r = *state;
	struct rig_flow old, new;

	rig_add_target(r, 8);
	rig_add_target(r, 8);
	two_groups(r, LISTENER("in", "587", "a"));
	old = rig_open(r);
	two_groups(r, LISTENER("in", "587", "b"));
	new.client = rig_connect(r);
	new.target = rig_accept(r, 1);
	peer_send_all(new.client, "new", 3);
	rig_expect(r, new.target, "new");
	peer_send_all(old.client, "old", 3);
	rig_expect(r, old.target, "old");
	assert_u64(sb_get(&r->block->targets[10].active_flows), 1);
	assert_u64(sb_get(&r->block->targets[11].active_flows), 1);
	close(old.client);
	close(old.target);
	close(new.client);
	close(new.target);
}

/* The flow's target went with the old group; the new group is asked next. */
static void
a_connecting_flow_survives_the_change_of_its_group(void **state)
{
	struct rig *r = *state;
	struct black_hole hole;
	struct rig_flow f;

	rig_add_target(r, 8);
	rig_add_target(r, 8);
	assert_true(black_hole_open(&hole));
	r->targets[0].addr = hole.addr;
	two_groups(r, LISTENER("in", "587", "a"));
	f.client = rig_connect(r);
	RIG_WAIT(r, rig_flow(r) != NULL);
	two_groups(r, LISTENER("in", "587", "b"));
	fault_skip_clock(3000 + WHEEL_TICK_MS);
	f.target = rig_accept(r, 1);
	peer_send_all(f.client, "EHLO", 4);
	rig_expect(r, f.target, "EHLO");
	close(f.client);
	close(f.target);
	black_hole_close(&hole);
}

static void
flows_of_a_removed_listener_live_on(void **state)
{
	struct rig *r = *state;
	struct rig_flow f;
	int late;

	rig_add_target(r, 8);
	rig_add_target(r, 8);
	two_groups(r, LISTENER("in", "587", "a") LISTENER("other", "25", "b"));
	f = rig_open(r);
	two_groups(r, LISTENER("other", "25", "b"));
	assert_null(listener_find(r->worker, 0));
	assert_non_null(listener_find(r->worker, 1));
	late = rig_connect(r);
	peer_send_all(f.client, "NOOP", 4);
	rig_expect(r, f.target, "NOOP");
	for (int i = 0; i < 10; i++)
		rig_turn(r);
	assert_u64(r->worker->n_flows, 1);
	peer_fin(f.client);
	peer_fin(f.target);
	assert_i64(rig_only_end(r)->reason, FLOW_END_CLIENT_FIN);
	assert_i64(rig_only_end(r)->listener_slot, 0);
	close(f.client);
	close(f.target);
	close(late);
}

static void
a_listener_may_come_back(void **state)
{
	struct rig *r = *state;

	rig_add_target(r, 8);
	rig_add_target(r, 8);
	two_groups(r, LISTENER("in", "587", "a"));
	two_groups(r, LISTENER("other", "25", "b"));
	assert_null(listener_find(r->worker, 0));
	two_groups(r, LISTENER("in", "587", "a"));
	{
		struct rig_flow f = rig_open(r);

		close(f.client);
		close(f.target);
	}
}

static void
two_listeners_serve_their_own_groups(void **state)
{
	struct rig *r = *state;
	int clients[2];

	rig_add_target(r, 8);
	rig_add_target(r, 8);
	two_groups(r, LISTENER("in", "587", "a") LISTENER("other", "25", "b"));
	for (size_t i = 0; i < 2; i++) {
		clients[i] = peer_connect(&r->listeners[i].addr);
		close(rig_accept(r, i));
		assert_u64(sb_get(&r->block->listeners[i].new_flows), 1);
		close(clients[i]);
	}
}

/* ---- messages --------------------------------------------------------- */

/* A message as it should be, to be spoilt: one listener, one target. */
struct message {
	struct channel_config head;
	uint16_t target_slots[1];
	struct channel_listener listener;
};

/* Without the padding at its end. */
#define MESSAGE_SIZE \
	(offsetof(struct message, listener) + sizeof(struct channel_listener))

static const char config[] =
    LISTENER("in", "587", "g") GROUP("g") "Target.a = Id=127.0.0.1\n";

static struct message
sound_message(void)
{
	return (struct message){
	    .head = {.generation = 9,
		.conf_size = sizeof(config) - 1,
		.n_targets = 1,
		.n_listeners = 1},
	    .target_slots = {10},
	    .listener = {.slot = 0, .has_fd = 1},
	};
}

/* Sends size bytes of m, a memfd with text_size bytes of text, and a listening
 * socket unless n_fds is less than 2. */
static void
send_bytes(struct rig *r, const void *m, size_t size, const char *text,
    size_t text_size, size_t n_fds)
{
	struct addr addr;
	int fds[3] = {memfd_create("config", MFD_CLOEXEC),
	    listen_on("127.0.0.1", 8, &addr), listen_on("127.0.0.1", 8, &addr)};

	assert_i64(write(fds[0], text, text_size), (int64_t)text_size);
	r->error[0] = '\0';
	r->ready = 0;
	assert_i64(
	    channel_send(r->channel, CHANNEL_CONFIG, m, size, fds, n_fds), 0);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	RIG_WAIT(r, r->error[0] != '\0' || r->ready != 0);
}

static void
send_message(
    struct rig *r, const void *m, size_t size, const char *text, size_t n_fds)
{
	send_bytes(r, m, size, text, strlen(text), n_fds);
}

static void
expect_error(struct rig *r, int err)
{
	assert_str(r->error, strerror(err));
	assert_u64(r->ready, 0);
	assert_u64(sb_get(&r->block->generation), 0);
}

static void
the_sound_message_is_taken(void **state)
{
	struct message m = sound_message();

	send_message(*state, &m, MESSAGE_SIZE, config, 2);
	assert_u64(((struct rig *)*state)->ready, 9);
}

static void
every_wrong_size_is_refused(void **state)
{
	struct message m[2] = {sound_message(), sound_message()};

	for (size_t size = 0; size < MESSAGE_SIZE + 8; size++) {
		if (size == MESSAGE_SIZE)
			continue;
		send_message(*state, m, size, config, 2);
		expect_error(*state, EPROTO);
	}
}

static void
every_wrong_number_of_descriptors_is_refused(void **state)
{
	struct message m = sound_message();

	send_message(*state, &m, MESSAGE_SIZE, config, 0);
	expect_error(*state, EPROTO);
	send_message(*state, &m, MESSAGE_SIZE, config, 1);
	expect_error(*state, EPROTO);
	send_message(*state, &m, MESSAGE_SIZE, config, 3);
	expect_error(*state, EPROTO);
}

static void
huge_counts_are_refused(void **state)
{
	static const uint32_t counts[] = {0, 2, CONF_TARGETS_MAX + 1,
	    0x80000000, 0x7fffffff, UINT32_MAX, UINT32_MAX - 1};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct message m = sound_message();

		m.head.n_targets = counts[i];
		send_message(*state, &m, MESSAGE_SIZE, config, 2);
		expect_error(*state, EPROTO);
		m = sound_message();
		m.head.n_listeners = counts[i];
		send_message(*state, &m, MESSAGE_SIZE, config, 2);
		expect_error(*state, EPROTO);
	}
}

static void
slots_beyond_the_scoreboard_are_refused(void **state)
{
	struct message m = sound_message();

	m.target_slots[0] = SB_TARGETS;
	send_message(*state, &m, MESSAGE_SIZE, config, 2);
	expect_error(*state, EPROTO);
	m = sound_message();
	m.listener.slot = SB_LISTENERS;
	send_message(*state, &m, MESSAGE_SIZE, config, 2);
	expect_error(*state, EPROTO);
}

static void
a_socket_that_the_worker_does_not_have_is_refused(void **state)
{
	struct message m = sound_message();

	m.listener.has_fd = 0;
	send_message(*state, &m, MESSAGE_SIZE, config, 1);
	expect_error(*state, EPROTO);
}

static void
counts_that_do_not_fit_the_config_are_refused(void **state)
{
	static const char *const texts[] = {LISTENER("in", "587", "g")
						GROUP("g"),
	    LISTENER("in", "587", "g") LISTENER("out", "588", "g")
		GROUP("g") "Target.a = Id=127.0.0.1\n"};

	for (size_t i = 0; i < 2; i++) {
		struct message m = sound_message();

		m.head.conf_size = (uint32_t)strlen(texts[i]);
		send_message(*state, &m, MESSAGE_SIZE, texts[i], 2);
		expect_error(*state, EPROTO);
	}
}

static void
a_config_that_does_not_parse_is_refused(void **state)
{
	static const char broken[] = "[listener in\n";
	struct message m = sound_message();

	m.head.conf_size = 0;
	send_message(*state, &m, MESSAGE_SIZE, "", 2);
	expect_error(*state, EPROTO);
	m.head.conf_size = sizeof(broken) - 1;
	send_message(*state, &m, MESSAGE_SIZE, broken, 2);
	expect_error(*state, EINVAL);
}

/* ---- names ------------------------------------------------------------ */

/* A config with a name and one address of it, at a size that leaves what
 * follows the text unaligned. */
struct named {
	struct message message;
	char bytes[512];
	size_t size;
	struct conf_resolved resolved;
};

static struct named
sound_named(void)
{
	static const char text[] = LISTENER("in", "587", "g")
	    GROUP("g") "Target.a = Id=mail.example.com\n;\n";
	struct named n = {.message = sound_message()};

	n.message.head.conf_size = sizeof(text) - 1;
	n.message.head.n_resolved = 1;
	assert_errno(addr_parse("127.0.0.1:25", &n.resolved.addr), 0);
	memcpy(n.bytes, text, sizeof(text) - 1);
	n.size = sizeof(text) - 1;
	return n;
}

static void
send_named(struct rig *r, struct named *n)
{
	memcpy(n->bytes + n->message.head.conf_size, &n->resolved,
	    sizeof(n->resolved));
	send_bytes(r, &n->message, MESSAGE_SIZE, n->bytes,
	    n->size + sizeof(n->resolved), 2);
}

static void
addresses_of_a_name_are_its_targets(void **state)
{
	struct named n = sound_named();

	send_named(*state, &n);
	assert_u64(((struct rig *)*state)->ready, 9);
}

static void
addresses_that_do_not_fit_the_names_are_refused(void **state)
{
	struct named n = sound_named();

	n.resolved.addr.port = 588;
	send_named(*state, &n);
	expect_error(*state, EINVAL);
	n = sound_named();
	n.resolved.group = 1;
	send_named(*state, &n);
	expect_error(*state, EINVAL);
	n = sound_named();
	n.resolved.target = 1;
	send_named(*state, &n);
	expect_error(*state, EINVAL);
	n = sound_named();
	n.resolved.addr.family = ADDR_IPV6;
	send_named(*state, &n);
	expect_error(*state, EINVAL);
}

static void
sizes_that_do_not_fit_the_descriptor_are_refused(void **state)
{
	static const uint32_t counts[] = {
	    0, 2, CONF_TARGETS_MAX + 1, 0x80000000, UINT32_MAX};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct named n = sound_named();

		n.message.head.n_resolved = counts[i];
		send_named(*state, &n);
		expect_error(*state, EPROTO);
	}
	for (uint32_t size = 0; size < 3; size++) {
		struct message m = sound_message();

		m.head.conf_size =
		    size == 2 ? UINT32_MAX : m.head.conf_size - 1 + 2 * size;
		send_message(*state, &m, MESSAGE_SIZE, config, 2);
		expect_error(*state, EPROTO);
	}
}

static void
a_descriptor_that_is_no_file_is_refused(void **state)
{
	struct rig *r = *state;
	struct message m = sound_message();
	int fds[2];

	assert_i64(pipe(fds), 0);
	assert_i64(
	    channel_send(r->channel, CHANNEL_CONFIG, &m, MESSAGE_SIZE, fds, 2),
	    0);
	close(fds[0]);
	close(fds[1]);
	RIG_WAIT(r, r->error[0] != '\0');
	expect_error(r, EPROTO);
}

static void
a_listener_that_is_no_socket_is_refused(void **state)
{
	struct rig *r = *state;
	struct message m = sound_message();
	int fds[2] = {memfd_create("config", MFD_CLOEXEC),
	    memfd_create("no socket", MFD_CLOEXEC)};

	assert_i64(write(fds[0], config, sizeof(config) - 1),
	    (int64_t)sizeof(config) - 1);
	assert_i64(
	    channel_send(r->channel, CHANNEL_CONFIG, &m, MESSAGE_SIZE, fds, 2),
	    0);
	close(fds[0]);
	close(fds[1]);
	RIG_WAIT(r, r->error[0] != '\0');
	expect_error(r, ENOTSOCK);
}

/* Every allocation of an update fails once: it is said, nothing leaks (the
 * teardown counts), and the same message works afterwards. */
static void
each_allocation_that_fails_is_said(void **state)
{
	struct rig *r = *state;
	struct message m = sound_message();
	static const enum fault_call calls[] = {
	    FAULT_CALLOC, FAULT_MALLOC, FAULT_EPOLL_CTL};
	unsigned failed = 0;

	for (size_t c = 0; c < sizeof(calls) / sizeof(calls[0]); c++)
		for (unsigned skip = 0; skip < 200; skip++) {
			struct listener *l;

			fault_set(calls[c], skip, 1, ENOMEM);
			send_message(r, &m, MESSAGE_SIZE, config, 2);
			l = listener_find(r->worker, 0);
			if (l != NULL)
				listener_close(l);
			if (fault_hits(calls[c]) == 0)
				break;
			if (r->ready != 0)
				continue; /* something one can do without */
			failed++;
			assert_str(r->error, strerror(ENOMEM));
		}
	fault_reset();
	assert_u64_between(failed, 8, 1000);
	send_message(r, &m, MESSAGE_SIZE, config, 2);
	assert_u64(r->ready, 9);
}

int
main(void)
{
	const struct CMUnitTest worker_config[] = {
	    RIG_TEST(a_config_in_force_is_said),
	    RIG_TEST(a_listener_may_change_its_group_while_flows_live),
	    RIG_TEST(a_connecting_flow_survives_the_change_of_its_group),
	    RIG_TEST(flows_of_a_removed_listener_live_on),
	    RIG_TEST(a_listener_may_come_back),
	    RIG_TEST(two_listeners_serve_their_own_groups),
	    RIG_TEST(the_sound_message_is_taken),
	    RIG_TEST(every_wrong_size_is_refused),
	    RIG_TEST(every_wrong_number_of_descriptors_is_refused),
	    RIG_TEST(huge_counts_are_refused),
	    RIG_TEST(slots_beyond_the_scoreboard_are_refused),
	    RIG_TEST(a_socket_that_the_worker_does_not_have_is_refused),
	    RIG_TEST(counts_that_do_not_fit_the_config_are_refused),
	    RIG_TEST(a_config_that_does_not_parse_is_refused),
	    RIG_TEST(addresses_of_a_name_are_its_targets),
	    RIG_TEST(addresses_that_do_not_fit_the_names_are_refused),
	    RIG_TEST(sizes_that_do_not_fit_the_descriptor_are_refused),
	    RIG_TEST(a_descriptor_that_is_no_file_is_refused),
	    RIG_TEST(a_listener_that_is_no_socket_is_refused),
	    RIG_TEST(each_allocation_that_fails_is_said),
	};

	return cmocka_run_group_tests(worker_config, NULL, NULL);
}
