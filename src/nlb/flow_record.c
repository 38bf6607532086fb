/*
 * A flow's record as text: JSON, VPC flow log, access log.
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

/* "2026-11-21T19:52:01", in UTC. */
static void
append_seconds(struct writer *w, uint64_t time_us)
{
	/* The last second RFC 3339 can write. */
	const uint64_t max_s = UINT64_C(253402300799);
	uint64_t seconds = time_us / 1000000;
	struct tm tm;
	time_t t;

	t = (time_t)(seconds > max_s ? max_s : seconds);
	memset(&tm, 0, sizeof(tm));
	gmtime_r(&t, &tm);
	append(w, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static int
finish(const struct writer *w)
{
	if (!w->full)
		return (int)w->len;
	if (w->size > 0)
		w->buf[0] = '\0';
	return -ENOSPC;
}

int
flow_record_format_json(const struct flow_record *r,
    const struct flow_names *names, char *buf, size_t size)
{
	struct writer w = {.buf = buf, .size = size};

	append(&w, "{\"time\":\"");
	append_seconds(&w, r->start_us);
	append(&w, ".%03uZ\",\"id\":%" PRIu64,
	    (unsigned)(r->start_us % 1000000 / 1000), r->id);
	append_addr(&w, "client", &r->client);
	append_string(&w, "listener", names->listener);
	append_addr(&w, "listener_address", &r->listener);
	append_string(&w, "target_group", names->target_group);
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
	return finish(&w);
}

/* ---- fields between spaces --------------------------------------------- */

/* A field and the space after it. A byte that would end the field, or the
 * line, becomes `?'. */
static void
append_field(struct writer *w, const char *text)
{
	const char *p;

	if (text == NULL || text[0] == '\0')
		text = "-";
	for (p = text; *p != '\0'; p++)
		append(w, "%c", *p > 0x20 && *p < 0x7f ? *p : '?');
	append(w, " ");
}

static uint64_t
end_us(const struct flow_record *r)
{
	return r->duration_us > UINT64_MAX - r->start_us
		   ? UINT64_MAX
		   : r->start_us + r->duration_us;
}

static void
append_ip_field(struct writer *w, const struct addr *a)
{
	char text[ADDR_STRLEN];

	append_field(w, a->family == ADDR_NONE
			    ? NULL
			    : addr_format_ip(a, text, sizeof(text)));
}

static void
append_port_field(struct writer *w, const struct addr *a)
{
	if (a->family == ADDR_NONE)
		append_field(w, NULL);
	else
		append(w, "%u ", (unsigned)a->port);
}

static void
append_addr_field(struct writer *w, const struct addr *a)
{
	char text[ADDR_STRLEN];

	append_field(w,
	    a->family == ADDR_NONE ? NULL : addr_format(a, text, sizeof(text)));
}

/* One direction of a flow. */
struct direction {
	const struct addr *from, *to;
	uint64_t packets, bytes;
};

static void
append_vpc_line(struct writer *w, const struct flow_record *r,
    const struct flow_names *names, const struct direction *d)
{
	enum flow_end_class class =
	    flow_end_reason_class((enum flow_end_reason)r->reason);

	/* version, account-id: there is no account */
	append(w, "2 - ");
	append_field(w, names->load_balancer); /* interface-id */
	append_ip_field(w, d->from);
	append_ip_field(w, d->to);
	append_port_field(w, d->from);
	append_port_field(w, d->to);
	append(w, "6 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %s OK\n",
	    d->packets, d->bytes, r->start_us / 1000000, end_us(r) / 1000000,
	    class == FLOW_END_BLOCKED ? "REJECT" : "ACCEPT");
}

int
flow_record_format_vpc(const struct flow_record *r,
    const struct flow_names *names, char *buf, size_t size)
{
	struct writer w = {.buf = buf, .size = size};
	const struct direction in = {&r->client, &r->listener,
	    r->client_to_target_packets, r->client_to_target_bytes};
	const struct direction out = {&r->listener, &r->client,
	    r->target_to_client_packets, r->target_to_client_bytes};

	append_vpc_line(&w, r, names, &in);
	/* What a rule refused has no answer that a rule could judge. */
	if (flow_end_reason_class((enum flow_end_reason)r->reason) !=
	    FLOW_END_BLOCKED)
		append_vpc_line(&w, r, names, &out);
	return finish(&w);
}

int
flow_record_format_nlb(const struct flow_record *r,
    const struct flow_names *names, char *buf, size_t size)
{
	struct writer w = {.buf = buf, .size = size};

	append(&w, "tcp 2.0 ");
	append_seconds(&w, end_us(r));
	append(&w, " ");
	append_field(&w, names->load_balancer);
	append_field(&w, names->listener);
	append_addr_field(&w, &r->client);
	/* The destination is the client's: the listener, not the target. */
	append_addr_field(&w, &r->listener);
	/* After connection_time the handshake's, which there is none of. */
	append(&w, "%" PRIu64 " - %" PRIu64 " %" PRIu64 " ",
	    r->duration_us / 1000, r->client_to_target_bytes,
	    r->target_to_client_bytes);
	/* alert, certificate (2), cipher, version, group, domain, ALPN (3) */
	append(&w, "- - - - - - - - - - ");
	append_seconds(&w, r->start_us);
	append(&w, "\n");
	return finish(&w);
}
