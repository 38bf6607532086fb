/*
 * Changing an INI text as its owner would by hand: only the lines that must
 * change do. Comments, order, blanks and line ends stay. Pure: text in, text
 * out.
 */
#ifndef NLB_CONF_EDIT_H
#define NLB_CONF_EDIT_H

#include <stddef.h>

#include "nlb/attributes.h"

struct conf_edit {
	enum conf_section_kind kind;
	const char *section; /* its name; "" where kind has none */
	const char *key;     /* with its label */
	const char *value;   /* unquoted; NULL: the line goes */
};

/*
 * text is one that conf_parse took. Each key may stand once in edits. A key
 * that is not there yet gets a line below those of its kind, written like
 * them; one to be removed that is not there is no mistake. Returns 0 with *out
 * (malloc) and *out_len; -ENOENT (no such section), -EINVAL (a value that no
 * line can hold, or text is not sound) or -ENOMEM.
 */
int conf_edit_text(const char *text, size_t len, const struct conf_edit *edits,
    size_t n, char **out, size_t *out_len);

/* A value as it has to stand in a line (malloc): in quotes where they are
 * needed. NULL with errno: EINVAL when no line can hold it, or ENOMEM. */
char *conf_edit_quote(const char *value);

#endif
