/*
 * Values that are any of some words, as ConnectRetryOn: a bit for each.
 */
#include "nlb/conf_internal.h"

#include <string.h>
#include <bsd/string.h>

static bool
find_word(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span word, uint32_t *bit)
{
	struct conf_suggestion s;
	struct conf_diag *d;
	char range[160];

	for (unsigned i = 0; a->words[i] != NULL; i++) {
		*bit = 1u << i;
		if (conf_span_is(word, a->words[i]))
			return true;
	}
	d = conf_error(p, word, "`%.*s' is no value of %s; it takes %s",
	    CONF_SPAN(word), a->key,
	    conf_attribute_range(a, range, sizeof(range)));
	s = conf_suggestion_start(p, word);
	for (size_t i = 0; a->words[i] != NULL; i++)
		conf_suggestion_try(&s, a->words[i]);
	conf_suggestion_hint(&s, d);
	return false;
}

bool
conf_words_set(struct conf_parser *p, const struct conf_attribute *a,
    struct conf_span value, void *base)
{
	struct conf_span rest = value;
	uint32_t bits = 0, bit;

	if (conf_span_is(value, "none"))
		rest.text = NULL;
	while (rest.text != NULL) {
		struct conf_span word =
		    conf_span_trim(conf_span_split(&rest, ','));

		if (!find_word(p, a, word, &bit))
			return false;
		if ((bits & bit) != 0) {
			conf_error(p, word,
			    "`%.*s' is named twice; keep one of the two",
			    CONF_SPAN(word));
			return false;
		}
		bits |= bit;
	}
	memcpy((char *)base + a->offset, &bits, sizeof(bits));
	return true;
}

void
conf_words_format(const struct conf *conf, const struct conf_attribute *a,
    const void *base, char *buf, size_t size)
{
	uint32_t bits;

	(void)conf;
	memcpy(&bits, (const char *)base + a->offset, sizeof(bits));
	strlcpy(buf, bits == 0 ? "none" : "", size);
	for (unsigned i = 0; a->words[i] != NULL; i++) {
		if ((bits & 1u << i) == 0)
			continue;
		strlcat(buf, buf[0] == '\0' ? "" : ", ", size);
		strlcat(buf, a->words[i], size);
	}
}
