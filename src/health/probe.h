/*
 * One health check under way, whatever its protocol: what the checker knows
 * of it. A probe holds one connection and no clock; the deadline is the
 * checker's.
 */
#ifndef HEALTH_PROBE_H
#define HEALTH_PROBE_H

#include <stdbool.h>
#include <uv.h>

#include "health/check_spec.h"
#include "ipc/source_addresses.h"
#include "nlb/target.h"

#define PROBE_DETAIL_MAX 160

struct probe_end {
	enum probe_result result;
	/* Only the answer's lateness is wrong: void when nlbd was stalled. */
	bool timed_out;
	char detail[PROBE_DETAIL_MAX]; /* one short sentence, escaped */
};

/* Called at most once, from the loop; the probe has closed itself and must
 * not be used any more. end lives during the call. */
typedef void (*probe_done_cb)(void *owner, const struct probe_end *end);

struct http_client;

struct probe_env {
	uv_loop_t *loop;
	/* What all HTTP checks share: created by the first one, the caller's
	 * to destroy. */
	struct http_client **http;
	const struct check_spec *spec; /* during the start only */
	/* Where the check comes from; NULL: the kernel chooses. */
	struct source_addresses *source_addresses;
	probe_done_cb done;
	void *owner;
};

/* The first member of every kind of probe. */
struct probe {
	const struct probe_ops *ops;
	probe_done_cb done;
	void *owner;
};

struct probe_ops {
	/*
	 * The deadline has come, and the loop may be late: goes as far as the
	 * kernel has the answer at hand, never waits, and says how it stands.
	 * No call of done; the probe stays open.
	 */
	void (*give_up)(struct probe *p, struct probe_end *end);
	/* Closes without a call. */
	void (*close)(struct probe *p);
};

/* Fills in what every kind begins with. */
static inline struct probe
probe_begin(const struct probe_ops *ops, const struct probe_env *env)
{
	return (struct probe){
	    .ops = ops, .done = env->done, .owner = env->owner};
}

/* Closes, then calls: p is gone by then. */
static inline void
probe_finish(struct probe *p, const struct probe_end *end)
{
	struct probe was = *p;

	was.ops->close(p);
	was.done(was.owner, end);
}

/* 0 with the check under way, or a negative errno at once, without a call. */
int probe_tcp_start(const struct probe_env *env, struct probe **out);
int probe_smtp_start(const struct probe_env *env, struct probe **out);
int probe_http_start(const struct probe_env *env, struct probe **out);

#endif
