/*
 * nlbctl completion: a script for bash, from the table of verbs.
 */
#include "nlbctl/verb.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static void
print_verbs(FILE *file)
{
	for (size_t i = 0; i < n_commands; i++)
		fprintf(file, "%s ", commands[i].verb);
	fputs("help", file);
}

/* "a|b" as words. */
static void
print_alternatives(FILE *file, const char *arg)
{
	for (; *arg != '\0'; arg++)
		fputc(*arg == '|' ? ' ' : *arg, file);
}

/* Each with a blank in front. */
static void
print_words(FILE *file, command_word word)
{
	for (size_t i = 0; word != NULL && word(i) != NULL; i++)
		fprintf(file, " %s", word(i));
}

/* What may follow an option: words, a file, or nothing that is known. */
static void
print_value_case(FILE *file, const struct command *command,
    const struct command_param *param)
{
	if (param->arg == NULL)
		return;
	fprintf(file, "\t'%s '--%s)\n", command->verb, param->option);
	if ((param->flags & COMMAND_FILE) != 0) {
		fputs("\t\tfiles=1\n", file);
	} else if ((param->flags & COMMAND_WORDS) != 0) {
		fputs("\t\twords='", file);
		print_alternatives(file, param->arg);
		fputs("'\n", file);
	} else if ((param->flags & COMMAND_OPTION_WORD) != 0) {
		fputs("\t\twords='", file);
		print_words(file, command->option_word);
		fputs("'\n", file);
	}
	fputs("\t\t;;\n", file);
}

static void
print_value_cases(FILE *file)
{
	const struct command_param *p;

	for (size_t i = 0; i < n_commands; i++) {
		for (p = commands[i].params; p->option != NULL; p++)
			print_value_case(file, &commands[i], p);
	}
}

/* The options and operands of each verb. */
static void
print_verb_cases(FILE *file)
{
	const struct command_param *p;

	for (size_t i = 0; i < n_commands; i++) {
		const struct command *command = &commands[i];

		fprintf(file, "\t%s) words=\"$options", command->verb);
		for (p = command->params; p->option != NULL; p++)
			fprintf(file, " --%s", p->option);
		print_words(file, command->operand_word);
		fprintf(file, "\"%s ;;\n",
		    command->operand_is_file ? " files=1" : "");
	}
}

static void
print_globals(FILE *file)
{
	for (size_t i = 0; i < COMMAND_OPTION_COUNT; i++)
		fprintf(
		    file, "%s--%s", i == 0 ? "" : " ", command_options[i].name);
}

int
verb_completion(const struct command_run *run)
{
	FILE *file = run->out->file;

	fputs("# bash completion for nlbctl, made by `nlbctl completion`.\n"
	      "_nlbctl()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} verb='' words='' files='' "
	      "i\n"
	      "\tlocal prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal verbs='",
	    file);
	print_verbs(file);
	fputs("'\n\tlocal options='", file);
	print_globals(file);
	fputs("'\n\n\tCOMPREPLY=()\n"
	      "\t# bash takes --option=value apart.\n"
	      "\tcase $cur in\n"
	      "\t=) cur='' ;;\n"
	      "\t*) [ \"$prev\" != = ] || prev=${COMP_WORDS[COMP_CWORD-2]} ;;\n"
	      "\tesac\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase \" $verbs \" in\n"
	      "\t\t*\" ${COMP_WORDS[i]} \"*) verb=${COMP_WORDS[i]}; break ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tcase $prev in\n"
	      "\t-s | --socket)\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	      "\t\treturn ;;\n"
	      "\t-o | --output)\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W 'table json' -- "
	      "\"$cur\")\n"
	      "\t\treturn ;;\n"
	      "\tesac\n"
	      "\tcase \"$verb $prev\" in\n",
	    file);
	print_value_cases(file);
	fputs("\t*)\n\t\tcase $verb in\n\t\t'') words=\"$options $verbs\" ;;\n"
	      "\t\thelp) words=$verbs ;;\n",
	    file);
	print_verb_cases(file);
	fputs("\t\tesac\n\t\t;;\n\tesac\n"
	      "\t# A directory gets its slash, a blank in a name its "
	      "backslash.\n"
	      "\t[ -z \"$files\" ] || compopt -o filenames 2>/dev/null || :\n"
	      "\t[ -z \"$files$words\" ] ||\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen ${files:+-f} -W "
	      "\"$words\" -- \"$cur\")\n"
	      "}\ncomplete -F _nlbctl nlbctl\n",
	    file);
	return EX_OK;
}
