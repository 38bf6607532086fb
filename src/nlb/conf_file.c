/*
 * Reading a config file: opened once, a regular file only, bounded. A FIFO or
 * a device must never hang or feed the daemon. The messages leave the path to
 * whoever prints them.
 */
#include "nlb/conf_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
check_kind(const struct stat *st, struct conf_diags *diags)
{
	if (S_ISDIR(st->st_mode)) {
		conf_diags_add(
		    diags, false, "is a directory; name the file in it");
		return -EISDIR;
	}
	if (!S_ISREG(st->st_mode)) {
		conf_diags_add(diags, false,
		    "is not a regular file; a config is never read from "
		    "a pipe, socket or device");
		return -EINVAL;
	}
	if (st->st_size > CONF_FILE_MAX) {
		conf_diags_add(diags, false,
		    "has %lld bytes; a config has at most %d",
		    (long long)st->st_size, CONF_FILE_MAX);
		return -EFBIG;
	}
	return 0;
}

/* One byte more than allowed is asked for: the file may grow under us. */
static int
read_whole(int fd, char **bytes, size_t *len, struct conf_diags *diags)
{
	char *buf = malloc(CONF_FILE_MAX + 1);
	size_t used = 0;
	ssize_t n = 1;
	int error;

	if (buf == NULL)
		return -ENOMEM;
	while (n != 0 && used <= CONF_FILE_MAX) {
		n = read(fd, buf + used, CONF_FILE_MAX + 1 - used);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			error = -errno;
			conf_diags_add(diags, false, "cannot be read: %s",
			    strerror(-error));
			free(buf);
			return error;
		}
		used += (size_t)n;
	}
	if (used > CONF_FILE_MAX) {
		conf_diags_add(diags, false,
		    "has more than %d bytes; a config has at most that many",
		    CONF_FILE_MAX);
		free(buf);
		return -EFBIG;
	}
	*bytes = buf;
	*len = used;
	return 0;
}

int
conf_read_file(
    const char *path, char **bytes, size_t *len, struct conf_diags *diags)
{
	struct stat st;
	int fd, error;

	/* O_NONBLOCK: opening a FIFO nobody writes to must not wait. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd == -1) {
		error = -errno;
		conf_diags_add(
		    diags, false, "cannot be opened: %s", strerror(-error));
		return error;
	}
	if (fstat(fd, &st) == -1) {
		error = -errno;
		conf_diags_add(
		    diags, false, "cannot be examined: %s", strerror(-error));
		close(fd);
		return error;
	}
	error = check_kind(&st, diags);
	if (error == 0)
		error = read_whole(fd, bytes, len, diags);
	if (error == 0 && (st.st_mode & S_IWOTH) != 0)
		conf_diags_add(diags, true,
		    "may be changed by everybody; take that away with chmod "
		    "o-w");
	close(fd);
	return error;
}
