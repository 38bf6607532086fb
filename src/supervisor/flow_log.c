/* Writing the flow log; see flow_log.h. */
#include "supervisor/flow_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bsd/string.h>

#include "base/log.h"

static int
open_file(const char *path)
{
	/* O_NONBLOCK: a FIFO without a reader must not hold us up. */
	int fd = open(
	    path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);

	return fd == -1 ? -errno : fd;
}

static void
use(struct flow_log *log, int fd, const char *path)
{
	struct stat st;

	flow_log_close(log);
	log->fd = fd;
	log->is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	strlcpy(log->path, path, sizeof(log->path));
}

/* The file, stderr or nothing. */
static int
configure_place(struct flow_log *log, const struct conf_node *node)
{
	int fd;

	switch (node->flow_log) {
	case CONF_FLOW_LOG_STDERR:
		use(log, STDERR_FILENO, "");
		return 0;
	case CONF_FLOW_LOG_FILE:
		if (log->fd != -1 &&
		    strcmp(log->path, node->flow_log_path) == 0)
			return 0;
		fd = open_file(node->flow_log_path);
		if (fd < 0)
			return fd;
		use(log, fd, node->flow_log_path);
		return 0;
	default:
		use(log, -1, "");
		return 0;
	}
}

int
flow_log_configure(struct flow_log *log, const struct conf *conf)
{
	int rc = configure_place(log, &conf->node);

	if (rc < 0)
		return rc;
	log->format = (enum conf_flow_log_format)conf->node.flow_log_format;
	strlcpy(log->load_balancer, conf->lb.name, sizeof(log->load_balancer));
	return 0;
}

int
flow_log_try(const struct conf *conf)
{
	int fd;

	if (conf->node.flow_log != CONF_FLOW_LOG_FILE)
		return 0;
	fd = open_file(conf->node.flow_log_path);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int
flow_log_reopen(struct flow_log *log)
{
	char path[sizeof(log->path)];
	int fd;

	if (log->path[0] == '\0')
		return 0;
	fd = open_file(log->path);
	if (fd < 0)
		return fd;
	strlcpy(path, log->path, sizeof(path));
	use(log, fd, path);
	return 0;
}

static int
format(const struct flow_log *log, const struct flow_record *r,
    const struct flow_names *names, char *buf, size_t size)
{
	switch (log->format) {
	case CONF_FLOW_LOG_VPC_FLOW_V2:
		return flow_record_format_vpc(r, names, buf, size);
	case CONF_FLOW_LOG_NLB:
		return flow_record_format_nlb(r, names, buf, size);
	case CONF_FLOW_LOG_JSON:
		break;
	}
	return flow_record_format_json(r, names, buf, size);
}

/* What is no file takes flow by flow what it has room for. */
static void
write_each(struct flow_log *log)
{
	size_t begin = 0;

	for (size_t i = 0; i < log->n_flows; i++) {
		if (log_write_line(log->fd, log->buffer + begin,
			log->ends[i] - begin) == 0)
			log->written++;
		else
			log->dropped++;
		begin = log->ends[i];
	}
}

static void
write_together(struct flow_log *log)
{
	ssize_t n =
	    log_write_lines(log->fd, log->buffer, log->ends[log->n_flows - 1]);

	for (size_t i = 0; i < log->n_flows; i++) {
		if (n >= (ssize_t)log->ends[i])
			log->written++;
		else
			log->dropped++;
	}
}

void
flow_log_flush(struct flow_log *log)
{
	if (log->n_flows == 0)
		return;
	if (log->is_file)
		write_together(log);
	else
		write_each(log);
	log->n_flows = 0;
}

void
flow_log_add(struct flow_log *log, const struct flow_record *r,
    const char *listener_name, const char *group_name)
{
	const struct flow_names names = {
	    log->load_balancer, listener_name, group_name};
	size_t begin;
	int len;

	if (log->fd == -1)
		return;
	if (log->n_flows == FLOW_LOG_TOGETHER)
		flow_log_flush(log);
	begin = log->n_flows == 0 ? 0 : log->ends[log->n_flows - 1];
	len = format(log, r, &names, log->buffer + begin, FLOW_LINE_MAX);
	if (len > 0)
		log->ends[log->n_flows++] = begin + (size_t)len;
	else
		log->dropped++;
}

void
flow_log_close(struct flow_log *log)
{
	flow_log_flush(log);
	if (log->fd > STDERR_FILENO)
		close(log->fd);
	log->fd = -1;
	log->path[0] = '\0';
}
