/*
 * nlbctl check: the configuration file, by the nlbd that runs with it; or here,
 * when none runs yet or another file was named.
 */
#include "nlbctl/verb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "nlb/conf.h"

/* The mistakes and warnings are in *text: malloc. */
static int
check_file(const char *path, char **text)
{
	struct conf_options options = {0};
	struct conf_diags diags = {0};
	struct conf *conf = NULL;
	char *bytes = NULL;
	size_t len, text_len;
	FILE *file = open_memstream(text, &text_len);
	int code = EX_NOINPUT, rc;

	if (file == NULL)
		return EX_OSERR;
	rc = conf_read_file(path, &bytes, &len, &diags);
	if (rc == 0)
		code = conf_parse(bytes, len, &options, &conf, &diags) == 0
			   ? EX_OK
			   : EX_CONFIG;
	conf_diags_print(&diags, path, file);
	if (rc != 0)
		fprintf(file, "      = %s\n",
		    rc == -EACCES ? "run nlbctl as root, or name another file "
				    "with --file"
				  : "name another file with --file, or write a "
				    "first one with `nlbctl init`");
	conf_destroy(conf);
	free(bytes);
	conf_diags_fini(&diags);
	return fclose(file) == 0 ? code : EX_OSERR;
}

static int
report(
    const struct command_run *run, const char *path, int code, const char *text)
{
	json_t *root;
	int print_code;

	if (run->line->json) {
		root = json_pack("{s:s, s:s, s:s}", "verdict",
		    code == EX_OK ? "accepted" : "rejected", "path", path,
		    "message", text);
		print_code = verb_print_json(run, root);
		json_decref(root);
		return print_code == EX_OK ? code : print_code;
	}
	output_lines(run->err, text);
	if (code == EX_OK) {
		output_styled(run->out, STYLE_GOOD, "accepted");
		output_styled(run->out, STYLE_PLAIN, ": %s", path);
		fputc('\n', run->out->file);
	}
	return code;
}

/* Any other socket is that of an nlbd whose file is not known here. */
static bool
may_be_asked(const struct command_run *run)
{
	char error[CLIENT_ERROR_MAX];
	json_t *status = NULL;
	int code;

	if (strcmp(run->socket_path, COMMAND_DEFAULT_SOCKET) != 0)
		return true;
	code = verb_fetch(run, "GET", "/v1/status", &status, error);
	json_decref(status);
	return code != EX_UNAVAILABLE;
}

int
verb_check(const struct command_run *run)
{
	const char *path = command_line_value(run->line, "file");
	char *text = NULL;
	int code;

	if (path == NULL && may_be_asked(run))
		return verb_request(run);
	if (path == NULL)
		path = COMMAND_DEFAULT_CONFIG;
	code = check_file(path, &text);
	if (code != EX_OSERR)
		code = report(run, path, code, text);
	free(text);
	return code;
}
