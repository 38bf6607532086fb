/*
 * nlbctl top: frames one after the other, on a terminal with keys.
 */
#include "nlbctl/verb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "nlbctl/follow.h"
#include "nlbctl/process.h"
#include "nlbctl/screen.h"
#include "nlbctl/show.h"
#include "nlbctl/top_frame.h"
#include "nlbctl/top_show.h"

#define INTERVAL_DEFAULT_S 2
#define INTERVAL_MAX_S 60 /* by the keys */
#define FIRST_INTERVAL_MS 1000
#define EVENTS_KEPT 5

struct top {
	const struct command_run *run;
	json_t *before, *now; /* the last two answers */
	json_t *events;       /* the last ones */
	uint64_t last_event;
	struct top_view view;
	char away[CLIENT_ERROR_MAX]; /* "": nlbd answers */
	uint64_t frames_left;        /* 0: any number */
};

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- asking ----------------------------------------------------------- */

static void
add_cpu_times(json_t *status)
{
	json_t *list = json_object_get(status, "workers"), *worker;
	uint64_t ms;
	size_t i;

	json_array_foreach(list, i, worker)
	{
		if (process_cpu_ms(show_uint(worker, "pid"), &ms) == 0)
			json_object_set_new(
			    worker, "cpu_ms", json_integer((json_int_t)ms));
	}
}

/* 0 or an exit code; the events of before stay then. */
static int
ask_events(struct top *top, char error[CLIENT_ERROR_MAX])
{
	uint64_t since =
	    top->last_event > EVENTS_KEPT ? top->last_event - EVENTS_KEPT : 0;
	char path[64];
	json_t *root;
	int code;

	snprintf(path, sizeof(path), "/v1/events?since=%" PRIu64, since);
	code = verb_fetch(top->run, "GET", path, &root, error);
	if (code != 0)
		return code;
	json_decref(top->events);
	top->events = json_incref(json_object_get(root, "events"));
	top->last_event = show_uint(root, "last_id");
	json_decref(root);
	return 0;
}

/* 0 or an exit code with the reason in away; the last answers stay then. */
static int
ask(struct top *top)
{
	char error[CLIENT_ERROR_MAX];
	json_t *status;
	int code = verb_fetch(
	    top->run, "GET", "/v1/status?include=latency", &status, error);

	if (code == 0) {
		add_cpu_times(status);
		json_decref(top->before);
		top->before = top->now;
		top->now = status;
		code = ask_events(top, error);
	}
	if (code == 0)
		top->away[0] = '\0';
	else
		snprintf(top->away, sizeof(top->away), "%s", error);
	return code;
}

/* NULL: out of memory. */
static json_t *
make_frame(const struct top *top)
{
	json_t *frame = top_frame(top->before, top->now, top->events);
	time_t now = time(NULL);
	char text[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_object_set_new(frame, "time", json_string(text));
	return frame;
}

/* ---- without a terminal ----------------------------------------------- */

static int
print_frame(struct top *top)
{
	json_t *frame = make_frame(top);
	json_t *list = json_pack("[o]", frame);
	int code = 0;

	if (list == NULL)
		return EX_OSERR;
	if (top->run->line->json)
		code = follow_print(top->run, list, NULL);
	else if (top_show(frame, &top->view, top->run->out) != 0)
		code = EX_PROTOCOL;
	json_decref(list);
	if (!top->run->line->json && top->frames_left != 1)
		fputc('\n', top->run->out->file);
	fflush(top->run->out->file);
	return code;
}

static int
print_frames(struct top *top, struct follow *f)
{
	int ms = FIRST_INTERVAL_MS, code = ask(top);

	if (code != 0)
		verb_complain(top->run->err, top->away);
	/* Rates take two answers: the first frame waits for the second. */
	while (code == 0 && follow_pause(f, ms)) {
		bool was_away = top->away[0] != '\0';

		ms = (int)top->view.interval_s * 1000;
		if (ask(top) != 0) {
			if (!was_away)
				verb_complain(top->run->err, top->away);
			continue;
		}
		code = print_frame(top);
		if (top->frames_left > 0 && --top->frames_left == 0)
			break;
	}
	return code;
}

/* ---- on a terminal ---------------------------------------------------- */

static int
draw(struct top *top, const struct screen *screen)
{
	struct output out = {.colour = top->run->out->colour};
	json_t *frame = make_frame(top);
	size_t columns, size;
	char *text = NULL;
	int rc = -ENOMEM;

	screen_size(screen, &top->view.rows, &columns);
	top->view.away = top->away[0] == '\0' ? NULL : top->away;
	out.file = open_memstream(&text, &size);
	if (out.file != NULL) {
		rc = top_show(frame, &top->view, &out);
		if (fclose(out.file) != 0)
			rc = -ENOMEM;
	}
	if (rc == 0)
		screen_draw(screen, text);
	free(text);
	json_decref(frame);
	return rc == -EPROTO ? EX_PROTOCOL : rc == 0 ? 0 : EX_OSERR;
}

/* False: that was the one for the end. */
static bool
take_key(struct top_view *view, int key)
{
	if (key == SCREEN_END || key == 'q' || key == 'Q')
		return false;
	if (view->help) {
		view->help = key < 0; /* any key leaves it */
		return true;
	}
	switch (key) {
	case 's':
		view->order = (view->order + 1) % TOP_ORDERS;
		break;
	case 'r':
		view->reverse = !view->reverse;
		break;
	case 'p':
	case ' ':
		view->paused = !view->paused;
		break;
	case 'h':
	case '?':
		view->help = true;
		break;
	case '+':
		if (view->interval_s < INTERVAL_MAX_S)
			view->interval_s++;
		break;
	case '-':
		if (view->interval_s > 1)
			view->interval_s--;
		break;
	default:
		break;
	}
	return true;
}

static int
run_screen(struct top *top, struct screen *screen)
{
	uint64_t due_ms = now_ms() + FIRST_INTERVAL_MS, now;
	int code = 0, key;

	for (;;) {
		code = draw(top, screen);
		if (code != 0)
			return code;
		now = now_ms();
		key =
		    screen_wait(screen, due_ms > now ? (int)(due_ms - now) : 0);
		if (!take_key(&top->view, key))
			return 0;
		if (now_ms() < due_ms)
			continue;
		due_ms = now_ms() + top->view.interval_s * UINT64_C(1000);
		if (top->view.paused)
			continue;
		(void)ask(top);
		if (top->frames_left > 0 && --top->frames_left == 0)
			return draw(top, screen);
	}
}

static int
show_screen(struct top *top)
{
	struct screen screen;
	/* Before the terminal is taken: errors are to be read. */
	int code = ask(top), rc;

	if (code != 0) {
		verb_complain(top->run->err, top->away);
		return code;
	}
	rc = screen_open(&screen, top->run->out->file);
	if (rc != 0) {
		verb_complain(top->run->err,
		    "the terminal cannot be used: try `nlbctl top | cat`");
		return EX_OSERR;
	}
	code = run_screen(top, &screen);
	screen_close(&screen);
	if (code == EX_PROTOCOL)
		verb_complain(top->run->err,
		    "the answer is not nlbd's: something is missing in it\n"
		    "does another program own the socket, or is one of the two "
		    "much older?");
	return code;
}

/* ---- the verb --------------------------------------------------------- */

static unsigned
number_option(const struct command_run *run, const char *name, unsigned absent)
{
	const char *text = command_line_value(run->line, name);

	return text == NULL ? absent : (unsigned)strtoul(text, NULL, 10);
}

int
verb_top(const struct command_run *run)
{
	struct top top = {.run = run};
	struct follow f;
	int code;

	top.frames_left = number_option(run, "number", 0);
	top.view.interval_s =
	    number_option(run, "interval", INTERVAL_DEFAULT_S);
	if (!run->line->json && screen_is_possible(run->out->file)) {
		code = show_screen(&top);
	} else {
		follow_begin(&f, run, NULL);
		code = print_frames(&top, &f);
		follow_end(&f);
	}
	json_decref(top.before);
	json_decref(top.now);
	json_decref(top.events);
	return code;
}
