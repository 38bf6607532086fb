/*
 * One request to nlbd by libcurl. Whatever the other side does, it ends within
 * TOTAL_TIMEOUT_MS and BODY_MAX bytes.
 */
#include "nlbctl/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define CONNECT_TIMEOUT_MS 3000L
#define TOTAL_TIMEOUT_MS 15000L
#define BODY_MAX ((size_t)64 * 1024 * 1024)

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	struct client_response *response = arg;
	size_t len = size * n;
	char *body;

	if (len > BODY_MAX - response->n_body)
		return 0;
	body = realloc(response->body, response->n_body + len + 1);
	if (body == NULL)
		return 0;
	memcpy(body + response->n_body, data, len);
	response->body = body;
	response->n_body += len;
	body[response->n_body] = '\0';
	return len;
}

static bool
configure(CURL *curl, const char *socket_path, const char *method,
    const char *url, const char *body, struct client_response *response)
{
	CURLcode rc = CURLE_OK;

#define SET(option, value)  \
	if (rc == CURLE_OK) \
	rc = curl_easy_setopt(curl, option, value)
	SET(CURLOPT_UNIX_SOCKET_PATH, socket_path);
	SET(CURLOPT_URL, url);
	SET(CURLOPT_PROXY, ""); /* whatever http_proxy says */
	SET(CURLOPT_PROTOCOLS_STR, "http");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_USERAGENT, "nlbctl/" NLBD_VERSION);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(CURLOPT_TIMEOUT_MS, TOTAL_TIMEOUT_MS);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, response);
	if (strcmp(method, "POST") == 0) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE, (long)strlen(body));
		SET(CURLOPT_POSTFIELDS, body);
	}
#undef SET
	return rc == CURLE_OK;
}

/* Why the socket could not be reached, and what to do. */
static void
explain_unreachable(const char *socket_path, long os_errno, char *error)
{
	const char *hint = "Is nlbd running? AdminSocket in nlbd.ini is its "
			   "socket; -s names another one here.";

	if (os_errno == EACCES || os_errno == EPERM)
		hint = "Run nlbctl as root or as the user of nlbd.";
	else if (os_errno == ECONNREFUSED)
		hint = "Nothing listens there: nlbd is not running and left "
		       "its socket behind. The log says why it ended.";
	snprintf(error, CLIENT_ERROR_MAX, "cannot reach nlbd at %s: %s\n%s",
	    socket_path,
	    os_errno == 0 ? "no connection" : strerror((int)os_errno), hint);
}

static int
explain(CURL *curl, CURLcode rc, const char *socket_path, char *error)
{
	long os_errno = 0;

	switch (rc) {
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_errno);
		explain_unreachable(socket_path, os_errno, error);
		return EX_UNAVAILABLE;
	case CURLE_OPERATION_TIMEDOUT:
		snprintf(error, CLIENT_ERROR_MAX,
		    "nlbd at %s did not answer in time\nIts supervisor may be "
		    "busy or stopped; flows go on without it.",
		    socket_path);
		return EX_TEMPFAIL;
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		snprintf(error, CLIENT_ERROR_MAX,
		    "nlbd at %s closed the connection without an answer",
		    socket_path);
		return EX_UNAVAILABLE;
	default:
		snprintf(error, CLIENT_ERROR_MAX,
		    "what answers at %s does not speak as nlbd does: %s",
		    socket_path, curl_easy_strerror(rc));
		return EX_PROTOCOL;
	}
}

int
client_request(const char *socket_path, const char *method, const char *path,
    const char *body, struct client_response *out, char error[CLIENT_ERROR_MAX])
{
	struct client_response response = {0};
	char url[1024];
	CURLcode rc;
	CURL *curl;
	int code = 0;

	snprintf(url, sizeof(url), "http://nlbd%s", path);
	curl = curl_easy_init();
	if (curl == NULL || !configure(curl, socket_path, method, url,
				body == NULL ? "" : body, &response)) {
		snprintf(error, CLIENT_ERROR_MAX, "cannot set up libcurl");
		curl_easy_cleanup(curl);
		return EX_OSERR;
	}
	rc = curl_easy_perform(curl);
	if (rc == CURLE_OK)
		rc = curl_easy_getinfo(
		    curl, CURLINFO_RESPONSE_CODE, &response.http_status);
	if (rc != CURLE_OK)
		code = explain(curl, rc, socket_path, error);
	curl_easy_cleanup(curl);
	if (code != 0)
		free(response.body);
	else
		*out = response;
	return code;
}

int
client_add_query(char *path, size_t size, const char *key, const char *value)
{
	size_t used = strlen(path);
	char *encoded;
	int n;

	encoded = curl_easy_escape(NULL, value, 0);
	if (encoded == NULL)
		return -ENOMEM;
	n = snprintf(path + used, size - used, "%c%s=%s",
	    strchr(path, '?') == NULL ? '?' : '&', key, encoded);
	curl_free(encoded);
	if (n < 0 || (size_t)n >= size - used) {
		path[used] = '\0';
		return -ENOSPC;
	}
	return 0;
}
