/*
 * What the supervisor's tests share; see the header.
 */
#include "supervisor_fixture.h"

#include <errno.h>
#include <ftw.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bsd/string.h>

#include "base/addr.h"
#include "base/log.h"
#include "support/expect.h"
#include "support/loop_support.h"

int
temp_dir_make(struct temp_dir *dir)
{
	strlcpy(dir->path, "/tmp/nlbd-test-XXXXXX", sizeof(dir->path));
	return mkdtemp(dir->path) != NULL ? 0 : -errno;
}

static int
remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void
temp_dir_remove(const struct temp_dir *dir)
{
	(void)nftw(dir->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *
temp_path(const struct temp_dir *dir, const char *name)
{
	static char paths[8][128];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir->path, name);
	return path;
}

void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	fputs(text, f);
	fclose(f);
}

char *
read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (f == NULL)
		return NULL;
	if (getdelim(&text, &size, '\0', f) == -1) {
		free(text);
		text = strdup("");
	}
	fclose(f);
	return text;
}

struct conf *
conf_from_text(const char *text)
{
	const struct conf_options options = {0};
	struct conf_diags diags = {0};
	struct conf *conf = NULL;
	int rc = conf_parse(text, strlen(text), &options, &conf, &diags);

	if (rc < 0)
		conf_diags_print(&diags, "config", stderr);
	conf_diags_fini(&diags);
	assert_errno(rc, 0);
	return conf;
}

bool
use_private_network(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd, rc;

	if (unshare(CLONE_NEWNET) == -1)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
	return rc == 0;
}

uint16_t
free_port(void)
{
	struct addr a;
	int fd = reserve_port(&a);

	assert_true(fd != -1);
	close(fd);
	return a.port;
}

int
connect_to(uint16_t port)
{
	struct sockaddr_storage ss;
	struct addr a;
	socklen_t len;
	int fd;

	assert_i64(addr_parse_ip("127.0.0.1", &a), 0);
	a.port = port;
	len = addr_to_sockaddr(&a, &ss);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&ss, len) == 0)
		return fd;
	close(fd);
	return -1;
}

bool
runs_under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

/* ---- the log ---------------------------------------------------------- */

#define LINES_MAX 512

static char lines[LINES_MAX][LOG_LINE_MAX];
static size_t n_lines;

static void
keep_line(void *arg, const struct log_entry *entry)
{
	(void)arg;
	if (n_lines < LINES_MAX)
		strlcpy(lines[n_lines++], entry->text, sizeof(lines[0]));
}

void
capture_log(void)
{
	log_set_sink(keep_line, NULL);
	forget_log();
}

void
forget_log(void)
{
	n_lines = 0;
}

size_t
log_lines_with(const char *part)
{
	size_t n = 0;

	for (size_t i = 0; i < n_lines; i++)
		n += strstr(lines[i], part) != NULL;
	return n;
}

bool
log_has(const char *part)
{
	return log_lines_with(part) > 0;
}
