/*
 * nlbctl init: a first nlbd.ini, with comments, from the addresses of the
 * servers. What it writes has passed the checks of nlbd --check-config.
 */
#include "nlbctl/verb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/addr.h"
#include "nlb/conf.h"

#define LIST_MAX 100

struct wishes {
	const char *port; /* of the listener */
	const char *targets[LIST_MAX], *sources[LIST_MAX];
	size_t n_targets, n_sources;
	bool ipv6; /* the targets' family */
};

/* All values of an option that is a list. */
static size_t
list_values(const struct command_line *line, const char *option,
    const char *out[LIST_MAX])
{
	const struct command_param *params = line->command->params;
	size_t i, n = 0;

	for (i = 0; strcmp(params[i].option, option) != 0; i++)
		continue;
	if (line->values[i] == NULL)
		return 0;
	out[n++] = line->values[i];
	for (size_t j = 0; j < line->n_more[i] && n < LIST_MAX; j++)
		out[n++] = line->more[i][j];
	return n;
}

/* ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT; port 0: none. */
static int
parse_target(const char *text, struct addr *out)
{
	return addr_parse_ip(text, out) == 0 ? 0 : addr_parse(text, out);
}

static void
write_listener(FILE *file, const struct wishes *w)
{
	fprintf(file,
	    "; nlbd.ini: one listener, its clients, its servers. nlbd.ini(5) "
	    "explains every key.\n"
	    "; After a change: `nlbctl check`, then `nlbctl reload`.\n"
	    "\n[load-balancer]\n"
	    "Name = nlbd\n");
	if (w->ipv6)
		fputs("; IPv6 for clients and targets\n"
		      "IpAddressType = dualstack\n",
		    file);
	fprintf(file,
	    "; The zone that this node stands in, as ap-northeast-1a.\n"
	    ";AvailabilityZone = none\n"
	    "\n; The port that clients connect to.\n"
	    "[listener main]\n"
	    "Protocol       = TCP\n"
	    "Port           = %s\n"
	    "SecurityGroups = clients\n"
	    "DefaultActions = forward:servers\n"
	    "; A flow without data is reset after this long.\n"
	    ";tcp.idle_timeout.seconds = 350\n",
	    w->port);
}

static void
write_security_group(FILE *file, const struct wishes *w)
{
	fputs("\n; Who may connect: all others are dropped without an "
	      "answer.\n"
	      "[security-group clients]\n",
	    file);
	for (size_t i = 0; i < w->n_sources; i++)
		fprintf(file,
		    "Inbound.client-%zu = Protocol=tcp,PortRange=%s,Source=%s"
		    "\n",
		    i + 1, w->port, w->sources[i]);
	if (w->n_sources == 0)
		fprintf(file,
		    "; Only this machine, for a trial. Put your clients here:\n"
		    ";Inbound.client-1 = "
		    "Protocol=tcp,PortRange=%s,Source=203.0.113.10/32\n"
		    "Inbound.this-machine = "
		    "Protocol=tcp,PortRange=%s,Source=127.0.0.1/32\n",
		    w->port, w->port);
}

static int
write_target_group(FILE *file, const struct wishes *w, FILE *err)
{
	char ip[ADDR_IP_STRLEN], text[128];
	struct addr a;

	fprintf(file,
	    "\n; The servers, and how they are watched.\n"
	    "[target-group servers]\n"
	    "Protocol = TCP\n"
	    "Port     = %s\n%s"
	    "; TCP connects and closes; SMTP reads the greeting and says "
	    "EHLO.\n"
	    "HealthCheckProtocol        = TCP\n"
	    "HealthCheckIntervalSeconds = 10\n"
	    "; Tell the servers who the client is; they must expect it.\n"
	    ";proxy_protocol_v2.enabled = false\n",
	    w->port, w->ipv6 ? "IpAddressType = ipv6\n" : "");
	for (size_t i = 0; i < w->n_targets; i++) {
		if (parse_target(w->targets[i], &a) != 0) {
			snprintf(text, sizeof(text),
			    "a target is an IP address, as 10.20.0.25 or "
			    "10.20.0.25:587, not '%.40s'",
			    w->targets[i]);
			verb_complain(err, text);
			return EX_USAGE;
		}
		fprintf(file, "Target.target-%zu = Id=%s", i + 1,
		    addr_format_ip(&a, ip, sizeof(ip)));
		if (a.port != 0)
			fprintf(file, ",Port=%u", (unsigned)a.port);
		fputs(",AvailabilityZone=all\n", file);
	}
	return EX_OK;
}

static void
write_node(FILE *file)
{
	fputs("\n; This process.\n"
	      "[node]\n"
	      "; One worker for each core.\n"
	      ";Workers = auto\n"
	      "; Health, metrics and a page for the browser.\n"
	      "HttpListen = 127.0.0.1:9587\n"
	      "; One line for each flow that ended: off, stderr or a file.\n"
	      "FlowLog = stderr\n",
	    file);
}

/* The text has to pass what nlbd checks: a mistake in an option shows here. */
static int
check_text(const char *text, size_t len, const char *path, FILE *err)
{
	struct conf_options options = {0};
	struct conf_diags diags = {0};
	struct conf *conf = NULL;
	int rc = conf_parse(text, len, &options, &conf, &diags);

	if (rc != 0)
		conf_diags_print(&diags, path, err);
	conf_diags_fini(&diags);
	conf_destroy(conf);
	if (rc == -EINVAL)
		verb_complain(err, "nothing was written");
	return rc == 0 ? EX_OK : rc == -EINVAL ? EX_USAGE : EX_OSERR;
}

static int
complain_create(const char *path, int error, FILE *err)
{
	char text[512];
	const char *next = "";

	if (error == EEXIST)
		next = "\nIt stays as it is; --file names another one.";
	else if (error == ENOENT)
		next = "\nIts directory has to be made first.";
	else if (error == EACCES)
		next = "\nRun nlbctl as root, or name a file with --file.";
	snprintf(text, sizeof(text), "cannot create %.255s: %s%s", path,
	    strerror(error), next);
	verb_complain(err, text);
	return EX_CANTCREAT;
}

/* Never over a file that is there, and never half. */
static int
create_file(const char *path, const char *text, size_t len, FILE *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int error = 0;
	ssize_t n;

	if (fd == -1)
		return complain_create(path, errno, err);
	n = write(fd, text, len);
	if (n != (ssize_t)len)
		error = n == -1 ? errno : ENOSPC;
	if (close(fd) != 0 && error == 0)
		error = errno;
	if (error == 0)
		return EX_OK;
	unlink(path);
	return complain_create(path, error, err);
}

static int
write_all(const struct wishes *w, char **text, size_t *len, FILE *err)
{
	FILE *file = open_memstream(text, len);
	int code;

	if (file == NULL)
		return EX_OSERR;
	write_listener(file, w);
	write_security_group(file, w);
	code = write_target_group(file, w, err);
	write_node(file);
	if (fclose(file) != 0)
		code = EX_OSERR;
	return code;
}

static int
report_created(const struct command_run *run, const char *path, bool closed)
{
	json_t *root;
	int code;

	if (run->line->json) {
		root = json_pack("{s:s}", "path", path);
		code = verb_print_json(run, root);
		json_decref(root);
		return code;
	}
	output_styled(run->out, STYLE_GOOD, "created");
	output_styled(run->out, STYLE_PLAIN, ": %s", path);
	fputc('\n', run->out->file);
	output_wrapped(run->out, "next: ",
	    closed ? "put your clients into its [security-group clients]; "
		     "`nlbctl doctor` looks at this machine and connects to "
		     "the targets; then start nlbd."
		   : "`nlbctl doctor` looks at this machine and connects to "
		     "the targets; then start nlbd.");
	return EX_OK;
}

int
verb_init(const struct command_run *run)
{
	const char *path = command_line_value(run->line, "file");
	const char *port = command_line_value(run->line, "port");
	struct wishes w = {.port = port == NULL ? "587" : port};
	struct addr first;
	char *text = NULL;
	size_t len = 0;
	int code;

	if (path == NULL)
		path = COMMAND_DEFAULT_CONFIG;
	w.n_targets = list_values(run->line, "target", w.targets);
	w.n_sources = list_values(run->line, "source", w.sources);
	w.ipv6 = parse_target(w.targets[0], &first) == 0 &&
		 first.family == ADDR_IPV6;
	code = write_all(&w, &text, &len, run->err);
	if (code == EX_OK)
		code = check_text(text, len, path, run->err);
	if (code == EX_OK)
		code = create_file(path, text, len, run->err);
	free(text);
	return code != EX_OK ? code
			     : report_created(run, path, w.n_sources == 0);
}
