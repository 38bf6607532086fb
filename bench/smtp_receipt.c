/*
 * Receipts: see smtp_receipt.h.
 */
#include "smtp_receipt.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
open_file(struct smtp_receipt *r)
{
	int fd;

	if (snprintf(r->temp_path, sizeof(r->temp_path), "%s/.incoming-XXXXXX",
		r->store_dir) >= (int)sizeof(r->temp_path)) {
		r->has_failed = true;
		return;
	}
	fd = mkstemp(r->temp_path);
	if (fd != -1) {
		r->file = fdopen(fd, "w");
		if (r->file == NULL) {
			close(fd);
			unlink(r->temp_path);
		}
	}
	r->has_failed = r->file == NULL;
}

static void
start(struct smtp_receipt *r)
{
	SHA256Init(&r->sha);
	r->bytes = 0;
	r->has_failed = false;
	r->is_started = true;
	if (r->store_dir != NULL)
		open_file(r);
}

void
smtp_receipt_init(struct smtp_receipt *r, const char *store_dir)
{
	r->store_dir = store_dir;
	r->file = NULL;
	r->is_started = false;
}

void
smtp_receipt_add(struct smtp_receipt *r, const char *data, size_t len)
{
	if (!r->is_started)
		start(r);
	SHA256Update(&r->sha, (const uint8_t *)data, len);
	r->bytes += len;
	if (r->file != NULL && fwrite(data, 1, len, r->file) != len)
		r->has_failed = true;
}

static int
keep_file(struct smtp_receipt *r, const char *hex)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s.eml", r->store_dir, hex) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	if (fclose(r->file) != 0) {
		r->file = NULL;
		unlink(r->temp_path);
		return -EIO;
	}
	r->file = NULL;
	return rename(r->temp_path, path) == 0 ? 0 : -errno;
}

int
smtp_receipt_finish(
    struct smtp_receipt *r, char hex[SHA256_DIGEST_STRING_LENGTH])
{
	int error = 0;

	if (!r->is_started)
		start(r);
	SHA256End(&r->sha, hex);
	if (r->store_dir != NULL)
		error = r->has_failed ? -EIO : keep_file(r, hex);
	smtp_receipt_discard(r);
	return error;
}

void
smtp_receipt_discard(struct smtp_receipt *r)
{
	if (r->file != NULL) {
		fclose(r->file);
		unlink(r->temp_path);
		r->file = NULL;
	}
	r->is_started = false;
}
