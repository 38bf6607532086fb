/*
 * What the verbs share.
 */
#include "nlbctl/verb.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* Lines come from the command line too: nothing in them steers a terminal. */
void
verb_complain(FILE *err, const char *text)
{
	struct output out = {.file = err};
	size_t len;

	while (*text != '\0') {
		len = strcspn(text, "\n");
		output_styled(
		    &out, STYLE_PLAIN, "nlbctl: %.*s", (int)len, text);
		fputc('\n', err);
		text += len + (text[len] == '\n');
	}
}

int
verb_print_json(const struct command_run *run, const json_t *root)
{
	char *text =
	    json_dumps(root, JSON_INDENT(4) | JSON_PRESERVE_ORDER |
				 JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));

	if (text == NULL)
		return EX_OSERR;
	fprintf(run->out->file, "%s\n", text);
	free(text);
	return EX_OK;
}

/* What nlbd says of a request that it refuses. */
static int
refusal(long http_status, const json_t *root, char error[CLIENT_ERROR_MAX])
{
	const char *message = json_string_value(
	    json_object_get(json_object_get(root, "error"), "message"));

	if (message == NULL) {
		snprintf(error, CLIENT_ERROR_MAX,
		    "the answer is not nlbd's: an error without a message");
		return EX_PROTOCOL;
	}
	snprintf(error, CLIENT_ERROR_MAX, "%s", message);
	if (http_status == 403)
		return EX_UNAVAILABLE;
	return http_status >= 500 ? EX_TEMPFAIL : EX_DATAERR;
}

int
verb_fetch(const struct command_run *run, const char *method, const char *path,
    json_t **out, char error[CLIENT_ERROR_MAX])
{
	struct client_response response;
	json_error_t json_error;
	json_t *root;
	int code;

	code = client_request(
	    run->socket_path, method, path, NULL, &response, error);
	if (code != 0)
		return code;
	root = json_loadb(response.body == NULL ? "" : response.body,
	    response.n_body, JSON_REJECT_DUPLICATES, &json_error);
	free(response.body);
	if (json_is_object(root) && response.http_status == 200) {
		*out = root;
		return 0;
	}
	code = refusal(response.http_status, root, error);
	json_decref(root);
	return code;
}
