/*
 * The command line of nlbctl.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nlbctl/command.h"
#include "support/expect.h"

#define WORDS_MAX 12

struct parsed {
	struct command_line line;
	char error[COMMAND_ERROR_MAX];
	int rc;
	char words[256]; /* argv's text; line points into it */
};

/* Parses words divided by single blanks, "nlbctl" put in front. */
static void
parse(struct parsed *p, const char *words)
{
	static char name[] = "nlbctl";
	char *argv[WORDS_MAX + 2] = {name};
	char *rest = p->words, *word;
	int argc = 1;

	memset(p, 0, sizeof(*p));
	snprintf(p->words, sizeof(p->words), "%s", words);
	while (words[0] != '\0' && (word = strsep(&rest, " ")) != NULL) {
		assert_true(argc <= WORDS_MAX);
		argv[argc++] = word;
	}
	p->rc = command_line_parse(argc, argv, &p->line, p->error);
}

static void
options_stand_before_or_after_the_verb(void **state)
{
	static const char *const lines[] = {
	    "-s /x -o json flows --limit 20",
	    "flows --limit 20 -s /x -o json",
	    "--limit 20 flows --output=json --socket=/x",
	    "--limit=20 -ojson -s/x flows",
	    "-s /nowhere -o table flows -s /x --output json --limit=20",
	};
	struct parsed p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		parse(&p, lines[i]);
		assert_i64(p.rc, 0);
		assert_i64(p.line.action, COMMAND_REQUEST);
		assert_str(p.line.command->verb, "flows");
		assert_str(p.line.socket, "/x");
		assert_true(p.line.json);
		assert_str(p.line.values[0], "20");
		assert_null(p.line.values[1]);
	}
}

static void
defaults_are_a_table_and_no_socket(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "status");
	assert_i64(p.rc, 0);
	assert_false(p.line.json);
	assert_null(p.line.socket);
	parse(&p, "-- status");
	assert_i64(p.rc, 0);
	assert_str(p.line.command->verb, "status");
}

static void
an_operand_stands_anywhere_behind_the_verb(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "explain -o json idle-timeout");
	assert_i64(p.rc, 0);
	assert_str(p.line.operand, "idle-timeout");
	parse(&p, "explain -- --code");
	assert_str(p.line.operand, "--code");
	parse(&p, "explain");
	assert_i64(p.rc, 0);
	assert_null(p.line.operand);
}

static void
help_and_version_need_no_verb(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "help");
	assert_i64(p.line.action, COMMAND_HELP);
	assert_null(p.line.command);
	parse(&p, "help flows");
	assert_i64(p.line.action, COMMAND_HELP);
	assert_str(p.line.command->verb, "flows");
	parse(&p, "help help");
	assert_i64(p.line.action, COMMAND_HELP);
	assert_null(p.line.command);
	parse(&p, "flows -h");
	assert_i64(p.line.action, COMMAND_HELP);
	assert_str(p.line.command->verb, "flows");
	parse(&p, "--version");
	assert_i64(p.line.action, COMMAND_VERSION);
	parse(&p, "-V");
	assert_i64(p.rc, 0);
	assert_i64(p.line.action, COMMAND_VERSION);
}

static void
mistakes_are_named_with_what_was_meant(void **state)
{
	static const struct {
		const char *words, *error;
	} rows[] = {
	    {"", "no verb given"},
	    {"-o json", "no verb given"},
	    {"stats", "unknown verb 'stats'; did you mean 'status'?"},
	    {"hlep", "unknown verb 'hlep'; did you mean 'help'?"},
	    {"xyzzy", "unknown verb 'xyzzy'"},
	    {"help stats", "unknown verb 'stats'; did you mean 'status'?"},
	    {"status flows", "status takes no argument 'flows'"},
	    {"explain a b", "explain takes one CODE only, not 'b' too"},
	    {"status -", "status takes no argument '-'"},
	    {"flows --limt 3",
		"unknown option '--limt' of flows; did you mean '--limit'?"},
	    {"--ouput json status",
		"unknown option '--ouput'; did you mean '--output'?"},
	    {"status --limit 3", "unknown option '--limit' of status"},
	    {"--limit 3 status", "unknown option '--limit' of status"},
	    {"status -x", "unknown option '-x'"},
	    {"status --=x", "unknown option '--=x'"},
	    {"status -s", "option '--socket' needs SOCKET"},
	    {"status --socket=", "option '--socket' needs SOCKET"},
	    {"flows --listener", "option '--listener' needs NAME"},
	    {"status --help=x", "option '--help' takes no value"},
	    {"status -o xml", "--output is table or json, not 'xml'"},
	    {"flows --limit 0",
		"option '--limit' needs a number from 1 to 100000, not '0'"},
	    {"flows --limit 1x",
		"option '--limit' needs a number from 1 to 100000, not '1x'"},
	    {"flows --limit 1 --limit 2",
		"option '--limit' stands there twice"},
	    {"--limit 1 --limit 2 --limit 3 --limit 4 --limit 5",
		"no verb given"},
	};
	struct parsed p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		parse(&p, rows[i].words);
		assert_errno(p.rc, -EINVAL);
		assert_str(p.error, rows[i].error);
	}
}

static char *
help_text(const struct command *command)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	command_help(file, command);
	assert_i64(fclose(file), 0);
	return text;
}

/* 80 columns are what every terminal has. */
static void
expect_lines_fit(const char *text)
{
	size_t len;

	while (*text != '\0') {
		len = strcspn(text, "\n");
		if (len > 80)
			print_error("%.*s\n", (int)len, text);
		assert_true(len <= 80);
		text += len + (text[len] == '\n');
	}
}

static void
help_names_every_verb_and_option_and_fits_the_terminal(void **state)
{
	const struct command_param *param;
	char *all = help_text(NULL), *one;
	size_t i;

	(void)state;
	expect_lines_fit(all);
	for (i = 0; i < n_commands; i++) {
		assert_contains(all, commands[i].verb);
		assert_contains(all, commands[i].help);
		one = help_text(&commands[i]);
		expect_lines_fit(one);
		for (param = commands[i].params; param->option != NULL; param++)
			assert_contains(one, param->option);
		free(one);
	}
	free(all);
}

static void
names_go_by_the_aws_clis_options_too(void **state)
{
	static const char *const lines[] = {
	    "describe-target-health --target-group smtp",
	    "describe-target-health --target-group-arn smtp",
	    "describe-target-health --target-group-arns=smtp",
	    "--target-group-arn smtp describe-target-health",
	};
	static const char *const wrong[] = {
	    "describe-target-health --target-group-a smtp",
	    "describe-target-health --target-group-arnss smtp",
	    "describe-target-health --target-groups smtp",
	    "flows --limit-arn 5",
	    "describe-target-health --target-group a --target-group-arn b",
	};
	struct parsed p;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		parse(&p, lines[i]);
		assert_i64(p.rc, 0);
		assert_str(command_line_value(&p.line, "target-group"), "smtp");
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		parse(&p, wrong[i]);
		assert_i64(p.rc, -EINVAL);
	}
}

int
main(void)
{
	const struct CMUnitTest nlbctl_command[] = {
	    cmocka_unit_test(options_stand_before_or_after_the_verb),
	    cmocka_unit_test(defaults_are_a_table_and_no_socket),
	    cmocka_unit_test(an_operand_stands_anywhere_behind_the_verb),
	    cmocka_unit_test(names_go_by_the_aws_clis_options_too),
	    cmocka_unit_test(help_and_version_need_no_verb),
	    cmocka_unit_test(mistakes_are_named_with_what_was_meant),
	    cmocka_unit_test(
		help_names_every_verb_and_option_and_fits_the_terminal),
	};

	return cmocka_run_group_tests(nlbctl_command, NULL, NULL);
}
