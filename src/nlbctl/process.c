/*
 * Reading /proc.
 */
#include "nlbctl/process.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORKER_NAME " (nlbd-worker) "

int
process_cpu_ms(uint64_t pid, uint64_t *ms)
{
	unsigned long long user, system;
	long ticks = sysconf(_SC_CLK_TCK);
	char path[64], line[512], *fields = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return -ENOENT;
	if (fgets(line, sizeof(line), file) != NULL)
		fields = strstr(line, WORKER_NAME);
	fclose(file);
	/* After the name: state, 10 numbers, then the times (proc(5)). */
	if (fields == NULL || ticks <= 0 ||
	    sscanf(fields + strlen(WORKER_NAME),
		"%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
		&system) != 2)
		return -ENOENT;
	*ms = (user + system) * 1000 / (unsigned long)ticks;
	return 0;
}
