/*
 * nlbd-flow-hold: opens N TCP flows to one address, waits until the server's
 * first bytes came through each (so that every hop has it established), and
 * holds them idle until SIGTERM, SIGINT or the end of stdin.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/stdlib.h>
#include <uv.h>

#include "bench_addr.h"

#define SOURCES_MAX 64
#define RESERVED_FDS 32
#define CONNECTING_MAX 100 /* at a time, so that no backlog overflows */

/* CONNECTING -> HELD -> LOST; a flow that never gets to HELD is LOST too. */
enum flow_state {
	FLOW_CONNECTING,
	FLOW_HELD,
	FLOW_LOST,
};

struct flow {
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	enum flow_state state;
};

static struct {
	uv_loop_t *loop;
	struct sockaddr_storage to;
	struct sockaddr_storage sources[SOURCES_MAX];
	int source_count;
	const char *send_text; /* NULL: the server speaks first */
	long long count;
	long long timeout_s;
	struct flow *flows;
	long long started;
	long long held;
	long long lost;
	bool is_stopping;
	bool has_failed;
	uv_timer_t deadline;
	uv_signal_t signals[2];
	uv_pipe_t input;
} hold;

static char read_buffer[4096];

static void start_flows(void);

static void
usage(FILE *to)
{
	fputs(
	    "usage: nlbd-flow-hold [--count N] [--source ADDR]...\n"
	    "    [--send TEXT] [--timeout SECONDS] [--stdin] ADDR:PORT\n"
	    "Prints \"holding N\" when the server's first bytes came through\n"
	    "all flows; ends at SIGTERM, SIGINT or, with --stdin, at the end\n"
	    "of stdin. --send TEXT: for a server that waits to be spoken to.\n",
	    to);
}

static void
stop(void)
{
	if (hold.is_stopping)
		return;
	hold.is_stopping = true;
	for (long long i = 0; i < hold.started; i++) {
		if (!uv_is_closing((uv_handle_t *)&hold.flows[i].tcp))
			uv_close((uv_handle_t *)&hold.flows[i].tcp, NULL);
	}
	uv_close((uv_handle_t *)&hold.deadline, NULL);
	uv_close((uv_handle_t *)&hold.signals[0], NULL);
	uv_close((uv_handle_t *)&hold.signals[1], NULL);
	uv_close((uv_handle_t *)&hold.input, NULL);
}

static void
flow_set_state(struct flow *flow, enum flow_state state)
{
	if (flow->state == FLOW_HELD)
		hold.held--;
	flow->state = state;
	if (state == FLOW_HELD)
		hold.held++;
	if (state == FLOW_LOST)
		hold.lost++;
}

static void
flow_lose(struct flow *flow, const char *doing, int error)
{
	if (hold.is_stopping || flow->state == FLOW_LOST)
		return;
	if (hold.lost == 0)
		fprintf(stderr, "nlbd-flow-hold: %s: %s\n", doing,
		    uv_strerror(error));
	flow_set_state(flow, FLOW_LOST);
	hold.has_failed = true;
	uv_close((uv_handle_t *)&flow->tcp, NULL);
	start_flows();
}

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(read_buffer, sizeof(read_buffer));
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct flow *flow = (struct flow *)stream;

	(void)buf;
	if (n < 0) {
		flow_lose(flow, "the flow ended", (int)n);
		return;
	}
	if (n == 0 || flow->state == FLOW_HELD)
		return;
	flow_set_state(flow, FLOW_HELD);
	start_flows();
	if (hold.held == hold.count) {
		uv_timer_stop(&hold.deadline);
		printf("holding %lld\n", hold.held);
	}
}

static void
on_written(uv_write_t *write, int status)
{
	if (status != 0)
		flow_lose(write->data, "write", status);
}

static void
on_connected(uv_connect_t *connect, int status)
{
	struct flow *flow = connect->data;
	uv_stream_t *stream = (uv_stream_t *)&flow->tcp;

	if (status == UV_ECANCELED)
		return;
	if (status == 0)
		status = uv_read_start(stream, on_alloc, on_read);
	if (status == 0 && hold.send_text != NULL) {
		uv_buf_t buf = uv_buf_init((char *)(uintptr_t)hold.send_text,
		    (unsigned)strlen(hold.send_text));

		flow->write.data = flow;
		status = uv_write(&flow->write, stream, &buf, 1, on_written);
	}
	if (status != 0)
		flow_lose(flow, "connect", status);
}

static void
flow_start(struct flow *flow, long long index)
{
	int error = 0;

	uv_tcp_init(hold.loop, &flow->tcp);
	flow->state = FLOW_CONNECTING;
	flow->connect.data = flow;
	if (hold.source_count > 0)
		error = uv_tcp_bind(&flow->tcp,
		    (struct sockaddr *)&hold.sources[index % hold.source_count],
		    0);
	if (error == 0)
		error = uv_tcp_connect(&flow->connect, &flow->tcp,
		    (struct sockaddr *)&hold.to, on_connected);
	if (error != 0)
		flow_lose(flow, "connect", error);
}

static void
start_flows(void)
{
	while (!hold.is_stopping && !hold.has_failed &&
	       hold.started < hold.count &&
	       hold.started - hold.held - hold.lost < CONNECTING_MAX) {
		long long i = hold.started++;

		flow_start(&hold.flows[i], i);
	}
	/* One lost flow before all are held: the count cannot be reached. */
	if (hold.has_failed && uv_is_active((uv_handle_t *)&hold.deadline))
		stop();
}

static void
on_deadline(uv_timer_t *timer)
{
	(void)timer;
	fprintf(stderr,
	    "nlbd-flow-hold: only %lld of %lld flows after %lld s\n", hold.held,
	    hold.count, hold.timeout_s);
	hold.has_failed = true;
	stop();
}

static void
on_signal(uv_signal_t *handle, int signum)
{
	(void)handle;
	(void)signum;
	stop();
}

static void
on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	(void)stream;
	(void)buf;
	if (n < 0)
		stop();
}

static void
watch_for_the_end(bool watches_stdin)
{
	static const int signals[2] = {SIGTERM, SIGINT};

	for (int i = 0; i < 2; i++) {
		uv_signal_init(hold.loop, &hold.signals[i]);
		uv_signal_start(&hold.signals[i], on_signal, signals[i]);
	}
	uv_timer_init(hold.loop, &hold.deadline);
	uv_timer_start(
	    &hold.deadline, on_deadline, (uint64_t)hold.timeout_s * 1000, 0);
	uv_pipe_init(hold.loop, &hold.input, 0);
	if (watches_stdin && uv_pipe_open(&hold.input, 0) == 0)
		uv_read_start((uv_stream_t *)&hold.input, on_alloc, on_input);
}

static void
die(const char *option, const char *text)
{
	fprintf(stderr, "nlbd-flow-hold: %s %s: out of range or not valid\n",
	    option, text);
	exit(64);
}

static long long
number_or_die(const char *option, const char *text)
{
	const char *error = NULL;
	long long n = strtonum(text, 1, 1000000, &error);

	if (error != NULL)
		die(option, text);
	return n;
}

static void
add_source_or_die(const char *text)
{
	char with_port[128];

	snprintf(with_port, sizeof(with_port),
	    strchr(text, ':') != NULL ? "[%s]:0" : "%s:0", text);
	if (hold.source_count == SOURCES_MAX ||
	    bench_addr_parse(with_port, &hold.sources[hold.source_count]) != 0)
		die("--source", text);
	hold.source_count++;
}

static bool
parse_options(int argc, char **argv)
{
	static const struct option options[] = {
	    {"count", required_argument, NULL, 'n'},
	    {"source", required_argument, NULL, 's'},
	    {"send", required_argument, NULL, 'S'},
	    {"timeout", required_argument, NULL, 't'},
	    {"stdin", no_argument, NULL, 'i'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	bool watches_stdin = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'n') {
			hold.count = number_or_die("--count", optarg);
		} else if (c == 's') {
			add_source_or_die(optarg);
		} else if (c == 'S') {
			hold.send_text = optarg;
		} else if (c == 't') {
			hold.timeout_s = number_or_die("--timeout", optarg);
		} else if (c == 'i') {
			watches_stdin = true;
		} else {
			usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 64);
		}
	}
	if (optind != argc - 1) {
		usage(stderr);
		exit(64);
	}
	if (bench_addr_parse(argv[optind], &hold.to) != 0)
		die("address", argv[optind]);
	return watches_stdin;
}

int
main(int argc, char **argv)
{
	unsigned long fds = bench_raise_fd_limit();
	bool watches_stdin;

	hold.loop = uv_default_loop();
	hold.count = 1;
	hold.timeout_s = 60;
	watches_stdin = parse_options(argc, argv);
	if ((unsigned long long)hold.count + RESERVED_FDS > fds) {
		fprintf(stderr,
		    "nlbd-flow-hold: %lld flows do not fit the limit of %lu "
		    "open files\n",
		    hold.count, fds);
		return 71;
	}
	hold.flows = calloc((size_t)hold.count, sizeof(*hold.flows));
	if (hold.flows == NULL)
		return 71;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	watch_for_the_end(watches_stdin);
	start_flows();
	uv_run(hold.loop, UV_RUN_DEFAULT);
	uv_loop_close(hold.loop);
	free(hold.flows);
	if (hold.lost > 0)
		printf("lost %lld\n", hold.lost);
	return hold.has_failed ? 1 : 0;
}
