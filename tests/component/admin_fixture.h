/*
 * An admin server before a fake daemon, and clients on the same loop.
 */
#ifndef TESTS_ADMIN_FIXTURE_H
#define TESTS_ADMIN_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <jansson.h>
#include <uv.h>

#include "admin_fake.h"

#define CLIENTS_MAX 140
#define CLIENT_TEXT_MAX 65536

struct admin_client {
	uv_poll_t poll;
	int fd; /* -1: not open */
	char text[CLIENT_TEXT_MAX];
	size_t n_text;
	bool ended; /* EOF or reset came */
};

struct admin_fixture {
	uv_loop_t loop;
	struct admin_fake fake;
	struct admin *admin; /* NULL once a test destroyed it */
	int listen_fd;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	const char *source; /* of the next clients on TCP; NULL: 127.0.0.1 */
	struct admin_client clients[CLIENTS_MAX];
	size_t n_clients;
};

int admin_fixture_setup(void **state);
/* The read-only server on TCP. */
int admin_fixture_setup_http(void **state);
int admin_fixture_teardown(void **state);

/* For a client at f->source, not connected; flags as socket(2) takes them. */
int client_socket(const struct admin_fixture *f, int flags);
/* Connects; fails the test when it cannot. */
struct admin_client *client_open(struct admin_fixture *f);
void client_send(struct admin_client *client, const void *bytes, size_t n);
void client_close(struct admin_client *client);
/* Takes nothing more, but still sees the connection's end. */
void client_stop_reading(struct admin_client *client);
bool client_has_ended(void *client);
bool client_has_text(void *client);

/* Sends "line\r\nConnection: close" and the end of the head. */
struct admin_client *client_ask(struct admin_fixture *f, const char *line);
/* Runs the loop until the answer is whole; returns its status. The caller
 * frees *body, which may be NULL to ignore it. */
int client_answer(
    struct admin_fixture *f, struct admin_client *client, json_t **body);
/* Both in one. */
int ask(struct admin_fixture *f, const char *line, json_t **body);

#endif
