/*
 * Statistics of a run: see load_stats.h.
 */
#include "load_stats.h"

#include <errno.h>
#include <string.h>

#include <bsd/string.h>
#include <uv.h>

void
load_stats_init(struct load_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	histogram_init(&stats->late);
	for (unsigned i = 0; i < LOAD_KINDS_MAX; i++) {
		histogram_init(&stats->kinds[i].latency);
		histogram_init(&stats->kinds[i].connect);
		histogram_init(&stats->kinds[i].greeting);
	}
}

void
load_stats_merge(struct load_stats *stats, const struct load_stats *from)
{
	for (unsigned i = 0; i < LOAD_KINDS_MAX; i++) {
		struct load_kind_stats *kind = &stats->kinds[i];
		const struct load_kind_stats *other = &from->kinds[i];

		kind->done += other->done;
		kind->failed += other->failed;
		histogram_merge(&kind->latency, &other->latency);
		histogram_merge(&kind->connect, &other->connect);
		histogram_merge(&kind->greeting, &other->greeting);
	}
	for (unsigned i = 0; i < LOAD_FAILURE_COUNT; i++) {
		if (stats->failures[i] == 0)
			strlcpy(stats->examples[i], from->examples[i],
			    sizeof(stats->examples[i]));
		stats->failures[i] += from->failures[i];
	}
	stats->bytes_out += from->bytes_out;
	stats->bytes_back += from->bytes_back;
	stats->waited += from->waited;
	histogram_merge(&stats->late, &from->late);
}

void
load_stats_fail(struct load_stats *stats, unsigned kind,
    enum load_failure failure, const char *text)
{
	if (stats->failures[failure]++ == 0)
		strlcpy(stats->examples[failure], text,
		    sizeof(stats->examples[failure]));
	stats->kinds[kind].failed++;
}

enum load_failure
load_failure_of(int error)
{
	switch (error) {
	case UV_ECONNREFUSED:
		return LOAD_REFUSED;
	case UV_ECONNRESET:
	case UV_EPIPE:
		return LOAD_RESET;
	case UV_EOF:
		return LOAD_ENDED;
	case UV_ETIMEDOUT:
		return LOAD_TIMED_OUT;
	case UV_EADDRNOTAVAIL:
	case UV_EADDRINUSE:
		return LOAD_NO_PORT;
	case UV_EMFILE:
	case UV_ENFILE:
		return LOAD_NO_DESCRIPTOR;
	default:
		return LOAD_OTHER;
	}
}

const char *
load_failure_text(enum load_failure failure)
{
#define LOAD_FAILURE_TEXT(name, text) text,
	static const char *const texts[] = {LOAD_FAILURES(LOAD_FAILURE_TEXT)};

	return texts[failure];
}

uint64_t
load_stats_done(const struct load_stats *stats)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < LOAD_KINDS_MAX; i++)
		done += stats->kinds[i].done;
	return done;
}

uint64_t
load_stats_failed(const struct load_stats *stats)
{
	uint64_t failed = 0;

	for (unsigned i = 0; i < LOAD_KINDS_MAX; i++)
		failed += stats->kinds[i].failed;
	return failed;
}

void
load_second_init(struct load_second *second)
{
	second->done = second->failed = second->bytes = 0;
	histogram_init(&second->latency);
}

void
load_second_merge(struct load_second *second, const struct load_second *from)
{
	second->done += from->done;
	second->failed += from->failed;
	second->bytes += from->bytes;
	histogram_merge(&second->latency, &from->latency);
}
