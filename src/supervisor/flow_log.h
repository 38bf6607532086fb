/*
 * The flow log's writer: stderr or a file, one line per finished flow. A
 * reader that is too slow costs lines, never a wait. What comes at once goes
 * into a file in one piece: a write for each line was a tenth of what a small
 * flow costs.
 */
#ifndef SUPERVISOR_FLOW_LOG_H
#define SUPERVISOR_FLOW_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nlb/conf.h"
#include "nlb/flow_record.h"

#define FLOW_LINE_MAX 1024   /* bytes; a flow may have two lines */
#define FLOW_LOG_TOGETHER 64 /* flows written in one piece */

struct flow_log {
	int fd; /* -1: off */
	bool is_file;
	char path[256];
	enum conf_flow_log_format format;
	char load_balancer[CONF_NAME_MAX + 1];
	uint64_t written, dropped; /* flows */
	char buffer[FLOW_LOG_TOGETHER * FLOW_LINE_MAX];
	size_t ends[FLOW_LOG_TOGETHER]; /* of each flow's lines in it */
	size_t n_flows;
};

/* Takes the config's FlowLog, FlowLogFormat and Name; an open file whose path
 * stays is kept. 0, or -errno with the old state unchanged. */
int flow_log_configure(struct flow_log *log, const struct conf *conf);
/* Can conf's file be opened anew? 0 or -errno. */
int flow_log_try(const struct conf *conf);
/* SIGUSR1, after logrotate moved the file. 0 or -errno (the old file stays). */
int flow_log_reopen(struct flow_log *log);
/* One more line, which flow_log_flush writes. */
void flow_log_add(struct flow_log *log, const struct flow_record *r,
    const char *listener_name, const char *group_name);
void flow_log_flush(struct flow_log *log);
void flow_log_close(struct flow_log *log);

#endif
