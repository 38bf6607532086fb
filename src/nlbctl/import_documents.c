/*
 * The documents of nlbctl import-aws: reading them, and asking them.
 */
#include "nlbctl/import.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <bsd/string.h>

#define DOCUMENT_MAX (16 * 1024 * 1024)
#define DOCUMENTS_MAX 10000
#define COLLECT                             \
	"nlbctl import-aws --print-script " \
	"prints what collects the documents"

static const struct {
	const char *prefix;  /* of its file's name */
	const char *member;  /* that holds the list */
	const char *owner;   /* a member that may be added instead */
	const char *command; /* of the AWS CLI, the owner behind it */
} owned_kinds[] = {
    [IMPORT_LB_ATTRIBUTES] = {"load-balancer-attributes", "Attributes",
	"LoadBalancerArn",
	"elbv2 describe-load-balancer-attributes --load-balancer-arn"},
    [IMPORT_LISTENER_ATTRIBUTES] = {"listener-attributes", "Attributes",
	"ListenerArn", "elbv2 describe-listener-attributes --listener-arn"},
    [IMPORT_GROUP_ATTRIBUTES] = {"target-group-attributes", "Attributes",
	"TargetGroupArn",
	"elbv2 describe-target-group-attributes --target-group-arn"},
    [IMPORT_TARGET_HEALTH] = {"target-health", "TargetHealthDescriptions",
	"TargetGroupArn", "elbv2 describe-target-health --target-group-arn"},
    [IMPORT_PREFIX_LIST] = {"prefix-list-entries", "Entries", "PrefixListId",
	"ec2 get-managed-prefix-list-entries --prefix-list-id"},
};

static const char *const list_members[] = {"LoadBalancers", "Listeners",
    "TargetGroups", "SecurityGroups", "PrefixLists", "NetworkAcls",
    "Reservations"};

/* ---- one document ----------------------------------------------------- */

static bool
only_objects(
    struct import *im, json_t *list, const char *member, const char *file)
{
	json_t *value;
	size_t i;

	if (!json_is_array(list)) {
		import_fail(im, "%s: %s is no list", file, member);
		return false;
	}
	json_array_foreach(list, i, value)
	{
		if (json_is_object(value))
			continue;
		import_fail(im, "%s: %s[%zu] is no object", file, member, i);
		return false;
	}
	return true;
}

static void
add_list(struct import *im, const char *member, json_t *list, const char *file)
{
	json_t *all = json_object_get(im->lists, member);

	if (!only_objects(im, list, member, file))
		return;
	if (all == NULL) {
		all = json_array();
		json_object_set_new(im->lists, member, all);
	}
	if (json_array_extend(all, list) != 0)
		import_fail(im, "out of memory");
}

/* The part of KIND.OWNER.json; false: the name is another one. */
static bool
owner_of_file(const char *file, const char *prefix, char *owner, size_t size)
{
	const char *base = strrchr(file, '/'), *end;
	size_t len = strlen(prefix), n;

	base = base == NULL ? file : base + 1;
	end = strrchr(base, '.');
	if (strncmp(base, prefix, len) != 0 || base[len] != '.' ||
	    end == NULL || strcmp(end, ".json") != 0 || end <= base + len + 1)
		return false;
	n = (size_t)(end - base) - len - 1;
	if (n >= size)
		return false;
	memcpy(owner, base + len + 1, n);
	owner[n] = '\0';
	return true;
}

static bool
add_owned(struct import *im, json_t *root, const char *file)
{
	char owner[256];

	for (size_t i = 0; i < IMPORT_OWNED_KINDS; i++) {
		json_t *list = json_object_get(root, owned_kinds[i].member);
		const char *named = json_string_value(
		    json_object_get(root, owned_kinds[i].owner));

		if (list == NULL)
			continue;
		if (named != NULL)
			strlcpy(owner, named, sizeof(owner));
		else if (!owner_of_file(
			     file, owned_kinds[i].prefix, owner, sizeof(owner)))
			continue;
		if (only_objects(im, list, owned_kinds[i].member, file) &&
		    json_object_set(im->owned[i], owner, list) != 0)
			import_fail(im, "%s: whose it is, is no text", file);
		return true;
	}
	return false;
}

static void
complain_unknown(struct import *im, json_t *root, const char *file)
{
	for (size_t i = 0; i < IMPORT_OWNED_KINDS; i++) {
		if (json_object_get(root, owned_kinds[i].member) == NULL)
			continue;
		import_fail(im,
		    "%s: nothing tells whose %s these are; name the file "
		    "%s.NAME.json, as nlbctl import-aws --print-script does",
		    file, owned_kinds[i].member,
		    i == IMPORT_LB_ATTRIBUTES ? "target-group-attributes"
					      : owned_kinds[i].prefix);
		return;
	}
	import_fail(im,
	    "%s: no document that is read here; nlbctl import-aws "
	    "--print-script tells which ones are",
	    file);
}

static void
add_document(struct import *im, json_t *root, const char *file)
{
	static const char *const more[] = {"NextMarker", "NextToken"};
	bool known = false;

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		json_t *value = json_object_get(root, more[i]);

		if (value != NULL && !json_is_null(value))
			import_fail(im,
			    "%s: only a part of the whole: %s is there; run "
			    "the AWS CLI without --no-paginate and "
			    "--max-items",
			    file, more[i]);
	}
	for (size_t i = 0; i < sizeof(list_members) / sizeof(list_members[0]);
	     i++) {
		json_t *list = json_object_get(root, list_members[i]);

		if (list == NULL)
			continue;
		add_list(im, list_members[i], list, file);
		known = true;
	}
	if (!known && !add_owned(im, root, file))
		complain_unknown(im, root, file);
}

/* ---- files ------------------------------------------------------------ */

/* Documents one after another, as `cat` makes them. */
static void
add_text(struct import *im, const char *text, size_t len, const char *file)
{
	size_t at = 0, line = 0;

	while (at < len) {
		json_error_t error;
		json_t *root;
		size_t blank = strspn(text + at, " \t\r\n");

		if (at + blank >= len && at > 0)
			return;
		root = json_loadb(text + at, len - at,
		    JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);
		if (root == NULL) {
			import_fail(im, "%s:%zu:%d: %s", file,
			    line + (size_t)error.line, error.column,
			    error.text);
			return;
		}
		add_document(im, root, file);
		json_decref(root);
		for (size_t end = at + (size_t)error.position; at < end; at++)
			line += text[at] == '\n';
	}
}

/* What could not be opened, by errno. */
static void
complain_unreadable(struct import *im, const char *path)
{
	int error = errno;

	import_fail(im, "cannot read %s: %s; %s", path, strerror(error),
	    error == EACCES ? "run nlbctl as a user who may" : COLLECT);
}

static void
add_stream(struct import *im, FILE *f, const char *file)
{
	char *text = malloc(DOCUMENT_MAX + 2);
	size_t n;

	if (text == NULL) {
		import_fail(im, "out of memory");
		return;
	}
	n = fread(text, 1, DOCUMENT_MAX + 1, f);
	text[n] = '\0';
	if (ferror(f) != 0)
		import_fail(im, "cannot read %s: %s", file, strerror(errno));
	else if (n > DOCUMENT_MAX)
		import_fail(
		    im, "%s has more than %d bytes", file, DOCUMENT_MAX);
	else if (n == 0)
		import_fail(im, "%s is empty; did its command fail?", file);
	else
		add_text(im, text, n, file);
	free(text);
}

static void
add_file(struct import *im, const char *path)
{
	struct stat st;
	FILE *f;

	/* No FIFO that nobody writes, no device. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		import_fail(im, "%s is no file; " COLLECT, path);
		return;
	}
	f = fopen(path, "re");
	if (f == NULL) {
		complain_unreadable(im, path);
		return;
	}
	add_stream(im, f, path);
	fclose(f);
}

static int
is_json(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > strlen(".json") &&
	       strcmp(entry->d_name + len - strlen(".json"), ".json") == 0;
}

static void
add_directory(struct import *im, const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, is_json, alphasort);

	if (n < 0) {
		complain_unreadable(im, path);
		return;
	}
	if (n == 0)
		import_fail(im, "%s has no file NAME.json; " COLLECT, path);
	if (n > DOCUMENTS_MAX)
		import_fail(
		    im, "%s has more than %d files", path, DOCUMENTS_MAX);
	for (int i = 0; i < n; i++) {
		char *file;

		if (!im->failed &&
		    asprintf(&file, "%s/%s", path, entries[i]->d_name) != -1) {
			add_file(im, file);
			free(file);
		}
		free(entries[i]);
	}
	free(entries);
}

void
import_load(struct import *im, const char *path)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		add_stream(im, stdin, "stdin");
	else if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		add_directory(im, path);
	else
		add_file(im, path);
}

/* ---- asking ----------------------------------------------------------- */

const char *
import_text(
    struct import *im, json_t *object, const char *key, const char *where)
{
	json_t *value = json_object_get(object, key);

	if (value == NULL || json_is_null(value))
		return "";
	if (json_is_string(value))
		return json_string_value(value);
	import_fail(im, "%s: %s is no text", where, key);
	return "";
}

json_int_t
import_number(
    struct import *im, json_t *object, const char *key, const char *where)
{
	json_t *value = json_object_get(object, key);

	if (value == NULL || json_is_null(value))
		return 0;
	if (json_is_integer(value))
		return json_integer_value(value);
	import_fail(im, "%s: %s is no whole number", where, key);
	return 0;
}

json_t *
import_list(
    struct import *im, json_t *object, const char *key, const char *where)
{
	json_t *value = json_object_get(object, key);

	if (value == NULL || json_is_null(value) || json_is_array(value))
		return json_is_array(value) ? value : NULL;
	import_fail(im, "%s: %s is no list", where, key);
	return NULL;
}

json_t *
import_object(
    struct import *im, json_t *object, const char *key, const char *where)
{
	json_t *value = json_object_get(object, key);

	if (value == NULL || json_is_null(value) || json_is_object(value))
		return json_is_object(value) ? value : NULL;
	import_fail(im, "%s: %s is no object", where, key);
	return NULL;
}

json_t *
import_all(const struct import *im, const char *member)
{
	return json_object_get(im->lists, member);
}

const char *
import_id(const char *arn)
{
	const char *slash = strrchr(arn, '/');

	return slash == NULL ? arn : slash + 1;
}

json_t *
import_owned_by(struct import *im, enum import_owned kind, const char *arn,
    const char *name, bool needed)
{
	const char *const owners[] = {arn, import_id(arn), name};

	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		json_t *found = json_object_get(im->owned[kind], owners[i]);

		if (found != NULL)
			return found;
	}
	if (needed)
		import_fail(im, "%s.%s.json is missing: aws %s %s",
		    owned_kinds[kind].prefix, import_id(arn),
		    owned_kinds[kind].command, arn);
	return NULL;
}
