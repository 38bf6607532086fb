/*
 * Component tests of supervisor/registry when memory runs out in the middle of
 * a config, and of the slot that nobody gets.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "faults.h"
#include "registry_fixture.h"

#define LISTENER                                                 \
	"[listener l]\nPort = 587\nDefaultActions = forward:a\n" \
	"SecurityGroups = none\n[target-group a]\nPort = 25\n"
#define BEFORE LISTENER "Target.a = Id=10.0.0.1\nTarget.b = Id=10.0.0.2\n"
#define AFTER                                                       \
	LISTENER "Target.b = Id=10.0.0.2\nTarget.c = Id=10.0.0.3\n" \
		 "Target.d = Id=10.0.0.4\nTarget.e = Id=10.0.0.5\n"
#define AFTER_TARGETS 4

/* Each slot is the one of the target that it was given for, or nobody's. */
static unsigned
check_slots(const struct fixture *f, const struct conf *conf)
{
	unsigned missing = 0;

	for (size_t i = 0; i < AFTER_TARGETS; i++) {
		const struct registered_target *t =
		    registry_find_slot(&f->registry, f->slots[i]);

		if (f->slots[i] == SB_SLOT_VOID) {
			missing++;
			continue;
		}
		assert_non_null(t);
		assert_true(addr_equal(
		    &t->addr, &conf->target_groups[0].targets[i].addr));
		assert_true(t->in_config);
	}
	assert_null(registry_find_slot(&f->registry, SB_SLOT_VOID));
	assert_u64(flags(f, SB_SLOT_VOID), 0);
	return missing;
}

/* Returns how many targets are missing after a config whose n-th allocation
 * fails; hit tells if there was one. */
static unsigned
apply_without_memory(unsigned n, bool *hit)
{
	struct conf *before = conf_from_text(BEFORE);
	struct conf *after = conf_from_text(AFTER);
	struct fixture *f;
	unsigned missing;
	void *state = NULL;
	int rc;

	assert_i64(setup(&state), 0);
	f = state;
	assert_errno(registry_apply(&f->registry, before, 0, f->slots), 0);
	check(f, 1, PROBE_SUCCESS, 1);
	fault_set(FAULT_CALLOC, n, 1, ENOMEM);
	rc = registry_apply(&f->registry, after, 2, f->slots);
	*hit = fault_hits(FAULT_CALLOC) > 0;
	fault_reset();
	assert_errno(rc, *hit ? -ENOMEM : 0);
	missing = check_slots(f, after);
	/* What was there goes on. */
	assert_u64(flags(f, f->slots[0]), SB_ROUTABLE);
	/* With memory again all is well. */
	assert_errno(registry_apply(&f->registry, after, 3, f->slots), 0);
	assert_u64(check_slots(f, after), 0);
	assert_true(checked[f->slots[3]]);
	assert_i64(teardown(&state), 0);
	conf_destroy(before);
	conf_destroy(after);
	return missing;
}

static void
a_target_without_memory_is_missing_and_takes_nobodys_place(void **state)
{
	unsigned missing = 0, n = 0;
	bool hit;

	(void)state;
	do
		missing += apply_without_memory(n++, &hit);
	while (hit);
	assert_true(n > AFTER_TARGETS - 1);
	assert_true(missing >= AFTER_TARGETS - 1);
}

static void
no_target_ever_gets_the_void_slot(void **state)
{
	struct fixture *f = *state;
	struct conf *conf = NULL;

	for (unsigned i = 0; i <= SB_TARGETS; i++) {
		char text[256];
		struct conf *next;

		snprintf(text, sizeof(text),
		    LISTENER "Target.x = Id=10.1.%u.%u\n", i >> 8, i & 255);
		next = conf_from_text(text);
		assert_errno(
		    registry_apply(&f->registry, next, i, f->slots), 0);
		registry_tick(&f->registry, i);
		assert_true(f->slots[0] < SB_SLOT_VOID);
		conf_destroy(conf);
		conf = next;
	}
	f->confs[f->n_confs++] = conf;
}

int
main(void)
{
	const struct CMUnitTest registry_faults[] = {
	    cmocka_unit_test(
		a_target_without_memory_is_missing_and_takes_nobodys_place),
	    cmocka_unit_test_setup_teardown(
		no_target_ever_gets_the_void_slot, setup, teardown),
	};

	return cmocka_run_group_tests(registry_faults, NULL, NULL);
}
