/*
 * The listening sockets: one SO_REUSEPORT socket per worker and listener,
 * opened here and held here, so that a worker may die and its port goes on
 * answering. Or those that the service manager passed: the workers have them in
 * turns, for it may have opened fewer, as a user whose ports we may not share.
 * The security group's SYN filter is attached to each socket.
 */
#ifndef SUPERVISOR_SOCKETS_H
#define SUPERVISOR_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/scoreboard.h"
#include "nlb/conf.h"
#include "supervisor/passed.h"

#define SOCKETS_WORKERS_MAX 64
#define SOCKETS_BACKLOG 4096 /* the kernel cuts it to somaxconn */

struct socket_set {
	char name[CONF_NAME_MAX + 1];
	struct addr bound;
	uint16_t slot; /* in the scoreboard */
	bool is_new;   /* this reload opened it */
	bool kernel_filter;
	bool passed; /* the service manager has it as well */
	char filter_text[96];
	/* Per worker; from n_distinct on they are duplicates. */
	int fds[SOCKETS_WORKERS_MAX];
	uint32_t n_distinct;
	uint64_t dropped_before; /* we had it: the kernel's count */
};

/* All listeners of one config, in its order. */
struct sockets {
	struct socket_set *sets; /* owned */
	size_t n;
	uint32_t n_workers;
	uint16_t next_slot; /* where the search for a free one begins */
	/* Not owned; NULL: none. What is in there comes before opening one. */
	struct passed_sockets *passed;
};

/*
 * Opens what conf wants: sets of current whose name, address and port stay are
 * taken over (same descriptors); a listener that only has another name gets
 * duplicates, so that none of its connections is refused; the rest is opened,
 * with its SYN filter on before it listens. lock_path tells our own
 * orphaned workers from strangers when a port is taken. Returns 0 with *out to
 * be committed or dropped; or a negative errno with one sentence in why, which
 * says what to do.
 */
int sockets_prepare(const struct conf *conf, uint32_t n_workers,
    const struct sockets *current, const struct scoreboard *sb,
    const char *lock_path, struct sockets *out, char *why, size_t why_size);
/* Closes what only prepared has. */
void sockets_drop(struct sockets *prepared);
/* prepared becomes current; what is no longer wanted is closed, and refuses
 * connections from then on, whoever else has it open. */
void sockets_commit(struct sockets *current, struct sockets *prepared);
void sockets_close(struct sockets *s);

/* Compiles and attaches every listener's filter, replacing the old ones; those
 * that were just opened have theirs. Never fails: what cannot be attached falls
 * back to user space, and filter_text says so. */
void sockets_attach_filters(struct sockets *s, const struct conf *conf);

/* Segments the kernel dropped at this listener's sockets (SO_MEMINFO). */
uint64_t sockets_dropped(const struct socket_set *set);

/* Who listens where a would (same port, overlapping address)? Writes "haproxy
 * (pid 42)" and the like; true if there is anyone but our own workers, who hold
 * lock_path open. */
bool port_owner_is_stranger(
    const struct addr *a, const char *lock_path, char *who, size_t size);

#endif
