/*
 * What a target is told of the client: the PROXY v2 header. It leaves right
 * after connect, in one send, whoever speaks first afterwards; an NLB keeps it
 * back until the client's first payload, and a server that waits for it with
 * its greeting then waits for ever.
 */
#include <sys/socket.h>

#include "nlb/proxy_v2.h"
#include "worker/flow.h"

void
flow_local_addr(const struct flow *f, struct addr *out)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	*out = f->listener->bound;
	/* A listener on all addresses: ask which one the client used. */
	if (addr_is_unspecified(out) && f->client.fd != -1 &&
	    getsockname(f->client.fd, (struct sockaddr *)&ss, &len) == 0)
		addr_from_sockaddr((struct sockaddr *)&ss, out);
}

int
flow_proxy_send(struct flow *f)
{
	uint8_t header[PROXY_V2_SIZE];
	struct addr local;

	if (!f->proxy_v2)
		return 0;
	flow_local_addr(f, &local);
	proxy_v2_encode(&f->client_addr, &local, header);
	return pump_send_prefix(
	    &f->client_to_target, &f->target, header, sizeof(header));
}
