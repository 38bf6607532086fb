/*
 * Amazon Resource Names. nlbd has neither regions nor accounts, and its names
 * are unique: in a partition of its own the names stand for themselves.
 *
 *	arn:nlbd:elasticloadbalancing:::loadbalancer/net/NAME
 *	arn:nlbd:elasticloadbalancing:::listener/net/LOAD-BALANCER/NAME
 *	arn:nlbd:elasticloadbalancing:::targetgroup/NAME
 */
#ifndef NLB_ARN_H
#define NLB_ARN_H

#include <stdbool.h>
#include <stddef.h>

#include "nlb/conf.h"

#define ARN_MAX (2 * CONF_NAME_MAX + 64) /* NUL included */

enum arn_kind { ARN_LOAD_BALANCER, ARN_LISTENER, ARN_TARGET_GROUP };

/* Returns buf. */
const char *arn_format(enum arn_kind kind, const struct conf *conf,
    const char *name, char buf[ARN_MAX]);

/*
 * The name in an ARN of nlbd's or of AWS's, where the name is followed by an
 * id; a listener of AWS's has no name but its id. Returns text itself when it
 * is no ARN, or one of another kind: nothing has such a name.
 */
const char *arn_name(enum arn_kind kind, const char *text, char buf[ARN_MAX]);

/* Does conf's load balancer have this name, or ARN? */
bool arn_is_load_balancer(const struct conf *conf, const char *text);

#endif
