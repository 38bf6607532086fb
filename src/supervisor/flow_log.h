/*
 * The flow log's writer: stderr or a file, one line per finished flow. A
 * reader that is too slow costs lines, never a wait.
 */
#ifndef SUPERVISOR_FLOW_LOG_H
#define SUPERVISOR_FLOW_LOG_H

#include <stdint.h>

#include "nlb/conf.h"
#include "nlb/flow_record.h"

struct flow_log {
	int fd; /* -1: off */
	char path[256];
	enum conf_flow_log_format format;
	char load_balancer[CONF_NAME_MAX + 1];
	uint64_t written, dropped;
};

/* Takes the config's FlowLog, FlowLogFormat and Name; an open file whose path
 * stays is kept. 0, or -errno with the old state unchanged. */
int flow_log_configure(struct flow_log *log, const struct conf *conf);
/* Can conf's file be opened anew? 0 or -errno. */
int flow_log_try(const struct conf *conf);
/* SIGUSR1, after logrotate moved the file. 0 or -errno (the old file stays). */
int flow_log_reopen(struct flow_log *log);
void flow_log_write(struct flow_log *log, const struct flow_record *r,
    const char *listener_name, const char *group_name);
void flow_log_close(struct flow_log *log);

#endif
