/*
 * What one target's health check is: where to, how, how often.
 */
#ifndef HEALTH_CHECK_SPEC_H
#define HEALTH_CHECK_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

enum check_protocol { CHECK_TCP, CHECK_PROTOCOLS };

struct check_spec {
	enum check_protocol protocol;
	struct addr addr;                 /* what is probed, port included */
	uint32_t interval_ms, timeout_ms; /* at least 1 */
	/* Outbound rules forbid it: nothing is sent, every check fails. */
	bool blocked;
	/* The connection starts with a PROXY v2 LOCAL header. */
	bool proxy_v2;
};

/* Can it be checked at all: address, port, interval and timeout? */
bool check_spec_is_sound(const struct check_spec *spec);
/* Do both ask the target the same? Interval and timeout may differ. */
bool check_spec_asks_same(
    const struct check_spec *a, const struct check_spec *b);

#endif
