/* A config on its way into the registry; see applying.h. */
#include "supervisor/applying.h"

int
applying_init(struct applying *a, const struct conf *conf, uint64_t now_ms)
{
	*a = (struct applying){.conf = conf, .now_ms = now_ms};
	for (size_t i = 0; i < conf->n_listeners; i++) {
		int rc =
		    outbound_create(conf, &conf->listeners[i], &a->outbound[i]);

		if (rc < 0)
			return rc;
	}
	return 0;
}

void
applying_fini(struct applying *a)
{
	for (size_t i = 0; i < CONF_LISTENERS_MAX; i++)
		outbound_destroy(a->outbound[i]);
}

void
applying_take_group(struct applying *a, size_t group)
{
	a->tg = &a->conf->target_groups[group];
	a->n_listeners = 0;
	for (uint32_t i = 0; i < a->conf->n_listeners; i++) {
		const struct conf_listener *l = &a->conf->listeners[i];
		bool forwards = false;

		for (uint32_t j = 0; j < l->n_forwards; j++)
			forwards = forwards || l->forwards[j].group == group;
		if (forwards)
			a->listeners[a->n_listeners++] = i;
	}
}

bool
applying_blocks_check(const struct applying *a, const struct addr *addr)
{
	for (uint32_t i = 0; i < a->n_listeners; i++)
		if (outbound_verdict(a->outbound[a->listeners[i]], addr) ==
		    CONF_OUTBOUND_ALLOWED)
			return false;
	return true;
}

uint16_t
applying_host_port(const struct applying *a)
{
	return a->n_listeners == 0 ? 0
				   : a->conf->listeners[a->listeners[0]].port;
}
