/*
 * A worker that does as FAKE_WORKER_ENV says; see the header.
 */
#include "fake_worker.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <bsd/unistd.h>

#include "base/log.h"
#include "ipc/channel.h"
#include "ipc/scoreboard.h"
#include "ipc/worker_fd.h"
#include "worker/worker.h"

static struct {
	uv_loop_t loop;
	uv_timer_t beat;
	struct channel *channel;
	struct sb_block *block;
	const char *mode;
} fake;

static bool
mode_is(const char *mode)
{
	return strcmp(fake.mode, mode) == 0;
}

static void
on_beat(uv_timer_t *timer)
{
	(void)timer;
	if (!mode_is("silent"))
		atomic_store(&fake.block->heartbeat_ms, uv_hrtime() / 1000000);
}

static void
say(enum channel_type type, const void *payload, size_t size)
{
	(void)channel_send(fake.channel, type, payload, size, NULL, 0);
}

static void
say_odd_things(void)
{
	static const char odd_level[] = "\x7fwith a level of its own";
	const struct channel_flows late = {.request = 4711, .last = 1};

	say(CHANNEL_LOG, "\x04hello", 6);
	say(CHANNEL_LOG, odd_level, sizeof(odd_level) - 1);
	say(CHANNEL_LOG, "\x04", 1);
	say(CHANNEL_FLOWS, &late, sizeof(late));
	say(CHANNEL_FLOWS, "x", 1);
	say((enum channel_type)99, "x", 1);
}

static void
take_config(const struct channel_message *m)
{
	struct channel_config head;
	char error[sizeof(uint64_t) + 16];

	memcpy(&head, m->payload, sizeof(head));
	atomic_store(&fake.block->pipes, m->n_fds);
	atomic_store(&fake.block->active_flows, head.max_flows_per_source);
	atomic_store(&fake.block->max_flows, FAKE_WORKER_MAX_FLOWS);
	if (mode_is("mute"))
		return;
	if (mode_is("refuse")) {
		memcpy(error, &head.generation, sizeof(uint64_t));
		memcpy(error + sizeof(uint64_t), "no room", 7);
		say(CHANNEL_CONFIG_ERROR, error, sizeof(uint64_t) + 7);
		return;
	}
	if (mode_is("chatty"))
		say_odd_things();
	atomic_store(&fake.block->generation, head.generation);
	say(CHANNEL_READY, &head.generation, sizeof(head.generation));
}

static void
on_message(void *arg, struct channel_message *m)
{
	(void)arg;
	if (m->type == CHANNEL_CONFIG)
		take_config(m);
	if (m->type == CHANNEL_SOURCE_LIMIT)
		atomic_store(
		    &fake.block->active_flows, *(const uint32_t *)m->payload);
	if ((m->type == CHANNEL_DRAIN || m->type == CHANNEL_STOP) &&
	    !mode_is("stubborn"))
		_exit(0);
}

static void
on_closed(void *arg)
{
	(void)arg;
	_exit(0);
}

static void
run(uint32_t block)
{
	struct scoreboard *sb;

	signal(SIGTERM, SIG_IGN);
	if (mode_is("crash") ||
	    scoreboard_attach(WORKER_FD_SCOREBOARD, &sb) != 0)
		_exit(3);
	fake.block = &sb->blocks[block];
	uv_loop_init(&fake.loop);
	uv_timer_init(&fake.loop, &fake.beat);
	uv_timer_start(&fake.beat, on_beat, 0, 100);
	if (mode_is("deaf"))
		close(WORKER_FD_CHANNEL);
	else if (channel_open(&fake.loop, WORKER_FD_CHANNEL, on_message,
		     on_closed, NULL, &fake.channel) != 0)
		_exit(4);
	uv_run(&fake.loop, UV_RUN_DEFAULT);
	_exit(5);
}

static void
real_worker(int argc, char **argv, uint32_t block)
{
	setproctitle_init(argc, argv, environ);
	exit(worker_main(block)); /* not _exit: coverage is written */
}

void
fake_worker_run_if_asked(int argc, char **argv)
{
	uint32_t block;

	if (argc != 3 || strcmp(argv[1], "--worker") != 0)
		return;
	block = (uint32_t)strtoul(argv[2], NULL, 10);
	fake.mode = getenv(FAKE_WORKER_ENV);
	if (fake.mode == NULL)
		real_worker(argc, argv, block);
	run(block);
}
