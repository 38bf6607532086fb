/*
 * A terminal that shows whole screens and hears keys, by what every terminal
 * since the VT100 understands.
 */
#ifndef NLBCTL_SCREEN_H
#define NLBCTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <signal.h>
#include <termios.h>

enum screen_key {            /* beside the bytes that keys send */
	SCREEN_NONE = -1,    /* the time is over, or the size is another one */
	SCREEN_END = -2,     /* a signal, or the terminal has gone */
	SCREEN_RESIZED = -3, /* draw again */
};

struct screen {
	FILE *file; /* the terminal; keys come from stdin */
	struct termios saved;
	sigset_t old_mask;
};

/* Are stdin and this file a terminal that can do it? */
bool screen_is_possible(FILE *file);
/* Takes the terminal; 0 or -errno. It is given back by screen_close. */
int screen_open(struct screen *s, FILE *file);
void screen_close(struct screen *s);
void screen_size(const struct screen *s, size_t *rows, size_t *columns);
/* Shows lines of text, what does not fit is cut off. */
void screen_draw(const struct screen *s, const char *text);
/* A key or one of enum screen_key, after so many ms at most. The terminal's
 * key for suspending does so. */
int screen_wait(struct screen *s, int ms);

/* Writes as many lines and columns of text as there is room for; escape
 * sequences for colours take none. end goes between two lines. Returns the
 * number of lines. */
size_t screen_clip(
    FILE *file, const char *text, size_t rows, size_t columns, const char *end);

#endif
