/* Targets by DNS name: the grammar, and what addresses become of a name. */
#include "support/conf_case.h"

#include "nlb/conf_diff.h"
#include "nlb/conf_values.h"

static struct conf_span
span(const char *text)
{
	return (struct conf_span){.text = text, .len = strlen(text)};
}

static void
names_are_those_of_rfc_1123(void **state)
{
	static const char *const good[] = {"a.bc", "mail.example.com",
	    "MAIL.Example.COM", "xn--bcher-kva.example", "3com.com",
	    "1.2.3.4.example", "a-b.c--d.ef", "10.0.0.1.x1", "10.0.0.xy"};
	static const char *const bad[] = {"", ".", "a", "localhost", "a.bc.",
	    ".a.bc", "a..bc", "-a.bc", "a-.bc", "a.-bc", "a.bc-", "a_b.cd",
	    "a b.cd", "10.0.0.1", "10.0.0.x", "a.b", "10.0.0.256", "1.2.3",
	    "a.12", "a.0x7f", "a.2com", "b\xc3\xbc.example", "a.bc:25",
	    "[a.bc]", "a.bc/24", "*.a.bc", "a.bc\t", "fe80::1",
	    "::ffff:1.2.3.4"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!conf_value_is_host(span(good[i])))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (conf_value_is_host(span(bad[i])))
			fail_msg("taken: %s", bad[i]);
	assert_false(conf_value_is_host(
	    (struct conf_span){.text = "a.bc\0d", .len = 6}));
}

static void
names_and_labels_have_a_length(void **state)
{
	char text[CONF_HOST_MAX + 8];

	(void)state;
	/* 63 + 1 + 63 + 1 + 63 + 1 + 61 = 253 */
	memset(text, 'a', sizeof(text));
	text[63] = text[127] = text[191] = '.';
	text[253] = '\0';
	assert_true(conf_value_is_host(span(text)));
	text[253] = 'a';
	text[254] = '\0';
	assert_false(conf_value_is_host(span(text)));
	text[253] = '\0';
	text[63] = 'a';
	text[64] = '.';
	assert_false(conf_value_is_host(span(text)));
}

/* ---- addresses -------------------------------------------------------- */

#define LISTENER                                          \
	"[listener in]\nPort = 587\nAddress = 10.9.9.9\n" \
	"DefaultActions = forward:a, forward:b\n"

/* Group a has an address and two names, group b one name of IPv6. */
static struct conf *
named(const char *listener)
{
	char text[2048];
	struct conf_case c;

	snprintf(text, sizeof(text),
	    "[load-balancer]\nIpAddressType = dualstack\n%s"
	    "[target-group a]\nPort = 25\n"
	    "Target.one = Id=10.0.0.1\n"
	    "Target.mx = Id=mx.example.com,AvailabilityZone=all\n"
	    "Target.ses = Id=ses.example.com,Port=587,Standby=true\n"
	    "[target-group b]\nPort = 25\nIpAddressType = ipv6\n"
	    "Target.six = Id=mx.example.com\n",
	    listener);
	c = conf_case_text(text);
	if (c.result != 0)
		fail_msg("%s", c.text);
	conf_diags_fini(&c.diags);
	free(c.text);
	return c.conf;
}

static struct conf_resolved
at(uint32_t group, uint32_t target, const char *addr)
{
	struct conf_resolved r = {.group = group, .target = target};

	assert_errno(addr_parse(addr, &r.addr), 0);
	return r;
}

static void
expect_targets(const struct conf_target_group *g, const char *want)
{
	char got[512] = "", addr[ADDR_STRLEN];

	for (size_t i = 0; i < g->n_targets; i++) {
		const struct conf_target *t = &g->targets[i];
		size_t used = strlen(got);

		snprintf(got + used, sizeof(got) - used, "%s%s %s%s%s",
		    used == 0 ? "" : ", ", t->label,
		    addr_format(&t->addr, addr, sizeof(addr)),
		    t->dns != NULL ? " by " : "",
		    t->dns != NULL ? t->dns->host : "");
	}
	assert_str(got, want);
}

static void
a_name_is_no_target_before_it_is_resolved(void **state)
{
	struct conf *conf = named(LISTENER "SecurityGroups = none\n");

	(void)state;
	expect_targets(&conf->target_groups[0], "one 10.0.0.1:25");
	expect_targets(&conf->target_groups[1], "");
	assert_u64(conf_count_targets(conf), 1);
	assert_u64(conf_count_dns_targets(conf), 3);
	conf_destroy(conf);
}

static void
addresses_become_targets_behind_the_written_ones(void **state)
{
	struct conf *conf = named(LISTENER "SecurityGroups = none\n");
	const struct conf_resolved list[] = {at(0, 0, "10.0.0.5:25"),
	    at(0, 0, "10.0.0.6:25"), at(0, 1, "10.0.0.5:587"),
	    at(1, 0, "[fd00::5]:25")};
	const struct conf_target *t;

	(void)state;
	assert_errno(conf_set_resolved(conf, list, 4), 0);
	expect_targets(&conf->target_groups[0],
	    "one 10.0.0.1:25, mx 10.0.0.5:25 by mx.example.com, "
	    "mx 10.0.0.6:25 by mx.example.com, "
	    "ses 10.0.0.5:587 by ses.example.com");
	expect_targets(
	    &conf->target_groups[1], "six [fd00::5]:25 by mx.example.com");
	t = &conf->target_groups[0].targets[1];
	assert_str(t->availability_zone, "all");
	assert_false(t->standby);
	assert_true(conf->target_groups[0].targets[3].standby);
	conf_destroy(conf);
}

static void
the_next_addresses_take_the_place_of_the_last(void **state)
{
	struct conf *conf = named(LISTENER "SecurityGroups = none\n");
	struct conf_resolved r = at(0, 0, "10.0.0.5:25");

	(void)state;
	assert_errno(conf_set_resolved(conf, &r, 1), 0);
	r = at(0, 0, "10.0.0.6:25");
	assert_errno(conf_set_resolved(conf, &r, 1), 0);
	expect_targets(&conf->target_groups[0],
	    "one 10.0.0.1:25, mx 10.0.0.6:25 by mx.example.com");
	assert_errno(conf_set_resolved(conf, NULL, 0), 0);
	expect_targets(&conf->target_groups[0], "one 10.0.0.1:25");
	conf_destroy(conf);
}

static void
an_address_is_one_target_whoever_names_it(void **state)
{
	struct conf *conf = named(LISTENER "SecurityGroups = none\n");
	const struct conf_resolved list[] = {at(0, 0, "10.0.0.1:25"),
	    at(0, 0, "10.0.0.5:25"), at(0, 0, "10.0.0.5:25")};

	(void)state;
	assert_errno(conf_set_resolved(conf, list, 3), 0);
	expect_targets(&conf->target_groups[0],
	    "one 10.0.0.1:25, mx 10.0.0.5:25 by mx.example.com");
	conf_destroy(conf);
}

static void
what_does_not_fit_changes_nothing(void **state)
{
	struct conf *conf = named(LISTENER "SecurityGroups = none\n");
	static struct conf_resolved many[CONF_TARGETS_MAX];
	const struct conf_resolved good = at(0, 0, "10.0.0.5:25");
	const struct conf_resolved bad[] = {at(2, 0, "10.0.0.6:25"),
	    at(UINT32_MAX, 0, "10.0.0.6:25"), at(0, 2, "10.0.0.6:25"),
	    at(0, UINT32_MAX, "10.0.0.6:25"), at(0, 0, "10.0.0.6:26"),
	    at(0, 0, "[fd00::1]:25"), at(1, 0, "10.0.0.6:25")};

	(void)state;
	assert_errno(conf_set_resolved(conf, &good, 1), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct conf_resolved list[] = {good, bad[i]};

		assert_errno(conf_set_resolved(conf, list, 2), -EINVAL);
	}
	for (size_t i = 0; i < CONF_TARGETS_MAX; i++) {
		many[i] = good;
		many[i].addr.ip[1] = (uint8_t)(i >> 8);
		many[i].addr.ip[2] = (uint8_t)i;
	}
	assert_errno(conf_set_resolved(conf, many, CONF_TARGETS_MAX), -EINVAL);
	expect_targets(&conf->target_groups[0],
	    "one 10.0.0.1:25, mx 10.0.0.5:25 by mx.example.com");
	assert_errno(conf_set_resolved(conf, many, CONF_TARGETS_MAX - 1), 0);
	assert_u64(conf_count_targets(conf), CONF_TARGETS_MAX);
	conf_destroy(conf);
}

static void
names_are_printed_and_their_addresses_not(void **state)
{
	struct conf *conf = named(LISTENER "SecurityGroups = none\n");
	const struct conf_resolved r = at(0, 0, "10.0.0.5:25");
	char *before = conf_case_print(conf), *after;

	(void)state;
	assert_contains(
	    before, "Id=mx.example.com,Port=25,AvailabilityZone=all\n");
	assert_contains(before, "Id=ses.example.com,Port=587,Standby=true\n");
	assert_errno(conf_set_resolved(conf, &r, 1), 0);
	after = conf_case_print(conf);
	assert_str(after, before);
	free(before);
	free(after);
	conf_destroy(conf);
}

static void
a_reload_counts_names_not_addresses(void **state)
{
	struct conf *old_conf = named(LISTENER "SecurityGroups = none\n");
	struct conf *new_conf = named(LISTENER "SecurityGroups = none\n");
	const struct conf_resolved r = at(0, 0, "10.0.0.5:25");
	struct conf_diags diags = {0};
	struct conf_diff diff;
	char text[256];

	(void)state;
	assert_errno(conf_set_resolved(old_conf, &r, 1), 0);
	assert_errno(conf_diff(old_conf, new_conf, &diff, &diags), 0);
	assert_str(
	    conf_diff_summary(&diff, text, sizeof(text)), "nothing changed");
	new_conf->target_groups[0].dns_targets[0].host[0] = 'n';
	new_conf->target_groups[0].dns_targets[1].target.standby = false;
	assert_errno(conf_diff(old_conf, new_conf, &diff, &diags), 0);
	assert_str(conf_diff_summary(&diff, text, sizeof(text)),
	    "1 target group changed, 1 target added, 1 target removed");
	conf_destroy(old_conf);
	conf_destroy(new_conf);
}

/* ---- what may not be a target ----------------------------------------- */

static void
expect_refusal(
    const struct conf *conf, size_t group, const char *addr, const char *want)
{
	struct addr a;
	const char *got;
	bool is_local = strncmp(addr, "10.0.0.77:", 10) == 0;

	assert_errno(addr_parse(addr, &a), 0);
	got = conf_dns_refusal(conf, &conf->target_groups[group], &a, is_local);
	if ((want == NULL) != (got == NULL) ||
	    (want != NULL && strstr(got, want) == NULL))
		fail_msg("%s: %s, not %s", addr, got == NULL ? "taken" : got,
		    want == NULL ? "taken" : want);
}

static void
a_name_may_not_lead_just_anywhere(void **state)
{
	static const struct {
		size_t group;
		const char *addr, *why;
	} rows[] = {
	    {0, "10.0.0.5:25", NULL},
	    {0, "8.8.8.8:25", NULL}, /* SES is public */
	    {1, "[2001:db8::1]:25", NULL}, {0, "[fd00::1]:25", "IpAddressType"},
	    {1, "10.0.0.5:25", "IpAddressType"},
	    {0, "127.0.0.1:25", "this machine"},
	    {0, "127.255.255.254:25", "this machine"},
	    {1, "[::1]:25", "this machine"}, {0, "0.0.0.0:25", "unspecified"},
	    {0, "0.0.0.1:25", "reserved"}, {1, "[::]:25", "unspecified"},
	    {0, "169.254.169.254:25", "link-local"},
	    {1, "[fe80::1]:25", "link-local"},
	    {1, "[fd00:ec2::254]:25", "metadata"},
	    {0, "224.0.0.1:25", "multicast"}, {1, "[ff02::1]:25", "multicast"},
	    {0, "240.0.0.1:25", "reserved"},
	    {0, "255.255.255.255:25", "broadcast"},
	    {0, "10.9.9.9:587", "own listener"}, {0, "10.9.9.9:25", NULL},
	    {0, "10.0.0.77:587", NULL}, /* the listener is at one address */
	};
	struct conf *conf = named(LISTENER "SecurityGroups = none\n");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_refusal(conf, rows[i].group, rows[i].addr, rows[i].why);
	conf_destroy(conf);
}

static void
a_listener_at_all_addresses_is_at_each_of_the_machine(void **state)
{
	struct conf *conf =
	    named("[listener in]\nPort = 587\nSecurityGroups = none\n"
		  "DefaultActions = forward:a, forward:b\n");

	(void)state;
	expect_refusal(conf, 0, "10.0.0.77:587", "own listener");
	expect_refusal(conf, 0, "10.0.0.77:588", NULL);
	expect_refusal(conf, 0, "10.0.0.78:587", NULL);
	conf_destroy(conf);
}

static void
outbound_rules_bound_where_a_name_leads(void **state)
{
	struct conf *conf = named(
	    LISTENER "SecurityGroups = out\n"
		     "[security-group out]\n"
		     "Inbound.a = Protocol=tcp,PortRange=587,Source=0.0.0.0/0\n"
		     "Outbound.a = Protocol=tcp,PortRange=25,"
		     "Destination=10.0.0.0/24\n");

	(void)state;
	expect_refusal(conf, 0, "10.0.0.5:25", NULL);
	expect_refusal(conf, 0, "10.0.0.5:587", "outbound");
	expect_refusal(conf, 0, "10.0.1.5:25", "outbound");
	expect_refusal(conf, 1, "[fd00::1]:25", "outbound");
	conf_destroy(conf);
	/* Of a group without a listener nothing goes out. */
	conf = named("[listener in]\nPort = 587\nSecurityGroups = none\n"
		     "DefaultActions = forward:a\n");
	expect_refusal(conf, 1, "[fd00::1]:25", NULL);
	conf_destroy(conf);
}

/* ---- the keys --------------------------------------------------------- */

static void
resolvers_may_have_ports(void **state)
{
	struct conf *conf = conf_case_sound(CASE_LISTENER CASE_GROUP
	    "[node]\nResolvers = 10.0.0.2, 127.0.0.1:5353, "
	    "[fd00:ec2::253]:530\n");
	const struct conf_node *node = &conf->node;
	char text[ADDR_STRLEN];

	(void)state;
	assert_u64(node->n_resolvers, 3);
	assert_str(addr_format(&node->resolvers[0], text, sizeof(text)),
	    "10.0.0.2:53");
	assert_str(addr_format(&node->resolvers[1], text, sizeof(text)),
	    "127.0.0.1:5353");
	assert_str(addr_format(&node->resolvers[2], text, sizeof(text)),
	    "[fd00:ec2::253]:530");
	conf_destroy(conf);
}

static void
names_have_a_limit(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct conf_case c;

	(void)state;
	assert_non_null(f);
	fputs(CASE_LISTENER CASE_GROUP, f);
	for (int i = 0; i < CONF_DNS_TARGETS_MAX; i++)
		fprintf(f, "Target.n%d = Id=mx%d.example.com\n", i, i);
	fflush(f);
	c = conf_case_text(text);
	assert_errno(c.result, 0);
	conf_case_fini(&c);
	fputs("Target.more = Id=more.example.com\n", f);
	fclose(f);
	c = conf_case_text(text);
	assert_errno(c.result, -EINVAL);
	assert_contains(c.text, "101 targets by name; all groups together take "
				"at most 100");
	conf_case_fini(&c);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest conf_dns[] = {
	    cmocka_unit_test(names_are_those_of_rfc_1123),
	    cmocka_unit_test(names_and_labels_have_a_length),
	    cmocka_unit_test(a_name_is_no_target_before_it_is_resolved),
	    cmocka_unit_test(addresses_become_targets_behind_the_written_ones),
	    cmocka_unit_test(the_next_addresses_take_the_place_of_the_last),
	    cmocka_unit_test(an_address_is_one_target_whoever_names_it),
	    cmocka_unit_test(what_does_not_fit_changes_nothing),
	    cmocka_unit_test(names_are_printed_and_their_addresses_not),
	    cmocka_unit_test(a_reload_counts_names_not_addresses),
	    cmocka_unit_test(a_name_may_not_lead_just_anywhere),
	    cmocka_unit_test(
		a_listener_at_all_addresses_is_at_each_of_the_machine),
	    cmocka_unit_test(outbound_rules_bound_where_a_name_leads),
	    cmocka_unit_test(resolvers_may_have_ports),
	    cmocka_unit_test(names_have_a_limit),
	};

	return cmocka_run_group_tests(conf_dns, NULL, NULL);
}
