/*
 * An admin server before a fake daemon, and clients on the same loop.
 */
#include "admin_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/expect.h"
#include "support/loop_support.h"

static int
open_listener(struct admin_fixture *f, int family)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&f->addr;

	f->listen_fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->listen_fd == -1)
		return -1;
	/* No name given: the kernel picks a free abstract one, no file. */
	f->addr.ss_family = (sa_family_t)family;
	f->addr_len = sizeof(sa_family_t);
	if (family == AF_INET) {
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		f->addr_len = sizeof(*in);
	}
	if (bind(f->listen_fd, (struct sockaddr *)&f->addr, f->addr_len) != 0)
		return -1;
	f->addr_len = sizeof(f->addr);
	if (listen(f->listen_fd, 128) != 0 ||
	    getsockname(
		f->listen_fd, (struct sockaddr *)&f->addr, &f->addr_len) != 0)
		return -1;
	return 0;
}

static struct admin_fixture *
fixture_create(int family)
{
	struct admin_fixture *f = calloc(1, sizeof(*f));

	if (f == NULL || uv_loop_init(&f->loop) != 0 ||
	    open_listener(f, family) != 0)
		return NULL;
	admin_fake_init(&f->fake, uv_now(&f->loop));
	return f;
}

int
admin_fixture_setup(void **state)
{
	struct admin_fixture *f = fixture_create(AF_UNIX);

	*state = f;
	return f == NULL ? -1
			 : admin_create(&f->loop, f->listen_fd, getuid(),
			       &f->fake.ops, &f->admin);
}

int
admin_fixture_setup_http(void **state)
{
	struct admin_fixture *f = fixture_create(AF_INET);

	*state = f;
	return f == NULL ? -1
			 : admin_create_http(
			       &f->loop, f->listen_fd, &f->fake.ops, &f->admin);
}

int
admin_fixture_teardown(void **state)
{
	struct admin_fixture *f = *state;
	bool finished;
	size_t i;

	for (i = 0; i < f->n_clients; i++)
		client_close(&f->clients[i]);
	admin_destroy(f->admin);
	finished = loop_finish(&f->loop);
	admin_fake_fini(&f->fake);
	close(f->listen_fd);
	free(f);
	return finished ? 0 : -1;
}

static void
on_client(uv_poll_t *poll, int status, int events)
{
	struct admin_client *client = poll->data;
	ssize_t n;

	(void)events;
	do {
		n = recv(client->fd, client->text + client->n_text,
		    sizeof(client->text) - 1 - client->n_text, MSG_DONTWAIT);
		if (n > 0)
			client->n_text += (size_t)n;
	} while (n > 0 && client->n_text < sizeof(client->text) - 1);
	client->text[client->n_text] = '\0';
	/* libuv stops the handle after a socket error: this call is the last.
	 */
	if (status != 0 || n == 0 || (n == -1 && errno != EAGAIN)) {
		client->ended = true;
		uv_poll_stop(poll);
	}
}

int
client_socket(const struct admin_fixture *f, int flags)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	int fd =
	    socket(f->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	assert_true(fd != -1);
	if (f->source != NULL) {
		assert_i64(inet_pton(AF_INET, f->source, &from.sin_addr), 1);
		assert_i64(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	}
	return fd;
}

struct admin_client *
client_open(struct admin_fixture *f)
{
	struct admin_client *client;

	assert_true(f->n_clients < CLIENTS_MAX);
	client = &f->clients[f->n_clients];
	client->fd = client_socket(f, 0);
	assert_i64(
	    connect(client->fd, (struct sockaddr *)&f->addr, f->addr_len), 0);
	assert_i64(uv_poll_init(&f->loop, &client->poll, client->fd), 0);
	client->poll.data = client;
	f->n_clients++;
	assert_i64(uv_poll_start(&client->poll, UV_READABLE, on_client), 0);
	return client;
}

static void
on_client_gone(uv_poll_t *poll, int status, int events)
{
	struct admin_client *client = poll->data;

	(void)status;
	(void)events;
	client->ended = true;
	uv_poll_stop(poll);
}

void
client_stop_reading(struct admin_client *client)
{
	assert_i64(
	    uv_poll_start(&client->poll, UV_DISCONNECT, on_client_gone), 0);
}

void
client_send(struct admin_client *client, const void *bytes, size_t n)
{
	assert_i64(send(client->fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

void
client_close(struct admin_client *client)
{
	if (client->fd == -1)
		return;
	uv_close((uv_handle_t *)&client->poll, NULL);
	close(client->fd);
	client->fd = -1;
}

bool
client_has_ended(void *client)
{
	return ((struct admin_client *)client)->ended;
}

bool
client_has_text(void *client)
{
	return ((struct admin_client *)client)->n_text > 0;
}

struct admin_client *
client_ask(struct admin_fixture *f, const char *line)
{
	struct admin_client *client = client_open(f);
	char head[512];
	int n;

	n = snprintf(head, sizeof(head),
	    "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
	    line);
	assert_true(n > 0 && (size_t)n < sizeof(head));
	client_send(client, head, (size_t)n);
	return client;
}

int
client_answer(
    struct admin_fixture *f, struct admin_client *client, json_t **body)
{
	const char *text;
	int status = 0;

	assert_true(loop_run_until(
	    &f->loop, client_has_ended, client, LOOP_DEADLINE_MS));
	assert_i64(sscanf(client->text, "HTTP/1.1 %d ", &status), 1);
	text = strstr(client->text, "\r\n\r\n");
	assert_non_null(text);
	if (body != NULL) {
		*body = json_loads(text + 4, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(*body);
	}
	return status;
}

int
ask(struct admin_fixture *f, const char *line, json_t **body)
{
	return client_answer(f, client_ask(f, line), body);
}
