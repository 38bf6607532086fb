/*
 * Polling: a question costs nlbd less than a connection that it would have to
 * keep for each of those who wait.
 */
#include "nlbctl/follow.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "nlbctl/format.h"
#include "nlbctl/show.h"
#include "nlbctl/verb.h"

#define RETRY_MS 1000

static volatile sig_atomic_t asked_to_end;
static struct sigaction old_int, old_term;

static void
on_end_signal(int number)
{
	(void)number;
	asked_to_end = 1;
}

void
follow_begin(
    struct follow *f, const struct command_run *run, const char *elsewhere)
{
	/* Without SA_RESTART: a pause ends at once. */
	struct sigaction action = {.sa_handler = on_end_signal};

	*f = (struct follow){.run = run, .elsewhere = elsewhere};
	asked_to_end = 0;
	sigaction(SIGINT, &action, &old_int);
	sigaction(SIGTERM, &action, &old_term);
}

void
follow_end(struct follow *f)
{
	(void)f;
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
}

bool
follow_pause(const struct follow *f, int ms)
{
	FILE *file = f->run->out->file;
	/* No events asked for: a reader that has gone still shows. */
	struct pollfd reader = {.fd = fileno(file)};

	if (asked_to_end || ferror(file) != 0)
		return false;
	return poll(&reader, 1, ms) == 0 && !asked_to_end;
}

/* May it answer later? */
static bool
is_away(int code)
{
	return code == EX_UNAVAILABLE || code == EX_TEMPFAIL;
}

int
follow_fetch(struct follow *f, const char *path, json_t **out)
{
	char error[CLIENT_ERROR_MAX];
	bool away = false;
	int code;

	*out = NULL;
	for (;;) {
		code = verb_fetch(f->run, "GET", path, out, error);
		if (code == 0)
			break;
		if (!f->has_answered || !is_away(code)) {
			verb_complain(f->run->err, error);
			return code;
		}
		if (!away) {
			verb_complain(f->run->err, error);
			verb_complain(
			    f->run->err, "waiting for it to come back");
		}
		away = true;
		if (!follow_pause(f, RETRY_MS))
			return 0;
	}
	if (away)
		verb_complain(f->run->err, "nlbd answers again");
	f->has_answered = true;
	return 0;
}

static int
print_json(const struct command_run *run, const json_t *object)
{
	char *text =
	    json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER |
				   JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));

	if (text == NULL)
		return EX_OSERR;
	fprintf(run->out->file, "%s\n", text);
	free(text);
	return 0;
}

/* What the stream lacks, for people and within the stream. */
static void
tell(struct follow *f, const char *what, uint64_t n, const char *text)
{
	json_t *notice;

	verb_complain(f->run->err, text);
	if (!f->run->line->json)
		return;
	notice = n == 0 ? json_pack("{s:s}", "notice", what)
			: json_pack("{s:s, s:I}", "notice", what, "count",
			      (json_int_t)n);
	(void)print_json(f->run, notice);
	fflush(f->run->out->file);
	json_decref(notice);
}

static void
tell_lost(struct follow *f, uint64_t n)
{
	char count[FORMAT_STRLEN], text[160];

	snprintf(text, sizeof(text),
	    "%s record%s lost, more came than nlbd keeps: %s",
	    format_count(n, count), n == 1 ? " is" : "s are", f->elsewhere);
	tell(f, "lost", n, text);
}

int
follow_ring(struct follow *f, const char *path, json_t **out)
{
	char with_id[512], id[24];
	uint64_t life, lost, dropped;
	int code;

	snprintf(with_id, sizeof(with_id), "%s", path);
	snprintf(id, sizeof(id), "%" PRIu64, f->last_id);
	if (f->has_answered &&
	    client_add_query(with_id, sizeof(with_id), "since", id) != 0)
		return EX_SOFTWARE;
	code = follow_fetch(f, with_id, out);
	if (code != 0 || *out == NULL)
		return code;
	life = show_uint(*out, "start_time_ms");
	dropped = show_uint(*out, "dropped_records");
	lost = show_uint(*out, "lost") + dropped - f->dropped;
	if (f->life != 0 && life != f->life) {
		/* Its numbers begin anew: all it has is new. */
		json_decref(*out);
		tell(f, "restarted", 0,
		    "nlbd was restarted: what its predecessor did last may be "
		    "missing here");
		f->life = life;
		f->last_id = f->dropped = 0;
		return follow_ring(f, path, out);
	}
	if (f->life != 0 && lost > 0)
		tell_lost(f, lost);
	f->life = life;
	f->dropped = dropped;
	f->last_id = show_uint(*out, "last_id");
	return 0;
}

int
follow_print(const struct command_run *run, const json_t *list,
    void (*print)(const struct output *out, const json_t *record))
{
	const json_t *record;
	int code = 0;
	size_t i;

	json_array_foreach(list, i, record)
	{
		if (run->line->json)
			code = print_json(run, record);
		else
			print(run->out, record);
		if (code != 0)
			return code;
	}
	fflush(run->out->file);
	return 0;
}
