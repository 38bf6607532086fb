/*
 * One direction of a flow: bytes from one socket to another, unchanged and in
 * order, with the reader's pace as the writer's (back-pressure).
 *
 * Small reads are copied through one buffer that the whole worker shares; what
 * a send leaves over is kept in a heap block (the spill) of at most that size.
 * A read that fills the buffer switches the direction to splice(2) through a
 * pipe on loan; a short splice switches back. Nothing is read while anything
 * is held, so a direction holds either a spill or a full pipe and never more,
 * and an idle one holds nothing.
 */
#ifndef WORKER_PUMP_H
#define WORKER_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/pipe_pool.h"
#include "worker/poller.h"

#define PUMP_BUFFER_SIZE 16384
/* Bytes one direction may move before others get their turn. */
#define PUMP_TURN_BYTES (1024 * 1024)
/* A splice shorter than this is no bulk transfer any more. */
#define PUMP_SPLICE_MIN 4096

/* One socket of a flow. Readiness is what the last event or call said: events
 * are edges, so it must be remembered. */
struct side {
	struct poll_item item;
	int fd;    /* -1: none */
	int error; /* the first error, sticky: RST is never laundered */
	bool readable, writable;
	bool fin_pending; /* FIN or an error has arrived: read to the end */
	/* Urgent data was seen: reads stop at its mark, so a short read no
	 * longer means that the socket is empty, and splice cannot pass. */
	bool urgent;
	/* New input, urgent or not, is no event; FIN and errors are. */
	bool muted;
};

/*
 * Pump states
 *            FIN read, all written
 *   PUMP_OPEN ----------------> PUMP_FINISHED
 *
 * An error does not change the state: it belongs to the side it came from.
 */
enum pump_state {
	PUMP_OPEN,
	PUMP_FINISHED,
};

struct spill {
	uint32_t offset, size;
	bool is_prefix; /* nlbd's own bytes: not counted */
	bool in_batch;  /* lies in the pump_batch, not in the heap */
	bool is_last;   /* the FIN is right behind */
	char bytes[];
};

struct pump {
	uint64_t bytes; /* written to the other side */
	struct pipe *pipe;
	struct spill *spill;
	uint32_t pipe_bytes; /* held in pipe */
	uint8_t state;       /* enum pump_state */
	bool splice;         /* bulk mode */
	bool no_splice;      /* the kernel refused it for these sockets */
	bool at_end;         /* its FIN was read ahead */
};

/* A read ahead takes at most that much; longer streams are no matter of a
 * wake-up more or less. */
#define PUMP_READ_AHEAD_MAX 4096
#define PUMP_BATCH_SIZE 65536

/* What all pumps of a worker have read ahead in this turn. */
struct pump_batch {
	size_t used;
	_Alignas(struct spill) char bytes[PUMP_BATCH_SIZE];
};

/* What all pumps of a worker share. */
struct pump_resources {
	struct pipe_pool *pipes;
	char *buffer; /* PUMP_BUFFER_SIZE */
	struct pump_batch *batch;
};

enum pump_result {
	PUMP_BLOCKED, /* waits for an event */
	PUMP_BUSY,    /* turn used up: run it again */
	/* FIN read and everything written: pass it on at once, the last bytes
	 * may be waiting for it (MSG_MORE) */
	PUMP_FIN,
	PUMP_SRC_RESET, /* src->error set, and all that arrived is written */
	PUMP_DST_RESET, /* dst->error set: what is held cannot be delivered */
	PUMP_NO_MEMORY, /* bytes would be lost: the flow must end */
};

/* Moves what can be moved without blocking. Not after PUMP_FIN. */
enum pump_result pump_run(struct pump *p, struct side *src, struct side *dst,
    const struct pump_resources *res);

/*
 * Reads what pump_run would read first, while other flows do the same: when all
 * reads of a turn come before all writes, a peer that the first write wakes
 * finds the others as well, instead of going to sleep and being woken once for
 * each. Must be followed, in the same turn, by pump_run or pump_release, and
 * then by pump_batch_end. Does nothing where there is nothing to gain: in bulk
 * mode, with bytes held, with a blocked writer.
 */
void pump_read_ahead(struct pump *p, struct side *src, const struct side *dst,
    const struct pump_resources *res);
/* Nothing that was read ahead is left. */
void pump_batch_end(const struct pump_resources *res);

/*
 * Bytes of nlbd's own in front of the stream, before the first pump_run: sent
 * with one call, or what is left of them before anything else. They are not in
 * bytes. 0, -ENOMEM, or the error of dst as a negative errno.
 */
int pump_send_prefix(
    struct pump *p, struct side *dst, const void *bytes, size_t size);

/* Bytes read and not yet written. */
uint64_t pump_held_bytes(const struct pump *p);

/* Drops what is held and returns the pipe. */
void pump_release(struct pump *p, const struct pump_resources *res);

/* The events of a poller, noted in the side; EPOLLERR is a reset. */
void side_note_events(struct side *s, uint32_t events);
/* Keeps the first error only; err is a positive errno. */
void side_set_error(struct side *s, int err);

#endif
