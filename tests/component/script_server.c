/* A scripted server; see script_server.h. */
#include "script_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/loop_support.h"

#define DRIBBLE_MS 10

static void on_talk(uv_poll_t *handle, int status, int events);

static void
on_freed(uv_handle_t *handle)
{
	free(handle);
}

static void
close_connection(struct script_server *s, bool reset)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (s->fd == -1)
		return;
	uv_close((uv_handle_t *)s->talking, on_freed);
	uv_timer_stop(s->dribbling);
	if (reset)
		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(s->fd);
	s->fd = -1;
}

static const struct script_step *
step_of(const struct script_server *s)
{
	const struct script_step *step = &s->script->steps[s->step];

	return s->step < SCRIPT_STEPS_MAX &&
		       (step->say != NULL || step->wait_for != NULL)
		   ? step
		   : NULL;
}

static bool
has_come(struct script_server *s, const char *what)
{
	size_t len = what == NULL ? 0 : strlen(what);

	if (len == 0)
		return true;
	if (s->n_received < len ||
	    memcmp(s->received + s->n_received - len, what, len) != 0)
		return false;
	return true;
}

static size_t
words_size(const struct script_step *step)
{
	if (step->say_size != 0)
		return step->say_size;
	return step->say == NULL ? 0 : strlen(step->say);
}

/* Says as much of the step as goes out now; true when it is said. */
static bool
say(struct script_server *s, const struct script_step *step)
{
	size_t left = words_size(step) - s->said;
	ssize_t n;

	if (left == 0)
		return true;
	n = send(s->fd, step->say + s->said, step->dribble ? 1 : left,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0) {
		s->said += (size_t)n;
		s->n_sent += (size_t)n;
	}
	return s->said == words_size(step);
}

static void
end_script(struct script_server *s)
{
	if (s->script->end == SCRIPT_FLOOD) {
		s->step--; /* once more */
		s->said = 0;
		s->waited = true;
		uv_poll_start(s->talking, UV_READABLE | UV_WRITABLE, on_talk);
		return;
	}
	if (s->script->end != SCRIPT_HOLD)
		close_connection(s, s->script->end == SCRIPT_RST);
}

static void on_dribble(uv_timer_t *timer);

static void
go_on(struct script_server *s)
{
	const struct script_step *step;

	while (s->fd != -1 && (step = step_of(s)) != NULL) {
		s->waited = s->waited || has_come(s, step->wait_for);
		if (!s->waited)
			return;
		if (!say(s, step)) {
			if (step->dribble)
				uv_timer_start(
				    s->dribbling, on_dribble, DRIBBLE_MS, 0);
			return;
		}
		s->step++;
		s->said = 0;
		s->waited = false;
		if (step_of(s) == NULL) {
			end_script(s);
			return;
		}
	}
}

static void
on_dribble(uv_timer_t *timer)
{
	go_on(timer->data);
}

static void
on_talk(uv_poll_t *handle, int status, int events)
{
	struct script_server *s = handle->data;
	ssize_t n;

	(void)status;
	if ((events & UV_READABLE) != 0 || status != 0) {
		n = recv(s->fd, s->received + s->n_received,
		    sizeof(s->received) - s->n_received, MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN)) {
			s->ended = true;
			s->end_error = n == 0 ? 0 : errno;
			close_connection(s, false);
			return;
		}
		if (n > 0)
			s->n_received += (size_t)n;
	}
	go_on(s);
}

static void
on_accept(uv_poll_t *handle, int status, int events)
{
	struct script_server *s = handle->data;
	int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)status;
	(void)events;
	if (fd == -1)
		return;
	close_connection(s, true);
	s->fd = fd;
	s->n_connections++;
	s->step = s->said = s->n_received = s->n_sent = 0;
	s->waited = s->ended = false;
	s->end_error = 0;
	s->talking = calloc(1, sizeof(*s->talking));
	uv_poll_init(s->loop, s->talking, fd);
	s->talking->data = s;
	uv_poll_start(s->talking, UV_READABLE, on_talk);
	go_on(s);
}

bool
script_server_open(
    struct script_server *s, uv_loop_t *loop, const struct script *script)
{
	memset(s, 0, sizeof(*s));
	s->script = script;
	s->loop = loop;
	s->fd = -1;
	s->listener = listen_on("127.0.0.1", 64, &s->addr);
	s->accepting = calloc(1, sizeof(*s->accepting));
	s->dribbling = calloc(1, sizeof(*s->dribbling));
	if (s->listener == -1 ||
	    uv_poll_init(loop, s->accepting, s->listener) != 0)
		return false;
	uv_timer_init(loop, s->dribbling);
	s->accepting->data = s->dribbling->data = s;
	return uv_poll_start(s->accepting, UV_READABLE, on_accept) == 0;
}

void
script_server_close(struct script_server *s)
{
	close_connection(s, false);
	uv_close((uv_handle_t *)s->accepting, on_freed);
	uv_close((uv_handle_t *)s->dribbling, on_freed);
	close(s->listener);
}
