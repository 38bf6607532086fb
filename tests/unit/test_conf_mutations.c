/* Good files with random bytes changed, and cut short: a verdict each time. */
#include "support/conf_case.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Bytes that mean something to the grammar, more often than others. */
static char
random_byte(uint64_t *seed)
{
	static const char known[] = "[]=;#\"'\\\n\r\t ,.:/-0123456789aZ";
	uint64_t r = next_random(seed);

	if (r % 4 == 0)
		return (char)(r >> 8);
	return known[(r >> 8) % (sizeof(known) - 1)];
}

static size_t
mutate(char *bytes, size_t len, uint64_t *seed)
{
	size_t n = 1 + next_random(seed) % 3;

	for (size_t i = 0; i < n && len > 2; i++) {
		size_t at = next_random(seed) % len;

		switch (next_random(seed) % 4) {
		case 0:
			memmove(bytes + at, bytes + at + 1, len - at - 1);
			len--;
			break;
		case 1:
			memmove(bytes + at + 1, bytes + at, len - at);
			bytes[at] = random_byte(seed);
			len++;
			break;
		default:
			bytes[at] = random_byte(seed);
			break;
		}
	}
	return len;
}

static void
expect_verdict(const char *bytes, size_t len, uint64_t seed)
{
	struct conf_options options = {.strict_aws = (seed & 1) != 0};
	struct conf_diags diags = {0};
	struct conf *conf = NULL;
	int result = conf_parse(bytes, len, &options, &conf, &diags);

	if (result == 0 ? diags.n_errors != 0 || conf == NULL
			: result != -EINVAL || diags.n_errors == 0)
		fail_msg("result %d with %zu errors, seed %ju", result,
		    diags.n_errors, (uintmax_t)seed);
	for (size_t i = 0; i < diags.n; i++) {
		if (strstr(diags.list[i].message, "internal error") != NULL)
			fail_msg("%s, seed %ju:\n%.*s", diags.list[i].message,
			    (uintmax_t)seed, (int)len, bytes);
	}
	conf_destroy(conf);
	conf_diags_fini(&diags);
}

/* NLBD_TEST_MUTATIONS=50000 for a long run; the same seeds every time. */
static void
mutated_files_get_a_verdict(void **state)
{
	static const char *const names[] = {
	    "minimal", "example", "every-key", "prefix-list", "comments"};
	const char *wanted = getenv("NLBD_TEST_MUTATIONS");
	unsigned long n = wanted != NULL ? strtoul(wanted, NULL, 10) : 2000;
	uint64_t seed = 0x9e3779b97f4a7c15;

	(void)state;
	for (size_t i = 0; i < LENGTH(names); i++) {
		char path[100], *bytes, *copy;
		size_t len;

		snprintf(
		    path, sizeof(path), "tests/data/good/%s.ini", names[i]);
		bytes = conf_case_read(conf_case_path(path), &len);
		copy = malloc(len + 8);
		for (unsigned long j = 0; j < n / LENGTH(names); j++) {
			uint64_t before = seed;

			memcpy(copy, bytes, len);
			expect_verdict(copy, mutate(copy, len, &seed), before);
		}
		free(copy);
		free(bytes);
	}
}

static void
a_cut_file_gets_a_verdict(void **state)
{
	size_t len;
	char *bytes = conf_case_read(
	    conf_case_path("tests/data/good/prefix-list.ini"), &len);

	(void)state;
	for (size_t i = 0; i <= len; i += 3) {
		/* At its exact size, so that a read past the end shows. */
		char *cut = malloc(i + 1);

		memcpy(cut + 1, bytes, i);
		expect_verdict(cut + 1, i, i);
		free(cut);
	}
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mutated_files_get_a_verdict),
	    cmocka_unit_test(a_cut_file_gets_a_verdict),
	};

	return cmocka_run_group_tests_name("conf_mutations", tests, NULL, NULL);
}
