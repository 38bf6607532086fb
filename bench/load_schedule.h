/*
 * When units are due and which of them count: the arithmetic of open and
 * closed loop, of warm-up, of the measured time and of its seconds.  Times are
 * passed in.
 */
#ifndef LOAD_SCHEDULE_H
#define LOAD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define LOAD_NEVER UINT64_MAX

struct load_schedule {
	uint64_t measure_from_ns;
	uint64_t measure_until_ns; /* LOAD_NEVER: until told to end */
	uint64_t units_left;       /* UINT64_MAX: no such limit */
	uint64_t begun;
	/* Open loop: unit n is due at first_due_ns + n * period_ns. */
	bool is_open;
	double period_ns;
	uint64_t first_due_ns;
};

/* One thread's part of so many; rate and units are the whole run's. */
struct load_schedule load_schedule_make(uint64_t now_ns, double rate,
    uint64_t units, double warm_up_s, double duration_s, unsigned thread,
    unsigned threads);

/* When the next unit is due: at once in a closed loop, LOAD_NEVER when there
 * are no more. */
uint64_t load_schedule_due(const struct load_schedule *s, uint64_t now_ns);

/* The next unit begins; returns its number, the first is 0. */
uint64_t load_schedule_take(struct load_schedule *s);

/* Whether what was due or moved then is part of the figures. */
bool load_schedule_counts(const struct load_schedule *s, uint64_t when_ns);

/* No unit begins from now on; what was measured so far stands. */
void load_schedule_end(struct load_schedule *s, uint64_t now_ns);

/* The measured second of this moment; -1 before. */
int64_t load_schedule_second(const struct load_schedule *s, uint64_t now_ns);

#endif
