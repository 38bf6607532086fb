/*
 * The command lines of the verbs that change something, and the JSON that
 * follows from them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nlbctl/command.h"
#include "support/expect.h"

#define WORDS_MAX 16

struct parsed {
	struct command_line line;
	char error[COMMAND_ERROR_MAX];
	char words[512]; /* argv's text; line points into it and argv */
	char *argv[WORDS_MAX + 2];
	int rc;
	char *body; /* JSON, or NULL */
};

/* Words are divided by single blanks. */
static void
parse(struct parsed *p, const char *words)
{
	static char name[] = "nlbctl";
	char *rest = p->words, *word;
	json_t *body = NULL;
	int argc = 1;

	free(p->body);
	memset(p, 0, sizeof(*p));
	p->argv[0] = name;
	snprintf(p->words, sizeof(p->words), "%s", words);
	while ((word = strsep(&rest, " ")) != NULL) {
		assert_true(argc <= WORDS_MAX);
		p->argv[argc++] = word;
	}
	p->rc = command_line_parse(argc, p->argv, &p->line, p->error);
	if (p->rc == 0)
		p->rc = command_line_body(&p->line, &body, p->error);
	if (body != NULL)
		p->body = json_dumps(body, JSON_COMPACT);
	json_decref(body);
}

static void
shorthand_becomes_the_objects_of_the_api(void **state)
{
	static const struct {
		const char *words, *body;
	} rows[] = {
	    {"register-targets --target-group g --targets Id=10.0.0.1",
		"{\"TargetGroup\":\"g\",\"Targets\":[{\"Id\":\"10.0.0.1\"}]}"},
	    {"register-targets --targets Id=a,Port=25 Id=b --target-group g",
		"{\"TargetGroup\":\"g\",\"Targets\":[{\"Id\":\"a\",\"Port\":"
		"\"25\"},{\"Id\":\"b\"}]}"},
	    {"--target-group=g deregister-targets --runtime --targets=Id=a",
		"{\"TargetGroup\":\"g\",\"Targets\":[{\"Id\":\"a\"}],"
		"\"Runtime\":true}"},
	    {"--runtime --targets Id=a deregister-targets --target-group g",
		"{\"TargetGroup\":\"g\",\"Targets\":[{\"Id\":\"a\"}],"
		"\"Runtime\":true}"},
	    {"modify-target-group --target-group g --matcher "
	     "HttpCode=200,202 --health-check-port 25",
		"{\"TargetGroup\":\"g\",\"HealthCheckPort\":\"25\","
		"\"Matcher\":{\"HttpCode\":\"200,202\"}}"},
	    {"modify-listener-attributes --listener l --attributes "
	     "Key=a.b,Value=1 Value=2,Key=c",
		"{\"Listener\":\"l\",\"Attributes\":[{\"Key\":\"a.b\","
		"\"Value\":\"1\"},{\"Value\":\"2\",\"Key\":\"c\"}]}"},
	};
	struct parsed p = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		parse(&p, rows[i].words);
		assert_errno(p.rc, 0);
		assert_str(p.body, rows[i].body);
	}
	free(p.body);
}

static void
verbs_without_a_body_send_none(void **state)
{
	static const char *const lines[] = {
	    "status", "reload", "flows --limit 20"};
	struct parsed p = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		parse(&p, lines[i]);
		assert_errno(p.rc, 0);
		assert_null(p.body);
	}
}

static void
mistakes_are_named(void **state)
{
	static const struct {
		const char *words, *error;
	} rows[] = {
	    {"register-targets --targets Id=a",
		"register-targets needs --target-group NAME"},
	    {"register-targets --target-group g",
		"register-targets needs --targets Id=ADDRESS[,Port=N] ..."},
	    {"register-targets --target-group g --targets",
		"option '--targets' needs Id=ADDRESS[,Port=N] ..."},
	    {"register-targets --target-group g --targets 10.0.0.1",
		"option '--targets' takes Id=ADDRESS[,Port=N] ..."},
	    {"register-targets --target-group g --targets Id=a Port",
		"option '--targets' takes Id=ADDRESS[,Port=N] ..."},
	    {"register-targets --target-group g --targets =a",
		"option '--targets' takes Id=ADDRESS[,Port=N] ..."},
	    {"register-targets --target-group g --targets Id=a,Id=b",
		"option '--targets' takes Id=ADDRESS[,Port=N] ..."},
	    {"register-targets --target-group g --targets Id=\xff",
		"option '--targets' takes Id=ADDRESS[,Port=N] ..."},
	    {"register-targets --target-group \xff --targets Id=a",
		"option '--target-group' takes NAME"},
	    {"register-targets --runtime=yes --target-group g --targets Id=a",
		"option '--runtime' takes no value"},
	    {"--runtime=yes register-targets",
		"option '--runtime' takes no value"},
	    {"register-targets --target-group g --targets Id=a --targets Id=b",
		"option '--targets' stands there twice"},
	    {"modify-target-group --target-group g --matcher 200",
		"option '--matcher' takes HttpCode=CODES"},
	};
	struct parsed p = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		parse(&p, rows[i].words);
		assert_errno(p.rc, -EINVAL);
		assert_str(p.error, rows[i].error);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(shorthand_becomes_the_objects_of_the_api),
	    cmocka_unit_test(verbs_without_a_body_send_none),
	    cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests_name("nlbctl_body", tests, NULL, NULL);
}
