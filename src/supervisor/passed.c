/* Sockets from the service manager; see passed.h. */
#include "supervisor/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bsd/stdlib.h>
#include <bsd/string.h>

#include "base/log.h"
#include "nlb/event.h"

/* How many there are for this process. A child inherits the variables, but not
 * the sockets: LISTEN_PID says whose they are. */
static size_t
count_passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	const char *error = NULL;
	long long n;

	if (pid == NULL || fds == NULL)
		return 0;
	if (strtonum(pid, 1, INT32_MAX, &error) != getpid() || error != NULL)
		return 0;
	n = strtonum(fds, 0, PASSED_MAX, &error);
	if (error == NULL)
		return (size_t)n;
	event_log(EVENT_PASSED_SOCKETS_REFUSED,
	    "LISTEN_FDS = %.32s is %s: sockets of the service manager "
	    "are not taken",
	    fds, error);
	return 0;
}

static int
option(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

static bool
is_connected(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	return getpeername(fd, (struct sockaddr *)&ss, &len) == 0;
}

/* The address of a socket that a listener could use. One that was shut down
 * listens again when it is told to. */
static void
look_at(struct passed_socket *s)
{
	struct sockaddr_storage ss = {0};
	const struct sockaddr_un *sun = (const struct sockaddr_un *)&ss;
	socklen_t len = sizeof(ss);

	if (option(s->fd, SO_TYPE) != SOCK_STREAM || is_connected(s->fd) ||
	    getsockname(s->fd, (struct sockaddr *)&ss, &len) == -1)
		return;
	if (ss.ss_family == AF_UNIX && option(s->fd, SO_ACCEPTCONN) == 1)
		strlcpy(s->path, sun->sun_path, sizeof(s->path));
	else if (option(s->fd, SO_PROTOCOL) == IPPROTO_TCP)
		addr_from_sockaddr((struct sockaddr *)&ss, &s->addr);
}

static void
collect_one(struct passed_socket *s, int fd, const char **names)
{
	size_t len = strcspn(*names, ":");

	*s = (struct passed_socket){.fd = fd};
	snprintf(s->name, sizeof(s->name), "%.*s", (int)len, *names);
	*names += len + ((*names)[len] == ':');
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		s->fd = -1; /* there is none */
	else
		look_at(s);
}

int
passed_collect(struct passed_sockets *p, int first_fd)
{
	const char *names = getenv("LISTEN_FDNAMES");
	size_t n = count_passed();

	*p = (struct passed_sockets){0};
	if (names == NULL)
		names = "";
	if (n > 0)
		p->list = calloc(n, sizeof(*p->list));
	if (n > 0 && p->list == NULL)
		return -ENOMEM;
	for (; p->n < n; p->n++)
		collect_one(&p->list[p->n], first_fd + (int)p->n, &names);
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return 0;
}

int
passed_add(struct passed_sockets *p, int fd, bool own)
{
	const char *names = "";
	struct passed_socket *list =
	    reallocarray(p->list, p->n + 1, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	p->list = list;
	collect_one(&list[p->n], fd, &names);
	list[p->n++].own = own;
	return 0;
}

static bool
is_at(const struct passed_socket *s, const struct addr *a)
{
	return s->fd != -1 && addr_equal(&s->addr, a);
}

bool
passed_has(const struct passed_sockets *p, const struct addr *a)
{
	for (size_t i = 0; p != NULL && i < p->n; i++)
		if (is_at(&p->list[i], a))
			return true;
	return false;
}

bool
passed_is_own(const struct passed_sockets *p, const struct addr *a)
{
	for (size_t i = 0; p != NULL && i < p->n; i++)
		if (is_at(&p->list[i], a))
			return p->list[i].own;
	return false;
}

static int
take(struct passed_socket *s)
{
	int fd = s->fd;

	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	s->fd = -1;
	return fd;
}

size_t
passed_take(
    struct passed_sockets *p, const struct addr *a, int *fds, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n && n < max; i++)
		if (is_at(&p->list[i], a))
			fds[n++] = take(&p->list[i]);
	return n;
}

int
passed_take_unix(struct passed_sockets *p, const char *path, bool *own)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->list[i].fd != -1 && p->list[i].path[0] != '\0' &&
		    strcmp(p->list[i].path, path) == 0) {
			*own = p->list[i].own;
			return take(&p->list[i]);
		}
	return -1;
}

static void
warn(const struct passed_socket *s)
{
	char where[ADDR_STRLEN], name[sizeof(s->name) * 4];
	char path[sizeof(s->path) * 4];

	if (s->addr.family != ADDR_NONE)
		addr_format(&s->addr, where, sizeof(where));
	log_escape(name, sizeof(name), s->name, strlen(s->name));
	log_escape(path, sizeof(path), s->path, strlen(s->path));
	event_log(EVENT_PASSED_SOCKET_UNUSED,
	    "the service manager passed a socket (%s) for which the "
	    "config has no listener: %s; nobody will answer there: "
	    "remove it from the socket unit, or let a listener have "
	    "its address and port",
	    name[0] != '\0' ? name : "without a name",
	    s->addr.family != ADDR_NONE ? where
	    : path[0] != '\0'           ? path
					: "neither TCP nor the AdminSocket");
}

void
passed_close_rest(struct passed_sockets *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->list[i].fd == -1)
			continue;
		if (!p->list[i].own)
			warn(&p->list[i]);
		close(p->list[i].fd);
	}
	free(p->list);
	*p = (struct passed_sockets){0};
}
