/*
 * Parsing as a whole: values arrive where they belong, hostile texts get an
 * error and nothing else.
 */
#include "support/conf_case.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct addr
address(const char *text)
{
	struct addr a;

	if (addr_parse(text, &a) != 0)
		fail_msg("cannot parse %s", text);
	return a;
}

static struct conf *
load_good(const char *name)
{
	char path[200];
	struct conf_case c;
	char *bytes;
	size_t len;

	snprintf(path, sizeof(path), "tests/data/good/%s", name);
	bytes = conf_case_read(conf_case_path(path), &len);
	c = conf_case_bytes(bytes, len, false);
	if (c.result != 0)
		fail_msg("%s: %s", name, c.text);
	assert_u64(c.conf->n_bytes, len);
	assert_bytes(c.conf->bytes, bytes, len);
	free(bytes);
	conf_diags_fini(&c.diags);
	free(c.text);
	return c.conf;
}

static void
a_small_file_gets_every_default(void **state)
{
	struct conf *conf = load_good("minimal.ini");
	const struct conf_listener *l = &conf->listeners[0];
	const struct conf_target_group *g = &conf->target_groups[0];

	(void)state;
	assert_str(conf->lb.name, "nlbd");
	assert_str(conf->lb.availability_zone, "");
	assert_u64(conf->lb.ip_address_type, CONF_IPV4);
	assert_u64(l->port, 587);
	assert_u64(l->address.family, ADDR_NONE);
	assert_u64(l->idle_timeout_s, 350);
	assert_u64(l->max_flows, CONF_OFF);
	assert_u64(l->sg_action, CONF_SG_DROP);
	assert_true(l->security_groups_none);
	assert_u64(l->n_forwards, 1);
	assert_u64(l->forwards[0].weight, 1);
	assert_u64(g->check_interval_ms, 30000);
	assert_u64(g->check_timeout_ms, 10000);
	assert_u64(g->healthy_threshold_count, 5);
	assert_u64(g->unhealthy_threshold_count, 2);
	assert_u64(g->check_port, 0);
	assert_u64(g->deregistration_delay_s, 300);
	assert_false(g->deregistration_termination);
	assert_true(g->unhealthy_termination);
	assert_u64(g->routing_min_count, 1);
	assert_u64(g->routing_min_percentage, CONF_OFF);
	assert_u64(g->cross_zone, CONF_CROSS_ZONE_LB);
	assert_u64(g->connect_timeout_ms, 3000);
	assert_u64(g->connect_total_ms, 10000);
	assert_u64(g->targets[0].addr.port, 587);
	assert_u64(conf->node.workers, CONF_AUTO);
	assert_u64(conf->node.max_flows_per_source, CONF_AUTO);
	assert_str(conf->node.admin_socket, "/run/nlbd/nlbd.sock");
	assert_u64(conf->node.http_listen.family, ADDR_NONE);
	assert_u64(conf->node.log_level, LOG_LEVEL_INFO);
	assert_u64(conf->node.drain_timeout_s, 300);
	assert_str(conf->node.user, "");
	conf_destroy(conf);
}

static void
every_key_arrives_where_it_belongs(void **state)
{
	struct conf *conf = load_good("every-key.ini");
	const struct conf_listener *l = conf_find_listener(conf, "submission");
	const struct conf_target_group *g =
	    conf_find_target_group(conf, "smtp");

	(void)state;
	assert_str(conf->lb.name, "smtp");
	assert_str(conf->lb.availability_zone, "eu-central-1a");
	assert_u64(conf->lb.ip_address_type, CONF_DUALSTACK);
	assert_true(conf->lb.cross_zone_enabled);
	assert_u64(conf->lb.n_source_addresses, 2);
	assert_true(conf->lb.source_addresses[0].family == ADDR_IPV4);
	assert_true(conf->lb.source_addresses[1].family == ADDR_IPV6);
	assert_true(l->address.family == ADDR_IPV4);
	assert_u64(l->sg_action, CONF_SG_RESET);
	assert_u64(l->idle_timeout_s, 6000);
	assert_u64(l->max_flows, 500);
	assert_u64(l->line, 8);
	assert_u64(g->check_port, 25);
	assert_u64(g->check_interval_ms, 10500);
	assert_u64(g->check_timeout_ms, 2125);
	assert_u64(g->deregistration_delay_s, 0);
	assert_true(g->deregistration_termination);
	assert_true(g->stickiness_enabled);
	assert_u64(g->cross_zone, CONF_CROSS_ZONE_TRUE);
	assert_u64(g->routing_min_count, 2);
	assert_u64(g->routing_min_percentage, 50);
	assert_false(g->unhealthy_termination);
	assert_u64(g->unhealthy_draining_interval_s, 60);
	assert_u64(g->connect_timeout_ms, 750);
	assert_u64(g->connect_total_ms, 2010);
	assert_u64(g->connect_targets, 2);
	assert_u64(
	    g->connect_retry_on, CONF_RETRY_REFUSED | CONF_RETRY_TIMEOUT);
	assert_u64(g->n_targets, 4);
	assert_u64(conf_target_max_flows(g, &g->targets[0]), 300);
	assert_u64(conf_target_max_flows(g, &g->targets[2]), 20);
	assert_u64(conf_target_max_flows(g, &g->targets[3]), CONF_NO_LIMIT);
	assert_u64(g->targets[1].addr.port, 588);
	assert_str(g->targets[1].availability_zone, "eu-central-1b");
	assert_str(g->targets[1].label, "mail-2");
	g = conf_find_target_group(conf, "smtp6");
	assert_u64(g->ip_address_type, CONF_IPV6);
	assert_u64(conf_target_max_flows(g, &g->targets[0]), CONF_NO_LIMIT);
	assert_u64(conf->node.workers, 4);
	assert_u64(conf->node.max_flows, 20000);
	assert_u64(conf->node.max_flows_per_source, 0);
	assert_u64(conf->node.flow_log, CONF_FLOW_LOG_FILE);
	assert_str(conf->node.flow_log_path, "/var/log/nlbd/flow;1.log");
	assert_u64(conf->node.log_level, LOG_LEVEL_DEBUG);
	assert_u64(conf->node.drain_timeout_s, 0);
	assert_str(conf->node.user, "_nlbd-1");
	assert_null(conf_find_listener(conf, "nobody"));
	assert_null(conf_find_target_group(conf, "nobody"));
	conf_destroy(conf);
}

static void
each_check_protocol_has_its_keys_and_timeout(void **state)
{
	struct conf *conf = load_good("health-checks.ini");
	const struct conf_target_group *http =
	    conf_find_target_group(conf, "a");
	const struct conf_target_group *https =
	    conf_find_target_group(conf, "b");
	const struct conf_target_group *smtp =
	    conf_find_target_group(conf, "c");
	const struct conf_target_group *tcp = conf_find_target_group(conf, "d");

	(void)state;
	assert_u64(http->check_protocol, CONF_CHECK_HTTP);
	assert_u64(http->check_port, 8080);
	assert_str(http->check_path, "/health?deep=1&from=nlb");
	assert_true(http_codes_match(&http->matcher_http_code, 201));
	assert_false(http_codes_match(&http->matcher_http_code, 301));
	assert_u64(http->check_timeout_ms, 6000); /* an NLB's default */
	assert_u64(https->check_protocol, CONF_CHECK_HTTPS);
	assert_u64(https->check_timeout_ms, 10000);
	assert_true(http_codes_match(&https->matcher_http_code, 301));
	assert_u64(smtp->check_protocol, CONF_CHECK_SMTP);
	assert_u64(smtp->check_timeout_ms, 10000);
	assert_true(smtp->check_smtp_starttls);
	assert_u64(tcp->check_protocol, CONF_CHECK_TCP);
	assert_u64(tcp->check_timeout_ms, 6000); /* as written */
	conf_destroy(conf);
}

static bool
reaches(const struct conf *conf, const struct conf_listener *listener,
    const struct addr *a)
{
	return conf_outbound_verdict(conf, listener, a) ==
	       CONF_OUTBOUND_ALLOWED;
}

static void
prefix_lists_expand_into_rules(void **state)
{
	struct conf *conf = load_good("prefix-list.ini");
	const struct conf_listener *l = &conf->listeners[0];
	const struct conf_security_group *office = &conf->security_groups[1];
	struct addr inside = address("198.51.100.7:40000");
	struct addr outside = address("198.51.101.7:40000");
	struct addr target = address("10.20.0.25:587");
	struct addr check = address("10.20.0.25:8080");
	struct addr other = address("10.20.0.25:25");
	struct sg_set set;

	(void)state;
	assert_u64(office->n_rules, 3);
	assert_u64(office->n_inbound, 2);
	assert_u64(office->n_outbound, 2);
	assert_str(
	    conf->security_groups[0].rules[2].description, "C; the #3, last");
	assert_errno(conf_listener_inbound(conf, l, &set), 0);
	assert_true(sg_set_allows(&set, &inside));
	assert_false(sg_set_allows(&set, &outside));
	sg_set_fini(&set);
	/* saas has no outbound rule at all: everything is allowed. */
	assert_true(reaches(conf, l, &other));
	conf->listeners[0].n_security_groups = 1;
	conf->listeners[0].security_groups[0] = 1;
	assert_true(reaches(conf, l, &target));
	assert_true(reaches(conf, l, &check));
	assert_false(reaches(conf, l, &other));
	conf->listeners[0].n_security_groups = 0;
	assert_true(reaches(conf, l, &other));
	conf_destroy(conf);
}

/* Text, line, column, and a part of what is said. */
struct bad {
	const char *text;
	size_t len; /* 0 = strlen */
	unsigned line, col;
	const char *part;
};

static void
expect_bad(const struct bad *row)
{
	size_t len = row->len != 0 ? row->len : strlen(row->text);
	struct conf_case c = conf_case_bytes(row->text, len, false);
	const struct conf_diag *found = NULL;

	assert_errno(c.result, -EINVAL);
	assert_null(c.conf);
	assert_u64_between(c.diags.n_errors, 1, 1000);
	for (size_t i = 0; i < c.diags.n; i++) {
		const struct conf_diag *d = &c.diags.list[i];

		if (d->line == row->line && d->col == row->col)
			found = d;
	}
	if (found == NULL)
		fail_msg("nothing at %u:%u:\n%s", row->line, row->col, c.text);
	assert_contains(found->message, row->part);
	conf_case_fini(&c);
}

static void
bytes_that_are_no_text_are_refused(void **state)
{
	static const char nul[] = "[listener a]\nPort = 5\0 87\n";
	static const struct bad rows[] = {
	    {nul, sizeof(nul) - 1, 2, 9, "NUL byte"},
	    {"\xef\xbb\xbf" CASE_LISTENER CASE_GROUP, 0, 1, 1,
		"byte order mark"},
	    {"\xef\xbb\xbf", 0, 1, 1, "byte order mark"},
	    {"[listener a]\nPort = 5\r87\n", 0, 2, 9, "character 0x0d"},
	    {"[listener a]\n\fPort = 587\n", 0, 2, 1, "character 0x0c"},
	    {"[listener a]\nPort = 587\x7f\n", 0, 2, 11, "character 0x7f"},
	    {"[n\0]\n", 5, 1, 3, "NUL byte"},
	    {"\0", 1, 1, 1, "NUL byte"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++)
		expect_bad(&rows[i]);
}

static void
crlf_line_ends_are_as_good_as_lf(void **state)
{
	struct conf *conf = conf_case_sound(
	    "; with a DOS editor\r\n\r\n[listener a]\r\nPort = 587\r\n"
	    "SecurityGroups = none ; all\r\nDefaultActions = \"forward:b\"\r\n"
	    "[target-group b]\r\nPort = 25\r\nTarget.a = Id=10.0.0.1\r\n");

	(void)state;
	assert_u64(conf->listeners[0].port, 587);
	assert_u64(conf->target_groups[0].targets[0].addr.port, 25);
	conf_destroy(conf);
}

static void
the_last_line_needs_no_end(void **state)
{
	static const char text[] = CASE_GROUP CASE_LISTENER "MaxFlows = 7";
	struct conf *conf = conf_case_sound(text);

	(void)state;
	assert_u64(conf->listeners[0].max_flows, 7);
	conf_destroy(conf);
}

/* A comment of len characters and its end, then a sound file. */
static char *
comment_of(size_t len, const char *end)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	fputc(';', out);
	for (size_t i = 1; i < len; i++)
		fputc('x', out);
	fprintf(out, "%s%s%s", end, CASE_LISTENER, CASE_GROUP);
	fclose(out);
	return text;
}

static void
lines_have_up_to_a_thousand_characters(void **state)
{
	char *longest = comment_of(1000, "\n");
	char *with_cr = comment_of(1000, "\r\n");
	char *too_long = comment_of(1100, "\n");
	struct bad row = {too_long, 0, 1, 1001, "line of 1100 characters"};

	(void)state;
	conf_destroy(conf_case_sound(longest));
	conf_destroy(conf_case_sound(with_cr));
	expect_bad(&row);
	free(longest);
	free(with_cr);
	free(too_long);
}

/* iniparser stops at 1,022: a last line near that without its end is where it
 * used to say something misleading. */
static void
a_long_last_line_without_end_is_read_whole(void **state)
{
	char text[2000];
	size_t used;
	struct conf *conf;

	(void)state;
	used = (size_t)snprintf(
	    text, sizeof(text), "%s%s", CASE_GROUP, CASE_LISTENER);
	memset(text + used, ' ', 1000);
	memcpy(text + used, "MaxFlows = ", 11);
	text[used + 999] = '9';
	text[used + 1000] = '\0';
	conf = conf_case_sound(text);
	assert_u64(conf->listeners[0].max_flows, 9);
	conf_destroy(conf);
}

static char *
repeat(const char *head, const char *before, const char *after, size_t n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	fputs(head, out);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%zu%s", before, i, after);
	fclose(out);
	return text;
}

static void
expect_limit(char *text, const char *part)
{
	struct conf_case c = conf_case_text(text);

	assert_errno(c.result, -EINVAL);
	assert_contains(c.text, part);
	conf_case_fini(&c);
	free(text);
}

static void
limits_are_errors_that_name_the_limit(void **state)
{
	(void)state;
	expect_limit(repeat(CASE_GROUP, "[listener l",
			 "]\nPort = 5\nSecurityGroups = none\n"
			 "DefaultActions = forward:smtp\n",
			 51),
	    "more than 50 sections [listener ...]");
	expect_limit(
	    repeat(CASE_LISTENER CASE_GROUP, "[prefix-list p", "]\n", 1001),
	    "more than 1000 sections [prefix-list ...]");
	expect_limit(repeat(CASE_LISTENER CASE_GROUP "[prefix-list big]\n",
			 "Entry.e", " = 10.0.0.0/8\n", 33000),
	    "more than 32768 sections and keys");
}

static void
targets_of_all_groups_together_have_a_limit(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	fputs(CASE_LISTENER CASE_GROUP, out);
	for (unsigned i = 0; i < 3000; i++)
		fprintf(out, "Target.t%u = Id=10.0.0.1,Port=%u\n", i, i + 1);
	fclose(out);
	expect_limit(text, "3001 targets; all groups together take at most");
}

static void
expanded_rules_have_a_limit(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	fputs(CASE_LISTENER CASE_GROUP "[security-group big]\n", out);
	for (unsigned i = 0; i < 400; i++)
		fprintf(out,
		    "Inbound.r%u = Protocol=tcp,PortRange=1-%u,"
		    "Source=prefix-list:big\n",
		    i, i + 1);
	fputs("[prefix-list big]\n", out);
	for (unsigned i = 0; i < 256; i++)
		fprintf(out, "Entry.e%u = 10.0.%u.0/24\n", i, i);
	fclose(out);
	expect_limit(text, "more than 100000 rules");
}

static void
quotas_of_aws_are_warnings(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct conf_case c;

	(void)state;
	fputs("[listener a]\nPort = 587\nSecurityGroups = sixty, more\n"
	      "DefaultActions = forward:smtp\n" CASE_GROUP,
	    out);
	for (unsigned i = 0; i < 1000; i++)
		fprintf(out, "Target.t%u = Id=10.0.0.1,Port=%u\n", i, i + 1);
	for (unsigned n = 60; n <= 61; n++) {
		fprintf(
		    out, "[security-group %s]\n", n == 60 ? "sixty" : "more");
		for (unsigned i = 0; i < n; i++) {
			fprintf(out,
			    "Inbound.a%u = Protocol=tcp,PortRange=587,"
			    "Source=10.0.%u.0/24\n",
			    i, i);
			fprintf(out,
			    "Outbound.a%u = Protocol=tcp,PortRange=587"
			    ",Destination=2001:db8:%u::/48\n",
			    i, i);
		}
	}
	fclose(out);
	c = conf_case_text(text);
	assert_errno(c.result, 0);
	assert_u64(c.diags.n, 3);
	assert_contains(c.diags.list[0].message, "1001 targets work here");
	assert_contains(c.diags.list[1].message, "61 inbound rules of one");
	assert_contains(c.diags.list[2].message, "61 outbound rules of one");
	conf_case_fini(&c);
	free(text);
}

static void
a_text_over_one_mebibyte_is_refused(void **state)
{
	char *text = calloc(1, CONF_FILE_MAX + 2);
	struct conf_case c;

	(void)state;
	memset(text, '\n', CONF_FILE_MAX + 1);
	memcpy(text, CASE_LISTENER CASE_GROUP,
	    sizeof(CASE_LISTENER CASE_GROUP) - 1);
	c = conf_case_bytes(text, CONF_FILE_MAX, false);
	assert_errno(c.result, 0);
	conf_case_fini(&c);
	c = conf_case_bytes(text, CONF_FILE_MAX + 1, false);
	assert_errno(c.result, -EINVAL);
	assert_contains(c.text, "at most 1048576 bytes");
	conf_case_fini(&c);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_small_file_gets_every_default),
	    cmocka_unit_test(every_key_arrives_where_it_belongs),
	    cmocka_unit_test(each_check_protocol_has_its_keys_and_timeout),
	    cmocka_unit_test(prefix_lists_expand_into_rules),
	    cmocka_unit_test(bytes_that_are_no_text_are_refused),
	    cmocka_unit_test(crlf_line_ends_are_as_good_as_lf),
	    cmocka_unit_test(the_last_line_needs_no_end),
	    cmocka_unit_test(lines_have_up_to_a_thousand_characters),
	    cmocka_unit_test(a_long_last_line_without_end_is_read_whole),
	    cmocka_unit_test(limits_are_errors_that_name_the_limit),
	    cmocka_unit_test(targets_of_all_groups_together_have_a_limit),
	    cmocka_unit_test(expanded_rules_have_a_limit),
	    cmocka_unit_test(quotas_of_aws_are_warnings),
	    cmocka_unit_test(a_text_over_one_mebibyte_is_refused),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
