/*
 * IP addresses and CIDR blocks. Parsing is stricter than inet_aton(3): a text
 * that two programs could read differently ("010.0.0.1") is refused.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t v4_mapped_prefix[12] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

#define V4_MAPPED_BITS 96

/*
 * Reads a decimal number without sign, blanks or leading zeros, the whole
 * text, at most max. Returns it, or -1.
 */
static int
parse_decimal(const char *text, size_t len, int max)
{
	int value = 0;

	if (len == 0 || len > 5 || (len > 1 && text[0] == '0'))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value <= max ? value : -1;
}

static int
parse_ipv4(const char *text, uint8_t ip[4])
{
	for (int i = 0; i < 4; i++) {
		size_t len = strcspn(text, ".");
		int octet = parse_decimal(text, len, 255);

		if (octet < 0 || text[len] != (i < 3 ? '.' : '\0'))
			return -EINVAL;
		ip[i] = (uint8_t)octet;
		text += len + (i < 3);
	}
	return 0;
}

/* The address as written: v4-mapped stays IPv6. */
static int
parse_ip_verbatim(const char *text, struct addr *out)
{
	struct addr a = {.family = ADDR_IPV6};

	if (strchr(text, ':') == NULL) {
		a.family = ADDR_IPV4;
		if (parse_ipv4(text, a.ip) != 0)
			return -EINVAL;
	} else if (inet_pton(AF_INET6, text, a.ip) != 1) {
		return -EINVAL;
	}
	*out = a;
	return 0;
}

static bool
is_v4_mapped(const struct addr *a)
{
	return a->family == ADDR_IPV6 &&
	       memcmp(a->ip, v4_mapped_prefix, sizeof(v4_mapped_prefix)) == 0;
}

static void
unmap(struct addr *a)
{
	if (!is_v4_mapped(a))
		return;
	memmove(a->ip, a->ip + sizeof(v4_mapped_prefix), 4);
	memset(a->ip + 4, 0, sizeof(a->ip) - 4);
	a->family = ADDR_IPV4;
}

int
addr_parse_ip(const char *text, struct addr *out)
{
	if (parse_ip_verbatim(text, out) != 0)
		return -EINVAL;
	unmap(out);
	return 0;
}

int
addr_parse(const char *text, struct addr *out)
{
	char ip[ADDR_IP_STRLEN];
	bool bracketed = text[0] == '[';
	const char *start = text + bracketed;
	const char *end = strchr(start, bracketed ? ']' : ':');
	const char *port_text;
	struct addr a;
	int port;

	if (end == NULL || (size_t)(end - start) >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, start, (size_t)(end - start));
	ip[end - start] = '\0';
	/* Brackets belong to IPv6, and IPv6 to brackets. */
	if (bracketed != (strchr(ip, ':') != NULL))
		return -EINVAL;
	port_text = end + bracketed;
	if (port_text[0] != ':' || addr_parse_ip(ip, &a) != 0)
		return -EINVAL;
	port_text++;
	port = parse_decimal(port_text, strlen(port_text), 65535);
	if (port <= 0)
		return -EINVAL;
	a.port = (uint16_t)port;
	*out = a;
	return 0;
}

void
addr_from_sockaddr(const struct sockaddr *sa, struct addr *out)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	memset(out, 0, sizeof(*out));
	/* Copied: the caller's buffer need not be aligned for its family. */
	if (sa->sa_family == AF_INET) {
		memcpy(&sin, sa, sizeof(sin));
		out->family = ADDR_IPV4;
		out->port = ntohs(sin.sin_port);
		memcpy(out->ip, &sin.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&sin6, sa, sizeof(sin6));
		out->family = ADDR_IPV6;
		out->port = ntohs(sin6.sin6_port);
		memcpy(out->ip, &sin6.sin6_addr, 16);
		unmap(out);
	}
}

socklen_t
addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6};

	memset(out, 0, sizeof(*out));
	switch (a->family) {
	case ADDR_IPV4:
		sin.sin_port = htons(a->port);
		memcpy(&sin.sin_addr, a->ip, 4);
		memcpy(out, &sin, sizeof(sin));
		return sizeof(sin);
	case ADDR_IPV6:
		sin6.sin6_port = htons(a->port);
		memcpy(&sin6.sin6_addr, a->ip, 16);
		memcpy(out, &sin6, sizeof(sin6));
		return sizeof(sin6);
	default:
		return 0;
	}
}

const char *
addr_format_ip(const struct addr *a, char *buf, size_t size)
{
	char text[ADDR_IP_STRLEN] = "-";

	if (a->family == ADDR_IPV4)
		(void)inet_ntop(AF_INET, a->ip, text, sizeof(text));
	else if (a->family == ADDR_IPV6)
		(void)inet_ntop(AF_INET6, a->ip, text, sizeof(text));
	(void)snprintf(buf, size, "%s", text);
	return buf;
}

const char *
addr_format(const struct addr *a, char *buf, size_t size)
{
	char ip[ADDR_IP_STRLEN];

	addr_format_ip(a, ip, sizeof(ip));
	if (a->family == ADDR_IPV4)
		(void)snprintf(buf, size, "%s:%u", ip, (unsigned)a->port);
	else if (a->family == ADDR_IPV6)
		(void)snprintf(buf, size, "[%s]:%u", ip, (unsigned)a->port);
	else
		(void)snprintf(buf, size, "%s", ip);
	return buf;
}

bool
addr_ip_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_ip_equal(a, b) && a->port == b->port;
}

int
addr_compare(const struct addr *a, const struct addr *b)
{
	int d;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	d = memcmp(a->ip, b->ip, sizeof(a->ip));
	if (d != 0)
		return d;
	return (a->port > b->port) - (a->port < b->port);
}

/* Is a in the block given as bytes? An IPv4 block has family ADDR_IPV4. */
static bool
in_block(const struct addr *a, uint8_t family, uint8_t b0, uint8_t b1,
    uint8_t prefix_len)
{
	struct cidr block = {
	    .base = {.ip = {b0, b1}, .family = family},
	    .prefix_len = prefix_len,
	};

	return cidr_contains(&block, a);
}

struct addr
addr_source(const struct addr *client)
{
	struct addr source = *client;

	source.port = 0;
	if (source.family == ADDR_IPV6)
		memset(source.ip + 8, 0, 8);
	return source;
}

bool
addr_is_unspecified(const struct addr *a)
{
	static const uint8_t zero[16];

	return a->family != ADDR_NONE && memcmp(a->ip, zero, sizeof(zero)) == 0;
}

bool
addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = {[15] = 1};

	if (a->family == ADDR_IPV6)
		return memcmp(a->ip, one, sizeof(one)) == 0;
	return in_block(a, ADDR_IPV4, 127, 0, 8);
}

bool
addr_is_multicast(const struct addr *a)
{
	return in_block(a, ADDR_IPV4, 224, 0, 4) ||
	       in_block(a, ADDR_IPV6, 0xff, 0, 8);
}

bool
addr_is_link_local(const struct addr *a)
{
	return in_block(a, ADDR_IPV4, 169, 254, 16) ||
	       in_block(a, ADDR_IPV6, 0xfe, 0x80, 10);
}

bool
addr_is_private(const struct addr *a)
{
	return in_block(a, ADDR_IPV4, 10, 0, 8) ||
	       in_block(a, ADDR_IPV4, 172, 16, 12) ||
	       in_block(a, ADDR_IPV4, 192, 168, 16) ||
	       in_block(a, ADDR_IPV4, 100, 64, 10) ||
	       in_block(a, ADDR_IPV6, 0xfc, 0, 7);
}

/* Clears the bits below the prefix; true when one was set. */
static bool
mask_host_bits(struct cidr *c)
{
	bool cleared = false;

	for (unsigned i = 0; i < sizeof(c->base.ip); i++) {
		unsigned first_bit = i * 8;
		uint8_t mask = 0xff;

		if (c->prefix_len <= first_bit)
			mask = 0;
		else if (c->prefix_len < first_bit + 8)
			mask =
			    (uint8_t)(0xff00u >> (c->prefix_len - first_bit));
		if ((c->base.ip[i] & ~mask & 0xff) != 0)
			cleared = true;
		c->base.ip[i] &= mask;
	}
	return cleared;
}

static int
cidr_parse_checked(const char *text, struct cidr *out)
{
	char ip[ADDR_IP_STRLEN];
	size_t ip_len = strcspn(text, "/");
	struct cidr c;
	int prefix_len;
	bool host_bits;

	if (ip_len >= sizeof(ip))
		return CIDR_BAD_ADDRESS;
	memcpy(ip, text, ip_len);
	ip[ip_len] = '\0';
	if (parse_ip_verbatim(ip, &c.base) != 0)
		return CIDR_BAD_ADDRESS;
	if (text[ip_len] != '/')
		return CIDR_BAD_PREFIX;
	text += ip_len + 1;
	prefix_len = parse_decimal(
	    text, strlen(text), c.base.family == ADDR_IPV4 ? 32 : 128);
	if (prefix_len < 0)
		return CIDR_BAD_PREFIX;
	if (is_v4_mapped(&c.base) && prefix_len >= V4_MAPPED_BITS) {
		unmap(&c.base);
		prefix_len -= V4_MAPPED_BITS;
	}
	c.prefix_len = (uint8_t)prefix_len;
	host_bits = mask_host_bits(&c);
	*out = c;
	return host_bits ? CIDR_HOST_BITS : 0;
}

int
cidr_parse(const char *text, struct cidr *out, enum cidr_error *error)
{
	int e = cidr_parse_checked(text, out);

	if (e == 0)
		return 0;
	if (error != NULL)
		*error = (enum cidr_error)e;
	return -EINVAL;
}

const char *
cidr_format(const struct cidr *c, char *buf, size_t size)
{
	char ip[ADDR_IP_STRLEN];

	(void)snprintf(buf, size, "%s/%u",
	    addr_format_ip(&c->base, ip, sizeof(ip)), (unsigned)c->prefix_len);
	return buf;
}

bool
cidr_contains(const struct cidr *c, const struct addr *a)
{
	unsigned bytes = c->prefix_len / 8;
	unsigned bits = c->prefix_len % 8;
	uint8_t mask = (uint8_t)(0xff00u >> bits);

	if (a->family != c->base.family || a->family == ADDR_NONE)
		return false;
	if (memcmp(a->ip, c->base.ip, bytes) != 0)
		return false;
	return bits == 0 || ((a->ip[bytes] ^ c->base.ip[bytes]) & mask) == 0;
}
