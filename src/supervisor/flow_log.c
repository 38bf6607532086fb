/* Writing the flow log; see flow_log.h. */
#include "supervisor/flow_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <bsd/string.h>

#include "base/log.h"

#define FLOW_LINE_MAX 1024

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
	flow_log_close(log);
	log->fd = fd;
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

void
flow_log_write(struct flow_log *log, const struct flow_record *r,
    const char *listener_name, const char *group_name)
{
	const struct flow_names names = {
	    log->load_balancer, listener_name, group_name};
	char line[FLOW_LINE_MAX];
	int len;

	if (log->fd == -1)
		return;
	len = format(log, r, &names, line, sizeof(line));
	if (len > 0 && log_write_line(log->fd, line, (size_t)len) == 0)
		log->written++;
	else
		log->dropped++;
}

void
flow_log_close(struct flow_log *log)
{
	if (log->fd > STDERR_FILENO)
		close(log->fd);
	log->fd = -1;
	log->path[0] = '\0';
}
