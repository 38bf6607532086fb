/*
 * What one target's health check is: where to, how, how often.
 */
#ifndef HEALTH_CHECK_SPEC_H
#define HEALTH_CHECK_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "nlb/http_codes.h"

enum check_protocol {
	CHECK_TCP,
	CHECK_HTTP,
	CHECK_HTTPS,
	CHECK_SMTP,
	CHECK_PROTOCOLS
};

#define CHECK_PATH_MAX 1025 /* NUL included */

struct check_spec {
	enum check_protocol protocol;
	struct addr addr;                 /* what is probed, port included */
	uint32_t interval_ms, timeout_ms; /* at least 1 */
	/* Outbound rules forbid it: nothing is sent, every check fails. */
	bool blocked;
	/* The connection starts with a PROXY v2 LOCAL header. */
	bool proxy_v2;
	/* HTTP and HTTPS */
	char path[CHECK_PATH_MAX];
	struct http_codes codes; /* healthy ones */
	uint16_t host_port;      /* in the Host header: the listener's */
	/* SMTP: the server has to offer STARTTLS. */
	bool smtp_starttls;
};

/* Can it be checked at all: address, port, interval and timeout? */
bool check_spec_is_sound(const struct check_spec *spec);
/* Do both ask the target the same? Interval and timeout may differ. */
bool check_spec_asks_same(
    const struct check_spec *a, const struct check_spec *b);

#endif
