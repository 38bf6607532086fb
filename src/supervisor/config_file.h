/*
 * The config file on disk, replaced as a whole: a new file beside it, synced,
 * then renamed over it. At any moment the name holds the old text or the new.
 */
#ifndef SUPERVISOR_CONFIG_FILE_H
#define SUPERVISOR_CONFIG_FILE_H

#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>

struct config_file {
	char path[PATH_MAX];     /* symbolic links followed */
	char new_path[PATH_MAX]; /* "" = nothing prepared */
	struct stat before;      /* what will be replaced */
};

/*
 * Writes text beside the file, with its mode and owner, when the file holds
 * exactly the bytes loaded. 0; or a negative errno with nothing left behind and
 * sentences in why: -EBUSY when the file holds something else.
 */
int config_file_prepare(struct config_file *f, const char *path,
    const char *loaded, size_t n_loaded, const char *text, size_t len,
    char *why, size_t why_size);
/* Puts it in the file's place. 0; or a negative errno as above. */
int config_file_commit(struct config_file *f, char *why, size_t why_size);
/* Takes it away again. Harmless after commit, or without prepare on zeroes. */
void config_file_drop(struct config_file *f);

#endif
