/*
 * What the supervisor's tests share: a directory, configs from text, the log,
 * and a network of their own where that is possible.
 */
#ifndef SUPERVISOR_FIXTURE_H
#define SUPERVISOR_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nlb/conf.h"

struct temp_dir {
	char path[64];
};

int temp_dir_make(struct temp_dir *dir);
/* With everything in it. */
void temp_dir_remove(const struct temp_dir *dir);
/* "DIR/name", in one of a few buffers that take turns. */
const char *temp_path(const struct temp_dir *dir, const char *name);
void write_file(const char *path, const char *text);
/* Terminated; free it. NULL: there is none. */
char *read_file(const char *path);

/* Fails the test with the diagnostics when text is no valid config. */
struct conf *conf_from_text(const char *text);

/* As root: a network namespace with nothing but a loopback interface. Ports
 * are then nobody else's. False: the machine's network is used. */
bool use_private_network(void);
/* A port of 127.0.0.1 that was free a moment ago. */
uint16_t free_port(void);
/* A client of 127.0.0.1:port; -1 and errno when it is not taken. */
int connect_to(uint16_t port);

/* /proc/self/exe is valgrind's there, so nothing can be exec'd by it. */
bool runs_under_valgrind(void);

/* From now on log lines are kept, not printed. */
void capture_log(void);
bool log_has(const char *part);
size_t log_lines_with(const char *part);
void forget_log(void);

#endif
