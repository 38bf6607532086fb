/* Workers of the program before; see former.h. */
#include "supervisor/former.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

struct former_worker {
	TAILQ_ENTRY(former_worker) entry;
	struct former_workers *fw;
	pid_t pid;               /* 0: it has exited */
	struct channel *channel; /* NULL: it closed its end */
	unsigned layout;
};

void
former_init(struct former_workers *fw,
    void (*on_records)(void *, const struct flow_record *, size_t), void *owner)
{
	*fw = (struct former_workers){.on_records = on_records, .owner = owner};
	TAILQ_INIT(&fw->list);
}

/* All but the records is of another scoreboard and config. Read all the same,
 * so that none is stuck. */
static void
on_message(void *arg, struct channel_message *m)
{
	struct former_worker *f = arg;

	if (m->type == CHANNEL_FLOW_RECORDS && f->layout == FLOW_RECORD_LAYOUT)
		f->fw->on_records(f->fw->owner, m->payload,
		    m->size / sizeof(struct flow_record));
}

static void
forget(struct former_workers *fw, struct former_worker *f)
{
	if (f->channel != NULL)
		channel_close(f->channel);
	TAILQ_REMOVE(&fw->list, f, entry);
	fw->n--;
	free(f);
}

static void
on_channel_closed(void *arg)
{
	struct former_worker *f = arg;

	channel_close(f->channel);
	f->channel = NULL;
	if (f->pid == 0)
		forget(f->fw, f);
}

int
former_add(struct former_workers *fw, uv_loop_t *loop, pid_t pid,
    int channel_fd, unsigned layout)
{
	struct former_worker *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return -ENOMEM;
	f->fw = fw;
	f->pid = pid;
	f->layout = layout;
	rc = channel_open(
	    loop, channel_fd, on_message, on_channel_closed, f, &f->channel);
	if (rc < 0) {
		free(f);
		return rc;
	}
	TAILQ_INSERT_TAIL(&fw->list, f, entry);
	fw->n++;
	return 0;
}

void
former_tell(struct former_workers *fw, enum channel_type type)
{
	struct former_worker *f;

	TAILQ_FOREACH (f, &fw->list, entry)
		if (f->channel != NULL)
			(void)channel_send(f->channel, type, NULL, 0, NULL, 0);
}

void
former_kill(struct former_workers *fw)
{
	struct former_worker *f;

	TAILQ_FOREACH (f, &fw->list, entry)
		if (f->pid != 0)
			(void)kill(f->pid, SIGKILL);
}

void
former_reap(struct former_workers *fw)
{
	struct former_worker *f, *next;

	TAILQ_FOREACH_SAFE (f, &fw->list, entry, next) {
		if (f->pid != 0 && waitpid(f->pid, NULL, WNOHANG) != 0)
			f->pid = 0;
		if (f->pid == 0 && f->channel == NULL)
			forget(fw, f);
	}
}

void
former_each(struct former_workers *fw,
    void (*fn)(
	void *arg, pid_t pid, const struct channel *channel, unsigned layout),
    void *arg)
{
	struct former_worker *f;

	TAILQ_FOREACH (f, &fw->list, entry)
		if (f->channel != NULL)
			fn(arg, f->pid, f->channel, f->layout);
}

void
former_fini(struct former_workers *fw)
{
	while (!TAILQ_EMPTY(&fw->list))
		forget(fw, TAILQ_FIRST(&fw->list));
}
