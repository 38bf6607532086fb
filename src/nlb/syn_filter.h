/*
 * The SYN filter: a security group's inbound rules as a classic BPF program
 * for SO_ATTACH_FILTER on a listening socket. A SYN from a source outside the
 * rules is dropped by the kernel, silently, as a real security group does.
 */
#ifndef NLB_SYN_FILTER_H
#define NLB_SYN_FILTER_H

#include <linux/filter.h>
#include <stddef.h>

#include "nlb/security_group.h"

#define SYN_FILTER_INSNS_MAX 4096 /* BPF_MAXINSNS */

struct syn_filter {
	struct sock_filter *insns; /* owned */
	size_t n;
};

/*
 * Compiles the set to a decision tree over its sorted ranges, IPv4 and IPv6 in
 * one program (it looks at the IP version; v4-mapped needs no care: such
 * packets are IPv4 on the wire). Runs in O(log ranges). Returns 0, -ENOMEM, or
 * -E2BIG when the program would pass SYN_FILTER_INSNS_MAX (fall back to user
 * space). *out untouched on failure. Free with syn_filter_fini.
 *
 * The network header is read at SKF_NET_OFF; the program's result is 0 (drop)
 * or 0xffffffff (pass whole).
 *
 * The kernel charges a program to its socket, translated, and the old and the
 * new one together while one replaces the other (net.core.optmem_max: 20 KiB
 * by default before Linux 6.9, then 128 KiB). So attaching may fail with
 * ENOMEM: about 320 IPv4 ranges replace each other within 20 KiB, and 660 when
 * the empty set's filter is attached in between.
 */
int syn_filter_compile(const struct sg_set *set, struct syn_filter *out);
void syn_filter_fini(struct syn_filter *f);

/* Drops segments with SYN and without ACK, passes the rest: a listening socket
 * that is going away takes no new connection but finishes handshakes. */
int syn_filter_refuse_new(struct syn_filter *out);

#endif
