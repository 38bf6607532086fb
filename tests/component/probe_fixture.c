/* The fixture of the probes' tests; see probe_fixture.h. */
#include "probe_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "health/http_client.h"
#include "support/expect.h"
#include "support/loop_support.h"

int
probe_fixture_setup(void **state)
{
	struct probe_fixture *f = calloc(1, sizeof(*f));
	struct conf_span wrong, usual = {.text = "200-399", .len = 7};

	signal(SIGPIPE, SIG_IGN);
	if (f == NULL || uv_loop_init(&f->loop) != 0)
		return -1;
	uv_run(&f->loop, UV_RUN_NOWAIT);
	f->descriptors = count_descriptors();
	f->spec.path[0] = '/';
	(void)http_codes_parse(usual, &f->spec.codes, &wrong);
	f->spec.host_port = 587;
	*state = f;
	return 0;
}

int
probe_fixture_teardown(void **state)
{
	struct probe_fixture *f = *state;
	int left;
	bool clean;

	http_client_destroy(f->http);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	left = count_descriptors() - f->descriptors;
	clean = loop_finish(&f->loop);
	free(f);
	return clean && left == 0 ? 0 : -1;
}

static void
on_done(void *owner, const struct probe_end *end)
{
	struct probe_fixture *f = owner;

	f->probe = NULL;
	f->calls++;
	f->end = *end;
}

static bool
is_over(void *arg)
{
	const struct probe_fixture *f = arg;

	return f->probe == NULL;
}

static bool
server_is_done(void *arg)
{
	const struct probe_fixture *f = arg;

	return f->server.fd == -1;
}

void
probe_run(struct probe_fixture *f, probe_starter start, uint64_t deadline_ms)
{
	const struct probe_env env = {.loop = &f->loop,
	    .http = &f->http,
	    .spec = &f->spec,
	    .done = on_done,
	    .owner = f};

	f->calls = 0;
	f->gave_up = false;
	assert_i64(start(&env, &f->probe), 0);
	if (!loop_run_until(&f->loop, is_over, f, deadline_ms)) {
		f->gave_up = true;
		f->probe->ops->give_up(f->probe, &f->end);
		f->probe->ops->close(f->probe);
		f->probe = NULL;
		uv_run(&f->loop, UV_RUN_NOWAIT);
		assert_i64(f->calls, 0);
	} else {
		assert_i64(f->calls, 1);
	}
}

void
probe_script(struct probe_fixture *f, probe_starter start,
    const struct script *script, uint64_t deadline_ms)
{
	assert_true(script_server_open(&f->server, &f->loop, script));
	f->spec.addr = f->server.addr;
	probe_run(f, start, deadline_ms);
	assert_true(
	    loop_run_until(&f->loop, server_is_done, f, LOOP_DEADLINE_MS));
	script_server_close(&f->server);
	uv_run(&f->loop, UV_RUN_NOWAIT);
}

void
assert_probe(
    const struct probe_fixture *f, enum probe_result result, const char *detail)
{
	assert_string_equal(f->end.detail, detail);
	assert_i64(f->end.result, result);
}

void
assert_probe_like(
    const struct probe_fixture *f, enum probe_result result, const char *start)
{
	if (strncmp(f->end.detail, start, strlen(start)) != 0)
		fail_msg("`%s' does not start with `%s'", f->end.detail, start);
	assert_i64(f->end.result, result);
}
