/*
 * A config text put through the parser, with all it has to say, for the tests
 * of nlb/conf.
 */
#ifndef TESTS_CONF_CASE_H
#define TESTS_CONF_CASE_H

#include "support/expect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nlb/conf.h"

/* A listener and a group that are sound, to add lines to. */
#define CASE_LISTENER             \
	"[listener submission]\n" \
	"Port = 587\n"            \
	"SecurityGroups = none\n" \
	"DefaultActions = forward:smtp\n"
#define CASE_GROUP              \
	"[target-group smtp]\n" \
	"Port = 587\n"          \
	"Target.a = Id=10.20.0.25\n"

struct conf_case {
	int result;
	struct conf *conf; /* NULL unless result is 0 */
	struct conf_diags diags;
	char *text; /* the diagnostics as printed, for "FILE" */
};

static inline char *
conf_case_print_diags(const struct conf_diags *diags, const char *name)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		fail_msg("open_memstream: %s", strerror(errno));
	conf_diags_print(diags, name, out);
	fclose(out);
	return text;
}

static inline struct conf_case
conf_case_bytes(const char *bytes, size_t len, bool strict_aws)
{
	const struct conf_options options = {.strict_aws = strict_aws};
	struct conf_case c = {0};

	c.result = conf_parse(bytes, len, &options, &c.conf, &c.diags);
	c.text = conf_case_print_diags(&c.diags, "FILE");
	return c;
}

static inline struct conf_case
conf_case_text(const char *text)
{
	return conf_case_bytes(text, strlen(text), false);
}

static inline void
conf_case_fini(struct conf_case *c)
{
	conf_destroy(c->conf);
	conf_diags_fini(&c->diags);
	free(c->text);
}

/* A text that must be taken without a word. */
static inline struct conf *
conf_case_sound(const char *text)
{
	struct conf_case c = conf_case_text(text);
	struct conf *conf = c.conf;

	if (c.result != 0 || c.diags.n != 0)
		fail_msg("not taken in silence:\n%s\n%s", c.text, text);
	c.conf = NULL;
	conf_case_fini(&c);
	return conf;
}

static inline char *
conf_case_print(const struct conf *conf)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		fail_msg("open_memstream: %s", strerror(errno));
	assert_errno(conf_print(conf, out), 0);
	fclose(out);
	return text;
}

/* A path below the top of the source tree. */
static inline const char *
conf_case_path(const char *path)
{
	static char buf[4096];
	const char *root = getenv("NLBD_SOURCE_ROOT");

	snprintf(buf, sizeof(buf), "%s/%s", root != NULL ? root : ".", path);
	return buf;
}

/* Reads a whole file; fails the test when there is none. */
static inline char *
conf_case_read(const char *path, size_t *len)
{
	FILE *in = fopen(path, "rb");
	char *bytes = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&bytes, &size);
	int c;

	if (in == NULL || out == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	while ((c = getc(in)) != EOF)
		putc(c, out);
	fclose(in);
	fclose(out);
	*len = size;
	return bytes;
}

#endif
