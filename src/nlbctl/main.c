/*
 * nlbctl: asks a running nlbd what it does, and tells it what to do.
 */
#include <stdlib.h>
#include <unistd.h>

#include "nlbctl/run.h"

int
main(int argc, char **argv)
{
	struct output out = {.file = stdout};
	const char *no_color = getenv("NO_COLOR");
	const char *socket_path = getenv("NLBD_SOCKET");

	out.colour = isatty(STDOUT_FILENO) == 1 &&
		     (no_color == NULL || no_color[0] == '\0');
	if (socket_path != NULL && socket_path[0] == '\0')
		socket_path = NULL;
	return nlbctl_run(argc, argv, socket_path, &out, stderr);
}
