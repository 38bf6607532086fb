/*
 * What becomes of targets and their groups, as events.
 */
#ifndef SUPERVISOR_REGISTRY_LOG_H
#define SUPERVISOR_REGISTRY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/registry.h"

/* t came into its state; detail is what its last check found, or "". */
void registry_log_state(const struct registered_target *t,
    enum target_state before, const char *detail);
/* t was taken out of its group and has this many flows. */
void registry_log_deregistered(const struct registered_target *t,
    enum target_state before, uint64_t n_flows);
void registry_log_fail_open(const char *group, bool begins);
void registry_log_standby(const char *group, bool begins);

#endif
