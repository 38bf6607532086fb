/*
 * Sections: what kind each one is, doubled ones and doubled keys, and the
 * structs that they fill, with the defaults of the table.
 */
#include "nlb/conf_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int
compare_spans(struct conf_span a, struct conf_span b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = strncasecmp(a.text, b.text, len);

	if (order != 0)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

static int
compare_sections(const void *left, const void *right)
{
	const struct conf_section *a =
	    *(const struct conf_section *const *)left;
	const struct conf_section *b =
	    *(const struct conf_section *const *)right;
	int order;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	order = compare_spans(a->name, b->name);
	if (order != 0)
		return order;
	return a->header.line < b->header.line ? -1 : 1;
}

/* FNV-1a of the letters without case. */
static uint64_t
hash_key(struct conf_span key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ (uint64_t)tolower((unsigned char)key.text[i])) *
		    UINT64_C(0x100000001b3);
	return h;
}

/* A table with open addressing, at most half full: sections may have tens of
 * thousands of keys. */
static void
report_doubled_keys(struct conf_parser *p, const struct conf_section *section)
{
	const struct conf_entry **table;
	size_t room = 2;

	while (room < 2 * section->n)
		room *= 2;
	table = calloc(room, sizeof(table[0]));
	if (table == NULL) {
		p->no_memory = true;
		return;
	}
	for (size_t i = 0; i < section->n; i++) {
		const struct conf_entry *e =
		    &p->scan.entries[section->first + i];
		size_t at = (size_t)hash_key(e->key) & (room - 1);

		while (table[at] != NULL &&
		       compare_spans(table[at]->key, e->key) != 0)
			at = (at + 1) & (room - 1);
		if (table[at] == NULL)
			table[at] = e;
		else
			conf_error(p, e->key,
			    "`%.*s' is given twice in this section, first in "
			    "line %u; keep one of the two",
			    CONF_SPAN(e->key), table[at]->key.line);
	}
	free(table);
}

static void
list_sections(struct conf_parser *p)
{
	struct conf_scan *scan = &p->scan;

	scan->by_name = calloc(scan->n_sections + 1, sizeof(scan->by_name[0]));
	if (scan->by_name == NULL) {
		p->no_memory = true;
		return;
	}
	for (size_t i = 0; i < scan->n_sections; i++) {
		struct conf_section *section = &scan->sections[i], **grown;
		struct conf_section_list *same = &scan->of_kind[section->kind];

		if (!section->known)
			continue;
		scan->by_name[scan->n_by_name++] = section;
		grown = conf_grow(p, same->list, same->n, sizeof(*grown));
		if (grown == NULL)
			return;
		same->list = grown;
		section->index = same->n;
		same->list[same->n++] = section;
	}
	qsort(scan->by_name, scan->n_by_name, sizeof(scan->by_name[0]),
	    compare_sections);
}

static void
report_doubled_sections(struct conf_parser *p)
{
	const struct conf_section *first = NULL;

	for (size_t i = 0; i < p->scan.n_by_name; i++) {
		const struct conf_section *s = p->scan.by_name[i];

		if (first == NULL || first->kind != s->kind ||
		    compare_spans(first->name, s->name) != 0)
			first = s;
		else
			conf_error(p, s->header,
			    "section [%.*s] is given twice, first in line %u; "
			    "put all its keys into one of the two",
			    CONF_SPAN(s->header), first->header.line);
	}
}

static void
report_unknown(
    struct conf_parser *p, struct conf_span header, struct conf_span kind)
{
	struct conf_suggestion s = conf_suggestion_start(p, kind);
	struct conf_diag *d;

	for (int i = 0; i < CONF_SECTION_KINDS; i++)
		conf_suggestion_try(&s, conf_section_kind_name(i));
	d = conf_error(p, header,
	    "[%.*s] is no section of nlbd.ini; its kind "
	    "is one of load-balancer, listener, "
	    "security-group, network-acl, prefix-list, "
	    "target-group, node, notify",
	    CONF_SPAN(header));
	conf_suggestion_hint(&s, d);
}

static void
check_name(struct conf_parser *p, const struct conf_section *section)
{
	const char *kind = conf_section_kind_name(section->kind);
	struct conf_diag *d;

	if (!conf_section_kind_is_named(section->kind)) {
		if (section->name.len != 0)
			conf_error(p, section->name,
			    "there is only one [%s]; "
			    "take the name away",
			    kind);
		return;
	}
	if (section->name.len == 0) {
		d = conf_error(p, section->header, "[%s] needs a name", kind);
		conf_hint(d, "write for example [%s %s]", kind,
		    section->kind == CONF_LISTENER ? "submission" : "smtp");
	} else if (conf_span_is(section->name, "none")) {
		conf_error(p, section->name,
		    "`none' is a word of its own and "
		    "cannot be the name of a %s; "
		    "choose another",
		    kind);
	} else {
		conf_parse_name(p, section->name, kind);
	}
}

static void
classify(struct conf_parser *p, struct conf_section *section)
{
	struct conf_span rest = section->header, kind;

	if (rest.len == 0)
		return; /* the scanner has said so */
	kind = conf_span_split(&rest, ' ');
	section->name = rest.text == NULL ? conf_span_sub(section->header,
						section->header.len, 0)
					  : conf_span_trim(rest);
	for (int i = 0; i < CONF_SECTION_KINDS; i++) {
		if (!conf_span_is(kind, conf_section_kind_name(i)))
			continue;
		section->known = true;
		section->kind = i;
		check_name(p, section);
		return;
	}
	report_unknown(p, section->header, kind);
}

void
conf_sections_classify(struct conf_parser *p)
{
	for (size_t i = 0; i < p->scan.n_sections; i++) {
		classify(p, &p->scan.sections[i]);
		report_doubled_keys(p, &p->scan.sections[i]);
	}
	list_sections(p);
	report_doubled_sections(p);
}

static const struct conf_section *
find_section(const struct conf_parser *p, enum conf_section_kind kind,
    struct conf_span name)
{
	size_t low = 0, high = p->scan.n_by_name;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct conf_section *s = p->scan.by_name[middle];

		if (s->kind != kind ? s->kind < kind
				    : compare_spans(s->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < p->scan.n_by_name; low++) {
		const struct conf_section *s = p->scan.by_name[low];

		if (s->kind != kind || compare_spans(s->name, name) != 0)
			break;
		/* Names have no capitals; beyond CONF_SECTIONS_MAX there are
		 * no structs. */
		if (s->known && memcmp(s->name.text, name.text, name.len) == 0)
			return s;
	}
	return NULL;
}

bool
conf_name_resolve(struct conf_parser *p, enum conf_section_kind kind,
    struct conf_span name, uint32_t *out)
{
	const struct conf_section *found = find_section(p, kind, name);
	struct conf_suggestion s;
	struct conf_diag *d;

	if (found != NULL && name.len != 0) {
		*out = (uint32_t)found->index;
		return true;
	}
	s = conf_suggestion_start(p, name);
	for (size_t i = 0; i < p->scan.of_kind[kind].n; i++)
		conf_suggestion_try(&s, conf_section_base(p->conf, kind, i));
	d = conf_error(p, name,
	    "there is no section [%s %.*s]; add it or name another one",
	    conf_section_kind_name(kind), CONF_SPAN(name));
	conf_suggestion_hint(&s, d);
	return false;
}

void *
conf_section_base(struct conf *conf, enum conf_section_kind kind, size_t i)
{
	switch (kind) {
	case CONF_LOAD_BALANCER:
		return &conf->lb;
	case CONF_LISTENER:
		return &conf->listeners[i];
	case CONF_SECURITY_GROUP:
		return &conf->security_groups[i];
	case CONF_NETWORK_ACL:
		return &conf->network_acls[i];
	case CONF_PREFIX_LIST:
		return &conf->prefix_lists[i];
	case CONF_TARGET_GROUP:
		return &conf->target_groups[i];
	case CONF_NODE:
		return &conf->node;
	case CONF_NOTIFY:
		return &conf->notify[i];
	default:
		return NULL;
	}
}

static void
set_defaults(struct conf_parser *p, enum conf_section_kind kind, void *base)
{
	for (size_t i = 0; i < conf_attribute_count(); i++) {
		const struct conf_attribute *a = conf_attribute_at(i);
		struct conf_span value = {.text = a->default_value};

		if (a->section != kind || a->default_value == NULL)
			continue;
		value.len = strlen(a->default_value);
		conf_type_set(p, a, value, base);
	}
}

/* Sections past the limit are reported once and not created. */
static size_t
limit_kind(struct conf_parser *p, enum conf_section_kind kind, size_t max)
{
	struct conf_section_list *same = &p->scan.of_kind[kind];

	if (same->n <= max)
		return same->n;
	conf_error(p, same->list[max]->header,
	    "more than %zu sections [%s ...]; split the work over several nlbd",
	    max, conf_section_kind_name(kind));
	for (size_t i = max; i < same->n; i++)
		same->list[i]->known = false;
	same->n = max;
	return max;
}

static void *
create_kind(struct conf_parser *p, enum conf_section_kind kind, size_t max,
    size_t size, size_t *n)
{
	void *list;

	*n = limit_kind(p, kind, max);
	list = calloc(*n + 1, size);
	if (list == NULL) {
		p->no_memory = true;
		*n = 0;
	}
	return list;
}

/* Every struct of a named section starts with its name. */
static void
init_section(struct conf_parser *p, const struct conf_section *section)
{
	void *base = conf_section_base(p->conf, section->kind, section->index);

	if (base == NULL)
		return;
	if (conf_section_kind_is_named(section->kind)) {
		set_defaults(p, section->kind, base);
		(void)conf_span_copy(section->name, base, CONF_NAME_MAX + 1);
	}
	if (section->kind == CONF_LISTENER)
		((struct conf_listener *)base)->line = section->header.line;
	if (section->kind == CONF_TARGET_GROUP)
		((struct conf_target_group *)base)->line = section->header.line;
	if (section->kind == CONF_SECURITY_GROUP)
		((struct conf_security_group *)base)->line =
		    section->header.line;
}

void
conf_sections_create(struct conf_parser *p)
{
	struct conf *conf = p->conf;

	conf->listeners = create_kind(p, CONF_LISTENER, CONF_LISTENERS_MAX,
	    sizeof(conf->listeners[0]), &conf->n_listeners);
	conf->target_groups =
	    create_kind(p, CONF_TARGET_GROUP, CONF_SECTIONS_MAX,
		sizeof(conf->target_groups[0]), &conf->n_target_groups);
	conf->security_groups =
	    create_kind(p, CONF_SECURITY_GROUP, CONF_SECTIONS_MAX,
		sizeof(conf->security_groups[0]), &conf->n_security_groups);
	conf->network_acls = create_kind(p, CONF_NETWORK_ACL, CONF_SECTIONS_MAX,
	    sizeof(conf->network_acls[0]), &conf->n_network_acls);
	conf->prefix_lists = create_kind(p, CONF_PREFIX_LIST, CONF_SECTIONS_MAX,
	    sizeof(conf->prefix_lists[0]), &conf->n_prefix_lists);
	conf->notify = create_kind(p, CONF_NOTIFY, CONF_NOTIFY_MAX,
	    sizeof(conf->notify[0]), &conf->n_notify);
	if (p->no_memory)
		return;
	set_defaults(p, CONF_LOAD_BALANCER, &conf->lb);
	set_defaults(p, CONF_NODE, &conf->node);
	for (size_t i = 0; i < p->scan.n_sections; i++) {
		if (p->scan.sections[i].known)
			init_section(p, &p->scan.sections[i]);
	}
}
