/*
 * The help, from the table of verbs.
 */
#include "nlbctl/command.h"

#include <stdio.h>
#include <string.h>

#define HELP_WIDTH 78
#define HELP_COLUMN 32 /* of the second column in a verb's help */

/* The synopsis of a verb, in lines that fit every terminal. */
static void
help_synopsis(FILE *file, const struct command *command)
{
	const char *operand = command->operand;
	int column = fprintf(file, "usage: nlbctl %s", command->verb);

	if (operand != NULL)
		column += fprintf(
		    file, command->operand_required ? " %s" : " [%s]", operand);

	for (const struct command_param *param = command->params;
	     param->option != NULL; param++) {
		bool required = (param->flags & COMMAND_REQUIRED) != 0;
		char text[HELP_WIDTH];
		int n = snprintf(text, sizeof(text), " %s--%s%s%s%s",
		    required ? "" : "[", param->option,
		    param->arg == NULL ? "" : " ",
		    param->arg == NULL ? "" : param->arg, required ? "" : "]");

		if (column + n > HELP_WIDTH)
			column = fprintf(file, "\n%6s", "") - 1;
		column += fprintf(file, "%s", text);
	}
	fputc('\n', file);
}

static void
help_verb(FILE *file, const struct command *command)
{
	const struct command_param *param;

	help_synopsis(file, command);
	fprintf(file, "\n%s: %s.\n", command->verb, command->help);
	if (command->params[0].option != NULL)
		fputc('\n', file);
	for (param = command->params; param->option != NULL; param++) {
		int used = (param->flags & COMMAND_LETTER) != 0
			       ? fprintf(file, "  -%c, ", param->option[0])
			       : fprintf(file, "  ");

		used += fprintf(file, "--%s %s", param->option,
		    param->arg == NULL ? "" : param->arg);

		/* What is too long for the column pushes the text down. */
		fprintf(file, "%s%*s%s\n", used < HELP_COLUMN ? "" : "\n",
		    used < HELP_COLUMN ? HELP_COLUMN - used : HELP_COLUMN, "",
		    param->help);
	}
}

void
command_help(FILE *file, const struct command *command)
{
	size_t i;

	if (command != NULL) {
		help_verb(file, command);
		return;
	}
	fputs("usage: nlbctl [-s SOCKET] [-o table|json] VERB [OPTION ...]\n\n"
	      "Verbs:\n",
	    file);
	for (i = 0; i < n_commands; i++)
		fprintf(
		    file, "  %-32s %s\n", commands[i].verb, commands[i].help);
	fprintf(file, "  %-32s %s\n\nOptions:\n", "help [VERB]",
	    "this text, or one verb's options");
	for (i = 0; i < COMMAND_OPTION_COUNT; i++)
		fprintf(file, "  -%c, --%s %-*s%s\n", command_options[i].letter,
		    command_options[i].name,
		    (int)(18 - strlen(command_options[i].name)),
		    command_options[i].arg == NULL ? ""
						   : command_options[i].arg,
		    command_options[i].help);
	fputs("\nnlbctl(8) explains the columns, states, reasons and exit "
	      "codes.\n",
	    file);
}
