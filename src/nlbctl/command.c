/*
 * The command line and its mistakes, by the table of verbs.
 */
#include "nlbctl/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <bsd/stdlib.h>

#include "nlbctl/format.h"

#define NUMBER_MAX 100000
#define NAMES_MAX 48 /* candidates of a "did you mean" */

/* One option as it stood on the command line. */
struct raw_option {
	const char *name; /* long one, without dashes, not terminated */
	size_t name_len;  /* 0: letter */
	char letter;
	const char *value; /* "--name=value", "-xvalue", or NULL */
};

struct parser {
	int argc, next;
	char *const *argv;
	struct command_line line;
	/* A verb's options may come before it: kept until it is known. */
	struct raw_option pending[COMMAND_PARAMS_MAX];
	size_t n_pending;
	char *error;
};

static int __attribute__((format(printf, 2, 3)))
fail(struct parser *parser, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(parser->error, COMMAND_ERROR_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* "; did you mean 'x'?", or nothing. */
static const char *
hint(const char *text, const char *const *names, size_t n, const char *dashes,
    char *buf, size_t size)
{
	const char *name = suggest(text, names, n);

	buf[0] = '\0';
	if (name != NULL)
		snprintf(buf, size, "; did you mean '%s%s'?", dashes, name);
	return buf;
}

static int
fail_unknown_verb(struct parser *parser, const char *verb)
{
	const char *names[NAMES_MAX];
	char text[64];
	size_t i;

	for (i = 0; i < n_commands && i < NAMES_MAX - 1; i++)
		names[i] = commands[i].verb;
	names[i++] = "help";
	return fail(parser, "unknown verb '%s'%s", verb,
	    hint(verb, names, i, "", text, sizeof(text)));
}

static int
fail_unknown_option(struct parser *parser, const struct raw_option *raw)
{
	const struct command *command = parser->line.command;
	const char *names[NAMES_MAX];
	char text[64], name[64];
	size_t i, n = 0;

	if (raw->name_len == 0)
		return fail(parser, "unknown option '-%c'", raw->letter);
	for (i = 0; i < COMMAND_OPTION_COUNT; i++)
		names[n++] = command_options[i].name;
	for (i = 0; command != NULL && command->params[i].option != NULL; i++)
		names[n++] = command->params[i].option;
	snprintf(name, sizeof(name), "%.*s", (int)raw->name_len, raw->name);
	return fail(parser, "unknown option '--%s'%s%s%s", name,
	    command == NULL ? "" : " of ", command == NULL ? "" : command->verb,
	    hint(name, names, n, "--", text, sizeof(text)));
}

static bool
raw_is(const struct raw_option *raw, char letter, const char *name)
{
	if (raw->name_len == 0)
		return letter != '\0' && raw->letter == letter;
	return strlen(name) == raw->name_len &&
	       strncmp(raw->name, name, raw->name_len) == 0;
}

/* The value: attached, or the next word. NULL: there is none, and the error
 * says so. */
static const char *
take_value(struct parser *parser, const struct raw_option *raw,
    const char *name, const char *arg)
{
	const char *value = raw->value;

	if (value == NULL && parser->next < parser->argc)
		value = parser->argv[parser->next++];
	if (value == NULL || value[0] == '\0') {
		(void)fail(parser, "option '--%s' needs %s", name, arg);
		return NULL;
	}
	return value;
}

static int
set_output(struct parser *parser, const char *value)
{
	if (strcmp(value, "json") == 0)
		parser->line.json = true;
	else if (strcmp(value, "table") == 0)
		parser->line.json = false;
	else
		return fail(
		    parser, "--output is table or json, not '%s'", value);
	return 0;
}

static int
set_global(struct parser *parser, const struct raw_option *raw,
    enum command_option_id option)
{
	const char *value;

	if (command_options[option].arg == NULL) {
		if (raw->value != NULL)
			return fail(parser, "option '--%s' takes no value",
			    command_options[option].name);
		parser->line.action = option == COMMAND_OPTION_HELP
					  ? COMMAND_HELP
					  : COMMAND_VERSION;
		return 0;
	}
	value = take_value(parser, raw, command_options[option].name,
	    command_options[option].arg);
	if (value == NULL)
		return -EINVAL;
	if (option == COMMAND_OPTION_OUTPUT)
		return set_output(parser, value);
	parser->line.socket = value;
	return 0;
}

static const char flag_given[] = "true";

static int
set_param(struct parser *parser, size_t i, const char *value)
{
	const struct command_param *param = &parser->line.command->params[i];
	const char *error = NULL;

	if (parser->line.values[i] != NULL)
		return fail(
		    parser, "option '--%s' stands there twice", param->option);
	if ((param->flags & COMMAND_NUMBER) != 0)
		(void)strtonum(value, 1, NUMBER_MAX, &error);
	if (error != NULL)
		return fail(parser,
		    "option '--%s' needs a number from 1 to %d, not '%s'",
		    param->option, NUMBER_MAX, value);
	parser->line.values[i] = value;
	return 0;
}

/* With -arn or -arns behind the name, as the AWS CLI has it? */
static bool
raw_is_arn(const struct raw_option *raw, const struct command_param *param)
{
	size_t len = strlen(param->option), tail;

	if ((param->flags & COMMAND_ARN) == 0 || raw->name_len <= len ||
	    strncmp(raw->name, param->option, len) != 0)
		return false;
	tail = raw->name_len - len;
	return (tail == strlen("-arn") || tail == strlen("-arns")) &&
	       strncmp(raw->name + len, "-arns", tail) == 0;
}

/* The index of a verb's option, or -1. */
static int
find_param(const struct command *command, const struct raw_option *raw)
{
	int i;

	for (i = 0; command->params[i].option != NULL; i++) {
		const struct command_param *param = &command->params[i];
		bool short_too = (param->flags & COMMAND_LETTER) != 0;

		if (raw_is(raw, short_too ? param->option[0] : '\0',
			param->option) ||
		    raw_is_arn(raw, param))
			return i;
	}
	return -1;
}

/* Is there any verb with such an option? */
static const struct command_param *
find_param_anywhere(const struct raw_option *raw)
{
	size_t i;
	int j;

	for (i = 0; i < n_commands; i++) {
		j = find_param(&commands[i], raw);
		if (j >= 0)
			return &commands[i].params[j];
	}
	return NULL;
}

/* A flag's value is there when the flag is. */
static const char *
take_param_value(struct parser *parser, const struct raw_option *raw,
    const struct command_param *param)
{
	if ((param->flags & COMMAND_FLAG) == 0)
		return take_value(parser, raw, param->option, param->arg);
	if (raw->value != NULL && raw->value != flag_given) {
		(void)fail(
		    parser, "option '--%s' takes no value", param->option);
		return NULL;
	}
	return flag_given;
}

/* The words of a list up to the next option. */
static void
take_more(struct parser *parser, size_t i)
{
	parser->line.more[i] = parser->argv + parser->next;
	while (parser->next < parser->argc &&
	       parser->argv[parser->next][0] != '-') {
		parser->line.n_more[i]++;
		parser->next++;
	}
}

static int
set_verb_option(struct parser *parser, struct raw_option *raw)
{
	const struct command *command = parser->line.command;
	const struct command_param *param;
	const char *value;
	bool is_last;
	int i, rc;

	if (command == NULL) {
		param = find_param_anywhere(raw);
		if (param == NULL)
			return fail_unknown_option(parser, raw);
		if (parser->n_pending == COMMAND_PARAMS_MAX)
			return fail(parser, "too many options");
		raw->value = take_param_value(parser, raw, param);
		if (raw->value == NULL)
			return -EINVAL;
		parser->pending[parser->n_pending++] = *raw;
		return 0;
	}
	i = find_param(command, raw);
	if (i < 0)
		return fail_unknown_option(parser, raw);
	param = &command->params[i];
	is_last = raw->value == NULL && (param->flags & COMMAND_LIST) != 0;
	value = take_param_value(parser, raw, param);
	if (value == NULL)
		return -EINVAL;
	rc = set_param(parser, (size_t)i, value);
	if (rc == 0 && is_last)
		take_more(parser, (size_t)i);
	return rc;
}

static int
parse_option(struct parser *parser, const char *word)
{
	struct raw_option raw = {0};
	int i;

	if (word[1] == '-') {
		raw.name = word + 2;
		raw.name_len = strcspn(raw.name, "=");
		if (raw.name[raw.name_len] == '=')
			raw.value = raw.name + raw.name_len + 1;
		if (raw.name_len == 0)
			return fail(parser, "unknown option '%s'", word);
	} else {
		raw.letter = word[1];
		raw.value = word[2] == '\0' ? NULL : word + 2;
	}
	for (i = 0; i < COMMAND_OPTION_COUNT; i++) {
		if (raw_is(&raw, command_options[i].letter,
			command_options[i].name))
			return set_global(
			    parser, &raw, (enum command_option_id)i);
	}
	return set_verb_option(parser, &raw);
}

static const struct command *
find_command(const char *verb)
{
	size_t i;

	for (i = 0; i < n_commands; i++) {
		if (strcmp(commands[i].verb, verb) == 0)
			return &commands[i];
	}
	return NULL;
}

static int
set_operand(struct parser *parser, const char *word)
{
	const struct command *command = parser->line.command;

	if (command->operand == NULL)
		return fail(
		    parser, "%s takes no argument '%s'", command->verb, word);
	if (parser->line.operand != NULL)
		return fail(parser, "%s takes one %s only, not '%s' too",
		    command->verb, command->operand, word);
	parser->line.operand = word;
	return 0;
}

static int
parse_verb(struct parser *parser, const char *word)
{
	size_t i;
	int rc;

	if (parser->line.command != NULL)
		return set_operand(parser, word);
	if (strcmp(word, "help") == 0) {
		parser->line.action = COMMAND_HELP;
		return 0;
	}
	parser->line.command = find_command(word);
	if (parser->line.command == NULL)
		return fail_unknown_verb(parser, word);
	for (i = 0; i < parser->n_pending; i++) {
		rc = set_verb_option(parser, &parser->pending[i]);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
check_complete(struct parser *parser)
{
	const struct command *command = parser->line.command;

	if (command == NULL)
		return fail(parser, "no verb given");
	if (command->operand_required && parser->line.operand == NULL)
		return fail(
		    parser, "%s needs %s", command->verb, command->operand);
	for (size_t i = 0; command->params[i].option != NULL; i++) {
		const struct command_param *param = &command->params[i];

		if ((param->flags & COMMAND_REQUIRED) != 0 &&
		    parser->line.values[i] == NULL)
			return fail(parser, "%s needs --%s %s", command->verb,
			    param->option, param->arg);
	}
	return 0;
}

int
command_line_parse(int argc, char *const *argv, struct command_line *line,
    char error[COMMAND_ERROR_MAX])
{
	struct parser parser = {
	    .argc = argc, .next = 1, .argv = argv, .error = error};
	bool words_only = false;
	const char *word;
	int rc;

	while (parser.next < argc) {
		word = argv[parser.next++];
		if (!words_only && strcmp(word, "--") == 0) {
			words_only = true;
			continue;
		}
		if (!words_only && word[0] == '-' && word[1] != '\0')
			rc = parse_option(&parser, word);
		else
			rc = parse_verb(&parser, word);
		if (rc != 0)
			return rc;
	}
	if (parser.line.action == COMMAND_REQUEST) {
		rc = check_complete(&parser);
		if (rc != 0)
			return rc;
	}
	*line = parser.line;
	return 0;
}

const char *
command_line_value(const struct command_line *line, const char *option)
{
	for (size_t i = 0; line->command->params[i].option != NULL; i++) {
		if (strcmp(line->command->params[i].option, option) == 0)
			return line->values[i];
	}
	return NULL;
}
