/*
 * Component tests of health/probe_http without TLS, against scripted servers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "health/checker.h"
#include "nlb/proxy_v2.h"
#include "probe_fixture.h"
#include "support/expect.h"
#include "support/loop_support.h"

#define ASKED "\r\n\r\n" /* the end of a request */
#define EMPTY "Content-Length: 0\r\n\r\n"
#define LATE_MS 400 /* a test's deadline that is meant to pass */

static void
check(struct probe_fixture *f, const struct script *script)
{
	probe_script(f, probe_http_start, script, LOOP_DEADLINE_MS);
}

static void
want(struct probe_fixture *f, const char *codes)
{
	struct conf_span text = {.text = codes, .len = strlen(codes)}, wrong;

	assert_i64(
	    http_codes_parse(text, &f->spec.codes, &wrong), CONF_VALUE_OK);
}

static void
request_is_an_nlbs_and_the_connection_ends_in_fin(void **state)
{
	static const struct script script = {
	    {STEP(ASKED, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")},
	    SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	check(f, &script);
	assert_probe(f, PROBE_SUCCESS, "HTTP 200");
	assert_string_equal(f->server.received,
	    "GET / HTTP/1.1\r\n"
	    "Host: 127.0.0.1:587\r\n"
	    "User-Agent: ELB-HealthChecker/2.0 nlbd/" NLBD_VERSION "\r\n"
	    "Accept: */*\r\n"
	    "Connection: close\r\n\r\n");
	assert_true(f->server.ended);
	assert_i64(f->server.end_error, 0);
	check(f, &script); /* another one has a connection of its own */
	assert_probe(f, PROBE_SUCCESS, "HTTP 200");
}

static void
path_is_sent_as_it_is_written(void **state)
{
	static const struct script script = {
	    {STEP(ASKED, "HTTP/1.1 204 No Content\r\n\r\n")}, SCRIPT_HOLD};
	struct probe_fixture *f = *state;
	const char *start = "GET /a/../b%20c?x=[1]&y={2}#z HTTP/1.1\r\n";

	snprintf(f->spec.path, sizeof(f->spec.path), "%s",
	    "/a/../b%20c?x=[1]&y={2}#z");
	check(f, &script);
	assert_probe(f, PROBE_SUCCESS, "HTTP 204");
	assert_memory_equal(f->server.received, start, strlen(start));
}

static void
code_decides_and_the_wanted_ones_are_told(void **state)
{
	static const struct script busy = {
	    {STEP(ASKED, "HTTP/1.1 503 Service Unavailable\r\n" EMPTY)},
	    SCRIPT_HOLD};
	static const struct script ok = {
	    {STEP(ASKED, "HTTP/1.0 200 OK\r\n\r\nuntil the end")}, SCRIPT_FIN};
	struct probe_fixture *f = *state;

	check(f, &busy);
	assert_probe(f, PROBE_FAILURE, "HTTP 503, wanted 200-399");
	assert_false(f->end.timed_out);
	want(f, "204,302-399,503");
	check(f, &busy);
	assert_probe(f, PROBE_SUCCESS, "HTTP 503");
	check(f, &ok);
	assert_probe(f, PROBE_FAILURE, "HTTP 200, wanted 204,302-399,503");
}

static void
redirects_are_not_followed(void **state)
{
	static const struct script script = {
	    {STEP(
		 ASKED, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n" EMPTY),
		STEP(ASKED, "HTTP/1.1 500 no\r\n" EMPTY)},
	    SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	check(f, &script);
	assert_probe(f, PROBE_SUCCESS, "HTTP 302");
	assert_u64(f->server.n_connections, 1);
	want(f, "200");
	check(f, &script);
	assert_probe(f, PROBE_FAILURE, "HTTP 302, wanted 200");
}

static void
informational_answers_are_not_the_answer(void **state)
{
	static const struct script then = {
	    {STEP(ASKED, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
			 "HTTP/1.1 200 OK\r\n" EMPTY)},
	    SCRIPT_HOLD};
	static const struct script only = {
	    {STEP(ASKED, "HTTP/1.1 100 Continue\r\n\r\n")}, SCRIPT_FIN};
	struct probe_fixture *f = *state;

	check(f, &then);
	assert_probe(f, PROBE_SUCCESS, "HTTP 200");
	check(f, &only);
	assert_i64(f->end.result, PROBE_FAILURE);
}

static void
reset_after_the_head_is_still_a_success(void **state)
{
	static const struct script script = {
	    {STEP(ASKED, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhal")},
	    SCRIPT_RST};
	static const struct script cut = {
	    {STEP(ASKED, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhal")},
	    SCRIPT_FIN};
	struct probe_fixture *f = *state;

	check(f, &script);
	assert_probe(f, PROBE_SUCCESS, "HTTP 200");
	check(f, &cut);
	assert_probe(f, PROBE_SUCCESS, "HTTP 200");
}

static void
connection_that_ends_too_soon_fails(void **state)
{
	static const struct script nothing = {{STEP(ASKED, NULL)}, SCRIPT_FIN};
	static const struct script reset = {{STEP(ASKED, NULL)}, SCRIPT_RST};
	static const struct script half = {
	    {STEP(ASKED, "HTTP/1.1 200 OK\r\nContent-Le")}, SCRIPT_FIN};
	static const struct script half_reset = {
	    {STEP(ASKED, "HTTP/1.1 200 OK\r\nContent-Le")}, SCRIPT_RST};
	struct probe_fixture *f = *state;

	check(f, &nothing);
	assert_probe(
	    f, PROBE_FAILURE, "connection closed without an HTTP answer");
	check(f, &reset);
	assert_probe_like(
	    f, PROBE_FAILURE, "connection lost before an HTTP answer");
	check(f, &half);
	assert_i64(f->end.result, PROBE_FAILURE);
	check(f, &half_reset);
	assert_i64(f->end.result, PROBE_FAILURE);
	assert_false(f->end.timed_out);
}

static void
what_is_no_http_fails(void **state)
{
	static const struct script script = {
	    {STEP(NULL, "220 mail.example ESMTP\r\n")}, SCRIPT_HOLD};
	static const struct script bytes = {
	    {STEP_BYTES(ASKED, "\0\x1b[31m\r\n\r\n", 10)}, SCRIPT_FIN};
	struct probe_fixture *f = *state;

	check(f, &script);
	assert_probe_like(f, PROBE_FAILURE, "no HTTP answer");
	assert_false(f->end.timed_out);
	check(f, &bytes);
	assert_i64(f->end.result, PROBE_FAILURE);
}

static void
silent_and_slow_servers_time_out(void **state)
{
	static const struct script silent = {{STEP(NULL, "")}, SCRIPT_HOLD};
	static const struct script slow = {
	    {STEP_DRIBBLE(ASKED,
		"HTTP/1.1 200 This takes more than a second, as it "
		"comes byte by byte, with ten milliseconds between two "
		"of them\r\n" EMPTY)},
	    SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	probe_script(f, probe_http_start, &silent, LATE_MS);
	assert_probe(f, PROBE_FAILURE, "no HTTP answer in time");
	assert_true(f->end.timed_out);
	probe_script(f, probe_http_start, &slow, LATE_MS);
	assert_true(f->gave_up);
	assert_probe(f, PROBE_FAILURE, "no HTTP answer in time");
	assert_true(f->end.timed_out);
}

static void
slow_body_changes_no_verdict(void **state)
{
	static const struct script script = {
	    {STEP(ASKED, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal")},
	    SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	probe_script(f, probe_http_start, &script, LATE_MS);
	assert_true(f->gave_up);
	assert_probe(f, PROBE_SUCCESS, "HTTP 200");
}

static void
endless_answers_are_cut(void **state)
{
	static char block[65536];
	static const struct script body = {
	    {STEP(ASKED, "HTTP/1.1 200 OK\r\n\r\n"),
		STEP_BYTES(NULL, block, sizeof(block))},
	    SCRIPT_FLOOD};
	static const struct script head = {
	    {STEP(ASKED, "HTTP/1.1 200 OK\r\n"),
		STEP(NULL, "X-Again: and again\r\n")},
	    SCRIPT_FLOOD};
	struct probe_fixture *f = *state;

	memset(block, 'x', sizeof(block));
	check(f, &body);
	assert_probe(f, PROBE_SUCCESS, "HTTP 200");
	/* What it was sent is what the buffers hold. */
	assert_true(f->server.n_sent < 16 * 1024 * 1024);
	check(f, &head);
	assert_probe(f, PROBE_FAILURE, "the head of the answer is too long");
}

static void
answer_at_the_deadline_is_seen_before_the_loop_does(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\n" EMPTY;
	struct probe_fixture *f = *state;
	const struct probe_env env = {
	    .loop = &f->loop, .http = &f->http, .spec = &f->spec};
	char request[1024];
	int fd, listener;

	listener = listen_on("127.0.0.1", 8, &f->spec.addr);
	assert_i64(probe_http_start(&env, &f->probe), 0);
	/* Connected, asked, and then the loop stands still. */
	loop_run_for(&f->loop, 50);
	fd = accept(listener, NULL, NULL);
	assert_true(recv(fd, request, sizeof(request), 0) > 0);
	assert_i64(send(fd, answer, strlen(answer), 0), strlen(answer));
	f->probe->ops->give_up(f->probe, &f->end);
	assert_probe(f, PROBE_SUCCESS, "HTTP 200");
	f->probe->ops->close(f->probe);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	close(fd);
	close(listener);
}

static void
connects_that_fail_are_told_as_such(void **state)
{
	struct probe_fixture *f = *state;
	int fd = reserve_port(&f->spec.addr);
	struct black_hole hole;

	probe_run(f, probe_http_start, LOOP_DEADLINE_MS);
	close(fd);
	assert_probe(f, PROBE_FAILURE, "connection refused");
	assert_true(black_hole_open(&hole));
	f->spec.addr = hole.addr;
	probe_run(f, probe_http_start, LATE_MS);
	black_hole_close(&hole);
	assert_probe(f, PROBE_FAILURE, "connection timed out");
	assert_true(f->end.timed_out);
}

static void
proxies_of_the_environment_are_ignored(void **state)
{
	static const struct script script = {
	    {STEP(ASKED, "HTTP/1.1 200 OK\r\n" EMPTY)}, SCRIPT_HOLD};
	struct probe_fixture *f = *state;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	check(f, &script);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	assert_probe(f, PROBE_SUCCESS, "HTTP 200");
}

static void
proxy_header_comes_before_the_request(void **state)
{
	static const struct script script = {
	    {STEP(ASKED, "HTTP/1.1 200 OK\r\n" EMPTY)}, SCRIPT_HOLD};
	struct probe_fixture *f = *state;
	uint8_t header[PROXY_V2_SIZE];

	f->spec.proxy_v2 = true;
	check(f, &script);
	assert_probe(f, PROBE_SUCCESS, "HTTP 200");
	proxy_v2_encode_local(header);
	assert_memory_equal(f->server.received, header, sizeof(header));
	assert_memory_equal(
	    f->server.received + sizeof(header), "GET / HTTP/1.1\r\n", 16);
}

/* ---- in the checker --------------------------------------------------- */

struct checks {
	struct checker *checker;
	size_t n_started, n_results;
	bool destroy;
};

static void
on_started(void *owner, uint32_t slot)
{
	struct checks *c = owner;

	(void)slot;
	c->n_started++;
}

static void
on_result(void *owner, uint32_t slot, enum probe_result result,
    const char *detail, uint64_t elapsed_us)
{
	struct checks *c = owner;

	(void)slot;
	(void)result;
	(void)detail;
	(void)elapsed_us;
	c->n_results++;
	if (c->destroy && c->checker != NULL) {
		checker_destroy(c->checker);
		c->checker = NULL;
	}
}

static bool
has_result(void *arg)
{
	const struct checks *c = arg;

	return c->n_results > 0;
}

static void
all_under_way(struct probe_fixture *f, struct checks *c, uint32_t timeout_ms)
{
	memset(c, 0, sizeof(*c));
	assert_i64(
	    checker_create(&f->loop, c, on_started, on_result, &c->checker), 0);
	f->spec.protocol = CHECK_HTTP;
	f->spec.interval_ms = 200;
	f->spec.timeout_ms = timeout_ms;
	for (uint32_t slot = 0; slot < 8; slot++)
		assert_i64(checker_set(c->checker, slot, &f->spec), 0);
}

static void
checker_can_go_at_any_moment(void **state)
{
	static const struct script ended = {{STEP(ASKED, NULL)}, SCRIPT_FIN};
	struct probe_fixture *f = *state;
	int listener = listen_on("127.0.0.1", 64, &f->spec.addr);
	struct checks c;

	/* Eight requests wait for an answer. */
	all_under_way(f, &c, 60000);
	loop_run_for(&f->loop, 400);
	assert_u64(c.n_started, 8);
	checker_destroy(c.checker);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_u64(c.n_results, 0);

	/* From the result of one of them. */
	all_under_way(f, &c, 300);
	c.destroy = true;
	assert_true(loop_run_until(&f->loop, has_result, &c, LOOP_DEADLINE_MS));
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_u64(c.n_results, 1);
	close(listener);

	/* From a result that curl reports. */
	assert_true(script_server_open(&f->server, &f->loop, &ended));
	f->spec.addr = f->server.addr;
	all_under_way(f, &c, 60000);
	c.destroy = true;
	assert_true(loop_run_until(&f->loop, has_result, &c, LOOP_DEADLINE_MS));
	script_server_close(&f->server);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_u64(c.n_results, 1);
}

#define TEST(name)                       \
	cmocka_unit_test_setup_teardown( \
	    name, probe_fixture_setup, probe_fixture_teardown)

int
main(void)
{
	const struct CMUnitTest probe_http[] = {
	    TEST(request_is_an_nlbs_and_the_connection_ends_in_fin),
	    TEST(path_is_sent_as_it_is_written),
	    TEST(code_decides_and_the_wanted_ones_are_told),
	    TEST(redirects_are_not_followed),
	    TEST(informational_answers_are_not_the_answer),
	    TEST(reset_after_the_head_is_still_a_success),
	    TEST(connection_that_ends_too_soon_fails),
	    TEST(what_is_no_http_fails),
	    TEST(silent_and_slow_servers_time_out),
	    TEST(slow_body_changes_no_verdict),
	    TEST(endless_answers_are_cut),
	    TEST(answer_at_the_deadline_is_seen_before_the_loop_does),
	    TEST(connects_that_fail_are_told_as_such),
	    TEST(proxies_of_the_environment_are_ignored),
	    TEST(proxy_header_comes_before_the_request),
	    TEST(checker_can_go_at_any_moment),
	};

	return cmocka_run_group_tests(probe_http, NULL, NULL);
}
