/*
 * What is known of a flow: the record that travels from a worker to the
 * supervisor when a flow ends (flow log) or is listed (nlbctl flows), and its
 * text forms.
 */
#ifndef NLB_FLOW_RECORD_H
#define NLB_FLOW_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "nlb/reason.h"

enum flow_state { /* see worker/flow.h for the diagram */
	FLOW_CONNECTING,
	FLOW_ESTABLISHED,
	FLOW_FLUSHING,
	FLOW_CLOSING,
};

struct flow_record {
	uint64_t id;          /* unique per supervisor lifetime */
	uint64_t start_us;    /* wall clock at accept, microseconds */
	uint64_t duration_us; /* monotonic, until end or until now */
	uint32_t connect_us;  /* to the target that took it; 0 = none did */
	uint16_t listener_slot, target_slot; /* SLOT_NONE = none */
	struct addr client, listener, target;
	uint64_t client_to_target_bytes, target_to_client_bytes;
	/* TCP segments from and to the client */
	uint64_t client_to_target_packets, target_to_client_packets;
	uint8_t state;   /* enum flow_state */
	uint8_t reason;  /* enum flow_end_reason, when FLOW_CLOSING */
	uint8_t retries; /* targets tried before the last one */
	uint8_t worker;
};
#define FLOW_SLOT_NONE UINT16_MAX

/* Which struct flow_record a program knows: after an upgrade the workers of the
 * program before speak to a new one. Raise the number with any change of a
 * field's meaning or place. */
#define FLOW_RECORD_LAYOUT ((1u << 16) | (unsigned)sizeof(struct flow_record))

const char *flow_state_name(enum flow_state state);

/* What the record knows by number. NULL = not known. */
struct flow_names {
	const char *load_balancer, *listener, *target_group;
};

/*
 * The formats of FlowLogFormat, each line with its newline. What is not known
 * is null in JSON and `-' elsewhere. All return the length, or -ENOSPC with
 * buf the empty string.
 */

/* One object. A flow in FLOW_CLOSING has ended and shows its "end_reason"; any
 * other shows its "state" instead. */
int flow_record_format_json(const struct flow_record *r,
    const struct flow_names *names, char *buf, size_t size);
/* The 14 fields of version 2, a line for each direction between client and
 * listener; of a flow that a rule refused, one line with REJECT. Bytes are
 * payload. (nlb-behaviour 4.2) */
int flow_record_format_vpc(const struct flow_record *r,
    const struct flow_names *names, char *buf, size_t size);
/* The 22 fields of an NLB's access log, type `tcp'. (nlb-behaviour 4.3) */
int flow_record_format_nlb(const struct flow_record *r,
    const struct flow_names *names, char *buf, size_t size);

#endif
