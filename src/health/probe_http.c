/*
 * The HTTP and HTTPS health check: one GET over a connection of its own. The
 * status code decides; redirects are not followed, certificates not verified,
 * as an NLB does it. The body is read and dropped.
 *
 * The connection is made here, before curl takes part: a PROXY header comes
 * before everything else, and errors of the connect are told in our own words.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "base/log.h"
#include "health/http_client.h"
#include "health/probe_socket.h"

/* Head and body together. A longer answer is cut once its code is known. */
#define ANSWER_BYTES_MAX 65536
/* Longer than any check: the checker's deadline is the only one. */
#define NO_TIMEOUT_S 86400L
#define USER_AGENT "ELB-HealthChecker/2.0 nlbd/" NLBD_VERSION

struct probe_http {
	struct probe probe;
	struct http_client *client;
	struct http_transfer transfer;
	struct curl_slist *headers;
	struct check_spec spec;
	bool head_done; /* the code is final */
	size_t bytes;
	char error[CURL_ERROR_SIZE];
};

static void
close_probe(struct probe *probe)
{
	struct probe_http *p = (struct probe_http *)probe;

	if (p->transfer.easy != NULL)
		http_client_remove(p->client, &p->transfer);
	curl_slist_free_all(p->headers);
	probe_socket_close(p->transfer.socket);
	free(p);
}

static bool
is_https(const struct probe_http *p)
{
	return p->spec.protocol == CHECK_HTTPS;
}

/* ---- the verdict ------------------------------------------------------ */

static void
fail(struct probe_end *end, const char *what, const char *more)
{
	char shown[100];

	end->result = PROBE_FAILURE;
	end->timed_out = false;
	log_escape(shown, sizeof(shown), more, strlen(more));
	snprintf(end->detail, sizeof(end->detail), "%s%s%s", what,
	    more[0] == '\0' ? "" : ": ", shown);
}

static void
judge_code(const struct probe_http *p, struct probe_end *end)
{
	char wanted[HTTP_CODES_STRLEN];
	long code = 0;

	curl_easy_getinfo(p->transfer.easy, CURLINFO_RESPONSE_CODE, &code);
	end->timed_out = false;
	if (http_codes_match(&p->spec.codes, code)) {
		end->result = PROBE_SUCCESS;
		snprintf(end->detail, sizeof(end->detail), "HTTP %ld", code);
		return;
	}
	http_codes_format(&p->spec.codes, wanted, sizeof(wanted));
	end->result = PROBE_FAILURE;
	snprintf(end->detail, sizeof(end->detail), "HTTP %ld, wanted %.120s",
	    code, wanted);
}

static bool
is_encrypted(const struct probe_http *p)
{
	curl_off_t us = 0;

	return is_https(p) &&
	       curl_easy_getinfo(p->transfer.easy, CURLINFO_APPCONNECT_TIME_T,
		   &us) == CURLE_OK &&
	       us > 0;
}

/* The transfer has ended, or has to. */
static void
judge(const struct probe_http *p, CURLcode result, struct probe_end *end)
{
	if (p->head_done) {
		judge_code(p, end);
		return;
	}
	if (result == CURLE_OUT_OF_MEMORY || p->transfer.watch_error != 0) {
		probe_socket_judge(p->transfer.watch_error != 0
				       ? p->transfer.watch_error
				       : -ENOMEM,
		    end);
		return;
	}
	if (is_https(p) && !is_encrypted(p)) {
		fail(end, "TLS handshake failed", p->error);
		return;
	}
	switch (result) {
	case CURLE_GOT_NOTHING:
		fail(end, "connection closed without an HTTP answer", "");
		break;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		fail(end, "connection lost before an HTTP answer", p->error);
		break;
	case CURLE_WRITE_ERROR:
		fail(end, "the head of the answer is too long", "");
		break;
	default:
		fail(end, "no HTTP answer", p->error);
		break;
	}
}

static void
judge_late(const struct probe_http *p, struct probe_end *end)
{
	bool handshake =
	    p->transfer.easy != NULL && is_https(p) && !is_encrypted(p);

	fail(end,
	    handshake ? "TLS handshake not complete in time"
		      : "no HTTP answer in time",
	    "");
	end->timed_out = true;
}

static void
give_up(struct probe *probe, struct probe_end *end)
{
	struct probe_http *p = (struct probe_http *)probe;
	struct http_transfer *t = &p->transfer;
	int error;

	if (t->easy != NULL) {
		http_client_advance(p->client, t);
		if (t->ended || p->head_done)
			judge(p, t->result, end);
		else
			judge_late(p, end);
		return;
	}
	error = probe_socket_look(t->socket);
	if (error == 0)
		judge_late(p, end);
	else
		probe_socket_judge(
		    error == -EINPROGRESS ? -ETIMEDOUT : error, end);
}

static const struct probe_ops ops = {.give_up = give_up, .close = close_probe};

static void
on_transfer_end(struct http_transfer *t)
{
	struct probe_http *p =
	    (struct probe_http *)((char *)t -
				  offsetof(struct probe_http, transfer));
	struct probe_end end;

	judge(p, t->result, &end);
	probe_finish(&p->probe, &end);
}

/* ---- the request ------------------------------------------------------ */

static size_t
on_header(char *line, size_t size, size_t n, void *arg)
{
	struct probe_http *p = arg;
	long code = 0;

	n *= size;
	p->bytes += n;
	if (n > 0 && (line[0] == '\r' || line[0] == '\n')) {
		curl_easy_getinfo(
		    p->transfer.easy, CURLINFO_RESPONSE_CODE, &code);
		p->head_done = code >= HTTP_CODE_MIN;
	}
	return p->bytes > ANSWER_BYTES_MAX ? 0 : n;
}

static size_t
on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct probe_http *p = arg;

	(void)bytes;
	n *= size;
	p->bytes += n;
	return p->bytes > ANSWER_BYTES_MAX ? 0 : n;
}

/* As an NLB: the address of this node and the listener's port. */
static int
add_headers(struct probe_http *p)
{
	char host[ADDR_STRLEN], line[ADDR_STRLEN + 8];
	struct curl_slist *list;
	struct addr local;

	probe_socket_local(p->transfer.socket, &local);
	if (local.family == ADDR_NONE)
		local = p->spec.addr;
	local.port = p->spec.host_port;
	snprintf(line, sizeof(line), "Host: %s",
	    addr_format(&local, host, sizeof(host)));
	p->headers = curl_slist_append(NULL, line);
	if (p->headers == NULL)
		return -ENOMEM;
	list = curl_slist_append(p->headers, "Connection: close");
	return list == NULL ? -ENOMEM : 0;
}

#define SET(easy, option, value)                                             \
	do {                                                                 \
		if (curl_easy_setopt((easy), (option), (value)) != CURLE_OK) \
			return -ENOMEM;                                      \
	} while (0)

static int
set_tls_options(CURL *easy)
{
	SET(easy, CURLOPT_SSL_VERIFYPEER, 0L);
	SET(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	SET(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	/* Not to be read for nothing at every check. */
	SET(easy, CURLOPT_CAINFO, NULL);
	SET(easy, CURLOPT_CAPATH, NULL);
	return 0;
}

static int
set_options(struct probe_http *p, CURL *easy)
{
	char address[ADDR_STRLEN], url[ADDR_STRLEN + 16];

	addr_format(&p->spec.addr, address, sizeof(address));
	snprintf(url, sizeof(url), "%s://%s/", is_https(p) ? "https" : "http",
	    address);
	SET(easy, CURLOPT_URL, url);
	SET(easy, CURLOPT_REQUEST_TARGET, p->spec.path); /* as written */
	SET(easy, CURLOPT_HTTPHEADER, p->headers);
	SET(easy, CURLOPT_USERAGENT, USER_AGENT);
	SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(easy, CURLOPT_PROXY, ""); /* whatever http_proxy says */
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_CONNECTTIMEOUT, NO_TIMEOUT_S);
	SET(easy, CURLOPT_ERRORBUFFER, p->error);
	SET(easy, CURLOPT_HEADERFUNCTION, on_header);
	SET(easy, CURLOPT_HEADERDATA, p);
	SET(easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(easy, CURLOPT_WRITEDATA, p);
	return set_tls_options(easy);
}

/* The connection is made. */
static int
begin_transfer(struct probe_http *p)
{
	struct http_transfer *t = &p->transfer;
	int error;

	error = probe_socket_introduce(t->socket);
	if (error == 0)
		error = add_headers(p);
	/* curl says itself what to watch. */
	if (error == 0)
		error = probe_socket_watch(t->socket, 0);
	if (error != 0)
		return error;
	t->easy = curl_easy_init();
	if (t->easy == NULL)
		return -ENOMEM;
	error = set_options(p, t->easy);
	return error != 0 ? error : http_client_add(p->client, t);
}

static void
on_event(uv_poll_t *handle, int status, int events)
{
	const struct probe_socket *s = handle->data;
	struct probe_http *p = s->owner;
	struct probe_end end;
	int error;

	if (p->transfer.easy != NULL) {
		http_client_on_event(p->client, &p->transfer, status, events);
		return;
	}
	error = probe_socket_look(s);
	if (error == -EINPROGRESS) {
		if (status == 0)
			return;
		error = status;
	}
	if (error == 0)
		error = begin_transfer(p);
	if (error == 0)
		return;
	probe_socket_judge(error, &end);
	probe_finish(&p->probe, &end);
}

int
probe_http_start(const struct probe_env *env, struct probe **out)
{
	struct probe_http *p;
	int error = 0;

	if (*env->http == NULL)
		error = http_client_create(env->loop, env->http);
	if (error != 0)
		return error;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->probe = probe_begin(&ops, env);
	p->client = *env->http;
	p->spec = *env->spec;
	p->transfer.on_end = on_transfer_end;
	error = probe_socket_open(env, on_event, p, &p->transfer.socket);
	if (error != 0) {
		free(p);
		return error;
	}
	*out = &p->probe;
	return 0;
}
