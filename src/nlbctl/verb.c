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
