/*
 * sd_notify(3)'s protocol, so that `Type=notify' works without libsystemd:
 * datagrams of NAME=VALUE lines to the socket NOTIFY_SOCKET names. Without
 * NOTIFY_SOCKET every call does nothing.
 */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

#include <stdint.h>

/* READY=1 with a STATUS line: at the start, and when a reload is over. */
void notify_ready(const char *status);
/* RELOADING=1 with MONOTONIC_USEC; notify_ready ends it. */
void notify_reloading(void);
/* STOPPING=1 with a STATUS line. */
void notify_stopping(const char *status);
/* WATCHDOG=1. */
void notify_watchdog(void);
/* How often the service manager has to hear notify_watchdog (WatchdogSec=):
 * four times in the span after which it takes us for dead. 0: it does not ask.
 */
uint64_t notify_watchdog_interval_ms(void);

#endif
