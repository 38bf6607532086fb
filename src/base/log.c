/*
 * The event log. Formats one event to one line and hands it to the sink.
 * Owns no descriptor but stderr, and never waits for one: a reader that is
 * stuck costs log lines, not flows.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/journal.h"

#define PREFIX_MAX 96 /* time, ident, level */
#define LIMIT_WINDOW_MS 10000

static struct {
	char ident[32];
	enum log_level level;
	bool journal; /* stderr is the journal's stream */
	const char *journal_path;
	log_sink sink;
	void *sink_arg;
	log_sink watcher;
	void *watcher_arg;
	uint64_t dropped;
	/* Bit n: the last line to descriptor n (below 64) was cut short. */
	uint64_t torn;
} state = {
    .ident = "nlbd",
    .level = LOG_LEVEL_INFO,
    .journal_path = JOURNAL_SOCKET,
};

static const struct {
	enum log_level level;
	const char *name;
} level_names[] = {
    {LOG_LEVEL_ERROR, "error"},
    {LOG_LEVEL_WARNING, "warning"},
    {LOG_LEVEL_NOTICE, "notice"},
    {LOG_LEVEL_INFO, "info"},
    {LOG_LEVEL_DEBUG, "debug"},
};
#define N_LEVELS (sizeof(level_names) / sizeof(level_names[0]))

int
log_level_parse(const char *text, enum log_level *out)
{
	for (size_t i = 0; i < N_LEVELS; i++) {
		if (strcmp(text, level_names[i].name) == 0) {
			*out = level_names[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

const char *
log_level_name(enum log_level level)
{
	for (size_t i = 0; i < N_LEVELS; i++) {
		if (level_names[i].level == level)
			return level_names[i].name;
	}
	return "unknown";
}

/* sd-daemon(3): JOURNAL_STREAM is "DEVICE:INODE" of the journal's stream;
 * it is inherited, so it may speak of a stderr that is long gone. */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[48];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return strcmp(stream, own) == 0;
}

void
log_init(const char *ident)
{
	(void)snprintf(state.ident, sizeof(state.ident), "%s", ident);
	state.journal = stderr_is_journal();
	log_set_sink(NULL, NULL);
}

void
log_set_journal(const char *path)
{
	state.journal_path = path;
}

void
log_set_level(enum log_level level)
{
	state.level = level;
}

void
log_set_sink(log_sink sink, void *arg)
{
	state.sink = sink;
	state.sink_arg = arg;
}

void
log_set_watcher(log_sink watcher, void *arg)
{
	state.watcher = watcher;
	state.watcher_arg = arg;
}

uint64_t
log_dropped(void)
{
	return state.dropped;
}

/* Length of the escape of c, 1 when it stays as it is. */
static size_t
escape_byte(uint8_t c, bool escape_backslash, char out[5])
{
	if (c == '\\' && escape_backslash) {
		memcpy(out, "\\\\", 3);
		return 2;
	}
	if (c < 0x20 || c > 0x7e) {
		(void)snprintf(out, 5, "\\x%02x", (unsigned)c);
		return 4;
	}
	out[0] = (char)c;
	return 1;
}

/* Returns true when all of src fitted. */
static bool
escape(char *dst, size_t dst_size, const void *src, size_t src_len,
    bool escape_backslash)
{
	const uint8_t *p = src;
	size_t used = 0;
	size_t i;

	if (dst_size == 0)
		return false;
	for (i = 0; i < src_len; i++) {
		char e[5];
		size_t len = escape_byte(p[i], escape_backslash, e);

		if (used + len >= dst_size)
			break;
		memcpy(dst + used, e, len);
		used += len;
	}
	dst[used] = '\0';
	return i == src_len;
}

char *
log_escape(char *dst, size_t dst_size, const void *src, size_t src_len)
{
	(void)escape(dst, dst_size, src, src_len, true);
	return dst;
}

/*
 * Can fd take a line now? A pipe without a reader is found here, so that no
 * SIGPIPE is raised for it.
 */
static int
poll_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int n = poll(&p, 1, 0);

	if (n == -1)
		return -errno;
	if ((p.revents & POLLNVAL) != 0)
		return -EBADF;
	if ((p.revents & POLLERR) != 0)
		return -EPIPE;
	return (p.revents & POLLOUT) != 0 ? 0 : -EAGAIN;
}

/*
 * A pipe that polls writable takes PIPE_BUF bytes at once, but another writer
 * may come between: RWF_NOWAIT closes that gap where the kernel knows it for
 * pipes (6.5 on).
 */
static ssize_t
write_polled(int fd, const struct iovec *iov, int n_iov)
{
	ssize_t n = poll_writable(fd);

	if (n != 0)
		return n;
	n = pwritev2(fd, iov, n_iov, -1, RWF_NOWAIT);
	if (n == -1 && errno == EOPNOTSUPP)
		n = writev(fd, iov, n_iov);
	return n == -1 ? -errno : n;
}

/*
 * stderr may be shared with other programs, so O_NONBLOCK is not ours to set
 * on it. A stopped terminal polls writable and then blocks; opened once more,
 * it has flags of its own. (Not ours to open after a change of user: then it
 * is written as it is.)
 */
static ssize_t
write_tty(int fd, const struct iovec *iov, int n_iov)
{
	char path[32];
	ssize_t n;
	int own;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own == -1)
		return write_polled(fd, iov, n_iov);
	n = writev(own, iov, n_iov);
	if (n == -1)
		n = -errno;
	(void)close(own);
	return n;
}

/* One write that does not wait. */
static ssize_t
write_nowait(int fd, const struct iovec *iov, int n_iov)
{
	struct msghdr msg = {.msg_iovlen = (size_t)n_iov};
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (S_ISCHR(st.st_mode) && isatty(fd))
		return write_tty(fd, iov, n_iov);
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		return write_polled(fd, iov, n_iov);
	if (S_ISSOCK(st.st_mode)) {
		msg.msg_iov = (struct iovec *)(uintptr_t)iov;
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		n = writev(fd, iov, n_iov);
	}
	return n == -1 ? -errno : n;
}

ssize_t
log_write_lines(int fd, const char *lines, size_t len)
{
	uint64_t bit = fd >= 0 && fd < 64 ? UINT64_C(1) << fd : 0;
	bool torn = (state.torn & bit) != 0;
	struct iovec iov[2] = {
	    {.iov_base = (void *)(uintptr_t) "\n", .iov_len = torn},
	    {.iov_base = (void *)(uintptr_t)lines, .iov_len = len},
	};
	ssize_t n;

	do {
		n = write_nowait(fd, iov + !torn, torn ? 2 : 1);
	} while (n == -EINTR);
	if (n <= 0)
		return n;
	n -= torn;
	/* The rest of a line that went out in part would only come after
	 * waiting; the next line starts on its own. */
	if (n > 0 && lines[n - 1] != '\n')
		state.torn |= bit;
	else
		state.torn &= ~bit;
	return n;
}

int
log_write_line(int fd, const char *line, size_t len)
{
	ssize_t n = log_write_lines(fd, line, len);

	if (n < 0)
		return (int)n;
	return (size_t)n < len ? -EAGAIN : 0;
}

/* "2026-11-21T19:52:01.123456Z nlbd: warning: ", or "<4>" for the journal. As
 * fine as a packet capture: what came first shows when both are read. */
static void
format_prefix(char *dst, size_t size, enum log_level level)
{
	struct timespec now = {0};
	struct tm tm = {0};
	char day[24];

	if (state.journal) {
		(void)snprintf(dst, size, "<%d>", (int)level);
		return;
	}
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	(void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(dst, size, "%s.%06ldZ %s: %s: ", day, now.tv_nsec / 1000,
	    state.ident, log_level_name(level));
}

void
log_to_stderr(const struct log_entry *entry)
{
	char prefix[PREFIX_MAX];
	char line[PREFIX_MAX + LOG_LINE_MAX + 1];

	if (state.journal &&
	    journal_send(state.journal_path, state.ident, entry) == 0)
		return;
	format_prefix(prefix, sizeof(prefix), entry->kind.level);
	(void)snprintf(line, sizeof(line), "%s%s\n", prefix, entry->text);
	if (log_write_line(STDERR_FILENO, line, strlen(line)) != 0)
		state.dropped++;
}

static bool
is_watched(const struct log_kind *kind)
{
	return state.watcher != NULL && kind->code != NULL;
}

void
log_kind_va(const struct log_kind *kind, const struct log_field *about,
    const char *fmt, va_list ap)
{
	char raw[LOG_LINE_MAX];
	char text[LOG_LINE_MAX];
	struct log_entry entry = {.kind = *kind, .text = text, .about = about};
	int saved_errno = errno;
	int n;

	if (kind->level > state.level && !is_watched(kind))
		return;
	n = vsnprintf(raw, sizeof(raw), fmt, ap);
	if (n < 0) {
		(void)snprintf(raw, sizeof(raw), "%s", fmt);
		n = (int)strlen(raw);
	}
	/* Arguments from outside come through log_escape already; this is the
	 * net under it, so their backslashes are not doubled again. */
	if (!escape(text, sizeof(text), raw, strlen(raw), false) ||
	    (size_t)n >= sizeof(raw))
		memcpy(text + strlen(text) - 3, "...", 3);
	if (is_watched(kind))
		state.watcher(state.watcher_arg, &entry);
	if (kind->level <= state.level) {
		if (state.sink != NULL)
			state.sink(state.sink_arg, &entry);
		else
			log_to_stderr(&entry);
	}
	errno = saved_errno;
}

void
log_kind(const struct log_kind *kind, const struct log_field *about,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_kind_va(kind, about, fmt, ap);
	va_end(ap);
}

#define DEFINE_LOG(name, name_level)                                         \
	void name(const char *fmt, ...)                                      \
	{                                                                    \
		static const struct log_kind kind = {.level = (name_level)}; \
		va_list ap;                                                  \
                                                                             \
		va_start(ap, fmt);                                           \
		log_kind_va(&kind, NULL, fmt, ap);                           \
		va_end(ap);                                                  \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_notice, LOG_LEVEL_NOTICE)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)

bool
log_allowed(struct log_limit *limit, uint64_t now_ms)
{
	limit->reported = 0;
	/* A clock that steps back opens a window too: the difference wraps. */
	if (now_ms - limit->window_start_ms >= LIMIT_WINDOW_MS) {
		limit->window_start_ms = now_ms;
		limit->used = 0;
	}
	if (limit->used >= limit->burst) {
		limit->suppressed++;
		return false;
	}
	limit->used++;
	limit->reported = limit->suppressed;
	limit->suppressed = 0;
	return true;
}
