/* Outbound rules by port: the same answers as the walk over all rules. */
#include "support/conf_case.h"

#include "nlb/outbound.h"

#define LISTENER(groups, more)                       \
	"[listener l]\nPort = 587\nSecurityGroups =" \
	" " groups "\nDefaultActions = forward:g\n" more
#define GROUP "[target-group g]\nPort = 587\nTarget.a = Id=10.0.0.1\n"
#define INBOUND "Inbound.a = Protocol=tcp,PortRange=587,Source=10.0.0.0/8\n"

static uint64_t seed = 0x6f7574626f756e64;

static unsigned
random_below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 11) % n);
}

/* A text with n rules; blocks and ports overlap a lot. */
static void
write_rules(FILE *out, const char *labels, unsigned n, const char *more[2])
{
	for (unsigned i = 0; i < n; i++) {
		unsigned from = 20 + random_below(10);

		fprintf(out,
		    "Outbound.%s%u = Protocol=tcp,PortRange=%u-%u,"
		    "Destination=",
		    labels, i + 1, from, from + random_below(4));
		if (random_below(3) == 0)
			fprintf(out, "2001:db8::%x/128", random_below(8));
		else
			fprintf(out, "10.0.0.%u/32", random_below(8));
		fprintf(out, "%s\n", more[random_below(2)]);
	}
}

static struct conf *
random_conf(void)
{
	const char *plain[2] = {"", ""};
	const char *actions[2] = {",RuleAction=allow", ",RuleAction=deny"};
	struct conf_case c;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		fail_msg("open_memstream: %s", strerror(errno));
	fputs(random_below(2) == 0 ? LISTENER("s, t", "NetworkAcl = n\n")
				   : LISTENER("s, t", ""),
	    out);
	fputs(GROUP "[security-group s]\n" INBOUND, out);
	write_rules(out, "a", random_below(12), plain);
	fputs("[security-group t]\n" INBOUND, out);
	write_rules(out, "b", random_below(12), plain);
	fputs("[network-acl n]\n", out);
	write_rules(out, "", 1 + random_below(12), actions);
	fclose(out);
	c = conf_case_text(text);
	if (c.result != 0)
		fail_msg("%s\n%s", c.text, text);
	conf_diags_fini(&c.diags);
	free(c.text);
	free(text);
	return c.conf;
}

static struct addr
random_addr(void)
{
	char text[ADDR_STRLEN];
	struct addr a;

	snprintf(text, sizeof(text),
	    random_below(3) == 0 ? "[2001:db8::%x]:%u" : "10.0.0.%u:%u",
	    random_below(9), 18 + random_below(16));
	assert_errno(addr_parse(text, &a), 0);
	return a;
}

static void
answers_are_those_of_the_rules_one_by_one(void **state)
{
	unsigned seen[3] = {0};

	(void)state;
	for (int i = 0; i < 60; i++) {
		struct conf *conf = random_conf();
		const struct conf_listener *l = &conf->listeners[0];
		struct outbound *o;

		assert_errno(outbound_create(conf, l, &o), 0);
		for (int j = 0; j < 200; j++) {
			struct addr a = random_addr();
			enum conf_outbound verdict = outbound_verdict(o, &a);

			assert_i64(verdict, conf_outbound_verdict(conf, l, &a));
			seen[verdict]++;
		}
		outbound_destroy(o);
		conf_destroy(conf);
	}
	for (int i = 0; i < 3; i++)
		assert_true(seen[i] > 100);
}

static void
the_first_and_the_last_port_are_ports_as_any(void **state)
{
	struct conf *conf = conf_case_sound(LISTENER("s", "") GROUP
	    "[security-group s]\n" INBOUND
	    "Outbound.a = Protocol=tcp,PortRange=1,Destination=10.0.0.0/8\n"
	    "Outbound.b = Protocol=tcp,PortRange=65000-65535,"
	    "Destination=10.0.0.0/8\n");
	struct addr a = {.family = ADDR_IPV4, .ip = {10, 0, 0, 1}};
	struct outbound *o;
	static const struct {
		uint16_t port;
		bool allowed;
	} rows[] = {{1, true}, {2, false}, {64999, false}, {65000, true},
	    {65535, true}};

	(void)state;
	assert_errno(outbound_create(conf, &conf->listeners[0], &o), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		a.port = rows[i].port;
		assert_i64(outbound_verdict(o, &a) == CONF_OUTBOUND_ALLOWED,
		    rows[i].allowed);
	}
	outbound_destroy(o);
	conf_destroy(conf);
}

static void
without_rules_everything_is_allowed(void **state)
{
	struct conf *conf = conf_case_sound(LISTENER("none", "") GROUP);
	struct addr a = {.family = ADDR_IPV4, .ip = {8, 8, 8, 8}, .port = 25};
	struct outbound *o;

	(void)state;
	assert_errno(outbound_create(conf, &conf->listeners[0], &o), 0);
	assert_i64(outbound_verdict(o, &a), CONF_OUTBOUND_ALLOWED);
	outbound_destroy(o);
	conf_destroy(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answers_are_those_of_the_rules_one_by_one),
	    cmocka_unit_test(the_first_and_the_last_port_are_ports_as_any),
	    cmocka_unit_test(without_rules_everything_is_allowed),
	};

	return cmocka_run_group_tests_name("outbound", tests, NULL, NULL);
}
