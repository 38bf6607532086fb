/*
 * What supervisor and worker agree on besides messages: where a worker finds
 * its descriptors, and which bytes of the lock file mean what.
 */
#ifndef IPC_WORKER_FD_H
#define IPC_WORKER_FD_H

/* A worker is exec'd with exactly these beside stdio. */
enum worker_fd {
	WORKER_FD_CHANNEL = 3,
	WORKER_FD_SCOREBOARD = 4,
	WORKER_FD_LOCK = 5,
	WORKER_FD_COUNT = 6,
};

/* POSIX record locks on the lock file, held by a live supervisor and gone with
 * it: from its start, and once its workers serve. Orphaned workers ask for the
 * second. */
enum lock_byte {
	LOCK_BYTE_RUNNING = 0,
	LOCK_BYTE_SERVING = 1,
};

#endif
