/*
 * Small helpers that the programs in bench/ share.
 */
#include "bench_addr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <bsd/stdlib.h>
#include <bsd/string.h>

#include "base/addr.h"

int
bench_addr_parse(const char *text, struct sockaddr_storage *out)
{
	char host[ADDR_STRLEN];
	const char *colon = strrchr(text, ':');
	const char *error = NULL;
	struct addr addr;
	size_t len;

	if (colon == NULL)
		return -EINVAL;
	if (*text == '[' && colon > text && colon[-1] == ']')
		len = (size_t)(colon - text++) - 2;
	else
		len = (size_t)(colon - text);
	if (len >= sizeof(host))
		return -EINVAL;
	strlcpy(host, text, len + 1);
	if (addr_parse_ip(host, &addr) != 0)
		return -EINVAL;
	addr.port = (uint16_t)strtonum(colon + 1, 0, UINT16_MAX, &error);
	if (error != NULL)
		return -EINVAL;
	return addr_to_sockaddr(&addr, out) == 0 ? -EINVAL : 0;
}

unsigned long
bench_raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	return (unsigned long)limit.rlim_cur;
}
