/*
 * The PROXY protocol v2 header as an NLB writes it: always 100 bytes.
 *
 *           signature  ver/cmd  family  length  addresses  CRC-32C  NOOP
 *   IPv4        12        21      11     0054       12        7      65
 *   IPv6        12        21      21     0054       36        7      41
 *   LOCAL       12        20      11     0054        -        7      77
 *
 * The CRC covers all 100 bytes, its own four taken as zero; the NOOP fills up.
 * IPv4 and LOCAL are byte for byte what captures of NLBs show. The IPv6 form
 * has not been seen; it follows from the same two rules. LOCAL (health checks)
 * names a family but has no addresses: a receiver must go by the length.
 */
#ifndef NLB_PROXY_V2_H
#define NLB_PROXY_V2_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define PROXY_V2_SIZE 100

/* A client's connection. With two families (none of ours) the IPv4 address
 * goes out as v4-mapped IPv6. */
void proxy_v2_encode(const struct addr *client, const struct addr *destination,
    uint8_t out[PROXY_V2_SIZE]);

/* A connection of the load balancer's own. */
void proxy_v2_encode_local(uint8_t out[PROXY_V2_SIZE]);

/* CRC-32C (Castagnoli), reflected. */
uint32_t proxy_v2_crc32c(const void *data, size_t size);

#endif
