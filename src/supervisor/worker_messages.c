/*
 * What workers tell the supervisor.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "nlb/event.h"
#include "supervisor/daemon.h"

static void
take_log(const struct worker_process *w, const struct channel_message *m)
{
	const char *code = (const char *)m->payload + 1, *text = code;
	enum event event = EVENT_WORKER_NOTE;
	struct log_kind kind;
	char worker[16];

	if (m->size < 2 || m->size > CHANNEL_LOG_MAX)
		return;
	if (memchr(code, '\0', m->size - 1) != NULL) {
		(void)event_parse(code, &event);
		text += strlen(code) + 1;
	}
	kind = *event_kind(event);
	kind.level = (enum log_level) * (const char *)m->payload;
	if (kind.level < LOG_LEVEL_ERROR || kind.level > LOG_LEVEL_DEBUG)
		kind.level = LOG_LEVEL_INFO;
	snprintf(worker, sizeof(worker), "%u", w->index);
	log_kind(&kind, (struct log_field[]){{EVENT_WORKER, worker}, {0}},
	    "worker %s: %.*s", worker,
	    (int)(m->size - (size_t)(text - (const char *)m->payload)), text);
}

static void
take_config_error(struct worker_process *w, const struct channel_message *m)
{
	int skip = (int)sizeof(uint64_t);

	event_log(EVENT_WORKER_CONFIG_FAILED,
	    "worker %u cannot apply the config: %.*s; replacing it", w->index,
	    m->size > sizeof(uint64_t) ? (int)m->size - skip : 0,
	    (const char *)m->payload + skip);
	if (w->process != NULL)
		uv_process_kill(w->process, SIGKILL);
}

static void
take_connect_failed(struct daemon *d, const struct channel_message *m)
{
	struct channel_connect_failed failed;

	if (m->size != sizeof(failed))
		return;
	memcpy(&failed, m->payload, sizeof(failed));
	registry_connect_failed(&d->registry, failed.target_slot,
	    failed.connected, daemon_now_ms(d));
}

void
daemon_take_message(
    void *owner, struct worker_process *w, struct channel_message *m)
{
	struct daemon *d = owner;

	switch (m->type) {
	case CHANNEL_FLOW_RECORDS:
		daemon_take_flow_records(d, m);
		break;
	case CHANNEL_FLOWS:
		daemon_take_flows(d, w, m);
		break;
	case CHANNEL_LOG:
		take_log(w, m);
		break;
	case CHANNEL_CONFIG_ERROR:
		take_config_error(w, m);
		break;
	case CHANNEL_CONNECT_FAILED:
		take_connect_failed(d, m);
		break;
	default:
		event_log(EVENT_WORKER_PROTOCOL,
		    "worker %u sent an unknown message type %u", w->index,
		    (unsigned)m->type);
		break;
	}
}
