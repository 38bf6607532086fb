/*
 * nlbctl init: a first nlbd.ini, with comments, from the addresses of the
 * servers. What it writes has passed the checks of nlbd --check-config.
 */
#include "nlbctl/verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/addr.h"
#include "nlbctl/ini_file.h"

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
	ini_write_node(file);
	if (fclose(file) != 0)
		code = EX_OSERR;
	return code;
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
		code = ini_check(text, len, path, run->err);
	if (code == EX_OK)
		code = ini_create(path, text, len, run->err);
	free(text);
	if (code != EX_OK)
		return code;
	return ini_report_created(run, path,
	    w.n_sources == 0
		? "put your clients into its [security-group clients]; "
		  "`nlbctl doctor` looks at this machine and connects to "
		  "the targets; then start nlbd."
		: INI_NEXT_DOCTOR);
}
