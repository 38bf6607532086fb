/*
 * What a receiver is told: one JSON object, as nlbd.ini(5) shows it.
 */
#ifndef SUPERVISOR_NOTIFICATION_TEXT_H
#define SUPERVISOR_NOTIFICATION_TEXT_H

#include <stdint.h>

#include "base/log.h"
#include "nlb/conf.h"

/* Free it. NULL: out of memory. wall_ms is when it happened. */
char *notification_text(const struct log_entry *entry, const char *id,
    uint64_t wall_ms, const struct conf_load_balancer *lb);

#endif
