/*
 * What a target keeps of a message that is coming in: its SHA-256, its size
 * and, with a store, its bytes in a file.  One per session, used again for
 * each message.
 */
#ifndef SMTP_RECEIPT_H
#define SMTP_RECEIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <sha2.h>

struct smtp_receipt {
	const char *store_dir; /* NULL: bytes are not kept */
	FILE *file;            /* open between the first byte and the end */
	char temp_path[256];
	SHA2_CTX sha;
	bool is_started;
	bool has_failed; /* the store could not take a byte */
	uint64_t bytes;
};

void smtp_receipt_init(struct smtp_receipt *r, const char *store_dir);

void smtp_receipt_add(struct smtp_receipt *r, const char *data, size_t len);

/*
 * Ends the message.  Writes its SHA-256 in hex and, with a store, moves the
 * file to DIR/<sha256>.eml.  Returns 0, or a negative errno when the store
 * failed; ready for the next message in both cases.
 */
int smtp_receipt_finish(
    struct smtp_receipt *r, char hex[SHA256_DIGEST_STRING_LENGTH]);

/* Forgets an unfinished message. */
void smtp_receipt_discard(struct smtp_receipt *r);

#endif
