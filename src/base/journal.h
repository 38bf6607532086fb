/*
 * The journal's native protocol: one event is one datagram of fields.
 */
#ifndef BASE_JOURNAL_H
#define BASE_JOURNAL_H

#include "base/log.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* 0 or a negative errno: nothing went out. Never waits. */
int journal_send(
    const char *path, const char *ident, const struct log_entry *entry);

#endif
