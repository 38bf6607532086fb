/*
 * nlbd-smtp-target: an SMTP server that takes every mail, for demos, tests and
 * load.  One thread, one loop, any number of listeners.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/stdlib.h>
#include <uv.h>

#include "base/addr.h"
#include "bench_addr.h"
#include "pattern.h"
#include "smtp_conn.h"

#define LISTENERS_MAX 16
#define BACKLOG 4096
#define RESERVED_FDS 64

struct listener {
	uv_tcp_t tcp;
	struct sockaddr_storage addr;
	bool has_pending; /* a connection that we could not take yet */
};

static struct listener listeners[LISTENERS_MAX];
static int listener_count;
static uv_signal_t stop_signals[2];
static uv_signal_t print_signal;

static void
usage(FILE *to)
{
	fputs(
	    "usage: nlbd-smtp-target --listen ADDR:PORT [--listen ...]\n"
	    "    [--name NAME] [--banner-delay-ms N] [--delay-ms N]\n"
	    "    [--max-size BYTES] [--print] [--store DIR]\n"
	    "Takes every mail. --print writes a line with the SHA-256 of each\n"
	    "message, --store also keeps it as DIR/<sha256>.eml. SIGUSR1 and\n"
	    "the end print the counts as one line of JSON. For nlbbench the "
	    "221\n"
	    "tells what the session received, and XECHO, XSINK SEED BYTES and\n"
	    "XSOURCE SEED BYTES turn a session into a stream.\n",
	    to);
}

static void
print_counts(const struct smtp_target *target)
{
	printf("{\"name\":\"%s\",\"sessions\":%" PRIu64 ",\"open\":%" PRIu64
	       ",\"unfinished\":%" PRIu64 ",\"messages\":%" PRIu64
	       ",\"rejected\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n",
	    target->name, target->sessions, target->open_sessions,
	    target->unfinished, target->messages, target->rejected,
	    target->body_bytes);
}

static void
on_print_signal(uv_signal_t *handle, int signum)
{
	(void)signum;
	print_counts(handle->data);
}

static void
on_stop_signal(uv_signal_t *handle, int signum)
{
	struct smtp_target *target = handle->data;

	(void)signum;
	if (uv_is_closing((uv_handle_t *)&print_signal))
		return;
	for (int i = 0; i < listener_count; i++)
		uv_close((uv_handle_t *)&listeners[i].tcp, NULL);
	uv_close((uv_handle_t *)&stop_signals[0], NULL);
	uv_close((uv_handle_t *)&stop_signals[1], NULL);
	uv_close((uv_handle_t *)&print_signal, NULL);
	smtp_conn_close_all(target);
}

/*
 * A connection that is not accepted stops the listener's watcher in libuv:
 * this keeps us from ever running out of descriptors.
 */
static void
on_connection(uv_stream_t *server, int status)
{
	struct listener *listener = (struct listener *)server;
	struct smtp_target *target = server->data;

	if (status != 0)
		return;
	listener->has_pending = target->open_sessions >= target->max_sessions;
	if (!listener->has_pending)
		smtp_conn_accept(target, server);
}

static void
on_session_closed(struct smtp_target *target)
{
	(void)target;
	for (int i = 0; i < listener_count; i++) {
		uv_stream_t *server = (uv_stream_t *)&listeners[i].tcp;

		if (listeners[i].has_pending &&
		    !uv_is_closing((uv_handle_t *)server))
			on_connection(server, 0);
	}
}

static int
listener_open(struct listener *listener, struct smtp_target *target)
{
	uv_tcp_t *tcp = &listener->tcp;
	const struct sockaddr *sa = (struct sockaddr *)&listener->addr;
	struct sockaddr_storage bound;
	int len = sizeof(bound);
	char text[ADDR_STRLEN];
	struct addr addr;
	int error;

	uv_tcp_init(target->loop, tcp);
	tcp->data = target;
	error = uv_tcp_bind(tcp, sa, 0);
	if (error == 0)
		error = uv_listen((uv_stream_t *)tcp, BACKLOG, on_connection);
	if (error == 0)
		error =
		    uv_tcp_getsockname(tcp, (struct sockaddr *)&bound, &len);
	addr_from_sockaddr(error == 0 ? (struct sockaddr *)&bound : sa, &addr);
	addr_format(&addr, text, sizeof(text));
	if (error != 0) {
		fprintf(stderr, "nlbd-smtp-target: cannot listen on %s: %s\n",
		    text, uv_strerror(error));
		return error;
	}
	printf("%s listening on %s\n", target->name, text);
	return 0;
}

static void
watch_signals(struct smtp_target *target)
{
	static const int stops[2] = {SIGTERM, SIGINT};

	for (int i = 0; i < 2; i++) {
		uv_signal_init(target->loop, &stop_signals[i]);
		stop_signals[i].data = target;
		uv_signal_start(&stop_signals[i], on_stop_signal, stops[i]);
	}
	uv_signal_init(target->loop, &print_signal);
	print_signal.data = target;
	uv_signal_start(&print_signal, on_print_signal, SIGUSR1);
	signal(SIGPIPE, SIG_IGN);
}

static uint64_t
number_or_die(const char *option, const char *text)
{
	const char *error = NULL;
	long long n = strtonum(text, 0, INT64_MAX, &error);

	if (error != NULL) {
		fprintf(stderr, "nlbd-smtp-target: --%s %s: number is %s\n",
		    option, text, error);
		exit(64);
	}
	return (uint64_t)n;
}

static void
add_listener_or_die(const char *text)
{
	if (listener_count == LISTENERS_MAX ||
	    bench_addr_parse(text, &listeners[listener_count].addr) != 0) {
		fprintf(stderr,
		    "nlbd-smtp-target: --listen %s: not ADDR:PORT, or more "
		    "than %d\n",
		    text, LISTENERS_MAX);
		exit(64);
	}
	listener_count++;
}

static void
check_name_or_die(const char *name)
{
	/* The name goes into replies and into JSON as it is. */
	if (*name == '\0' || strlen(name) > 255 ||
	    strspn(name,
		"abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != strlen(name)) {
		fprintf(stderr, "nlbd-smtp-target: --name: letters, digits, "
				"'.' and '-' only\n");
		exit(64);
	}
}

static void
parse_options(int argc, char **argv, struct smtp_target *target)
{
	static const struct option options[] = {
	    {"listen", required_argument, NULL, 'l'},
	    {"name", required_argument, NULL, 'n'},
	    {"banner-delay-ms", required_argument, NULL, 'b'},
	    {"delay-ms", required_argument, NULL, 'd'},
	    {"max-size", required_argument, NULL, 'm'},
	    {"store", required_argument, NULL, 's'},
	    {"print", no_argument, NULL, 'p'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'l') {
			add_listener_or_die(optarg);
		} else if (c == 'n') {
			check_name_or_die(optarg);
			target->name = optarg;
		} else if (c == 'b') {
			target->banner_delay_ms =
			    number_or_die("banner-delay-ms", optarg);
		} else if (c == 'd') {
			target->reply_delay_ms =
			    number_or_die("delay-ms", optarg);
		} else if (c == 'm') {
			target->max_size = number_or_die("max-size", optarg);
		} else if (c == 's') {
			target->store_dir = optarg;
		} else if (c == 'p') {
			target->prints_receipts = true;
		} else {
			usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 64);
		}
	}
	if (optind != argc || listener_count == 0) {
		usage(stderr);
		exit(64);
	}
}

int
main(int argc, char **argv)
{
	unsigned long fds = bench_raise_fd_limit();
	struct smtp_target target = {
	    .loop = uv_default_loop(),
	    .name = "target",
	    .max_sessions = fds > 2 * RESERVED_FDS ? fds - RESERVED_FDS : 1,
	    .on_session_closed = on_session_closed,
	};

	pattern_init();
	LIST_INIT(&target.conns);
	parse_options(argc, argv, &target);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < listener_count; i++) {
		if (listener_open(&listeners[i], &target) != 0)
			return 73;
	}
	watch_signals(&target);
	uv_run(target.loop, UV_RUN_DEFAULT);
	uv_loop_close(target.loop);
	print_counts(&target);
	return 0;
}
