/* Replacing the config file; see config_file.h. */
#include "supervisor/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "nlb/conf.h"
#include "nlb/event.h"

#define NAME_END ".nlbd-new"
#define WITHOUT_FILE                                                           \
	"with --runtime the change goes to the running nlbd alone, until the " \
	"next reload"

static int
fail(const char *what, const char *path, int rc, char *why, size_t why_size)
{
	const char *hint = "";

	if (rc == -EACCES || rc == -EPERM || rc == -EROFS)
		hint = "nlbd's user has to be allowed to write this file and "
		       "its directory; ";
	snprintf(why, why_size, "cannot %s %s: %s\n%s" WITHOUT_FILE, what, path,
	    strerror(-rc), hint);
	return rc;
}

static int
fail_changed(const char *path, char *why, size_t why_size)
{
	snprintf(why, why_size,
	    "%s was changed after nlbd loaded it\nreload it first (nlbctl "
	    "reload), then change; " WITHOUT_FILE,
	    path);
	return -EBUSY;
}

static int
check_unchanged(const char *path, const char *loaded, size_t n_loaded,
    char *why, size_t why_size)
{
	struct conf_diags diags = {0};
	char *bytes;
	size_t len;
	bool same;
	int rc = conf_read_file(path, &bytes, &len, &diags);

	conf_diags_fini(&diags);
	if (rc < 0)
		return fail("read", path, rc, why, why_size);
	same = len == n_loaded && memcmp(bytes, loaded, len) == 0;
	free(bytes);
	return same ? 0 : fail_changed(path, why, why_size);
}

/* Hidden, in the same directory, and always the same: what a crash has left
 * behind is replaced by the next change. */
static int
name_new(struct config_file *f)
{
	const char *slash = strrchr(f->path, '/');
	int dir_len = slash == NULL ? 0 : (int)(slash - f->path) + 1;
	int n = snprintf(f->new_path, sizeof(f->new_path), "%.*s.%s" NAME_END,
	    dir_len, f->path, f->path + dir_len);

	if (n > 0 && (size_t)n < sizeof(f->new_path))
		return 0;
	f->new_path[0] = '\0';
	return -ENAMETOOLONG;
}

static int
write_whole(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == -1 ? -errno : -EIO;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) == -1 ? -errno : 0;
}

/* Owner first: a change of owner may clear bits of the mode. */
static int
take_over_owner(const struct config_file *f, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -errno;
	if ((st.st_uid != f->before.st_uid || st.st_gid != f->before.st_gid) &&
	    fchown(fd, f->before.st_uid, f->before.st_gid) == -1)
		return -errno;
	return fchmod(fd, f->before.st_mode & 07777) == -1 ? -errno : 0;
}

static int
write_new(const struct config_file *f, const char *text, size_t len, char *why,
    size_t why_size)
{
	int fd, rc;

	if (unlink(f->new_path) == -1 && errno != ENOENT)
		return fail("remove", f->new_path, -errno, why, why_size);
	fd = open(f->new_path,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return fail("create", f->new_path, -errno, why, why_size);
	rc = take_over_owner(f, fd);
	if (rc < 0) {
		fail("keep the owner and the mode of", f->path, rc, why,
		    why_size);
	} else {
		rc = write_whole(fd, text, len);
		if (rc < 0)
			fail("write", f->new_path, rc, why, why_size);
	}
	close(fd);
	return rc;
}

int
config_file_prepare(struct config_file *f, const char *path, const char *loaded,
    size_t n_loaded, const char *text, size_t len, char *why, size_t why_size)
{
	int rc;

	memset(f, 0, sizeof(*f));
	if (realpath(path, f->path) == NULL || stat(f->path, &f->before) == -1)
		return fail("find", path, -errno, why, why_size);
	rc = check_unchanged(f->path, loaded, n_loaded, why, why_size);
	if (rc < 0)
		return rc;
	if (faccessat(AT_FDCWD, f->path, W_OK, AT_EACCESS) == -1)
		return fail("write", f->path, -errno, why, why_size);
	rc = name_new(f);
	if (rc < 0)
		return fail("write beside", f->path, rc, why, why_size);
	rc = write_new(f, text, len, why, why_size);
	if (rc < 0)
		config_file_drop(f);
	return rc;
}

static bool
is_as_before(const struct config_file *f)
{
	struct stat st;

	return stat(f->path, &st) == 0 && st.st_dev == f->before.st_dev &&
	       st.st_ino == f->before.st_ino &&
	       st.st_size == f->before.st_size &&
	       st.st_mtim.tv_sec == f->before.st_mtim.tv_sec &&
	       st.st_mtim.tv_nsec == f->before.st_mtim.tv_nsec;
}

/* The new name has to survive a power cut too. The file is in its place even
 * if this fails: that is for the log. */
static void
sync_directory(const struct config_file *f)
{
	char dir[PATH_MAX];
	char *slash;
	int fd;

	strlcpy(dir, f->path, sizeof(dir));
	slash = strrchr(dir, '/');
	if (slash == NULL)
		return;
	slash[slash == dir] = '\0'; /* "/" of its own stays */
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || fsync(fd) == -1)
		event_log(EVENT_CONFIG_FILE_UNSYNCED, "cannot sync %s: %s", dir,
		    strerror(errno));
	if (fd != -1)
		close(fd);
}

int
config_file_commit(struct config_file *f, char *why, size_t why_size)
{
	/* Somebody may have saved it since prepare looked. */
	if (!is_as_before(f))
		return fail_changed(f->path, why, why_size);
	if (rename(f->new_path, f->path) == -1)
		return fail("replace", f->path, -errno, why, why_size);
	f->new_path[0] = '\0';
	sync_directory(f);
	return 0;
}

void
config_file_drop(struct config_file *f)
{
	if (f->new_path[0] != '\0')
		(void)unlink(f->new_path);
	f->new_path[0] = '\0';
}
