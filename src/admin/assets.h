/*
 * The dashboard's files, embedded at build time (embed.py).
 */
#ifndef ADMIN_ASSETS_H
#define ADMIN_ASSETS_H

#include <stddef.h>

struct asset {
	const char *path, *content_type;
	const unsigned char *bytes;
	size_t n;
};

extern const struct asset assets[];
extern const size_t assets_count;

#endif
