/*
 * nlbctl and an admin server in a child process.
 */
#include "nlbctl_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nlbctl/run.h"
#include "support/expect.h"

int
nlbctl_setup(void **state)
{
	struct nlbctl_fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	snprintf(f->dir, sizeof(f->dir), "/tmp/nlbctl-test-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	*state = f;
	return 0;
}

void
nlbctl_stop_server(struct nlbctl_fixture *f)
{
	if (f->server != 0) {
		kill(f->server, SIGKILL);
		waitpid(f->server, NULL, 0);
		f->server = 0;
	}
	unlink(f->path);
}

int
nlbctl_teardown(void **state)
{
	struct nlbctl_fixture *f = *state;

	nlbctl_stop_server(f);
	rmdir(f->dir);
	free(f->out);
	free(f->err);
	free(f);
	return 0;
}

int
nlbctl_listen_at(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd != -1);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_i64(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_i64(listen(fd, 16), 0);
	return fd;
}

/* Never returns: the test ends it. */
static void
serve_admin(int fd, void (*change)(struct admin_fake *))
{
	static struct admin_fake fake;
	struct admin *admin;
	uv_loop_t loop;

	if (uv_loop_init(&loop) != 0)
		_exit(1);
	admin_fake_init(&fake, uv_now(&loop));
	if (change != NULL)
		change(&fake);
	if (admin_create(&loop, fd, getuid(), &fake.ops, &admin) != 0)
		_exit(1);
	uv_run(&loop, UV_RUN_DEFAULT);
	_exit(0);
}

void
nlbctl_start_server(
    struct nlbctl_fixture *f, void (*change)(struct admin_fake *))
{
	int fd = nlbctl_listen_at(f->path);

	f->server = fork();
	assert_true(f->server != -1);
	if (f->server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve_admin(fd, change);
	}
	close(fd);
}

int
nlbctl_run_words(struct nlbctl_fixture *f, const char *words)
{
	char *argv[16] = {strdup("nlbctl")};
	char *copy = strdup(words), *rest = copy, *word;
	struct output out = {0};
	size_t size;
	FILE *err;
	int argc = 1, code;

	free(f->out);
	free(f->err);
	assert_non_null(copy);
	while ((word = strsep(&rest, " ")) != NULL && argc < 15)
		argv[argc++] = word;
	out.file = open_memstream(&f->out, &size);
	err = open_memstream(&f->err, &size);
	assert_true(out.file != NULL && err != NULL);
	code = nlbctl_run(argc, argv, f->path, &out, err);
	fclose(out.file);
	fclose(err);
	free(argv[0]);
	free(copy);
	return code;
}
