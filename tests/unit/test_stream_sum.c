/*
 * What the load tools compare bytes with: the sum of a stream, and the
 * pattern that both ends compute.
 */
#include "expect.h"
#include "pattern.h"
#include "stream_sum.h"

#define LEN 3000

static uint64_t
sum_of(const char *data, size_t len, size_t piece)
{
	struct stream_sum sum = {0};

	for (size_t i = 0; i < len; i += piece)
		stream_sum_add(
		    &sum, data + i, len - i < piece ? len - i : piece);
	return stream_sum_value(&sum);
}

static void
sum_is_the_same_in_every_split(void **state)
{
	const char *data = pattern_at(1, 0);

	(void)state;
	for (size_t piece = 1; piece < LEN; piece += 61)
		assert_u64(sum_of(data, LEN, piece), sum_of(data, LEN, LEN));
}

static void
sums_of_two_pieces_give_that_of_the_whole(void **state)
{
	const char *data = pattern_at(2, 0);

	(void)state;
	for (size_t cut = 0; cut <= LEN; cut += 100) {
		struct stream_sum first = {0};
		struct stream_sum rest = {0};

		stream_sum_add(&first, data, cut);
		stream_sum_add(&rest, data + cut, LEN - cut);
		stream_sum_append(&first, &rest);
		assert_u64(stream_sum_value(&first), sum_of(data, LEN, LEN));
		assert_u64(first.bytes, LEN);
	}
}

/* A copy with a byte lost, doubled, changed, or swapped with the next one;
 * returns its length. */
static size_t
tamper(char *out, const char *in, size_t len, size_t at, int how)
{
	memcpy(out, in, len);
	if (how == 0) {
		memmove(out + at, out + at + 1, len - at - 1);
		return len - 1;
	}
	if (how == 1) {
		memcpy(out + at + 1, in + at, len - at);
		return len + 1;
	}
	if (how == 2) {
		out[at] ^= 0x20;
	} else {
		out[at] = in[at + 1];
		out[at + 1] = in[at];
	}
	return len;
}

static void
one_lost_doubled_changed_or_swapped_byte_changes_the_sum(void **state)
{
	const char *data = pattern_at(3, 0);
	uint64_t right = sum_of(data, LEN, LEN);
	char wrong[LEN + 1];

	(void)state;
	for (size_t at = 0; at < LEN - 1; at++) {
		for (int how = 0; how < 4; how++) {
			size_t len = tamper(wrong, data, LEN, at, how);

			/* Swapping equals changes nothing. */
			if (how == 3 && data[at] == data[at + 1])
				continue;
			assert_true(sum_of(wrong, len, len) != right);
		}
	}
}

static void
pattern_goes_on_where_a_piece_ended(void **state)
{
	char two_periods[2 * PATTERN_PERIOD];

	(void)state;
	for (uint64_t seed = 0; seed < 5; seed++) {
		for (size_t i = 0; i < sizeof(two_periods); i++)
			two_periods[i] = *pattern_at(seed, i);
		assert_u64(
		    pattern_match(seed, 0, two_periods, sizeof(two_periods)),
		    sizeof(two_periods));
		assert_u64(
		    pattern_match(seed, 777, two_periods + 777, 90000), 90000);
	}
}

static void
pattern_of_another_place_or_stream_differs_soon(void **state)
{
	(void)state;
	/* A byte, a page, a pipe's slot, a large pipe. */
	for (size_t shift = 1; shift <= 1 << 20; shift *= 4)
		assert_u64_between(
		    pattern_match(1, shift, pattern_at(1, 0), 60000), 0, 3);
	for (uint64_t seed = 2; seed < 2000; seed++)
		assert_u64_between(
		    pattern_match(seed, 0, pattern_at(1, 0), 60000), 0, 3);
}

static void
first_wrong_byte_is_found(void **state)
{
	static char data[PATTERN_PERIOD];

	(void)state;
	for (size_t at = 0; at < sizeof(data); at += 997) {
		memcpy(data, pattern_at(9, 5), sizeof(data));
		data[at] ^= 1;
		assert_u64(pattern_match(9, 5, data, sizeof(data)), at);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sum_is_the_same_in_every_split),
	    cmocka_unit_test(sums_of_two_pieces_give_that_of_the_whole),
	    cmocka_unit_test(
		one_lost_doubled_changed_or_swapped_byte_changes_the_sum),
	    cmocka_unit_test(pattern_goes_on_where_a_piece_ended),
	    cmocka_unit_test(pattern_of_another_place_or_stream_differs_soon),
	    cmocka_unit_test(first_wrong_byte_is_found),
	};

	pattern_init();
	return cmocka_run_group_tests_name("stream_sum", tests, NULL, NULL);
}
