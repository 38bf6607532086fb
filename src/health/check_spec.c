/* Comparing and checking check_specs. */
#include "health/check_spec.h"

#include <string.h>

bool
check_spec_is_sound(const struct check_spec *spec)
{
	return (unsigned)spec->protocol < CHECK_PROTOCOLS &&
	       spec->addr.family != ADDR_NONE && spec->addr.port != 0 &&
	       spec->interval_ms != 0 && spec->timeout_ms != 0;
}

bool
check_spec_asks_same(const struct check_spec *a, const struct check_spec *b)
{
	return a->protocol == b->protocol && a->blocked == b->blocked &&
	       a->proxy_v2 == b->proxy_v2 && addr_equal(&a->addr, &b->addr) &&
	       strcmp(a->path, b->path) == 0 &&
	       http_codes_equal(&a->codes, &b->codes) &&
	       a->host_port == b->host_port &&
	       a->smtp_starttls == b->smtp_starttls;
}
