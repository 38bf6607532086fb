/* Network ACLs in the configuration, together with security groups. */
#include "support/conf_case.h"

#include "nlb/conf_diff.h"

#define HEAD                                                     \
	"[listener l]\nPort = 587\nDefaultActions = forward:g\n" \
	"NetworkAcl = outside\n"
#define TAIL                                                               \
	"[target-group g]\nPort = 587\nTarget.a = Id=10.0.0.1\n"           \
	"[network-acl outside]\n"                                          \
	"Inbound.100 = Protocol=tcp,PortRange=587,Source=0.0.0.0/0,"       \
	"RuleAction=allow\n"                                               \
	"Inbound.90 = Protocol=tcp,PortRange=1-65535,"                     \
	"Source=prefix-list:bad,RuleAction=deny\n"                         \
	"Outbound.10 = Protocol=tcp,PortRange=587,Destination=10.0.0.0/8," \
	"RuleAction=allow\n"                                               \
	"[prefix-list bad]\nEntry.a = 203.0.113.0/24\n"                    \
	"Entry.b = 198.51.100.7/32\n"
#define OPEN HEAD "SecurityGroups = none\n" TAIL
#define GROUPED                                                             \
	HEAD "SecurityGroups = s\n" TAIL                                    \
	     "[security-group s]\nInbound.a = Protocol=tcp,PortRange=587,"  \
	     "Source=203.0.113.0/24\n"                                      \
	     "Inbound.b = Protocol=tcp,PortRange=587,Source=192.0.2.0/24\n" \
	     "Outbound.a = Protocol=tcp,PortRange=587-588,"                 \
	     "Destination=10.0.0.0/8\n"

static struct addr
address(const char *text)
{
	struct addr a;

	assert_errno(addr_parse(text, &a), 0);
	return a;
}

static bool
may_connect(const struct conf *conf, const char *text)
{
	struct addr a = address(text);
	struct sg_set set;
	bool allowed;

	assert_errno(conf_listener_inbound(conf, &conf->listeners[0], &set), 0);
	allowed = sg_set_allows(&set, &a);
	sg_set_fini(&set);
	return allowed;
}

static void
rules_stand_in_the_order_of_their_numbers(void **state)
{
	struct conf *conf = conf_case_sound(OPEN);
	const struct conf_network_acl *acl = &conf->network_acls[0];

	(void)state;
	assert_u64(conf->n_network_acls, 1);
	assert_str(acl->name, "outside");
	assert_u64(acl->n_rules, 3);
	assert_u64(acl->n_inbound, 3);
	assert_u64(acl->inbound[0].number, 90);
	assert_u64(acl->inbound[1].number, 90);
	assert_false(acl->inbound[0].allow);
	assert_u64(acl->inbound[2].number, 100);
	assert_u64(acl->n_outbound, 1);
	conf_destroy(conf);
}

static void
acl_stands_in_front_of_an_open_listener(void **state)
{
	struct conf *conf = conf_case_sound(OPEN);

	(void)state;
	assert_false(conf_listener_is_open(&conf->listeners[0]));
	assert_true(may_connect(conf, "192.0.2.1:40000"));
	assert_false(may_connect(conf, "203.0.113.1:40000"));
	assert_false(may_connect(conf, "198.51.100.7:40000"));
	assert_false(may_connect(conf, "[2001:db8::1]:40000"));
	conf_destroy(conf);
}

static void
acl_and_security_groups_must_both_allow(void **state)
{
	struct conf *conf = conf_case_sound(GROUPED);
	const struct conf_listener *l = &conf->listeners[0];
	struct addr good = address("10.0.0.1:587");
	struct addr by_group = address("10.0.0.1:588");
	struct addr by_nobody = address("10.0.0.1:25");

	(void)state;
	assert_true(may_connect(conf, "192.0.2.1:40000"));
	assert_false(may_connect(conf, "203.0.113.1:40000"));
	assert_false(may_connect(conf, "8.8.8.8:40000"));
	assert_i64(
	    conf_outbound_verdict(conf, l, &good), CONF_OUTBOUND_ALLOWED);
	assert_i64(conf_outbound_verdict(conf, l, &by_group),
	    CONF_OUTBOUND_NETWORK_ACL);
	assert_i64(conf_outbound_verdict(conf, l, &by_nobody),
	    CONF_OUTBOUND_SECURITY_GROUP);
	conf_destroy(conf);
}

static void
printed_acl_parses_back_to_itself(void **state)
{
	struct conf *conf = conf_case_sound(GROUPED);
	char *text = conf_case_print(conf);
	struct conf *again = conf_case_sound(text);
	char *text_again = conf_case_print(again);

	(void)state;
	assert_non_null(strstr(text, "[network-acl outside]"));
	assert_non_null(
	    strstr(text, "Inbound.90 = Protocol=tcp,PortRange=1-65535,"
			 "Source=prefix-list:bad,RuleAction=deny\n"));
	assert_str(text_again, text);
	free(text);
	free(text_again);
	conf_destroy(conf);
	conf_destroy(again);
}

static void
a_changed_rule_is_a_changed_acl(void **state)
{
	struct conf *old_conf = conf_case_sound(OPEN);
	struct conf *new_conf = conf_case_sound(OPEN);
	struct conf_diags diags = {0};
	struct conf_diff diff;
	char summary[256];

	(void)state;
	assert_errno(conf_diff(old_conf, new_conf, &diff, &diags), 0);
	assert_str(conf_diff_summary(&diff, summary, sizeof(summary)),
	    "nothing changed");
	new_conf->network_acls[0].inbound[0].allow = true;
	assert_errno(conf_diff(old_conf, new_conf, &diff, &diags), 0);
	assert_str(conf_diff_summary(&diff, summary, sizeof(summary)),
	    "1 network ACL changed");
	conf_destroy(old_conf);
	conf_destroy(new_conf);
}

static void
acl_that_stops_everything_or_nobody_uses_is_a_warning(void **state)
{
	struct conf_case c = conf_case_text(
	    HEAD "SecurityGroups = none\n"
		 "[target-group g]\nPort = 587\nTarget.a = Id=10.0.0.1\n"
		 "[network-acl outside]\n"
		 "Inbound.1 = Protocol=tcp,PortRange=587,Source=0.0.0.0/0,"
		 "RuleAction=deny\n"
		 "[network-acl spare]\n");

	(void)state;
	assert_errno(c.result, 0);
	assert_u64(c.diags.n_warnings, 3);
	assert_non_null(strstr(c.text, "nobody can connect"));
	assert_non_null(
	    strstr(c.text, "no target and no health check is reached"));
	assert_non_null(strstr(c.text, "no listener uses [network-acl spare]"));
	conf_case_fini(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rules_stand_in_the_order_of_their_numbers),
	    cmocka_unit_test(acl_stands_in_front_of_an_open_listener),
	    cmocka_unit_test(acl_and_security_groups_must_both_allow),
	    cmocka_unit_test(printed_acl_parses_back_to_itself),
	    cmocka_unit_test(a_changed_rule_is_a_changed_acl),
	    cmocka_unit_test(
		acl_that_stops_everything_or_nobody_uses_is_a_warning),
	};

	return cmocka_run_group_tests_name("conf_acl", tests, NULL, NULL);
}
