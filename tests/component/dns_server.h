/*
 * A DNS server on loopback, over UDP and TCP, that behaves as the first label
 * of the name it is asked for says.
 */
#ifndef DNS_SERVER_H
#define DNS_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/addr.h"

#define DNS_SERVER_ADDRESSES 64
#define DNS_SERVER_HUGE 2000

struct dns_server {
	struct addr addr; /* where it listens */
	/* What "plain" and most others answer, those of the family asked for.
	 */
	struct addr addresses[DNS_SERVER_ADDRESSES];
	size_t n_addresses;
	uint32_t ttl_s;
	const char *behave_as; /* instead of the first label; NULL = that */
	size_t n_questions, n_tcp;
	uv_loop_t *loop;
	uv_poll_t udp, tcp;
	int udp_fd, tcp_fd;
};

/*
 * plain         the addresses
 * silent        nothing
 * nxdomain, servfail, refused, empty: that, with no record
 * garbage       bytes that are no message
 * wrong-id      the answer to another question: its number
 * other         the answer to another question: its name
 * cut           a message that ends within a record
 * lie           one record where a thousand are announced
 * loop          a name that points to itself
 * short         an A record with 3 bytes
 * alias         a CNAME with a TTL of 7, and the addresses of that name
 * alias-loop    two CNAMEs that point to each other
 * tc            "truncated", and over TCP the addresses
 * tc-cut        "truncated", and over TCP the begin of an answer
 * huge          "truncated", and over TCP DNS_SERVER_HUGE addresses 11.x.y.z
 */
/* At port, or with 0 at any that is free. */
void dns_server_open(struct dns_server *s, uv_loop_t *loop, uint16_t port);
void dns_server_close(struct dns_server *s);

void dns_server_set(struct dns_server *s, const char *const *addresses);

#endif
