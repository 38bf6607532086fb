/*
 * The terminal: raw keys, the alternate screen, signals.
 */
#include "nlbctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define ROWS_DEFAULT 24
#define COLUMNS_DEFAULT 80
#define KEY_ESCAPE 0x1b

static const char enter[] = "\033[?1049h\033[?25l\033[H\033[2J";
static const char leave[] = "\033[?25h\033[?1049l";

/* They are blocked but for the moments of screen_wait. */
static const int end_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define END_SIGNALS (sizeof(end_signals) / sizeof(end_signals[0]))

static volatile sig_atomic_t ended, resized;

static void
on_signal(int number)
{
	if (number == SIGWINCH)
		resized = 1;
	else
		ended = 1;
}

bool
screen_is_possible(FILE *file)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) == 1 && isatty(fileno(file)) == 1 &&
	       term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

static void
take_signals(struct screen *s)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGWINCH);
	sigaction(SIGWINCH, &action, NULL);
	for (size_t i = 0; i < END_SIGNALS; i++) {
		sigaddset(&blocked, end_signals[i]);
		sigaction(end_signals[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &blocked, &s->old_mask);
}

static void
take_terminal(const struct screen *s)
{
	struct termios raw = s->saved;

	/* Output stays as it is; Ctrl-C and Ctrl-Z come as bytes. */
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
	raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL | INLCR);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	fputs(enter, s->file);
	fflush(s->file);
}

static void
give_terminal(const struct screen *s)
{
	fputs(leave, s->file);
	fflush(s->file);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &s->saved);
}

int
screen_open(struct screen *s, FILE *file)
{
	*s = (struct screen){.file = file};
	if (tcgetattr(STDIN_FILENO, &s->saved) != 0)
		return -errno;
	ended = resized = 0;
	take_signals(s);
	take_terminal(s);
	return 0;
}

void
screen_close(struct screen *s)
{
	give_terminal(s);
	for (size_t i = 0; i < END_SIGNALS; i++)
		signal(end_signals[i], SIG_IGN); /* those still pending */
	sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
	for (size_t i = 0; i < END_SIGNALS; i++)
		signal(end_signals[i], SIG_DFL);
	signal(SIGWINCH, SIG_DFL);
}

void
screen_size(const struct screen *s, size_t *rows, size_t *columns)
{
	struct winsize size;

	*rows = ROWS_DEFAULT;
	*columns = COLUMNS_DEFAULT;
	if (ioctl(fileno(s->file), TIOCGWINSZ, &size) != 0)
		return;
	if (size.ws_row > 0)
		*rows = size.ws_row;
	if (size.ws_col > 0)
		*columns = size.ws_col;
}

/* The length of a colour's sequence that begins here, or 0. */
static size_t
sequence_length(const char *text)
{
	size_t n = 2;

	if (text[0] != KEY_ESCAPE || text[1] != '[')
		return 0;
	while (text[n] != '\0' && text[n] != 'm')
		n++;
	return text[n] == 'm' ? n + 1 : n;
}

static const char *
clip_line(FILE *file, const char *text, size_t columns)
{
	size_t used = 0, n;

	while (*text != '\0' && *text != '\n') {
		n = sequence_length(text);
		/* Also behind the edge: they end what began before it. */
		if (n > 0)
			fwrite(text, 1, n, file);
		else if (used++ < columns)
			fputc(*text, file);
		text += n > 0 ? n : 1;
	}
	return *text == '\n' ? text + 1 : text;
}

size_t
screen_clip(
    FILE *file, const char *text, size_t rows, size_t columns, const char *end)
{
	size_t row;

	for (row = 0; row < rows && *text != '\0'; row++) {
		if (row > 0)
			fputs(end, file);
		text = clip_line(file, text, columns);
	}
	return row;
}

void
screen_draw(const struct screen *s, const char *text)
{
	size_t rows, columns;

	screen_size(s, &rows, &columns);
	fputs("\033[H\033[2K", s->file);
	/* Erasing behind a full last line would take its last character. */
	if (screen_clip(s->file, text, rows, columns, "\r\n\033[2K") < rows)
		fputs("\r\n\033[J", s->file);
	fflush(s->file);
}

static void
suspend(struct screen *s)
{
	give_terminal(s);
	raise(SIGTSTP);
	take_terminal(s);
}

/* The byte that a key sends; of a longer sequence nothing is left. */
static int
read_key(struct screen *s)
{
	char rest[32];
	unsigned char byte;

	if (read(STDIN_FILENO, &byte, 1) <= 0)
		return SCREEN_END; /* the terminal has gone */
	if (byte == s->saved.c_cc[VSUSP]) {
		suspend(s);
		return SCREEN_RESIZED;
	}
	if (byte == s->saved.c_cc[VINTR] || byte == s->saved.c_cc[VQUIT])
		return SCREEN_END;
	if (byte != KEY_ESCAPE)
		return byte;
	return read(STDIN_FILENO, rest, sizeof(rest)) < 0 ? SCREEN_END
							  : SCREEN_NONE;
}

int
screen_wait(struct screen *s, int ms)
{
	const struct timespec timeout = {
	    .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
	int n = ppoll(&keys, 1, &timeout, &s->old_mask);

	if (ended)
		return SCREEN_END;
	if (resized) {
		resized = 0;
		return SCREEN_RESIZED;
	}
	if (n <= 0)
		return SCREEN_NONE;
	return read_key(s);
}
