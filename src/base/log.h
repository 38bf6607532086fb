/*
 * The event log: one sentence per event. The supervisor's sink is stderr, or
 * the journal when stderr leads there; a worker's sink hands the line to the
 * supervisor over the channel. Never blocks: what cannot be written at once is
 * dropped and counted.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum log_level { /* the values are syslog's priorities */
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

#define LOG_LINE_MAX 1024 /* one event, terminator included */

/* What programs tell events apart by; strings that live for ever. */
struct log_kind {
	const char *code;
	const char *message_id; /* 32 hex digits, for the journal; or NULL */
	enum log_level level;
};

/* What an event is about. */
struct log_field {
	const char *name; /* A-Z, 0-9 and _; NULL ends a list */
	const char *value;
};

struct log_entry {
	struct log_kind kind; /* code NULL: of no kind */
	const char *text;     /* one line, escaped, without newline or prefix */
	const struct log_field *about; /* NULL = nothing */
};

typedef void (*log_sink)(void *arg, const struct log_entry *entry);

/*
 * stderr becomes the sink. When JOURNAL_STREAM names stderr (sd-daemon(3)) it
 * is the journal, told by its own protocol, or by lines with priorities where
 * that cannot be; otherwise lines with a UTC time.
 */
void log_init(const char *ident);
/* Another socket of the journal, for tests; the path is kept. */
void log_set_journal(const char *path);
void log_set_level(enum log_level level);
/* NULL brings stderr back. */
void log_set_sink(log_sink sink, void *arg);
/* Looks on: events of a kind, whatever the level. NULL: nobody does. */
void log_set_watcher(log_sink watcher, void *arg);
/* As it goes out without a sink: for sinks that only want to look on. */
void log_to_stderr(const struct log_entry *entry);
/* "error" ... "debug"; returns 0 or -EINVAL with *out untouched. */
int log_level_parse(const char *text, enum log_level *out);
const char *log_level_name(enum log_level level);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_kind(const struct log_kind *kind, const struct log_field *about,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void log_kind_va(const struct log_kind *kind, const struct log_field *about,
    const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/*
 * At most burst events in each 10 s, then one "(N more like this in 10 s)"
 * with the next one let through. Static storage per call site:
 *	static struct log_limit limit = LOG_LIMIT(5);
 *	if (log_allowed(&limit, now_ms)) log_warning(...);
 * log_allowed returns the number of suppressed events in limit->reported.
 */
struct log_limit {
	uint32_t burst, used, suppressed, reported;
	uint64_t window_start_ms;
};
#define LOG_LIMIT(n)         \
	{                    \
		.burst = (n) \
	}
bool log_allowed(struct log_limit *limit, uint64_t now_ms);

/*
 * Copies text so that one event stays one line on any terminal: bytes outside
 * 0x20-0x7e and the backslash become \xNN or \\. Always terminated; cuts at a
 * whole escape. Returns dst. For arguments from outside; the log functions
 * escape what is still unprintable themselves, but leave backslashes alone.
 */
char *log_escape(char *dst, size_t dst_size, const void *src, size_t src_len);

/*
 * Writes one whole line to fd without ever blocking: sends on a socket with
 * MSG_DONTWAIT, polls a pipe first, opens a terminal anew. line needs its
 * newline. Returns 0, or a negative errno (-EAGAIN: nothing or only a part
 * could go out, dropped; the next line to that fd then starts with a newline
 * of its own). Raises no SIGPIPE.
 */
int log_write_line(int fd, const char *line, size_t len);
/* The same for several lines in one go: the bytes that went out, or a negative
 * errno. For a file: a pipe is asked for the room of a single line. */
ssize_t log_write_lines(int fd, const char *lines, size_t len);
uint64_t log_dropped(void); /* events lost by a sink that would block */

#endif
