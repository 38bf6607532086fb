/*
 * The table view of each answer. They take what nlbd's JSON says and trust
 * none of it: what is missing shows as "-", a wrong shape gives -EPROTO.
 */
#ifndef NLBCTL_SHOW_H
#define NLBCTL_SHOW_H

#include <stdint.h>
#include <jansson.h>

#include "nlbctl/table.h"

int show_status(const json_t *root, const struct output *out);
int show_targets(const json_t *root, const struct output *out);
int show_flows(const json_t *root, const struct output *out);
int show_metrics(const json_t *root, const struct output *out);
int show_verdict(const json_t *root, const struct output *out);
int show_attributes(const json_t *root, const struct output *out);
/* A list of objects, each as a table of its members. */
int show_settings(const json_t *root, const struct output *out);
/* Prints nothing: that it is done says the exit code. */
int show_done(const json_t *root, const struct output *out);

/* One member: "-" when it is no string, 0 when it is no number or negative. */
const char *show_text(const json_t *object, const char *key);
uint64_t show_uint(const json_t *object, const char *key);
bool show_bool(const json_t *object, const char *key);
/* "10.0.0.1:587", "[fd00::1]:587" from an address and a port member. */
const char *show_address(const json_t *object, char *buf, size_t size);

#define SHOW_CLOCK_SIZE 9
/* "10:02:03" of the member time; the day shows in JSON. */
const char *show_clock(const json_t *object, char buf[SHOW_CLOCK_SIZE]);

/* "NAME is OK", of an answer that has load_balancer and health. */
void show_health(const json_t *root, const struct output *out);
/* The colour of a target's state. */
enum style show_state_style(const char *state);
/* "5", or "5 of 10" where the target has a MaxFlows. */
const char *show_target_flows(const json_t *target, char *buf, size_t size);
/* "connected, 0.41 ms" */
const char *show_last_check(const json_t *target, char *buf, size_t size);

#endif
