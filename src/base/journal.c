/*
 * Events for the journal. A socket of its own for each: events are rare, and
 * there is nothing to keep over a restart of the journal, a fork or a change
 * of user. What does not fit one datagram of this size has no place in a log.
 */
#include "base/journal.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX (2 * LOG_LINE_MAX)

struct message {
	char bytes[MESSAGE_MAX];
	size_t len;
	int error;
};

static void
add_bytes(struct message *m, const void *bytes, size_t len)
{
	if (len > sizeof(m->bytes) - m->len) {
		m->error = -EMSGSIZE;
		return;
	}
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
}

/* NAME=value, or with a newline in value, which would begin another field:
 * NAME, its length and the bytes. */
static void
add_field(struct message *m, const char *name, const char *value)
{
	size_t len = strlen(value);
	uint64_t len_le = htole64(len);

	add_bytes(m, name, strlen(name));
	if (strchr(value, '\n') == NULL) {
		add_bytes(m, "=", 1);
	} else {
		add_bytes(m, "\n", 1);
		add_bytes(m, &len_le, sizeof(len_le));
	}
	add_bytes(m, value, len);
	add_bytes(m, "\n", 1);
}

static void
compose(struct message *m, const char *ident, const struct log_entry *entry)
{
	const struct log_field *field = entry->about;
	char priority[8];

	(void)snprintf(
	    priority, sizeof(priority), "%d", (int)entry->kind.level);
	add_field(m, "MESSAGE", entry->text);
	add_field(m, "PRIORITY", priority);
	add_field(m, "SYSLOG_IDENTIFIER", ident);
	if (entry->kind.message_id != NULL)
		add_field(m, "MESSAGE_ID", entry->kind.message_id);
	if (entry->kind.code != NULL)
		add_field(m, "NLBD_EVENT", entry->kind.code);
	for (; field != NULL && field->name != NULL; field++)
		add_field(m, field->name, field->value);
}

int
journal_send(const char *path, const char *ident, const struct log_entry *entry)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct message m = {.len = 0};
	int fd, rc = 0;

	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path));
	compose(&m, ident, entry);
	if (m.error < 0)
		return m.error;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	if (sendto(fd, m.bytes, m.len, MSG_NOSIGNAL, (struct sockaddr *)&to,
		sizeof(to)) == -1)
		rc = -errno;
	(void)close(fd);
	return rc;
}
