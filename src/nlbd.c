/*
 * nlbd's entry: options, and which of the two kinds of process this is. The
 * only place that knows both the supervisor and the worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bsd/stdlib.h>
#include <bsd/unistd.h>

#include "base/log.h"
#include "nlb/conf.h"
#include "supervisor/daemon.h"
#include "worker/worker.h"

#define DEFAULT_CONFIG "/etc/nlbd/nlbd.ini"

enum option_code {
	OPTION_CHECK = 256,
	OPTION_PRINT,
	OPTION_STRICT,
	OPTION_WORKER,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check-config", no_argument, NULL, OPTION_CHECK},
    {"print-config", no_argument, NULL, OPTION_PRINT},
    {"strict-aws", no_argument, NULL, OPTION_STRICT},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {"worker", required_argument, NULL, OPTION_WORKER}, /* internal */
    {NULL, 0, NULL, 0},
};

static void
usage(FILE *out)
{
	fputs("usage: nlbd [-c FILE] [--check-config] [--print-config] "
	      "[--strict-aws]\n"
	      "       nlbd -V | -h\n"
	      "\n"
	      "  -c, --config FILE  the config file (" DEFAULT_CONFIG ")\n"
	      "      --check-config check it, print every mistake, exit 0, 66 "
	      "or 78\n"
	      "      --print-config print it whole, with every default\n"
	      "      --strict-aws   what AWS refuses is an error, not a "
	      "warning\n"
	      "  -V, --version      print the version\n"
	      "  -h, --help         print this\n"
	      "\n"
	      "nlbd runs in the foreground; see nlbd(8) and nlbd.ini(5).\n",
	    out);
}

/* Reads and parses; diagnostics go to stderr. 0 or an exit code. */
static int
load(const struct daemon_options *options, struct conf **out)
{
	struct conf_diags diags = {0};
	char *bytes = NULL;
	size_t len = 0;
	int rc = conf_read_file(options->config_path, &bytes, &len, &diags);

	if (rc == 0)
		rc =
		    conf_parse(bytes, len, &options->conf_options, out, &diags);
	free(bytes);
	conf_diags_print(&diags, options->config_path, stderr);
	conf_diags_fini(&diags);
	if (rc == 0)
		return EXIT_CODE_OK;
	return rc == -ENOENT ? EXIT_CODE_NO_FILE : EXIT_CODE_CONFIG;
}

static int
check_config(const struct daemon_options *options)
{
	struct conf *conf = NULL;
	int rc = load(options, &conf);

	if (rc == EXIT_CODE_OK)
		printf("%s: ok\n", options->config_path);
	conf_destroy(conf);
	return rc;
}

static int
print_config(const struct daemon_options *options)
{
	struct conf *conf = NULL;
	int rc = load(options, &conf);

	if (rc == EXIT_CODE_OK &&
	    (conf_print(conf, stdout) < 0 || fflush(stdout) != 0))
		rc = EXIT_CODE_OS;
	conf_destroy(conf);
	return rc;
}

static int
worker(const char *arg)
{
	const char *error = NULL;
	long long block = strtonum(arg, 0, SB_BLOCKS - 1, &error);

	if (error != NULL) {
		fprintf(stderr, "nlbd: --worker is for nlbd's own use\n");
		return EXIT_CODE_USAGE;
	}
	return worker_main((uint32_t)block);
}

/* Started with stdio closed, the first sockets would land on 0 to 2, and the
 * log would be written into a connection. */
static void
fill_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int
main(int argc, char **argv, char **envp)
{
	struct daemon_options options = {.config_path = DEFAULT_CONFIG};
	int (*action)(const struct daemon_options *) = daemon_main;
	int c;

	fill_stdio();
	setproctitle_init(argc, argv, envp);
	log_init("nlbd");
	while (
	    (c = getopt_long(argc, argv, "c:Vh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.config_path = optarg;
			break;
		case OPTION_CHECK:
			action = check_config;
			break;
		case OPTION_PRINT:
			action = print_config;
			break;
		case OPTION_STRICT:
			options.conf_options.strict_aws = true;
			break;
		case OPTION_WORKER:
			return worker(optarg);
		case 'V':
			printf("nlbd %s\n", NLBD_VERSION);
			return EXIT_CODE_OK;
		case 'h':
			usage(stdout);
			return EXIT_CODE_OK;
		default:
			usage(stderr);
			return EXIT_CODE_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(
		    stderr, "nlbd: unexpected argument `%s'\n", argv[optind]);
		usage(stderr);
		return EXIT_CODE_USAGE;
	}
	return action(&options);
}
