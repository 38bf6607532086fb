/*
 * What the registry's test programs share: a checker that only notes what it
 * is told, a registry on a scoreboard of its own, time passed in. Included
 * once in a program: it stands in for health/checker.
 */
#ifndef COMPONENT_REGISTRY_FIXTURE_H
#define COMPONENT_REGISTRY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/registry.h"
#include "supervisor_fixture.h"
#include "support/expect.h"

#define SLOTS_MAX 16
#define CONFS_MAX 8

/* ---- the checker ------------------------------------------------------ */

static struct check_spec checks[SB_TARGETS];
static bool checked[SB_TARGETS];

int
checker_set(struct checker *c, uint32_t slot, const struct check_spec *spec)
{
	(void)c;
	checks[slot] = *spec;
	checked[slot] = true;
	return 0;
}

void
checker_remove(struct checker *c, uint32_t slot)
{
	(void)c;
	checked[slot] = false;
}

/* ---- the fixture ------------------------------------------------------ */

struct fixture {
	struct registry registry;
	struct scoreboard *sb;
	struct sb_block *worker;
	int sb_fd;
	struct conf *confs[CONFS_MAX];
	size_t n_confs;
	uint16_t slots[SLOTS_MAX];
	size_t n_ends;
	uint16_t ended_slot;
	enum flow_end_reason ended_reason;
};

static inline void
on_end_flows(void *owner, uint16_t slot, enum flow_end_reason reason)
{
	struct fixture *f = owner;

	f->n_ends++;
	f->ended_slot = slot;
	f->ended_reason = reason;
}

static inline int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL || scoreboard_create(&f->sb, &f->sb_fd) != 0)
		return -1;
	memset(checked, 0, sizeof(checked));
	f->worker = scoreboard_take(f->sb, 0, 0);
	registry_init(&f->registry, f->sb, NULL, on_end_flows, f);
	capture_log();
	*state = f;
	return 0;
}

static inline int
teardown(void **state)
{
	struct fixture *f = *state;

	registry_fini(&f->registry);
	for (size_t i = 0; i < f->n_confs; i++)
		conf_destroy(f->confs[i]);
	scoreboard_detach(f->sb);
	close(f->sb_fd);
	free(f);
	return 0;
}

/* One listener with group a; keys of the group, then further sections. */
static inline void
apply(struct fixture *f, uint64_t now_ms, const char *group, const char *more)
{
	char text[2048];
	struct conf *conf;

	snprintf(text, sizeof(text),
	    "[listener l]\nPort = 587\nDefaultActions = forward:a\n"
	    "SecurityGroups = none\n"
	    "[target-group a]\nPort = 25\n%s\n%s\n",
	    group, more);
	conf = conf_from_text(text);
	assert_true(f->n_confs < CONFS_MAX);
	f->confs[f->n_confs++] = conf;
	assert_errno(registry_can_apply(&f->registry, conf, NULL, 0), 0);
	assert_errno(registry_apply(&f->registry, conf, now_ms, f->slots), 0);
}

static inline struct registered_target *
target(const struct fixture *f, size_t i)
{
	struct registered_target *t =
	    registry_find_slot(&f->registry, f->slots[i]);

	assert_non_null(t);
	return t;
}

static inline void
check(struct fixture *f, size_t i, enum probe_result result, uint64_t now_ms)
{
	registry_check_started(&f->registry, f->slots[i], now_ms);
	registry_check_result(&f->registry, f->slots[i], result,
	    result == PROBE_SUCCESS ? "connected" : "connection refused", 900,
	    now_ms);
}

static inline uint32_t
flags(const struct fixture *f, uint16_t slot)
{
	return atomic_load(&f->sb->targets[slot].flags);
}

#endif
