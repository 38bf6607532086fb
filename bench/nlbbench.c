/*
 * nlbbench: loads a forwarder and checks every byte that comes back.  The main
 * loop shows progress and takes Ctrl-C; the threads do the work.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "bench_addr.h"
#include "load_plan.h"
#include "load_report.h"
#include "load_thread.h"
#include "pattern.h"

#define RESERVED_FDS 32
#define FDS_PER_THREAD 8
#define PROGRESS_MS 200

static struct {
	struct load_plan plan;
	struct load_thread *threads;
	struct load_row *rows;
	uint64_t row_count; /* so far */
	uint64_t rows_max;
	uint64_t began_ns;
	struct load_machine machine_from;
	struct load_machine machine_until;
	bool has_announced; /* "holding N" */
	unsigned interrupts;
	bool is_terminal;
	uv_async_t ended;
	uv_timer_t progress;
	uv_signal_t signals[2];
} bench;

static uint64_t
held(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < bench.plan.threads; i++)
		sum += atomic_load(&bench.threads[i].held);
	return sum;
}

static bool
all_ended(void)
{
	for (unsigned i = 0; i < bench.plan.threads; i++) {
		if (!atomic_load(&bench.threads[i].has_ended))
			return false;
	}
	return true;
}

/* The threads' rows of one second become one. */
static void
take_row(struct load_row *row, uint64_t number)
{
	struct load_second sum;

	load_second_init(&sum);
	for (unsigned i = 0; i < bench.plan.threads; i++) {
		struct load_thread *t = &bench.threads[i];

		if (number >= t->second_count || t->seconds[number] == NULL)
			continue;
		load_second_merge(&sum, t->seconds[number]);
		free(t->seconds[number]);
		t->seconds[number] = NULL;
	}
	row->done = sum.done;
	row->failed = sum.failed;
	row->bytes = sum.bytes;
	row->p50_ns = histogram_quantile_ns(&sum.latency, 0.5);
	row->p99_ns = histogram_quantile_ns(&sum.latency, 0.99);
	row->max_ns = sum.latency.max_ns;
}

static void
print_row(const struct load_row *row)
{
	const struct load_plan *plan = &bench.plan;
	char text[200];
	char left[32] = "";
	double over = (double)(uv_hrtime() - bench.began_ns) / 1e9;
	double whole = plan->warm_up_s + plan->duration_s;

	if (plan->is_quiet)
		return;
	load_report_row(text, sizeof(text), plan, bench.row_count, row);
	if (!bench.is_terminal) {
		fprintf(stderr, "%s\n", text);
		return;
	}
	if (plan->units == 0 && whole > over)
		snprintf(left, sizeof(left), "  %.0f s left", whole - over);
	/* The line before is overwritten, to its last character. */
	fprintf(stderr, "\r\033[K%s%s", text, left);
}

static void
take_rows(uint64_t until)
{
	while (bench.row_count < until && bench.row_count < bench.rows_max) {
		struct load_row *row = &bench.rows[bench.row_count];

		take_row(row, bench.row_count++);
		print_row(row);
	}
}

static void
on_progress(uv_timer_t *timer)
{
	uint64_t published = UINT64_MAX;

	(void)timer;
	if (load_plan_holds(&bench.plan) && !bench.has_announced &&
	    held() == bench.plan.flows) {
		bench.has_announced = true;
		fprintf(stderr, "holding %llu\n", (unsigned long long)held());
	}
	for (unsigned i = 0; i < bench.plan.threads; i++) {
		uint64_t one = atomic_load(&bench.threads[i].seconds_published);

		if (one < published)
			published = one;
	}
	/* While flows are held, there is nothing to tell each second. */
	if (published != UINT64_MAX && !load_plan_holds(&bench.plan))
		take_rows(published);
}

static void
on_signal(uv_signal_t *handle, int signum)
{
	(void)handle;
	/* The second one does not wait for anything. */
	if (bench.interrupts++ > 0)
		_exit(128 + signum);
	for (unsigned i = 0; i < bench.plan.threads; i++)
		load_thread_interrupt(&bench.threads[i]);
}

static void
on_thread_ended(uv_async_t *async)
{
	(void)async;
	if (!all_ended() || uv_is_closing((uv_handle_t *)&bench.ended))
		return;
	uv_close((uv_handle_t *)&bench.ended, NULL);
	uv_close((uv_handle_t *)&bench.progress, NULL);
	uv_close((uv_handle_t *)&bench.signals[0], NULL);
	uv_close((uv_handle_t *)&bench.signals[1], NULL);
}

/* Flows and what else is open; says so before it fails in the middle. */
static void
check_descriptors(void)
{
	unsigned long fds = bench_raise_fd_limit();
	unsigned long long need = bench.plan.flows + RESERVED_FDS +
				  FDS_PER_THREAD * bench.plan.threads;

	if (need <= fds)
		return;
	fprintf(stderr,
	    "nlbbench: %llu flows need %llu descriptors, the limit is %lu "
	    "(ulimit -Hn): run several\n",
	    (unsigned long long)bench.plan.flows, need, fds);
	exit(71);
}

static void
die(const char *doing, int error)
{
	fprintf(stderr, "nlbbench: %s: %s\n", doing, strerror(-error));
	exit(71);
}

static void
start_main_loop(uv_loop_t *loop)
{
	static const int signals[2] = {SIGINT, SIGTERM};

	uv_async_init(loop, &bench.ended, on_thread_ended);
	uv_timer_init(loop, &bench.progress);
	uv_timer_start(&bench.progress, on_progress, PROGRESS_MS, PROGRESS_MS);
	for (int i = 0; i < 2; i++) {
		uv_signal_init(loop, &bench.signals[i]);
		uv_signal_start(&bench.signals[i], on_signal, signals[i]);
	}
}

static void
start_threads(void)
{
	unsigned count = bench.plan.threads;
	int error = 0;

	bench.threads = calloc(count, sizeof(*bench.threads));
	if (bench.threads == NULL)
		die("threads", -ENOMEM);
	bench.began_ns = uv_hrtime();
	for (unsigned i = 0; i < count && error == 0; i++)
		error = load_thread_init(&bench.threads[i], &bench.plan, i,
		    bench.began_ns, &bench.ended);
	if (error != 0)
		die("threads", error);
	bench.rows_max = bench.threads[0].second_count;
	bench.rows = calloc(bench.rows_max, sizeof(*bench.rows));
	if (bench.rows == NULL)
		die("memory", -ENOMEM);
	load_machine_read(&bench.machine_from);
	for (unsigned i = 0; i < count && error == 0; i++)
		error = load_thread_start(&bench.threads[i]);
	if (error != 0)
		die("threads", error);
}

/* From the first unit that counts to the end of the measured time. */
static double
measured_seconds(void)
{
	uint64_t until = 0;
	uint64_t from = UINT64_MAX;

	for (unsigned i = 0; i < bench.plan.threads; i++) {
		const struct load_thread *t = &bench.threads[i];
		uint64_t end = t->schedule.measure_until_ns;

		if (bench.plan.units != 0 && t->last_done_ns != 0)
			end = t->last_done_ns;
		if (end > until)
			until = end;
		if (t->schedule.measure_from_ns < from)
			from = t->schedule.measure_from_ns;
	}
	return until > from ? (double)(until - from) / 1e9 : 1e-9;
}

static void
judge(struct load_result *result)
{
	const struct load_stats *stats = result->stats;
	struct load_observed seen = {
	    .is_open_loop = bench.plan.rate > 0,
	    .machine_busy = result->machine_busy,
	    .late_p99_ns = histogram_quantile_ns(&stats->late, 0.99),
	    .latency_p50_ns =
		histogram_quantile_ns(&stats->kinds[0].latency, 0.5),
	    .begun = stats->late.count + stats->waited,
	    .waited = stats->waited,
	    .no_port = stats->failures[LOAD_NO_PORT],
	    .no_descriptor = stats->failures[LOAD_NO_DESCRIPTOR],
	};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (unsigned i = 0; i < bench.plan.threads; i++) {
		if (result->busy[i] > seen.busiest_thread)
			seen.busiest_thread = result->busy[i];
		seen.client_share += result->busy[i] / (double)cpus;
	}
	load_limits_judge(&result->limits, &seen);
}

static int
report(void)
{
	static struct load_stats stats;
	struct load_result result = {
	    .plan = &bench.plan,
	    .stats = &stats,
	    .rows = bench.rows,
	    .is_interrupted = bench.interrupts > 0,
	    .seconds = measured_seconds(),
	};
	int error = 0;

	load_stats_init(&stats);
	for (unsigned i = 0; i < bench.plan.threads; i++) {
		load_stats_merge(&stats, &bench.threads[i].stats);
		result.busy[i] = load_thread_busy(&bench.threads[i]);
	}
	load_machine_read(&bench.machine_until);
	result.machine_busy =
	    load_machine_busy(&bench.machine_from, &bench.machine_until);
	result.row_count = bench.row_count;
	judge(&result);
	if (bench.plan.prints_json)
		error = load_report_json(stdout, &result);
	else
		load_report_text(stdout, &result);
	if (error != 0)
		die("output", error);
	return load_stats_failed(&stats) > 0 ? 1 : 0;
}

int
main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	int error;
	int status;

	load_plan_parse(&bench.plan, argc, argv);
	check_descriptors();
	pattern_init();
	error = load_plan_prepare(&bench.plan);
	if (error != 0)
		die("profile", error);
	signal(SIGPIPE, SIG_IGN);
	bench.is_terminal = isatty(STDERR_FILENO) == 1;
	start_main_loop(loop);
	start_threads();
	uv_run(loop, UV_RUN_DEFAULT);
	for (unsigned i = 0; i < bench.plan.threads; i++)
		load_thread_join(&bench.threads[i]);
	if (!load_plan_holds(&bench.plan))
		take_rows((uint64_t)(measured_seconds() + 0.5));
	if (bench.is_terminal && !bench.plan.is_quiet)
		fputc('\n', stderr);
	status = report();
	for (unsigned i = 0; i < bench.plan.threads; i++)
		load_thread_fini(&bench.threads[i]);
	free(bench.threads);
	free(bench.rows);
	load_plan_fini(&bench.plan);
	uv_loop_close(loop);
	return status;
}
