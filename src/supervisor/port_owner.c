/*
 * Who listens on a port: /proc/self/net/tcp and tcp6 name the sockets' inodes,
 * and /proc/PID/fd the processes that hold them. Good enough for a sentence in
 * an error message, and for telling our own orphaned workers from strangers.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bsd/string.h>

#include "base/log.h"
#include "ipc/worker_fd.h"
#include "supervisor/sockets.h"

#define INODES_MAX 256
#define TCP_LISTEN_STATE 0x0A

struct inodes {
	unsigned long list[INODES_MAX];
	unsigned uids[INODES_MAX];
	bool explained[INODES_MAX];
	size_t n;
};

/* The kernel prints addresses as 32-bit words in its own byte order. */
static bool
parse_address(const char *hex, struct addr *out)
{
	size_t len = strlen(hex);

	memset(out, 0, sizeof(*out));
	if (len != 8 && len != 32)
		return false;
	out->family = len == 8 ? ADDR_IPV4 : ADDR_IPV6;
	for (size_t word = 0; word < len / 8; word++) {
		char digits[9];
		uint32_t value;

		memcpy(digits, hex + word * 8, 8);
		digits[8] = '\0';
		value = (uint32_t)strtoul(digits, NULL, 16);
		memcpy(out->ip + word * 4, &value, 4);
	}
	return true;
}

/* An unspecified IPv6 address stands for IPv4 as well (dual stack). */
static bool
overlap(const struct addr *a, const struct addr *b)
{
	return addr_ip_equal(a, b) || addr_is_unspecified(a) ||
	       addr_is_unspecified(b);
}

/* The kernel lists the listening sockets first (net/ipv4/tcp_ipv4.c). What
 * comes after them can be any number of connections, in TIME_WAIT too, and the
 * kernel goes through all of them again for each read: ten seconds were seen
 * at some ten thousand. */
static void
read_listeners(const char *path, const struct addr *wanted, struct inodes *out)
{
	FILE *f = fopen(path, "re");
	char line[512];

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned port, state, uid;
		unsigned long inode;
		char hex[33];
		struct addr local;

		if (sscanf(line,
			"%*d: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x "
			"%*x:%*x %*x %u %*d %lu",
			hex, &port, &state, &uid, &inode) != 5)
			continue;
		if (state != TCP_LISTEN_STATE)
			break;
		if (port != wanted->port || !parse_address(hex, &local) ||
		    !overlap(&local, wanted) || out->n == INODES_MAX)
			continue;
		out->uids[out->n] = uid;
		out->explained[out->n] = false;
		out->list[out->n++] = inode;
	}
	fclose(f);
}

/* Does the process hold our lock file where our workers hold it? */
static bool
is_ours(const char *pid, const char *lock_path)
{
	char path[64];
	struct stat theirs, ours;

	if (atoi(pid) == (int)getpid())
		return true;
	snprintf(path, sizeof(path), "/proc/%.16s/fd/%d", pid, WORKER_FD_LOCK);
	return stat(path, &theirs) == 0 && stat(lock_path, &ours) == 0 &&
	       theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

static void
read_name(const char *pid, char *out, size_t size)
{
	char path[64], name[32] = "";
	FILE *f;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	f = fopen(path, "re");
	if (f != NULL) {
		n = fread(name, 1, sizeof(name) - 1, f);
		fclose(f);
	}
	while (n > 0 && name[n - 1] == '\n')
		n--;
	log_escape(out, size, n > 0 ? name : "?", n > 0 ? n : 1);
}

/* Marks the inodes this process holds; true if it holds any. */
static bool
holds_any(const char *pid, struct inodes *inodes)
{
	char path[320], target[64];
	struct dirent *e;
	bool any = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	d = opendir(path);
	if (d == NULL)
		return false;
	while ((e = readdir(d)) != NULL) {
		unsigned long inode;
		ssize_t n;

		snprintf(
		    path, sizeof(path), "/proc/%.16s/fd/%s", pid, e->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < inodes->n; i++)
			if (inodes->list[i] == inode)
				any = inodes->explained[i] = true;
	}
	closedir(d);
	return any;
}

static void
add_owner(char *who, size_t size, const char *pid)
{
	char name[64], text[128];

	read_name(pid, name, sizeof(name));
	snprintf(text, sizeof(text), "%s%s (pid %.16s)",
	    who[0] == '\0' ? "" : ", ", name, pid);
	strlcat(who, text, size);
}

bool
port_owner_is_stranger(
    const struct addr *a, const char *lock_path, char *who, size_t size)
{
	struct inodes inodes = {.n = 0};
	struct dirent *e;
	bool stranger = false;
	DIR *d;

	who[0] = '\0';
	read_listeners("/proc/self/net/tcp", a, &inodes);
	read_listeners("/proc/self/net/tcp6", a, &inodes);
	d = opendir("/proc");
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)e->d_name[0]) ||
		    !holds_any(e->d_name, &inodes) ||
		    is_ours(e->d_name, lock_path))
			continue;
		stranger = true;
		add_owner(who, size, e->d_name);
	}
	if (d != NULL)
		closedir(d);
	for (size_t i = 0; i < inodes.n && who[0] == '\0'; i++) {
		if (inodes.explained[i])
			continue;
		stranger = true;
		snprintf(who, size, "a process of user id %u", inodes.uids[i]);
	}
	if (inodes.n == 0) {
		/* Bound and not listening, or /proc is closed to us. */
		strlcpy(who, "another process", size);
		return true;
	}
	if (who[0] == '\0')
		strlcpy(who, "nlbd itself", size);
	return stranger;
}
