/*
 * One request to nlbd: HTTP over its unix socket, by libcurl.
 */
#ifndef NLBCTL_CLIENT_H
#define NLBCTL_CLIENT_H

#include <stddef.h>

#define CLIENT_ERROR_MAX 512

struct client_response {
	long http_status;
	char *body; /* owned by the caller, terminated */
	size_t n_body;
};

/*
 * path carries its query; body is JSON, or NULL. Returns 0 with *out filled, or
 * a sysexits code with sentences for the operator in error: EX_UNAVAILABLE (not
 * reachable), EX_TEMPFAIL (no answer in time), EX_PROTOCOL, EX_OSERR.
 */
int client_request(const char *socket_path, const char *method,
    const char *path, const char *body, struct client_response *out,
    char error[CLIENT_ERROR_MAX]);

/* Appends "?key=value" or "&key=value", value percent-encoded. 0 or -ENOSPC
 * or -ENOMEM with path untouched. */
int client_add_query(
    char *path, size_t size, const char *key, const char *value);

#endif
