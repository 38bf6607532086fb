/* Workers of the program before; see former.h. */
#include "supervisor/former.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

struct former_worker {
	TAILQ_ENTRY(former_worker) entry;
	pid_t pid;
	struct channel *channel; /* NULL: it closed its end */
};

void
former_init(struct former_workers *fw)
{
	TAILQ_INIT(&fw->list);
	fw->n = 0;
}

/* Its slots are those of another scoreboard: what it says of flows cannot be
 * told from other flows any more. Read all the same, so that none is stuck. */
static void
on_message(void *arg, struct channel_message *m)
{
	(void)arg;
	(void)m;
}

static void
on_channel_closed(void *arg)
{
	struct former_worker *f = arg;

	channel_close(f->channel);
	f->channel = NULL;
}

int
former_add(
    struct former_workers *fw, uv_loop_t *loop, pid_t pid, int channel_fd)
{
	struct former_worker *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return -ENOMEM;
	f->pid = pid;
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
		(void)kill(f->pid, SIGKILL);
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

void
former_reap(struct former_workers *fw)
{
	struct former_worker *f, *next;

	TAILQ_FOREACH_SAFE (f, &fw->list, entry, next)
		if (waitpid(f->pid, NULL, WNOHANG) != 0)
			forget(fw, f);
}

void
former_each(struct former_workers *fw,
    void (*fn)(void *arg, pid_t pid, const struct channel *channel), void *arg)
{
	struct former_worker *f;

	TAILQ_FOREACH (f, &fw->list, entry)
		if (f->channel != NULL)
			fn(arg, f->pid, f->channel);
}

void
former_fini(struct former_workers *fw)
{
	while (!TAILQ_EMPTY(&fw->list))
		forget(fw, TAILQ_FIRST(&fw->list));
}
