/*
 * The try; see notification_try.h.
 *
 * The name is resolved and the connection made here, before curl takes part:
 * curl would resolve in a thread, and Resolvers would not count.
 */
#include "supervisor/notification_try.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <bsd/string.h>

#include "base/log.h"
#include "health/probe_socket.h"
#include "supervisor/header_file.h"
#include "supervisor/resolver.h"

#define ADDRESSES_MAX 8
/* Head and body of an answer; its code is all that counts. */
#define ANSWER_BYTES_MAX 65536
/* Longer than any try: the caller's deadline is the only one. */
#define NO_TIMEOUT_S 86400L

struct notification_try {
	struct notification_env env;
	struct resolver *resolver;
	struct addr list[ADDRESSES_MAX];
	size_t n, next;
	struct http_transfer transfer; /* its socket NULL: no connection */
	struct curl_slist *headers, *resolved;
	size_t bytes; /* of the answer */
	char error[CURL_ERROR_SIZE];
};

static void
end(struct notification_try *t, enum notification_result result,
    const char *detail)
{
	t->env.done(t->env.arg, result, detail);
}

/* ---- the answer ------------------------------------------------------- */

static void
judge_code(struct notification_try *t, long code)
{
	char detail[64];

	snprintf(detail, sizeof(detail), "HTTP %ld%s", code,
	    code >= 300 && code < 400 ? ", a redirect" : "");
	if (code >= 200 && code < 300)
		end(t, NOTIFICATION_SENT, detail);
	else if (code >= 500 || code == 408 || code == 429)
		end(t, NOTIFICATION_FAILED, detail);
	else
		end(t, NOTIFICATION_REFUSED, detail);
}

static void
on_transfer_end(struct http_transfer *transfer)
{
	struct notification_try *t =
	    (struct notification_try *)((char *)transfer -
					offsetof(
					    struct notification_try, transfer));
	char shown[160];
	const char *text;
	long code = 0;

	(void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &code);
	/* Too long an answer has a code as well. */
	if (code >= 200 && (transfer->result == CURLE_OK ||
			       transfer->result == CURLE_WRITE_ERROR)) {
		judge_code(t, code);
		return;
	}
	text = t->error[0] != '\0' ? t->error
				   : curl_easy_strerror(transfer->result);
	end(t, NOTIFICATION_FAILED,
	    log_escape(shown, sizeof(shown), text, strlen(text)));
}

static size_t
count_bytes(char *bytes, size_t size, size_t n, void *arg)
{
	struct notification_try *t = arg;

	(void)bytes;
	n *= size;
	t->bytes += n;
	return t->bytes > ANSWER_BYTES_MAX ? 0 : n;
}

/* ---- the request ------------------------------------------------------ */

#define SET(easy, option, value)                                             \
	do {                                                                 \
		if (curl_easy_setopt((easy), (option), (value)) != CURLE_OK) \
			return -ENOMEM;                                      \
	} while (0)

/* What the URL's name stands for: curl asks nobody. */
static int
set_resolved(struct notification_try *t, CURL *easy)
{
	const struct conf_notify *to = t->env.to;
	char ip[ADDR_IP_STRLEN], line[CONF_HOST_MAX + ADDR_IP_STRLEN + 16];
	struct addr literal;

	if (addr_parse_ip(to->host, &literal) == 0)
		return 0;
	snprintf(line, sizeof(line), "%s:%u:%s", to->host, to->port,
	    addr_format_ip(&t->list[t->next - 1], ip, sizeof(ip)));
	t->resolved = curl_slist_append(NULL, line);
	if (t->resolved == NULL)
		return -ENOMEM;
	SET(easy, CURLOPT_RESOLVE, t->resolved);
	return 0;
}

static int
set_options(struct notification_try *t, CURL *easy)
{
	const struct conf_notify *to = t->env.to;
	int rc = set_resolved(t, easy);

	if (rc < 0)
		return rc;
	SET(easy, CURLOPT_URL, to->url);
	SET(easy, CURLOPT_POSTFIELDS, t->env.body);
	SET(easy, CURLOPT_HTTPHEADER, t->headers);
	SET(easy, CURLOPT_USERAGENT, "nlbd/" NLBD_VERSION);
	SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SET(easy, CURLOPT_PROXY, ""); /* whatever http_proxy says */
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_CONNECTTIMEOUT, NO_TIMEOUT_S);
	SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (to->ca_file[0] != '\0') {
		SET(easy, CURLOPT_CAINFO, to->ca_file);
		SET(easy, CURLOPT_CAPATH, NULL);
	}
	SET(easy, CURLOPT_ERRORBUFFER, t->error);
	SET(easy, CURLOPT_HEADERFUNCTION, count_bytes);
	SET(easy, CURLOPT_HEADERDATA, t);
	SET(easy, CURLOPT_WRITEFUNCTION, count_bytes);
	SET(easy, CURLOPT_WRITEDATA, t);
	return 0;
}

/* 0, or a negative errno with why filled in. */
static int
make_headers(struct notification_try *t, char *why, size_t size)
{
	static const char *const own[] = {
	    "Content-Type: application/json", "Connection: close", "Expect:"};
	struct curl_slist *list;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		list = curl_slist_append(t->headers, own[i]);
		if (list == NULL) {
			strlcpy(why, "out of memory", size);
			return -ENOMEM;
		}
		t->headers = list;
	}
	if (t->env.to->header_file[0] == '\0')
		return 0;
	return header_file_read(t->env.to->header_file, &t->headers, why, size);
}

/* The connection is made. */
static void
begin_transfer(struct notification_try *t)
{
	char why[HEADER_FILE_WHY_MAX];
	int rc = make_headers(t, why, sizeof(why));

	if (rc < 0) {
		end(t, NOTIFICATION_FAILED, why);
		return;
	}
	/* curl says itself what to watch. */
	rc = probe_socket_watch(t->transfer.socket, 0);
	if (rc == 0) {
		t->transfer.easy = curl_easy_init();
		rc = t->transfer.easy == NULL ? -ENOMEM : 0;
	}
	if (rc == 0)
		rc = set_options(t, t->transfer.easy);
	if (rc == 0)
		rc = http_client_add(t->env.http, &t->transfer);
	if (rc < 0)
		end(t, NOTIFICATION_FAILED, strerror(-rc));
}

/* ---- the connection --------------------------------------------------- */

static void connect_next(struct notification_try *t, int error);

static void
on_event(uv_poll_t *handle, int status, int events)
{
	const struct probe_socket *s = handle->data;
	struct notification_try *t = s->owner;
	int error;

	if (t->transfer.easy != NULL) {
		http_client_on_event(t->env.http, &t->transfer, status, events);
		return;
	}
	error = probe_socket_look(s);
	if (error == -EINPROGRESS) {
		if (status == 0)
			return;
		error = status;
	}
	if (error == 0) {
		begin_transfer(t);
		return;
	}
	probe_socket_close(t->transfer.socket);
	t->transfer.socket = NULL;
	connect_next(t, error);
}

/* error: how it went at the address before. */
static void
connect_next(struct notification_try *t, int error)
{
	struct check_spec spec = {0};
	struct probe_env env = {.loop = t->env.loop, .spec = &spec};
	struct probe_end said;

	while (t->next < t->n) {
		spec.addr = t->list[t->next++];
		spec.addr.port = t->env.to->port;
		error =
		    probe_socket_open(&env, on_event, t, &t->transfer.socket);
		if (error == 0)
			return;
	}
	probe_socket_judge(error, &said);
	end(t, NOTIFICATION_FAILED, said.detail);
}

/* ---- the name --------------------------------------------------------- */

static void
take_addresses(struct notification_try *t, const struct addr *list, size_t n)
{
	t->n = n < ADDRESSES_MAX ? n : ADDRESSES_MAX;
	memcpy(t->list, list, t->n * sizeof(list[0]));
	connect_next(t, -EHOSTUNREACH);
}

static void
on_ipv6_answer(void *arg, struct resolver_answer *answer)
{
	struct notification_try *t = arg;
	char detail[160];

	if (answer->error == NULL) {
		take_addresses(t, answer->list, answer->n);
		return;
	}
	snprintf(detail, sizeof(detail), "%.64s cannot be resolved: %.64s",
	    t->env.to->host, answer->error);
	end(t, NOTIFICATION_FAILED, detail);
}

static void
on_ipv4_answer(void *arg, struct resolver_answer *answer)
{
	struct notification_try *t = arg;

	if (answer->error == NULL)
		take_addresses(t, answer->list, answer->n);
	else
		resolver_ask(
		    t->resolver, t->env.to->host, ADDR_IPV6, on_ipv6_answer, t);
}

static int
begin_http(struct notification_try *t)
{
	const char *host = t->env.to->host;
	struct addr list[2];
	int rc;

	if (addr_parse_ip(host, &list[0]) == 0) {
		take_addresses(t, list, 1);
		return 0;
	}
	if (strcmp(host, "localhost") == 0) {
		(void)addr_parse_ip("127.0.0.1", &list[0]);
		(void)addr_parse_ip("::1", &list[1]);
		take_addresses(t, list, 2);
		return 0;
	}
	rc = resolver_create(t->env.loop, &t->resolver);
	if (rc < 0)
		return rc;
	(void)resolver_set_servers(
	    t->resolver, t->env.resolvers, t->env.n_resolvers);
	resolver_ask(t->resolver, host, ADDR_IPV4, on_ipv4_answer, t);
	return 0;
}

/* ---- datagrams -------------------------------------------------------- */

static int
send_datagram(const struct conf_notify *to, const char *body)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int rc = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -errno;
	strlcpy(at.sun_path, to->path, sizeof(at.sun_path));
	if (sendto(fd, body, strlen(body), MSG_NOSIGNAL,
		(const struct sockaddr *)&at, sizeof(at)) == -1)
		rc = -errno;
	close(fd);
	return rc;
}

static void
begin_datagram(struct notification_try *t)
{
	int rc = send_datagram(t->env.to, t->env.body);

	if (rc == 0)
		end(t, NOTIFICATION_SENT, "sent");
	else
		end(t,
		    rc == -EMSGSIZE ? NOTIFICATION_REFUSED
				    : NOTIFICATION_FAILED,
		    strerror(-rc));
}

/* ---- life ------------------------------------------------------------- */

int
notification_try_start(
    const struct notification_env *env, struct notification_try **out)
{
	struct notification_try *t = calloc(1, sizeof(*t));
	int rc = 0;

	if (t == NULL)
		return -ENOMEM;
	t->env = *env;
	t->transfer.on_end = on_transfer_end;
	*out = t;
	if (env->to->scheme == CONF_SCHEME_UNIX)
		begin_datagram(t);
	else
		rc = begin_http(t);
	if (rc < 0)
		notification_try_close(t);
	return rc;
}

void
notification_try_close(struct notification_try *t)
{
	if (t->transfer.easy != NULL)
		http_client_remove(t->env.http, &t->transfer);
	if (t->transfer.socket != NULL)
		probe_socket_close(t->transfer.socket);
	resolver_destroy(t->resolver);
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->resolved);
	free(t);
}
