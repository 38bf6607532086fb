/*
 * ARNs: formatted for the admin interface, and understood by it.
 */
#include "nlb/arn.h"

#include <stdio.h>
#include <string.h>
#include <bsd/string.h>

#define FIELDS 5 /* each with a colon, before the resource */

static const char *const kinds[] = {
    [ARN_LOAD_BALANCER] = "loadbalancer/net/",
    [ARN_LISTENER] = "listener/net/",
    [ARN_TARGET_GROUP] = "targetgroup/",
};

const char *
arn_format(enum arn_kind kind, const struct conf *conf, const char *name,
    char buf[ARN_MAX])
{
	snprintf(buf, ARN_MAX, "arn:nlbd:elasticloadbalancing:::%s%s%s%s",
	    kinds[kind], kind == ARN_LISTENER ? conf->lb.name : "",
	    kind == ARN_LISTENER ? "/" : "", name);
	return buf;
}

const char *
arn_name(enum arn_kind kind, const char *text, char buf[ARN_MAX])
{
	const char *rest = text;

	if (strncmp(text, "arn:", strlen("arn:")) != 0)
		return text;
	for (int i = 0; i < FIELDS && rest != NULL; i++) {
		rest = strchr(rest, ':');
		if (rest != NULL)
			rest++;
	}
	if (rest == NULL ||
	    strncmp(rest, kinds[kind], strlen(kinds[kind])) != 0)
		return text;
	rest += strlen(kinds[kind]);
	if (kind == ARN_LISTENER)
		rest =
		    strrchr(rest, '/') == NULL ? rest : strrchr(rest, '/') + 1;
	if (strlcpy(buf, rest, ARN_MAX) >= ARN_MAX)
		return text;
	buf[strcspn(buf, "/")] = '\0';
	return buf;
}

bool
arn_is_load_balancer(const struct conf *conf, const char *text)
{
	char buf[ARN_MAX];

	return strcmp(arn_name(ARN_LOAD_BALANCER, text, buf), conf->lb.name) ==
	       0;
}
