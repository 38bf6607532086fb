/*
 * nlbctl drain-node: takes this node out of DNS, or back in.
 */
#include "nlbctl/verb.h"

#include <stdio.h>
#include <sysexits.h>

#include "nlbctl/show.h"

int
verb_drain_node(const struct command_run *run)
{
	bool undo = command_line_value(run->line, "undo") != NULL;
	char error[CLIENT_ERROR_MAX];
	json_t *root;
	int code;

	code = verb_fetch(run, "POST",
	    undo ? "/v1/undrain-node" : "/v1/drain-node", &root, error);
	if (code != 0) {
		verb_complain(run->err, error);
		return code;
	}
	if (run->line->json)
		code = verb_print_json(run, root);
	else if (show_bool(root, "drained"))
		output_wrapped(run->out, "drained: ",
		    "/zone-health answers 503, so that DNS leaves this node. "
		    "Who still comes is served. Next: `nlbctl wait drained`, "
		    "then stop nlbd; or `nlbctl drain-node --undo`.");
	else
		output_wrapped(run->out, "in service: ",
		    "/zone-health tells the health of the targets again.");
	json_decref(root);
	return code;
}
