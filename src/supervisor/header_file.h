/*
 * HeaderFile: lines of HTTP headers, as secrets that stand in no config.
 */
#ifndef SUPERVISOR_HEADER_FILE_H
#define SUPERVISOR_HEADER_FILE_H

#include <stddef.h>
#include <curl/curl.h>

#define HEADER_FILE_WHY_MAX 320

/* Appends them. 0, or a negative errno and why, without what is in the file;
 * *headers is the caller's in any case. */
int header_file_read(
    const char *path, struct curl_slist **headers, char *why, size_t size);

#endif
