/* Changes at run time: what they make of a conf, and what they refuse. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "nlb/conf_change.h"
#include "support/conf_case.h"

static const char text[] =
    "[load-balancer]\n"
    "AvailabilityZone = zone-a\n"
    "[listener submission]\n"
    "Port = 587\n"
    "SecurityGroups = saas\n"
    "DefaultActions = forward:smtp\n"
    "[security-group saas]\n"
    "Inbound.a = Protocol=tcp,PortRange=587,Source=203.0.113.0/24\n"
    "[target-group smtp]\n"
    "Port = 587\n"
    "HealthCheckIntervalSeconds = 30.0 ; half a minute\n"
    "Target.mail-1 = Id=10.0.0.1,AvailabilityZone=all\n"
    "Target.mail-2 = AvailabilityZone=zone-a, Id=10.0.0.2 , Port=2525\n"
    "[target-group inside]\n"
    "Port = 25\n"
    "IpAddressType = ipv6\n";

struct fixture {
	struct conf *conf, *made;
	struct conf_diags diags;
	char *said;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	struct conf_case c = conf_case_text(text);

	assert_errno(c.result, 0);
	f->conf = c.conf;
	c.conf = NULL;
	conf_case_fini(&c);
	*state = f;
	return 0;
}

static void
forget(struct fixture *f)
{
	conf_destroy(f->made);
	f->made = NULL;
	conf_diags_fini(&f->diags);
	free(f->said);
	f->said = NULL;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	forget(f);
	conf_destroy(f->conf);
	free(f);
	return 0;
}

static int
apply(struct fixture *f, const struct conf_change *change)
{
	static const struct conf_options options = {0};
	int rc;

	forget(f);
	rc = conf_change_apply(f->conf, change, &options, &f->made, &f->diags);
	f->said = conf_case_print_diags(&f->diags, "change");
	return rc;
}

static int
change_target(struct fixture *f, enum conf_change_kind kind, const char *group,
    const char *target)
{
	struct conf_change change = {
	    .kind = kind, .name = group, .targets = &target, .n_targets = 1};

	return apply(f, &change);
}

static int
set(struct fixture *f, enum conf_change_kind kind, const char *name,
    const char *key, const char *value)
{
	struct conf_setting setting = {.key = key, .value = value};
	struct conf_change change = {
	    .kind = kind, .name = name, .settings = &setting, .n_settings = 1};

	return apply(f, &change);
}

/* The text now is text with the one part old replaced. */
static void
expect_text(struct fixture *f, const char *old, const char *replacement)
{
	const char *at = strstr(text, old);
	char want[2048];

	assert_non_null(at);
	assert_non_null(f->made);
	snprintf(want, sizeof(want), "%.*s%s%s", (int)(at - text), text,
	    replacement, at + strlen(old));
	assert_str(f->made->bytes, want);
}

static void
expect_nothing_to_do(struct fixture *f, int rc)
{
	assert_errno(rc, 0);
	assert_null(f->made);
	assert_u64(f->diags.n_errors, 0);
}

static void
expect_refused(struct fixture *f, int rc, int want, const char *sentence)
{
	assert_errno(rc, want);
	assert_null(f->made);
	assert_contains(f->said, sentence);
}

#define REGISTER(f, target) \
	change_target((f), CONF_CHANGE_REGISTER_TARGETS, "smtp", (target))
#define DEREGISTER(f, target) \
	change_target((f), CONF_CHANGE_DEREGISTER_TARGETS, "smtp", (target))
#define SET(f, key, value) \
	set((f), CONF_CHANGE_TARGET_GROUP_ATTRIBUTES, "smtp", (key), (value))
#define SET_CHECK(f, key, value) \
	set((f), CONF_CHANGE_TARGET_GROUP, "smtp", (key), (value))

static void
registered_target_gets_a_line_below_the_others(void **state)
{
	struct fixture *f = *state;

	assert_errno(REGISTER(f, "Id=10.0.0.3,Port=25"), 0);
	expect_text(f, "[target-group inside]\n",
	    "Target.10-0-0-3 = Id=10.0.0.3,Port=25\n[target-group inside]\n");
	assert_u64(f->made->target_groups[0].n_targets, 3);
	assert_errno(change_target(f, CONF_CHANGE_REGISTER_TARGETS, "inside",
			 "Id=fd00::25"),
	    0);
	assert_str(f->made->target_groups[1].targets[0].label, "fd00--25");
}

static void
registering_again_changes_nothing(void **state)
{
	struct fixture *f = *state;

	expect_nothing_to_do(f, REGISTER(f, "Id=10.0.0.1"));
	expect_nothing_to_do(f, REGISTER(f, "Id=10.0.0.1,Port=587"));
	expect_nothing_to_do(
	    f, REGISTER(f, "Id=10.0.0.1,AvailabilityZone=all"));
	expect_nothing_to_do(f, REGISTER(f, "Port=2525,Id=10.0.0.2"));
	expect_nothing_to_do(f, REGISTER(f, "Id=10.0.0.1,Standby=false"));
}

static void
registering_again_with_other_fields_changes_these_alone(void **state)
{
	struct fixture *f = *state;

	assert_errno(
	    REGISTER(f, "Id=10.0.0.2,Port=2525,AvailabilityZone=all"), 0);
	expect_text(f, "AvailabilityZone=zone-a, Id=10.0.0.2 , Port=2525",
	    "AvailabilityZone=all,Id=10.0.0.2,Port=2525");
	assert_errno(REGISTER(f, "Id=10.0.0.1,Port=587,Standby=true"), 0);
	expect_text(f, "Id=10.0.0.1,AvailabilityZone=all",
	    "Id=10.0.0.1,AvailabilityZone=all,Standby=true");
}

static void
same_address_with_another_port_is_another_target(void **state)
{
	struct fixture *f = *state;
	static const char *const targets[] = {"Id=10.0.0.3",
	    "Id=10.0.0.3,Port=1", "Id=10.0.0.3,Port=2", "Id=10.0.0.1,Port=99"};
	static const char *const labels[] = {
	    "10-0-0-3", "10-0-0-3-1", "10-0-0-3-2", "10-0-0-1"};
	struct conf_change change = {.kind = CONF_CHANGE_REGISTER_TARGETS,
	    .name = "smtp",
	    .targets = targets,
	    .n_targets = 4};

	assert_errno(apply(f, &change), 0);
	for (size_t i = 0; i < 4; i++)
		assert_str(
		    f->made->target_groups[0].targets[i + 2].label, labels[i]);
}

static void
long_addresses_get_labels_of_their_own(void **state)
{
	struct fixture *f = *state;
	static const char *const targets[] = {
	    "Id=fd00:1111:2222:3333:4444:5555:6666:7771",
	    "Id=fd00:1111:2222:3333:4444:5555:6666:7772",
	    "Id=fd00:1111:2222:3333:4444:5555:6666:7771,Port=65535",
	    "Id=fd00:1112:2222:3333:4444:5555:6666:7771",
	    "Id=fd00:1113:2222:3333:4444:5555:6666:7771"};
	struct conf_change change = {.kind = CONF_CHANGE_REGISTER_TARGETS,
	    .name = "inside",
	    .targets = targets,
	    .n_targets = 5};

	assert_errno(apply(f, &change), 0);
	assert_u64(f->made->target_groups[1].n_targets, 5);
}

static void
deregistered_target_loses_its_line(void **state)
{
	struct fixture *f = *state;

	assert_errno(DEREGISTER(f, "Id=10.0.0.1"), 0);
	expect_text(
	    f, "Target.mail-1 = Id=10.0.0.1,AvailabilityZone=all\n", "");
	assert_errno(DEREGISTER(f, "Id=10.0.0.2,Port=2525"), 0);
	assert_u64(f->made->target_groups[0].n_targets, 1);
}

static void
deregistering_what_is_not_there_is_a_note(void **state)
{
	struct fixture *f = *state;

	/* Without a port the group's is meant. */
	expect_nothing_to_do(f, DEREGISTER(f, "Id=10.0.0.2"));
	assert_contains(f->said,
	    "warning: 10.0.0.2:587 is not registered in target group smtp");
}

/* Makes what was made the conf that the next change is about. */
static void
go_on(struct fixture *f)
{
	assert_non_null(f->made);
	conf_destroy(f->conf);
	f->conf = f->made;
	f->made = NULL;
}

static void
names_are_registered_and_deregistered_as_addresses_are(void **state)
{
	struct fixture *f = *state;

	assert_errno(REGISTER(f, "Id=Mail.Example.com"), 0);
	expect_text(f, "[target-group inside]\n",
	    "Target.mail-example-com = Id=Mail.Example.com\n"
	    "[target-group inside]\n");
	assert_u64(f->made->target_groups[0].n_dns_targets, 1);
	go_on(f);
	expect_nothing_to_do(f, REGISTER(f, "Id=mail.example.com,Port=587"));
	assert_errno(REGISTER(f, "Id=mail.example.com,Standby=true"), 0);
	assert_true(f->made->target_groups[0].dns_targets[0].target.standby);
	assert_errno(REGISTER(f, "Id=mail.example.com,Port=25"), 0);
	assert_str(f->made->target_groups[0].dns_targets[1].target.label,
	    "mail-example-com-25");
	expect_nothing_to_do(f, DEREGISTER(f, "Id=mail.example.com,Port=26"));
	assert_contains(f->said, "mail.example.com:26 is not registered");
	assert_errno(DEREGISTER(f, "Id=mail.example.com"), 0);
	assert_str(f->made->bytes, text);
}

static void
what_a_name_resolves_to_is_no_target_of_the_file(void **state)
{
	struct conf_resolved r = {0};
	struct fixture *f = *state;

	assert_errno(REGISTER(f, "Id=mail.example.com"), 0);
	go_on(f);
	assert_errno(addr_parse("10.0.0.7:587", &r.addr), 0);
	assert_errno(conf_set_resolved(f->conf, &r, 1), 0);
	expect_refused(f, DEREGISTER(f, "Id=10.0.0.7"), -EINVAL,
	    "10.0.0.7:587 is an address of mail.example.com; deregister the "
	    "name");
	assert_errno(REGISTER(f, "Id=10.0.0.7"), 0);
	assert_u64(f->made->target_groups[0].n_targets, 3);
	assert_str(f->made->target_groups[0].targets[2].label, "10-0-0-7");
}

static void
wrong_targets_are_refused_all_together(void **state)
{
	struct fixture *f = *state;
	static const char *const targets[] = {"Id=10.0.0.9", "Id=10.0.0.300",
	    "Id=10.0.0.8,Port=0", "Id=10.0.0.8,Prot=1", "Id=10.0.0.9,Port=587"};
	struct conf_change change = {.kind = CONF_CHANGE_REGISTER_TARGETS,
	    .name = "smtp",
	    .targets = targets,
	    .n_targets = 5};

	expect_refused(
	    f, apply(f, &change), -EINVAL, "`10.0.0.300' is neither an IP");
	assert_contains(f->said, "Port = 0 is out of range");
	assert_contains(f->said, "did you mean `Port'?");
	assert_contains(f->said, "10.0.0.9:587 is named twice");
	assert_u64(f->diags.n_errors, 4);
}

static void
what_a_file_may_not_say_a_change_may_not_either(void **state)
{
	struct fixture *f = *state;

	expect_refused(
	    f, REGISTER(f, "Id=169.254.169.254"), -EINVAL, "link-local");
	assert_u64(f->diags.n, 1);
	assert_u64(f->diags.list[0].line, 14);
	expect_refused(f, REGISTER(f, "Id=fd00::1"), -EINVAL, "no IPv4");
	expect_refused(f,
	    REGISTER(f, "Id=10.0.0.7,AvailabilityZone=a\nPort = 1"), -EINVAL,
	    "no AvailabilityZone");
	expect_refused(f,
	    SET_CHECK(f, "HealthCheckPath", "/\n[node]\nWorkers = 1"), -EINVAL,
	    "printable ASCII");
}

static void
unknown_names_are_not_found(void **state)
{
	struct fixture *f = *state;

	expect_refused(f,
	    change_target(
		f, CONF_CHANGE_REGISTER_TARGETS, "smtb", "Id=10.0.0.1"),
	    -ENOENT, "did you mean `smtp'?");
	expect_refused(f,
	    set(f, CONF_CHANGE_LISTENER_ATTRIBUTES, "smtp",
		"tcp.idle_timeout.seconds", "60"),
	    -ENOENT, "there is no listener `smtp'");
}

static void
attribute_gets_a_line_or_a_new_value(void **state)
{
	struct fixture *f = *state;

	assert_errno(SET(f, "deregistration_delay.timeout_seconds", "60"), 0);
	expect_text(f, "; half a minute\n",
	    "; half a minute\nderegistration_delay.timeout_seconds = 60\n");
	assert_u64(f->made->target_groups[0].deregistration_delay_s, 60);
	assert_errno(set(f, CONF_CHANGE_LISTENER_ATTRIBUTES, "submission",
			 "tcp.idle_timeout.seconds", "600"),
	    0);
	assert_u64(f->made->listeners[0].idle_timeout_s, 600);
	assert_errno(SET_CHECK(f, "HealthCheckIntervalSeconds", "5"), 0);
	expect_text(f, "30.0 ; half", "5 ; half");
}

static void
same_value_and_default_need_no_line(void **state)
{
	struct fixture *f = *state;

	expect_nothing_to_do(
	    f, SET_CHECK(f, "HealthCheckIntervalSeconds", "30"));
	expect_nothing_to_do(
	    f, SET(f, "deregistration_delay.timeout_seconds", "300"));
}

/* The timeout's default follows from the protocol: 10 s for TCP, 6 for HTTP. */
static void
value_that_only_was_the_default_gets_a_line(void **state)
{
	struct fixture *f = *state;
	static const struct conf_setting settings[] = {
	    {"HealthCheckTimeoutSeconds", "10"},
	    {"HealthCheckProtocol", "HTTP"},
	    {"HealthCheckIntervalSeconds", "30"}};
	struct conf_change change = {.kind = CONF_CHANGE_TARGET_GROUP,
	    .name = "smtp",
	    .settings = settings,
	    .n_settings = 3};

	assert_errno(apply(f, &change), 0);
	assert_u64(f->made->target_groups[0].check_timeout_ms, 10000);
	expect_text(f, "; half a minute\n",
	    "; half a minute\nHealthCheckTimeoutSeconds = 10\n"
	    "HealthCheckProtocol = HTTP\n");
	assert_errno(SET_CHECK(f, "HealthCheckTimeoutSeconds", "10"), 0);
	expect_text(f, "; half a minute\n",
	    "; half a minute\nHealthCheckTimeoutSeconds = 10\n");
}

static void
wrong_values_are_refused_with_the_reason(void **state)
{
	struct fixture *f = *state;

	expect_refused(f,
	    SET(f, "deregistration_delay.timeout_seconds", "99999999"), -EINVAL,
	    "deregistration_delay.timeout_seconds = 99999999 is out of range");
	expect_refused(f, SET(f, "stickiness.enabled", "yes"), -EINVAL,
	    "`yes' is no value of stickiness.enabled");
	expect_refused(f, SET(f, "stickiness.enabled", ""), -EINVAL,
	    "stickiness.enabled has no value");
	expect_refused(f, SET(f, "stickines.enabled", "true"), -EINVAL,
	    "did you mean `stickiness.enabled'?");
}

static void
value_outside_of_aws_range_is_a_note(void **state)
{
	struct fixture *f = *state;

	assert_errno(set(f, CONF_CHANGE_LISTENER_ATTRIBUTES, "submission",
			 "tcp.idle_timeout.seconds", "5"),
	    0);
	assert_non_null(f->made);
	assert_u64(f->diags.n, 1);
	assert_true(f->diags.list[0].warning);
	assert_contains(f->said, "an NLB takes 60 to 6000");
	assert_contains(f->said, "= 5\n");
}

/* The file has other warnings; they are no answer to this change. */
static void
new_warnings_of_the_text_are_notes_with_their_lines(void **state)
{
	struct fixture *f = *state;
	static const char *const targets[] = {
	    "Id=10.0.0.1", "Id=10.0.0.2,Port=2525"};
	struct conf_change change = {.kind = CONF_CHANGE_DEREGISTER_TARGETS,
	    .name = "smtp",
	    .targets = targets,
	    .n_targets = 2};

	assert_errno(REGISTER(f, "Id=10.0.0.3"), 0);
	assert_u64(f->diags.n, 0);
	assert_errno(apply(f, &change), 0);
	assert_u64(f->diags.n, 1);
	assert_u64(f->diags.list[0].line, 9);
	assert_contains(f->said, "[target-group smtp] has no targets");
}

static void
key_of_another_verb_or_of_the_file_alone_says_where(void **state)
{
	struct fixture *f = *state;

	expect_refused(f, SET(f, "Port", "25"), -EINVAL,
	    "Port cannot be changed by modify-target-group-attributes");
	assert_contains(f->said, "change it in the file, then reload");
	expect_refused(f, SET(f, "HealthCheckPort", "25"), -EINVAL,
	    "modify-target-group changes it");
	expect_refused(f, SET_CHECK(f, "stickiness.enabled", "true"), -EINVAL,
	    "modify-target-group-attributes changes it");
	expect_refused(f, SET(f, "Target.x", "Id=10.0.0.3"), -EINVAL,
	    "no attribute of a target-group");
}

static void
attribute_given_twice_is_refused(void **state)
{
	struct fixture *f = *state;
	static const struct conf_setting settings[] = {
	    {"stickiness.enabled", "true"}, {"stickiness.enabled", "false"}};
	struct conf_change change = {
	    .kind = CONF_CHANGE_TARGET_GROUP_ATTRIBUTES,
	    .name = "smtp",
	    .settings = settings,
	    .n_settings = 2};

	expect_refused(
	    f, apply(f, &change), -EINVAL, "stickiness.enabled is given twice");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(registered_target_gets_a_line_below_the_others),
	    TEST(registering_again_changes_nothing),
	    TEST(registering_again_with_other_fields_changes_these_alone),
	    TEST(same_address_with_another_port_is_another_target),
	    TEST(long_addresses_get_labels_of_their_own),
	    TEST(deregistered_target_loses_its_line),
	    TEST(deregistering_what_is_not_there_is_a_note),
	    TEST(names_are_registered_and_deregistered_as_addresses_are),
	    TEST(what_a_name_resolves_to_is_no_target_of_the_file),
	    TEST(wrong_targets_are_refused_all_together),
	    TEST(what_a_file_may_not_say_a_change_may_not_either),
	    TEST(unknown_names_are_not_found),
	    TEST(attribute_gets_a_line_or_a_new_value),
	    TEST(same_value_and_default_need_no_line),
	    TEST(value_that_only_was_the_default_gets_a_line),
	    TEST(wrong_values_are_refused_with_the_reason),
	    TEST(value_outside_of_aws_range_is_a_note),
	    TEST(new_warnings_of_the_text_are_notes_with_their_lines),
	    TEST(key_of_another_verb_or_of_the_file_alone_says_where),
	    TEST(attribute_given_twice_is_refused),
	};
#undef TEST

	return cmocka_run_group_tests_name("conf_change", tests, NULL, NULL);
}
