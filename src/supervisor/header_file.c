/* Lines of headers; see header_file.h. */
#include "supervisor/header_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nlb/conf.h"

#define BYTES_MAX 4096
#define LINES_MAX 16

/* "Name: value" of printable bytes. */
static bool
is_header(const char *line)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t len = strspn(line, name);

	if (len == 0 || line[len] != ':')
		return false;
	for (; line[len] != '\0'; len++)
		if (((unsigned char)line[len] < 0x20 && line[len] != '\t') ||
		    line[len] == 0x7f)
			return false;
	return true;
}

/* text is taken apart. */
static int
take_lines(char *text, struct curl_slist **headers, const char *path, char *why,
    size_t size)
{
	unsigned n = 0, number = 0;
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		size_t len = strlen(line);
		struct curl_slist *list;

		number++;
		if (len > 0 && line[len - 1] == '\r')
			line[--len] = '\0';
		if (len == 0)
			continue;
		if (!is_header(line) || ++n > LINES_MAX) {
			snprintf(why, size, "line %u of HeaderFile %s is %s",
			    number, path,
			    n > LINES_MAX ? "one too many"
					  : "no header (Name: value)");
			return -EINVAL;
		}
		list = curl_slist_append(*headers, line);
		if (list == NULL) {
			snprintf(why, size, "out of memory");
			return -ENOMEM;
		}
		*headers = list;
	}
	return 0;
}

int
header_file_read(
    const char *path, struct curl_slist **headers, char *why, size_t size)
{
	struct conf_diags diags = {0};
	char text[BYTES_MAX + 1];
	char *bytes;
	size_t len;
	int rc = conf_read_file(path, &bytes, &len, &diags);

	conf_diags_fini(&diags);
	if (rc < 0) {
		snprintf(why, size, "HeaderFile %s cannot be read: %s", path,
		    strerror(-rc));
		return rc;
	}
	if (len > BYTES_MAX || memchr(bytes, '\0', len) != NULL) {
		snprintf(why, size, "HeaderFile %s is %s", path,
		    len > BYTES_MAX ? "longer than 4096 bytes" : "no text");
		rc = -EINVAL;
	} else {
		memcpy(text, bytes, len);
		text[len] = '\0';
		rc = take_lines(text, headers, path, why, size);
	}
	free(bytes);
	return rc;
}
