/*
 * nlbctl explain: what a code means, what it comes from, what to do. It needs
 * no daemon: the texts are compiled in.
 */
#include "nlbctl/verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "nlb/explain.h"
#include "nlbctl/format.h"

#define CODES_MAX 256

/* Codes that stand for more than one thing are in the table more than once. */
const char *
verb_explain_word(size_t i)
{
	return i < explain_count() ? explain_at(i).code : NULL;
}

/* Sentences, one a line, as a list of strings. */
static json_t *
sentences(const char *text)
{
	json_t *list = json_array();
	size_t len;

	while (*text != '\0') {
		len = strcspn(text, "\n");
		json_array_append_new(list, json_stringn(text, len));
		text += len + (text[len] == '\n');
	}
	return list;
}

static json_t *
explanation_json(const struct explanation *e)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:o}", "code", e->code, "kind",
	    e->kind, "meaning", e->meaning, "causes", sentences(e->causes),
	    "next_steps", sentences(e->steps));
}

static void
print_sentences(const struct output *out, const char *title, const char *text)
{
	json_t *list = sentences(text);
	const json_t *sentence;
	size_t i;

	if (json_array_size(list) > 0) {
		fputc('\n', out->file);
		output_styled(out, STYLE_BOLD, "%s", title);
		fputc('\n', out->file);
	}
	json_array_foreach(list, i, sentence)
	    output_wrapped(out, "  - ", json_string_value(sentence));
	json_decref(list);
}

static void
print_explanation(const struct output *out, const struct explanation *e)
{
	output_styled(out, STYLE_BOLD, "%s", e->code);
	fprintf(out->file, " (%s)\n", e->kind);
	output_wrapped(out, "  ", e->meaning);
	print_sentences(out, "It usually comes from:", e->causes);
	print_sentences(out, "What to do:", e->steps);
}

/* All codes with their meaning, kind by kind. */
static void
print_list(const struct output *out)
{
	const char *kind = "";
	char first[64];

	for (size_t i = 0; i < explain_count(); i++) {
		struct explanation e = explain_at(i);

		if (strcmp(kind, e.kind) != 0) {
			if (i > 0)
				fputc('\n', out->file);
			output_styled(out, STYLE_BOLD, "%s:", e.kind);
			fputc('\n', out->file);
			kind = e.kind;
		}
		snprintf(first, sizeof(first), "  %-30s ", e.code);
		output_wrapped(out, first, e.meaning);
	}
}

static int
unknown_code(const struct command_run *run, const char *code)
{
	const char *codes[CODES_MAX];
	const char *near;
	size_t n = 0;
	char text[256];

	while (n < CODES_MAX && verb_explain_word(n) != NULL) {
		codes[n] = verb_explain_word(n);
		n++;
	}
	near = suggest(code, codes, n);
	snprintf(text, sizeof(text),
	    "nothing here is called '%.64s'%s%s%s\n"
	    "`nlbctl explain` lists all codes.",
	    code, near == NULL ? "" : "; did you mean '",
	    near == NULL ? "" : near, near == NULL ? "" : "'?");
	verb_complain(run->err, text);
	return EX_DATAERR;
}

int
verb_explain(const struct command_run *run)
{
	const char *code = run->line->operand;
	json_t *list = json_array(), *root;
	size_t n = 0;
	int exit_code = EX_OK;

	for (size_t i = 0; i < explain_count(); i++) {
		struct explanation e = explain_at(i);

		if (code != NULL && !explain_matches(&e, code))
			continue;
		json_array_append_new(list, explanation_json(&e));
		if (code != NULL && !run->line->json) {
			if (n > 0)
				fputc('\n', run->out->file);
			print_explanation(run->out, &e);
		}
		n++;
	}
	root = json_pack("{s:o}", "explanations", list);
	if (n == 0)
		exit_code = unknown_code(run, code);
	else if (run->line->json)
		exit_code = verb_print_json(run, root);
	else if (code == NULL)
		print_list(run->out);
	json_decref(root);
	return exit_code;
}
