/*
 * What a listener's outbound rules let through, prepared for the many targets
 * of a group: conf_outbound_verdict gives the same answers and walks all rules
 * for each.
 */
#ifndef NLB_OUTBOUND_H
#define NLB_OUTBOUND_H

#include "nlb/conf.h"

struct outbound;

/* conf and listener must outlive it. 0 or -ENOMEM. */
int outbound_create(const struct conf *conf,
    const struct conf_listener *listener, struct outbound **out);
void outbound_destroy(struct outbound *o);

/* May flows and checks reach a (address and port)? Rules of the same ports are
 * sorted when the first address with such a port is asked for; after that an
 * answer is a few binary searches. */
enum conf_outbound outbound_verdict(struct outbound *o, const struct addr *a);

#endif
