/*
 * nlbctl: asks a running nlbd what it does, and tells it what to do.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nlbctl/run.h"

/* NO_COLOR as no-color.org has it; TERM as of a terminal that knows none. */
static bool
wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) == 1 &&
	       (no_color == NULL || no_color[0] == '\0') &&
	       (term == NULL || strcmp(term, "dumb") != 0);
}

int
main(int argc, char **argv)
{
	struct output out = {.file = stdout, .colour = wants_colour()};
	const char *socket_path = getenv("NLBD_SOCKET");

	if (socket_path != NULL && socket_path[0] == '\0')
		socket_path = NULL;
	return nlbctl_run(argc, argv, socket_path, &out, stderr);
}
