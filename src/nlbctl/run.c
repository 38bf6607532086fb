/*
 * One verb from the command line to the exit code.
 */
#include "nlbctl/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sysexits.h>
#include <bsd/string.h>

#include "nlbctl/client.h"
#include "nlbctl/verb.h"

static int
complain_usage(FILE *err, const char *text)
{
	struct output out = {.file = err};

	output_styled(&out, STYLE_PLAIN, "nlbctl: %s", text);
	fputs("\nTry `nlbctl help`.\n", err);
	return EX_USAGE;
}

static int
complain_protocol(const struct command_run *run, const char *what)
{
	fprintf(run->err,
	    "nlbctl: the answer is not nlbd's: %s\n"
	    "nlbctl: does another program own the socket, or is one of the "
	    "two much older?\n",
	    what);
	return EX_PROTOCOL;
}

/* An error object: its message for people, its code's exit code. */
static int
show_error(const struct command_run *run, long http_status, const json_t *root)
{
	const json_t *error = json_object_get(root, "error");
	const char *message =
	    json_string_value(json_object_get(error, "message"));

	if (message == NULL)
		return complain_protocol(run, "an error without a message");
	fputs("nlbctl: ", run->err);
	output_lines(run->err, message);
	if (http_status == 403)
		return EX_UNAVAILABLE;
	return http_status >= 500 ? EX_TEMPFAIL : EX_DATAERR;
}

/* The configuration was rejected, or cannot be changed now: not an error of
 * ours, but an exit code. */
static int
show_rejected(const struct command_run *run, const json_t *root)
{
	const char *message =
	    json_string_value(json_object_get(root, "message"));

	if (json_object_get(root, "error") != NULL) {
		(void)show_error(run, 409, root);
		return EX_CONFIG;
	}

	if (message == NULL)
		return complain_protocol(run, "a verdict without a message");
	if (run->line->json)
		verb_print_json(run, root);
	else
		output_lines(run->err, message);
	return EX_CONFIG;
}

/* What is worth a word beside the answer, and no part of it. */
static void
show_notes(const struct command_run *run, json_t *root)
{
	const json_t *list = json_object_get(root, "Notes"), *note;
	size_t i;

	json_array_foreach(list, i, note)
	{
		fputs("nlbctl: ", run->err);
		output_lines(run->err, json_string_value(note) == NULL
					   ? "?"
					   : json_string_value(note));
	}
	json_object_del(root, "Notes");
}

static int
show_result(const struct command_run *run, json_t *root)
{
	int rc;

	show_notes(run, root);
	/* As the AWS CLI: nothing to say, nothing said. */
	if (run->line->json && json_object_size(root) == 0)
		return EX_OK;
	if (run->line->json)
		return verb_print_json(run, root);
	rc = run->line->command->show(root, run->out);
	if (rc == -EPROTO)
		return complain_protocol(run, "something is missing in it");
	return rc == 0 ? EX_OK : EX_OSERR;
}

static int
show_response(
    const struct command_run *run, const struct client_response *response)
{
	json_error_t json_error;
	json_t *root;
	int code;

	root = json_loadb(response->body == NULL ? "" : response->body,
	    response->n_body, JSON_REJECT_DUPLICATES, &json_error);
	if (!json_is_object(root))
		code = complain_protocol(run, "no JSON object");
	else if (response->http_status == 200)
		code = show_result(run, root);
	else if (response->http_status == 409)
		code = show_rejected(run, root);
	else
		code = show_error(run, response->http_status, root);
	json_decref(root);
	return code;
}

static int
build_path(const struct command_line *line, char *path, size_t size)
{
	const struct command *command = line->command;
	size_t i;
	int rc;

	strlcpy(
	    path, line->json ? command->json_path : command->table_path, size);
	if (strcmp(command->method, "POST") == 0)
		return 0; /* they are in the body */
	for (i = 0; i < COMMAND_PARAMS_MAX; i++) {
		if (line->values[i] == NULL)
			continue;
		rc = client_add_query(
		    path, size, command->params[i].query, line->values[i]);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* *text: malloc, or NULL where the verb has no body. */
static int
build_body(const struct command_run *run, char **text)
{
	char error[COMMAND_ERROR_MAX];
	json_t *body;
	int rc = command_line_body(run->line, &body, error);

	*text = NULL;
	if (rc == -EINVAL)
		return complain_usage(run->err, error);
	if (rc == 0 && body != NULL) {
		*text = json_dumps(body, JSON_COMPACT);
		rc = *text == NULL ? -ENOMEM : 0;
		json_decref(body);
	}
	return rc == 0 ? EX_OK : EX_OSERR;
}

int
verb_request(const struct command_run *run)
{
	struct client_response response;
	char path[512], error[CLIENT_ERROR_MAX];
	char *body;
	int code;

	if (build_path(run->line, path, sizeof(path)) != 0)
		return complain_usage(
		    run->err, "an option's value is too long");
	code = build_body(run, &body);
	if (code != 0)
		return code;
	code = client_request(run->socket_path, run->line->command->method,
	    path, body, &response, error);
	free(body);
	if (code != 0) {
		verb_complain(run->err, error);
		return code;
	}
	code = show_response(run, &response);
	free(response.body);
	return code;
}

int
nlbctl_run(int argc, char *const *argv, const char *default_socket,
    const struct output *out, FILE *err)
{
	char error[COMMAND_ERROR_MAX];
	struct command_line line;
	struct command_run run = {.line = &line, .out = out, .err = err};
	int code = EX_OK;

	if (command_line_parse(argc, argv, &line, error) != 0)
		return complain_usage(err, error);
	if (line.action == COMMAND_HELP) {
		command_help(out->file, line.command);
	} else if (line.action == COMMAND_VERSION) {
		fprintf(out->file, "nlbctl %s\n", NLBD_VERSION);
	} else {
		run.socket_path = default_socket == NULL
				      ? COMMAND_DEFAULT_SOCKET
				      : default_socket;
		if (line.socket != NULL)
			run.socket_path = line.socket;
		if (strlen(run.socket_path) >=
		    sizeof(((struct sockaddr_un *)0)->sun_path))
			return complain_usage(
			    err, "the socket's path is longer than 107 bytes");
		code = line.command->run != NULL ? line.command->run(&run)
						 : verb_request(&run);
	}
	/* A full disk or a closed pipe must not look like success. */
	if (fflush(out->file) != 0 || ferror(out->file) != 0) {
		verb_complain(err, "cannot write the result");
		return EX_IOERR;
	}
	return code;
}
