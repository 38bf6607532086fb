/*
 * The guard of the TCP side. Whoever can reach it may look and change nothing;
 * and no web page may look through its visitor's browser: there is no CORS
 * header, and a name that somebody else's DNS can point here ("rebinding") is
 * not answered.
 */
#include "admin/server.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <bsd/string.h>

#include "base/addr.h"

#define HOST_MAX 256

/* "a.b.c.d:9587", "[::1]:9587" or "name" without port and brackets. */
static bool
host_strip(const char *host, char *out, size_t size)
{
	const char *port;
	size_t len;

	if (host[0] == '[') {
		host++;
		len = strcspn(host, "]");
		if (host[len] != ']')
			return false;
		port = host + len + 1;
	} else {
		len = strcspn(host, ":");
		port = host + len;
	}
	if (len == 0 || len >= size)
		return false;
	memcpy(out, host, len);
	out[len] = '\0';
	return *port == '\0' ||
	       (*port == ':' && port[1 + strspn(port + 1, "0123456789")] == 0);
}

/* Somebody else's DNS decides over every name but these. */
static bool
host_is_ours(const char *host)
{
	char name[HOST_MAX], machine[HOST_MAX];
	struct addr addr;

	if (!host_strip(host, name, sizeof(name)))
		return false;
	if (addr_parse_ip(name, &addr) == 0 ||
	    strcasecmp(name, "localhost") == 0)
		return true;
	if (gethostname(machine, sizeof(machine)) != 0)
		return false;
	machine[sizeof(machine) - 1] = '\0';
	if (strcasecmp(name, machine) == 0)
		return true;
	machine[strcspn(machine, ".")] = '\0';
	return strcasecmp(name, machine) == 0;
}

bool
admin_guard_refuses(struct admin_request *request, const char *method)
{
	const char *host;

	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		admin_answer_error(request, MHD_HTTP_METHOD_NOT_ALLOWED,
		    "MethodNotAllowed",
		    "HttpListen only shows; changes are made on the unix "
		    "socket: use nlbctl");
		return true;
	}
	/* HTTP/1.0 may go without; no browser does. */
	host = MHD_lookup_connection_value(
	    request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	if (host == NULL || host_is_ours(host))
		return false;
	admin_answer_error(request, MHD_HTTP_MISDIRECTED_REQUEST,
	    "MisdirectedRequest",
	    "not under this name: ask by address, by the machine's host name "
	    "or as localhost");
	return true;
}
