/*
 * Limits of the client: see load_limits.h.
 */
#include "load_limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define BUSY 0.9
/* Of the units that waited for a free flow, so many are not chance. */
#define WAITED_SHARE 0.01

static void __attribute__((format(printf, 2, 3)))
add(struct load_limits *limits, const char *format, ...)
{
	va_list args;

	if (limits->count == LOAD_LIMITS_MAX)
		return;
	va_start(args, format);
	vsnprintf(
	    limits->texts[limits->count++], LOAD_LIMIT_TEXT, format, args);
	va_end(args);
}

void
load_limits_judge(struct load_limits *limits, const struct load_observed *seen)
{
	limits->count = 0;
	if (seen->busiest_thread > BUSY)
		add(limits,
		    "a client thread was busy for %.0f %% of the time: the "
		    "figures show the client; add --threads",
		    seen->busiest_thread * 100);
	if (seen->machine_busy > BUSY)
		add(limits,
		    "the machine was busy for %.0f %% of the time, %.0f %% by "
		    "the client: the figures show the machine, shared by all "
		    "that ran on it",
		    seen->machine_busy * 100, seen->client_share * 100);
	/* What is begun late by the client is no latency of the forwarder. */
	if (seen->is_open_loop && seen->late_p99_ns * 4 > seen->latency_p50_ns)
		add(limits,
		    "the client itself was late: 1 %% of the units began more "
		    "than %.3f ms after they were due",
		    (double)seen->late_p99_ns / 1e6);
	if ((double)seen->waited > WAITED_SHARE * (double)seen->begun)
		add(limits,
		    "%" PRIu64 " units had to wait for a free flow: the rate "
		    "is more than the flows take; see --flows",
		    seen->waited);
	if (seen->no_port > 0)
		add(limits,
		    "local ports ran out %" PRIu64 " times: add --source "
		    "addresses, widen net.ipv4.ip_local_port_range, set "
		    "net.ipv4.tcp_tw_reuse=1",
		    seen->no_port);
	if (seen->no_descriptor > 0)
		add(limits,
		    "descriptors ran out %" PRIu64 " times: raise ulimit -Hn",
		    seen->no_descriptor);
}

int
load_machine_read(struct load_machine *machine)
{
	uint64_t v[8];
	FILE *file = fopen("/proc/stat", "r");
	int n;

	if (file == NULL)
		return -errno;
	/* user nice system idle iowait irq softirq steal */
	n = fscanf(file,
	    "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
	    " %" SCNu64 " %" SCNu64 " %" SCNu64,
	    &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]);
	fclose(file);
	if (n != 8)
		return -EINVAL;
	machine->total = 0;
	for (int i = 0; i < 8; i++)
		machine->total += v[i];
	machine->busy = machine->total - v[3] - v[4];
	return 0;
}

double
load_machine_busy(
    const struct load_machine *from, const struct load_machine *until)
{
	if (until->total <= from->total)
		return 0;
	return (double)(until->busy - from->busy) /
	       (double)(until->total - from->total);
}
