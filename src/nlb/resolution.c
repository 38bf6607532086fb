/* What is known of one DNS name; see resolution.h. */
#include "nlb/resolution.h"

#include <stdlib.h>
#include <string.h>

static int
compare(const void *left, const void *right)
{
	return addr_compare(left, right);
}

size_t
resolution_sort(struct addr *list, size_t n)
{
	size_t kept = 0;

	if (n == 0)
		return 0;
	qsort(list, n, sizeof(list[0]), compare);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || !addr_equal(&list[kept - 1], &list[i]))
			list[kept++] = list[i];
	return kept;
}

static bool
holds(const struct addr *list, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&list[i], a))
			return true;
	return false;
}

static bool
any_healthy(
    const struct addr *list, size_t n, resolution_healthy_fn healthy, void *arg)
{
	for (size_t i = 0; i < n; i++)
		if (healthy(arg, &list[i]))
			return true;
	return false;
}

static void
keep(struct resolution *r, const struct addr *list, size_t n,
    resolution_healthy_fn healthy, void *arg)
{
	for (size_t i = 0; i < n; i++)
		if (r->n_kept < CONF_DNS_ADDRESSES_MAX &&
		    !holds(r->answer, r->n_answer, &list[i]) &&
		    healthy(arg, &list[i]))
			r->kept[r->n_kept++] = list[i];
}

bool
resolution_answer(struct resolution *r, const struct addr *list, size_t n,
    resolution_healthy_fn healthy, void *arg)
{
	const struct resolution was = *r;

	r->failures = 0;
	if (n > CONF_DNS_ADDRESSES_MAX)
		n = CONF_DNS_ADDRESSES_MAX;
	r->n_answer = n;
	r->n_kept = 0;
	if (n > 0)
		memcpy(r->answer, list, n * sizeof(list[0]));
	if (!any_healthy(r->answer, n, healthy, arg)) {
		keep(r, was.answer, was.n_answer, healthy, arg);
		keep(r, was.kept, was.n_kept, healthy, arg);
	}
	return r->n_answer != was.n_answer || r->n_kept != was.n_kept ||
	       memcmp(r->answer, was.answer, n * sizeof(list[0])) != 0 ||
	       memcmp(r->kept, was.kept, r->n_kept * sizeof(list[0])) != 0;
}

void
resolution_remember(struct resolution *r, const struct addr *a, bool kept)
{
	size_t *n = kept ? &r->n_kept : &r->n_answer;

	if (*n == CONF_DNS_ADDRESSES_MAX || holds(r->answer, r->n_answer, a) ||
	    holds(r->kept, r->n_kept, a))
		return;
	if (kept) {
		r->kept[(*n)++] = *a;
		return;
	}
	r->answer[(*n)++] = *a;
	(void)resolution_sort(r->answer, *n);
}

void
resolution_fail(struct resolution *r)
{
	if (r->failures < UINT32_MAX)
		r->failures++;
}

bool
resolution_release(
    struct resolution *r, resolution_healthy_fn healthy, void *arg)
{
	size_t before = r->n_kept;

	r->n_kept = 0;
	if (before == 0 || any_healthy(r->answer, r->n_answer, healthy, arg))
		return before != 0;
	for (size_t i = 0; i < before; i++)
		if (healthy(arg, &r->kept[i]))
			r->kept[r->n_kept++] = r->kept[i];
	return r->n_kept != before;
}

static uint64_t
with_jitter(uint64_t ms, uint32_t random)
{
	return ms + random % (ms / 10 + 1);
}

uint64_t
resolution_delay_ms(
    uint32_t ttl_s, uint32_t min_s, uint32_t max_s, uint32_t random)
{
	uint64_t s = ttl_s > max_s ? max_s : ttl_s;

	return with_jitter((s < min_s ? min_s : s) * 1000, random);
}

uint64_t
resolution_retry_ms(
    uint32_t failures, uint32_t min_s, uint32_t max_s, uint32_t random)
{
	uint64_t s = min_s, most = RESOLUTION_RETRY_MAX_S;

	if (most > max_s)
		most = max_s;
	for (uint32_t i = 1; i < failures && s < most; i++)
		s *= 2;
	if (s > most && most >= min_s)
		s = most;
	return with_jitter(s * 1000, random);
}
