/*
 * Changes at run time: what nlbctl's register-targets and its kin ask for. The
 * running config changes by the steps of a reload, and between its last check
 * and the first change the file on disk is replaced. Either both have the
 * change or none has; with --runtime the running config alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "nlb/event.h"
#include "nlb/conf_diff.h"
#include "supervisor/config_file.h"
#include "supervisor/daemon.h"

#define WHY_MAX 1024

/* One change on its way. */
struct change {
	struct daemon *d;
	const struct conf_change *wanted;
	bool runtime_only;
	struct conf *running; /* owned; NULL: stays as it is */
	/* owned; what the file will say, where that is not what will run */
	struct conf *file;
	bool writes;             /* the file on disk changes */
	struct config_file disk; /* prepared then */
	struct conf_diags diags;
	char why[WHY_MAX]; /* "" = diags tell */
};

/* What the file says, as far as nlbd knows. */
static const struct conf *
loaded(const struct daemon *d)
{
	return d->file_conf != NULL ? d->file_conf : d->conf;
}

static int
copy_conf(struct daemon *d, const struct conf *conf, struct conf **out)
{
	struct conf_diags diags = {0};
	int rc = conf_parse(
	    conf->bytes, conf->n_bytes, &d->options.conf_options, out, &diags);

	conf_diags_fini(&diags);
	return rc;
}

/* The confs as they will be. With runtime_only the file stays, and what it says
 * has to be kept when it is the running one so far. */
static int
make_confs(struct change *c)
{
	struct daemon *d = c->d;
	const struct conf_options *options = &d->options.conf_options;
	struct conf_diags notes = {0};
	struct conf_diff diff;
	int rc = conf_change_apply(
	    d->conf, c->wanted, options, &c->running, &c->diags);

	if (rc == 0 && c->running != NULL)
		rc = conf_diff(d->conf, c->running, &diff, &c->diags);
	if (rc < 0)
		return rc;
	if (d->file_conf == NULL) {
		c->writes = !c->runtime_only && c->running != NULL;
		if (!c->runtime_only || c->running == NULL)
			return 0;
		return copy_conf(d, d->conf, &c->file);
	}
	if (c->runtime_only)
		return 0;
	rc = conf_change_apply(
	    d->file_conf, c->wanted, options, &c->file, &notes);
	if (rc < 0) {
		conf_diags_fini(&c->diags);
		c->diags = notes;
		return rc;
	}
	c->writes = c->file != NULL;
	conf_diags_fini(&notes);
	return 0;
}

static int
apply(struct change *c)
{
	struct daemon *d = c->d;
	const struct conf *next = c->file != NULL ? c->file : c->running;
	int rc = 0;

	if (c->writes)
		rc = config_file_prepare(&c->disk, d->options.config_path,
		    loaded(d)->bytes, loaded(d)->n_bytes, next->bytes,
		    next->n_bytes, c->why, sizeof(c->why));
	if (rc == 0 && c->running != NULL)
		rc = daemon_apply_config(d, c->running,
		    c->writes ? &c->disk : NULL, c->why, sizeof(c->why));
	else if (rc == 0 && c->writes)
		rc = config_file_commit(&c->disk, c->why, sizeof(c->why));
	config_file_drop(&c->disk);
	/* Whatever it is, it is not about what the change says. */
	return rc == 0 || rc == -ENOMEM ? rc : -EBUSY;
}

/* In how far the running config is not what the file says. */
static void
compare_with_file(struct daemon *d)
{
	struct conf_diags diags = {0};
	struct conf_diff diff;

	d->runtime_changes[0] = '\0';
	if (d->file_conf == NULL ||
	    conf_diff(d->file_conf, d->conf, &diff, &diags) < 0)
		return;
	conf_diff_summary(
	    &diff, d->runtime_changes, sizeof(d->runtime_changes));
	/* The same in other words, or in another order. */
	if (conf_diff_is_empty(&diff))
		d->runtime_changes[0] = '\0';
}

static void
keep(struct change *c)
{
	struct daemon *d = c->d;

	c->running = NULL; /* the daemon's now */
	if (c->file != NULL) {
		conf_destroy(d->file_conf);
		d->file_conf = c->file;
		c->file = NULL;
	}
	if (d->file_conf != NULL && d->file_conf->n_bytes == d->conf->n_bytes &&
	    memcmp(d->file_conf->bytes, d->conf->bytes, d->conf->n_bytes) == 0)
		daemon_forget_file(d);
	compare_with_file(d);
}

/* Of the change itself, or of a line of the text that it would make. */
static char *
say(const struct change *c, bool failed)
{
	char *text = NULL;
	bool has_line = false;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	for (size_t i = 0; i < c->diags.n; i++)
		has_line |= c->diags.list[i].line != 0;
	if (c->why[0] != '\0')
		fprintf(f, "nothing was changed: %s\n", c->why);
	else if (has_line && failed)
		fputs("nothing was changed: this is what the configuration "
		      "would say\n",
		    f);
	/* Lines are those of the file, unless what runs is something else. */
	if (c->why[0] == '\0' || !failed)
		conf_diags_print(&c->diags,
		    !has_line ? c->wanted->name
		    : c->d->file_conf != NULL || c->runtime_only
			? "running configuration"
			: c->d->options.config_path,
		    f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void
log_done(const struct change *c, bool applied)
{
	event_log(EVENT_CHANGE_APPLIED, "%s %s: %s generation %llu, %s",
	    conf_change_verb(c->wanted->kind), c->wanted->name,
	    applied ? "in force as" : "as before in",
	    (unsigned long long)c->d->generation,
	    c->writes ? "written to the file" : "not written to the file");
}

int
daemon_change(void *owner, const struct conf_change *wanted, bool runtime_only,
    char **text, admin_verdict_cb cb, void *arg)
{
	struct daemon *d = owner;
	struct change c = {
	    .d = d, .wanted = wanted, .runtime_only = runtime_only};
	bool applies;
	int rc;

	*text = NULL;
	if (d->state >= DAEMON_DRAINING)
		return -ESHUTDOWN;
	rc = make_confs(&c);
	applies = c.running != NULL;
	if (rc == 0 && (applies || c.writes)) {
		rc = apply(&c);
		if (rc == 0) {
			keep(&c);
			log_done(&c, applies);
		}
	}
	*text = say(&c, rc < 0);
	conf_destroy(c.running);
	conf_destroy(c.file);
	conf_diags_fini(&c.diags);
	if (rc < 0)
		return rc;
	if (applies)
		daemon_wait_for_workers(d, "", cb, arg);
	else
		cb(arg, true, "");
	return 0;
}
