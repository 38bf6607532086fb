/*
 * Reload: read, parse, compare, apply; and the verdict for everyone who asked.
 * An accepted config is reported when all workers have it in force.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "nlb/conf_diff.h"
#include "nlb/event.h"
#include "supervisor/daemon.h"
#include "supervisor/notify.h"

#define RELOAD_WAIT_MS 3000

static void
set_verdict(struct daemon *d, enum admin_verdict verdict, const char *text)
{
	d->last_reload = verdict;
	d->n_reloads[verdict]++;
	d->last_reload_ms = daemon_wall_ms();
	strlcpy(d->last_reload_text, text, sizeof(d->last_reload_text));
}

/* All diagnostics as text; free it. NULL: out of memory. */
static char *
diags_text(const struct daemon *d, const struct conf_diags *diags)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	conf_diags_print(diags, d->options.config_path, f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* "file:line:col: message"; without a line, of the file as a whole. */
static void
diag_sentence(
    const struct conf_diag *diag, const char *path, char *buf, size_t size)
{
	if (diag->line == 0)
		snprintf(buf, size, "%s: %s", path, diag->message);
	else
		snprintf(buf, size, "%s:%u:%u: %s", path, diag->line, diag->col,
		    diag->message);
}

/* One event each; the line and the caret are for whoever asked. */
static void
log_diags(const struct daemon *d, const struct conf_diags *diags)
{
	char sentence[LOG_LINE_MAX];

	for (size_t i = 0; i < diags->n; i++) {
		const struct conf_diag *diag = &diags->list[i];

		diag_sentence(
		    diag, d->options.config_path, sentence, sizeof(sentence));
		event_log(EVENT_CONFIG_DIAGNOSTIC, "%s: %s%s%s",
		    diag->warning ? "warning" : "error", sentence,
		    diag->hint != NULL ? "; " : "",
		    diag->hint != NULL ? diag->hint : "");
	}
}

static const char *
first_error(
    const struct conf_diags *diags, const char *path, char *buf, size_t size)
{
	for (size_t i = 0; i < diags->n; i++) {
		const struct conf_diag *diag = &diags->list[i];

		if (diag->warning)
			continue;
		diag_sentence(diag, path, buf, size);
		return buf;
	}
	strlcpy(buf, "rejected", size);
	return buf;
}

const char *
daemon_serving_text(const struct daemon *d, char *buf, size_t size)
{
	snprintf(buf, size, "serving %zu listener%s with %u worker%s",
	    d->sockets.n, d->sockets.n == 1 ? "" : "s", d->workers.n,
	    d->workers.n == 1 ? "" : "s");
	return buf;
}

void
daemon_notify_ready(const struct daemon *d)
{
	char serving[64];
	char status[sizeof(d->last_reload_text) + 96];
	int n = snprintf(status, sizeof(status), "%s, config generation %llu",
	    daemon_serving_text(d, serving, sizeof(serving)),
	    (unsigned long long)d->generation);

	if (d->last_reload == ADMIN_VERDICT_REJECTED)
		snprintf(status + n, sizeof(status) - (size_t)n,
		    "; last reload rejected: %s", d->last_reload_text);
	notify_ready(status);
}

/* The last of those under way ends the reloading. */
static void
notify_reloaded(const struct daemon *d)
{
	if (d->state == DAEMON_SERVING && TAILQ_EMPTY(&d->reload_waiters))
		daemon_notify_ready(d);
}

static void
reject(struct daemon *d, const struct conf_diags *diags, const char *why,
    admin_verdict_cb cb, void *arg)
{
	char first[sizeof(d->last_reload_text)];
	char *text = why == NULL ? diags_text(d, diags) : NULL;
	const char *full = why != NULL ? why : text;

	if (why == NULL)
		first_error(
		    diags, d->options.config_path, first, sizeof(first));
	else
		strlcpy(first, why, sizeof(first));
	set_verdict(d, ADMIN_VERDICT_REJECTED, first);
	event_log(EVENT_RELOAD_REJECTED,
	    "reload rejected, the old config stays in force: %s", first);
	if (why == NULL)
		log_diags(d, diags);
	if (cb != NULL)
		cb(arg, false, full != NULL ? full : first);
	free(text);
	notify_reloaded(d);
}

void
daemon_wait_for_workers(
    struct daemon *d, const char *text, admin_verdict_cb cb, void *arg)
{
	struct reload_waiter *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		if (cb != NULL)
			cb(arg, true, text);
		notify_reloaded(d);
		return;
	}
	w->generation = d->generation;
	w->deadline_ms = daemon_now_ms(d) + RELOAD_WAIT_MS;
	w->cb = cb;
	w->arg = arg;
	strlcpy(w->text, text, sizeof(w->text));
	TAILQ_INSERT_TAIL(&d->reload_waiters, w, entry);
	daemon_settle_reloads(d);
}

static void
settle(struct daemon *d, struct reload_waiter *w, bool ready)
{
	TAILQ_REMOVE(&d->reload_waiters, w, entry);
	if (!ready) {
		strlcat(
		    w->text, w->text[0] == '\0' ? "" : "; ", sizeof(w->text));
		strlcat(w->text,
		    "a worker has not confirmed yet, see `nlbctl status'",
		    sizeof(w->text));
	}
	if (w->cb != NULL)
		w->cb(w->arg, true, w->text);
	free(w);
	notify_reloaded(d);
}

void
daemon_settle_reloads(struct daemon *d)
{
	struct reload_waiter *w, *next;

	TAILQ_FOREACH_SAFE (w, &d->reload_waiters, entry, next) {
		bool ready = workers_all_serve(&d->workers, w->generation);

		if (ready || daemon_now_ms(d) >= w->deadline_ms)
			settle(d, w, ready);
	}
}

void
daemon_finish_reloads(struct daemon *d)
{
	struct reload_waiter *w, *next;

	TAILQ_FOREACH_SAFE (w, &d->reload_waiters, entry, next)
		settle(d, w, false);
}

int
daemon_reload(void *owner, admin_verdict_cb cb, void *arg)
{
	struct daemon *d = owner;
	struct conf_diags diags = {0};
	struct conf_diff diff;
	struct conf *conf = NULL;
	char text[512], why[512];
	int rc;

	if (d->state >= DAEMON_DRAINING)
		return -ESHUTDOWN;
	if (d->state == DAEMON_SERVING)
		notify_reloading();
	rc = daemon_read_config(d, &conf, &diags);
	if (rc == 0)
		rc = conf_diff(d->conf, conf, &diff, &diags);
	if (rc < 0) {
		reject(
		    d, &diags, rc == -ENOMEM ? "out of memory" : NULL, cb, arg);
		goto out;
	}
	rc = daemon_apply_config(d, conf, NULL, why, sizeof(why));
	if (rc < 0) {
		reject(d, &diags, why, cb, arg);
		goto out;
	}
	conf = NULL; /* the daemon's now */
	daemon_forget_file(d);
	conf_diff_summary(&diff, text, sizeof(text));
	if (diags.n_warnings > 0) {
		char warnings[48];

		snprintf(warnings, sizeof(warnings), ", %zu warnings",
		    diags.n_warnings);
		strlcat(text, warnings, sizeof(text));
		log_diags(d, &diags);
	}
	set_verdict(d, ADMIN_VERDICT_ACCEPTED, text);
	event_log(EVENT_RELOAD_ACCEPTED, "reload accepted, generation %llu: %s",
	    (unsigned long long)d->generation, text);
	daemon_wait_for_workers(d, text, cb, arg);
out:
	conf_destroy(conf);
	conf_diags_fini(&diags);
	return 0;
}

int
daemon_check(void *owner, admin_verdict_cb cb, void *arg)
{
	struct daemon *d = owner;
	struct conf_diags diags = {0};
	struct conf_diff diff;
	struct conf *conf = NULL;
	char summary[512];
	char *text;
	int rc = daemon_read_config(d, &conf, &diags);

	if (rc == 0)
		rc = conf_diff(d->conf, conf, &diff, &diags);
	if (rc == 0)
		conf_diff_summary(&diff, summary, sizeof(summary));
	text = diags_text(d, &diags);
	if (rc < 0)
		cb(arg, false, text != NULL ? text : "rejected");
	else
		cb(arg, true, summary);
	free(text);
	conf_destroy(conf);
	conf_diags_fini(&diags);
	return 0;
}
