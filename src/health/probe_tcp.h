/*
 * One TCP health check: a connection that is opened and closed again. Knows
 * one socket and no clock; the timeout is the caller's.
 */
#ifndef HEALTH_PROBE_TCP_H
#define HEALTH_PROBE_TCP_H

#include <uv.h>

#include "base/addr.h"
#include "nlb/target.h"

struct probe_tcp;

/*
 * error is 0 when the target took the connection, else a negative errno.
 * Called at most once, from the loop; the probe has closed itself and must
 * not be used any more.
 */
typedef void (*probe_tcp_cb)(void *owner, int error);

/* 0 with the connection under way, or a negative errno at once, without a
 * call. */
int probe_tcp_start(uv_loop_t *loop, const struct addr *target,
    probe_tcp_cb done, void *owner, struct probe_tcp **out);

/*
 * Asks the kernel now, for a caller whose loop may be late: 0, -EINPROGRESS,
 * or the error that ended the attempt.
 */
int probe_tcp_look(const struct probe_tcp *p);

/* Closes without a call. */
void probe_tcp_close(struct probe_tcp *p);

/* What the outcome says about the target, and in words (a static string). */
enum probe_result probe_tcp_judge(int error, const char **detail);

#endif
