/*
 * What the kernel and the machine allow, against what the configuration asks
 * for.
 */
#include "nlbctl/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <unistd.h>

#include "nlbctl/show.h"

#define FLOWS_WANTED 10000 /* fewer deserve a word */
#define QUEUE_WANTED 1024
#define EC2_IDLE_S 350
#define FILES_PER_FLOW 2

/* One line of a file below root. */
static bool
read_line(const struct doctor *d, const char *path, char *line, size_t size)
{
	char full[512];
	FILE *file;
	bool found;

	snprintf(full, sizeof(full), "%s%s", d->root, path);
	file = fopen(full, "re");
	if (file == NULL)
		return false;
	found = fgets(line, (int)size, file) != NULL;
	fclose(file);
	return found;
}

/* A number of /proc; -1 = not there. */
static int64_t
read_number(const struct doctor *d, const char *path)
{
	char line[64];

	return read_line(d, path, line, sizeof(line)) ? strtoll(line, NULL, 10)
						      : -1;
}

/* "Max open files            1024    524288    files" of a process: the soft
 * limit, which nlbd has raised to the hard one. */
static int64_t
limit_of_process(const struct doctor *d, uint64_t pid)
{
	static const char title[] = "Max open files";
	char path[512], line[256];
	int64_t limit = -1;
	FILE *file;

	snprintf(
	    path, sizeof(path), "%s/proc/%" PRIu64 "/limits", d->root, pid);
	file = fopen(path, "re");
	if (file == NULL)
		return -1;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, title, sizeof(title) - 1) == 0)
			limit = strtoll(line + sizeof(title) - 1, NULL, 10);
	}
	fclose(file);
	return limit;
}

static uint64_t
flows_wanted(const struct doctor *d)
{
	uint32_t max = d->conf->node.max_flows;

	return max == CONF_AUTO || max == CONF_OFF ? FLOWS_WANTED : max;
}

void
doctor_check_files(struct doctor *d)
{
	int64_t limit = -1;
	struct rlimit own;
	const char *whose = "of the running nlbd";
	uint64_t flows;

	if (d->status != NULL)
		limit = limit_of_process(d, show_uint(d->status, "pid"));
	if (limit < 0 && getrlimit(RLIMIT_NOFILE, &own) == 0) {
		limit = own.rlim_max > INT32_MAX ? INT32_MAX
						 : (int64_t)own.rlim_max;
		whose = "of this shell";
	}
	flows = limit < 0 ? 0 : (uint64_t)limit / FILES_PER_FLOW;
	if (flows >= flows_wanted(d))
		doctor_add(d, "open files", DOCTOR_OK, "",
		    "%" PRId64 " %s: about %" PRIu64 " flows for each worker",
		    limit, whose, flows);
	else
		doctor_add(d, "open files", DOCTOR_WARNING,
		    "Raise LimitNOFILE of the unit, or `ulimit -n`: two for "
		    "each flow.",
		    "%" PRId64 " %s: about %" PRIu64
		    " flows for each worker, and %" PRIu64 " are wanted",
		    limit, whose, flows, flows_wanted(d));
}

void
doctor_check_source_ports(struct doctor *d)
{
	static const char path[] = "/proc/sys/net/ipv4/ip_local_port_range";
	uint64_t targets =
	    conf_count_targets(d->conf) + conf_count_dns_targets(d->conf);
	uint64_t addresses = d->conf->lb.n_source_addresses;
	uint64_t ports = 0, flows;
	unsigned from, to;
	char line[64];

	if (read_line(d, path, line, sizeof(line)) &&
	    sscanf(line, "%u %u", &from, &to) == 2 && to >= from)
		ports = to - from + 1;
	flows = ports * targets * (addresses == 0 ? 1 : addresses);
	if (flows >= flows_wanted(d))
		doctor_add(d, "source ports", DOCTOR_OK, "",
		    "%" PRIu64 " ports for each of %" PRIu64
		    " targets: %" PRIu64 " flows",
		    ports, targets, flows);
	else
		doctor_add(d, "source ports", DOCTOR_WARNING,
		    "Widen net.ipv4.ip_local_port_range to 1024 65535, add "
		    "SourceAddresses, or register more targets.",
		    "%" PRIu64 " ports for each of %" PRIu64
		    " targets: %" PRIu64 " flows, and %" PRIu64 " are wanted",
		    ports, targets, flows, flows_wanted(d));
}

void
doctor_check_accept_queue(struct doctor *d)
{
	int64_t queue = read_number(d, "/proc/sys/net/core/somaxconn");

	if (queue >= QUEUE_WANTED)
		doctor_add(d, "accept queue", DOCTOR_OK, "",
		    "net.core.somaxconn is %" PRId64, queue);
	else
		doctor_add(d, "accept queue", DOCTOR_WARNING,
		    "Set net.core.somaxconn to 4096: a burst of connects "
		    "waits there.",
		    "net.core.somaxconn is %" PRId64, queue);
}

void
doctor_check_conntrack(struct doctor *d)
{
	int64_t max =
	    read_number(d, "/proc/sys/net/netfilter/nf_conntrack_max");
	int64_t used =
	    read_number(d, "/proc/sys/net/netfilter/nf_conntrack_count");
	uint64_t wanted = flows_wanted(d) * 2; /* both sides */

	if (max < 0)
		doctor_add(d, "connection tracking", DOCTOR_OK, "",
		    "the kernel tracks no connections here");
	else if (used * 10 >= max * 9)
		doctor_add(d, "connection tracking", DOCTOR_PROBLEM,
		    "Raise net.netfilter.nf_conntrack_max: a full table drops "
		    "new connections.",
		    "%" PRId64 " of %" PRId64 " entries are used", used, max);
	else if ((uint64_t)max < wanted)
		doctor_add(d, "connection tracking", DOCTOR_WARNING,
		    "Raise net.netfilter.nf_conntrack_max, or do not track the "
		    "listeners' ports.",
		    "%" PRId64 " entries, and %" PRIu64 " are wanted", max,
		    wanted);
	else
		doctor_add(d, "connection tracking", DOCTOR_OK, "",
		    "%" PRId64 " of %" PRId64 " entries are used", used, max);
}

void
doctor_check_clock(struct doctor *d)
{
	struct timex t = {0};
	int state = adjtimex(&t);

	if (state != -1 && state != TIME_ERROR)
		doctor_add(d, "clock", DOCTOR_OK, "", "synchronised");
	else
		doctor_add(d, "clock", DOCTOR_WARNING,
		    "Run chrony or systemd-timesyncd: logs of other machines "
		    "are compared by time.",
		    "not synchronised");
}

static bool
is_ec2(const struct doctor *d)
{
	char vendor[64];

	return read_line(
		   d, "/sys/class/dmi/id/sys_vendor", vendor, sizeof(vendor)) &&
	       strncmp(vendor, "Amazon EC2", 10) == 0;
}

void
doctor_check_idle_timeout(struct doctor *d)
{
	bool ec2 = is_ec2(d);

	for (size_t i = 0; i < d->conf->n_listeners; i++) {
		const struct conf_listener *l = &d->conf->listeners[i];

		if (l->idle_timeout_s > EC2_IDLE_S && ec2)
			doctor_add(d, "idle timeout", DOCTOR_WARNING,
			    "Raise TcpEstablishedTimeout of the network "
			    "interface's connection tracking, or let clients "
			    "send keepalives.",
			    "%u s at listener %s: EC2's connection tracking "
			    "may forget a flow after %d s",
			    l->idle_timeout_s, l->name, EC2_IDLE_S);
		else
			doctor_add(d, "idle timeout", DOCTOR_OK, "",
			    "%u s at listener %s%s", l->idle_timeout_s, l->name,
			    ec2 ? "" : "; this is no EC2 instance");
	}
}

/* Whether the port can be had: 0, or an errno. Nothing listens there, and it is
 * free again at once. */
static int
try_bind(const struct conf *conf, const struct conf_listener *l)
{
	struct addr a = l->address;
	struct sockaddr_storage sa;
	int fd, on = 1, error = 0;
	socklen_t len;

	if (a.family == ADDR_NONE)
		a.family = conf->lb.ip_address_type == CONF_IPV4 ? ADDR_IPV4
								 : ADDR_IPV6;
	a.port = l->port;
	len = addr_to_sockaddr(&a, &sa);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return errno;
	/* What is left of earlier connections is nobody's. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, (struct sockaddr *)&sa, len) != 0)
		error = errno;
	close(fd);
	return error;
}

static void
check_port(struct doctor *d, const struct conf_listener *l)
{
	int error = try_bind(d->conf, l);

	if (error == 0)
		doctor_add(d, "port", DOCTOR_OK, "",
		    "%u of listener %s is free", (unsigned)l->port, l->name);
	else if (error == EADDRINUSE)
		doctor_add(d, "port", DOCTOR_PROBLEM,
		    "`ss -ltnp` names the process: stop it, or choose "
		    "another Port.",
		    "%u of listener %s is in use by another process",
		    (unsigned)l->port, l->name);
	else if (error == EACCES)
		doctor_add(d, "port", DOCTOR_WARNING,
		    "Start nlbd as root with User set, or give it "
		    "CAP_NET_BIND_SERVICE, as the systemd unit does.",
		    "%u of listener %s takes a right that this user has not",
		    (unsigned)l->port, l->name);
	else
		doctor_add(d, "port", DOCTOR_PROBLEM,
		    "Is Address one of this machine's?",
		    "%u of listener %s: %s", (unsigned)l->port, l->name,
		    strerror(error));
}

static bool
is_open_now(const struct doctor *d, const struct conf_listener *l)
{
	const json_t *list = json_object_get(d->status, "listeners"), *open;
	size_t i;

	json_array_foreach(list, i, open)
	{
		if (show_uint(open, "port") == l->port)
			return true;
	}
	return false;
}

void
doctor_check_ports(struct doctor *d)
{
	for (size_t i = 0; i < d->conf->n_listeners; i++) {
		const struct conf_listener *l = &d->conf->listeners[i];

		if (is_open_now(d, l))
			doctor_add(d, "port", DOCTOR_OK, "",
			    "%u of listener %s is open", (unsigned)l->port,
			    l->name);
		else
			check_port(d, l);
	}
}
