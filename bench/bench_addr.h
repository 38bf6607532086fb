/*
 * "ADDR:PORT" of the command lines in bench/: as addr_parse() of base, but
 * port 0 is allowed and means "any free one".
 */
#ifndef BENCH_ADDR_H
#define BENCH_ADDR_H

#include <sys/socket.h>

/* Returns 0, or -EINVAL with *out untouched. */
int bench_addr_parse(const char *text, struct sockaddr_storage *out);

/* Raises the soft limit of open files to the hard one; returns the limit. */
unsigned long bench_raise_fd_limit(void);

#endif
