/*
 * Connections to targets from the client's own address
 * (preserve_client_ip.enabled).
 */
#ifndef WORKER_CLIENT_SOURCE_H
#define WORKER_CLIENT_SOURCE_H

#include "base/addr.h"

/*
 * connect(2) from source, which is another machine's: from its very port, as
 * an NLB does, or from any that is free if it has port 0.
 *
 * Returns 0 or a negative errno. -EADDRNOTAVAIL: that port, or every port, is
 * taken towards target. -SOURCE_ADDRESSES_UNUSABLE: the address cannot be had
 * at all, and the log says why. After a failure the socket can be closed only.
 */
int client_source_connect(
    int fd, const struct addr *source, const struct addr *target);

#endif
