/*
 * Runs the health checks: one schedule per target, phases spread over the
 * interval so that checks never herd. Knows addresses and timing only; what a
 * result means is nlb/target.h's business.
 */
#ifndef HEALTH_CHECKER_H
#define HEALTH_CHECKER_H

#include <stdint.h>
#include <uv.h>

#include "health/check_spec.h"
#include "nlb/conf.h"
#include "nlb/target.h"

/*
 * detail is one short sentence for the log ("connection refused"), valid
 * during the call; elapsed_us is the time to the answer. Called from the loop,
 * never from inside checker_set or checker_remove; may call anything of the
 * checker, its destruction included.
 */
typedef void (*checker_started_cb)(void *owner, uint32_t slot);
typedef void (*checker_result_cb)(void *owner, uint32_t slot,
    enum probe_result result, const char *detail, uint64_t elapsed_us);

struct checker;

/* 0 or -ENOMEM or a libuv error. The callbacks live as long as the checker. */
int checker_create(uv_loop_t *loop, void *owner, checker_started_cb started,
    checker_result_cb result, struct checker **out);

/*
 * Adds slot, or changes its spec. A new slot's first check comes at once, but
 * slots added together are spread evenly over min(interval, 1 s); the later
 * ones come each interval, at a phase of the slot's own, spread evenly over
 * the interval. An unchanged spec changes nothing; a changed interval or
 * timeout counts from the next check on; anything else cancels the check
 * under way and starts over as a new slot. 0, -ENOMEM, or -EINVAL for a spec
 * that cannot be checked (no address or port, interval or timeout 0).
 */
int checker_set(
    struct checker *c, uint32_t slot, const struct check_spec *spec);
/* Stops checking slot; a check under way is cancelled without a result. A
 * slot that is not there is fine. */
void checker_remove(struct checker *c, uint32_t slot);
/* How many descriptors the checker may hold at once (0 = default 256); checks
 * over it wait their turn, they are not void. */
void checker_set_max_inflight(struct checker *c, uint32_t max);

/* Where checks come from, from the next one on. */
void checker_set_source_addresses(
    struct checker *c, const struct conf_load_balancer *lb);

/* No callback comes any more. Closes all handles; the memory is freed from
 * the loop afterwards. NULL is fine. */
void checker_destroy(struct checker *c);

#endif
