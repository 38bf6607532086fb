/* The supervisor's life: start, signals, stop. See daemon.h. */
#include "supervisor/daemon.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bsd/string.h>
#include <bsd/unistd.h>

#include "nlb/event.h"
#include "supervisor/lock.h"
#include "supervisor/machine.h"
#include "supervisor/notify.h"

#define TICK_MS 250
/* Several SIGHUPs in a row are one reload. */
#define HUP_DELAY_MS 20
/* After STOP a worker has this long to go by itself. */
#define STOP_GRACE_MS 3000

uint64_t
daemon_now_ms(const struct daemon *d)
{
	(void)d;
	return uv_hrtime() / 1000000;
}

uint64_t
daemon_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The only writer of state. */
static void
daemon_set_state(struct daemon *d, enum daemon_state state)
{
	d->state = state;
}

/* ---- what the parts report -------------------------------------------- */

static void
on_worker_spawned(void *owner, struct worker_process *w)
{
	(void)daemon_send_config(owner, w);
	daemon_watch_worker(owner, w);
}

static void
announce_serving(struct daemon *d)
{
	char text[64];
	int rc = lock_set_serving(d->lock_fd);

	daemon_set_state(d, DAEMON_SERVING);
	former_tell(&d->former, CHANNEL_DRAIN);
	if (rc < 0)
		event_log(EVENT_SERVING_LOCK_FAILED,
		    "cannot take the serving lock: %s; workers of a "
		    "former supervisor will not make way",
		    strerror(-rc));
	event_log(
	    EVENT_SERVING, "%s", daemon_serving_text(d, text, sizeof(text)));
	daemon_notify_ready(d);
}

static void
on_worker_ready(void *owner, struct worker_process *w, uint64_t generation)
{
	struct daemon *d = owner;

	(void)w;
	(void)generation;
	if (workers_all_serve(&d->workers, d->generation)) {
		if (d->state == DAEMON_STARTING)
			announce_serving(d);
		/* MaxFlowsPerSource = auto is half of what the workers can
		 * hold: now all have counted, by the config in force. */
		workers_send_source_limit(&d->workers, daemon_source_limit(d));
	}
	daemon_settle_reloads(d);
}

static void
end_if_all_gone(struct daemon *d)
{
	if (d->state >= DAEMON_DRAINING && workers_alive(&d->workers) == 0 &&
	    d->former.n == 0)
		uv_stop(&d->loop);
}

static void
on_worker_gone(void *owner, struct worker_process *w, bool all_gone)
{
	struct daemon *d = owner;

	daemon_worker_lost(d, w);
	if (all_gone)
		end_if_all_gone(d);
}

static void
on_check_started(void *owner, uint32_t slot)
{
	struct daemon *d = owner;

	registry_check_started(&d->registry, (uint16_t)slot, daemon_now_ms(d));
}

static void
on_check_result(void *owner, uint32_t slot, enum probe_result result,
    const char *detail, uint64_t elapsed_us)
{
	struct daemon *d = owner;

	registry_check_result(&d->registry, (uint16_t)slot, result, detail,
	    elapsed_us, daemon_now_ms(d));
}

static void
end_flows_of_target(void *owner, uint16_t slot, enum flow_end_reason reason)
{
	struct daemon *d = owner;
	struct channel_end_flows m = {
	    .target_slot = slot, .reason = (uint16_t)reason};

	workers_broadcast(&d->workers, CHANNEL_END_FLOWS, &m, sizeof(m));
}

static bool
is_healthy(void *owner, const char *group, const struct addr *a)
{
	struct daemon *d = owner;

	return registry_is_healthy(&d->registry, group, a);
}

static void
on_tick(uv_timer_t *timer)
{
	struct daemon *d = timer->data;

	registry_tick(&d->registry, daemon_now_ms(d));
	traffic_tick(&d->traffic, daemon_now_ms(d));
	history_tick(
	    &d->history, &d->admin_ops, daemon_now_ms(d), daemon_wall_ms());
	names_health_changed(d->names);
	daemon_settle_reloads(d);
	daemon_settle_flows(d);
	daemon_watch_tick(d);
	former_reap(&d->former);
	end_if_all_gone(d);
}

/* Nothing when no worker responds: what restarting a worker does not repair, a
 * new supervisor may. */
static void
on_watchdog(uv_timer_t *timer)
{
	struct daemon *d = timer->data;

	if (workers_any_responds(&d->workers))
		notify_watchdog();
}

/* ---- stopping --------------------------------------------------------- */

static void
on_stop_grace(uv_timer_t *timer)
{
	struct daemon *d = timer->data;

	event_log(EVENT_WORKERS_NOT_STOPPING,
	    "%u workers did not stop in time: killed",
	    workers_alive(&d->workers));
	workers_kill(&d->workers);
	former_kill(&d->former);
}

static void
stop_now(struct daemon *d, const char *why)
{
	if (d->state == DAEMON_STOPPING)
		return;
	daemon_set_state(d, DAEMON_STOPPING);
	event_log(EVENT_STOP_FORCED, "stopping now: %s; %llu flows are reset",
	    why, (unsigned long long)scoreboard_active_flows(d->sb));
	workers_stop(&d->workers);
	former_tell(&d->former, CHANNEL_STOP);
	uv_timer_start(&d->drain_deadline, on_stop_grace, STOP_GRACE_MS, 0);
}

static void
on_drain_deadline(uv_timer_t *timer)
{
	stop_now(timer->data, "DrainTimeoutSeconds is over");
}

static void
drain(struct daemon *d)
{
	daemon_set_state(d, DAEMON_DRAINING);
	event_log(EVENT_STOP_DRAINING,
	    "draining: no new flows, %llu flows have %u s to end",
	    (unsigned long long)scoreboard_active_flows(d->sb),
	    d->conf->node.drain_timeout_s);
	notify_stopping("draining: waiting for the flows to end");
	/* The workers empty the accept queues and close their sockets; ours
	 * go now, so that the last close ends the listening. */
	workers_drain(&d->workers);
	former_tell(&d->former, CHANNEL_DRAIN); /* ours may not serve yet */
	sockets_close(&d->sockets);
	end_if_all_gone(d);
	if (workers_alive(&d->workers) > 0 || d->former.n > 0)
		uv_timer_start(&d->drain_deadline, on_drain_deadline,
		    (uint64_t)d->conf->node.drain_timeout_s * 1000, 0);
}

/* ---- signals ---------------------------------------------------------- */

static void
on_hup_delay(uv_timer_t *timer)
{
	if (daemon_reload(timer->data, NULL, NULL) < 0)
		event_log(EVENT_RELOAD_REJECTED, "no reload: nlbd is stopping");
}

static void
on_terminate(uv_signal_t *signal, int number)
{
	struct daemon *d = signal->data;

	(void)number;
	if (d->state < DAEMON_DRAINING)
		drain(d);
	else
		stop_now(d, "asked twice");
}

static void
on_hangup(uv_signal_t *signal, int number)
{
	struct daemon *d = signal->data;

	(void)number;
	if (!uv_is_active((uv_handle_t *)&d->hup_delay))
		uv_timer_start(&d->hup_delay, on_hup_delay, HUP_DELAY_MS, 0);
}

static void
on_reopen(uv_signal_t *signal, int number)
{
	struct daemon *d = signal->data;
	int rc = flow_log_reopen(&d->flow_log);

	(void)number;
	if (rc < 0)
		event_log(EVENT_FLOW_LOG_FAILED,
		    "cannot reopen the flow log %s: %s; writing on to "
		    "the old file",
		    d->flow_log.path, strerror(-rc));
}

static void
on_upgrade(uv_signal_t *signal, int number)
{
	(void)number;
	(void)upgrade_start(signal->data, NULL, NULL);
}

static int
start_signals(struct daemon *d)
{
	static const struct {
		int number;
		uv_signal_cb cb;
	} table[] = {
	    {SIGTERM, on_terminate},
	    {SIGINT, on_terminate},
	    {SIGHUP, on_hangup},
	    {SIGUSR1, on_reopen},
	    {SIGUSR2, on_upgrade},
	};

	sigset_t none;

	/* A reader that is gone, a log as large as RLIMIT_FSIZE allows: the
	 * write says so. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int rc;

		uv_signal_init(&d->loop, &d->signals[i]);
		d->signals[i].data = d;
		rc = uv_signal_start(
		    &d->signals[i], table[i].cb, table[i].number);
		if (rc < 0)
			return rc;
	}
	/* What came during an upgrade has waited. */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

/* ---- starting --------------------------------------------------------- */

uint32_t
daemon_count_workers(const struct conf *conf)
{
	uint32_t n = conf->node.workers;

	if (n == CONF_AUTO) {
		cpu_set_t set;

		n = sched_getaffinity(0, sizeof(set), &set) == 0
			? (uint32_t)CPU_COUNT(&set)
			: 1;
	}
	return n > SOCKETS_WORKERS_MAX ? SOCKETS_WORKERS_MAX : n;
}

static int
fail(int code, const char *what, int rc)
{
	event_log(EVENT_START_FAILED, "%s: %s", what, strerror(-rc));
	return code;
}

static void
on_watched_entry(void *arg, const struct log_entry *entry)
{
	struct daemon *d = arg;

	notifications_tell(d->notifications, entry);
}

static int
make_parts(struct daemon *d, const struct conf *conf)
{
	const struct workers_owner owner = {
	    .owner = d,
	    .on_spawned = on_worker_spawned,
	    .on_ready = on_worker_ready,
	    .on_message = daemon_take_message,
	    .on_gone = on_worker_gone,
	};
	const struct names_owner names_owner = {
	    .owner = d,
	    .on_changed = daemon_renew_names,
	    .is_healthy = is_healthy,
	};
	int rc = scoreboard_create(&d->sb, &d->sb_fd);

	if (rc == 0)
		rc = names_create(&d->loop, &names_owner, &d->names);
	if (rc == 0)
		rc = workers_init(&d->workers, &d->loop, d->sb, d->sb_fd,
		    d->lock_fd, daemon_count_workers(conf), &owner);
	if (rc == 0)
		rc = checker_create(&d->loop, d, on_check_started,
		    on_check_result, &d->checker);
	if (rc == 0)
		rc = notifications_create(
		    &d->loop, d->start_wall_ms, &d->notifications);
	if (rc < 0)
		return rc;
	log_set_watcher(on_watched_entry, d);
	daemon_fill_ops(d, &d->admin_ops);
	registry_init(&d->registry, d->sb, d->checker, end_flows_of_target, d);
	traffic_init(&d->traffic, d->sb, daemon_now_ms(d));
	d->registry.traffic = &d->traffic;
	uv_timer_init(&d->loop, &d->tick);
	uv_timer_init(&d->loop, &d->hup_delay);
	uv_timer_init(&d->loop, &d->drain_deadline);
	uv_timer_init(&d->loop, &d->watchdog);
	d->tick.data = d->hup_delay.data = d->drain_deadline.data = d;
	uv_timer_init(&d->loop, &d->upgrade.timer);
	d->watchdog.data = d->upgrade.timer.data = d;
	upgrade_take_workers(d);
	upgrade_take_names(d);
	return 0;
}

static int
serve(struct daemon *d)
{
	uint64_t watchdog_ms = notify_watchdog_interval_ms();
	int rc = admin_create(
	    &d->loop, d->admin_fd, geteuid(), &d->admin_ops, &d->admin);

	if (rc < 0)
		return fail(
		    EXIT_CODE_OS, "cannot start the admin interface", rc);
	rc = start_signals(d);
	if (rc < 0)
		return fail(EXIT_CODE_OS, "cannot watch signals", rc);
	rc = workers_start(&d->workers);
	if (rc < 0) {
		workers_drain(&d->workers);
		workers_kill(&d->workers);
		return fail(EXIT_CODE_OS, "cannot start workers", rc);
	}
	uv_timer_start(&d->tick, on_tick, TICK_MS, TICK_MS);
	if (watchdog_ms > 0)
		uv_timer_start(
		    &d->watchdog, on_watchdog, watchdog_ms, watchdog_ms);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	event_log(EVENT_STOPPED, "stopped");
	return EXIT_CODE_OK;
}

static int
start(struct daemon *d, struct conf *conf)
{
	char why[512];
	int rc = daemon_take_place(d, conf);

	if (rc != 0) {
		conf_destroy(conf);
		return rc;
	}
	rc = make_parts(d, conf);
	if (rc < 0) {
		conf_destroy(conf);
		return fail(EXIT_CODE_OS, "cannot start", rc);
	}
	rc = daemon_apply_config(d, conf, NULL, why, sizeof(why));
	if (rc < 0) {
		event_log(EVENT_START_FAILED, "%s", why);
		conf_destroy(conf);
		return EXIT_CODE_CANNOT_BIND;
	}
	passed_close_rest(&d->passed);
	upgrade_take_health(d);
	return serve(d);
}

/* ---- the end ---------------------------------------------------------- */

static void
close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* Closing a signal handle brings the default action back: one SIGTERM more must
 * not turn a clean end into a killed process. */
static void
block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
}

static void
clean_up(struct daemon *d)
{
	block_signals();
	if (d->admin != NULL)
		admin_destroy(d->admin);
	http_listen_close(&d->http);
	/* Nobody hears the answers any more, but requests wait for them. */
	daemon_finish_reloads(d);
	daemon_finish_flows(d);
	upgrade_finish(d);
	names_destroy(d->names);
	log_set_watcher(NULL, NULL);
	notifications_destroy(d->notifications);
	if (d->checker != NULL)
		checker_destroy(d->checker);
	if (d->workers.list != NULL)
		workers_fini(&d->workers);
	former_fini(&d->former);
	for (int i = 0; i < 3; i++) /* close callbacks may close more */
		uv_run(&d->loop, UV_RUN_NOWAIT);
	uv_walk(&d->loop, close_handle, NULL);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	uv_loop_close(&d->loop);
	free(d->config_path);
	registry_fini(&d->registry);
	traffic_fini(&d->traffic);
	sockets_close(&d->sockets);
	flow_log_close(&d->flow_log);
	free(d->workers.list);
	free(d->target_slots);
	free(d->resolved);
	if (d->admin_fd >= 0) {
		if (!d->admin_is_passed)
			(void)unlink(d->admin_path);
		close(d->admin_fd);
	}
	daemon_forget_file(d);
	conf_destroy(d->conf);
	scoreboard_detach(d->sb);
}

static void
on_log_entry(void *arg, const struct log_entry *entry)
{
	struct daemon *d = arg;

	events_add(&d->events, daemon_wall_ms(), entry);
	log_to_stderr(entry);
}

int
daemon_main(const struct daemon_options *options)
{
	static struct daemon d;
	struct conf_diags diags = {0};
	struct conf *conf = NULL;
	int rc;

	d.options = *options;
	d.options.conf_options.ask_machine = machine_ask;
	d.lock_fd = d.admin_fd = d.conf_fd = d.sb_fd = -1;
	d.flow_log.fd = d.http.fd = -1;
	log_set_sink(on_log_entry, &d);
	d.start_ms = daemon_now_ms(&d);
	d.start_wall_ms = daemon_wall_ms();
	TAILQ_INIT(&d.reload_waiters);
	TAILQ_INIT(&d.flows_waiters);
	TAILQ_INIT(&d.registry.targets);
	former_init(&d.former, daemon_take_former_records, &d);
	d.config_path = strdup(options->config_path);
	if (d.config_path == NULL ||
	    passed_collect(&d.passed, PASSED_FIRST_FD) < 0)
		return fail(EXIT_CODE_OS, "sockets that were passed", -ENOMEM);
	upgrade_begin(&d);
	d.sockets.passed = &d.passed;
	rc = daemon_read_config(&d, &conf, &diags);
	conf_diags_print(&diags, options->config_path, stderr);
	conf_diags_fini(&diags);
	if (rc < 0)
		return rc == -ENOENT ? EXIT_CODE_NO_FILE : EXIT_CODE_CONFIG;
	log_set_level(conf->node.log_level);
	rc = uv_loop_init(&d.loop);
	if (rc < 0)
		return fail(EXIT_CODE_OS, "cannot make an event loop", rc);
	rc = start(&d, conf);
	clean_up(&d);
	log_set_sink(NULL, NULL);
	return rc;
}
