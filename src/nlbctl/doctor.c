/*
 * nlbctl doctor: looks at what goes wrong most, with or without a running
 * nlbd, and says what to do.
 */
#include "nlbctl/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "nlbctl/show.h"
#include "nlbctl/verb.h"

#define EXIT_PROBLEM 1

static void (*const checks[])(struct doctor *d) = {
    doctor_check_files,
    doctor_check_source_ports,
    doctor_check_accept_queue,
    doctor_check_conntrack,
    doctor_check_clock,
    doctor_check_idle_timeout,
    doctor_check_ports,
    doctor_check_targets,
};

static const struct {
	const char *name;
	enum style style;
} verdicts[] = {
    [DOCTOR_OK] = {"ok", STYLE_GOOD},
    [DOCTOR_WARNING] = {"warning", STYLE_WARN},
    [DOCTOR_PROBLEM] = {"problem", STYLE_BAD},
};

void
doctor_add(struct doctor *d, const char *check, enum doctor_verdict verdict,
    const char *next, const char *fmt, ...)
{
	struct doctor_row *row = &d->rows[d->n_rows];
	va_list ap;

	if (d->n_rows == DOCTOR_ROWS_MAX)
		return;
	d->n_rows++;
	row->check = check;
	row->verdict = verdict;
	row->next = next;
	va_start(ap, fmt);
	vsnprintf(row->finding, sizeof(row->finding), fmt, ap);
	va_end(ap);
}

static int
print_table(const struct command_run *run, const struct doctor *d)
{
	static const struct table_column columns[] = {{"CHECK", TABLE_LEFT},
	    {"VERDICT", TABLE_LEFT}, {"FINDING", TABLE_LEFT}};
	struct table *table =
	    table_create(columns, sizeof(columns) / sizeof(columns[0]));
	char first[24];
	unsigned n = 0;
	int rc;

	for (size_t i = 0; i < d->n_rows; i++) {
		const struct doctor_row *row = &d->rows[i];

		table_cell(table, STYLE_PLAIN, "%s", row->check);
		table_cell(table, verdicts[row->verdict].style, "%s",
		    verdicts[row->verdict].name);
		table_cell(table, STYLE_PLAIN, "%s", row->finding);
	}
	rc = table_print(table, run->out);
	table_destroy(table);
	for (size_t i = 0; rc == 0 && i < d->n_rows; i++) {
		if (d->rows[i].verdict == DOCTOR_OK)
			continue;
		if (n == 0)
			fputc('\n', run->out->file);
		snprintf(first, sizeof(first), "%u. ", ++n);
		output_wrapped(run->out, first, d->rows[i].finding);
		output_wrapped(run->out, "   -> ", d->rows[i].next);
	}
	return rc == 0 ? EX_OK : EX_OSERR;
}

static int
print_json(const struct command_run *run, const struct doctor *d)
{
	json_t *list = json_array(), *root;
	int code;

	for (size_t i = 0; i < d->n_rows; i++) {
		const struct doctor_row *row = &d->rows[i];

		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s, s:s}", "check", row->check,
			      "verdict", verdicts[row->verdict].name, "finding",
			      row->finding, "next_step", row->next));
	}
	root = json_pack("{s:o}", "checks", list);
	code = verb_print_json(run, root);
	json_decref(root);
	return code;
}

static int
print_rows(const struct command_run *run, const struct doctor *d)
{
	int code = run->line->json ? print_json(run, d) : print_table(run, d);

	for (size_t i = 0; code == EX_OK && i < d->n_rows; i++) {
		if (d->rows[i].verdict == DOCTOR_PROBLEM)
			return EXIT_PROBLEM;
	}
	return code;
}

/* The file, checked as nlbd does; its mistakes go to stderr. */
static struct conf *
load_conf(const struct command_run *run, const char *path)
{
	struct conf_options options = {0};
	struct conf_diags diags = {0};
	struct conf *conf = NULL;
	char *bytes = NULL;
	size_t len;

	if (conf_read_file(path, &bytes, &len, &diags) == 0)
		(void)conf_parse(bytes, len, &options, &conf, &diags);
	if (conf == NULL)
		conf_diags_print(&diags, path, run->err);
	free(bytes);
	conf_diags_fini(&diags);
	return conf;
}

/* What answers at the socket: the one that was named, or the file's. */
static json_t *
ask_daemon(const struct command_run *run, const struct conf *conf)
{
	struct command_run asked = *run;
	char error[CLIENT_ERROR_MAX];
	json_t *status = NULL;

	if (strcmp(run->socket_path, COMMAND_DEFAULT_SOCKET) == 0)
		asked.socket_path = conf->node.admin_socket;
	if (verb_fetch(&asked, "GET", "/v1/status", &status, error) != 0)
		return NULL;
	return status;
}

static void
add_daemon(struct doctor *d)
{
	const char *health = show_text(d->status, "health");

	if (d->status == NULL)
		doctor_add(d, "nlbd", DOCTOR_WARNING,
		    "Start it when the rest is well, or name its socket with "
		    "-s.",
		    "none answers at the admin socket");
	else if (strcmp(health, "ok") == 0)
		doctor_add(d, "nlbd", DOCTOR_OK, "", "runs, health %s", health);
	else
		doctor_add(d, "nlbd", DOCTOR_WARNING,
		    "`nlbctl status` tells what is wrong.",
		    "runs, health %.16s", health);
}

int
verb_doctor(const struct command_run *run)
{
	const char *path = command_line_value(run->line, "file");
	struct doctor *d = calloc(1, sizeof(*d));
	struct conf *conf;
	json_t *status;
	int code;

	if (d == NULL)
		return EX_OSERR;
	if (path == NULL)
		path = COMMAND_DEFAULT_CONFIG;
	conf = load_conf(run, path);
	if (conf == NULL) {
		verb_complain(run->err,
		    "doctor goes by the configuration: correct it, or name "
		    "another one with --file");
		free(d);
		return EX_CONFIG;
	}
	status = ask_daemon(run, conf);
	d->root = "";
	d->conf = conf;
	d->status = status;
	doctor_add(d, "configuration", DOCTOR_OK, "",
	    "%.100s: %zu listeners, %zu targets", path, conf->n_listeners,
	    conf_count_targets(conf) + conf_count_dns_targets(conf));
	add_daemon(d);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](d);
	code = print_rows(run, d);
	json_decref(status);
	conf_destroy(conf);
	free(d);
	return code;
}
