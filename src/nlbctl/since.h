/*
 * A moment as people write it on a command line.
 */
#ifndef NLBCTL_SINCE_H
#define NLBCTL_SINCE_H

#include <stdint.h>

/*
 * "90s", "1h30m" (that long before now_s); "2026-08-01T10:02:03Z", with +09:00
 * in place of the Z, without its seconds, with a blank for the T; "2026-08-01";
 * "10:02" (of now_s's day). UTC where nothing else is said. Writes seconds
 * since the epoch; 0 or -EINVAL with *out untouched.
 */
int since_parse(const char *text, int64_t now_s, int64_t *out);

#endif
