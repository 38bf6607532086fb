/*
 * What a reload would change: old and new config compared, in words and as
 * decisions. Identity: listeners and target groups by name, targets by
 * (group name, address, port).
 */
#ifndef NLB_CONF_DIFF_H
#define NLB_CONF_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "nlb/conf.h"

struct conf_diff {
	size_t listeners_added, listeners_removed, listeners_changed;
	size_t groups_added, groups_removed, groups_changed;
	size_t targets_added, targets_removed;
	size_t rules_changed; /* security groups whose rules differ */
	size_t acls_changed;  /* network ACLs whose rules differ */
	size_t notify_changed;
	size_t node_changed; /* reloadable [node]/[load-balancer] keys */
};

/*
 * Compares. Returns 0, -ENOMEM, or -EINVAL when a key that cannot change in a
 * running daemon differs; then diags gets one error per such key, at its place
 * in the new file, naming old and new value and what to do (restart or
 * upgrade). The attribute table's reloadable flag decides which.
 */
int conf_diff(const struct conf *old_conf, const struct conf *new_conf,
    struct conf_diff *out, struct conf_diags *diags);

bool conf_diff_is_empty(const struct conf_diff *diff);

/* "1 target added, 2 rules changed" or "nothing changed"; returns buf. */
const char *conf_diff_summary(
    const struct conf_diff *diff, char *buf, size_t size);

#endif
