/*
 * The verbs of nlbctl, as one table, and the command line.
 */
#ifndef NLBCTL_COMMAND_H
#define NLBCTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "nlbctl/table.h"

#define COMMAND_DEFAULT_SOCKET "/run/nlbd/nlbd.sock"
#define COMMAND_DEFAULT_CONFIG "/etc/nlbd/nlbd.ini"
#define COMMAND_PARAMS_MAX 12
#define COMMAND_ERROR_MAX 256

enum {
	COMMAND_NUMBER = 1 << 0, /* 1 to 100000, checked here already */
	COMMAND_FLAG = 1 << 1,   /* takes no value */
	COMMAND_REQUIRED = 1 << 2,
	/* As the AWS CLI's shorthand: Name=value,Name=value. */
	COMMAND_FIELDS = 1 << 3,
	COMMAND_LIST = 1 << 4,   /* several of them, with blanks between */
	COMMAND_LETTER = 1 << 5, /* its first letter will do, as in -q */
	COMMAND_WORDS = 1 << 6,  /* arg lists all that may stand there: a|b */
	COMMAND_FILE = 1 << 7,
	/* A name or an ARN; as --option-arn and --option-arns too. */
	COMMAND_ARN = 1 << 8,
	/* The verb's option_word lists all that may stand there. */
	COMMAND_OPTION_WORD = 1 << 9,
};

/* An option of one verb. A GET's value goes into the query, a POST's into the
 * JSON object that is its body. */
struct command_param {
	const char *option; /* without the dashes; NULL ends the list */
	const char *arg;    /* its name in the synopsis */
	const char *query;  /* or the member's name */
	unsigned flags;
	const char *help;
};

/* 0, -EPROTO (the object is not what nlbd answers) or -ENOMEM. */
typedef int (*command_show)(const json_t *root, const struct output *out);

struct command_line;

struct command_run {
	const struct command_line *line;
	const char *socket_path;
	const struct output *out;
	FILE *err;
};

/* The i-th of what may stand somewhere: NULL after the last one. */
typedef const char *(*command_word)(size_t i);

/* A verb is one request, method and what follows it, or a function of its
 * own that returns the exit code; with both, the function may ask for the
 * request (verb_request). */
struct command {
	const char *verb;
	const char *help; /* one line, without a stop */
	const char *method;
	const char *json_path;  /* what --output json shows */
	const char *table_path; /* what show gets; may know more */
	command_show show;
	int (*run)(const struct command_run *run);
	/* A word behind the verb: its name in the synopsis, or NULL. */
	const char *operand;
	bool operand_required;
	command_word operand_word; /* for completion; NULL: not known */
	bool operand_is_file;
	command_word option_word; /* of its COMMAND_OPTION_WORD */
	struct command_param params[COMMAND_PARAMS_MAX + 1];
};

/* commands.c */
extern const struct command commands[];
extern const size_t n_commands;

/* Options of every verb. */
enum command_option_id {
	COMMAND_OPTION_SOCKET,
	COMMAND_OPTION_OUTPUT,
	COMMAND_OPTION_HELP,
	COMMAND_OPTION_VERSION,
	COMMAND_OPTION_COUNT,
};
struct command_option {
	char letter;
	const char *name, *arg, *help; /* arg NULL: takes no value */
};
extern const struct command_option command_options[COMMAND_OPTION_COUNT];

enum command_action {
	COMMAND_REQUEST, /* command is set */
	COMMAND_HELP,    /* of command, or of all when NULL */
	COMMAND_VERSION,
};

struct command_line {
	enum command_action action;
	const struct command *command;
	const char *operand; /* or NULL */
	const char *socket;  /* -s, or NULL */
	bool json;
	const char *values[COMMAND_PARAMS_MAX]; /* by command->params */
	/* The words behind the first one of a COMMAND_LIST. */
	char *const *more[COMMAND_PARAMS_MAX];
	size_t n_more[COMMAND_PARAMS_MAX];
};

/*
 * Options may stand before or after the verb. Returns 0, or -EINVAL with one
 * sentence in error and *line untouched. Strings stay argv's.
 */
int command_line_parse(int argc, char *const *argv, struct command_line *line,
    char error[COMMAND_ERROR_MAX]);

/* The value of an option of the verb, or NULL. */
const char *command_line_value(
    const struct command_line *line, const char *option);

/* The body of a POST with options: a JSON object. Returns 0 with a new
 * reference in *out (NULL where there is none to send), -EINVAL with one
 * sentence in error, or -ENOMEM. */
int command_line_body(const struct command_line *line, json_t **out,
    char error[COMMAND_ERROR_MAX]);

/* command NULL: all verbs. */
void command_help(FILE *file, const struct command *command);

#endif
