/*
 * What preserve_client_ip.enabled needs of this machine, and whether it is
 * there: a capability, and routing that hands packets for other machines'
 * addresses to the sockets here.
 */
#ifndef SUPERVISOR_MACHINE_H
#define SUPERVISOR_MACHINE_H

#include "nlb/conf.h"

/* For conf_options. What cannot be found out counts as there. */
void machine_ask(struct conf_machine *out);

#endif
