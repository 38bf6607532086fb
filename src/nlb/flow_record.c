/*
 * A flow's record as one line of JSON.
 */
#include "nlb/flow_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Text grows at buf + len; once something did not fit, nothing more does. */
struct writer {
	char *buf;
	size_t size, len;
	bool full;
};

static void append(struct writer *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

const char *
flow_state_name(enum flow_state state)
{
	switch (state) {
	case FLOW_CONNECTING:
		return "connecting";
	case FLOW_ESTABLISHED:
		return "established";
	case FLOW_FLUSHING:
		return "flushing";
	case FLOW_CLOSING:
		return "closing";
	}
	return "unknown";
}

static void
append(struct writer *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (w->full)
		return;
	va_start(ap, fmt);
	n = vsnprintf(w->buf + w->len, w->size - w->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= w->size - w->len)
		w->full = true;
	else
		w->len += (size_t)n;
}

/* NULL is null. What is not plain ASCII becomes \u00XX, byte by byte: the
 * line is valid JSON whatever the name holds. */
static void
append_string(struct writer *w, const char *key, const char *text)
{
	const char *p;

	if (text == NULL) {
		append(w, ",\"%s\":null", key);
		return;
	}
	append(w, ",\"%s\":\"", key);
	for (p = text; *p != '\0'; p++) {
		unsigned char byte = (unsigned char)*p;

		if (byte == '"' || byte == '\\')
			append(w, "\\%c", byte);
		else if (byte < 0x20 || byte > 0x7e)
			append(w, "\\u%04x", byte);
		else
			append(w, "%c", byte);
	}
	append(w, "\"");
}

static void
append_addr(struct writer *w, const char *key, const struct addr *a)
{
	char text[ADDR_STRLEN];

	append_string(w, key,
	    a->family == ADDR_NONE ? NULL : addr_format(a, text, sizeof(text)));
}

/* Microseconds as milliseconds with three decimals, exact. */
static void
append_ms(struct writer *w, const char *key, uint64_t us)
{
	append(w, ",\"%s\":%" PRIu64 ".%03" PRIu64, key, us / 1000, us % 1000);
}

static void
append_time(struct writer *w, uint64_t start_us)
{
	/* The last second RFC 3339 can write. */
	const uint64_t max_s = UINT64_C(253402300799);
	uint64_t seconds = start_us / 1000000;
	unsigned ms = (unsigned)(start_us % 1000000 / 1000);
	struct tm tm;
	time_t t;

	t = (time_t)(seconds > max_s ? max_s : seconds);
	memset(&tm, 0, sizeof(tm));
	gmtime_r(&t, &tm);
	append(w, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03uZ\"",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
	    tm.tm_sec, ms);
}

int
flow_record_format_json(const struct flow_record *r, const char *listener_name,
    const char *group_name, char *buf, size_t size)
{
	struct writer w = {.buf = buf, .size = size};

	append_time(&w, r->start_us);
	append(&w, ",\"id\":%" PRIu64, r->id);
	append_addr(&w, "client", &r->client);
	append_string(&w, "listener", listener_name);
	append_addr(&w, "listener_address", &r->listener);
	append_string(&w, "target_group", group_name);
	append_addr(&w, "target", &r->target);
	append(&w, ",\"client_to_target_bytes\":%" PRIu64,
	    r->client_to_target_bytes);
	append(&w, ",\"target_to_client_bytes\":%" PRIu64,
	    r->target_to_client_bytes);
	append(&w, ",\"client_to_target_packets\":%" PRIu64,
	    r->client_to_target_packets);
	append(&w, ",\"target_to_client_packets\":%" PRIu64,
	    r->target_to_client_packets);
	append_ms(&w, "duration_ms", r->duration_us);
	if (r->connect_us == 0)
		append_string(&w, "connect_ms", NULL);
	else
		append_ms(&w, "connect_ms", r->connect_us);
	append(&w, ",\"retries\":%u,\"worker\":%u", r->retries, r->worker);
	if (r->state == FLOW_CLOSING)
		append_string(&w, "end_reason",
		    flow_end_reason_code((enum flow_end_reason)r->reason));
	else
		append_string(
		    &w, "state", flow_state_name((enum flow_state)r->state));
	append(&w, "}\n");
	if (w.full) {
		if (size > 0)
			buf[0] = '\0';
		return -ENOSPC;
	}
	return (int)w.len;
}
