/* Client IP preservation, the rule; see client_ip.h. */
#include "nlb/client_ip.h"

bool
client_ip_is_preserved(const struct addr *client, const struct addr *target)
{
	return client->family == target->family &&
	       !addr_ip_equal(client, target) && !addr_is_loopback(client) &&
	       !addr_is_link_local(client);
}
