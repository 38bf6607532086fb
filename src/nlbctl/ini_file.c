/*
 * Configuration files that nlbctl writes: what they share, the check that each
 * passes first, and their creation.
 */
#include "nlbctl/ini_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "nlb/conf.h"

void
ini_write_node(FILE *file)
{
	fputs("\n; This process.\n"
	      "[node]\n"
	      "; One worker for each core.\n"
	      ";Workers = auto\n"
	      "; Health, metrics and a page for the browser.\n"
	      "HttpListen = 127.0.0.1:9587\n"
	      "; One line for each flow that ended: off, stderr or a file.\n"
	      "FlowLog = stderr\n",
	    file);
}

int
ini_check(const char *text, size_t len, const char *path, FILE *err)
{
	struct conf_options options = {0};
	struct conf_diags diags = {0};
	struct conf *conf = NULL;
	int rc = conf_parse(text, len, &options, &conf, &diags);

	if (diags.n > 0)
		conf_diags_print(&diags, path, err);
	conf_diags_fini(&diags);
	conf_destroy(conf);
	if (rc == -EINVAL)
		verb_complain(err, "nothing was written");
	return rc == 0 ? EX_OK : rc == -EINVAL ? EX_USAGE : EX_OSERR;
}

static int
complain_create(const char *path, int error, FILE *err)
{
	char text[512];
	const char *next = "";

	if (error == EEXIST)
		next = "\nIt stays as it is; --file names another one.";
	else if (error == ENOENT)
		next = "\nIts directory has to be made first.";
	else if (error == EACCES)
		next = "\nRun nlbctl as root, or name a file with --file.";
	snprintf(text, sizeof(text), "cannot create %.255s: %s%s", path,
	    strerror(error), next);
	verb_complain(err, text);
	return EX_CANTCREAT;
}

int
ini_create(const char *path, const char *text, size_t len, FILE *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int error = 0;
	ssize_t n;

	if (fd == -1)
		return complain_create(path, errno, err);
	n = write(fd, text, len);
	if (n != (ssize_t)len)
		error = n == -1 ? errno : ENOSPC;
	if (close(fd) != 0 && error == 0)
		error = errno;
	if (error == 0)
		return EX_OK;
	unlink(path);
	return complain_create(path, error, err);
}

int
ini_report_created(
    const struct command_run *run, const char *path, const char *next)
{
	json_t *root;
	int code;

	if (run->line->json) {
		root = json_pack("{s:s}", "path", path);
		code = verb_print_json(run, root);
		json_decref(root);
		return code;
	}
	output_styled(run->out, STYLE_GOOD, "created");
	output_styled(run->out, STYLE_PLAIN, ": %s", path);
	fputc('\n', run->out->file);
	output_wrapped(run->out, "next: ", next);
	return EX_OK;
}
