/*
 * Schedule of a load thread: see load_schedule.h.
 */
#include "load_schedule.h"

#define NS_PER_S 1e9

/* Of a whole number shared out, one thread's part: the first ones get the
 * rest. */
static uint64_t
part_of(uint64_t whole, unsigned thread, unsigned threads)
{
	return whole / threads + (thread < whole % threads ? 1 : 0);
}

struct load_schedule
load_schedule_make(uint64_t now_ns, double rate, uint64_t units,
    double warm_up_s, double duration_s, unsigned thread, unsigned threads)
{
	struct load_schedule s = {
	    .measure_from_ns = now_ns + (uint64_t)(warm_up_s * NS_PER_S),
	    .measure_until_ns = LOAD_NEVER,
	    .units_left = UINT64_MAX,
	    .is_open = rate > 0,
	};

	if (units != 0)
		s.units_left = part_of(units, thread, threads);
	else
		s.measure_until_ns =
		    s.measure_from_ns + (uint64_t)(duration_s * NS_PER_S);
	if (s.is_open) {
		s.period_ns = NS_PER_S / rate * threads;
		/* The threads take turns. */
		s.first_due_ns = now_ns + (uint64_t)(NS_PER_S / rate * thread);
	}
	return s;
}

uint64_t
load_schedule_due(const struct load_schedule *s, uint64_t now_ns)
{
	uint64_t due = now_ns;

	if (s->units_left == 0)
		return LOAD_NEVER;
	if (s->is_open)
		due = s->first_due_ns +
		      (uint64_t)((double)s->begun * s->period_ns);
	return due < s->measure_until_ns ? due : LOAD_NEVER;
}

uint64_t
load_schedule_take(struct load_schedule *s)
{
	if (s->units_left != UINT64_MAX)
		s->units_left--;
	return s->begun++;
}

bool
load_schedule_counts(const struct load_schedule *s, uint64_t when_ns)
{
	return when_ns >= s->measure_from_ns && when_ns < s->measure_until_ns;
}

void
load_schedule_end(struct load_schedule *s, uint64_t now_ns)
{
	s->units_left = 0;
	if (now_ns < s->measure_until_ns)
		s->measure_until_ns = now_ns;
}

int64_t
load_schedule_second(const struct load_schedule *s, uint64_t now_ns)
{
	if (now_ns < s->measure_from_ns)
		return -1;
	return (int64_t)((now_ns - s->measure_from_ns) / (uint64_t)NS_PER_S);
}
