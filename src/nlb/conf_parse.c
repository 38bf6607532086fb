/*
 * One parse from the first byte to the checked conf: scan, classify, walk the
 * attribute table, check.
 */
#include "nlb/conf_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
report_unknown_key(struct conf_parser *p, const struct conf_section *section,
    const struct conf_entry *entry)
{
	struct conf_suggestion s = conf_suggestion_start(p, entry->key);
	const char *elsewhere = NULL;
	struct conf_diag *d;

	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);

		if (a->section == section->kind)
			conf_suggestion_try(&s, a->key);
		else if (elsewhere == NULL && conf_span_is(entry->key, a->key))
			elsewhere = conf_section_kind_name(a->section);
	}
	d = conf_error(p, entry->key,
	    "`%.*s' is not a key of [%s]; see "
	    "nlbd.ini(5) for the keys it has",
	    CONF_SPAN(entry->key), conf_section_kind_name(section->kind));
	if (elsewhere != NULL)
		conf_hint(d, "it is a key of [%s]", elsewhere);
	else
		conf_suggestion_hint(&s, d);
}

static void
set_entry(struct conf_parser *p, const struct conf_section *section,
    const struct conf_entry *entry)
{
	const struct conf_attribute *a;
	void *base = conf_section_base(p->conf, section->kind, section->index);

	a = conf_attribute_find(section->kind, entry->key.text, entry->key.len);
	if (a == NULL)
		report_unknown_key(p, section, entry);
	else if ((a->flags & CONF_PATTERN) != 0)
		conf_line_set(p, a, section, entry);
	else
		(void)conf_type_set(p, a, entry->value, base);
}

static bool
has_key(
    struct conf_parser *p, const struct conf_section *section, const char *key)
{
	for (size_t i = 0; i < section->n; i++) {
		struct conf_span given =
		    p->scan.entries[section->first + i].key;

		/* A misspelt case is reported as unknown, not as missing. */
		if (given.len == strlen(key) &&
		    strncasecmp(given.text, key, given.len) == 0)
			return true;
	}
	return false;
}

static void
check_required(struct conf_parser *p, const struct conf_section *section)
{
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);

		if (a->section != section->kind ||
		    (a->flags & CONF_REQUIRED) == 0 ||
		    has_key(p, section, a->key))
			continue;
		conf_hint(conf_error(p, section->header, "[%.*s] has no %s",
			      CONF_SPAN(section->header), a->key),
		    "%s", a->missing);
	}
}

void
conf_entries_set(struct conf_parser *p)
{
	for (size_t i = 0; i < p->scan.n_sections && !p->no_memory; i++) {
		const struct conf_section *section = &p->scan.sections[i];

		if (!section->known)
			continue;
		for (size_t j = 0; j < section->n; j++)
			set_entry(
			    p, section, &p->scan.entries[section->first + j]);
		if (!section->damaged)
			check_required(p, section);
	}
}

/* The steps; each reports what it finds and the next ones go on, so that one
 * run shows all mistakes. */
static void
parse(struct conf_parser *p)
{
	struct conf_span whole = {0};
	size_t errors = p->diags->n_errors;

	if (conf_scan(p) != 0) {
		p->no_memory = true;
		return;
	}
	if (p->scan.n_sections == 0 && p->diags->n_errors == errors) {
		conf_hint(conf_error(p, whole, "%s",
			      p->len == 0 ? "the file is empty"
					  : "the file has no section"),
		    "nlbd.ini(5) has a small example to start from");
		return;
	}
	conf_sections_classify(p);
	if (!p->no_memory && p->diags->n_errors == errors && !p->parsed_before)
		conf_ini_compare(p);
	if (!p->no_memory)
		conf_sections_create(p);
	if (!p->no_memory)
		conf_entries_set(p);
	if (!p->no_memory)
		conf_lines_resolve(p);
	p->sound = p->diags->n_errors == errors;
	if (!p->no_memory)
		conf_check(p);
}

static void
keep_bytes(struct conf_parser *p)
{
	p->conf->bytes = malloc(p->len + 1);
	if (p->conf->bytes == NULL) {
		p->no_memory = true;
		return;
	}
	memcpy(p->conf->bytes, p->bytes, p->len);
	p->conf->bytes[p->len] = '\0';
	p->conf->n_bytes = p->len;
}

int
conf_parse(const char *bytes, size_t len, const struct conf_options *options,
    struct conf **out, struct conf_diags *diags)
{
	struct conf_parser p = {.bytes = bytes,
	    .len = len,
	    .diags = diags,
	    .strict_aws = options->strict_aws,
	    .parsed_before = options->parsed_before,
	    .ask_machine = options->ask_machine};
	size_t errors = diags->n_errors;
	int result = 0;

	if (len > CONF_FILE_MAX) {
		conf_diags_add(diags, false, "a config has at most %d bytes",
		    CONF_FILE_MAX);
		return -EINVAL;
	}
	p.conf = calloc(1, sizeof(*p.conf));
	if (p.conf == NULL)
		return -ENOMEM;
	parse(&p);
	conf_diags_finish(diags);
	if (!p.no_memory && diags->n_errors == errors)
		keep_bytes(&p);
	conf_scan_fini(&p.scan);
	if (p.no_memory)
		result = -ENOMEM;
	else if (diags->n_errors != errors)
		result = -EINVAL;
	if (result == 0)
		*out = p.conf;
	else
		conf_destroy(p.conf);
	return result;
}
