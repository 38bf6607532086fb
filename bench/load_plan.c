/*
 * Profiles and options of nlbbench: see load_plan.h.
 */
#include "load_plan.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/stdlib.h>

#include "bench_addr.h"

#define KIB 1024
#define MIB (1024 * KIB)

static int prepare_smtp(struct load_plan *plan);
static int prepare_pingpong(struct load_plan *plan);
static int prepare_bulk(struct load_plan *plan);
static int prepare_churn(struct load_plan *plan);
static int prepare_idle(struct load_plan *plan);
static int prepare_mixed(struct load_plan *plan);

static const struct profile {
	const char *name;
	uint64_t flows;
	uint64_t size;
	uint64_t size_max;
	int (*prepare)(struct load_plan *plan);
} profiles[] = {
    {"smtp", 50, 2 * KIB, DIALOG_MESSAGE_MAX, prepare_smtp},
    {"pingpong", 50, 64, INT64_MAX, prepare_pingpong},
    {"bulk", 1, 64 * MIB, INT64_MAX, prepare_bulk},
    {"churn", 50, 0, 0, prepare_churn},
    {"idle", 1000, 0, 0, prepare_idle},
    {"mixed", 50, 2 * KIB, DIALOG_MESSAGE_MAX, prepare_mixed},
};

static void
usage(FILE *to)
{
	fputs(
	    "usage: nlbbench PROFILE [OPTION...] ADDR:PORT\n"
	    "Loads a forwarder with nlbd-smtp-target behind it and checks "
	    "every\n"
	    "byte that comes back. Profiles:\n"
	    "  smtp       a session and one mail of --size bytes (2048)\n"
	    "  pingpong   messages of --size bytes (64), echoed, on kept "
	    "flows\n"
	    "  bulk       streams of --size bytes (67108864)\n"
	    "  churn      connect, greeting, close\n"
	    "  idle       flows that are held, and end with QUIT\n"
	    "  mixed      all of these, each unit on a connection of its own\n"
	    "How much:\n"
	    "  --flows N        at once (smtp, pingpong, churn, mixed: 50,\n"
	    "                   bulk: 1, idle: 1000)\n"
	    "  --rate R         units per second, begun when they are due\n"
	    "                   whatever became of those before; else each\n"
	    "                   flow begins the next when one has ended\n"
	    "  --duration S     measured seconds (10)\n"
	    "  --warm-up S      seconds before (2)\n"
	    "  --units N        stop after so many instead; no warm-up\n"
	    "  --threads N      (1)\n"
	    "  --direction D    of bulk: up, down or both (both: echoed)\n"
	    "  --timeout S      without progress (10)\n"
	    "  --source ADDR    connect from there; more than one take turns\n"
	    "What answers:\n"
	    "  --name NAME      the target's --name (target)\n"
	    "  --any-server     another SMTP server: only codes are checked\n"
	    "  --pipeline       MAIL, RCPT and DATA in one write\n"
	    "Output:\n"
	    "  --json           the result as JSON\n"
	    "  --quiet          no progress\n",
	    to);
}

static void
die(const char *option, const char *text)
{
	fprintf(stderr, "nlbbench: %s %s: out of range or not valid\n", option,
	    text);
	exit(64);
}

static uint64_t
number_or_die(const char *option, const char *text, long long max)
{
	const char *error = NULL;
	long long n = strtonum(text, 1, max, &error);

	if (error != NULL)
		die(option, text);
	return (uint64_t)n;
}

static double
seconds_or_die(const char *option, const char *text, double least)
{
	char *end;
	double value = strtod(text, &end);

	/* NaN is in no range. */
	if (end == text || *end != '\0' || !(value >= least && value <= 1e7))
		die(option, text);
	return value;
}

static void
add_source_or_die(struct load_plan *plan, const char *text)
{
	char with_port[128];

	snprintf(with_port, sizeof(with_port),
	    strchr(text, ':') != NULL ? "[%s]:0" : "%s:0", text);
	if (plan->source_count == LOAD_SOURCES_MAX ||
	    bench_addr_parse(with_port, &plan->sources[plan->source_count]) !=
		0)
		die("--source", text);
	plan->source_count++;
}

static enum dialog_direction
direction_or_die(const char *text)
{
	if (strcmp(text, "up") == 0)
		return DIALOG_UP;
	if (strcmp(text, "down") == 0)
		return DIALOG_DOWN;
	if (strcmp(text, "both") != 0)
		die("--direction", text);
	return DIALOG_BOTH;
}

enum option_id {
	OPT_FLOWS = 256,
	OPT_RATE,
	OPT_DURATION,
	OPT_WARM_UP,
	OPT_UNITS,
	OPT_THREADS,
	OPT_SIZE,
	OPT_DIRECTION,
	OPT_TIMEOUT,
	OPT_SOURCE,
	OPT_NAME,
	OPT_ANY_SERVER,
	OPT_PIPELINE,
	OPT_JSON,
	OPT_QUIET,
};

static const struct option options[] = {
    {"flows", required_argument, NULL, OPT_FLOWS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"warm-up", required_argument, NULL, OPT_WARM_UP},
    {"units", required_argument, NULL, OPT_UNITS},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"size", required_argument, NULL, OPT_SIZE},
    {"direction", required_argument, NULL, OPT_DIRECTION},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"source", required_argument, NULL, OPT_SOURCE},
    {"name", required_argument, NULL, OPT_NAME},
    {"any-server", no_argument, NULL, OPT_ANY_SERVER},
    {"pipeline", no_argument, NULL, OPT_PIPELINE},
    {"json", no_argument, NULL, OPT_JSON},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void
set_amount(struct load_plan *plan, int id, const char *name, const char *text)
{
	switch (id) {
	case OPT_FLOWS:
		plan->flows = number_or_die(name, text, 1000000);
		break;
	case OPT_RATE:
		plan->rate = seconds_or_die(name, text, 0.001);
		break;
	case OPT_DURATION:
		plan->duration_s = seconds_or_die(name, text, 0.1);
		break;
	case OPT_WARM_UP:
		plan->warm_up_s = seconds_or_die(name, text, 0);
		break;
	case OPT_UNITS:
		plan->units = number_or_die(name, text, INT64_MAX);
		break;
	case OPT_THREADS:
		plan->threads =
		    (unsigned)number_or_die(name, text, LOAD_THREADS_MAX);
		break;
	case OPT_SIZE:
		plan->size = number_or_die(name, text, INT64_MAX);
		plan->has_size = true;
		break;
	case OPT_TIMEOUT:
		plan->timeout_s = seconds_or_die(name, text, 0.1);
		break;
	default:
		break;
	}
}

static void
set_option(struct load_plan *plan, int id, const char *name, const char *text)
{
	switch (id) {
	case OPT_DIRECTION:
		plan->direction = direction_or_die(text);
		break;
	case OPT_SOURCE:
		add_source_or_die(plan, text);
		break;
	case OPT_NAME:
		plan->server.name = text;
		break;
	case OPT_ANY_SERVER:
		plan->server.is_foreign = true;
		break;
	case OPT_PIPELINE:
		plan->server.pipelines = true;
		break;
	case OPT_JSON:
		plan->prints_json = true;
		break;
	case OPT_QUIET:
		plan->is_quiet = true;
		break;
	case 'h':
		usage(stdout);
		exit(0);
	default:
		set_amount(plan, id, name, text);
		break;
	}
}

static const struct profile *
find_profile(const char *name)
{
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	}
	return NULL;
}

/* What only makes sense together, and the profile's own defaults. */
static void
complete(struct load_plan *plan, const struct profile *profile)
{
	bool speaks_only_smtp = profile->prepare == prepare_smtp ||
				profile->prepare == prepare_churn ||
				profile->prepare == prepare_idle;

	if (plan->flows == 0)
		plan->flows = profile->flows;
	if (!plan->has_size)
		plan->size = profile->size;
	else if (plan->size > profile->size_max)
		die("--size", "for this profile");
	if (plan->server.is_foreign && !speaks_only_smtp)
		die("--any-server", "with a profile that needs an echo");
	if (plan->threads > plan->flows)
		plan->threads = (unsigned)plan->flows;
	if (plan->units != 0)
		plan->warm_up_s = 0;
	if (load_plan_holds(plan) && plan->units != 0)
		die("--units", "with idle");
	if (load_plan_holds(plan) && plan->rate > 0)
		die("--rate", "with idle");
}

void
load_plan_parse(struct load_plan *plan, int argc, char **argv)
{
	const struct profile *profile;
	int index = 0;
	int c;

	memset(plan, 0, sizeof(*plan));
	plan->threads = 1;
	plan->duration_s = 10;
	plan->warm_up_s = 2;
	plan->timeout_s = 10;
	plan->direction = DIALOG_BOTH;
	plan->server.name = "target";
	while ((c = getopt_long(argc, argv, "h", options, &index)) != -1) {
		if (c == '?') {
			usage(stderr);
			exit(64);
		}
		set_option(plan, c, options[index].name, optarg);
	}
	if (optind != argc - 2) {
		usage(stderr);
		exit(64);
	}
	plan->profile = argv[optind];
	plan->to_text = argv[optind + 1];
	profile = find_profile(plan->profile);
	if (profile == NULL)
		die("profile", plan->profile);
	if (bench_addr_parse(plan->to_text, &plan->to) != 0)
		die("address", plan->to_text);
	complete(plan, profile);
}

/* The next kind; share of the mix's places are its. */
static struct dialog *
add_kind(struct load_plan *plan, unsigned share)
{
	for (unsigned i = 0; i < share; i++)
		plan->mix[plan->mix_size++] = plan->kind_count;
	return &plan->kinds[plan->kind_count++];
}

static int
prepare_smtp(struct load_plan *plan)
{
	return dialog_init_smtp(add_kind(plan, 1), &plan->server, plan->size);
}

static int
prepare_pingpong(struct load_plan *plan)
{
	return dialog_init_pingpong(
	    add_kind(plan, 1), &plan->server, plan->size, 0);
}

static int
prepare_bulk(struct load_plan *plan)
{
	return dialog_init_bulk(
	    add_kind(plan, 1), &plan->server, plan->direction, plan->size);
}

static int
prepare_churn(struct load_plan *plan)
{
	return dialog_init_churn(add_kind(plan, 1), &plan->server);
}

static int
prepare_idle(struct load_plan *plan)
{
	return dialog_init_idle(add_kind(plan, 1), &plan->server);
}

/* Of twenty: eleven mails, one with an attachment, four connections without a
 * mail, two conversations, a stream each way. */
static int
prepare_mixed(struct load_plan *plan)
{
	const struct dialog_server *server = &plan->server;
	struct dialog *small = add_kind(plan, 11);
	struct dialog *large = add_kind(plan, 1);
	struct dialog *churn = add_kind(plan, 4);
	struct dialog *talk = add_kind(plan, 2);
	struct dialog *up = add_kind(plan, 1);
	struct dialog *down = add_kind(plan, 1);
	int error = dialog_init_smtp(small, server, plan->size);

	if (error == 0)
		error = dialog_init_smtp(large, server, 512 * KIB);
	if (error == 0)
		error = dialog_init_churn(churn, server);
	if (error == 0)
		error = dialog_init_pingpong(talk, server, 64, 20);
	if (error == 0)
		error = dialog_init_bulk(up, server, DIALOG_UP, 4 * MIB);
	if (error == 0)
		error = dialog_init_bulk(down, server, DIALOG_DOWN, 4 * MIB);
	up->unit_begin = down->unit_begin = 0;
	large->name = "large mail";
	up->name = "upload";
	down->name = "download";
	/* So that a burst of one kind is not followed by one of another. */
	for (unsigned i = 0; i < plan->mix_size; i++) {
		unsigned other = i * 7 % plan->mix_size;
		unsigned kind = plan->mix[i];

		plan->mix[i] = plan->mix[other];
		plan->mix[other] = kind;
	}
	return error;
}

int
load_plan_prepare(struct load_plan *plan)
{
	const struct profile *profile = find_profile(plan->profile);

	return profile != NULL ? profile->prepare(plan) : -EINVAL;
}

void
load_plan_fini(struct load_plan *plan)
{
	for (unsigned i = 0; i < plan->kind_count; i++)
		dialog_fini(&plan->kinds[i]);
}

bool
load_plan_holds(const struct load_plan *plan)
{
	return strcmp(plan->profile, "idle") == 0;
}
