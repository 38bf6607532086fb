/* What a reload would change, in numbers and in words. */
#include "support/conf_case.h"

#include "nlb/conf_diff.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define BASE                                                             \
	"[load-balancer]\nIpAddressType = dualstack\n"                   \
	"[listener a]\nPort = 587\nSecurityGroups = s\n"                 \
	"DefaultActions = forward:g\n"                                   \
	"[listener b]\nPort = 588\nSecurityGroups = s\n"                 \
	"DefaultActions = forward:h\nAddress = 10.0.0.1\n"               \
	"[security-group s]\n"                                           \
	"Inbound.x = Protocol=tcp,PortRange=587-588,Source=10.0.0.0/8\n" \
	"[target-group g]\nPort = 587\nTarget.a = Id=10.0.0.1\n"         \
	"Target.b = Id=10.0.0.2,AvailabilityZone=all\n"                  \
	"[target-group h]\nPort = 25\nTarget.a = Id=10.0.0.1\n"          \
	"[node]\nWorkers = 2\n"

static char *
replaced(const char *text, const char *what, const char *with)
{
	const char *at = strstr(text, what);
	size_t size = strlen(text) + strlen(with) + 1;
	char *out = malloc(size);

	if (at == NULL)
		fail_msg("no \"%s\" in the text", what);
	snprintf(out, size, "%.*s%s%s", (int)(at - text), text, with,
	    at + strlen(what));
	return out;
}

/* The conf of a text that may have warnings. */
static struct conf *
conf_of(const char *text)
{
	struct conf_case c = conf_case_text(text);

	if (c.result != 0)
		fail_msg("%s\n%s", c.text, text);
	conf_diags_fini(&c.diags);
	free(c.text);
	return c.conf;
}

static void
each_change_is_counted_as_what_it_is(void **state)
{
	static const struct {
		const char *what, *with, *summary;
	} rows[] = {
	    {"Workers = 2", "Workers = 2 ; a comment", "nothing changed"},
	    {"Target.a = Id=10.0.0.1\n", "Target.z = Id=10.0.0.1,Port=587\n",
		"nothing changed"},
	    {"Inbound.x", "Inbound.y", "nothing changed"},
	    {"Workers = 2\n", "Workers = 2\n[notify n]\nUrl = unix:/n\n",
		"1 notify section changed"},
	    {"Target.a = Id=10.0.0.1\n", "Target.a = Id=10.0.0.1,MaxFlows=5\n",
		"1 target group changed"},
	    {"Target.a = Id=10.0.0.1\n",
		"Target.a = Id=10.0.0.1,Standby=true\n",
		"1 target group changed"},
	    {"DefaultActions = forward:g\n",
		"DefaultActions = forward:g=9, forward:h=1\n",
		"1 listener changed"},
	    {"Target.b = Id=10.0.0.2,AvailabilityZone=all",
		"Target.b = Id=10.0.0.3,AvailabilityZone=all",
		"1 target added, 1 target removed"},
	    {"Target.b = Id=10.0.0.2,AvailabilityZone=all",
		"Target.b = Id=10.0.0.2", "1 target group changed"},
	    {"Target.b = Id=10.0.0.2,AvailabilityZone=all\n",
		"Target.b = Id=10.0.0.2,AvailabilityZone=all\n"
		"Target.c = Id=10.0.0.3\nTarget.d = Id=10.0.0.4\n",
		"2 targets added"},
	    {"[target-group g]\nPort = 587", "[target-group g]\nPort = 589",
		"1 target group changed, 2 targets added, 2 targets removed"},
	    {"[target-group g]\n",
		"[target-group g]\nHealthCheckIntervalSeconds = 10\n",
		"1 target group changed"},
	    {"[target-group g]\n",
		"[target-group i]\nPort = 5\nTarget.a = Id=10.9.9.9\n"
		"[target-group g]\n",
		"1 target group added, 1 target added"},
	    {"[target-group h]\nPort = 25\nTarget.a = Id=10.0.0.1\n",
		"[target-group i]\nPort = 25\nTarget.a = Id=10.0.0.1\n", NULL},
	    {"[listener a]\n", "[listener a]\nMaxFlows = 5\n",
		"1 listener changed"},
	    {"[listener a]\nPort = 587", "[listener a]\nPort = 589",
		"1 listener changed"},
	    {"[listener a]\n", "[listener c]\n",
		"1 listener added, 1 listener removed"},
	    {"IpAddressType = dualstack", "IpAddressType = ipv4",
		"1 listener changed, 1 other key changed"},
	    {"forward:h", "forward:g", "1 listener changed"},
	    {"Source=10.0.0.0/8", "Source=10.0.0.0/9",
		"1 security group changed"},
	    {"PortRange=587-588", "PortRange=587-589",
		"1 security group changed"},
	    {"[security-group s]\n",
		"[security-group s]\nOutbound.x = "
		"Protocol=tcp,PortRange=1-65535,Destination=0.0.0.0/0\n",
		"1 security group changed"},
	    {"[security-group s]\n", "[security-group t]\n[security-group s]\n",
		"1 security group changed"},
	    {"[node]\n", "[node]\nLogLevel = debug\nFlowLog = stderr\n",
		"2 other keys changed"},
	    {"[load-balancer]\n",
		"[load-balancer]\nSourceAddresses = 10.0.0.1\n",
		"1 other key changed"},
	    {"[load-balancer]\n", "[load-balancer]\nName = x\n",
		"1 other key changed"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(rows); i++) {
		char *text = replaced(BASE, rows[i].what, rows[i].with);
		char summary[300];
		struct conf *old_conf, *new_conf;
		struct conf_diags diags = {0};
		struct conf_diff diff;

		if (rows[i].summary == NULL) { /* the listener follows it */
			char *both = replaced(text, "forward:h", "forward:i");

			free(text);
			text = both;
		}
		old_conf = conf_of(BASE);
		new_conf = conf_of(text);
		assert_errno(conf_diff(old_conf, new_conf, &diff, &diags), 0);
		assert_u64(diags.n, 0);
		conf_diff_summary(&diff, summary, sizeof(summary));
		if (rows[i].summary != NULL)
			assert_str(summary, rows[i].summary);
		else
			assert_str(summary,
			    "1 listener changed, 1 target group added, "
			    "1 target group removed, 1 target added, "
			    "1 target removed");
		conf_destroy(old_conf);
		conf_destroy(new_conf);
		free(text);
	}
}

/* A removed security group counts; names decide, not places in the file. */
static void
sections_are_known_by_name_not_by_place(void **state)
{
	static const char other_order[] =
	    "[node]\nWorkers = 2\n"
	    "[target-group h]\nPort = 25\nTarget.a = Id=10.0.0.1\n"
	    "[target-group g]\nPort = 587\n"
	    "Target.b = Id=10.0.0.2,AvailabilityZone=all\n"
	    "Target.a = Id=10.0.0.1\n"
	    "[security-group unused]\n"
	    "[security-group s]\n"
	    "Inbound.x = Protocol=tcp,PortRange=587-588,Source=10.0.0.0/8\n"
	    "[listener b]\nPort = 588\nSecurityGroups = s\n"
	    "DefaultActions = forward:h\nAddress = 10.0.0.1\n"
	    "[listener a]\nPort = 587\nSecurityGroups = s\n"
	    "DefaultActions = forward:g\n"
	    "[load-balancer]\nIpAddressType = dualstack\n";
	struct conf *old_conf = conf_of(other_order), *new_conf = conf_of(BASE);
	struct conf_diags diags = {0};
	struct conf_diff diff;
	char summary[300];

	(void)state;
	assert_errno(conf_diff(old_conf, new_conf, &diff, &diags), 0);
	assert_str(conf_diff_summary(&diff, summary, sizeof(summary)),
	    "1 security group changed");
	conf_destroy(old_conf);
	conf_destroy(new_conf);
}

static void
keys_of_a_running_daemon_cannot_change(void **state)
{
	char *text = replaced(BASE, "Workers = 2",
	    "Workers = 4\nAdminSocket = /run/x.sock\nUser = nlbd\n"
	    "MaxFlows = 100\nLogLevel = debug");
	struct conf *old_conf = conf_of(BASE), *new_conf = conf_of(text);
	struct conf_diags diags = {0};
	struct conf_diff diff = {.node_changed = 77};
	char *said;

	(void)state;
	assert_errno(conf_diff(old_conf, new_conf, &diff, &diags), -EINVAL);
	assert_u64(diff.node_changed, 77);
	assert_u64(diags.n_errors, 4);
	said = conf_case_print_diags(&diags, "FILE");
	assert_contains(said,
	    "FILE:22:11: error: [node] Workers cannot change from 2 to 4 while "
	    "nlbd runs; restart nlbd, or set it back to 2\n"
	    "   22 | Workers = 4\n"
	    "      |           ^\n");
	assert_contains(said, "MaxFlows cannot change from auto to 100");
	assert_contains(said, "AdminSocket cannot change from "
			      "/run/nlbd/nlbd.sock to /run/x.sock");
	assert_contains(said, "User cannot change from none to nlbd");
	free(said);
	free(text);
	conf_diags_fini(&diags);
	conf_destroy(old_conf);
	conf_destroy(new_conf);
}

/* What a reload with text in place of what says. */
static void
expect_refusal(const char *what, const char *with, const char *message)
{
	char *text = replaced(BASE, what, with), *said;
	struct conf *old_conf = conf_of(BASE), *new_conf = conf_of(text);
	struct conf_diags diags = {0};
	struct conf_diff diff;

	assert_errno(conf_diff(old_conf, new_conf, &diff, &diags), -EINVAL);
	said = conf_case_print_diags(&diags, "FILE");
	assert_str(said, message);
	free(said);
	free(text);
	conf_diags_fini(&diags);
	conf_destroy(old_conf);
	conf_destroy(new_conf);
}

static void
a_key_that_is_gone_is_missed_in_its_section(void **state)
{
	(void)state;
	expect_refusal("Workers = 2\n", "LogLevel = debug\n",
	    "FILE:21:2: error: [node] Workers cannot change from 2 to auto "
	    "while nlbd runs; restart nlbd, or set it back to 2\n"
	    "   21 | [node]\n"
	    "      |  ^~~~\n");
	expect_refusal("[node]\nWorkers = 2\n", "",
	    "FILE: error: [node] Workers cannot change from 2 to auto while "
	    "nlbd runs; restart nlbd, or set it back to 2\n");
}

/* The lines first to first + n - 1 of a large group, backwards or not. */
static struct conf *
large_group(size_t first, size_t n, bool backwards)
{
	char *text = NULL;
	size_t size = 0;
	struct conf *conf;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		fail_msg("open_memstream: %s", strerror(errno));
	fputs(BASE "[target-group large]\nPort = 25\n", out);
	for (size_t i = 0; i < n; i++) {
		size_t t = first + (backwards ? n - 1 - i : i);

		fprintf(out, "Target.t%zu = Id=10.1.%zu.%zu,Port=%zu\n", t,
		    t / 200, t % 200, 1000 + t % 7);
	}
	fclose(out);
	conf = conf_of(text);
	free(text);
	return conf;
}

static void
the_order_of_many_targets_means_nothing(void **state)
{
	struct conf *old_conf = large_group(0, 2500, false);
	struct conf *same = large_group(0, 2500, true);
	struct conf *moved = large_group(700, 2000, true);
	struct conf_diags diags = {0};
	struct conf_diff diff;
	char text[100];

	(void)state;
	assert_errno(conf_diff(old_conf, same, &diff, &diags), 0);
	assert_str(
	    conf_diff_summary(&diff, text, sizeof(text)), "nothing changed");
	assert_errno(conf_diff(old_conf, moved, &diff, &diags), 0);
	assert_str(conf_diff_summary(&diff, text, sizeof(text)),
	    "200 targets added, 700 targets removed");
	conf_diags_fini(&diags);
	conf_destroy(old_conf);
	conf_destroy(same);
	conf_destroy(moved);
}

static void
the_order_of_rules_means_nothing(void **state)
{
	static const char *const texts[] = {
	    BASE "[security-group t]\n"
		 "Inbound.a = Protocol=tcp,PortRange=25,Source=10.0.0.0/8\n"
		 "Inbound.b = Protocol=tcp,PortRange=25,Source=9.0.0.0/8\n"
		 "Inbound.c = Protocol=tcp,PortRange=25,Source=2001:db8::/32\n",
	    BASE "[security-group t]\n"
		 "Inbound.c = Protocol=tcp,PortRange=25,Source=2001:db8::/32\n"
		 "Inbound.b = Protocol=tcp,PortRange=25,Source=9.0.0.0/8\n"
		 "Inbound.a = Protocol=tcp,PortRange=25,Source=10.0.0.0/8\n",
	};
	struct conf *old_conf = conf_of(texts[0]);
	struct conf *new_conf = conf_of(texts[1]);
	struct conf_diags diags = {0};
	struct conf_diff diff;

	(void)state;
	assert_errno(conf_diff(old_conf, new_conf, &diff, &diags), 0);
	assert_u64(diff.rules_changed, 0);
	conf_diags_fini(&diags);
	conf_destroy(old_conf);
	conf_destroy(new_conf);
}

static void
a_summary_is_cut_to_its_buffer(void **state)
{
	const struct conf_diff diff = {
	    .listeners_added = 12, .node_changed = 1};
	char whole[100], part[10];

	(void)state;
	assert_str(conf_diff_summary(&diff, whole, sizeof(whole)),
	    "12 listeners added, 1 other key changed");
	assert_str(conf_diff_summary(&diff, part, sizeof(part)), "12 listen");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_change_is_counted_as_what_it_is),
	    cmocka_unit_test(sections_are_known_by_name_not_by_place),
	    cmocka_unit_test(keys_of_a_running_daemon_cannot_change),
	    cmocka_unit_test(a_key_that_is_gone_is_missed_in_its_section),
	    cmocka_unit_test(the_order_of_many_targets_means_nothing),
	    cmocka_unit_test(the_order_of_rules_means_nothing),
	    cmocka_unit_test(a_summary_is_cut_to_its_buffer),
	};

	return cmocka_run_group_tests_name("conf_diff", tests, NULL, NULL);
}
