/* The lock file and the admin socket; see lock.h. */
#include "supervisor/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <bsd/string.h>

/* /run/nlbd is systemd's to make (RuntimeDirectory=); without systemd we do. */
static void
make_directory(const char *path)
{
	char copy[256];

	strlcpy(copy, path, sizeof(copy));
	(void)mkdir(dirname(copy), 0755);
}

static int
lock_byte(int fd, enum lock_byte byte, int command, struct flock *lock)
{
	*lock = (struct flock){
	    .l_type = F_WRLCK,
	    .l_whence = SEEK_SET,
	    .l_start = byte,
	    .l_len = 1,
	};
	return fcntl(fd, command, lock) == -1 ? -errno : 0;
}

int
lock_acquire(const char *path, char *why, size_t why_size)
{
	struct flock lock;
	int fd, rc;

	make_directory(path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1) {
		rc = -errno;
		snprintf(why, why_size,
		    "cannot open %s: %s; make its directory writable or set "
		    "AdminSocket to another path",
		    path, strerror(errno));
		return rc;
	}
	rc = lock_byte(fd, LOCK_BYTE_RUNNING, F_SETLK, &lock);
	if (rc == 0)
		return fd;
	if (rc == -EACCES || rc == -EAGAIN) {
		(void)lock_byte(fd, LOCK_BYTE_RUNNING, F_GETLK, &lock);
		snprintf(why, why_size,
		    "another nlbd (pid %d) uses this AdminSocket; stop it, or "
		    "give this one an AdminSocket of its own",
		    (int)lock.l_pid);
		rc = -EBUSY;
	} else {
		snprintf(
		    why, why_size, "cannot lock %s: %s", path, strerror(-rc));
	}
	close(fd);
	return rc;
}

int
lock_set_serving(int fd)
{
	struct flock lock;

	return lock_byte(fd, LOCK_BYTE_SERVING, F_SETLK, &lock);
}

/* A socket of that name is stale. Anything else is somebody's and stays. */
static int
remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) == -1 ? -errno : 0;
}

int
admin_socket_open(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, rc;

	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	rc = remove_stale(path);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ? -errno : 0;
	umask(mask);
	if (rc == 0 && listen(fd, 64) == -1)
		rc = -errno;
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}
