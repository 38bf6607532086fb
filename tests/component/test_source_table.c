/* worker/source_table: flows per source, exact here, sketched elsewhere. */
#include "worker/source_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "faults.h"
#include "support/expect.h"

struct case_state {
	struct scoreboard *sb;
	struct sb_block *block, *other;
	struct source_table table;
};

static int
setup(void **state)
{
	struct case_state *s = calloc(1, sizeof(*s));
	int fd;

	fault_reset();
	assert_i64(scoreboard_create(&s->sb, &fd), 0);
	close(fd);
	s->block = scoreboard_take(s->sb, 0, 0);
	s->other = scoreboard_take(s->sb, 1, 0);
	source_table_init(&s->table, s->sb, s->block);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct case_state *s = *state;

	source_table_fini(&s->table);
	scoreboard_detach(s->sb);
	free(s);
	return 0;
}

static struct addr
ip(const char *text, uint16_t port)
{
	struct addr a;

	assert_i64(addr_parse_ip(text, &a), 0);
	a.port = port;
	return a;
}

static int
enter(
    struct case_state *s, const char *text, uint32_t limit, struct source **out)
{
	struct addr a = ip(text, (uint16_t)random());

	return source_table_enter(&s->table, &a, limit, out);
}

static size_t
count_sources(const struct case_state *s)
{
	size_t n = 0;

	for (size_t i = 0; i < SOURCE_TABLE_BUCKETS; i++)
		for (const struct source *p = s->table.buckets[i]; p != NULL;
		     p = p->next)
			n++;
	return n;
}

static uint64_t
sketch_sum(const struct case_state *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < SB_SOURCES; i++)
		n += atomic_load(&s->block->sources[i]);
	return n;
}

static void
ports_of_one_address_are_one_source(void **state)
{
	struct case_state *s = *state;
	struct source *a, *b, *c;

	assert_i64(enter(s, "192.0.2.1", 2, &a), 0);
	assert_i64(enter(s, "192.0.2.1", 2, &b), 0);
	assert_ptr_equal(a, b);
	assert_errno(enter(s, "192.0.2.1", 2, &c), -EDQUOT);
	assert_i64(enter(s, "192.0.2.2", 2, &c), 0);
	assert_u64(a->n_flows, 2);
	assert_u64(sketch_sum(s), 3);
	source_table_leave(&s->table, a);
	assert_i64(enter(s, "192.0.2.1", 2, &b), 0);
	source_table_leave(&s->table, b);
	source_table_leave(&s->table, b);
	source_table_leave(&s->table, c);
	assert_u64(count_sources(s), 0);
	assert_u64(sketch_sum(s), 0);
}

static void
an_ipv6_source_is_its_64(void **state)
{
	struct case_state *s = *state;
	struct source *a, *b, *c;

	assert_i64(enter(s, "2001:db8:0:1::1", 0, &a), 0);
	assert_i64(enter(s, "2001:db8:0:1:ffff::2", 0, &b), 0);
	assert_i64(enter(s, "2001:db8:0:2::1", 0, &c), 0);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	source_table_leave(&s->table, a);
	source_table_leave(&s->table, b);
	source_table_leave(&s->table, c);
}

static void
other_workers_flows_count(void **state)
{
	struct case_state *s = *state;
	struct source *a, *b;

	assert_i64(enter(s, "192.0.2.1", 5, &a), 0);
	atomic_store(&s->other->sources[a->sketch_bucket], 4);
	assert_errno(enter(s, "192.0.2.1", 5, &b), -EDQUOT);
	atomic_store(&s->other->sources[a->sketch_bucket], 3);
	assert_i64(enter(s, "192.0.2.1", 5, &b), 0);
	source_table_leave(&s->table, a);
	source_table_leave(&s->table, b);
}

/* A refused source that has no flow leaves no entry behind: strangers cannot
 * fill the memory. */
static void
refused_sources_leave_nothing_behind(void **state)
{
	struct case_state *s = *state;
	struct source *out;

	for (size_t i = 0; i < SB_SOURCES; i++)
		atomic_store(&s->other->sources[i], 1);
	for (int i = 0; i < 1000; i++) {
		char text[32];

		snprintf(text, sizeof(text), "198.51.%d.%d", i / 250, i % 250);
		assert_errno(enter(s, text, 1, &out), -EDQUOT);
	}
	assert_u64(count_sources(s), 0);
	assert_u64(sketch_sum(s), 0);
}

static void
thousands_of_sources_come_and_go(void **state)
{
	struct case_state *s = *state;
	static struct source *sources[10000];
	char text[32];

	for (int i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "10.%d.%d.1", i / 250, i % 250);
		assert_i64(enter(s, text, 1, &sources[i]), 0);
	}
	assert_u64(count_sources(s), 10000);
	for (int i = 0; i < 10000; i++)
		source_table_leave(&s->table, sources[(i * 7919) % 10000]);
	assert_u64(count_sources(s), 0);
	assert_u64(sketch_sum(s), 0);
}

static void
no_memory_is_said(void **state)
{
	struct case_state *s = *state;
	struct source *out;

	fault_set(FAULT_CALLOC, 0, 1, ENOMEM);
	assert_errno(enter(s, "192.0.2.1", 0, &out), -ENOMEM);
	assert_u64(sketch_sum(s), 0);
}

static void
fini_frees_what_is_left(void **state)
{
	struct source *out;

	/* ASan and valgrind see to it. */
	assert_i64(enter(*state, "192.0.2.1", 0, &out), 0);
	assert_u64(count_sources(*state), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest source_table[] = {
	    TEST(ports_of_one_address_are_one_source),
	    TEST(an_ipv6_source_is_its_64),
	    TEST(other_workers_flows_count),
	    TEST(refused_sources_leave_nothing_behind),
	    TEST(thousands_of_sources_come_and_go),
	    TEST(no_memory_is_said),
	    TEST(fini_frees_what_is_left),
	};

	return cmocka_run_group_tests(source_table, NULL, NULL);
}
