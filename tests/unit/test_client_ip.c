/* preserve_client_ip.enabled: which flows keep the client's address, and what
 * the config check makes of the machine it would run on. */
#include "support/conf_case.h"

#include "nlb/client_ip.h"

static void
flows_keep_the_address_where_answers_can_come_back(void **state)
{
	static const struct {
		const char *client, *target;
		bool preserved;
	} rows[] = {
	    {"203.0.113.10:40000", "10.20.0.25:587", true},
	    {"[2001:db8::7]:40000", "[fd00::25]:587", true},
	    /* A target, but another one. */
	    {"10.20.0.26:40000", "10.20.0.25:587", true},
	    /* The other family. */
	    {"203.0.113.10:40000", "[fd00::25]:587", false},
	    {"[2001:db8::7]:40000", "10.20.0.25:587", false},
	    /* It would answer itself, whatever the ports. */
	    {"10.20.0.25:40000", "10.20.0.25:587", false},
	    {"[fd00::25]:40000", "[fd00::25]:587", false},
	    /* An address of one machine, of one link. */
	    {"127.0.0.1:40000", "10.20.0.25:587", false},
	    {"[::1]:40000", "[fd00::25]:587", false},
	    {"169.254.3.4:40000", "10.20.0.25:587", false},
	    {"[fe80::1]:40000", "[fd00::25]:587", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr client, target;

		assert_errno(addr_parse(rows[i].client, &client), 0);
		assert_errno(addr_parse(rows[i].target, &target), 0);
		if (client_ip_is_preserved(&client, &target) !=
		    rows[i].preserved)
			fail_msg("%s to %s", rows[i].client, rows[i].target);
	}
}

/* ---- the machine ------------------------------------------------------ */

static struct conf_machine machine;
static unsigned times_asked;

static void
ask_machine(struct conf_machine *out)
{
	times_asked++;
	*out = machine;
}

/* A group with the attribute on in line 7, column 30, and another one behind
 * it. */
static struct conf_case
check(const char *key_lines, const char *more)
{
	const struct conf_options options = {.ask_machine = ask_machine};
	struct conf_case c = {0};
	char text[1024];

	snprintf(text, sizeof(text),
	    CASE_LISTENER "[target-group smtp]\nPort = 587\n%s"
			  "Target.a = Id=10.20.0.25\n%s",
	    key_lines, more);
	times_asked = 0;
	c.result = conf_parse(text, strlen(text), &options, &c.conf, &c.diags);
	c.text = conf_case_print_diags(&c.diags, "FILE");
	return c;
}

static void
expect(const char *key_lines, const char *more, int result, const char *said)
{
	struct conf_case c = check(key_lines, more);

	if (c.result != result || (said == NULL) != (c.diags.n == 0) ||
	    (said != NULL && strstr(c.text, said) == NULL))
		fail_msg("%d:\n%s", c.result, c.text);
	conf_case_fini(&c);
}

#define ON "preserve_client_ip.enabled = true\n"
#define OFF "preserve_client_ip.enabled = false\n"

static void
a_machine_without_the_capability_is_refused_with_the_place(void **state)
{
	(void)state;
	machine = (struct conf_machine){.diverts = {true, true, true}};
	expect(ON, "", -EINVAL,
	    "FILE:7:30: error: preserve_client_ip.enabled = true needs the "
	    "capability CAP_NET_RAW");
	expect(OFF, "", 0, NULL);
	assert_u64(times_asked, 0);
}

static void
a_machine_without_the_routing_is_a_warning_by_family(void **state)
{
	static const char six[] =
	    "[listener six]\nPort = 25\n"
	    "SecurityGroups = none\n"
	    "DefaultActions = forward:six\n"
	    "[load-balancer]\nIpAddressType = dualstack\n"
	    "[target-group six]\nPort = 25\n" ON "IpAddressType = ipv6\n"
	    "Target.b = Id=fd00::25\n";

	(void)state;
	machine = (struct conf_machine){
	    .transparent = true, .diverts = {[CONF_IPV6] = true}};
	expect(ON, "", 0,
	    "FILE:7:30: warning: answers to clients will not reach nlbd, and "
	    "flows to [target-group smtp] will time out");
	expect(OFF, six, 0, NULL);
	assert_u64(times_asked, 1);
	machine.diverts[CONF_IPV4] = true;
	machine.diverts[CONF_IPV6] = false;
	expect(ON, "", 0, NULL);
	expect(ON, six, 0, "flows to [target-group six] will time out");
	assert_u64(times_asked, 1);
}

static void
a_machine_that_nobody_asks_about_is_not_judged(void **state)
{
	struct conf *conf =
	    conf_case_sound(CASE_LISTENER "[target-group smtp]\nPort = 587\n" ON
					  "Target.a = Id=10.20.0.25\n");

	(void)state;
	assert_true(conf_preserves_client_ip(conf));
	assert_true(conf->target_groups[0].preserve_client_ip);
	conf_destroy(conf);
	conf = conf_case_sound(CASE_LISTENER CASE_GROUP);
	assert_false(conf_preserves_client_ip(conf));
	conf_destroy(conf);
}

static void
source_addresses_of_the_family_are_said_to_be_for_checks_alone(void **state)
{
	(void)state;
	machine = (struct conf_machine){
	    .transparent = true, .diverts = {true, true, true}};
	expect(ON, "[load-balancer]\nSourceAddresses = 10.20.0.1\n", 0,
	    "FILE:7:30: warning: flows to [target-group smtp] come from their "
	    "clients' addresses: SourceAddresses counts for its health checks "
	    "alone");
	expect(OFF, "[load-balancer]\nSourceAddresses = 10.20.0.1\n", 0, NULL);
}

int
main(void)
{
	const struct CMUnitTest client_ip[] = {
	    cmocka_unit_test(
		flows_keep_the_address_where_answers_can_come_back),
	    cmocka_unit_test(
		a_machine_without_the_capability_is_refused_with_the_place),
	    cmocka_unit_test(
		a_machine_without_the_routing_is_a_warning_by_family),
	    cmocka_unit_test(a_machine_that_nobody_asks_about_is_not_judged),
	    cmocka_unit_test(
		source_addresses_of_the_family_are_said_to_be_for_checks_alone),
	};

	return cmocka_run_group_tests(client_ip, NULL, NULL);
}
