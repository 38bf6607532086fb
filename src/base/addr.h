/*
 * IP addresses with a port, and CIDR blocks: parse, format, compare.
 * IPv4-mapped IPv6 addresses (::ffff:a.b.c.d) become IPv4 wherever an
 * address enters the program, so that one rule has one meaning.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum addr_family {
	ADDR_NONE = 0,
	ADDR_IPV4 = 4,
	ADDR_IPV6 = 6,
};

struct addr {
	uint8_t ip[16]; /* network order; IPv4 in the first 4, rest zero */
	uint16_t port;  /* host order, 0 = none */
	uint8_t family; /* enum addr_family */
	uint8_t pad;    /* always 0: addresses are compared as bytes */
};

/* Longest texts, NUL included. */
#define ADDR_IP_STRLEN 46 /* an IPv6 address */
#define ADDR_STRLEN 56    /* "[ipv6]:65535" */
#define CIDR_STRLEN 52

struct cidr {
	struct addr base; /* port 0, host bits 0 */
	uint8_t prefix_len;
};

/*
 * Parses one address without a port, strictly: four decimal octets without
 * leading zeros, or RFC 4291 text; no zone id, no brackets, no blanks.
 * A v4-mapped text becomes IPv4. Returns 0, or -EINVAL with *out untouched.
 */
int addr_parse_ip(const char *text, struct addr *out);

/*
 * Parses "a.b.c.d:port" or "[v6]:port", port 1-65535 without leading zero.
 * Returns 0, or -EINVAL with *out untouched.
 */
int addr_parse(const char *text, struct addr *out);

/*
 * Takes an AF_INET or AF_INET6 address (v4-mapped becomes IPv4); anything
 * else gives family ADDR_NONE.
 */
void addr_from_sockaddr(const struct sockaddr *sa, struct addr *out);

/* Fills *out and returns its length, 0 for ADDR_NONE. */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);

/*
 * Write text into buf (always terminated) and return buf. ADDR_NONE is "-".
 * addr_format adds the port: "10.0.0.1:587", "[fd00::1]:587".
 */
const char *addr_format_ip(const struct addr *a, char *buf, size_t size);
const char *addr_format(const struct addr *a, char *buf, size_t size);

bool addr_equal(const struct addr *a, const struct addr *b);    /* with port */
bool addr_ip_equal(const struct addr *a, const struct addr *b); /* without */
/* Total order: family, bytes, port. <0, 0, >0. */
int addr_compare(const struct addr *a, const struct addr *b);

/*
 * Whom an address stands for where clients are counted: an IPv4 address, or an
 * IPv6 /64, which a single host may own as a whole. Port 0.
 */
struct addr addr_source(const struct addr *client);

bool addr_is_unspecified(const struct addr *a); /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *a);    /* 127/8 or ::1 */
bool addr_is_multicast(const struct addr *a);
bool addr_is_link_local(const struct addr *a); /* 169.254/16, fe80::/10 */
/* What an NLB takes as an ip target: RFC 1918, 100.64/10, fc00::/7. */
bool addr_is_private(const struct addr *a);

enum cidr_error {
	CIDR_BAD_ADDRESS = 1,
	CIDR_BAD_PREFIX, /* missing, not a number, or too long */
	CIDR_HOST_BITS,  /* address bits set below the prefix */
};
/*
 * Parses "address/len", strictly: no host bits, no leading zeros. A v4-mapped
 * block of /96 or longer becomes IPv4. Returns 0, or -EINVAL with *out
 * untouched and the kind of mistake in *error (error may be NULL). With
 * CIDR_HOST_BITS *out is set to the block that was probably meant, for the
 * suggestion.
 */
int cidr_parse(const char *text, struct cidr *out, enum cidr_error *error);
const char *cidr_format(const struct cidr *c, char *buf, size_t size);
bool cidr_contains(const struct cidr *c, const struct addr *a);

#endif
