/*
 * Looking at the machine; see machine.h. Packets are handed to a socket here
 * when a routing rule (by mark or by interface) leads to a table with a route
 * of type `local' to more than this machine's own addresses.
 */
#include "supervisor/machine.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Rules beyond these are not looked at; nobody has as many. */
#define TABLES_MAX 256
#define ANSWER_SIZE 32768

/* One family's question: which tables rules lead to, and then whether a route
 * of one of them diverts. */
struct search {
	uint8_t family;
	uint32_t tables[TABLES_MAX];
	size_t n_tables;
	bool diverts;
};

struct request {
	struct nlmsghdr header;
	struct rtmsg message; /* a rule's header has the same layout */
};

static bool
is_transparent(void)
{
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool allowed;

	if (fd == -1)
		return true;
	allowed =
	    setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) != -1 ||
	    errno != EPERM;
	close(fd);
	return allowed;
}

/* The attribute that holds the table's number; it has more than the 8 bits of
 * the header's field. */
static uint32_t
table_of(const struct nlmsghdr *h, const struct rtmsg *m, unsigned short type)
{
	const char *bytes = (const char *)h;
	uint32_t table = m->rtm_table;
	const struct rtattr *a;

	for (size_t at = NLMSG_SPACE(sizeof(*m));
	     at + sizeof(*a) <= h->nlmsg_len; at += RTA_ALIGN(a->rta_len)) {
		a = (const void *)(bytes + at);
		if (a->rta_len < sizeof(*a) || a->rta_len > h->nlmsg_len - at)
			break;
		if (a->rta_type == type && a->rta_len >= RTA_LENGTH(4))
			memcpy(
			    &table, bytes + at + RTA_LENGTH(0), sizeof(table));
	}
	return table;
}

static void
take_rule(struct search *s, const struct nlmsghdr *h, const struct rtmsg *m)
{
	/* rtm_type is where a rule has its action. */
	if (m->rtm_type == FR_ACT_TO_TBL && s->n_tables < TABLES_MAX)
		s->tables[s->n_tables++] = table_of(h, m, FRA_TABLE);
}

static void
take_route(struct search *s, const struct nlmsghdr *h, const struct rtmsg *m)
{
	uint32_t table = table_of(h, m, RTA_TABLE);
	unsigned host_bits = s->family == AF_INET6 ? 128 : 32;
	bool reached = false;

	for (size_t i = 0; i < s->n_tables; i++)
		reached = reached || s->tables[i] == table;
	/* A network in the table of our own addresses is 127.0.0.0/8, or a
	 * prefix somebody added: an honest route to here all the same. */
	if (reached && m->rtm_type == RTN_LOCAL && m->rtm_dst_len < host_bits &&
	    !(table == RT_TABLE_LOCAL && m->rtm_dst_len == 8))
		s->diverts = true;
}

/* 1: go on, 0: the last one, or -errno. */
static int
take_message(struct search *s, const struct nlmsghdr *h)
{
	const struct rtmsg *m = (const void *)(h + 1);

	if (h->nlmsg_type == NLMSG_DONE)
		return 0;
	if (h->nlmsg_type == NLMSG_ERROR ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return -EPROTO;
	if (m->rtm_family != s->family)
		return 1;
	if (h->nlmsg_type == RTM_NEWRULE)
		take_rule(s, h, m);
	else if (h->nlmsg_type == RTM_NEWROUTE)
		take_route(s, h, m);
	return 1;
}

/* One datagram of the answer; the same. */
static int
take_answer(struct search *s, const char *bytes, size_t size)
{
	const struct nlmsghdr *h;
	int more = 1;

	for (size_t at = 0; more == 1 && at + sizeof(*h) <= size;
	     at += NLMSG_ALIGN(h->nlmsg_len)) {
		h = (const void *)(bytes + at);
		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > size - at)
			return -EPROTO;
		more = take_message(s, h);
	}
	return more;
}

static int
dump(int fd, struct search *s, uint16_t type)
{
	static _Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
	struct request r = {
	    .header = {.nlmsg_len = sizeof(r),
		.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .message = {.rtm_family = s->family},
	};
	int more = 1;

	/* The kernel leaves the others out where it can (since Linux 4.20),
	 * whole tables of the Internet. */
	if (type == RTM_GETROUTE)
		r.message.rtm_type = RTN_LOCAL;
	if (send(fd, &r, sizeof(r), 0) == -1)
		return -errno;
	while (more == 1) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		more = take_answer(s, answer, (size_t)n);
	}
	return more;
}

static bool
diverts(uint8_t family)
{
	struct search s = {.family = family};
	int on = 1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int rc;

	if (fd == -1)
		return true;
	(void)setsockopt(
	    fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	rc = dump(fd, &s, RTM_GETRULE);
	if (rc == 0)
		rc = dump(fd, &s, RTM_GETROUTE);
	close(fd);
	return rc < 0 || s.diverts;
}

void
machine_ask(struct conf_machine *out)
{
	*out = (struct conf_machine){
	    .transparent = is_transparent(),
	    .diverts = {[CONF_IPV4] = diverts(AF_INET),
		[CONF_IPV6] = diverts(AF_INET6)},
	};
}
