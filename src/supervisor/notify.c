/* Telling the service manager; see notify.h. */
#include "supervisor/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <bsd/stdlib.h>

#include "nlb/event.h"

#define NOTIFY_TEXT_MAX 768
/* WATCHDOG_USEC beyond a year is no watchdog. */
#define WATCHDOG_USEC_MAX (366LL * 24 * 3600 * 1000000)

/* "/path", or "@name" in the abstract namespace. 0 or -errno. */
static int
parse_address(const char *path, struct sockaddr_un *sun, socklen_t *len)
{
	size_t n = strlen(path);

	if (path[0] != '/' && path[0] != '@')
		return -EAFNOSUPPORT;
	if (n >= sizeof(sun->sun_path))
		return -ENAMETOOLONG;
	*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(sun->sun_path, path, n);
	if (path[0] == '@')
		sun->sun_path[0] = '\0';
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return 0;
}

/* Does not wait for a service manager that does not read. */
static int
send_to(const char *path, const char *text)
{
	struct sockaddr_un sun;
	socklen_t len;
	int fd, rc = parse_address(path, &sun, &len);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	if (sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		(struct sockaddr *)&sun, len) == -1)
		rc = -errno;
	close(fd);
	return rc;
}

static void
notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int rc;

	if (path == NULL || path[0] == '\0')
		return;
	rc = send_to(path, text);
	if (rc < 0)
		event_log(EVENT_SERVICE_MANAGER_UNREACHABLE,
		    "cannot notify the service manager at %s: %s", path,
		    strerror(-rc));
}

/* Escaped: a line break in status would start a field of its own. */
static void
notify_with_status(const char *field, const char *status)
{
	char text[NOTIFY_TEXT_MAX], escaped[NOTIFY_TEXT_MAX - 32];

	log_escape(escaped, sizeof(escaped), status, strlen(status));
	snprintf(text, sizeof(text), "%s\nSTATUS=%s", field, escaped);
	notify(text);
}

void
notify_ready(const char *status)
{
	notify_with_status("READY=1", status);
}

void
notify_reloading(void)
{
	struct timespec now;
	char text[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)now.tv_sec * 1000000 +
		(unsigned long long)now.tv_nsec / 1000);
	notify(text);
}

void
notify_stopping(const char *status)
{
	notify_with_status("STOPPING=1", status);
}

void
notify_watchdog(void)
{
	notify("WATCHDOG=1");
}

/* The variables are inherited: WATCHDOG_PID says whose they are. */
uint64_t
notify_watchdog_interval_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	const char *error = NULL;
	long long n;

	if (usec == NULL || usec[0] == '\0')
		return 0;
	if (pid != NULL &&
	    (strtonum(pid, 1, INT32_MAX, &error) != getpid() || error != NULL))
		return 0;
	n = strtonum(usec, 1, WATCHDOG_USEC_MAX, &error);
	if (error != NULL) {
		event_log(EVENT_WATCHDOG_UNSERVED,
		    "WATCHDOG_USEC = %.32s is %s: the service "
		    "manager's watchdog is not served",
		    usec, error);
		return 0;
	}
	return n < 4000 ? 1 : (uint64_t)n / 4000;
}
