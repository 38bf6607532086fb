/*
 * preserve_client_ip.enabled: which flows come to their target from the
 * client's own address.
 */
#ifndef NLB_CLIENT_IP_H
#define NLB_CLIENT_IP_H

#include <stdbool.h>

#include "base/addr.h"

/*
 * Not a client of the other address family: an NLB has no address to show
 * either, and the flow comes from the node's own. Nor, better than an NLB,
 * where the answers could never come back: from a target that is the client
 * itself (an NLB lets it time out), and to addresses that mean something on
 * one machine or one link only.
 */
bool client_ip_is_preserved(
    const struct addr *client, const struct addr *target);

#endif
