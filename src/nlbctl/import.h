/*
 * nlbctl import-aws: an nlbd.ini from the JSON that the AWS CLI prints.
 *
 * Nothing in the documents is trusted. What they say reaches the file in two
 * ways only: as a value (import_entry), which has to be one line, or escaped
 * in a comment (import_comment, import_note).
 */
#ifndef NLBCTL_IMPORT_H
#define NLBCTL_IMPORT_H

#include <stdbool.h>
#include <stdio.h>
#include <jansson.h>

#include "nlb/attributes.h"
#include "nlb/conf.h"

#define IMPORT_WHERE_MAX 160 /* of a complaint */

/* Documents that do not say whose they are; their file's name does:
 * target-health.NAME.json, with a name, an id or an ARN. */
enum import_owned {
	IMPORT_LB_ATTRIBUTES,
	IMPORT_LISTENER_ATTRIBUTES,
	IMPORT_GROUP_ATTRIBUTES,
	IMPORT_TARGET_HEALTH,
	IMPORT_PREFIX_LIST,
	IMPORT_OWNED_KINDS
};

struct import {
	/* By the member that a document has: all documents' lists together. */
	json_t *lists;
	json_t *owned[IMPORT_OWNED_KINDS]; /* {owner: list} */
	json_t *names;    /* {ARN of a target group: its section's name} */
	json_t *used;     /* {ARN: true}: by a listener that is carried over */
	json_t *balancer; /* of lists; the one to carry over */
	json_t *zone;     /* of the load balancer; NULL: it has none */
	const char *zone_name; /* "" without zone */
	FILE *ini;             /* the file's text after its head */
	FILE *notes;           /* what was not carried over, as comments */
	FILE *err;
	size_t n_listeners; /* written */
	bool failed;        /* that was said on err */
};

/* import_documents.c: path is a directory, a file, or - for stdin. */
void import_load(struct import *im, const char *path);
/* Members with the type that they have to have; what is not there is "", 0 or
 * NULL. where: whose member it is, for the complaint. */
const char *import_text(
    struct import *im, json_t *object, const char *key, const char *where);
json_int_t import_number(
    struct import *im, json_t *object, const char *key, const char *where);
json_t *import_list(
    struct import *im, json_t *object, const char *key, const char *where);
json_t *import_object(
    struct import *im, json_t *object, const char *key, const char *where);
/* All elements of a kind of document, objects every one; NULL: there was no
 * such document. */
json_t *import_all(const struct import *im, const char *member);
/* NULL: there was no such document; with needed that was said, and how to get
 * it. */
json_t *import_owned_by(struct import *im, enum import_owned kind,
    const char *arn, const char *name, bool needed);
/* The last part of an ARN. */
const char *import_id(const char *arn);

/* import_write.c */
void import_fail(struct import *im, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Something that is not carried over, or not as it was. */
void import_note(struct import *im, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void import_comment(struct import *im, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void import_section(
    struct import *im, enum conf_section_kind kind, const char *name);
void import_entry(struct import *im, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A name as sections have it, in lower case. False: there is none in it, and
 * that was said. */
bool import_name(
    struct import *im, const char *text, char name[CONF_NAME_MAX + 1]);
/* [{"Key": ..., "Value": ...}] as lines of the section. */
void import_attributes(struct import *im, enum conf_section_kind kind,
    json_t *list, const char *where);

/* import_targets.c */
void import_target_groups(struct import *im);

/* import_groups.c: what stands in front of the listeners. */
void import_security_groups(struct import *im);
void import_prefix_lists(struct import *im);
/* The ACL of the zone's subnet; NULL: none is known. */
json_t *import_find_network_acl(struct import *im);
void import_network_acl(struct import *im, json_t *acl);

/* import_script.c: a shell script that makes a directory of documents. */
extern const char import_script[];

#endif
